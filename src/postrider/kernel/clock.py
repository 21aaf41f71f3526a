"""Business time. Leases, token lifetimes and network timeouts use wall or monotonic time instead."""

import asyncio
import heapq
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time of the business and lets the engine wait in it."""

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""

    async def wait(self, until: datetime | None, wake: asyncio.Event, timeout_seconds: float) -> None:
        """Returns once ``until`` (None: never) has come, ``wake`` is set, or ``timeout_seconds`` wall time passed."""


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""
        return datetime.now(UTC)

    async def wait(self, until: datetime | None, wake: asyncio.Event, timeout_seconds: float) -> None:
        """See Clock.wait."""
        seconds = timeout_seconds
        if until is not None:
            seconds = min(seconds, max(0.0, (until - self.now()).total_seconds()))
        try:
            await asyncio.wait_for(wake.wait(), seconds)
        except TimeoutError:
            return


class VirtualClock:
    """A clock that moves only when its driver says so. For the demo and tests; never a user's flag."""

    def __init__(self, start: datetime) -> None:
        self._now = start
        self._waits: list[tuple[datetime, int, asyncio.Event]] = []
        self._count = 0

    def now(self) -> datetime:
        """The virtual instant."""
        return self._now

    async def wait(self, until: datetime | None, wake: asyncio.Event, timeout_seconds: float) -> None:
        """See Clock.wait. The wall-time limit holds here too, so that polling goes on."""
        if until is not None and until <= self._now:
            return
        if until is not None:
            self._count += 1
            heapq.heappush(self._waits, (until, self._count, wake))
        try:
            await asyncio.wait_for(wake.wait(), timeout_seconds)
        except TimeoutError:
            return

    def next_wake(self) -> datetime | None:
        """The earliest instant somebody waits for."""
        while self._waits and self._waits[0][0] <= self._now:
            heapq.heappop(self._waits)
        return self._waits[0][0] if self._waits else None

    def advance_to(self, instant: datetime) -> None:
        """Moves forward (never back) and wakes whoever waited for an instant that has come."""
        self._now = max(self._now, instant)
        while self._waits and self._waits[0][0] <= self._now:
            heapq.heappop(self._waits)[2].set()

    def advance(self, by: timedelta) -> None:
        """Moves forward by ``by``."""
        self.advance_to(self._now + by)
