"""A browser for each module, and results that are recorded once."""

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from tests.views.browser import Chromium, Host, chromium, host_in
from tests.views.results import Recorded, record


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def results(prepared_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Recorded]:
    """Real results of tools, by a name for each."""
    return anyio.run(record, prepared_sqlite, tmp_path_factory.mktemp("views") / "data")


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Chromium]:
    async with chromium() as running:
        yield running


@pytest.fixture(scope="module")
async def wide_host(browser: Chromium) -> AsyncIterator[Host]:
    async with host_in(browser) as shown:
        yield shown


@pytest.fixture
def host(wide_host: Host) -> Host:
    """A host on a wide screen, which has seen nothing yet."""
    wide_host.forget()
    return wide_host
