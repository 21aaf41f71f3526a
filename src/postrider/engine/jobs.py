"""Long work: one batch after the other, each in a transaction with its watermark, fair across workspaces.

Beside jobs, the leads of campaigns that were changed: see campaigns/following.py.
"""

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Final

import structlog
from sqlalchemy.orm import Session

from postrider.audit.queries import record_job_end
from postrider.campaigns.following import CampaignKey, CannotFollow, follow_next_batch
from postrider.campaigns.import_steps import (
    IMPORT_CAMPAIGN_LEADS,
    import_campaign_leads_batch,
    import_leads_batch,
)
from postrider.engine.rest import Rest
from postrider.jobs.claims import JobClaim, claim_job, claim_one, claimed_job, release_job
from postrider.jobs.queries import end_job, sweep_chunks
from postrider.jobs.tables import Job
from postrider.kernel.clock import Clock
from postrider.kernel.errors import PostriderError
from postrider.kernel.events import Signal, Signals
from postrider.kernel.ids import encode_bits
from postrider.leads.imports import IMPORT_LEADS
from postrider.storage.away import is_away
from postrider.storage.database import Database
from postrider.storage.leases import drop_lease, renew_lease, take_lease

log = structlog.get_logger(__name__)

Step = Callable[[Session, Job, datetime], bool]
"""Does one batch of a job in the given transaction, moves its cursor, counts and result; True after the last batch."""


@dataclass(frozen=True, slots=True)
class Handler:
    """What one kind of job does, and which loops its batches give work to."""

    step: Step
    wakes: tuple[Signal, ...] = ()


HANDLERS: Final[Mapping[str, Handler]] = {
    IMPORT_LEADS: Handler(import_leads_batch, ("sender",)),
    IMPORT_CAMPAIGN_LEADS: Handler(import_campaign_leads_batch, ("sender",)),
}

