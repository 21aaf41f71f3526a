"""Campaigns created, read and listed, through the dispatcher, on both databases."""

import base64
from dataclasses import replace
from typing import Any

import pytest

from postrider.agents.tables import Agent
from postrider.campaigns.drafting import SEALED, webhook_secret_owner
from postrider.campaigns.queries import AGENTS
from postrider.dispatch import Call
from postrider.kernel.errors import Forbidden, InvalidInput, NotFound
from postrider.kernel.ids import new_id
from tests.conftest import Installation
from tests.features.campaign_rig import (
    FIRST,
    SECOND,
    WAIT,
    add_agent,
    add_mailbox,
    campaign_row,
)

FROM_THE_CONTRACT: dict[str, Any] = {
    "name": "Q2 Outbound",
    "sequence": [
        {"type": "email", "order": 0, "subject": "Question about {{companyName}}", "body": "<p>Hi {{firstName}},</p>"},
        {"type": "wait", "order": 1, "waitDays": 3},
        {"type": "email", "order": 2, "subject": "Re: Question about {{companyName}}", "body": "<p>Once more</p>"},
    ],
    "schedule": {
        "timezone": "America/Chicago",
        "startTime": "08:30",
        "endTime": "16:00",
        "workingDays": [1, 2, 3, 4, 5],
        "skipNationalHolidays": True,
    },
    "settings": {
        "trackOpens": True,
        "cc": ["Sales-Log@YourCompany.com"],
        "stopOnAutoReply": True,
        "skipDNC": False,
        "dailySendLimit": 50,
        "emailIntervalMinutes": 12,
        "espMatchingMode": "auto",
        "segCheckMode": "skip_providers",
        "segSkipProviders": ["proofpoint", "mimecast"],
        "cnameTracking": {"enabled": True, "domain": "track.yourcompany.com"},
        "slackChannelId": "C04ABCDEF12",
        "webhook": {
            "enabled": True,
            "url": "https://yourcompany.com/webhooks",
            "secret": "a secret of theirs",
            "events": ["lead.replied"],
        },
        "copyFatigueProtection": {"enabled": True, "autoRegenerate": True, "autoResume": True},
        "variantOptimization": {"enabled": True, "minimumSendsPerVariant": 50},
    },
    "mailboxTags": ["outreach"],
}


async def test_the_body_of_the_contract_makes_a_draft_with_every_setting_twice(installation: Installation) -> None:
    mailbox_id = await add_mailbox(installation, tags=["Outreach"])
    made = await installation.call("create_campaign", **FROM_THE_CONTRACT)
    assert made["status"] == "draft"
    assert made["mailboxes"] == [mailbox_id]
    assert made["userId"] == installation.ann.user_id
    assert made["workspaceId"] == installation.ann.workspace_id
    assert made["sendingSchedule"]["timezone"] == "America/Chicago"
    assert [step["name"] for step in made["sequence"]] == ["Initial Email", "Wait 3 days", "Follow-up 1"]
    assert made["sequence"][0]["variants"] == [
        {
            "label": "A",
            "subject": "Question about {{companyName}}",
            "body": "<p>Hi {{firstName}},</p>",
            "enabled": True,
        }
    ]
    assert made["stats"] == {
        "sent": 0,
        "delivered": 0,
        "opened": 0,
        "clicked": 0,
        "replied": 0,
        "bounced": 0,
        "unsubscribed": 0,
    }
    assert made["leads"] == {"total": 0, "active": 0}
    assert made["createdAt"] == made["updatedAt"] == "2026-03-02T08:00:00.000Z"
    assert made["settings"]["skipDNC"] is False
    assert made["settings"]["cc"] == ["Sales-Log@yourcompany.com"]
    assert made["settings"]["variantOptimization"]["minimumSendsPerVariant"] == 50
    assert made["settings"]["variantOptimization"]["minimumDays"] == 3
    assert {name: made[name] for name in made["settings"]} == made["settings"]
    assert await installation.call("get_campaign", id=made["id"]) == made


async def test_a_name_alone_makes_a_draft_with_the_defaults(installation: Installation) -> None:
    made = await installation.call("create_campaign", name="  Bare  ")
    assert made["name"] == "Bare"
    assert made["sequence"] == made["subsequences"] == made["mailboxes"] == []
    assert made["sendingSchedule"] == {
        "timezone": "America/New_York",
        "startTime": "09:00",
        "endTime": "17:00",
        "workingDays": [1, 2, 3, 4, 5],
        "skipNationalHolidays": True,
        "useLeadTimezone": False,
    }
    assert (made["trackOpens"], made["positiveRepliesOnlyEmail"], made["positiveRepliesOnlySlack"]) == (
        True,
        True,
        False,
    )
    assert made["emailIntervalMinutes"] == 15


