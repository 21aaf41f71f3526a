"""What every MailTransport promises, whatever stands behind it.

Subclass ``MailTransportContract`` in a test module and give it a fixture ``rig``.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import pytest

from postrider.mailboxes.ports import MailAccount
from postrider.sending.outcomes import Deferred, Delivered, Held, RefusedCopy, Rejected, Unknown
from postrider.sending.ports import Envelope, MailTransport

Point = Literal["rcpt", "body", "dot"]
LOSE = "lose"
"""In place of a reply: the connection is lost there. At "dot": the dot arrived, the answer never does."""


@dataclass(frozen=True)
class ReceivedMail:
    """One message that the peer took responsibility for."""

    sender: str
    recipients: tuple[str, ...]
    data: bytes


class Peer(Protocol):
    """The server's side, told beforehand how to treat a recipient."""

    def will(self, address: str, at: Point, reply: str, *, times: int = 0) -> None:
        """Answers ``reply`` (or LOSE) when it comes to that address; ``times`` 0 means for ever."""

    def accepted(self) -> Sequence[ReceivedMail]:
        """All messages accepted so far."""

    async def settle(self) -> None:
        """Returns when nothing that has left the transport can still arrive."""


@dataclass(frozen=True)
class Rig:
    """A transport, its peer, and an account that may send."""

    transport: MailTransport
    peer: Peer
    account: MailAccount


class CountedMarker:
    """A marker that counts its calls and notes how much the peer had accepted by then."""

    def __init__(self, peer: Peer | None = None, answer: bool = True) -> None:
        self._peer = peer
        self._answer = answer
        self.calls = 0
        self.accepted_before = 0

    async def __call__(self) -> bool:
        self.calls += 1
        if self._peer is not None:
            self.accepted_before = len(self._peer.accepted())
        return self._answer


def envelope_to(*recipients: str, body: bytes = b"Hello.\r\n.hidden dot\r\n..two\r\n", number: int = 1) -> Envelope:
    """A small message from the contract's mailbox."""
    message_id = f"<contract-{number}@sender.example>"
    head = f"From: me@sender.example\r\nTo: {recipients[0]}\r\nMessage-ID: {message_id}\r\n\r\n"
    return Envelope("me@sender.example", recipients, message_id, head.encode() + body)


