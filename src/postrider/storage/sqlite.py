"""SQLite: many readers, and one writer thread with two lanes.

Operations run one transaction per job. Hot jobs (markers, outcomes, events) share a commit: so one fsync serves many,
and one that fails is undone alone. A hot job may be run twice before it counts, so it does nothing but read and write
rows. No result leaves before COMMIT.
"""

import asyncio
import os
import sqlite3
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar, cast

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool, StaticPool

from postrider.storage.threads import Job, ThreadPool, resolve

T = TypeVar("T")

READERS: Final = 4
PATIENCE_SECONDS: Final = 0.002
"""A read that has waited so long gets a reader of its own."""

SHORT_SECONDS: Final = 0.001
"""What a short read may take in SQLite before it goes to a thread."""

_STEPS_BETWEEN_LOOKS: Final = 1_000
"""Of SQLite's machine, a few hundredths of a millisecond; it counts on from one run of a statement to the next."""

GROUP_LIMIT: Final = 64
BUSY_TIMEOUT_MS: Final = 10_000
CHECKPOINT_PAGES: Final = 4_000
"""The WAL is copied back at 16 MB: a send writes the same pages several times, and the copy takes only the last."""


class _NotShort(Exception):
    """A read is better done in a thread, where it may take its time."""


class _JobFailed(Exception):
    """One job of a group has failed, so that nothing of the group was committed."""


def make_engine(path: str, *, begin: str, pool: type[QueuePool] | type[StaticPool], size: int) -> Engine:
    """An engine on the file at ``path`` whose transactions start with ``begin``."""
    options: dict[str, object] = {"pool_size": size, "max_overflow": 0} if pool is QueuePool else {}
    engine = create_engine(
        f"sqlite:///{path}",
        poolclass=pool,
        connect_args={"check_same_thread": False, "isolation_level": None, "timeout": BUSY_TIMEOUT_MS / 1000},
        **options,
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_TIMEOUT_MS}"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.execute("PRAGMA cache_size=-65536")
        cursor.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        if sys.platform == "darwin":
            cursor.execute("PRAGMA fullfsync=1")
        cursor.close()

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        if begin == "BEGIN":
            # It touches no file, so no error needs translating; through SQLAlchemy it costs more than a small SELECT.
            cast("sqlite3.Connection", connection.connection.dbapi_connection).execute(begin)
        else:
            connection.exec_driver_sql(begin)

    return engine


