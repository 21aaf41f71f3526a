"""Reads mailboxes by IMAP: all new mail, nothing marked as read by it, and no server able to block another."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from postrider.adapters import imap_errors
from postrider.adapters.egress import Egress
from postrider.adapters.imap_answers import FetchAnswer, FolderState, groups_of
from postrider.adapters.imap_session import ImapLimits, ImapSession, Scan, UidValidityChanged
from postrider.adapters.imap_wire import ContextFactory
from postrider.inbox.ports import FetchedMail, FolderBatch, FolderCursor, FolderRole
from postrider.kernel.errors import Upstream
from postrider.mailboxes.hosts import IMAP_PORTS
from postrider.mailboxes.ports import MailAccount, ServerAccess

T = TypeVar("T")
Work = Callable[[ImapSession], T]

_TRUSTED_SECONDS = 10.0
_LARGEST_BATCH = 200
_RENUMBERINGS = 3
_KEEPS_OWN_SENT_COPY = frozenset({"gmail", "outlook", "sandbox"})


@dataclass(slots=True)
class _Slot:
    """Room for one connection of an account, which one caller uses at a time."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    session: ImapSession | None = None
    retirement: asyncio.TimerHandle | None = None
    server_is_slow: bool = False


@dataclass(slots=True)
class _Desk:
    """An account's two connections, and where INBOX stood when it was last read."""

    work: _Slot = field(default_factory=_Slot)
    watch: _Slot = field(default_factory=_Slot)
    inbox: FolderState | None = None


