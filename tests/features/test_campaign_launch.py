"""Campaigns started, paused and resumed, through the dispatcher, on both databases."""

from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from anyio import create_task_group, fail_after
from anyio.lowlevel import checkpoint
from sqlalchemy import create_engine, select, text, update
from sqlalchemy.pool import NullPool

from postrider.access.queries import create_owner
from postrider.access.tables import Workspace
from postrider.app import build
from postrider.campaigns.launch import NO_LEGAL_LINES, NO_PUBLIC_ADDRESS, WORKSPACE_PAUSED
from postrider.campaigns.tables import Campaign
from postrider.dispatch import Call
from postrider.kernel.clock import VirtualClock
from postrider.kernel.errors import Conflict
from postrider.settings import Settings, load_settings
from postrider.storage.schema import upgrade_schema
from tests.conftest import START, Installation
from tests.features.campaign_rig import (
    SECOND,
    SEQUENCE,
    WAIT,
    add_lead,
    add_mailbox,
    campaign_row,
    enrollment_of,
    ready_campaign,
    refusal,
    set_campaign,
)


async def set_workspace(world: Installation, **values: Any) -> None:
    statement = update(Workspace).where(Workspace.id == world.ann.workspace_id).values(**values)
    await world.app.database.write(lambda session: session.execute(statement))


async def test_a_start_makes_the_campaign_and_its_pending_leads_active(installation: Installation) -> None:
    made = await ready_campaign(installation)
    later = START + timedelta(days=1)
    dated = await add_lead(installation, made["id"], "dated@acme.test", due_at=later)
    dateless = await add_lead(installation, made["id"], "dateless@acme.test")
    stopped = await add_lead(installation, made["id"], "stopped@acme.test", status="stopped")
    answer = await installation.call("start_campaign", id=made["id"])
    assert (answer["id"], answer["status"]) == (made["id"], "active")
    campaign = await installation.call("get_campaign", id=made["id"])
    assert (campaign["status"], campaign["revision"]) == ("active", 1)
    assert campaign["startedAt"] == "2026-03-02T08:00:00.000Z"
    assert campaign["leads"] == {"total": 4, "active": 3}
    places = [await enrollment_of(installation, lead) for lead in (dated, dateless, stopped)]
    assert [(row.status, row.due_at) for row in places] == [("active", later), ("active", START), ("stopped", None)]
    assert installation.app.signals.events["sender"].is_set()


async def test_leads_of_other_campaigns_stay_pending(installation: Installation) -> None:
    made = await ready_campaign(installation)
    other = await installation.call("create_campaign", name="other")
    lead = await add_lead(installation, other["id"], "other@acme.test")
    await installation.call("start_campaign", id=made["id"])
    assert (await enrollment_of(installation, lead)).status == "pending"


async def test_an_empty_campaign_hears_everything_that_is_missing_at_once(installation: Installation) -> None:
    made = await installation.call("create_campaign", name="x")
    assert await refusal(installation, made["id"]) == [
        {"field": "sequence", "message": "the sequence has no email step; add one with update_campaign"},
        {
            "field": "mailboxes",
            "message": "the campaign has no mailbox; choose some with update_campaign (mailboxIds)",
        },
        {"field": "leads", "message": "the campaign has no leads; add some with add_leads_to_campaign"},
    ]


UNSUPPORTED: list[tuple[dict[str, Any], str, str]] = [
    ({"espMatchingMode": "auto"}, "settings.espMatchingMode", "disabled"),
    ({"espMatchingMode": "strict"}, "settings.espMatchingMode", "disabled"),
    ({"segCheckMode": "skip_all"}, "settings.segCheckMode", "disabled"),
    ({"segCheckMode": "skip_providers", "segSkipProviders": ["mimecast"]}, "settings.segCheckMode", "disabled"),
    ({"variantOptimization": {"enabled": True}}, "settings.variantOptimization.enabled", "false"),
    ({"copyFatigueProtection": {"enabled": True}}, "settings.copyFatigueProtection.enabled", "false"),
    ({"cnameTracking": {"enabled": True}}, "settings.cnameTracking.enabled", "false"),
    ({"webhook": {"enabled": True}}, "settings.webhook.enabled", "false"),
    ({"slackChannelId": "C04"}, "settings.slackChannelId", "null"),
    ({"replyNotificationEmails": ["a@b.test"]}, "settings.replyNotificationEmails", "an empty list"),
    ({"aiAgentEnabled": True}, "settings.aiAgentEnabled", "false"),
]


async def test_each_setting_that_is_not_supported_yet_is_refused_by_name(installation: Installation) -> None:
    made = await ready_campaign(installation)
    defaults = made["settings"]
    for settings, field, off in UNSUPPORTED:
        await installation.call("update_campaign", id=made["id"], settings=settings)
        assert await refusal(installation, made["id"]) == [
            {"field": field, "message": f"{field} is not supported yet; set it to {off}"}
        ]
        back = {name: {"enabled": False} if isinstance(value, dict) else value for name, value in defaults.items()}
        await installation.call("update_campaign", id=made["id"], settings={name: back[name] for name in settings})
    await installation.call("start_campaign", id=made["id"])