async def test_warnings_name_what_start_will_refuse(installation: Installation) -> None:
    made = await installation.call("create_campaign", name="x", settings={"espMatchingMode": "auto"})
    assert made["warnings"][0] == (
        "start_campaign will refuse: settings.espMatchingMode is not supported yet; set it to disabled."
    )


async def test_texts_are_stored_and_shown_as_the_html_that_is_sent(installation: Installation) -> None:
    plain = {"type": "email", "body": "Hi {{firstName|there}},\n\n{a|b}"}
    hostile = {"type": "email", "variants": [{"label": "A", "body": "<p onclick=x>{{x}}<script>y</script></p>"}]}
    trigger = {"type": "ai_tag", "value": "Interested"}
    made = await installation.call(
        "create_campaign",
        name="x",
        sequence=[plain, hostile],
        subsequences=[{"trigger": trigger, "sequence": [plain]}],
    )
    bodies = ["<p>Hi {{firstName|there}},</p><p>{a|b}</p>", "<p>{{x}}</p>"]
    assert [step["variants"][0]["body"] for step in made["sequence"]] == bodies
    assert made["subsequences"][0]["sequence"][0]["body"] == bodies[0]
    assert [step["body"] for step in (await campaign_row(installation, made["id"])).sequence] == bodies
    again = await installation.call("update_campaign", id=made["id"], sequence=made["sequence"])
    assert again["sequence"] == made["sequence"]


async def test_a_webhook_secret_is_sealed_at_rest_and_never_shown(installation: Installation) -> None:
    made = await installation.call("create_campaign", **FROM_THE_CONTRACT)
    row = await campaign_row(installation, made["id"])
    stored = row.settings["webhook"]["secret"]  # type: ignore[index,call-overload]
    assert str(stored).startswith(SEALED)
    assert "a secret of theirs" not in f"{row.settings} {made}"
    assert made["webhook"] == {
        "enabled": True,
        "url": "https://yourcompany.com/webhooks",
        "hasSecret": True,
        "events": ["lead.replied"],
    }
    sealed = base64.b64decode(str(stored).removeprefix(SEALED))
    owner = webhook_secret_owner(row.workspace_id, row.id)
    assert installation.app.vault.open(sealed, owner).reveal() == "a secret of theirs"


async def test_the_longest_secret_can_be_stored_and_read_again(installation: Installation) -> None:
    webhook = {"secret": "\U0001f600" * 500}
    made = await installation.call("create_campaign", name="x", settings={"webhook": webhook})
    assert (await installation.call("get_campaign", id=made["id"]))["webhook"]["hasSecret"] is True


async def test_values_that_only_old_campaigns_know_become_disabled(installation: Installation) -> None:
    settings = {"segCheckMode": "use_specific_mailboxes", "espMatchingMode": "custom"}
    made = await installation.call("create_campaign", name="x", settings=settings)
    assert (made["segCheckMode"], made["espMatchingMode"]) == ("disabled", "disabled")


REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("blank name", {"name": "  "}, "name", "visible character"),
    ("name of two lines", {"name": "a\nb"}, "name", "on one line"),
    ("equal times", {"schedule": {"startTime": "09:00", "endTime": "09:00"}}, "schedule.endTime", "both 09:00"),
    ("no working day", {"schedule": {"workingDays": []}}, "schedule.workingDays", "may not be empty"),
    ("no such zone", {"schedule": {"timezone": "Mars/Base"}}, "schedule.timezone", "not a time zone"),
    ("bad time", {"schedule": {"startTime": "25:00"}}, "schedule.startTime", "HH:MM"),
    ("bad cc", {"settings": {"cc": ["ok@a.test", "a@b.test, c@d.test"]}}, "settings.cc[1]", "not a valid email"),
    ("bad bcc", {"settings": {"bcc": ["a@ok.test]<b@evil.test>"]}}, "settings.bcc[0]", "not a valid email"),
    ("six copies", {"settings": {"cc": [f"a{n}@b.test" for n in range(6)]}}, "settings.cc", "at most 5"),
    (
        "bad notification address",
        {"settings": {"replyNotificationEmails": ["nobody"]}},
        "settings.replyNotificationEmails[0]",
        "not a valid email",
    ),
    (
        "six notification addresses",
        {"settings": {"replyNotificationEmails": [f"a{n}@b.test" for n in range(6)]}},
        "settings.replyNotificationEmails",
        "at most 5",
    ),
    (
        "tracking host",
        {"settings": {"cnameTracking": {"domain": "https://x.test/"}}},
        "settings.cnameTracking.domain",
        "not a valid mail domain",
    ),
    ("webhook scheme", {"settings": {"webhook": {"url": "ftp://a.test"}}}, "settings.webhook.url", "https://"),
    (
        "long secret",
        {"settings": {"webhook": {"secret": "s" * 501}}},
        "settings.webhook.secret",
        "at most 500 characters",
    ),
    (
        "header injection",
        {"sequence": [{"type": "email", "subject": "Hi\r\nBcc: all@acme.test", "body": "x"}]},
        "sequence[0].subject",
        "line break or control character",
    ),
    (
        "NUL in a variant's subject",
        {"sequence": [{"type": "email", "variants": [{"label": "A", "subject": "a\x00b"}]}]},
        "sequence[0].variants[0].subject",
        "NUL",
    ),
    ("NUL in a body", {"sequence": [{"type": "email", "body": "a\x00b"}]}, "sequence[0].body", "NUL"),
    ("first step waits", {"sequence": [WAIT, FIRST]}, "sequence[0].type", "first step must be an email"),
    ("last step waits", {"sequence": [FIRST, WAIT]}, "sequence[1].type", "cannot end with a wait"),
    ("two waits", {"sequence": [FIRST, WAIT, WAIT, SECOND]}, "sequence[1].type", "two waits follow"),
    ("empty wait", {"sequence": [FIRST, {"type": "wait"}, SECOND]}, "sequence[1].waitDays", "above 0"),
    ("wrong kind of id", {"mailboxIds": [new_id("camp")]}, "mailboxIds[0]", "is the id of a campaign"),
    ("fifty-one steps", {"sequence": [FIRST] * 51}, "sequence", "at most 50"),
    (
        "too much text",
        {"sequence": [{"type": "email", "body": "x" * 99_000}] * 6},
        "sequence",
        "at most 500,000 characters",
    ),
]


async def test_what_cannot_be_is_refused_by_field(installation: Installation) -> None:
    for case, given, field, words in REFUSED:
        with pytest.raises(InvalidInput, match=words) as refused:
            await installation.call("create_campaign", **{"name": "x"} | given)
        assert refused.value.field == field, case
    assert (await installation.call("list_campaigns"))["total"] == 0


BAD_TEMPLATES: list[tuple[dict[str, Any], str, int]] = [
    ({"sequence": [{"type": "email", "subject": "Hi {{firstName", "body": "x"}]}, "sequence[0].subject", 3),
    ({"sequence": [FIRST, {"type": "email", "body": "<p>Hi {{#if company}}x</p>"}]}, "sequence[1].body", 6),
    (
        {"sequence": [{"type": "email", "variants": [{"label": "A"}, {"label": "B", "body": "{{x"}]}]},
        "sequence[0].variants[1].body",
        0,
    ),
    (
        {"subsequences": [{"trigger": {"type": "reply"}, "sequence": [WAIT, {"type": "email", "body": "ab{{x"}]}]},
        "subsequences[0].sequence[1].body",
        2,
    ),
    (
        {
            "sequence": [
                {
                    "type": "email",
                    "body": "{{cond:size}}",
                    "useConditionalVariables": True,
                    "conditionalVariables": [
                        {"name": "size", "conditions": [{"field": "n", "operator": "has_value", "output": "ab {{x"}]}
                    ],
                }
            ]
        },
        "sequence[0].conditionalVariables[0].conditions[0].output",
        3,
    ),
    # Out of order: the path counts what was submitted.
    (
        {"sequence": [{"type": "email", "order": 5, "body": "{{x"}, {"type": "email", "order": 1, "body": "ok"}]},
        "sequence[0].body",
        0,
    ),
]


async def test_a_bad_template_is_refused_with_its_path_and_offset(installation: Installation) -> None:
    for given, field, offset in BAD_TEMPLATES:
        with pytest.raises(InvalidInput) as refused:
            await installation.call("create_campaign", name="x", **given)
        assert (refused.value.field, refused.value.details["offset"]) == (field, offset)