class ImapReader:
    """The MailReader for real servers; ``check_imap`` signs in for the AccountChecker.

    Per account, one connection works and another waits in IDLE, where it needs no thread. Commands run in a bounded
    number of threads; a server that lately ran into a timeout gets one of a few threads set apart for such servers,
    so that any number of hanging servers leaves the others their pace.
    """

    def __init__(
        self,
        egress: Egress,
        *,
        tls_context: ContextFactory = ssl.create_default_context,
        limits: ImapLimits | None = None,
    ) -> None:
        self._egress = egress
        self._limits = limits or ImapLimits()
        self._make_tls_context = tls_context
        self._tls_context: ssl.SSLContext | None = None
        self._closed = False
        self._desks: dict[tuple[str, str], _Desk] = {}
        self._threads = ThreadPoolExecutor(self._limits.threads, thread_name_prefix="imap")
        self._slow_threads = ThreadPoolExecutor(self._limits.slow_server_threads, thread_name_prefix="imap-slow")

    async def check_imap(self, account: MailAccount) -> None:
        """Signs in, opens INBOX read-only, and signs out. Raises: Upstream."""
        slot = _Slot()
        try:
            await self._use(slot, account, lambda session: session.examine("INBOX"), repeat=False)
        finally:
            await self._leave(slot)

    async def read_new(
        self, account: MailAccount, cursors: Sequence[FolderCursor], *, since: datetime, batch_size: int = 50
    ) -> AsyncIterator[FolderBatch]:
        """See MailReader.read_new.

        A batch may end early, at the byte limit. A first look or a rescan ends with an empty batch, whose cursor lies
        behind what it passed over.
        """
        by_folder = {cursor.folder: cursor for cursor in cursors}
        desk = self._desk(account)
        folders = await self._use(desk.work, account, ImapSession.folders)
        readings = [_Reading("INBOX", "inbox", by_folder.get("INBOX"), since)]
        if folders.junk is not None:
            readings.append(_Reading(folders.junk, "junk", by_folder.get(folders.junk), since))
        for reading in readings:
            async for batch in self._read_folder(account, reading, min(batch_size, _LARGEST_BATCH)):
                yield batch

    async def wait_for_mail(self, account: MailAccount, timeout_seconds: float) -> bool:
        """See MailReader.wait_for_mail. Watches INBOX; mail that came since the last reading counts at once."""
        desk = self._desk(account)
        ends_at = asyncio.get_running_loop().time() + timeout_seconds
        async with desk.watch.lock:
            try:
                return await self._watch(desk, account, ends_at)
            except Upstream as error:
                if error.error_code != imap_errors.CONNECTION_LOST:
                    raise
            return await self._watch(desk, account, ends_at)

    async def find_in_sent(self, account: MailAccount, message_id: str) -> str | None:
        """See MailReader.find_in_sent."""
        return await self._use(self._desk(account).work, account, lambda session: session.sent_id(message_id))

    async def append_to_sent(self, account: MailAccount, raw: bytes) -> bool:
        """See MailReader.append_to_sent. Never tried twice: the first try may have stored it."""
        if account.provider in _KEEPS_OWN_SENT_COPY or account.imap is None:
            return False
        slot = self._desk(account).work
        return await self._use(slot, account, lambda session: session.append_to_sent(raw), repeat=False)

    async def mark_seen(self, account: MailAccount, folder: str, uid: int) -> None:
        """See MailReader.mark_seen."""
        await self._use(self._desk(account).work, account, lambda session: session.mark_seen(folder, uid))

    async def close(self) -> None:
        """Ends all connections: with a goodbye where nothing is under way, at once elsewhere."""
        slots = [slot for desk in self._desks.values() for slot in (desk.work, desk.watch)]
        self._desks.clear()
        self._closed = True
        goodbyes: list[Coroutine[object, object, None]] = []
        for slot in slots:
            if slot.lock.locked() and slot.session is not None:
                slot.session.discard()
            else:
                goodbyes.append(self._leave(slot))
        await asyncio.gather(*goodbyes)
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._slow_threads.shutdown(wait=False, cancel_futures=True)

    async def _read_folder(
        self, account: MailAccount, reading: "_Reading", batch_size: int
    ) -> AsyncIterator[FolderBatch]:
        for _ in range(_RENUMBERINGS):
            try:
                scan = await self._scan(account, reading)
                if scan is None:
                    return
                async for batch in self._read_scan(account, reading, scan, batch_size):
                    yield batch
                return
            except UidValidityChanged:
                continue
        raise imap_errors.garbled()

    async def _scan(self, account: MailAccount, reading: "_Reading") -> Scan | None:
        """What to read in a folder; None for a junk folder that is listed but cannot be opened."""
        desk = self._desk(account)
        try:
            scan = await self._use(
                desk.work, account, lambda session: session.scan(reading.folder, reading.cursor, reading.since)
            )
        except Upstream as error:
            if reading.role == "junk" and error.error_code == imap_errors.REFUSED:
                return None
            raise
        if reading.role == "inbox":
            desk.inbox = replace(scan.state, uid_next=_uid_next(scan))
        return scan

    async def _read_scan(
        self, account: MailAccount, reading: "_Reading", scan: Scan, batch_size: int
    ) -> AsyncIterator[FolderBatch]:
        most_bytes = min(self._limits.batch_bytes, self._limits.max_message_bytes)
        for start in range(0, len(scan.uids), batch_size):
            measured = await self._measure(account, reading.folder, scan, scan.uids[start : start + batch_size])
            for group in groups_of(measured, most_bytes):
                mails = await self._fetch(account, reading.folder, scan, group)
                yield FolderBatch(reading.cursor_behind(scan, group[-1].uid), mails, scan.left.rescan)
        if scan.left.rescan:
            yield FolderBatch(reading.cursor_behind(scan, _uid_next(scan) - 1), (), rescan=True)

    async def _measure(self, account: MailAccount, folder: str, scan: Scan, uids: Sequence[int]) -> list[FetchAnswer]:
        slot, uid_validity = self._desk(account).work, scan.state.uid_validity
        return await self._use(slot, account, lambda session: session.measure(folder, uid_validity, uids))

    async def _fetch(
        self, account: MailAccount, folder: str, scan: Scan, group: Sequence[FetchAnswer]
    ) -> tuple[FetchedMail, ...]:
        slot, uid_validity = self._desk(account).work, scan.state.uid_validity
        return await self._use(slot, account, lambda session: session.fetch(folder, uid_validity, group))

    async def _watch(self, desk: _Desk, account: MailAccount, ends_at: float) -> bool:
        """Waits on the watch connection; its lock is held."""
        slot, before = desk.watch, desk.inbox
        loop = asyncio.get_running_loop()
        try:
            while True:
                session = await self._connected(slot, account)
                state, idling = await self._look(slot, session, before)
                news = before is not None and state.has_more_than(before)
                before = before or state
                seconds_left = max(0.0, ends_at - loop.time())
                if idling:
                    news = await self._idle(slot, session, min(seconds_left, self._limits.idle_seconds))
                elif not news:
                    await asyncio.sleep(min(seconds_left, self._limits.poll_seconds))
                if news or loop.time() >= ends_at:
                    return news
        finally:
            self._keep(slot)

    async def _look(self, slot: _Slot, session: ImapSession, before: FolderState | None) -> tuple[FolderState, bool]:
        return await self._in_thread(slot, session, lambda session: session.look_and_idle(before))

    async def _idle(self, slot: _Slot, session: ImapSession, seconds: float) -> bool:
        """Whether the server announced mail in that time."""
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        announced = False
        try:
            file_number = session.fileno()
            loop.add_reader(file_number, readable.set)
            try:
                async with asyncio.timeout(seconds):
                    while not (announced := session.mail_announced()):
                        readable.clear()
                        await readable.wait()
            except TimeoutError:
                pass
            finally:
                loop.remove_reader(file_number)
        except BaseException:
            self._discard(slot)
            raise
        await self._in_thread(slot, session, ImapSession.end_idle)
        return announced

    async def _use(self, slot: _Slot, account: MailAccount, work: Work[T], *, repeat: bool = True) -> T:
        """Does work on the slot's connection; if that is lost under way, once more on a new one. Raises: Upstream."""
        async with slot.lock:
            try:
                return await self._use_once(slot, account, work)
            except Upstream as error:
                if not repeat or error.error_code != imap_errors.CONNECTION_LOST:
                    raise
            return await self._use_once(slot, account, work)

    async def _use_once(self, slot: _Slot, account: MailAccount, work: Work[T]) -> T:
        session = await self._connected(slot, account)
        try:
            return await self._in_thread(slot, session, work)
        finally:
            self._keep(slot)

    async def _connected(self, slot: _Slot, account: MailAccount) -> ImapSession:
        """The kept connection if it still serves, else a new one, signed in."""
        if self._closed:
            raise imap_errors.connection_lost()
        if account.imap is None:
            raise imap_errors.not_configured()
        if slot.retirement is not None:
            slot.retirement.cancel()
        if slot.session is not None and await self._still_serves(slot, slot.session, account.imap):
            return slot.session
        self._discard(slot)
        target = await self._egress.address_of(account.imap.host, account.imap.port, ports=IMAP_PORTS)
        slot.session = session = ImapSession(target, account.imap, self._shared_tls_context, self._limits)
        await self._in_thread(slot, session, ImapSession.sign_in)
        return session

    async def _still_serves(self, slot: _Slot, session: ImapSession, access: ServerAccess) -> bool:
        if session.access != access:
            return False
        if session.is_stale(_TRUSTED_SECONDS):
            try:
                await self._in_thread(slot, session, ImapSession.prove_alive)
            except Upstream:
                return False
        return True

    async def _in_thread(self, slot: _Slot, session: ImapSession, work: Work[T]) -> T:
        """Runs work in a thread. Whatever leaves the connection in doubt, cancellation included, gives it up."""
        threads = self._slow_threads if slot.server_is_slow else self._threads
        try:
            result = await asyncio.get_running_loop().run_in_executor(threads, session.call, work)
        except UidValidityChanged:
            raise
        except Upstream as error:
            if error.error_code != imap_errors.REFUSED:
                self._discard(slot)
            slot.server_is_slow = error.error_code == imap_errors.TIMEOUT
            raise
        except BaseException:
            self._discard(slot)
            raise
        slot.server_is_slow = False
        return result

    def _desk(self, account: MailAccount) -> _Desk:
        return self._desks.setdefault((account.workspace_id, account.mailbox_id), _Desk())

    def _shared_tls_context(self) -> ssl.SSLContext:
        if self._tls_context is None:
            self._tls_context = self._make_tls_context()
        return self._tls_context

    def _discard(self, slot: _Slot) -> None:
        session, slot.session = slot.session, None
        if session is not None:
            session.discard()

    def _keep(self, slot: _Slot) -> None:
        """Lets the connection wait for more work, for a while."""
        if slot.retirement is not None:
            slot.retirement.cancel()
        if slot.session is not None:
            loop = asyncio.get_running_loop()
            slot.retirement = loop.call_later(self._limits.keep_seconds, self._retire, slot)

    def _retire(self, slot: _Slot) -> None:
        if slot.session is not None and not slot.lock.locked():
            session, slot.session = slot.session, None
            self._threads.submit(session.call, ImapSession.sign_out)

    async def _leave(self, slot: _Slot) -> None:
        if slot.retirement is not None:
            slot.retirement.cancel()
        session, slot.session = slot.session, None
        if session is not None:
            await asyncio.get_running_loop().run_in_executor(self._threads, session.call, ImapSession.sign_out)


@dataclass(frozen=True, slots=True)
class _Reading:
    """One folder to read, from where, and from when on if that is of no use."""

    folder: str
    role: FolderRole
    cursor: FolderCursor | None
    since: datetime

    def cursor_behind(self, scan: Scan, uid: int) -> FolderCursor:
        """The cursor to commit with the messages up to ``uid``."""
        return scan.left.cursor_behind(self.folder, self.role, uid)


def _uid_next(scan: Scan) -> int:
    """The first number behind everything that the scan found or passed over."""
    return max(scan.state.uid_next, scan.uids[-1] + 1) if scan.uids else scan.state.uid_next
