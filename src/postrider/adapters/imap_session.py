"""One signed-in IMAP connection: the commands Postrider needs, blocking, for use in threads."""

import imaplib
import re
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import TypeVar

from imap_tools import AND, H, MailboxLoginError
from imap_tools.utils import encode_folder

from postrider.adapters import imap_errors
from postrider.adapters.egress import ResolvedHost
from postrider.adapters.imap_answers import (
    AnswerItem,
    FetchAnswer,
    Folders,
    FolderState,
    fetch_answers,
    first_mail_id,
    folders_of,
    size_of,
    uids_of,
)
from postrider.adapters.imap_wire import ContextFactory, ImapBox, Wire
from postrider.inbox.cursors import Remainder, remainder_of
from postrider.inbox.ports import FetchedMail, FolderCursor
from postrider.kernel.errors import Upstream
from postrider.mailboxes.ports import ServerAccess

T = TypeVar("T")

_MEGABYTE = 1_000_000
_ANSWER_BYTES = 16 * _MEGABYTE  # room for a SEARCH answer of two million numbers
_SLACK_BYTES_PER_MAIL = 4_096
_SMALLEST_PEEK_BYTES = 65_536
_SLOWEST_BYTES_PER_SECOND = 64_000
_RENAMED_LOOKED_AT = 20
_TURNED_AWAY = re.compile(r"\[(?:UNAVAILABLE|INUSE|LIMIT|SERVERBUG)\]|too many|temporar", re.IGNORECASE)
_EXISTS = re.compile(rb"\* \d+ EXISTS\b", re.IGNORECASE)
_BYE = re.compile(rb"\* BYE\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ImapLimits:
    """How long and how much. Source of the 29 minutes behind ``idle_seconds``: RFC 2177 section 3."""

    connect_seconds: float = 15
    command_seconds: float = 45
    goodbye_seconds: float = 2
    idle_seconds: float = 28 * 60
    poll_seconds: float = 60
    keep_seconds: float = 300
    folders_seconds: float = 600
    max_message_bytes: int = 10 * _MEGABYTE
    truncated_bytes: int = 256 * 1024
    batch_bytes: int = 8 * _MEGABYTE
    threads: int = 64
    slow_server_threads: int = 4


class UidValidityChanged(Exception):
    """The folder was renumbered since the caller looked; its UIDs mean nothing any more."""


@dataclass(frozen=True, slots=True)
class Scan:
    """The UIDs to read, oldest first, of what was left when ``state`` was so."""

    state: FolderState
    uids: tuple[int, ...]
    left: Remainder


class ImapSession:
    """A connection to one account. Every method but ``discard`` and ``mail_announced`` blocks: use ``call``."""

    def __init__(
        self, target: ResolvedHost, access: ServerAccess, tls_context: ContextFactory, limits: ImapLimits
    ) -> None:
        self.access = access
        self._limits = limits
        self._wire = Wire(target, tls_context)
        self._box: ImapBox | None = None
        self._offers: frozenset[str] = frozenset()
        self._folders: Folders | None = None
        self._folders_at = 0.0
        self._selected: tuple[str, FolderState] | None = None
        self._idle_tag: bytes | None = None
        self._in_use = threading.Lock()
        self._used_at = monotonic()

    def call(self, work: Callable[["ImapSession"], T]) -> T:
        """Does a piece of work in this thread. Raises: Upstream."""
        with self._in_use:
            try:
                self._wire.allow(self._limits.command_seconds, _ANSWER_BYTES)
                with imap_errors.coarse_errors():
                    return work(self)
            finally:
                self._used_at = monotonic()
                if self._wire.aborted:
                    self._wire.close()

    def discard(self) -> None:
        """Gives the connection up at once, from any thread; work in progress fails."""
        self._wire.abort()
        if self._in_use.acquire(blocking=False):
            try:
                self._wire.close()
            finally:
                self._in_use.release()

    def sign_in(self) -> None:
        """Connects, secures and signs in. Raises: Upstream."""
        self._wire.allow(self._limits.connect_seconds, _MEGABYTE)
        try:
            self._box = ImapBox(self._wire, self.access.security)
        except TimeoutError:
            if self.access.security != "tls" and self._wire.connected:
                raise imap_errors.no_greeting() from None
            raise
        self._log_in(self._box)
        _, listed = self._box.client.capability()
        self._offers = _words(listed)

    def sign_out(self) -> None:
        """Says goodbye where that is possible, and closes."""
        self._wire.allow(self._limits.goodbye_seconds, _MEGABYTE)
        with suppress(OSError, imaplib.IMAP4.error, imap_errors.TooMuchData, ValueError, LookupError, TypeError):
            self._open_box().client.logout()
        self._wire.close()

    def is_stale(self, after_seconds: float) -> bool:
        """Whether the server may have hung up unnoticed."""
        return monotonic() - self._used_at > after_seconds

    def prove_alive(self) -> None:
        """Asks the server for a sign of life. Raises: Upstream."""
        self._open_box().client.noop()

    def folders(self) -> Folders:
        """The junk and the Sent folder, looked up anew once in a while: people create and rename folders."""
        if self._folders is None or monotonic() - self._folders_at > self._limits.folders_seconds:
            self._folders, self._folders_at = self._find_folders(), monotonic()
        return self._folders

    def examine(self, folder: str) -> FolderState:
        """Opens a folder read-only and says where it stands. Raises: Upstream."""
        box = self._open_box()
        self._selected = None
        box.folder.set(folder, readonly=True)
        uid_validity, uid_next = self._number("UIDVALIDITY"), self._number("UIDNEXT")
        if uid_validity is None:
            raise imap_errors.garbled()
        if uid_next is None:
            uid_next = max(self._search("UID *"), default=0) + 1
        state = FolderState(uid_validity, uid_next)
        self._selected = (folder, state)
        return state

    def scan(self, folder: str, cursor: FolderCursor | None, since: datetime) -> Scan:
        """What there is to read. A folder that counts differently than before is read again by date."""
        state = self.examine(folder)
        left = remainder_of(cursor, state.uid_validity, state.uid_next)
        found: list[int] = []
        if left.dated_to is not None and left.after < left.dated_to:
            # SINCE compares the server's local dates; a day earlier covers every time zone.
            first_day = (since - timedelta(days=1)).date()
            dated = self._search(f"UID {left.after + 1}:{left.dated_to} {AND(date_gte=first_day)}")
            found += [uid for uid in dated if left.after < uid <= left.dated_to]
        # "*" is the last message, so the range never comes back empty. Source: RFC 9051 section 9, seq-range.
        found += [uid for uid in self._search(f"UID {left.new_from}:*") if uid >= left.new_from]
        return Scan(state, tuple(found), left)

    def measure(self, folder: str, uid_validity: int, uids: Sequence[int]) -> list[FetchAnswer]:
        """Size, date and flags of messages, ascending; those deleted meanwhile are missing."""
        self._stay_in(folder, uid_validity)
        found, refused = self._fetch_or_split(uids, "(UID RFC822.SIZE FLAGS INTERNALDATE)")
        measured = {uid: FetchAnswer(uid, None, None, False, None) for uid in refused}
        # A server may add flag news of other messages, and may say things twice: what names a size comes last.
        for answer in sorted(found, key=lambda answer: answer.size_bytes is not None):
            if answer.uid in uids:
                measured[answer.uid] = answer
        return [measured[uid] for uid in sorted(measured)]

    def fetch(self, folder: str, uid_validity: int, measured: Sequence[FetchAnswer]) -> tuple[FetchedMail, ...]:
        """The messages, without marking them as seen. One that the server will not hand out comes back empty."""
        self._stay_in(folder, uid_validity)
        peek_bytes = self._peek_bytes(measured)
        bodies = self._bodies(measured, peek_bytes)
        for message in measured:
            # Passed over in a long answer does not mean deleted: only a question of its own tells.
            if message.uid not in bodies and len(measured) > 1:
                bodies |= self._bodies([message], peek_bytes)
        return tuple(
            self._mail(message, bodies[message.uid], peek_bytes) for message in measured if message.uid in bodies
        )

    def look_and_idle(self, before: FolderState | None) -> tuple[FolderState, bool]:
        """Where INBOX stands; when nothing came since ``before``, also starts IDLE and says whether it runs."""
        state = self.examine("INBOX")
        if (before is not None and state.has_more_than(before)) or "IDLE" not in self._offers:
            return state, False
        client = self._open_box().client
        client.untagged_responses.pop("EXISTS", None)
        tag: bytes = client._command("IDLE")
        while client._get_response() is not None:
            if client.tagged_commands[tag]:
                del client.tagged_commands[tag]
                return state, False
        self._idle_tag = tag
        return state, True

    def mail_announced(self) -> bool:
        """During IDLE: whether the server has spoken of new mail by now. Never waits. Raises: Upstream."""
        with imap_errors.coarse_errors():
            lines = self._wire.lines_arrived()
        if any(_BYE.match(line) for line in lines):
            raise imap_errors.connection_lost()
        # What came together with the answer to IDLE was sorted in by the library.
        early = self._open_box().client.untagged_responses.pop("EXISTS", None) if self._idle_tag else None
        return bool(early) or any(_EXISTS.match(line) for line in lines)

    def fileno(self) -> int:
        """By which an event loop can wait for the server to speak. Raises: Upstream."""
        with imap_errors.coarse_errors():
            return self._wire.fileno()

    def end_idle(self) -> None:
        """Back to normal commands."""
        if self._idle_tag is None:
            return
        tag, self._idle_tag = self._idle_tag, None
        box = self._open_box()
        box.client.send(b"DONE\r\n")
        box.consume_until_tagged_response(tag)

    def sent_id(self, message_id: str) -> str | None:
        """The Message-ID under which Sent has our message, which we gave ``message_id`` (its brackets do not matter).

        Ours, or the one that the provider put in its place. None when Sent has no such message.
        """
        sent, bare_id = self.folders().sent, message_id.strip("<> ")
        if sent is None or not bare_id or not (bare_id.isascii() and bare_id.isprintable()):
            return None
        self.examine(sent)
        # The search is for a part of the header; the brackets make it the whole.
        if self._search(str(AND(header=H("Message-ID", f"<{bare_id}>")))):
            return f"<{bare_id}>"
        return self._renamed(f"<{bare_id}>")

    def _renamed(self, message_id: str) -> str | None:
        """The id of the message in this folder that names ours in References and answers nothing: ours, renamed.

        Follow-ups and what people answer by hand name it too, but carry In-Reply-To.
        """
        named = self._search(str(AND(header=H("References", message_id))))[:_RENAMED_LOOKED_AT]
        fields = "(UID BODY.PEEK[HEADER.FIELDS (MESSAGE-ID IN-REPLY-TO)])"
        found, _ = self._fetch_or_split(named, fields) if named else ([], [])
        heads = (each.body.decode("latin-1") for each in found if each.uid in named and each.body)
        return next((one for head in heads if (one := first_mail_id(head)) is not None), None)

    def append_to_sent(self, raw: bytes) -> bool:
        """Stores a message in Sent, marked seen; False when the account has no such folder."""
        sent = self.folders().sent
        if sent is None:
            return False
        self._wire.allow(self._limits.command_seconds + len(raw) / _SLOWEST_BYTES_PER_SECOND, _ANSWER_BYTES)
        answer, _ = self._open_box().client.append(encode_folder(sent).decode("ascii"), r"(\Seen)", None, raw)
        if answer != "OK":
            raise imap_errors.refused()
        return True

    def mark_seen(self, folder: str, uid: int) -> None:
        """Sets the seen flag of one message and nothing else."""
        box = self._open_box()
        self._selected = None
        box.folder.set(folder, readonly=False)
        # Not imap-tools' flag(): it expunges what other clients marked as deleted.
        answer, _ = box.client.uid("STORE", str(uid), "+FLAGS.SILENT", r"(\Seen)")
        if answer != "OK":
            raise imap_errors.refused()

    def _open_box(self) -> ImapBox:
        if self._box is None:
            raise imap_errors.connection_lost()
        return self._box

    def _log_in(self, box: ImapBox) -> None:
        username, password = self.access.username, self.access.password.reveal()
        offers = box.client.capabilities
        plain_words = all(word.isascii() and word.isprintable() for word in (username, password))
        try:
            if plain_words and "LOGINDISABLED" not in offers:
                box.login(username, password, initial_folder=None)
            elif "AUTH=PLAIN" in offers and "\0" not in username + password:
                box.login_utf8(username, password, initial_folder=None)
            else:
                raise imap_errors.auth_failed()
        except imaplib.IMAP4.abort:
            raise
        except (MailboxLoginError, imaplib.IMAP4.error) as error:
            away = _TURNED_AWAY.search(str(error))
            raise (imap_errors.busy() if away else imap_errors.auth_failed()) from None

    def _find_folders(self) -> Folders:
        # Some servers name the special use only on request. Source: RFC 6154 section 2.
        on_request = {"SPECIAL-USE", "LIST-EXTENDED"} <= self._offers
        pattern = b'"*" RETURN (SPECIAL-USE)' if on_request else b'"*"'
        try:
            # Bytes pass through the library as they are; it would quote a str.
            return folders_of(self._open_box().folder.list(b'""', pattern))  # type: ignore[arg-type]
        except ValueError:
            # One folder name in broken UTF-7 must not keep INBOX from being read.
            return Folders(junk=None, sent=None)

    def _number(self, code: str) -> int | None:
        _, data = self._open_box().client.response(code)
        last = data[-1]
        return int(last) if isinstance(last, bytes) and last.isdigit() else None

    def _search(self, criteria: str) -> list[int]:
        answer, data = self._open_box().client.uid("SEARCH", criteria)
        if answer != "OK":
            raise imap_errors.refused()
        return uids_of(data)

    def _stay_in(self, folder: str, uid_validity: int) -> None:
        """Goes back to a folder after a new connection or other work. Raises: UidValidityChanged."""
        selected = self._selected
        state = selected[1] if selected is not None and selected[0] == folder else self.examine(folder)
        if state.uid_validity != uid_validity:
            raise UidValidityChanged

    def _fetch(self, uids: Sequence[int], items: str) -> list[FetchAnswer]:
        client = self._open_box().client
        client.untagged_responses.pop("FETCH", None)
        answer, data = client.uid("FETCH", ",".join(map(str, uids)), items)
        if answer != "OK":
            raise imap_errors.refused()
        found: list[AnswerItem] = data
        return list(fetch_answers(found))

    def _fetch_or_split(self, uids: Sequence[int], items: str) -> tuple[list[FetchAnswer], list[int]]:
        """The answers, and the UIDs that the server refuses even when it is asked for them alone."""
        try:
            return self._fetch(uids, items), []
        except Upstream as error:
            if error.error_code != imap_errors.REFUSED:
                raise
        # Some servers say NO as long as they owe us the news that somebody deleted one of the messages.
        self._open_box().client.noop()
        answers: list[FetchAnswer] = []
        refused: list[int] = []
        for uid in uids:
            try:
                answers += self._fetch([uid], items)
            except Upstream as error:
                if error.error_code != imap_errors.REFUSED:
                    raise
                refused.append(uid)
        return answers, refused

    def _peek_bytes(self, measured: Sequence[FetchAnswer]) -> int:
        """How much of each message to ask for: twice its size, which some servers only estimate, up to the cap."""
        largest = max(size_of(message, self._limits.max_message_bytes) for message in measured)
        if largest > self._limits.max_message_bytes:
            return self._limits.truncated_bytes
        return min(2 * largest + _SMALLEST_PEEK_BYTES, self._limits.max_message_bytes) + 1

    def _bodies(self, measured: Sequence[FetchAnswer], peek_bytes: int) -> dict[int, bytes]:
        expected = sum(min(size_of(message, peek_bytes), peek_bytes) for message in measured)
        at_most = len(measured) * (peek_bytes + _SLACK_BYTES_PER_MAIL) + _MEGABYTE
        self._wire.allow(self._limits.command_seconds + expected / _SLOWEST_BYTES_PER_SECOND, at_most)
        uids = [message.uid for message in measured]
        found, refused = self._fetch_or_split(uids, f"(UID BODY.PEEK[]<0.{peek_bytes}>)")
        return dict.fromkeys(refused, b"") | {each.uid: each.body for each in found if each.body is not None}

    def _mail(self, message: FetchAnswer, body: bytes, peek_bytes: int) -> FetchedMail:
        size_bytes = size_of(message, len(body))
        too_big = size_bytes > self._limits.max_message_bytes or len(body) >= peek_bytes
        return FetchedMail(
            uid=message.uid,
            size_bytes=max(size_bytes, len(body)),
            raw=body[: self._limits.truncated_bytes] if too_big else body,
            truncated=too_big or (not body and message.size_bytes != 0),
            internal_date=message.internal_date,
            seen=message.seen,
        )


def _words(items: Sequence[AnswerItem]) -> frozenset[str]:
    """The words of the last line of an answer, in capitals."""
    last = items[-1]
    return frozenset(last.decode("ascii", "replace").upper().split()) if isinstance(last, bytes) else frozenset()
