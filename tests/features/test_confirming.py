"""Grave calls want a yes to their facts: bound to the very call, once, for ten minutes, on both databases."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from postrider.confirmations.tables import UsedToken
from postrider.jobs.tables import Job
from postrider.kernel.context import Actor
from postrider.kernel.errors import ConfirmationNeeded, PostriderError
from postrider.kernel.policy import Autonomy, covered_scopes
from postrider.sending.tables import OutgoingReply
from tests.conftest import START, Installation
from tests.features.campaign_rig import SEQUENCE, add_lead, add_mailbox, ready_campaign, running_campaign, set_campaign
from tests.features.inbox_world import inbox
from tests.features.safety_rig import answer, asked, call, caller, count, refused

SMTP = {"host": "smtp.ann.test", "port": 587, "password": "secret"}


async def status(world: Installation, campaign: dict[str, Any]) -> str:
    return str((await world.call("get_campaign", id=campaign["id"]))["status"])


async def test_starting_shows_the_facts_first_and_starts_with_the_yes_to_them(installation: Installation) -> None:
    campaign, agent = await ready_campaign(installation, leads=3), caller(installation)
    details = await asked(installation, agent, "start_campaign", id=campaign["id"])
    facts = details["facts"]
    assert (facts["subject"], facts["cause"], facts["people"]) == (campaign["id"], "send", 3)
    assert facts["firstSendAt"] == "2026-03-02T14:00:00.000Z", "nine in New York, where the campaign is at home"
    assert await status(installation, campaign) == "draft"
    started = await call(installation, agent, "start_campaign", id=campaign["id"], confirmToken=details["confirmToken"])
    assert started["status"] == "active"


async def test_the_plan_hands_out_the_token_of_the_start(installation: Installation) -> None:
    campaign, agent = await ready_campaign(installation), caller(installation)
    plan = await call(installation, agent, "plan_campaign", id=campaign["id"])
    await call(installation, agent, "start_campaign", id=campaign["id"], confirmToken=plan["confirmToken"])
    assert await status(installation, campaign) == "active"


async def test_the_plan_hands_out_no_token_where_none_would_do(installation: Installation) -> None:
    campaign = await ready_campaign(installation)
    for who in (
        caller(installation, "free"),
        caller(installation, "draft"),
        caller(installation, scopes=covered_scopes(["prepare"])),
        caller(installation, toolsets=frozenset({"sending"})),
        caller(installation, door="cli"),
    ):
        assert (await call(installation, who, "plan_campaign", id=campaign["id"]))["confirmToken"] is None
    await installation.call("start_campaign", id=campaign["id"])
    assert (await call(installation, caller(installation), "plan_campaign", id=campaign["id"]))["confirmToken"] is None


async def test_a_call_that_would_be_refused_yields_no_token(installation: Installation) -> None:
    agent = caller(installation)
    empty = await installation.call("create_campaign", name="Empty")
    assert (await refused(installation, agent, "start_campaign", id=empty["id"])).error_code == "CAMPAIGN_NOT_READY"
    assert (await refused(installation, agent, "resume_campaign", id=empty["id"])).error_code == "CONFLICT"
    absent = empty["id"][:-1] + ("0" if empty["id"][-1] != "0" else "1")
    assert (await refused(installation, agent, "start_campaign", id=absent)).error_code == "NOT_FOUND"


async def test_a_token_works_once(installation: Installation) -> None:
    _, [conversation_id] = await inbox(installation)
    agent, reply = caller(installation), {"id": conversation_id, "body": "Hello"}
    token = (await asked(installation, agent, "send_reply", **reply))["confirmToken"]
    await call(installation, agent, "send_reply", **reply, confirmToken=token)
    again = await asked(installation, agent, "send_reply", **reply, confirmToken=token)
    assert again["confirmToken"] != token
    assert await count(installation, OutgoingReply) == 1


async def test_of_two_uses_at_once_one_has_an_effect(installation: Installation) -> None:
    _, [conversation_id] = await inbox(installation)
    agent, reply = caller(installation), {"id": conversation_id, "body": "Hello"}
    token = (await asked(installation, agent, "send_reply", **reply))["confirmToken"]
    calls = [answer(installation, agent, "send_reply", **reply, confirmToken=token) for _ in range(8)]
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(each, ConfirmationNeeded) for each in found) == 7
    assert await count(installation, OutgoingReply) == await count(installation, UsedToken) == 1


async def test_a_token_fits_no_other_call_and_no_other_caller(installation: Installation) -> None:
    world, [one, other] = await inbox(installation, leads=2)
    agent, reply = caller(installation), {"id": one, "body": "Hello"}
    token = (await asked(installation, agent, "send_reply", **reply))["confirmToken"]
    swapped: list[tuple[Actor, str, dict[str, Any]]] = [
        (agent, "send_reply", {**reply, "body": "Hello!"}),
        (agent, "send_reply", {**reply, "id": other}),
        (agent, "send_reply", {**reply, "bcc": ["boss@evil.test"]}),
        (agent, "resume_campaign", {"id": world.campaign_id}),
        (replace(agent, credential_id="key_other"), "send_reply", reply),
        (replace(agent, user_id="user_other"), "send_reply", reply),
    ]
    for who, operation, arguments in swapped:
        await asked(installation, who, operation, **arguments, confirmToken=token)
    tampered = token[:-1] + ("0" if token[-1] != "0" else "1")
    for bad in (tampered, token.upper(), token + "0", "", "ct_", token.replace("_1", "_9", 1)):
        await asked(installation, agent, "send_reply", **reply, confirmToken=bad)
    assert await count(installation, OutgoingReply) == 0
    await call(installation, agent, "send_reply", **reply, confirmToken=token)


async def test_another_workspace_cannot_use_a_token(installation: Installation) -> None:
    agent, bobs = caller(installation), caller(installation, owner=installation.bob)
    mailbox = {"email": "new@ann.test", "smtp": SMTP}
    token = (await asked(installation, agent, "create_mailbox", **mailbox))["confirmToken"]
    await asked(installation, bobs, "create_mailbox", **mailbox, confirmToken=token)


async def test_a_token_runs_out_after_ten_minutes_of_real_time(installation: Installation) -> None:
    _, [conversation_id] = await inbox(installation)
    agent, reply = caller(installation), {"id": conversation_id, "body": "Hello"}
    with time_machine.travel(datetime(2026, 3, 2, 8, tzinfo=UTC), tick=False) as wall:
        token = (await asked(installation, agent, "send_reply", **reply))["confirmToken"]
        wall.shift(timedelta(minutes=10))
        await asked(installation, agent, "send_reply", **reply, confirmToken=token)
        wall.shift(timedelta(milliseconds=-1))
        await call(installation, agent, "send_reply", **reply, confirmToken=token)


async def test_a_yes_is_to_what_was_shown(installation: Installation) -> None:
    campaign, agent = await ready_campaign(installation), caller(installation)
    start = {"id": campaign["id"]}

    async def token() -> str:
        return str((await asked(installation, agent, "start_campaign", **start))["confirmToken"])

    before = await token()
    await installation.call("update_campaign", id=campaign["id"], sequence=[{**SEQUENCE[0], "body": "Other words"}])
    await asked(installation, agent, "start_campaign", **start, confirmToken=before)
    before = await token()
    await add_lead(installation, campaign["id"], "more@acme.test")
    again = await asked(installation, agent, "start_campaign", **start, confirmToken=before)
    assert again["facts"]["people"] == 2
    await set_campaign(installation, campaign["id"], status="paused")
    await asked(installation, agent, "start_campaign", **start, confirmToken=again["confirmToken"])


async def test_a_yes_to_a_call_that_fails_after_all_can_be_used_again(installation: Installation) -> None:
    campaign = await ready_campaign(installation, settings={"unknownVariables": "block_launch"})
    gap = [{**SEQUENCE[0], "body": "Hello {{jobTitle}}"}]
    await installation.call("update_campaign", id=campaign["id"], sequence=gap)
    agent = caller(installation)
    token = (await asked(installation, agent, "start_campaign", id=campaign["id"]))["confirmToken"]
    error = await refused(installation, agent, "start_campaign", id=campaign["id"], confirmToken=token)
    assert error.error_code == "CAMPAIGN_NOT_READY" and await count(installation, UsedToken) == 0


async def test_replies_show_to_whom_from_where_and_when(installation: Installation) -> None:
    _, [conversation_id] = await inbox(installation)
    agent = caller(installation)
    details = await asked(
        installation,
        agent,
        "send_reply",
        id=conversation_id,
        body="Secret words",
        cc=["colleague@acme.test"],
        scheduledFor="2026-03-03T09:00:00Z",
    )
    summary = details["facts"]["summary"]
    for shown in ("lead0@lead0.test", "sender0@acme.test", "colleague@acme.test", "2026-03-03T09:00:00Z"):
        assert shown in summary
    assert "Secret" not in summary and details["facts"]["people"] == 2
    other = await asked(installation, agent, "send_reply", id=conversation_id, body="Other words")
    assert other["facts"]["contentDigest"] != details["facts"]["contentDigest"]


async def test_a_test_email_shows_its_recipient(installation: Installation) -> None:
    campaign = await ready_campaign(installation)
    [mailbox] = (await installation.call("list_mailboxes"))["items"]
    test = {"id": campaign["id"], "sequenceStep": 0, "mailboxId": mailbox["id"]}
    details = await asked(installation, caller(installation), "send_test_email", **test, customEmail="Me@Ann.test")
    assert "me@ann.test" in details["facts"]["summary"] and details["facts"]["people"] == 1
    none = await refused(installation, caller(installation), "send_test_email", **test)
    assert none.error_code == "VALIDATION_ERROR"


async def test_servers_of_a_mailbox_are_shown_and_the_sandbox_has_none(installation: Installation) -> None:
    agent = caller(installation)
    given = {"email": "new@ann.test", "smtp": SMTP, "imap": {**SMTP, "host": "imap.ann.test", "port": 993}}
    details = await asked(installation, agent, "create_mailbox", **given)
    assert details["facts"]["cause"] == "connect"
    for shown in ("smtp.ann.test", "imap.ann.test", "new@ann.test"):
        assert shown in details["facts"]["summary"]
    assert "secret" not in str(details)
    await call(installation, agent, "create_mailbox", email="play@ann.test", provider="sandbox")


async def test_resuming_the_workspace_says_what_goes_on(installation: Installation) -> None:
    agent = caller(installation)
    await call(installation, agent, "resume_workspace")
    campaign = await ready_campaign(installation, leads=2)
    await installation.call("start_campaign", id=campaign["id"])
    await call(installation, agent, "pause_workspace")
    details = await asked(installation, agent, "resume_workspace")
    assert details["facts"]["people"] == 2 and "active campaigns (1" in details["facts"]["summary"]
    await call(installation, agent, "resume_workspace", confirmToken=details["confirmToken"])


@pytest.mark.parametrize("state", ["active", "completed"])
async def test_filling_a_campaign_asks_where_mail_leaves_because_of_it(installation: Installation, state: str) -> None:
    campaign, agent = await running_campaign(installation, SEQUENCE), caller(installation)
    added = {"id": campaign["id"], "leads": [{"email": "a@acme.test"}, {"email": "b@acme.test"}]}
    imported = {"id": campaign["id"], "csv": "email\nc@acme.test\n"}
    await set_campaign(installation, campaign["id"], status=state)
    for operation, arguments, people in (
        ("add_leads_to_campaign", added, 2),
        ("import_campaign_leads_csv", imported, 2),
        ("add_leads_to_campaign", {"id": campaign["id"], "selectAll": True}, 2),
    ):
        details = await asked(installation, agent, operation, **arguments)
        assert details["facts"]["people"] == people
        yes = details["confirmToken"]
        await answer(installation, agent, operation, **arguments, confirmToken=yes)


@pytest.mark.parametrize("state", ["draft", "paused"])
async def test_filling_a_campaign_asks_nothing_where_leads_wait(installation: Installation, state: str) -> None:
    campaign, agent = await running_campaign(installation, SEQUENCE), caller(installation, "draft")
    await set_campaign(installation, campaign["id"], status=state)
    await call(installation, agent, "add_leads_to_campaign", id=campaign["id"], leads=[{"email": "a@acme.test"}])
    await call(installation, agent, "import_campaign_leads_csv", id=campaign["id"], csv="email\nb@acme.test\n")
    await call(installation, agent, "update_campaign", id=campaign["id"], settings={"dailySendLimit": 7})


async def test_those_who_are_chosen_may_not_change_after_the_yes(installation: Installation) -> None:
    campaign, agent = await running_campaign(installation, SEQUENCE), caller(installation)
    await installation.call("create_lead", email="a@acme.test")
    everybody = {"id": campaign["id"], "selectAll": True}
    token = (await asked(installation, agent, "add_leads_to_campaign", **everybody))["confirmToken"]
    await installation.call("create_lead", email="b@acme.test")
    again = await asked(installation, agent, "add_leads_to_campaign", **everybody, confirmToken=token)
    assert again["facts"]["people"] == 2


async def test_an_edit_of_what_a_running_campaign_sends_asks(installation: Installation) -> None:
    campaign, agent = await running_campaign(installation, SEQUENCE), caller(installation)
    await add_lead(installation, campaign["id"], status="active")
    await call(installation, agent, "update_campaign", id=campaign["id"], name="Renamed")
    await call(installation, agent, "update_campaign", id=campaign["id"], settings={"dailySendLimit": None})
    bad = await refused(installation, agent, "update_campaign", id=campaign["id"], sequence=[{"type": "wait"}])
    assert bad.error_code == "VALIDATION_ERROR"
    edit = {"id": campaign["id"], "sequence": [{**SEQUENCE[0], "subject": "New"}]}
    details = await asked(installation, agent, "update_campaign", **edit)
    assert "its sequence" in details["facts"]["summary"] and details["facts"]["people"] == 1
    other = {**edit, "sequence": [{**SEQUENCE[0], "subject": "Newer"}]}
    await asked(installation, agent, "update_campaign", **other, confirmToken=details["confirmToken"])
    await call(installation, agent, "update_campaign", **edit, confirmToken=details["confirmToken"])


async def test_an_edit_of_a_lead_asks_where_a_running_campaign_writes_to_it(installation: Installation) -> None:
    campaign, agent = await running_campaign(installation, SEQUENCE), caller(installation)
    await add_lead(installation, campaign["id"], "in@acme.test", status="active")
    inside = (await installation.call("list_leads", search="in@acme.test"))["items"][0]["id"]
    outside = (await installation.call("create_lead", email="out@acme.test"))["id"]
    await call(installation, agent, "update_lead", id=outside, firstName="Olga")
    await call(installation, agent, "update_lead", id=inside, tags=["warm"])
    details = await asked(installation, agent, "update_lead", id=inside, firstName="Ina")
    changed = await call(
        installation, agent, "update_lead", id=inside, firstName="Ina", confirmToken=details["confirmToken"]
    )
    assert changed["firstName"] == "Ina"


async def test_nobody_is_asked_about_an_edit_that_is_refused(installation: Installation) -> None:
    campaign, agent = await running_campaign(installation, SEQUENCE), caller(installation)
    await add_lead(installation, campaign["id"], "in@acme.test", status="active")
    lead = (await installation.call("list_leads", search="in@acme.test"))["items"][0]["id"]
    for operation, arguments, code in (
        ("update_campaign", {"id": campaign["id"], "settings": {"espMatchingMode": "strict"}}, "CONFLICT"),
        (
            "update_campaign",
            {"id": campaign["id"], "sequence": [{**SEQUENCE[0], "subject": "", "body": ""}]},
            "CONFLICT",
        ),
        ("update_lead", {"id": lead, "firstName": "Ina", "email": "other@acme.test"}, "VALIDATION_ERROR"),
        ("update_lead", {"id": lead, "firstName": "Ina", "timezone": "Mars/Base"}, "VALIDATION_ERROR"),
        ("update_lead", {"id": lead, "firstName": "Ina", "tags": ["x" * 500]}, "VALIDATION_ERROR"),
        ("update_lead", {"id": lead, "jobScore": "x" * 100_001}, "VALIDATION_ERROR"),
    ):
        error = await refused(installation, agent, operation, **arguments)
        assert error.error_code == code, (operation, arguments)


async def test_other_autonomies_are_told_no_or_are_not_asked(installation: Installation) -> None:
    _, [conversation_id] = await inbox(installation)
    reply = {"id": conversation_id, "body": "Hello"}
    draft = await refused(installation, caller(installation, "draft"), "send_reply", **reply)
    readonly = await refused(installation, caller(installation, "readonly"), "send_reply", **reply)
    assert (draft.error_code, readonly.error_code) == ("AUTONOMY_DRAFT", "AUTONOMY_READONLY")
    token = (await asked(installation, caller(installation), "send_reply", **reply))["confirmToken"]
    for autonomy in ("draft", "readonly"):
        await refused(installation, caller(installation, autonomy), "send_reply", **reply, confirmToken=token)
    assert await count(installation, OutgoingReply) == 0
    await call(installation, caller(installation, "free"), "send_reply", **reply)
    await call(installation, caller(installation, door="web"), "send_reply", **reply)
    assert await count(installation, OutgoingReply) == 2


@pytest.mark.parametrize("autonomy", ["draft", "confirm", "free"])
async def test_preparing_is_not_sending_by_another_name(installation: Installation, autonomy: Autonomy) -> None:
    campaign = await running_campaign(installation, SEQUENCE)
    await add_lead(installation, campaign["id"], "in@acme.test", status="active")
    inside = (await installation.call("list_leads", search="in@acme.test"))["items"][0]["id"]
    who = caller(installation, autonomy, scopes=covered_scopes(["prepare"]))
    for operation, arguments in (
        ("add_leads_to_campaign", {"id": campaign["id"], "leads": [{"email": "a@acme.test"}]}),
        ("import_campaign_leads_csv", {"id": campaign["id"], "csv": "email\nb@acme.test\n"}),
        ("update_campaign", {"id": campaign["id"], "sequence": [{**SEQUENCE[0], "subject": "New"}]}),
        ("update_lead", {"id": inside, "firstName": "Ina"}),
    ):
        error = await refused(installation, who, operation, **arguments)
        assert (error.error_code, error.details["scope"]) == ("INSUFFICIENT_SCOPE", "send"), operation
    await call(installation, who, "update_campaign", id=campaign["id"], name="Renamed")
    await set_campaign(installation, campaign["id"], status="paused")
    await call(installation, who, "add_leads_to_campaign", id=campaign["id"], leads=[{"email": "a@acme.test"}])


async def test_a_token_that_is_no_text_is_refused_and_one_that_nobody_wants_is_ignored(
    installation: Installation,
) -> None:
    _, [conversation_id] = await inbox(installation)
    bad = await refused(installation, caller(installation), "send_reply", id=conversation_id, body="x", confirmToken=7)
    assert bad.error_code == "VALIDATION_ERROR" and bad.field == "confirmToken"
    await call(installation, caller(installation, "free"), "send_reply", id=conversation_id, body="x", confirmToken="?")
    stray = await refused(installation, caller(installation), "create_tag", name="Hot", confirmToken="x")
    assert isinstance(stray, PostriderError) and "confirmToken is not a field" in stray.message


async def test_a_swapped_file_wants_another_yes(installation: Installation) -> None:
    campaign, agent = await running_campaign(installation, SEQUENCE), caller(installation, kind="local")
    folder = installation.app.settings.import_dir
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "leads.csv").write_text("email\na@acme.test\n")
    order = {"id": campaign["id"], "path": "leads.csv"}
    token = (await asked(installation, agent, "import_campaign_leads_csv", **order))["confirmToken"]
    (folder / "leads.csv").write_text("email\nz@evil.test\n")
    await asked(installation, agent, "import_campaign_leads_csv", **order, confirmToken=token)
    assert await count(installation, Job) == 0


async def test_mail_is_foreseen_not_before_its_window(installation: Installation) -> None:
    night = {"timezone": "UTC", "startTime": "22:00", "endTime": "06:00", "workingDays": [1]}
    for now, first in (
        (START, "2026-03-02T22:00:00.000Z"),
        (START + timedelta(hours=21), "2026-03-03T05:00:00.000Z"),
        (START + timedelta(hours=22), "2026-03-09T22:00:00.000Z"),
    ):
        installation.clock.advance_to(now) if now > installation.clock.now() else None
        campaign = await ready_campaign_of(installation, night)
        details = await asked(installation, caller(installation), "start_campaign", id=campaign)
        assert details["facts"]["firstSendAt"] == first


async def ready_campaign_of(world: Installation, schedule: dict[str, Any]) -> str:
    mailbox_id = await add_mailbox(world, f"box{world.clock.now().timestamp():.0f}@ann.test")
    made = await world.call("create_campaign", name="Night", sequence=SEQUENCE, mailboxIds=[mailbox_id])
    await world.call("update_campaign", id=made["id"], schedule=schedule)
    await add_lead(world, made["id"], f"lea{world.clock.now().timestamp():.0f}@acme.test")
    return str(made["id"])
