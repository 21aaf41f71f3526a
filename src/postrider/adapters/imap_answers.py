"""Reads what IMAP servers answer: FETCH items, search results, and which folder is which."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from imap_tools import FolderInfo

from postrider.content.headers import find_message_ids

AnswerItem = bytes | tuple[bytes, bytes] | None
"""imaplib gives a line as bytes, and a line that ends in a literal as (line, literal)."""

_FLAGS = re.compile(rb"FLAGS \(([^)]*)\)", re.IGNORECASE)
_UID = re.compile(rb"\bUID (\d+)", re.IGNORECASE)
_SIZE = re.compile(rb"\bRFC822\.SIZE (\d+)", re.IGNORECASE)
_INTERNAL_DATE = re.compile(rb'\bINTERNALDATE "([^"]+)"', re.IGNORECASE)
_BODY = rb"\bBODY\[(?:HEADER\.FIELDS \([^()]{0,200}\))?\](?:<\d+>)? "
_BODY_LITERAL = re.compile(_BODY + rb"\{\d+\}\Z", re.IGNORECASE)
_BODY_STRING = re.compile(_BODY + rb'(?:NIL|"((?:[^"\\]|\\.)*)")', re.IGNORECASE)

_JUNK_NAMES = ("junk", "spam", "junk-e-mail", "junk e-mail", "junk email", "junk mail", "bulk mail", "bulk")
_SENT_NAMES = ("sent", "sent items", "sent mail", "sent messages", "sent-mail")
_PARENTS = ("", "inbox", "[gmail]", "[google mail]")
_CLOSED = frozenset({"\\noselect", "\\nonexistent"})


@dataclass(frozen=True, slots=True)
class FetchAnswer:
    """What one FETCH response says about one message; None where it is silent."""

    uid: int
    size_bytes: int | None
    internal_date: datetime | None
    seen: bool
    body: bytes | None


@dataclass(frozen=True, slots=True)
class FolderState:
    """What a folder says of itself when it is opened."""

    uid_validity: int
    uid_next: int

    def has_more_than(self, earlier: "FolderState") -> bool:
        """Whether mail came in since."""
        return self.uid_validity != earlier.uid_validity or self.uid_next > earlier.uid_next


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders that matter; None where the account has no such folder."""

    junk: str | None
    sent: str | None


def fetch_answers(items: Iterable[AnswerItem]) -> Iterator[FetchAnswer]:
    """Each message of a FETCH answer, in the server's order; what names no UID is left out."""
    for text, body in _responses(items):
        flags = _FLAGS.search(text)
        # Flags are free words: taken out first, so that none of them can pass for an item.
        rest = _FLAGS.sub(b"", text)
        uid, size, date = _UID.search(rest), _SIZE.search(rest), _INTERNAL_DATE.search(rest)
        if uid is not None:
            yield FetchAnswer(
                uid=int(uid[1]),
                size_bytes=int(size[1]) if size else None,
                internal_date=_instant(date[1]) if date else None,
                seen=flags is not None and b"\\seen" in flags[1].lower().split(),
                body=body if body is not None else _short_body(rest),
            )


def uids_of(items: Iterable[AnswerItem]) -> list[int]:
    """The numbers of a SEARCH answer, ascending, each once."""
    words = (word for item in items if isinstance(item, bytes) for word in item.split())
    return sorted({int(word) for word in words if word.isdigit()})


def first_mail_id(head: str) -> str | None:
    """The Message-ID among these header lines; None when there is not one, or the message answers another."""
    ids = find_message_ids(head)
    return ids[0] if len(ids) == 1 and "in-reply-to:" not in head.lower() else None


def size_of(message: FetchAnswer, unknown: int) -> int:
    """The size in bytes that the server names, else ``unknown``."""
    return unknown if message.size_bytes is None else message.size_bytes


def groups_of(measured: Sequence[FetchAnswer], most_bytes: int) -> Iterator[list[FetchAnswer]]:
    """Splits messages, in order, into what one FETCH may carry; one that is larger than that goes alone.

    FETCH names one limit for all its messages, so a group counts as if each were as large as its largest.
    """
    group: list[FetchAnswer] = []
    largest = 0
    for message in measured:
        largest = max(largest, size_of(message, most_bytes))
        if group and (len(group) + 1) * largest > most_bytes:
            yield group
            group, largest = [], size_of(message, most_bytes)
        group.append(message)
    if group:
        yield group


def folders_of(listed: Sequence[FolderInfo]) -> Folders:
    """Junk and Sent by their special use, else by their usual names. Source: RFC 6154 section 2."""
    usable = [folder for folder in listed if not _CLOSED & {flag.lower() for flag in folder.flags}]
    return Folders(
        junk=_by_use(usable, "\\junk") or _by_name(usable, _JUNK_NAMES),
        sent=_by_use(usable, "\\sent") or _by_name(usable, _SENT_NAMES),
    )


def _responses(items: Iterable[AnswerItem]) -> Iterator[tuple[bytes, bytes | None]]:
    """Joins the pieces around literals: (everything but literals, the literal that is the body)."""
    open_text, body = b"", None
    for item in items:
        if isinstance(item, tuple):
            head, literal = item
            body = literal if _BODY_LITERAL.search(head) else body
            open_text += head + b" "
        elif item is not None:
            yield open_text + item, body
            open_text, body = b"", None


def _short_body(text: bytes) -> bytes | None:
    """A body that the server sent as a quoted string, or as NIL."""
    found = _BODY_STRING.search(text)
    return re.sub(rb"\\(.)", rb"\1", found[1] or b"") if found else None


def _instant(text: bytes) -> datetime | None:
    try:
        return parsedate_to_datetime(text.decode("ascii", "replace")).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _by_use(folders: Iterable[FolderInfo], use: str) -> str | None:
    return next((folder.name for folder in folders if use in {flag.lower() for flag in folder.flags}), None)


def _by_name(folders: Iterable[FolderInfo], names: Sequence[str]) -> str | None:
    """The folder with the first of the names, at the top or right below a usual parent."""
    found: dict[str, str] = {}
    for folder in folders:
        parent, _, leaf = folder.name.rpartition(folder.delim) if folder.delim else ("", "", folder.name)
        if parent.casefold() in _PARENTS:
            found.setdefault(leaf.casefold(), folder.name)
    return next((found[name] for name in names if name in found), None)
