"""What runs by itself: supervises the loops, holds the engine's lease, drains on stop."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import structlog
from sqlalchemy import Connection

from postrider.campaigns.tables import Enrollment
from postrider.engine.jobs import JobLoop
from postrider.engine.lock import EngineLock
from postrider.engine.outgoing import OutgoingLoop
from postrider.engine.passages import Passages
from postrider.engine.receiver import ReceiverLoop
from postrider.engine.replies import ReplyLoop, ReplySender
from postrider.engine.rest import Rest
from postrider.engine.sealer import SealerLoop
from postrider.engine.sender import StepSender
from postrider.engine.sent_copies import SentCopies
from postrider.engine.sweeper import SweeperLoop
from postrider.inbox.ports import InboundParser, MailReader
from postrider.inbox.reply_recovery import recover_replies
from postrider.kernel.clock import Clock
from postrider.kernel.events import Signals
from postrider.kernel.ids import encode_bits
from postrider.kernel.vault import Vault
from postrider.sending.claimant import Claimant
from postrider.sending.epoch import FILE_NAME, beat, held_reason, note
from postrider.sending.letter import Stationery
from postrider.sending.ports import MailTransport
from postrider.sending.program import Programs
from postrider.sending.recovery import recover_batch
from postrider.sending.tables import OutgoingReply
from postrider.sending.trials import close_abandoned
from postrider.settings import Settings
from postrider.storage.away import is_away
from postrider.storage.database import Database
from postrider.storage.leases import (
    dead_owners,
    drop_lease,
    forget_leases,
    renew_lease,
    take_lease,
    unleased_owners,
)

log = structlog.get_logger(__name__)

LOCK_FILE: Final = "engine.lock"
LOCK_RETRY_SECONDS: Final = 2.0
DATABASE_RETRY_SECONDS: Final = 1.0
FAILURE_RETRY_SECONDS: Final = 10.0
"""The pause after something that nobody expected, so that a lasting fault does not fill the log."""
CLAIMS: Final = (Enrollment.lease_owner, OutgoingReply.lease_owner)
"""Where an engine that is gone may have left claims."""


class LeaseLost(RuntimeError):
    """The engine was stopped for longer than its lease: what it had claimed may be another's by now."""


@dataclass(slots=True)
class Outside:
    """The adapters an engine works with. Without a reader and a parser it sends and does not receive."""

    transport: MailTransport
    reader: MailReader | None = None
    parser: InboundParser | None = None


class Loop(Protocol):
    """One thing that runs by itself."""

    async def run(self) -> None:
        """Runs until ``stop``, and then until what is in flight has its outcome."""

    def stop(self) -> None:
        """Takes on nothing more."""


@dataclass(slots=True)
class _Jobs:
    """The job loop, stopped as the others are."""

    loop: JobLoop
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        await self.loop.run(self.stopping)

    def stop(self) -> None:
        self.stopping.set()


