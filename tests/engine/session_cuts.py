"""Sessions that PostgreSQL ends in the middle of a transaction, as it does after a pause and when it is shut down."""

import select
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Engine, event

How = Literal["idle", "terminated"]
"""idle: the transaction was idle for longer than the server allows. terminated: an administrator ended the session."""

_END = {
    "idle": "SET LOCAL idle_in_transaction_session_timeout = '1ms'",
    "terminated": "SELECT pg_terminate_backend(pg_backend_pid())",
}
DEADLINE_SECONDS = 10


@dataclass
class SessionCuts:
    """Ends the session of each transaction that has written such rows, just before its commit, ``left`` times.

    ``rows``: a table and a condition on what was written, such as ``attempts WHERE state = 'sent'``. With
    ``statement``, the session ends before the first statement that contains it instead.
    """

    how: How
    left: int
    rows: str = ""
    statement: str = ""
    done: int = 0

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Cuts sessions for the duration."""
        event.listen(Engine, "commit", self._before_commit)
        event.listen(Engine, "before_cursor_execute", self._before_statement)
        try:
            yield
        finally:
            event.remove(Engine, "commit", self._before_commit)
            event.remove(Engine, "before_cursor_execute", self._before_statement)

    def _before_commit(self, connection: Connection) -> None:
        if self.rows and self.left and connection.dialect.name == "postgresql":
            # Of this transaction only: rows that a savepoint wrote bear another number.
            mine = f"SELECT count(*) FROM {self.rows} AND xmin = pg_current_xact_id_if_assigned()::xid"
            if _driver(connection).execute(mine).fetchone()[0]:
                self._cut(connection)

    def _before_statement(self, connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if self.statement and self.left and self.statement in statement:
            self._cut(connection)

    def _cut(self, connection: Connection) -> None:
        self.left -= 1
        self.done += 1
        driver = _driver(connection)
        try:
            driver.execute(_END[self.how])
        except driver_error(connection):
            return
        # The server says so before it hangs up: there is something to read.
        assert select.select([driver.fileno()], [], [], DEADLINE_SECONDS)[0], "the session goes on"


def driver_error(connection: Connection) -> type[Exception]:
    """What the driver raises."""
    found: type[Exception] = connection.dialect.loaded_dbapi.Error
    return found


def _driver(connection: Connection) -> Any:
    return connection.connection.dbapi_connection
