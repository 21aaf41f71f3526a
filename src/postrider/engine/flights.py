"""What a loop of the engine has on its way: its tasks, the mailboxes they use, and the claims it has lost track of."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

import structlog
from sqlalchemy.orm import Session

from postrider.kernel.clock import Clock
from postrider.sending.guards import CLAIM_LOST, Objection
from postrider.sending.outcomes import Held
from postrider.storage.database import Database

log = structlog.get_logger(__name__)

ANSWER_SECONDS: Final = 15.0
"""How long a stopped loop awaits the answers to dots that have been sent; then the connections are broken off."""
OUTCOME_SECONDS: Final = 3.0
"""How long the outcomes of those, which nobody knows, are given to be written. With the above less than the 30 seconds
that service managers give."""
LAST_LOOKS: Final = 5
LAST_LOOK_SECONDS: Final = 0.1


class Recover(Protocol):
    """Takes over what ``owners`` had claimed, of these ids only; how many went back, and how many are unknown."""

    def __call__(
        self, session: Session, owners: Sequence[str], now: datetime, only: Sequence[str] | None = None
    ) -> tuple[int, int]: ...


@dataclass(frozen=True, slots=True)
class Claims:
    """How one kind of message is claimed. ``of``: the ids that an owner has claimed."""

    of: Callable[[Session, str], list[str]]
    recover: Recover


@dataclass(frozen=True, slots=True)
class Limits:
    """How many may be on their way at a time, in all and for one mailbox; from how few on the loop looks for more."""

    most: int
    per_mailbox: int
    refill_at: int


class Flights:
    """Messages between their claim and their outcome, each in a task of its own.

    ``wake`` is set when there is room again, ``lease_doubt`` when a claim proves lost. ``hang_up``: see MailTransport.
    ``in_doubt``: something may be claimed and not on its way, because the database was away; ``recover`` puts it back
    exactly as after a crash.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        owner: str,
        claims: Claims,
        limits: Limits,
        wake: asyncio.Event,
        lease_doubt: asyncio.Event,
        hang_up: Callable[[], None],
    ) -> None:
        self._database = database
        self._clock = clock
        self._owner = owner
        self._claims = claims
        self._limits = limits
        self._wake = wake
        self._lease_doubt = lease_doubt
        self._hang_up = hang_up
        self._tasks: dict[asyncio.Task[None], str] = {}
        self._busy: Counter[str] = Counter()
        self.in_doubt = False

    def __len__(self) -> int:
        return len(self._tasks)

    @property
    def room(self) -> int:
        """How many more may start."""
        return self._limits.most - len(self._tasks)

    @property
    def is_busy(self) -> bool:
        """Whether anything is on its way or in doubt."""
        return bool(self._tasks) or self.in_doubt

    @property
    def busy(self) -> dict[str, int]:
        """How many are on their way, by mailbox."""
        return dict(self._busy)

    def full_mailboxes(self) -> list[str]:
        """Those that get nothing more: one whose server hangs leaves the others their places."""
        return [mailbox_id for mailbox_id, count in self._busy.items() if count >= self._limits.per_mailbox]

    def start(self, claim_id: str, mailbox_id: str, sending: Coroutine[Any, Any, object]) -> None:
        """Lets ``sending`` run; it takes what is claimed as ``claim_id`` to its outcome."""
        self._busy[mailbox_id] += 1
        task = asyncio.create_task(self._fly(claim_id, sending))
        self._tasks[task] = claim_id
        task.add_done_callback(lambda done: self._landed(done, mailbox_id, sending))

    async def recover(self) -> None:
        """Puts back what is claimed and no longer on its way."""
        if not self.in_doubt:
            return
        # Whatever comes into doubt from here on may have been missed.
        self.in_doubt = False
        now = self._clock.now()
        try:
            claimed = await self._database.read(lambda s: self._claims.of(s, self._owner))
            lost = list(set(claimed).difference(self._tasks.values()))
            recovered = await self._database.write(lambda s: self._claims.recover(s, [self._owner], now, only=lost))
        except Exception:
            log.exception("recovery_failed")
            self.in_doubt = True
            return
        if sum(recovered) < len(lost):
            # One that is locked (its transaction has not ended on the server yet) is looked at again.
            self.in_doubt = True

    async def land(self) -> None:
        """Returns when everything has ended, after 19 seconds at most.

        What has not come to its dot returns to the queue at once: whoever stops a server may want to stop mail. What
        has gets its outcome, and when the answer does not come in time, that outcome is unknown.
        """
        tasks = self._tasks.keys()
        for task in list(tasks):
            task.cancel()
        try:
            if tasks:
                await asyncio.wait(tasks, timeout=ANSWER_SECONDS)
        finally:
            await self._break_off()
        for _ in range(LAST_LOOKS):
            # A row that a transaction of ours still holds is passed over; it is free in a moment.
            await self.recover()
            if not self.in_doubt:
                break
            await asyncio.sleep(LAST_LOOK_SECONDS)

    async def _break_off(self) -> None:
        if self._tasks:
            self._hang_up()
            await asyncio.wait(self._tasks.keys(), timeout=OUTCOME_SECONDS)

    async def _fly(self, claim_id: str, sending: Coroutine[Any, Any, object]) -> None:
        try:
            came_of_it = await sending
        except asyncio.CancelledError:
            self.in_doubt = True
            raise
        except Exception:
            log.exception("send_failed", claim_id=claim_id)
            self.in_doubt = True
        else:
            if isinstance(came_of_it, Objection | Held) and came_of_it.reason == CLAIM_LOST:
                # Another engine may have it, or this one's lease ran out and the row is still in its name.
                self.in_doubt = True
                self._lease_doubt.set()

    def _landed(self, task: "asyncio.Task[None]", mailbox_id: str, sending: Coroutine[Any, Any, object]) -> None:
        self._tasks.pop(task, None)
        if task.cancelled():
            # Perhaps before its first step.
            self.in_doubt = True
            sending.close()
        was_full = self._busy[mailbox_id] >= self._limits.per_mailbox
        self._busy[mailbox_id] -= 1
        if not self._busy[mailbox_id]:
            del self._busy[mailbox_id]
        if was_full or len(self._tasks) <= self._limits.refill_at:
            self._wake.set()
