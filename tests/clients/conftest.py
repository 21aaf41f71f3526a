"""What the tests of this folder speak to: an application of their own, and a server that runs as in production."""

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from postrider.access.queries import create_owner
from postrider.app import App, build
from postrider.settings import load_settings
from tests.clients.nodejs import Node
from tests.e2e.test_serve import init, server


@dataclass(frozen=True)
class Owned:
    """An application, and the key of its owner."""

    app: App
    key: str


@dataclass(frozen=True)
class Installed:
    """An installation on disk, as `postrider init` made it. ``environment``: what a process needs to open it."""

    environment: dict[str, str]
    key: str


@dataclass(frozen=True)
class Serving:
    """A running server, by its address and the key of its owner."""

    url: str
    key: str


def environment_of(home: Path) -> dict[str, str]:
    """What a process needs to work in ``home``, and in no installation of this machine."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("POSTRIDER_")}
    return kept | {"POSTRIDER_DATA_DIR": str(home / "data"), "HOME": str(home)}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """Node in a home of its own. Whatever it ran has kept to loopback."""
    started = Node(tmp_path / "node")
    yield started
    assert started.refused() == []


@pytest.fixture
async def owned(tmp_path: Path, prepared_sqlite: Path) -> AsyncIterator[Owned]:
    """An application on SQLite, with one owner."""
    settings = load_settings({"POSTRIDER_DATA_DIR": str(tmp_path / "data")})
    settings.data_dir.mkdir(mode=0o700)
    shutil.copy2(prepared_sqlite, settings.sqlite_path)
    app = build(settings)
    pepper, now = app.vault.derive("api-keys"), app.clock.now()
    owner = await app.database.write(lambda s: create_owner(s, pepper, "ann@ann.test", "Ann", "Ann's", now))
    yield Owned(app, owner.workspace_key.reveal())
    await app.close()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """An installation for the tests of one file."""
    environment = environment_of(tmp_path_factory.mktemp("installation"))
    return Installed(environment, init(environment)["workspaceKey"])


@pytest.fixture(scope="module")
def serving(installed: Installed) -> Iterator[Serving]:
    """A server as in production, for the tests of one file."""
    with server(installed.environment) as (_, address):
        yield Serving(f"{address}/mcp", installed.key)