class MailTransportContract:
    """The promises, one test each."""

    async def test_an_accepted_message_arrives_once_and_whole(self, rig: Rig) -> None:
        envelope = envelope_to("ann@lead.example", "copy@lead.example")
        outcome = await rig.transport.send(rig.account, envelope, CountedMarker())
        assert isinstance(outcome, Delivered) and outcome.refused_copies == ()
        await rig.transport.close()
        await rig.peer.settle()
        assert rig.peer.accepted() == [ReceivedMail(envelope.sender, envelope.recipients, envelope.data)]

    async def test_the_marker_is_asked_once_before_anything_is_accepted(self, rig: Rig) -> None:
        marker = CountedMarker(rig.peer)
        await rig.transport.send(rig.account, envelope_to("ann@lead.example"), marker)
        assert (marker.calls, marker.accepted_before, len(rig.peer.accepted())) == (1, 0, 1)

    async def test_a_refused_lead_receives_nothing_and_neither_do_the_copies(self, rig: Rig) -> None:
        rig.peer.will("gone@lead.example", "rcpt", "550 5.1.1 no such user")
        marker = CountedMarker()
        outcome = await rig.transport.send(rig.account, envelope_to("gone@lead.example", "cc@lead.example"), marker)
        assert isinstance(outcome, Rejected)
        assert (outcome.kind, outcome.stage, outcome.code, outcome.enhanced) == ("hard", "rcpt", 550, "5.1.1")
        assert marker.calls == 0 and rig.peer.accepted() == []

    async def test_a_refusal_leaves_no_trace_in_the_next_message(self, rig: Rig) -> None:
        rig.peer.will("gone@lead.example", "rcpt", "550 5.1.1 no such user")
        await rig.transport.send(rig.account, envelope_to("gone@lead.example"), CountedMarker())
        await rig.transport.send(rig.account, envelope_to("ann@lead.example"), CountedMarker())
        assert [mail.recipients for mail in rig.peer.accepted()] == [("ann@lead.example",)]

    async def test_a_refused_copy_is_recorded_and_the_lead_still_served(self, rig: Rig) -> None:
        rig.peer.will("full@lead.example", "rcpt", "552 5.2.2 mailbox full")
        envelope = envelope_to("ann@lead.example", "full@lead.example", "bcc@lead.example")
        outcome = await rig.transport.send(rig.account, envelope, CountedMarker())
        assert isinstance(outcome, Delivered)
        assert outcome.refused_copies == (RefusedCopy("full@lead.example", 552, "mailbox full"),)
        assert [mail.recipients for mail in rig.peer.accepted()] == [("ann@lead.example", "bcc@lead.example")]

    async def test_greylisting_defers_with_its_hint_and_a_later_try_arrives_once(self, rig: Rig) -> None:
        rig.peer.will("ann@lead.example", "rcpt", "451 4.7.1 Greylisted, try again in 300 seconds", times=2)
        outcomes = [
            await rig.transport.send(rig.account, envelope_to("ann@lead.example"), CountedMarker()) for _ in range(3)
        ]
        for outcome in outcomes[:2]:
            assert isinstance(outcome, Deferred)
            assert (outcome.kind, outcome.stage, outcome.retry_after_seconds) == ("transient", "rcpt", 300)
        assert isinstance(outcomes[2], Delivered)
        assert len(rig.peer.accepted()) == 1

    async def test_a_refusal_of_the_whole_message_is_told_from_a_bad_address(self, rig: Rig) -> None:
        rig.peer.will("ann@lead.example", "dot", "554 5.7.1 looks like spam")
        marker = CountedMarker()
        outcome = await rig.transport.send(rig.account, envelope_to("ann@lead.example"), marker)
        assert isinstance(outcome, Rejected) and (outcome.kind, outcome.stage) == ("policy", "dot")
        assert marker.calls == 1 and rig.peer.accepted() == []

    async def test_a_marker_that_says_no_holds_the_message(self, rig: Rig) -> None:
        marker = CountedMarker(answer=False)
        assert isinstance(await rig.transport.send(rig.account, envelope_to("ann@lead.example"), marker), Held)
        await rig.peer.settle()
        assert marker.calls == 1 and rig.peer.accepted() == []

    async def test_a_marker_that_fails_sends_nothing_and_its_error_comes_through(self, rig: Rig) -> None:
        async def failing() -> bool:
            raise LookupError("the disk is full")

        with pytest.raises(LookupError, match="the disk is full"):
            await rig.transport.send(rig.account, envelope_to("ann@lead.example"), failing)
        await rig.peer.settle()
        assert rig.peer.accepted() == []

    async def test_a_connection_lost_before_the_dot_is_deferred_and_safe_to_repeat(self, rig: Rig) -> None:
        rig.peer.will("ann@lead.example", "body", LOSE, times=1)
        large = envelope_to("ann@lead.example", body=b"x" * 70 + b"\r\n" + (b"y" * 76 + b"\r\n") * 60_000)
        first = await rig.transport.send(rig.account, large, CountedMarker())
        assert isinstance(first, Deferred), first
        assert (first.kind, first.code) == ("connection", None), first
        await rig.peer.settle()
        assert rig.peer.accepted() == []
        assert isinstance(await rig.transport.send(rig.account, large, CountedMarker()), Delivered)
        assert len(rig.peer.accepted()) == 1

    async def test_a_connection_lost_after_the_dot_is_unknown(self, rig: Rig) -> None:
        rig.peer.will("ann@lead.example", "dot", LOSE)
        marker = CountedMarker()
        outcome = await rig.transport.send(rig.account, envelope_to("ann@lead.example"), marker)
        assert isinstance(outcome, Unknown) and marker.calls == 1

    async def test_a_cancellation_before_the_dot_sends_nothing(self, rig: Rig) -> None:
        reached = asyncio.Event()

        async def never() -> bool:
            reached.set()
            await asyncio.Event().wait()
            return True

        sending = asyncio.create_task(rig.transport.send(rig.account, envelope_to("ann@lead.example"), never))
        await reached.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await rig.peer.settle()
        assert rig.peer.accepted() == []

    async def test_many_messages_at_once_each_arrive_once(self, rig: Rig) -> None:
        leads = [f"lead{number}@lead.example" for number in range(30)]
        sends = (rig.transport.send(rig.account, envelope_to(lead), CountedMarker()) for lead in leads)
        assert all(isinstance(outcome, Delivered) for outcome in await asyncio.gather(*sends))
        assert sorted(mail.recipients[0] for mail in rig.peer.accepted()) == sorted(leads)

    async def test_closing_twice_is_closing_once(self, rig: Rig) -> None:
        await rig.transport.send(rig.account, envelope_to("ann@lead.example"), CountedMarker())
        await rig.transport.close()
        await rig.transport.close()
        await rig.peer.settle()
        assert len(rig.peer.accepted()) == 1