LOOK_AGAIN_SECONDS: Final = 5.0
"""Wall time after which the loop looks at the database anyway: another process may have started a job."""
TURN_SECONDS: Final = 0.5
"""How long one job may go on while others wait."""
LEFT_OUT_SECONDS: Final = 60.0
"""How long a campaign whose leads cannot follow its change is left alone before that is tried again."""
INLINE_LEASE_SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs batches of claimed jobs."""

    database: Database
    clock: Clock
    signals: Signals
    handlers: Mapping[str, Handler]

    async def batch(self, claim: JobClaim) -> bool:
        """One batch; True while the job goes on under this claim. A handler that fails ends its job.

        Raises: the database's error when it is away (see is_away): the batch may be tried again, for its cursor tells
        whether it was done.
        """
        try:
            handler, goes_on = await self.database.write(lambda s: self._step(s, claim))
        except Exception as error:
            if is_away(error):
                raise
            await self._fail(claim, error)
            return False
        for signal in handler.wakes if handler is not None else ():
            self.signals.wake(signal)
        return goes_on

    def _step(self, session: Session, claim: JobClaim) -> tuple[Handler | None, bool]:
        job = claimed_job(session, claim)
        if job is None:
            return None, False
        now = self.clock.now()
        handler = self.handlers[job.kind]
        finished = handler.step(session, job, now)
        job.updated_at = now
        if finished:
            end_job(job, "finished", now)
            record_job_end(session, job.workspace_id, job.id, "ended", now)
        return handler, not finished

    async def _fail(self, claim: JobClaim, error: Exception) -> None:
        # The hint too: whoever looks at the job has no other answer that could say the next step.
        message = " ".join(filter(None, (error.message, error.hint))) if isinstance(error, PostriderError) else None
        if message is None:
            incident = encode_bits(int.from_bytes(os.urandom(5), "big"), 8)
            message = f"Something went wrong here (incident {incident}); what was done before stays."
            log.error("job_failed", job_id=claim.job_id, incident=incident, exc_info=error)

        def end(session: Session) -> None:
            job = claimed_job(session, claim)
            if job is not None:
                end_job(job, "failed", self.clock.now(), message)
                record_job_end(session, job.workspace_id, job.id, "failed", self.clock.now())

        await self.database.write(end)


class JobLoop:
    """Works off jobs under an engine's lease, a turn for each workspace that has any."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        signals: Signals,
        owner: str,
        rest: Rest,
        handlers: Mapping[str, Handler] = HANDLERS,
    ) -> None:
        self._runner = Runner(database, clock, signals, handlers)
        self._signals = signals
        self._database = database
        self._clock = clock
        self._wake = signals.events["jobs"]
        self._owner = owner
        self._rest = rest
        self._served: dict[str, int] = {}
        self._left_out: dict[CampaignKey, float] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Runs until ``stop`` is set; a batch that is under way is finished."""
        waker = asyncio.create_task(_wake_on(stop, self._wake))
        try:
            while not stop.is_set():
                self._wake.clear()
                if not await self._look(stop) and not stop.is_set():
                    with self._rest.resting("jobs", self._wake, busy=False):
                        await self._clock.wait(None, self._wake, LOOK_AGAIN_SECONDS)
        finally:
            waker.cancel()

    async def _look(self, stop: asyncio.Event) -> bool:
        """A turn for changed campaigns, and one for a job; False when there is nothing to do or trouble."""
        try:
            followed = await self._follow(stop)
            claim = await self._database.write(
                lambda s: claim_job(s, self._owner, self._runner.handlers, self._served, self._clock.now())
            )
            if claim is None:
                return await self._database.write(lambda s: sweep_chunks(s, self._clock.now())) > 0 or followed
            self._served[claim.workspace_id] = max(self._served.values(), default=0) + 1
            await self._turn(claim, stop)
        except Exception as error:
            # Nothing here may end the engine: mail goes on being sent, and the next look may find things mended.
            log.exception("jobs_wait_for_database" if is_away(error) else "jobs_failed")
            return False
        return True

    async def _follow(self, stop: asyncio.Event) -> bool:
        """Lets leads follow the changes of their campaigns; False when there is none to follow."""
        end, found = monotonic() + TURN_SECONDS, False
        while not stop.is_set() and monotonic() < end and await self._follow_batch():
            found = True
        if found:
            # Campaigns whose leads have all followed may send again.
            self._signals.wake("sender")
        return found

    async def _follow_batch(self) -> bool:
        """One batch of one campaign; False when there is none. One that fails is left out for a while."""
        now = monotonic()
        self._left_out = {key: until for key, until in self._left_out.items() if until > now}
        without = list(self._left_out)
        try:
            return await self._database.write(lambda s: follow_next_batch(s, without))
        except CannotFollow as error:
            log.exception("campaign_not_followed", campaign_id=error.key.campaign_id)
            self._left_out[error.key] = now + LEFT_OUT_SECONDS
            return True

    async def _turn(self, claim: JobClaim, stop: asyncio.Event) -> None:
        end = monotonic() + TURN_SECONDS
        while await self._runner.batch(claim):
            if stop.is_set() or monotonic() >= end:
                await self._database.write(lambda s: release_job(s, claim))
                return


async def run_pending(
    database: Database,
    clock: Clock,
    signals: Signals,
    workspace_id: str,
    job_id: str,
    handlers: Mapping[str, Handler] = HANDLERS,
) -> None:
    """Runs one job to its end here and now, unless an engine has it: for a process without an engine."""
    owner = encode_bits(int.from_bytes(os.urandom(13), "big"), 20)
    runner = Runner(database, clock, signals, handlers)
    await database.hot(lambda c: take_lease(c, owner, INLINE_LEASE_SECONDS))
    renewed = monotonic()
    try:
        claim = await database.write(lambda s: claim_one(s, owner, workspace_id, job_id, clock.now()))
        while claim is not None and await runner.batch(claim):
            if monotonic() - renewed > INLINE_LEASE_SECONDS / 3:
                await database.hot(lambda c: renew_lease(c, owner, INLINE_LEASE_SECONDS))
                renewed = monotonic()
    finally:
        await database.hot(lambda c: drop_lease(c, owner))


async def _wake_on(stop: asyncio.Event, wake: asyncio.Event) -> None:
    await stop.wait()
    wake.set()
