"""Business time that runs a hundred times as fast as the wall's, and the same in every process of a test."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Final

RATE: Final = 100
START: Final = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
"""A Monday morning."""


class FastClock:
    """Stood at START when the wall's clock stood at ``origin`` (seconds since 1970)."""

    def __init__(self, origin: float) -> None:
        self._origin = origin

    def now(self) -> datetime:
        """The business instant."""
        return START + timedelta(seconds=(time.time() - self._origin) * RATE)

    async def wait(self, until: datetime | None, wake: asyncio.Event, timeout_seconds: float) -> None:
        """See Clock.wait; the timeout is in wall time."""
        seconds = timeout_seconds
        if until is not None:
            seconds = min(seconds, max(0.0, (until - self.now()).total_seconds() / RATE))
        try:
            await asyncio.wait_for(wake.wait(), seconds)
        except TimeoutError:
            return