class SqliteDatabase:
    """See Database. One process may hold many of these, on different files."""

    dialect_name = "sqlite"

    def __init__(self, path: str) -> None:
        self._path = path
        if path != ":memory:" and not os.path.exists(path):
            # Created here with tight permissions: the database holds addresses and mail.
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._reading = make_engine(path, begin="BEGIN", pool=QueuePool, size=READERS + 1)
        self._writing = make_engine(path, begin="BEGIN IMMEDIATE", pool=StaticPool, size=1)
        self._readers = ThreadPool(READERS, "sqlite-read", PATIENCE_SECONDS)
        self._kept: dict[int, Connection] = {}
        self._loop_thread: int | None = None
        self._short_until = 0.0
        self._urgent: deque[Job] = deque()
        self._hot: deque[Job] = deque()
        self._operations: deque[Job] = deque()
        self._condition = threading.Condition()
        self._closing = False
        self._writer = threading.Thread(target=self._write_loop, name="sqlite-write", daemon=True)
        self._writer.start()

    async def read(self, work: Callable[[Session], T], *, short: bool = False) -> T:
        """See Database.read. A short one runs right here, and in a thread only where it turns out not to be short."""
        if short and not self._closing:
            with suppress(_NotShort):
                return self._read_here(work)
        return await self._readers.run(lambda: self._read(work))

    async def write(self, work: Callable[[Session], T]) -> T:
        """See Database.write."""
        result: T = await self._enqueue(self._operations, work)
        return result

    async def hot(self, work: Callable[[Connection], T], *, urgent: bool = False) -> T:
        """See Database.hot."""
        result: T = await self._enqueue(self._urgent if urgent else self._hot, work)
        return result

    async def close(self) -> None:
        """See Database.close."""
        with self._condition:
            self._closing = True
            self._condition.notify()
        await asyncio.to_thread(self._writer.join)
        await asyncio.to_thread(self._readers.close)
        for connection in self._kept.values():
            connection.close()
        self._reading.dispose()
        self._writing.dispose()

    def _read_here(self, work: Callable[[Session], T]) -> T:
        """Runs on the event loop that was first to ask for a short read, for SHORT_SECONDS in SQLite, and waits for
        nobody.

        Raises: _NotShort; whatever ``work`` raises.
        """
        thread = threading.get_ident()
        if self._loop_thread is None:
            self._loop_thread = thread
        if self._loop_thread != thread:
            raise _NotShort
        if thread not in self._kept:
            connection = self._kept[thread] = self._reading.connect()
            raw = cast("sqlite3.Connection", connection.connection.dbapi_connection)
            raw.set_progress_handler(self._break_off, _STEPS_BETWEEN_LOOKS)
            raw.execute("PRAGMA busy_timeout=0")
        self._short_until = time.perf_counter() + SHORT_SECONDS
        try:
            return self._read(work)
        except (OperationalError, sqlite3.OperationalError) as error:
            cause = error.orig if isinstance(error, OperationalError) else error
            if getattr(cause, "sqlite_errorcode", None) in (sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_BUSY):
                raise _NotShort from None
            raise

    def _break_off(self) -> bool:
        """Whether SQLite is to end the statement; it asks now and then."""
        return time.perf_counter() > self._short_until

    def _read(self, work: Callable[[Session], T]) -> T:
        """Runs in a reader's thread, on the connection that it keeps: to take one costs as much as a small read."""
        thread = threading.get_ident()
        connection = self._kept.get(thread)
        if connection is None:
            connection = self._kept[thread] = self._reading.connect()
        try:
            # At the end rows leave the session as they are, so that the caller can read them: a rollback expires them.
            with Session(connection, expire_on_commit=False) as session:
                return work(session)
        finally:
            if connection.in_transaction():
                # What could not be ended would show its old snapshot for ever.
                del self._kept[thread]
                connection.invalidate()
                connection.close()

    async def _enqueue(self, lane: "deque[Job]", work: Callable[..., Any]) -> Any:
        job = Job.of(work)
        with self._condition:
            if self._closing:
                raise RuntimeError("the database is closed")
            lane.append(job)
            self._condition.notify()
        return await job.future

    def _write_loop(self) -> None:
        while True:
            with self._condition:
                while not (self._urgent or self._hot or self._operations or self._closing):
                    self._condition.wait()
                group = self._take_group()
                operation = self._operations.popleft() if self._operations else None
                if not group and operation is None:
                    return
            # One group, then one operation: neither lane can starve the other.
            if group:
                self._run_group(group)
                resolve(group)
            if operation is not None:
                self._run_operation(operation)
                resolve([operation])

    def _take_group(self) -> list[Job]:
        group: list[Job] = []
        for lane in (self._urgent, self._hot):
            while lane and len(group) < GROUP_LIMIT:
                group.append(lane.popleft())
        return group

    def _run_operation(self, job: Job) -> None:
        try:
            with Session(self._writing, expire_on_commit=False) as session, session.begin():
                job.result = job.work(session)
        except BaseException as error:
            job.error = error

    def _run_group(self, group: Sequence[Job]) -> None:
        """Runs all jobs in one transaction, so that one commit serves them all.

        Hardly ever does one fail: only then is everything rolled back and done again, with a SAVEPOINT for each job.
        """
        try:
            with self._writing.connect() as connection, connection.begin():
                _run_all(connection, group)
        except _JobFailed:
            self._run_apart(group)
        except BaseException as error:
            _fail(group, error)

    def _run_apart(self, group: Sequence[Job]) -> None:
        """Runs each job in its own SAVEPOINT, so that one that fails takes nothing with it, and commits once.

        Some errors (SQLITE_FULL, SQLITE_IOERR) roll the whole transaction back: then every job of the group has failed.
        """
        try:
            with self._writing.connect() as connection, connection.begin():
                for job in group:
                    self._run_in_savepoint(connection, job)
        except BaseException as error:
            _fail(group, error)

    @staticmethod
    def _run_in_savepoint(connection: Connection, job: Job) -> None:
        raw = cast("sqlite3.Connection", connection.connection.dbapi_connection)
        raw.execute("SAVEPOINT job")
        try:
            job.result = job.work(connection)
            raw.execute("RELEASE job")
        except BaseException as error:
            job.error = error
            if not raw.in_transaction:
                raise
            raw.execute("ROLLBACK TO job")
            raw.execute("RELEASE job")


def _run_all(connection: Connection, group: Sequence[Job]) -> None:
    try:
        for job in group:
            job.result = job.work(connection)
    except Exception as error:
        raise _JobFailed from error


def _fail(jobs: Sequence[Job], error: BaseException) -> None:
    for job in jobs:
        job.result, job.error = None, job.error or error
