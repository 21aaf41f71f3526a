"""What the inbox needs of the outside world."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Protocol

from postrider.mailboxes.ports import MailAccount

if TYPE_CHECKING:
    from postrider.inbox.parsing import ParsedMail, Poison

FolderRole = Literal["inbox", "junk"]


@dataclass(frozen=True, slots=True)
class FolderCursor:
    """How far a folder was read. Source: RFC 9051 section 2.3.1.1 (UID validity).

    ``rescan_to``: a first look or a rescan is under way, and mail up to this UID is still chosen by its date.
    """

    folder: str
    role: FolderRole
    uid_validity: int
    last_uid: int
    rescan_to: int | None = None


@dataclass(frozen=True, slots=True)
class FetchedMail:
    """One message as the server holds it. ``raw`` is cut at the reader's size cap; then ``truncated`` is True."""

    uid: int
    size_bytes: int
    raw: bytes
    truncated: bool
    internal_date: datetime | None
    seen: bool


@dataclass(frozen=True, slots=True)
class FolderBatch:
    """Mail of one folder, oldest first, with the cursor to commit together with it: behind it, reading goes on.

    ``rescan``: the UID validity changed (or this is the first look), so mails may have been seen before.
    """

    cursor: FolderCursor
    mails: tuple[FetchedMail, ...]
    rescan: bool


class MailReader(Protocol):
    """Reads an account's folders without changing anything in them."""

    def read_new(
        self, account: MailAccount, cursors: Sequence[FolderCursor], *, since: datetime, batch_size: int = 50
    ) -> AsyncIterator[FolderBatch]:
        """New mail of INBOX and the junk folder in batches; ``since`` bounds a first look or a rescan.

        The caller commits each batch with its cursor before asking for the next. One that stops after any batch and
        comes back with its cursor misses nothing and gets nothing twice, in a first look and a rescan too.
        Raises: Upstream.
        """

    async def wait_for_mail(self, account: MailAccount, timeout_seconds: float) -> bool:
        """True as soon as new mail seems to be there (IDLE, RFC 2177), False after the timeout. Raises: Upstream."""

    async def find_in_sent(self, account: MailAccount, message_id: str) -> str | None:
        """The Message-ID under which the Sent folder (special use, RFC 6154) holds our message; None: it does not.

        Some providers replace the Message-ID; then the copy is known by ours, which first mails carry in References.
        Raises: Upstream.
        """

    async def append_to_sent(self, account: MailAccount, raw: bytes) -> bool:
        """Stores a copy in Sent, marked seen, unless the provider keeps its own. True when stored. Raises: Upstream."""

    async def mark_seen(self, account: MailAccount, folder: str, uid: int) -> None:
        """Marks one message as read, on an explicit wish only. Raises: Upstream."""

    async def close(self) -> None:
        """Ends all pooled connections."""


class InboundParser(Protocol):
    """Parses strangers' mail where a poison message harms nobody."""

    async def parse(self, raw: bytes) -> "ParsedMail | Poison":
        """The parsed message, or what kept it from being parsed. Raises: RuntimeError when no parser can be had."""

    async def close(self) -> None:
        """Ends what was started."""
