"""Calls of several transactions that fail: what the audit log says of them, and whether the yes is used up."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event

from postrider.audit.tables import AuditEvent
from postrider.campaigns.tables import Enrollment
from postrider.confirmations.tables import Approval, UsedToken
from postrider.dispatch import Call
from postrider.idempotency.tables import IdempotencyKey
from postrider.kernel.context import Actor
from postrider.kernel.errors import Conflict
from postrider.sending.outcomes import Deferred, Delivered, Outcome, Rejected, Unknown
from postrider.sending.ports import MailTransport
from tests.audit.audit_rig import audit_rows
from tests.conftest import Installation
from tests.engine.inbound import make_mailroom
from tests.features.campaign_rig import SEQUENCE, running_campaign, set_campaign
from tests.features.safety_rig import answer, asked, call, caller, count, decided, demand, refused
from tests.features.test_trials import Recorder

BUSY = Deferred("throttle", "rcpt", 451, "4.7.1", "busy")
UNWANTED = Rejected("policy", "dot", 550, "5.7.1", "not wanted")
BAD_ADDRESS = Rejected("hard", "rcpt", 550, "5.1.1", "gone")


@pytest.fixture
def transport() -> Recorder:
    """Says what a test wants it to."""
    return Recorder()


@pytest.fixture
def ports(transport: Recorder) -> dict[type, object]:
    """Only mail leaves."""
    return {MailTransport: transport}


async def trial_order(installation: Installation) -> dict[str, Any]:
    """A test email to somebody of no campaign."""
    world = (await make_mailroom(installation)).world
    mailbox = world.mailbox_ids[0]
    return {"id": world.campaign_id, "sequenceStep": 0, "mailboxId": mailbox, "customEmail": "x@else.test"}


async def last_row(installation: Installation) -> AuditEvent:
    return (await audit_rows(installation))[-1]


@pytest.mark.parametrize("outcome", [BUSY, UNWANTED])
async def test_the_yes_to_mail_that_was_not_taken_can_be_used_again(
    installation: Installation, transport: Recorder, outcome: Outcome
) -> None:
    order, agent = await trial_order(installation), caller(installation)
    token = (await asked(installation, agent, "send_test_email", **order))["confirmToken"]
    transport.outcome = outcome
    for _ in range(2):
        error = await refused(installation, agent, "send_test_email", **order, confirmToken=token)
        assert error.error_code == "SEND_REFUSED"
    row = await last_row(installation)
    assert (row.outcome, row.error_code) == ("refused", "SEND_REFUSED") and row.started_id is not None
    transport.outcome = Delivered("Ok", "queue-id")
    await call(installation, agent, "send_test_email", **order, confirmToken=token)
    await asked(installation, agent, "send_test_email", **order, confirmToken=token)


@pytest.mark.parametrize(("outcome", "code"), [(Unknown("timeout"), "SEND_UNKNOWN"), (BAD_ADDRESS, "SEND_REFUSED")])
async def test_the_yes_is_used_where_mail_may_have_arrived_or_something_else_has_come_of_it(
    installation: Installation, transport: Recorder, outcome: Outcome, code: str
) -> None:
    order, agent = await trial_order(installation), caller(installation)
    token = (await asked(installation, agent, "send_test_email", **order))["confirmToken"]
    transport.outcome = outcome
    error = await refused(installation, agent, "send_test_email", **order, confirmToken=token)
    row = await last_row(installation)
    assert (row.outcome, row.error_code) == ("failed", error.error_code) == ("failed", code)
    assert await count(installation, UsedToken) == 1
    await asked(installation, agent, "send_test_email", **order, confirmToken=token)


async def test_the_grant_of_a_person_can_be_used_again_too(installation: Installation, transport: Recorder) -> None:
    order, agent = await trial_order(installation), caller(installation)
    await demand(installation, approvalAbove=0)
    wanted = await refused(installation, agent, "send_test_email", **order)
    await decided(installation, wanted.details["approvalId"], yes=True)
    transport.outcome = BUSY
    error = await refused(installation, agent, "send_test_email", **order)
    assert error.error_code == "SEND_REFUSED" and await count(installation, Approval, status="granted") == 1
    transport.outcome = Delivered("Ok", "queue-id")
    await call(installation, agent, "send_test_email", **order)
    assert await count(installation, Approval, status="used") == 1
    assert (await refused(installation, agent, "send_test_email", **order)).error_code == "APPROVAL_NEEDED"


async def test_one_yes_does_not_let_a_server_be_tried_again_and_again(
    installation: Installation, transport: Recorder
) -> None:
    order, agent = await trial_order(installation), caller(installation)
    token = (await asked(installation, agent, "send_test_email", **order))["confirmToken"]
    transport.outcome = BUSY
    hints = [await hint_of_a_try(installation, agent, order | {"confirmToken": token}) for _ in range(4)]
    assert ["used up" in hint for hint in hints] == [False, False, False, True]
    assert [row.outcome for row in (await audit_rows(installation))[-2:]] == ["started", "refused"]
    await asked(installation, agent, "send_test_email", **order, confirmToken=token)
    assert len(transport.sent) == 4
    fresh = (await asked(installation, agent, "send_test_email", **order))["confirmToken"]
    assert "used up" not in await hint_of_a_try(installation, agent, order | {"confirmToken": fresh})


async def test_nor_does_one_grant_of_a_person(installation: Installation, transport: Recorder) -> None:
    order, agent = await trial_order(installation), caller(installation)
    await demand(installation, approvalAbove=0)
    wanted = await refused(installation, agent, "send_test_email", **order)
    await decided(installation, wanted.details["approvalId"], yes=True)
    transport.outcome = BUSY
    hints = [await hint_of_a_try(installation, agent, order) for _ in range(4)]
    assert ["used up" in hint for hint in hints] == [False, False, False, True]
    again = await refused(installation, agent, "send_test_email", **order)
    assert again.error_code == "APPROVAL_NEEDED" and again.details["approvalId"] != wanted.details["approvalId"]
    assert len(transport.sent) == 4 and await count(installation, Approval, status="used") == 1


async def hint_of_a_try(installation: Installation, agent: Actor, order: dict[str, Any]) -> str:
    """What is advised after a test email that the server did not take."""
    error = await refused(installation, agent, "send_test_email", **order)
    assert error.error_code == "SEND_REFUSED" and error.hint is not None
    return error.hint


@contextmanager
def held_up(statement: str) -> Iterator[tuple[asyncio.Event, threading.Event]]:
    """What begins with ``statement`` waits in its thread: the first event tells of it, the second lets it go on."""
    reached, goes_on, loop = asyncio.Event(), threading.Event(), asyncio.get_running_loop()

    def act(_connection: Any, _cursor: Any, text: str, *_rest: Any) -> None:
        if text.startswith(statement):
            loop.call_soon_threadsafe(reached.set)
            goes_on.wait(timeout=30)

    event.listen(Engine, "before_cursor_execute", act)
    try:
        yield reached, goes_on
    finally:
        goes_on.set()
        event.remove(Engine, "before_cursor_execute", act)


async def test_a_call_that_is_taken_back_while_its_start_is_written_down_has_an_end_and_did_nothing(
    installation: Installation, transport: Recorder
) -> None:
    order, agent = await trial_order(installation), caller(installation)
    token = (await asked(installation, agent, "send_test_email", **order))["confirmToken"]
    made = Call("send_test_email", {**order, "confirmToken": token}, agent, idempotency_key="once")
    with held_up("INSERT INTO audit_events") as (reached, goes_on):
        sending = asyncio.create_task(installation.app.dispatcher.call(made))
        await reached.wait()
        sending.cancel()
        goes_on.set()
        with pytest.raises(asyncio.CancelledError):
            await sending
    start, end = (await audit_rows(installation))[-2:]
    assert (start.outcome, end.outcome, end.error_code, end.started_id) == ("started", "refused", "CANCELLED", start.id)
    assert await count(installation, UsedToken, is_used=True) == await count(installation, IdempotencyKey) == 0
    assert transport.sent == []
    await installation.app.dispatcher.call(made)
    assert len(transport.sent) == 1


async def test_what_is_forbidden_at_the_last_moment_leaves_the_yes(installation: Installation) -> None:
    order, agent = await trial_order(installation), caller(installation)
    token = (await asked(installation, agent, "send_test_email", **order))["confirmToken"]
    await installation.call("add_dnc_entries", entries=[{"email": "else.test"}])
    assert isinstance(await refused(installation, agent, "send_test_email", **order, confirmToken=token), Conflict)
    assert (await last_row(installation)).outcome == "refused"
    assert await count(installation, UsedToken, is_used=True) == 0


async def test_a_fill_that_ends_half_way_has_failed_and_its_yes_is_used(installation: Installation) -> None:
    campaign, agent = await running_campaign(installation, SEQUENCE), caller(installation)
    order = {"id": campaign["id"], "leads": [{"email": f"p{number:03}@acme.test"} for number in range(501)]}
    token = (await asked(installation, agent, "add_leads_to_campaign", **order))["confirmToken"]

    async def archived(done: int, total: int | None, message: str) -> None:
        await set_campaign(installation, campaign["id"], status="archived")

    async def fill(actor: Actor) -> None:
        given = {**order, "confirmToken": token}
        made = Call("add_leads_to_campaign", given, actor, progress=archived, idempotency_key="fill")
        await installation.app.dispatcher.call(made)

    with pytest.raises(Conflict, match="archived"):
        await fill(agent)
    assert await count(installation, Enrollment) == 500
    start, end = (await audit_rows(installation))[-2:]
    assert (start.outcome, end.outcome, end.error_code, end.started_id) == ("started", "failed", "CONFLICT", start.id)
    assert end.after_hash is not None, "what stands of it"
    await set_campaign(installation, campaign["id"], status="active")
    with pytest.raises(Conflict) as in_use:
        await fill(agent)
    assert in_use.value.error_code == "IDEMPOTENCY_KEY_IN_USE"
    await asked(installation, agent, "add_leads_to_campaign", **order, confirmToken=token)


async def test_a_fill_that_ends_before_anything_was_added_was_refused(installation: Installation) -> None:
    campaign = await running_campaign(installation, SEQUENCE)
    await set_campaign(installation, campaign["id"], status="archived")
    free = caller(installation, "free")
    for _ in range(2):
        with pytest.raises(Conflict, match="archived"):
            await answer(
                installation, free, "add_leads_to_campaign", "fill", id=campaign["id"], leads=[{"email": "a@b.test"}]
            )
    end = await last_row(installation)
    assert (end.outcome, end.error_code, end.after_hash) == ("refused", "CONFLICT", None)
