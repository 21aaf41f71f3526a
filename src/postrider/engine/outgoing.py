"""The sending loop: tick, send what was claimed, wait for the next instant."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from postrider.campaigns.tables import Campaign
from postrider.engine.flights import Claims, Flights, Limits
from postrider.engine.rest import Rest
from postrider.engine.sender import StepSender
from postrider.kernel.clock import Clock
from postrider.sending.claimant import Claimant
from postrider.sending.claims import NOTHING_CLAIMED, Tick, claim_due
from postrider.sending.recovery import claims_of, recover_batch
from postrider.sending.work import StepWork
from postrider.sending.work_queries import Claimed, load_works
from postrider.storage.database import Database

log = structlog.get_logger(__name__)

LIMITS: Final = Limits(most=256, per_mailbox=64, refill_at=128)
CLAIMS: Final = Claims(claims_of, recover_batch)
CLAIM_LIMIT: Final = 128
LOOK_AGAIN_SECONDS: Final = 30.0
"""Wall time after which the loop looks at the database anyway: another process may have changed it."""
TRY_AGAIN_SECONDS: Final = 1.0
"""The same after trouble with the database."""


class OutgoingLoop:
    """Claims and sends campaign emails, fairly across workspaces, at most ``LIMITS.most`` at a time."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        claimant: Claimant,
        sender: StepSender,
        wake: asyncio.Event,
        lease_doubt: asyncio.Event,
        rest: Rest,
        beat: Callable[[], Awaitable[None]],
    ) -> None:
        self._database = database
        self._clock = clock
        self._claimant = claimant
        self._sender = sender
        self._wake = wake
        self._rest = rest
        self._beat = beat
        self._sends_since_beat = False
        self._flights = Flights(database, clock, claimant.owner, CLAIMS, LIMITS, wake, lease_doubt, sender.hang_up)
        self._rounds = 0
        self._stopping = False

    async def run(self) -> None:
        """Runs until ``stop``, and then until what is on its way has landed, as it does when something fails."""
        flights = self._flights
        try:
            while not self._stopping:
                self._wake.clear()
                await flights.recover()
                if self._sends_since_beat and not len(flights):
                    await self._note_beat()
                    self._sends_since_beat = False
                next_at, more = await self._round()
                if more and not flights.in_doubt and len(flights) < LIMITS.refill_at:
                    continue
                # Whatever is in flight wakes the loop when it is done, so only an idle loop waits for an instant.
                with self._rest.resting("outgoing", self._wake, busy=flights.is_busy):
                    pause = TRY_AGAIN_SECONDS if flights.in_doubt else LOOK_AGAIN_SECONDS
                    await self._clock.wait(next_at, self._wake, pause)
        finally:
            await flights.land()

    def stop(self) -> None:
        """Claims nothing more; ``run`` returns when what is in flight has its outcome."""
        self._stopping = True
        self._wake.set()

    async def _round(self) -> tuple[datetime | None, bool]:
        """One tick for every workspace that sends; the next instant, and whether there is more to do now."""
        next_at: datetime | None = None
        more = False
        workspaces = self._in_turn(await self._workspaces())
        for place, workspace_id in enumerate(workspaces):
            free = self._flights.room
            if free <= 0:
                return next_at, True
            # What is free is shared by those who have not had their turn: one cannot take it all.
            room = min(CLAIM_LIMIT, max(1, free // (len(workspaces) - place)))
            tick = await self._tick(workspace_id, room)
            works = await self._load(tick.claimed)
            if works:
                await self._note_beat()
                self._sends_since_beat = True
            for work in works:
                self._flights.start(work.enrollment_id, work.sender.account.mailbox_id, self._sender.send(work))
            more = more or tick.more
            if tick.next_at is not None:
                next_at = min(next_at or tick.next_at, tick.next_at)
        return next_at, more

    async def _note_beat(self) -> None:
        """Before and after a batch is sent: a copy of the database that does not know of it is told by that."""
        try:
            await self._beat()
        except Exception:
            log.exception("beat_not_noted")

    async def _workspaces(self) -> list[str]:
        try:
            return await self._database.read(_sending_workspaces)
        except Exception:
            log.exception("workspaces_not_read")
            self._flights.in_doubt = True
            return []

    def _in_turn(self, workspaces: Sequence[str]) -> Sequence[str]:
        """``workspaces``, each round beginning with another one."""
        self._rounds += 1
        start = self._rounds % len(workspaces) if workspaces else 0
        return [*workspaces[start:], *workspaces[:start]]

    async def _tick(self, workspace_id: str, room: int) -> Tick:
        now = self._clock.now()
        busy = self._flights.full_mailboxes()
        try:
            return await self._database.write(lambda s: claim_due(s, self._claimant, workspace_id, now, room, busy))
        except Exception:
            # One workspace's trouble must not stop the others; it is tried again at the next look.
            log.exception("tick_failed", workspace_id=workspace_id)
            self._flights.in_doubt = True
            return NOTHING_CLAIMED

    async def _load(self, claimed: Claimed | None) -> list[StepWork]:
        if claimed is None:
            return []
        try:
            return await self._database.read(lambda s: load_works(s, self._claimant, claimed))
        except Exception:
            log.exception("load_failed", sends=len(claimed.slots))
            self._flights.in_doubt = True
            return []


def _sending_workspaces(session: Session) -> list[str]:
    query = select(Campaign.workspace_id).where(Campaign.status == "active").distinct().order_by(Campaign.workspace_id)
    return list(session.scalars(query))
