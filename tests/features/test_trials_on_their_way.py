"""A test email whose caller leaves, or whose database is away for a while: the ledger learns what became of it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
from sqlalchemy.exc import OperationalError

from postrider.mailboxes.ports import MailAccount
from postrider.sending import trial_sending
from postrider.sending.outcomes import Delivered, Held, Outcome
from postrider.sending.ports import Envelope, MailTransport, Marker
from postrider.sending.tables import Attempt
from tests.conftest import Installation
from tests.engine.world import World, make_world

LOST = OperationalError("UPDATE", {}, Exception("the database is away"))


@dataclass
class Slow:
    """A transport that waits before the dot and after it until it is told to go on."""

    before_dot: asyncio.Event = field(default_factory=asyncio.Event)
    after_dot: asyncio.Event = field(default_factory=asyncio.Event)
    reached: list[str] = field(default_factory=list)

    async def send(self, account: MailAccount, envelope: Envelope, marker: Marker) -> Outcome:
        """See MailTransport.send."""
        self.reached.append("begun")
        await self.before_dot.wait()
        if not await marker():
            return Held("not sent")
        self.reached.append("dot")
        await self.after_dot.wait()
        return Delivered("Ok", "queue-id")

    def hang_up(self) -> None:
        """Nothing is ever broken off."""

    async def close(self) -> None:
        """Nothing is kept open."""


@pytest.fixture
def transport() -> Slow:
    """Told what to do by each test."""
    return Slow()


@pytest.fixture
def ports(transport: Slow) -> dict[type, object]:
    """Only mail leaves."""
    return {MailTransport: transport}


def begin(world: World) -> "asyncio.Task[Any]":
    """Somebody sends a test and waits for it."""
    arguments = {"sequenceStep": 0, "mailboxId": world.mailbox_ids[0], "customEmail": "me@me.test"}
    return asyncio.create_task(world.installation.call("send_test_email", id=world.campaign_id, **arguments))


async def until(true: Callable[[], bool]) -> None:
    """Returns when it is."""
    with anyio.fail_after(5):
        while not true():
            await asyncio.sleep(0.01)


async def leave(calling: "asyncio.Task[Any]") -> None:
    """The caller goes away, and does not wait for the mail server."""
    calling.cancel()
    with anyio.fail_after(1), suppress(asyncio.CancelledError):
        await calling


async def ended(world: World) -> Attempt:
    """The attempt once nothing more is on its way."""
    await until(lambda: not trial_sending._under_way)
    [attempt] = await world.attempts()
    return attempt


def lose_writes(installation: Installation, monkeypatch: pytest.MonkeyPatch, when: Callable[[int], bool]) -> None:
    """Makes those writes fail whose number (from 0) ``when`` names."""
    database, count = installation.app.database, iter(range(1_000))
    real = database.write

    async def write(work: Callable[[Any], Any]) -> Any:
        if when(next(count)):
            raise LOST
        return await real(work)

    monkeypatch.setattr(installation.app.dispatcher._database, "write", write)


async def test_who_leaves_before_the_dot_stops_the_test(installation: Installation, transport: Slow) -> None:
    world = await make_world(installation, port=1)
    calling = begin(world)
    await until(lambda: transport.reached == ["begun"])
    await leave(calling)
    transport.before_dot.set()
    attempt = await ended(world)
    assert (attempt.state, attempt.result_kind, attempt.dotted_at) == ("cancelled", "held", None)
    assert transport.reached == ["begun"]


async def test_who_leaves_after_the_dot_loses_no_outcome(installation: Installation, transport: Slow) -> None:
    world = await make_world(installation, port=1)
    transport.before_dot.set()
    calling = begin(world)
    await until(lambda: transport.reached == ["begun", "dot"])
    await leave(calling)
    transport.after_dot.set()
    assert (await ended(world)).state == "sent"


async def test_an_outcome_waits_for_a_database_that_is_away(
    installation: Installation, transport: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make_world(installation, port=1)
    lose_writes(installation, monkeypatch, lambda number: number in (4, 5))
    transport.before_dot.set()
    transport.after_dot.set()
    with anyio.fail_after(5):
        answer = await begin(world)
    attempt = await ended(world)
    assert (attempt.state, attempt.message_id) == ("sent", answer["messageId"])


async def test_a_dot_that_cannot_be_noted_is_not_sent_and_the_test_is_over(
    installation: Installation, transport: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make_world(installation, port=1)
    lose_writes(installation, monkeypatch, lambda number: number == 3)
    transport.before_dot.set()
    with pytest.raises(OperationalError):
        await begin(world)
    attempt = await ended(world)
    assert (attempt.state, attempt.result_kind, attempt.dotted_at) == ("cancelled", "held", None)
    assert transport.reached == ["begun"]
