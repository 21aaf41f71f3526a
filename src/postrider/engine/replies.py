"""The reply loop: claims replies that are due, sends each through the ledger, waits for the next instant."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog
from sqlalchemy import Connection

from postrider.content.addresses import parse_address
from postrider.content.headers import message_id
from postrider.engine.flights import Claims, Flights, Limits
from postrider.engine.passages import Passage, Passages
from postrider.engine.rest import Rest
from postrider.engine.transmission import INTERRUPTED, begin_whole, carry_through, transmit
from postrider.inbox.reply_claims import PER_MAILBOX, ReplyTick, claim_replies
from postrider.inbox.reply_ledger import begin_reply, dot_reply
from postrider.inbox.reply_recovery import claimed_replies, recover_replies
from postrider.inbox.reply_settle import ReplySettlement
from postrider.inbox.reply_work import ReplyBegun, ReplyWork, reply_envelope
from postrider.kernel.clock import Clock
from postrider.kernel.errors import InvalidInput
from postrider.kernel.vault import Vault
from postrider.sending.guards import Objection
from postrider.sending.letter import unwritable
from postrider.sending.message_ids import new_message_token
from postrider.sending.outcomes import Delivered, Outcome
from postrider.sending.ports import MailTransport
from postrider.sending.program import Programs
from postrider.sending.unknown import settle_late
from postrider.storage.database import Database

log = structlog.get_logger(__name__)

LIMITS: Final = Limits(most=16, per_mailbox=PER_MAILBOX, refill_at=16)
CLAIMS: Final = Claims(claimed_replies, recover_replies)
LOOK_AGAIN_SECONDS: Final = 30.0
"""Wall time after which the loop looks at the database anyway: another process may have queued a reply."""
TRY_AGAIN_SECONDS: Final = 1.0
"""The same after trouble with the database."""


@dataclass(frozen=True, slots=True)
class ReplySender:
    """Sends claimed replies: first marker → octets → SMTP with the second marker → outcome."""

    database: Database
    transport: MailTransport
    vault: Vault
    clock: Clock
    passages: Passages

    async def send(self, work: ReplyWork) -> Outcome | Objection:
        """Takes one claimed reply to its outcome and writes it."""
        fresh_id = message_id(new_message_token(), parse_address(work.sender.account.email).domain)

        def begin(connection: Connection) -> ReplyBegun | Objection:
            begun = begin_reply(connection, work, fresh_id, self.clock.now())
            if isinstance(begun, Objection):
                self._settlement(connection, work).refuse(begun)
            return begun

        async def take_back(begun: ReplyBegun | Objection) -> None:
            if isinstance(begun, ReplyBegun):
                await self._settle(work, begun, INTERRUPTED)

        begun = await begin_whole(self.database.hot(begin, urgent=True), take_back)
        if isinstance(begun, Objection):
            return begun
        passage = self.passages.passage(work.sender.account.mailbox_id)
        return await carry_through(
            self._transmit(work, begun, passage), lambda outcome: self._settle(work, begun, outcome), passage
        )

    async def _settle(self, work: ReplyWork, begun: ReplyBegun, outcome: Outcome) -> None:
        written = await self.database.hot(lambda c: self._settlement(c, work).settle(begun, outcome))
        if isinstance(outcome, Delivered) and not written:
            now = self.clock.now()
            # No campaign goes on from a reply, so that none has to be known.
            await self.database.write(lambda s: settle_late(s, Programs(), work.workspace_id, begun.attempt_id, now))

    async def _transmit(self, work: ReplyWork, begun: ReplyBegun, passage: Passage) -> Outcome:
        try:
            envelope = reply_envelope(work, begun, self.clock.now())
        except InvalidInput as error:
            return unwritable(error)
        return await transmit(
            self.transport,
            work.sender.account,
            envelope,
            passage,
            lambda: self.database.hot(lambda c: dot_reply(c, work, begun, self.clock.now()), urgent=True),
        )

    def _settlement(self, connection: Connection, work: ReplyWork) -> ReplySettlement:
        return ReplySettlement(connection, self.vault, work, self.clock.now())


class ReplyLoop:
    """Sends replies as they fall due, a few at a time for each mailbox."""

    def __init__(
        self, sender: ReplySender, owner: str, wake: asyncio.Event, lease_doubt: asyncio.Event, rest: Rest
    ) -> None:
        self._database = sender.database
        self._clock = sender.clock
        self._sender = sender
        self._owner = owner
        self._wake = wake
        self._rest = rest
        self._flights = Flights(
            sender.database, sender.clock, owner, CLAIMS, LIMITS, wake, lease_doubt, sender.transport.hang_up
        )
        self._stopping = False

    async def run(self) -> None:
        """Runs until ``stop``, and then until what is on its way has landed, as it does when something fails."""
        try:
            while not self._stopping:
                self._wake.clear()
                await self._flights.recover()
                next_at = await self._round()
                # Whatever is in flight wakes the loop when it is done, so that more of its mailbox can follow.
                with self._rest.resting("replies", self._wake, busy=self._flights.is_busy):
                    pause = TRY_AGAIN_SECONDS if self._flights.in_doubt else LOOK_AGAIN_SECONDS
                    await self._clock.wait(next_at, self._wake, pause)
        finally:
            await self._flights.land()

    def stop(self) -> None:
        """Claims nothing more; ``run`` returns when what is in flight has its outcome."""
        self._stopping = True
        self._wake.set()

    async def _round(self) -> datetime | None:
        """Starts what is due and has room; the next instant something falls due."""
        if self._flights.room <= 0:
            return None
        tick = await self._tick(self._flights.room)
        for work in tick.works:
            self._flights.start(work.reply_id, work.sender.account.mailbox_id, self._sender.send(work))
        return tick.next_at

    async def _tick(self, room: int) -> ReplyTick:
        vault, now, busy = self._sender.vault, self._clock.now(), self._flights.busy
        try:
            return await self._database.write(lambda s: claim_replies(s, vault, self._owner, now, room, busy))
        except Exception:
            log.exception("reply_tick_failed")
            # What it claimed may have been committed all the same.
            self._flights.in_doubt = True
            return ReplyTick([], None)
