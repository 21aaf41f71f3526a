"""Long operations through real clients: how far they are is told, and what is taken back stops between two batches."""

import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import anyio
import pytest
from mcp import StdioServerParameters
from mcp.client import Client
from mcp.client.client import ConnectMode

from postrider.settings import Settings, load_settings
from tests.conftest import Installation
from tests.e2e.mcp_rig import ERAS, served
from tests.features.lead_rig import SEQUENCE
from tests.witness.listening import listened_to

BATCH: Final = 500
MANY: Final = 5_000
SECONDS: Final = 120
Connect = Callable[[ConnectMode], AbstractAsyncContextManager[Client]]
Report = tuple[float, float | None, str | None]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The door is the same on every database: here on SQLite."""
    return load_settings({"POSTRIDER_DATA_DIR": str(tmp_path / "http")})


@pytest.fixture
def over_http(installation: Installation) -> Connect:
    """A client of a server on loopback."""

    @asynccontextmanager
    async def connect(era: ConnectMode) -> AsyncIterator[Client]:
        async with served(installation.app) as server:
            async with server.client(installation.ann.workspace_key.reveal(), era) as client:
                yield client

    return connect


@pytest.fixture
def over_stdio(tmp_path: Path) -> Connect:
    """A client that starts ``postrider stdio`` itself."""
    environment = {"POSTRIDER_DATA_DIR": str(tmp_path / "stdio"), "HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    arguments = ["-m", "postrider", "stdio"]
    command = StdioServerParameters(command=sys.executable, args=arguments, env=listened_to(environment))
    return lambda era: Client(command, mode=era)


@pytest.fixture(params=["over_http", "over_stdio"])
def connect(request: pytest.FixtureRequest) -> Connect:
    """By each way in."""
    way: Connect = request.getfixturevalue(request.param)
    return way


class Reports:
    """What a client is told of a call, one after the other."""

    def __init__(self) -> None:
        self.heard: list[Report] = []
        self.first = anyio.Event()

    async def __call__(self, progress: float, total: float | None, message: str | None) -> None:
        self.heard.append((progress, total, message))
        self.first.set()


async def output(client: Client, tool: str, arguments: dict[str, Any], reports: Reports | None = None) -> Any:
    result = await client.call_tool(tool, arguments, progress_callback=reports)
    assert not result.is_error, result.content
    return result.structured_content


async def new_campaign(client: Client) -> str:
    made = await output(client, "create_campaign", {"name": "Spring", "sequence": SEQUENCE})
    return str(made["id"])


def people(count: int) -> list[dict[str, str]]:
    return [{"email": f"person{number}@company.test"} for number in range(count)]


@pytest.mark.parametrize("era", ERAS)
async def test_whoever_adds_many_leads_is_told_how_far_it_is(era: ConnectMode, connect: Connect) -> None:
    reports = Reports()
    with anyio.fail_after(SECONDS):
        async with connect(era) as client:
            arguments = {"id": await new_campaign(client), "leads": people(2 * BATCH + 1)}
            added = await output(client, "add_leads_to_campaign", arguments, reports)
    assert added["added"] == 1_001
    assert reports.heard == [(done, 1_001, "Adding leads") for done in (500, 1_000, 1_001)]


@pytest.mark.parametrize("era", ERAS)
async def test_whoever_imports_a_file_is_told_how_much_of_it_is_read(era: ConnectMode, connect: Connect) -> None:
    reports, rows = Reports(), [f"p{number}@x.test" for number in range(7_000)]
    with anyio.fail_after(SECONDS):
        async with connect(era) as client:
            started = await output(client, "import_leads_csv", {"csv": "\n".join(["email", *rows])}, reports)
    assert started["total"] == 7_000
    assert reports.heard == [(5_000, None, "Reading the file"), (7_000, None, "Reading the file")]


@pytest.mark.parametrize("era", ERAS)
async def test_a_call_that_is_taken_back_leaves_whole_batches_and_the_connection(
    era: ConnectMode, connect: Connect
) -> None:
    reports = Reports()
    with anyio.fail_after(SECONDS):
        async with connect(era) as client:
            campaign_id = await new_campaign(client)
            arguments = {"id": campaign_id, "leads": people(MANY)}
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(output, client, "add_leads_to_campaign", arguments, reports)
                await reports.first.wait()
                tasks.cancel_scope.cancel()
            ends = await ended(client)
            leads = (await output(client, "list_leads", {"limit": 1}))["total"]
            enrolled = (await output(client, "list_campaign_leads", {"id": campaign_id, "limit": 1}))["total"]
            again = await output(client, "add_leads_to_campaign", arguments)
    assert [(end["outcome"], end["errorCode"]) for end in ends] == [("failed", "CANCELLED")]
    assert leads == enrolled and leads % BATCH == 0 and 0 < leads < MANY, "each batch whole or not at all"
    assert (again["added"], again["skipped"]) == (MANY - leads, leads)


async def ended(client: Client) -> list[dict[str, Any]]:
    """The records of how adding leads ended, once there is one: the work has stopped then."""
    while True:
        page = await output(client, "list_audit_events", {"operation": "add_leads_to_campaign"})
        if ends := [event for event in page["items"] if event["outcome"] != "started"]:
            return ends