async def test_everything_unsupported_is_listed_at_once(installation: Installation) -> None:
    settings = {name: value for given, _, _ in UNSUPPORTED for name, value in given.items()}
    made = await ready_campaign(
        installation,
        settings=settings,
        subsequences=[{"trigger": {"type": "reply"}}, {"trigger": {"type": "ai_tag", "value": "x"}}],
    )
    problems = await refusal(installation, made["id"])
    expected = dict.fromkeys(field for _, field, _ in UNSUPPORTED)
    assert [problem["field"] for problem in problems] == [*expected, "subsequences"]
    assert "2 active subsequences are not supported yet" in problems[-1]["message"]


async def test_an_archived_subsequence_does_not_keep_a_campaign_from_starting(installation: Installation) -> None:
    made = await ready_campaign(installation, subsequences=[{"status": "archived", "trigger": {"type": "reply"}}])
    assert (await installation.call("start_campaign", id=made["id"]))["status"] == "active"


async def test_an_enabled_variant_without_words_is_refused_and_a_disabled_one_is_not(
    installation: Installation,
) -> None:
    blank = {"label": "B", "subject": " ", "body": ""}
    variants: list[dict[str, Any]] = [{"label": "A", "body": "words"}, blank]
    made = await ready_campaign(installation, sequence=[{"type": "email", "variants": variants}, WAIT, SECOND])
    assert await refusal(installation, made["id"]) == [
        {
            "field": "sequence[0].variants",
            "message": "sequence[0]: variant B has neither subject nor body; write it or disable it",
        }
    ]
    variants[1] = blank | {"enabled": False}
    sequence = [{"type": "email", "variants": variants}, WAIT, SECOND]
    await installation.call("update_campaign", id=made["id"], sequence=sequence)
    await installation.call("start_campaign", id=made["id"])


async def test_a_campaign_with_removed_leads_only_has_none(installation: Installation) -> None:
    made = await installation.call(
        "create_campaign", name="x", sequence=SEQUENCE, mailboxIds=[await add_mailbox(installation)]
    )
    await add_lead(installation, made["id"], status="removed")
    assert [problem["field"] for problem in await refusal(installation, made["id"])] == ["leads"]


async def test_mailboxes_that_cannot_send_are_named_with_the_reason(installation: Installation) -> None:
    broken = await add_mailbox(installation, "broken@ann.test", status="error")
    off = await add_mailbox(installation, "off@ann.test", sending_enabled=False)
    made = await installation.call("create_campaign", name="x", sequence=SEQUENCE, mailboxIds=[broken, off])
    await add_lead(installation, made["id"])
    assert await refusal(installation, made["id"]) == [
        {
            "field": "mailboxes",
            "message": "none of its mailboxes can send: broken@ann.test (its state is error), "
            "off@ann.test (sending is turned off)",
        }
    ]
    good = await add_mailbox(installation, "good@ann.test")
    await set_campaign(installation, made["id"], mailbox_ids=[broken, off, good, "mbx_gone"])
    answer = await installation.call("start_campaign", id=made["id"])
    assert (
        "1 of 4 mailboxes can send. Not: broken@ann.test (its state is error), off@ann.test (sending is turned off), "
        "mbx_gone (no longer exists)." in answer["warnings"]
    )


async def test_states_that_forbid_it_are_named(installation: Installation) -> None:
    made = await ready_campaign(installation)
    allowed = {
        "start_campaign": ("draft", "paused"),
        "pause_campaign": ("active",),
        "resume_campaign": ("paused",),
    }
    for operation, from_states in allowed.items():
        for status in ("draft", "active", "paused", "completed", "archived"):
            await set_campaign(installation, made["id"], status=status)
            if status in from_states:
                answer = await installation.call(operation, id=made["id"])
                assert answer["status"] == ("paused" if operation == "pause_campaign" else "active")
                continue
            with pytest.raises(Conflict, match=f"The campaign is {status}; only a campaign that is") as refused:
                await installation.call(operation, id=made["id"])
            assert refused.value.details == {"status": status}
            assert (await campaign_row(installation, made["id"])).status == status


async def test_pausing_keeps_leads_and_dates_and_answers_the_new_state(installation: Installation) -> None:
    made = await ready_campaign(installation)
    lead = await add_lead(installation, made["id"], "second@acme.test")
    await installation.call("start_campaign", id=made["id"])
    installation.app.signals.events["sender"].clear()
    assert await installation.call("pause_campaign", id=made["id"]) == {"id": made["id"], "status": "paused"}
    assert installation.app.signals.events["sender"].is_set()
    row = await enrollment_of(installation, lead)
    assert (row.status, row.due_at) == ("active", START)


