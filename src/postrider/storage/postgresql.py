"""PostgreSQL: a pool of threads and connections, READ COMMITTED, short retries where the server asks for one."""

import asyncio
import time
from collections.abc import Callable
from typing import Final, TypeVar

from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from postrider.storage.away import sqlstate
from postrider.storage.threads import ThreadPool

T = TypeVar("T")

CONNECTIONS: Final = 12
HOT_CONNECTIONS: Final = 4
"""Kept for markers, outcomes and events, so that they never wait for reads and operations."""
RETRIED_STATES: Final = frozenset({"40001", "40P01", "55P03", "25P03"})
"""Nothing was left behind, so it may simply run again: serialization_failure, deadlock_detected, lock_not_available,
and idle_in_transaction_session_timeout, for a session that was ended while idle had not been asked to commit."""
ATTEMPTS: Final = 5
OPTIONS: Final = "-c idle_in_transaction_session_timeout=10s -c lock_timeout=5s"
"""A process that is stopped in the middle of a transaction must not keep its locks, nor inherit those it waits for."""


class PostgresqlDatabase:
    """See Database. Several engine processes may share one server."""

    dialect_name = "postgresql"

    def __init__(self, url: str) -> None:
        self._engine = create_engine(
            url,
            pool_size=CONNECTIONS + HOT_CONNECTIONS,
            max_overflow=0,
            pool_pre_ping=True,
            isolation_level="READ COMMITTED",
            connect_args={"connect_timeout": 10, "application_name": "postrider", "options": OPTIONS},
        )
        self._threads = ThreadPool(CONNECTIONS, "postgresql")
        self._hot_threads = ThreadPool(HOT_CONNECTIONS, "postgresql-hot")

    async def read(self, work: Callable[[Session], T], *, short: bool = False) -> T:
        """See Database.read. A way to the server and back is never short."""

        def run() -> T:
            # At the end rows leave the session as they are, so that the caller can read them: a rollback expires them.
            with Session(self._engine, expire_on_commit=False) as session:
                return work(session)

        return await self._in_thread(run)

    async def write(self, work: Callable[[Session], T]) -> T:
        """See Database.write."""

        def run() -> T:
            with Session(self._engine, expire_on_commit=False) as session, session.begin():
                return work(session)

        return await self._in_thread(run)

    async def hot(self, work: Callable[[Connection], T], *, urgent: bool = False) -> T:
        """See Database.hot. Each job has its own transaction and waits for other hot jobs only, ``urgent`` or not."""

        def run() -> T:
            with self._engine.begin() as connection:
                return work(connection)

        return await self._hot_threads.run(lambda: _retrying(run))

    async def close(self) -> None:
        """See Database.close."""
        await asyncio.to_thread(self._threads.close)
        await asyncio.to_thread(self._hot_threads.close)
        self._engine.dispose()

    async def _in_thread(self, run: Callable[[], T]) -> T:
        return await self._threads.run(lambda: _retrying(run))


def _retrying(run: Callable[[], T]) -> T:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return run()
        except DBAPIError as error:
            if sqlstate(error) not in RETRIED_STATES or attempt == ATTEMPTS:
                raise
            time.sleep(0.005 * attempt)
    raise AssertionError("unreachable")
