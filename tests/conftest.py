"""What every suite shares: both databases, and an application on each."""

import os
import shutil
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from postrider.access.queries import NewOwner, create_owner
from postrider.app import App, build
from postrider.dispatch import Call
from postrider.kernel.clock import VirtualClock
from postrider.kernel.context import ALL_SCOPES, Actor
from postrider.settings import Settings, load_settings
from postrider.storage.base import Base
from postrider.storage.schema import upgrade_schema

pytest_plugins = ["tests.witness.plugin"]

POSTGRES = os.environ.get("POSTRIDER_TEST_POSTGRES_URL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres")
START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
"""A Monday morning."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def _on_server(statement: str) -> None:
    engine = create_engine(POSTGRES, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))


@contextmanager
def _database() -> Iterator[str]:
    """A fresh, empty database on the test server."""
    name = f"pr_test_{uuid.uuid4().hex[:12]}"
    _on_server(f"CREATE DATABASE {name}")
    yield POSTGRES.rsplit("/", 1)[0] + "/" + name
    _on_server(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """A fresh, empty database on the test server."""
    with _database() as url:
        yield url


@pytest.fixture(scope="session")
def shared_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One database with the schema for all tests of this process: creating one for each takes most of a second."""
    with _database() as url:
        folder = str(tmp_path_factory.mktemp("schema"))
        upgrade_schema(load_settings({"POSTRIDER_DATA_DIR": folder, "POSTRIDER_DATABASE_URL": url}))
        yield url


@pytest.fixture
def empty_postgres(shared_postgres: str) -> Iterator[str]:
    """The shared database with empty tables; whatever a test leaves connected is cut off."""
    yield shared_postgres
    name = shared_postgres.rpartition("/")[2]
    _on_server(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    engine = create_engine(shared_postgres, poolclass=NullPool)
    with engine.begin() as connection:
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(table.delete())


@pytest.fixture(scope="session")
def prepared_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the schema, to be copied."""
    prepared = load_settings({"POSTRIDER_DATA_DIR": str(tmp_path_factory.mktemp("sqlite"))})
    upgrade_schema(prepared)
    return prepared.sqlite_path


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings on a fresh SQLite file and, in a second run, on empty PostgreSQL tables."""
    environment = {"POSTRIDER_DATA_DIR": str(tmp_path / "data"), "POSTRIDER_ENGINE_LEASE_SECONDS": "2"}
    if request.param == "postgresql":
        environment["POSTRIDER_DATABASE_URL"] = request.getfixturevalue("empty_postgres")
        return load_settings(environment)
    loaded = load_settings(environment)
    loaded.data_dir.mkdir(mode=0o700)
    shutil.copy2(request.getfixturevalue("prepared_sqlite"), loaded.sqlite_path)
    return loaded


@dataclass
class Installation:
    """An application with two workspaces, owned by two people, on a clock that the test moves."""

    app: App
    clock: VirtualClock
    ann: NewOwner
    bob: NewOwner

    @classmethod
    async def on(cls, app: App, clock: VirtualClock | None = None) -> "Installation":
        pepper, now = app.vault.derive("api-keys"), app.clock.now()
        ann = await app.database.write(lambda s: create_owner(s, pepper, "ann@ann.test", "Ann", "Ann's", now))
        bob = await app.database.write(lambda s: create_owner(s, pepper, "bob@bob.test", "Bob", "Bob's", now))
        return cls(app, clock or VirtualClock(now), ann, bob)

    def actor(self, owner: NewOwner | None = None) -> Actor:
        who = owner or self.ann
        return Actor("workspace_key", "key_test", who.user_id, who.workspace_id, ALL_SCOPES, "free", "v1")

    async def call(self, operation: str, *, owner: Any = None, **arguments: Any) -> Any:
        """The operation's output as a client sees it (camelCase JSON values)."""
        answer = await self.app.dispatcher.call(Call(operation, arguments, self.actor(owner)))
        return answer.output.model_dump(mode="json", by_alias=True)


PortsFactory = Callable[[], dict[type, object]]


@pytest.fixture
def ports() -> dict[type, object]:
    """Adapters for the ports; suites that need the outside world override this."""
    return {}


@pytest.fixture
async def installation(settings: Settings, ports: dict[type, object]) -> AsyncIterator[Installation]:
    clock = VirtualClock(START)
    app = build(settings, clock=clock, ports=ports)
    yield await Installation.on(app, clock)
    await app.close()
