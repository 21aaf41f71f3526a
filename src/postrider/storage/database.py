"""The one way to the data: ``read``, ``write`` and ``hot``, each one transaction in a thread of its own."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from postrider.settings import Settings

T = TypeVar("T")


class Database(Protocol):
    """What SQLite and PostgreSQL both offer. ``dialect_name`` is sqlite or postgresql."""

    dialect_name: str

    async def read(self, work: Callable[[Session], T], *, short: bool = False) -> T:
        """Runs ``work`` on a snapshot; what it changes is thrown away.

        ``short``: it hardly ever takes longer than a hop to a thread and back, and may be run twice.
        """
        ...

    async def write(self, work: Callable[[Session], T]) -> T:
        """Runs ``work`` in one bounded transaction (at most 50 ms; longer work is a job) and commits it."""
        ...

    async def hot(self, work: Callable[[Connection], T], *, urgent: bool = False) -> T:
        """Runs a few prebuilt Core statements (at most 5 ms); may share a commit. ``urgent`` (markers) goes first.

        ``work`` may be run twice before it counts, so it does nothing but read and write rows. The result is handed
        out only after COMMIT.
        """
        ...

    async def close(self) -> None:
        """Finishes what is under way and closes every connection."""
        ...


def open_database(settings: Settings) -> Database:
    """The database that ``settings`` names; connections are opened on first use."""
    if settings.database_url is not None and settings.database_url.startswith("postgresql"):
        from postrider.storage.postgresql import PostgresqlDatabase

        return PostgresqlDatabase(settings.database_url)
    from postrider.storage.sqlite import SqliteDatabase

    if settings.database_url is not None:
        return SqliteDatabase(settings.database_url.removeprefix("sqlite:///"))
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    return SqliteDatabase(str(settings.sqlite_path))