@dataclass(slots=True)
class Engine:
    """One engine: a lease, and the loops that run under it."""

    settings: Settings
    database: Database
    vault: Vault
    clock: Clock
    signals: Signals
    outside: Outside
    rest: Rest = field(default_factory=Rest)
    programs: Programs = field(default_factory=Programs)
    passages: Passages = field(default_factory=Passages)
    _lease_doubt: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _receiver: ReceiverLoop | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        # Until its loops have started, an engine does not rest.
        self.rest.expect("outgoing", "replies", "jobs")
        if self.outside.reader is not None and self.outside.parser is not None:
            self.rest.expect("receiver")

    async def poll_mail(self) -> None:
        """Looks at every mailbox once, to its end. For drivers of virtual time, which servers do not know."""
        if self._receiver is not None:
            await self._receiver.poll_all()

    @property
    def _beats_file(self) -> Path:
        return self.settings.data_dir / FILE_NAME

    async def run(self, stop: asyncio.Event) -> None:
        """Runs until ``stop`` is set and everything in flight has its outcome.

        After a lost lease, and whenever something fails, it starts afresh: no process is left without its engine.
        """
        while not stop.is_set():
            pause = 0.0
            try:
                if await self._is_held():
                    pause = LOCK_RETRY_SECONDS
                else:
                    await self._run_leased(stop)
            except* LeaseLost:
                log.warning("engine_lease_lost")
            except* Exception as errors:
                # What was claimed is found by whoever holds the next lease.
                _, unexpected = errors.split(is_away)
                log.exception("engine_database_away" if unexpected is None else "engine_failed")
                pause = DATABASE_RETRY_SECONDS if unexpected is None else FAILURE_RETRY_SECONDS
            await _either(stop, pause)

    async def _is_held(self) -> bool:
        reason = await self.database.read(lambda s: held_reason(s, self._beats_file))
        if reason is not None:
            log.error("engine_held", reason=reason)
        return reason is not None

    async def _run_leased(self, stop: asyncio.Event) -> None:
        owner = encode_bits(int.from_bytes(os.urandom(13), "big"), 20)
        seconds = self.settings.engine_lease_seconds
        # Noted before anything is sent: from here on, a copy made earlier can be told from this database.
        note(self._beats_file, await self.database.hot(lambda c: _take(c, owner, seconds), urgent=True))
        await self._recover(owner)
        copies = self._sent_copies()
        loops: list[Loop] = [self._outgoing(owner), self._replies(owner, copies or self.outside.transport)]
        loops.append(_Jobs(JobLoop(self.database, self.clock, self.signals, owner, self.rest)))
        loops.append(SealerLoop(self.database, self.clock, self.vault))
        loops.append(SweeperLoop(self.database, self.clock, self.settings.data_dir))
        self._receiver = self._receiving(owner)
        if self._receiver is not None:
            loops.append(self._receiver)
        try:
            await self._run_loops(owner, loops, stop)
        except Exception:
            # A cancellation leaves no time for copies; everything else does.
            await _finish(copies)
            raise
        await _finish(copies)
        note(self._beats_file, await self.database.hot(lambda c: _drop(c, owner), urgent=True))

    async def _run_loops(self, owner: str, loops: Sequence[Loop], stop: asyncio.Event) -> None:
        """Runs ``loops`` to their ends, keeping the lease. Raises: a group of LeaseLost and what they raise.

        When one of them fails, or the lease is lost, the others are stopped as they are by ``stop``: what is on its way
        gets its outcome before anybody takes over what was claimed.
        """
        running = [asyncio.create_task(loop.run()) for loop in loops]
        keeper = asyncio.create_task(self._keep_lease(owner))
        watcher = asyncio.create_task(self._watch_over_others(owner))
        told = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([*running, keeper, told], return_when=asyncio.FIRST_COMPLETED)
            for loop in loops:
                loop.stop()
            await asyncio.wait(running)
        finally:
            tasks: list[asyncio.Task[Any]] = [*running, keeper, watcher, told]
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        failures = [end for end in ends if isinstance(end, Exception)]
        if failures:
            raise ExceptionGroup("the engine cannot go on", failures)

    def _outgoing(self, owner: str) -> OutgoingLoop:
        sender = StepSender(
            self.database,
            self.outside.transport,
            self.vault,
            self.programs,
            Stationery.of(self.settings, self.vault),
            self.clock,
            self.passages,
        )
        self.rest.expect("outgoing")
        claimant = Claimant(owner, self.programs, self.vault)
        wake = self.signals.events["sender"]
        return OutgoingLoop(
            self.database, self.clock, claimant, sender, wake, self._lease_doubt, self.rest, self._note_beat
        )

    def _replies(self, owner: str, transport: MailTransport) -> ReplyLoop:
        self.rest.expect("replies")
        sender = ReplySender(self.database, transport, self.vault, self.clock, self.passages)
        return ReplyLoop(sender, owner, self.signals.events["replies"], self._lease_doubt, self.rest)

    def _receiving(self, owner: str) -> ReceiverLoop | None:
        reader, parser = self.outside.reader, self.outside.parser
        if reader is None or parser is None:
            return None
        self.rest.expect("receiver")
        return ReceiverLoop(
            self.database,
            self.clock,
            reader,
            parser,
            self.vault,
            self.signals,
            owner,
            self.rest,
            self.settings.mailbox_poll_seconds,
            self.programs,
        )

    def _sent_copies(self) -> SentCopies | None:
        """Only replies are filed: a campaign email's copy would report its own opening as the lead's."""
        reader = self.outside.reader
        return SentCopies(self.outside.transport, reader) if reader is not None else None

    async def _keep_lease(self, owner: str) -> None:
        """Renews the lease three times per term, or when it is in doubt, and nothing else: nothing may come between."""
        seconds = self.settings.engine_lease_seconds
        while True:
            await _either(self._lease_doubt, seconds / 3)
            self._lease_doubt.clear()
            try:
                alive = await self.database.hot(lambda c: renew_lease(c, owner, seconds), urgent=True)
            except Exception:
                # The database is away: markers fail too, so nothing is sent meanwhile.
                log.exception("lease_not_renewed")
                continue
            if not alive:
                raise LeaseLost

    async def _watch_over_others(self, owner: str) -> None:
        """Notes the database's beat and takes over what dead engines left, as often as leases are renewed."""
        while True:
            await asyncio.sleep(self.settings.engine_lease_seconds / 3)
            try:
                await self._note_beat()
                await self._recover(owner)
            except Exception:
                log.exception("not_recovered")

    async def _note_beat(self) -> None:
        note(self._beats_file, await self.database.hot(beat))

    async def _recover(self, owner: str) -> None:
        """Takes over the claims of engines that are gone. On SQLite only one may run, so all others are."""
        alone = owner if self.database.dialect_name == "sqlite" else None
        await self.database.write(lambda s: close_abandoned(s, self.clock.now()))
        found = await self.database.read(lambda s: {*dead_owners(s, alone=alone), *unleased_owners(s, CLAIMS)})
        # Its own, should its lease be lost, it still has on its way: their outcomes are written before it ends.
        owners = sorted(found - {owner})
        if not owners:
            return
        now = self.clock.now()
        while sum(recovered := await self.database.write(lambda s: recover_batch(s, owners, now))):
            log.warning("recovered", returned=recovered.returned, unknown=recovered.unknown)
        while sum(replies := await self.database.write(lambda s: recover_replies(s, owners, now))):
            log.warning("recovered_replies", returned=replies.returned, unknown=replies.unknown)
        await self.database.hot(lambda c: forget_leases(c, owners))
        self.signals.wake("sender")
        self.signals.wake("replies")


async def _finish(copies: SentCopies | None) -> None:
    if copies is not None:
        await copies.close()


def _take(connection: Connection, owner: str, seconds: int) -> int:
    take_lease(connection, owner, seconds)
    return beat(connection)


def _drop(connection: Connection, owner: str) -> int:
    drop_lease(connection, owner)
    return beat(connection)


async def _either(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return


async def run_when_free(engine: Engine, stop: asyncio.Event) -> None:
    """Runs ``engine`` as soon as no other process of this data directory does. PostgreSQL allows many at once."""
    if engine.database.dialect_name != "sqlite":
        await engine.run(stop)
        return
    lock = EngineLock(engine.settings.data_dir / LOCK_FILE)
    while not lock.acquire():
        await _either(stop, LOCK_RETRY_SECONDS)
        if stop.is_set():
            return
    try:
        await engine.run(stop)
    finally:
        lock.release()
