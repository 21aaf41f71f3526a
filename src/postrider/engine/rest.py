"""Tells a driver of virtual time when every loop of the engine has done what there was to do."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Rest:
    """Which loops rest. A loop rests while it waits for an instant, with nothing in flight and no wake-up pending."""

    def __init__(self) -> None:
        self._wakes: dict[str, asyncio.Event] = {}
        self._busy: dict[str, bool] = {}
        self._changed = asyncio.Event()

    def expect(self, *names: str) -> None:
        """Loops that must rest before the engine does."""
        for name in names:
            self._busy[name] = True

    @contextmanager
    def resting(self, name: str, wake: asyncio.Event, *, busy: bool) -> Iterator[None]:
        """Marks the loop ``name`` as resting for the duration, unless it still has something in flight."""
        self._wakes[name] = wake
        self._busy[name] = busy
        self._changed.set()
        try:
            yield
        finally:
            self._busy[name] = True

    def is_quiet(self) -> bool:
        """Whether every loop rests."""
        return not any(self._busy.values()) and not any(wake.is_set() for wake in self._wakes.values())

    async def quiet(self) -> None:
        """Returns once every loop rests."""
        while not self.is_quiet():
            self._changed.clear()
            await self._changed.wait()
