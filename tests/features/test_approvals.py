"""Where a workspace wants a person: a call waits, is granted or denied elsewhere, and works once, on both databases."""

import asyncio
from datetime import timedelta
from typing import Any

from postrider.confirmations.tables import Approval
from postrider.kernel.errors import ConfirmationNeeded
from postrider.kernel.policy import covered_scopes
from postrider.sending.tables import OutgoingReply
from tests.conftest import Installation
from tests.features.campaign_rig import ready_campaign
from tests.features.inbox_world import inbox
from tests.features.safety_rig import answer, asked, call, caller, count, decided, demand, refused


async def wanted(world: Installation, operation: str, **arguments: Any) -> str:
    """The id of the approval that the agent's call waits for."""
    error = await refused(world, caller(world), operation, **arguments)
    assert isinstance(error, ConfirmationNeeded) and error.error_code == "APPROVAL_NEEDED", repr(error)
    assert "confirmToken" not in error.details
    return str(error.details["approvalId"])


async def test_a_granted_call_works_once(installation: Installation) -> None:
    _, [conversation_id] = await inbox(installation)
    await demand(installation, approval="human")
    reply = {"id": conversation_id, "body": "Hello"}
    approval_id = await wanted(installation, "send_reply", **reply)
    assert await wanted(installation, "send_reply", **reply) == approval_id, "asked once, however often it is called"
    await decided(installation, approval_id, yes=True)
    assert await wanted(installation, "send_reply", **{**reply, "body": "Other"}) != approval_id
    await call(installation, caller(installation), "send_reply", **reply)
    assert await wanted(installation, "send_reply", **reply) != approval_id, "used up"
    assert await count(installation, OutgoingReply) == 1


async def test_a_denied_call_stays_denied(installation: Installation) -> None:
    _, [conversation_id] = await inbox(installation)
    await demand(installation, approval="human")
    reply = {"id": conversation_id, "body": "Hello"}
    await decided(installation, await wanted(installation, "send_reply", **reply), yes=False)
    error = await refused(installation, caller(installation), "send_reply", **reply)
    assert error.error_code == "APPROVAL_DENIED" and await count(installation, OutgoingReply) == 0


async def test_what_nobody_answers_within_a_day_means_no(installation: Installation) -> None:
    _, [conversation_id] = await inbox(installation)
    await demand(installation, approval="human")
    reply = {"id": conversation_id, "body": "Hello"}
    late = await wanted(installation, "send_reply", **reply)
    granted = await wanted(installation, "send_reply", **{**reply, "body": "Granted, and not used"})
    await decided(installation, granted, yes=True)
    installation.clock.advance(timedelta(hours=24))
    assert {row["id"]: row["status"] for row in await listed(installation)} == {late: "expired", granted: "expired"}
    assert await wanted(installation, "send_reply", **reply) != late
    assert await wanted(installation, "send_reply", **{**reply, "body": "Granted, and not used"}) != granted


async def test_a_grant_is_for_what_was_shown(installation: Installation) -> None:
    campaign = await ready_campaign(installation)
    await demand(installation, approval="human")
    approval_id = await wanted(installation, "start_campaign", id=campaign["id"])
    await decided(installation, approval_id, yes=True)
    await installation.call("update_campaign", id=campaign["id"], name="Renamed")
    assert await wanted(installation, "start_campaign", id=campaign["id"]) != approval_id
    other = caller(installation, credential_id="key_other")
    error = await refused(installation, other, "start_campaign", id=campaign["id"])
    assert error.details["approvalId"] != approval_id


