"""The folders of one sandbox account, numbered as an IMAP server numbers them (RFC 9051 section 2.3.1)."""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(slots=True)
class StoredMail:
    """One message in a folder."""

    uid: int
    raw: bytes
    internal_date: datetime
    seen: bool


class Folder:
    """Messages in the order they came; above ``capacity`` the oldest ones go."""

    def __init__(self, uid_validity: int, capacity: int) -> None:
        self.uid_validity = uid_validity
        self.uid_next = 1
        self.mails: deque[StoredMail] = deque(maxlen=capacity)

    def add(self, raw: bytes, now: datetime, *, seen: bool = False) -> None:
        """Stores a message under the next number."""
        self.mails.append(StoredMail(self.uid_next, raw, now, seen))
        self.uid_next += 1

    def renumber(self) -> None:
        """Counts anew, as a server does after a repair: another UID validity, other UIDs."""
        self.uid_validity += 1
        for number, mail in enumerate(self.mails, start=1):
            mail.uid = number
        self.uid_next = len(self.mails) + 1


@dataclass(slots=True)
class Desk:
    """One account. ``read_up_to``: INBOX's next number when it was last read; ``sent_ids``: what Sent holds."""

    inbox: Folder
    junk: Folder
    sent: Folder
    sent_ids: set[str] = field(default_factory=set)
    read_up_to: int | None = None
    _listeners: set[asyncio.Event] = field(default_factory=set)

    @contextmanager
    def listening(self) -> Iterator[asyncio.Event]:
        """An event that is set whenever something may have come."""
        news = asyncio.Event()
        self._listeners.add(news)
        try:
            yield news
        finally:
            self._listeners.discard(news)

    def announce(self) -> None:
        """Wakes whoever listens."""
        for news in self._listeners:
            news.set()