async def test_mailboxes_are_the_union_of_all_selectors(installation: Installation) -> None:
    one = await add_mailbox(installation, "one@ann.test")
    two = await add_mailbox(installation, "two@ann.test", tags=["Outreach"])
    three = await add_mailbox(installation, "three@ann.test", provider="gmail", tags=["outreach"])
    four = await add_mailbox(installation, "four@ann.test")
    await add_mailbox(installation, "bob@bob.test", installation.bob, provider="gmail", tags=["outreach"])
    made = await installation.call(
        "create_campaign",
        name="x",
        mailboxes=[four],
        mailboxIds=[one, four],
        mailboxEmails=["FOUR@ann.test", "two@ann.test"],
        mailboxTags=["OUTREACH", "nothing has this"],
        mailboxProvider="gmail",
    )
    assert made["mailboxes"] == [four, one, two, three]


async def test_a_tag_or_provider_without_mailboxes_is_fine_in_a_draft(installation: Installation) -> None:
    made = await installation.call("create_campaign", name="x", mailboxTags=["none"], mailboxProvider="outlook")
    assert made["mailboxes"] == []


async def test_unknown_mailboxes_are_listed_and_those_of_another_workspace_are_unknown(
    installation: Installation,
) -> None:
    theirs = await add_mailbox(installation, "bob@bob.test", installation.bob)
    with pytest.raises(InvalidInput, match="no such mailbox") as refused:
        await installation.call("create_campaign", name="x", mailboxIds=[theirs], mailboxEmails=["bob@bob.test"])
    assert refused.value.details["unknown"] == [theirs, "bob@bob.test"]


async def test_the_agent_must_belong_to_the_workspace(installation: Installation) -> None:
    ours, theirs = await add_agent(installation), await add_agent(installation, installation.bob)
    made = await installation.call("create_campaign", name="x", settings={"aiAgentId": ours})
    assert made["aiAgentId"] == ours
    for stranger in (theirs, "664f0a1b2c3d4e5f6a7b8c9d"):
        with pytest.raises(InvalidInput) as refused:
            await installation.call("create_campaign", name="y", settings={"aiAgentId": stranger})
        assert (refused.value.error_code, refused.value.field) == ("AGENT_NOT_FOUND", "settings.aiAgentId")


def test_the_agents_table_has_the_columns_that_campaigns_look_up() -> None:
    assert Agent.__tablename__ == AGENTS.name
    assert {column.name for column in AGENTS.c} <= {column.name for column in Agent.__table__.columns}


OPERATIONS = ("get_campaign", "update_campaign", "start_campaign", "pause_campaign", "resume_campaign")


async def test_a_campaign_of_another_workspace_is_as_absent_as_one_that_never_was(installation: Installation) -> None:
    made = await installation.call("create_campaign", name="x")
    for operation in OPERATIONS:
        given = {"name": "stolen"} if operation == "update_campaign" else {}
        answers = []
        for campaign_id in (made["id"], new_id("camp")):
            with pytest.raises(NotFound, match=r"^Campaign not found$") as refused:
                await installation.call(operation, owner=installation.bob, id=campaign_id, **given)
            answers.append((refused.value.message, refused.value.hint, refused.value.details))
        assert answers[0] == answers[1]
    assert await installation.call("get_campaign", id=made["id"]) == made


async def test_an_id_of_another_kind_is_named(installation: Installation) -> None:
    for operation in OPERATIONS:
        with pytest.raises(InvalidInput, match="id is the id of a lead; a campaign id is needed"):
            await installation.call(operation, id=new_id("lead"))


async def test_fields_that_are_not_the_callers_are_refused_or_dropped(installation: Installation) -> None:
    made = await installation.call("create_campaign", name="x")
    for field in ("workspaceId", "workspace_id", "status", "revision", "userId", "startedAt", "stats", "leads"):
        for operation, known in (("create_campaign", {"name": "y"}), ("update_campaign", {"id": made["id"]})):
            arguments = {**known, field: "active"}
            with pytest.raises(InvalidInput, match=f"{field} is not a field here"):
                await installation.call(operation, **arguments)
            answer = await installation.app.dispatcher.call(
                Call(operation, arguments, installation.actor(), lenient=True)
            )
            assert answer.ignored == [field]
    assert (await installation.call("get_campaign", id=made["id"])) == made


async def test_each_operation_needs_its_scope(installation: Installation) -> None:
    actor = installation.actor()
    scopes = {
        "list_campaigns": "read",
        "get_campaign": "read",
        "create_campaign": "prepare",
        "update_campaign": "prepare",
        "pause_campaign": "prepare",
        "start_campaign": "send",
        "resume_campaign": "send",
    }
    for operation, scope in scopes.items():
        without = replace(actor, scopes=actor.scopes - {scope})
        with pytest.raises(Forbidden, match=scope):
            await installation.app.dispatcher.call(Call(operation, {}, without))