async def test_a_grant_is_not_one_to_values_that_another_app_puts_in(installation: Installation) -> None:
    texts = [{"type": "email", "subject": "{{subj}}", "body": "{{note}}"}]
    campaign = await ready_campaign(installation, sequence=texts)
    await demand(installation, approval="human")
    await decided(installation, await wanted(installation, "start_campaign", id=campaign["id"]), yes=True)
    [lead] = (await installation.call("list_leads"))["items"]
    installation.clock.advance(timedelta(minutes=1))
    other = caller(installation, credential_id="key_other", scopes=covered_scopes(["prepare"]))
    await call(installation, other, "update_lead", id=lead["id"], customFields={"subj": "SWAPPED", "note": "SWAPPED"})
    anew = await wanted(installation, "start_campaign", id=campaign["id"])
    assert (await installation.call("get_campaign", id=campaign["id"]))["status"] == "draft"
    await decided(installation, anew, yes=True)
    await call(installation, caller(installation), "start_campaign", id=campaign["id"])


async def test_only_calls_above_the_size_want_a_person(installation: Installation) -> None:
    campaign = await ready_campaign(installation, leads=3)
    _, [conversation_id] = await inbox(installation)
    await demand(installation, approvalAbove=2)
    await wanted(installation, "start_campaign", id=campaign["id"])
    await asked(installation, caller(installation), "send_reply", id=conversation_id, body="Hello")
    await demand(installation, approvalAbove=None)
    await asked(installation, caller(installation), "start_campaign", id=campaign["id"])


async def test_even_a_free_credential_waits_for_a_person_and_a_person_does_not(installation: Installation) -> None:
    _, [conversation_id] = await inbox(installation)
    await demand(installation, approval="human")
    reply = {"id": conversation_id, "body": "Hello"}
    error = await refused(installation, caller(installation, "free", door="v1"), "send_reply", **reply)
    assert error.error_code == "APPROVAL_NEEDED"
    await call(installation, caller(installation, "free", door="cli"), "send_reply", **reply)


async def test_of_two_granted_calls_at_once_one_has_an_effect(installation: Installation) -> None:
    _, [conversation_id] = await inbox(installation)
    await demand(installation, approval="human")
    reply = {"id": conversation_id, "body": "Hello"}
    await decided(installation, await wanted(installation, "send_reply", **reply), yes=True)
    calls = [answer(installation, caller(installation), "send_reply", **reply) for _ in range(6)]
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(each, ConfirmationNeeded) for each in found) == 5
    assert await count(installation, OutgoingReply) == 1


async def test_an_answer_counts_whichever_of_two_questions_it_was_given_to(installation: Installation) -> None:
    _, [conversation_id] = await inbox(installation)
    await demand(installation, approval="human")
    reply = {"id": conversation_id, "body": "Hello"}
    calls = [answer(installation, caller(installation), "send_reply", **reply) for _ in range(6)]
    found = await asyncio.gather(*calls, return_exceptions=True)
    ids = {each.details["approvalId"] for each in found if isinstance(each, ConfirmationNeeded)}
    assert len(found) == 6 and len(ids) == await count(installation, Approval)
    await decided(installation, min(ids), yes=True)
    await call(installation, caller(installation), "send_reply", **reply)


async def listed(world: Installation, **filters: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await world.call("list_approvals", **filters))["items"]
    return found


async def test_approvals_are_listed_by_their_state(installation: Installation) -> None:
    _, [conversation_id] = await inbox(installation)
    await demand(installation, approval="human")
    ids = {}
    for body in ("pending", "granted", "denied", "used"):
        ids[body] = await wanted(installation, "send_reply", id=conversation_id, body=body)
    for body in ("granted", "used"):
        await decided(installation, ids[body], yes=True)
    await decided(installation, ids["denied"], yes=False)
    await call(installation, caller(installation), "send_reply", id=conversation_id, body="used")
    assert {row["status"]: row["id"] for row in await listed(installation)} == ids
    for state, approval_id in ids.items():
        [row] = await listed(installation, status=state)
        assert row["id"] == approval_id and row["operation"] == "send_reply"
        assert row["facts"]["people"] == 1 and "lead0@lead0.test" in row["facts"]["summary"]
    assert await listed(installation, status="expired") == []
