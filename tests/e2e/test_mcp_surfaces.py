"""The surfaces over real HTTP and real stdio: each address has its own powers, and no session carries others there."""

import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from mcp.client.client import ConnectMode
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import ResourceUpdated
from mcp_types import ResourceUpdatedNotification

from postrider.catalogue import load_catalogue
from postrider.doors.mcp.projection import describe_tools
from postrider.doors.mcp.surface import surface_named
from postrider.settings import Settings, load_settings
from tests.conftest import Installation
from tests.e2e.mcp_rig import ERAS, Served, Waiting, served
from tests.witness.listening import start

BOTH_ERAS = pytest.mark.parametrize("era", ERAS)
SECONDS = 60
PLACES = {"core": "", "full": "/full", "readonly": "/readonly", "leads,inbox": "/x/leads,inbox"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The door is the same on every database: here on SQLite."""
    return load_settings({"POSTRIDER_DATA_DIR": str(tmp_path)})


@pytest.fixture
async def server(installation: Installation) -> AsyncIterator[Served]:
    with anyio.fail_after(SECONDS):
        async with served(installation.app) as running:
            yield running


@pytest.fixture
def ann(installation: Installation) -> str:
    return installation.ann.workspace_key.reveal()


def rpc(method: str, session: str | None = None, number: int | None = 1, **params: Any) -> dict[str, Any]:
    """A raw 2025-11-25 message, as keyword arguments of httpx."""
    headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
    message = {"jsonrpc": "2.0", "method": method, "params": params} | ({} if number is None else {"id": number})
    return {"json": message, "headers": headers | ({"Mcp-Session-Id": session} if session else {})}


HELLO: dict[str, Any] = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "t", "version": "1"},
}


async def open_session(http: httpx.AsyncClient, url: str) -> str:
    opened = await http.post(url, **rpc("initialize", **HELLO))
    session = str(opened.headers["mcp-session-id"])
    await http.post(url, **rpc("notifications/initialized", session, None))
    return session


@BOTH_ERAS
@pytest.mark.parametrize("name", PLACES)
async def test_every_address_lists_its_own_tools(name: str, era: ConnectMode, server: Served, ann: str) -> None:
    catalogue = server.app.dispatcher.catalogue
    wanted = [tool.name for tool in describe_tools(surface_named(name, catalogue), catalogue).tools]
    async with server.client(ann, era, PLACES[name]) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == wanted


@BOTH_ERAS
async def test_readonly_refuses_by_name_and_by_run_tool(era: ConnectMode, server: Served, ann: str) -> None:
    async with server.client(ann, era, "/readonly") as client:
        assert not (await client.call_tool("list_tags", {})).is_error
        for name, arguments in (
            ("create_tag", {"name": "Sneaked"}),
            ("run_write_operation", {"operation": "create_tag", "arguments": {"name": "Sneaked"}}),
        ):
            with pytest.raises(MCPError, match="Unknown tool"):
                await client.call_tool(name, arguments)


async def test_a_session_does_not_exist_at_another_address(server: Served, ann: str) -> None:
    places = [server.url + below for below in PLACES.values()]
    call = {"name": "create_tag", "arguments": {"name": "Sneaked"}}
    async with httpx.AsyncClient(headers={"X-Api-Key": ann}) as http:
        sessions = {place: await open_session(http, place) for place in places}
        for home, session in sessions.items():
            for place in places:
                if place != home:
                    for sent in (rpc("tools/list", session, 2), rpc("tools/call", session, 3, **call)):
                        assert (await http.post(place, **sent)).status_code == 404
                    assert (await http.delete(place, headers={"Mcp-Session-Id": session})).status_code == 404
            assert (await http.post(home, **rpc("tools/list", session, 4))).status_code == 200
        same = f"{server.url}/x/inbox,leads,inbox/"
        assert (await http.post(same, **rpc("tools/list", sessions[places[3]], 5))).status_code == 200
        listed = await http.post(places[1], **rpc("tools/call", sessions[places[1]], 6, name="list_tags"))
    assert "Sneaked" not in listed.text


@pytest.mark.parametrize("below", ["/x/moon", "/x/", "/x/leads,moon", "/nowhere"])
async def test_an_unknown_address_names_the_known_ones(below: str, server: Served, ann: str) -> None:
    async with httpx.AsyncClient(headers={"X-Api-Key": ann}) as http:
        refused = await http.post(server.url + below, **rpc("initialize", **HELLO))
    error = refused.json()["error"]
    assert refused.status_code == 404 and error["data"]["code"] == "NOT_FOUND"
    assert ("mailboxes" if "/x" in below else "/mcp/readonly") in error["message"]


@BOTH_ERAS
@pytest.mark.parametrize("tool", ["wait", "run_write_operation"])
async def test_a_call_that_is_taken_back_stops_its_operation(
    tool: str, era: ConnectMode, server: Served, ann: str
) -> None:
    waiting = server.app.ports[Waiting]
    assert isinstance(waiting, Waiting)
    async with server.client(ann, era) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(client.call_tool, tool, {} if tool == "wait" else {"operation": "wait"})
        await waiting.started.wait()
        tasks.cancel_scope.cancel()
    await waiting.cancelled.wait()


async def test_the_notification_alone_cancels_and_only_in_its_own_session(server: Served, ann: str) -> None:
    waiting = server.app.ports[Waiting]
    assert isinstance(waiting, Waiting)
    async with (
        httpx.AsyncClient(headers={"X-Api-Key": ann}, timeout=SECONDS) as http,
        anyio.create_task_group() as tasks,
    ):
        own, other = await open_session(http, server.url), await open_session(http, server.url)

        async def call() -> None:
            await http.post(server.url, **rpc("tools/call", own, 7, name="wait", arguments={}))

        tasks.start_soon(call)
        await waiting.started.wait()
        await http.post(server.url, **rpc("notifications/cancelled", other, None, requestId=7))
        await http.post(server.url, **rpc("tools/list", other, 8))
        assert not waiting.cancelled.is_set()
        await http.post(server.url, **rpc("notifications/cancelled", own, None, requestId=7))
        await waiting.cancelled.wait()
        tasks.cancel_scope.cancel()


@pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")
async def test_both_eras_hear_of_changes_over_http(server: Served, ann: str, installation: Installation) -> None:
    heard = anyio.Event()

    async def hear(message: Any) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            heard.set()

    async with (
        server.client(ann, "legacy", message_handler=hear) as old,
        server.client(ann, "2026-07-28", "/readonly") as new,
        new.listen(resource_subscriptions=["postrider://workspace"]) as stream,
    ):
        await old.subscribe_resource("postrider://workspace")
        await installation.call("pause_workspace")
        assert await anext(stream) == ResourceUpdated("postrider://workspace")
        await heard.wait()


class Stdio:
    """A real ``postrider stdio``, spoken to line by line."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        own = {name: value for name, value in os.environ.items() if not name.startswith("POSTRIDER_")}
        environment = own | {"POSTRIDER_DATA_DIR": str(folder), "HOME": str(folder)}
        self.process = start([sys.executable, "-m", "postrider", "stdio", *arguments], environment)

    def ask(self, number: int, method: str, **params: Any) -> dict[str, Any]:
        """The answer to one request."""
        assert self.process.stdin is not None and self.process.stdout is not None
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer


@pytest.mark.parametrize("name", ["full", "readonly", "inbox,leads"])
def test_stdio_serves_the_surface_that_it_is_asked_for(name: str, tmp_path: Path) -> None:
    running = Stdio(tmp_path, "--surface", name)
    with running.process:
        running.ask(1, "initialize", **HELLO)
        listed = running.ask(2, "tools/list")["result"]["tools"]
        refused = running.ask(3, "tools/call", name="run_write_operation", arguments={"operation": "create_tag"})
        running.process.communicate(timeout=SECONDS)
    wanted = describe_tools(surface_named(name, load_catalogue()), load_catalogue())
    assert listed == wanted.model_dump(mode="json", by_alias=True, exclude_none=True)["tools"]
    assert "Unknown tool" in refused["error"]["message"]
    assert running.process.returncode == 0


def test_stdio_with_an_unknown_toolset_ends_in_words(tmp_path: Path) -> None:
    running = Stdio(tmp_path, "--surface", "moon")
    with running.process:
        assert running.process.wait(SECONDS) == 1
        assert running.process.stderr is not None
        said = running.process.stderr.read()
    assert "no toolset moon" in said and "mailboxes" in said
