"""The database's shape: which revision it has, and how it gets to the one this program needs."""

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.pool import NullPool, StaticPool

from postrider.settings import Settings
from postrider.storage.sqlite import make_engine

if TYPE_CHECKING:
    from alembic.config import Config

HEAD: Final = "0002"
"""The newest revision; a test holds it against the migration files. Named here because importing alembic is slow."""

MIGRATIONS: Final = Path(__file__).parent / "migrations"
_POSTGRESQL_LOCK: Final = 0x706F7374


class SchemaError(RuntimeError):
    """The database does not fit this program; the text says what to do."""


def prepare_schema(settings: Settings) -> None:
    """Makes sure the database can be used: SQLite upgrades itself (after a copy), PostgreSQL must be at the head.

    Raises: SchemaError when PostgreSQL is behind, or either is newer than this program.
    """
    revision = read_revision(settings)
    if revision == HEAD:
        return
    if revision is not None and revision not in known_revisions():
        raise SchemaError(
            f"The database has revision {revision}, this program knows {HEAD} at most: "
            "it was upgraded by a newer Postrider. Install that version, or restore the copy made before the upgrade."
        )
    if is_postgresql(settings):
        state = "is empty" if revision is None else f"has revision {revision}"
        raise SchemaError(f"The PostgreSQL database {state}; {HEAD} is needed. Run: postrider db upgrade")
    upgrade_schema(settings)


def is_postgresql(settings: Settings) -> bool:
    """Whether the settings name a PostgreSQL server."""
    return settings.database_url is not None and settings.database_url.startswith("postgresql")


def read_revision(settings: Settings) -> str | None:
    """The revision that the database has now, None when it has no tables yet."""
    path = sqlite_path(settings)
    if path is not None:
        return _sqlite_revision(path)
    assert settings.database_url is not None
    engine = create_engine(settings.database_url, poolclass=NullPool)
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def sqlite_path(settings: Settings) -> Path | None:
    """The SQLite file, or None on PostgreSQL."""
    if is_postgresql(settings):
        return None
    if settings.database_url is not None:
        return Path(settings.database_url.removeprefix("sqlite:///"))
    return settings.sqlite_path


def _sqlite_revision(path: Path) -> str | None:
    if not path.exists() or path.stat().st_size == 0:
        return None
    connection = sqlite3.connect(path, timeout=10)
    try:
        found = connection.execute("SELECT name FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone() if found else None
        return str(row[0]) if row else None
    finally:
        connection.close()


def known_revisions() -> set[str]:
    """Every revision that this program has a migration for."""
    return {path.name[:4] for path in (MIGRATIONS / "versions").glob("[0-9]*.py")}


def upgrade_schema(settings: Settings) -> str | None:
    """Brings the database to HEAD and gives back the revision it had. A SQLite file is copied aside first."""
    path = sqlite_path(settings)
    if path is None:
        return _upgrade_postgresql(settings)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    before = _sqlite_revision(path)
    if before is not None:
        _copy_aside(path, before)
    else:
        path.touch(mode=0o600)
    # BEGIN IMMEDIATE: of two processes that start at once, the second waits and finds the work done.
    engine = make_engine(str(path), begin="BEGIN IMMEDIATE", pool=StaticPool, size=1)
    with engine.begin() as connection:
        _run(connection)
    engine.dispose()
    return before


def _upgrade_postgresql(settings: Settings) -> str | None:
    assert settings.database_url is not None
    before = read_revision(settings)
    engine = create_engine(settings.database_url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _POSTGRESQL_LOCK})
        _run(connection)
    return before


def _copy_aside(path: Path, revision: str) -> None:
    """A consistent copy next to the file, named after the revision it holds."""
    target = path.with_name(f"{path.name}.before-{HEAD}-was-{revision}")
    source = sqlite3.connect(path, timeout=10)
    copy = sqlite3.connect(target)
    try:
        source.backup(copy)
    finally:
        copy.close()
        source.close()
    target.chmod(0o600)


def alembic_config(connection: Connection) -> "Config":
    """Alembic's configuration for the migrations in this package, on an open connection."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def _run(connection: Connection) -> None:
    from alembic import command

    command.upgrade(alembic_config(connection), "head")
