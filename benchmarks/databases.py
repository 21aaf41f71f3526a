"""Fresh databases for benchmarks: a SQLite file, or a PostgreSQL database that is dropped at the end."""

import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from postrider.settings import Settings, load_settings
from postrider.storage.schema import upgrade_schema

Kind = Literal["sqlite", "postgresql"]
KINDS: Final[tuple[Kind, ...]] = ("sqlite", "postgresql")
POSTGRES: Final = os.environ.get("POSTRIDER_TEST_POSTGRES_URL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres")


@contextmanager
def fresh_settings(kind: Kind) -> Iterator[Settings]:
    """Settings on a new database at the newest revision, until the end of the block."""
    with tempfile.TemporaryDirectory() as folder:
        if kind == "sqlite":
            yield _migrated({"POSTRIDER_DATA_DIR": str(Path(folder) / "data")})
            return
        name = f"pr_bench_{uuid.uuid4().hex[:12]}"
        _run(f"CREATE DATABASE {name}")
        try:
            url = POSTGRES.rsplit("/", 1)[0] + "/" + name
            yield _migrated({"POSTRIDER_DATA_DIR": str(Path(folder) / "data"), "POSTRIDER_DATABASE_URL": url})
        finally:
            _run(f"DROP DATABASE {name} WITH (FORCE)")


def _migrated(environment: dict[str, str]) -> Settings:
    settings = load_settings(environment)
    upgrade_schema(settings)
    return settings


def _run(statement: str) -> None:
    engine = create_engine(POSTGRES, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
