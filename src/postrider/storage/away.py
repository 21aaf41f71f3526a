"""Which errors are the database's own: it cannot be reached, or has ended the session, and may soon be back."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

log = structlog.get_logger(__name__)

_STATES: Final = frozenset({"25006", "25P03", "25P04"})
"""read_only_sql_transaction (a standby answers), and transactions that were idle or open for too long."""
_PAUSE_SECONDS: Final = 0.2
_PAUSE_MOST_SECONDS: Final = 10.0
_SHUTDOWNS: Final = "57P"
"""admin_shutdown, crash_shutdown, cannot_connect_now and their like."""


def is_away(error: BaseException) -> bool:
    """Whether ``error`` is the database's trouble rather than that of what was asked of it, so that asking again helps.

    A transaction that failed so may have been committed if it failed in its commit.
    """
    if isinstance(error, OperationalError | InterfaceError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    state = sqlstate(error) or ""
    return error.connection_invalidated or state in _STATES or state.startswith(_SHUTDOWNS)


def sqlstate(error: DBAPIError) -> str | None:
    """The SQLSTATE that PostgreSQL gave the error; None when it did not come from there."""
    state = getattr(error.orig, "sqlstate", None)
    return state if isinstance(state, str) else None


async def insist(write: Callable[[], Awaitable[object]], event: str, **details: object) -> None:
    """Writes, however long the database is away; ``event`` is logged each time. ``write`` may have been done before."""
    pause = _PAUSE_SECONDS
    while True:
        try:
            await write()
        except DBAPIError as error:
            if not is_away(error):
                raise
            log.warning(event, exc_info=True, **details)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _PAUSE_MOST_SECONDS)
        else:
            return
