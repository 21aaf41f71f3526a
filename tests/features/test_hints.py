"""What an answer tells to do next can be done; on both databases."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from postrider.campaigns.tables import Enrollment
from postrider.kernel.errors import Conflict, InvalidInput
from postrider.mailboxes.tables import Mailbox
from postrider.sending.stops import suppress
from tests.conftest import Installation
from tests.features.campaign_rig import add_mailbox, ready_campaign
from tests.features.inbox_world import inbox


async def test_nobody_is_told_to_delete_an_agent(installation: Installation) -> None:
    for name in ("One", "Two", "Three"):
        await installation.call("create_agent", name=name)
    with pytest.raises(Conflict) as refused:
        await installation.call("create_agent", name="Four")
    assert refused.value.error_code == "AGENT_LIMIT"
    assert refused.value.hint == "Use one of them (list_agents): they cannot be changed or deleted yet."


async def test_nobody_is_told_to_take_an_entry_off_the_list(installation: Installation) -> None:
    world, [conversation_id] = await inbox(installation)
    conversation = await installation.call("get_conversation", id=conversation_id)
    email, now = conversation["lead"]["email"], installation.clock.now()
    await installation.app.database.write(
        lambda s: suppress(
            s, installation.app.vault, world.workspace_id, email, source="complaint", reason="complained", now=now
        )
    )
    with pytest.raises(Conflict) as refused:
        await installation.call("send_reply", id=conversation_id, body="x")
    assert refused.value.error_code == "ON_DNC"
    assert "list_dnc_entries" in str(refused.value.hint) and "removed" not in str(refused.value.hint)


async def test_a_reply_too_far_ahead_is_told_the_latest_instant(installation: Installation) -> None:
    _, [conversation_id] = await inbox(installation)
    late = installation.clock.now() + timedelta(days=400)
    with pytest.raises(InvalidInput, match="year") as refused:
        await installation.call("send_reply", id=conversation_id, body="x", scheduledFor=late.isoformat())
    assert str(refused.value.hint).startswith("The latest instant is 20")


@pytest.mark.parametrize(
    ("why", "hint"), [("paused", "resume_workspace"), ("error", "get_mailbox"), ("turned off", "get_mailbox")]
)
async def test_a_test_email_that_may_not_leave_says_what_to_do(installation: Installation, why: str, hint: str) -> None:
    made = await ready_campaign(installation)
    changes: dict[str, dict[str, Any]] = {"error": {"status": "error"}, "turned off": {"sending_enabled": False}}
    if why in changes:
        statement = update(Mailbox).values(**changes[why])
        await installation.app.database.write(lambda s: s.execute(statement) and None)
    else:
        await installation.call("pause_workspace")
    with pytest.raises(Conflict, match="The test was not sent") as refused:
        await installation.call(
            "send_test_email", id=made["id"], sequenceStep=0, mailboxId=made["mailboxes"][0], customEmail="me@acme.test"
        )
    assert hint in str(refused.value.hint)


async def test_an_unknown_outcome_names_the_whole_command_that_settles_it(installation: Installation) -> None:
    made = await ready_campaign(installation)
    statement = update(Enrollment).values(status="active", queue=2, hold_reason="unknown_outcome")
    await installation.app.database.write(lambda s: s.execute(statement) and None)
    (item,) = (await installation.call("list_campaign_leads", id=made["id"]))["items"]
    found = await installation.call("explain_lead", id=made["id"], leadId=item["lead"]["id"])
    where = f"--workspace {made['workspaceId']} --campaign {made['id']} --lead {item['lead']['id']}"
    assert f"postrider settle-unknown {where} --as sent|not-sent" in found["verdict"]


async def test_an_explanation_has_each_check_once(installation: Installation) -> None:
    made = await ready_campaign(installation)
    (item,) = (await installation.call("list_campaign_leads", id=made["id"]))["items"]
    found = await installation.call("explain_lead", id=made["id"], leadId=item["lead"]["id"])
    names = [check["name"] for check in found["checks"]]
    assert len(names) == len(set(names)) and "window_open" not in names
    assert (found["stopReason"], found["stopDetail"]) == (None, None)


async def test_why_a_lead_has_ended_is_a_word_and_a_text(installation: Installation) -> None:
    made = await ready_campaign(installation)
    statement = update(Enrollment).values(status="unsubscribed", stop_reason="complained", stop_detail="complaint")
    await installation.app.database.write(lambda s: s.execute(statement) and None)
    (item,) = (await installation.call("list_campaign_leads", id=made["id"]))["items"]
    found = await installation.call("explain_lead", id=made["id"], leadId=item["lead"]["id"])
    for each in (item, found):
        assert (each["status"], each["stopReason"], each["stopDetail"]) == ("unsubscribed", "complained", "complaint")


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({}, None),
        ({"status": "error"}, "its status is error"),
        ({"sending_enabled": False}, "sending is turned off"),
    ],
)
async def test_a_mailbox_that_does_not_send_says_so(
    installation: Installation, columns: dict[str, Any], why: str | None
) -> None:
    mailbox_id = await add_mailbox(installation, **columns)
    (listed,) = (await installation.call("list_mailboxes"))["items"]
    assert listed["notSending"] == (await installation.call("get_mailbox", id=mailbox_id))["notSending"] == why


@pytest.mark.parametrize(
    "url",
    [
        "https://user:secret@hooks.test/x",
        "https://token@hooks.test",
        "http://:p@h.test?x=1",
    ],
)
async def test_a_webhook_address_with_a_password_is_refused(installation: Installation, url: str) -> None:
    with pytest.raises(InvalidInput, match="password") as refused:
        await installation.call("create_campaign", name="x", settings={"webhook": {"url": url}})
    assert refused.value.field == "settings.webhook.url"
    assert "secret@" not in f"{refused.value.message} {refused.value.details}"


async def test_an_at_sign_elsewhere_in_a_webhook_address_is_no_password(installation: Installation) -> None:
    url = "https://hooks.test/@team?to=a@b.test#@"
    made = await installation.call("create_campaign", name="x", settings={"webhook": {"url": url}})
    assert made["webhook"]["url"] == url


@pytest.mark.parametrize(("metric", "tracking"), [("openRate", "trackOpens"), ("clickRate", "trackClicks")])
async def test_variants_cannot_be_judged_by_what_is_not_tracked(
    installation: Installation, metric: str, tracking: str
) -> None:
    wanted = {"enabled": True, "optimizationMetric": metric}
    with pytest.raises(InvalidInput, match=f"{metric} needs settings.{tracking}"):
        await installation.call("create_campaign", name="x", settings={"variantOptimization": wanted, tracking: False})
    made = await installation.call("create_campaign", name="x", settings={"variantOptimization": wanted})
    with pytest.raises(InvalidInput, match=f"{metric} needs settings.{tracking}"):
        await installation.call("update_campaign", id=made["id"], settings={tracking: False})
    off = {"variantOptimization": {**wanted, "enabled": False}, tracking: False}
    assert (await installation.call("create_campaign", name="x", settings=off))["id"]
