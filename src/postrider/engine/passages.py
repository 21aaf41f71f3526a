"""How many messages of one mailbox may be between their second marker and their written outcome.

A connection is free for the next message as soon as the server has answered, before that answer is written down.
Without this limit the next message could pass its dot too, and a crash leave more unknown than there are connections.
"""

import asyncio
from weakref import WeakValueDictionary

from postrider.sending.ports import CONNECTIONS_PER_MAILBOX


class Passages:
    """Hands out passages past the dot, as many at a time for each mailbox as it may have connections."""

    def __init__(self, most: int = CONNECTIONS_PER_MAILBOX) -> None:
        self._most = most
        self._slots: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def passage(self, mailbox_id: str) -> "Passage":
        """For one message of that mailbox."""
        slots = self._slots.get(mailbox_id)
        if slots is None:
            slots = self._slots[mailbox_id] = asyncio.Semaphore(self._most)
        return Passage(slots)


class Passage:
    """The right of one message to pass its dot: entered before its second marker, left when its outcome is written."""

    def __init__(self, slots: asyncio.Semaphore) -> None:
        self._slots = slots
        self._inside = False

    async def enter(self) -> None:
        """Returns when there is room."""
        await self._slots.acquire()
        self._inside = True

    def leave(self) -> None:
        """Makes room, if this message was inside."""
        if self._inside:
            self._inside = False
            self._slots.release()
