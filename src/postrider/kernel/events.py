"""Wake-ups inside one process: a committed change tells the engine's loops that there is something to do."""

import asyncio
from typing import Literal

Signal = Literal["sender", "replies", "jobs", "receiver"]


class Signals:
    """One asyncio event per loop. Setting one that nobody waits for is harmless: loops look at the database anyway."""

    def __init__(self) -> None:
        self.events: dict[Signal, asyncio.Event] = {
            "sender": asyncio.Event(),
            "replies": asyncio.Event(),
            "jobs": asyncio.Event(),
            "receiver": asyncio.Event(),
        }

    def wake(self, signal: Signal) -> None:
        """Wakes the loop that waits for ``signal``. Call it in the event loop's thread."""
        self.events[signal].set()
