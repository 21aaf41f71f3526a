"""A client of /v1 on SQLite, with the sample operations."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from postrider.settings import Settings, load_settings
from tests.conftest import Installation
from tests.contract.rest_world import rest_client


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """SQLite only: the door does not know which database there is."""
    return load_settings({"POSTRIDER_DATA_DIR": str(tmp_path / "data")})


@pytest.fixture
async def client(installation: Installation) -> AsyncIterator[httpx.AsyncClient]:
    """With Ann's workspace key."""
    async with rest_client(installation) as opened:
        yield opened
