"""What the image asks a running server, to tell whether the container is well."""

import subprocess
import sys
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import anyio
import pytest
from scripts.generated import ROOT
from sqlalchemy import text
from starlette.types import ASGIApp

from postrider.doors.http import Binding, http_app
from postrider.settings import Settings, load_settings
from tests.clients.loopback import served
from tests.conftest import Installation

CHECK: Final = [sys.executable, str(ROOT / "deploy/healthcheck.py")]
SECONDS: Final = 60


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """SQLite only: what is asked does not depend on the database."""
    return load_settings({"POSTRIDER_DATA_DIR": str(tmp_path / "data")})


async def checked(installation: Installation, *, engine: bool) -> subprocess.CompletedProcess[bytes]:
    """How the check ends for a server in whose process no engine runs. ``engine``: whether one should."""

    def make(port: int) -> ASGIApp:
        return http_app(installation.app, Binding(port=port, engine=engine))

    with anyio.fail_after(SECONDS):
        async with served(make, installation.ann.workspace_key.reveal()) as address:
            return await anyio.run_process([*CHECK, str(urlsplit(address).port)], check=False)


async def test_a_server_whose_database_answers_is_well(installation: Installation) -> None:
    ended = await checked(installation, engine=False)
    assert (ended.returncode, ended.stderr) == (0, b"")


async def test_a_server_without_the_engine_that_it_should_have_is_not_well(installation: Installation) -> None:
    ended = await checked(installation, engine=True)
    assert ended.returncode == 1 and b"status 503" in ended.stderr and b'"alive":false' in ended.stderr


async def test_a_server_whose_schema_is_an_older_one_is_not_well(installation: Installation) -> None:
    older = text("UPDATE alembic_version SET version_num = '0000'")
    await installation.app.database.write(lambda session: session.execute(older))
    ended = await checked(installation, engine=False)
    assert ended.returncode == 1 and b"revision 0000" in ended.stderr
