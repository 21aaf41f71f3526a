"""One host for all engine processes of a run, and a world on both databases."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from postrider.settings import Settings
from tests.engine.crash.crash_world import CrashWorld, crash_world
from tests.engine.crash.engine_process import EngineHost, engine_host


@pytest.fixture(scope="session")
def host() -> Iterator[EngineHost]:
    """Starts engine processes."""
    with engine_host() as running:
        yield running


@pytest.fixture
def crash_settings(settings: Settings) -> Settings:
    """Both databases, with a lease as short as an engine can keep on a busy machine."""
    return replace(settings, engine_lease_seconds=2)


@pytest.fixture
async def crash(crash_settings: Settings, host: EngineHost, tmp_path: Path) -> AsyncIterator[CrashWorld]:
    """A campaign of one email over two mailboxes to eight leads; no engine runs yet."""
    async with crash_world(crash_settings, host, tmp_path) as world:
        yield world