async def test_pausing_waits_for_a_second_marker_that_is_being_written(postgres_url: str, tmp_path: Path) -> None:
    settings = load_settings({"POSTRIDER_DATA_DIR": str(tmp_path), "POSTRIDER_DATABASE_URL": postgres_url})
    upgrade_schema(settings)
    app = build(settings, clock=(clock := VirtualClock(START)))
    pepper = app.vault.derive("api-keys")
    ann = await app.database.write(lambda s: create_owner(s, pepper, "ann@ann.test", "Ann", "Ann's", clock.now()))
    world = Installation(app, clock, ann, ann)
    made = await ready_campaign(world)
    await world.call("start_campaign", id=made["id"])
    engine = create_engine(postgres_url, poolclass=NullPool)
    with engine.connect() as marker, engine.connect() as watcher, fail_after(30):
        marker.execute(select(Campaign.id).with_for_update(read=True))
        async with create_task_group() as tasks:
            tasks.start_soon(partial(world.call, "pause_campaign", id=made["id"]))
            waiting = (
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            while not watcher.execute(text(waiting)).scalar():
                watcher.rollback()
                await checkpoint()
            assert watcher.execute(select(Campaign.status)).scalar() == "active"
            marker.rollback()
        watcher.rollback()
        assert watcher.execute(select(Campaign.status)).scalar() == "paused"
    await app.close()


async def test_resuming_takes_in_leads_added_meanwhile(installation: Installation) -> None:
    made = await ready_campaign(installation)
    await installation.call("start_campaign", id=made["id"])
    await installation.call("pause_campaign", id=made["id"])
    lead = await add_lead(installation, made["id"], "late@acme.test")
    installation.clock.advance(timedelta(hours=2))
    answer = await installation.call("resume_campaign", id=made["id"])
    assert (answer["id"], answer["status"]) == (made["id"], "active")
    row = await enrollment_of(installation, lead)
    assert (row.status, row.due_at) == ("active", installation.clock.now())
    campaign = await installation.call("get_campaign", id=made["id"])
    assert campaign["startedAt"] == "2026-03-02T08:00:00.000Z"


async def test_resuming_asks_for_the_same_as_starting(installation: Installation) -> None:
    made = await ready_campaign(installation)
    await installation.call("start_campaign", id=made["id"])
    await installation.call("pause_campaign", id=made["id"])
    await installation.call("update_campaign", id=made["id"], settings={"segCheckMode": "skip_all"}, mailboxIds=[])
    fields = [problem["field"] for problem in await refusal(installation, made["id"], "resume_campaign")]
    assert fields == ["mailboxes", "settings.segCheckMode"]


async def test_a_bare_installation_is_warned_but_starts(installation: Installation) -> None:
    made = await ready_campaign(installation, settings={"dailySendLimit": 0, "newLeadsPerDay": 0})
    answer = await installation.call("start_campaign", id=made["id"])
    assert answer["warnings"] == [
        NO_PUBLIC_ADDRESS,
        NO_LEGAL_LINES,
        "settings.dailySendLimit is 0: nothing will be sent.",
        "settings.newLeadsPerDay is 0: no lead gets a first email.",
    ]


@pytest.mark.parametrize("key", ["physicalAddress", "optOutLine"])
async def test_one_legal_line_is_enough_and_a_paused_workspace_is_told(installation: Installation, key: str) -> None:
    made = await ready_campaign(installation)
    await set_workspace(installation, settings={key: "12 High Street"}, paused_at=START)
    answer = await installation.call("start_campaign", id=made["id"])
    assert answer["warnings"] == [WORKSPACE_PAUSED, NO_PUBLIC_ADDRESS]


async def test_a_public_https_address_leaves_nothing_to_warn_of(settings: Settings, installation: Installation) -> None:
    made = await ready_campaign(installation, sequence=[{"type": "email", "body": "x {{unsubscribe_url}}"}])
    await set_workspace(installation, settings={"physicalAddress": "12 High Street"})
    app = build(replace(settings, public_url="https://outreach.test"), clock=installation.clock)
    try:
        answer = await app.dispatcher.call(Call("start_campaign", {"id": made["id"]}, installation.actor()))
    finally:
        await app.close()
    assert answer.output.model_dump()["warnings"] == []


async def test_variables_that_no_mailbox_or_address_fills_are_told(installation: Installation) -> None:
    await add_mailbox(installation, "bare@ann.test", display_name="", signature="")
    body = "{{senderName}} {{signature|}} {{unsubscribe_url}}"
    made = await ready_campaign(
        installation,
        sequence=[{"type": "email", "body": body}],
        mailboxEmails=["bare@ann.test"],
    )
    answer = await installation.call("start_campaign", id=made["id"])
    assert answer["warnings"][2:] == [
        "Emails are held where a value is missing: {{unsubscribe_url}} has no value without a public https address.",
        "Emails are held where a value is missing: bare@ann.test has no value for {{senderName}}; "
        "complete the mailbox.",
    ]
