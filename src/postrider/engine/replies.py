"""The reply loop: claims replies that are due, sends each through the ledger, waits for the next instant."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog
from sqlalchemy import Connection

from postrider.content.addresses import parse_address
from postrider.content.headers import message_id
from postrider.engine.draining import call_back, drain
from postrider.engine.rest import Rest
from postrider.engine.transmission import INTERRUPTED, begin_whole, carry_through, transmit
from postrider.inbox.reply_claims import ReplyTick, claim_replies
from postrider.inbox.reply_ledger import begin_reply, dot_reply
from postrider.inbox.reply_recovery import recover_replies
from postrider.inbox.reply_settle import ReplySettlement
from postrider.inbox.reply_work import ReplyBegun, ReplyWork, reply_envelope
from postrider.kernel.clock import Clock
from postrider.kernel.errors import InvalidInput
from postrider.kernel.vault import Vault
from postrider.sending.guards import Objection
from postrider.sending.message_ids import new_message_token
from postrider.sending.outcomes import Outcome, Rejected
from postrider.sending.ports import MailTransport
from postrider.storage.database import Database

log = structlog.get_logger(__name__)

MAX_IN_FLIGHT: Final = 16
LOOK_AGAIN_SECONDS: Final = 30.0
"""Wall time after which the loop looks at the database anyway: another process may have queued a reply."""


@dataclass(frozen=True, slots=True)
class ReplySender:
    """Sends claimed replies: first marker → octets → SMTP with the second marker → outcome."""

    database: Database
    transport: MailTransport
    vault: Vault
    clock: Clock

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
                await self.database.hot(lambda c: self._settlement(c, work).settle(begun, INTERRUPTED))

        begun = await begin_whole(self.database.hot(begin, urgent=True), take_back)
        if isinstance(begun, Objection):
            return begun
        return await carry_through(
            self._transmit(work, begun),
            lambda outcome: self.database.hot(lambda c: self._settlement(c, work).settle(begun, outcome)),
        )

    async def _transmit(self, work: ReplyWork, begun: ReplyBegun) -> Outcome:
        try:
            envelope = reply_envelope(work, begun, self.clock.now())
        except InvalidInput as error:
            return Rejected("other", "mail", 550, None, f"cannot be sent as it is: {error.message}")
        return await transmit(
            self.transport,
            work.sender.account,
            envelope,
            lambda: self.database.hot(lambda c: dot_reply(c, work, begun, self.clock.now()), urgent=True),
        )

    def _settlement(self, connection: Connection, work: ReplyWork) -> ReplySettlement:
        return ReplySettlement(connection, self.vault, work, self.clock.now())


class ReplyLoop:
    """Sends replies as they fall due, at most ``MAX_IN_FLIGHT`` at a time, a few for each mailbox."""

    def __init__(self, sender: ReplySender, owner: str, wake: asyncio.Event, rest: Rest) -> None:
        self._database = sender.database
        self._clock = sender.clock
        self._sender = sender
        self._owner = owner
        self._wake = wake
        self._rest = rest
        self._tasks: set[asyncio.Task[None]] = set()
        self._busy: Counter[str] = Counter()
        self._orphans: set[str] = set()
        self._stopping = False

    async def run(self) -> None:
        """Runs until ``stop``; then waits for the replies that are on their way, but not for ever.

        When it is cancelled, what has not come to its dot ends at once; what has still gets its outcome.
        """
        try:
            while not self._stopping:
                self._wake.clear()
                await self._recover_orphans()
                next_at = await self._round()
                # Whatever is in flight wakes the loop when it is done, so that more of its mailbox can follow.
                with self._rest.resting("replies", self._wake, busy=bool(self._tasks or self._orphans)):
                    await self._clock.wait(next_at, self._wake, LOOK_AGAIN_SECONDS)
            await drain(self._tasks, self._sender.transport.hang_up)
        finally:
            call_back(self._tasks)
        await self._recover_orphans()

    def stop(self) -> None:
        """Claims nothing more; ``run`` returns when what is in flight has its outcome."""
        self._stopping = True
        self._wake.set()

    async def _round(self) -> datetime | None:
        """Starts what is due and has room; the next instant something falls due."""
        room = MAX_IN_FLIGHT - len(self._tasks)
        if room <= 0:
            return None
        tick = await self._tick(room)
        for work in tick.works:
            self._start(work)
        return tick.next_at

    async def _tick(self, room: int) -> ReplyTick:
        vault, now, busy = self._sender.vault, self._clock.now(), dict(self._busy)
        try:
            return await self._database.write(lambda s: claim_replies(s, vault, self._owner, now, room, busy))
        except Exception:
            log.exception("reply_tick_failed")
            return ReplyTick([], None)

    async def _recover_orphans(self) -> None:
        """Puts back what this engine lost track of (the database was away), exactly as after a crash."""
        orphans = list(self._orphans)
        if not orphans:
            return
        now = self._clock.now()
        try:
            await self._database.write(lambda s: recover_replies(s, [self._owner], now, only=orphans))
        except Exception:
            log.exception("reply_recovery_failed", replies=len(orphans))
            return
        self._orphans.difference_update(orphans)

    def _start(self, work: ReplyWork) -> None:
        mailbox_id = work.sender.account.mailbox_id
        self._busy[mailbox_id] += 1
        task = asyncio.create_task(self._send_one(work))
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._finished(done, mailbox_id))

    def _finished(self, task: "asyncio.Task[None]", mailbox_id: str) -> None:
        self._tasks.discard(task)
        self._busy[mailbox_id] -= 1
        self._busy += Counter()
        self._wake.set()

    async def _send_one(self, work: ReplyWork) -> None:
        try:
            await self._sender.send(work)
        except asyncio.CancelledError:
            self._orphans.add(work.reply_id)
            raise
        except Exception:
            log.exception("reply_failed", reply_id=work.reply_id)
            self._orphans.add(work.reply_id)
