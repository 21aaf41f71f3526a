"""The MCP door over real HTTP: both eras by the SDK's client, credentials, sessions, addresses, limits."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic
from typing import Any

import anyio
import httpx
import pytest
from mcp.client.client import ConnectMode
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, TextContent
from sqlalchemy import update

from postrider.access.queries import create_owner
from postrider.access.tables import ApiKey
from postrider.doors.mcp.running import DOOR_TOOLS
from postrider.doors.rest.credentials import MOST_FAILURES
from postrider.settings import Settings, load_settings
from tests.conftest import Installation
from tests.e2e.mcp_rig import ERAS, SECRET, Served, Waiting, served

BOTH_ERAS = pytest.mark.parametrize("era", ERAS)
MODERN = "2026-07-28"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The door is the same on every database: here on SQLite, with a public address."""
    return load_settings({"POSTRIDER_DATA_DIR": str(tmp_path), "POSTRIDER_PUBLIC_URL": "https://post.ann.test"})


@pytest.fixture
async def server(installation: Installation) -> AsyncIterator[Served]:
    with anyio.fail_after(60):
        async with served(installation.app) as running:
            yield running


@pytest.fixture
def ann(installation: Installation) -> str:
    return installation.ann.workspace_key.reveal()


@pytest.fixture
def bob(installation: Installation) -> str:
    return installation.bob.workspace_key.reveal()


def text_of(result: CallToolResult) -> str:
    (part,) = result.content
    assert isinstance(part, TextContent)
    return part.text


def initialize(**headers: str) -> dict[str, Any]:
    """A raw 2025-11-25 opening request, as keyword arguments of httpx."""
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    return {
        "json": {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params},
        "headers": {"Accept": "application/json, text/event-stream", **headers},
    }


def list_tools(session: str, **headers: str) -> dict[str, Any]:
    """A raw request within a session."""
    sent = initialize(**{"Mcp-Session-Id": session, "MCP-Protocol-Version": "2025-11-25"}, **headers)
    return {**sent, "json": {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}}


@BOTH_ERAS
async def test_the_core_is_listed_with_ways_to_everything_else(era: ConnectMode, server: Served, ann: str) -> None:
    async with server.client(ann, era) as client:
        listed = await client.list_tools()
    names = [tool.name for tool in listed.tools]
    core = [operation.name for operation in server.app.dispatcher.catalogue if operation.core]
    assert names == [*core, *DOOR_TOOLS]
    if era == MODERN:
        assert (listed.ttl_ms, listed.cache_scope) == (300_000, "private")


@BOTH_ERAS
async def test_a_created_label_is_listed_afterwards(era: ConnectMode, server: Served, ann: str) -> None:
    async with server.client(ann, era) as client:
        created = await client.call_tool("create_tag", {"name": "Hot lead", "positive": True})
        listed = await client.call_tool("list_tags", {})
    assert created.structured_content is not None and listed.structured_content is not None
    assert created.structured_content["description"] is None, "empty fields are sent, as null"
    assert "description" not in text_of(created), "the text leaves empty fields out"
    assert created.structured_content in listed.structured_content["items"]
    assert text_of(listed).startswith("12 of 12.")


@BOTH_ERAS
async def test_errors_teach(era: ConnectMode, server: Served, ann: str) -> None:
    async with server.client(ann, era) as client:
        misspelt = await client.call_tool("create_tag", {"name": "Hot", "colour": "#ffffff"})
        taken = await client.call_tool("create_tag", {"name": "INTERESTED"})
        limited = await client.call_tool("hit_limit", {})
    assert misspelt.is_error and "did you mean color?" in text_of(misspelt)
    assert taken.is_error and "see list_tags" in text_of(taken)
    assert taken.structured_content is None, "clients hold it against the output schema"
    assert taken.meta is not None and taken.meta["postrider/error"]["code"] == "CONFLICT"
    assert limited.meta is not None
    assert limited.meta["postrider/error"]["details"] == {"retryAfterSeconds": 3600}


@BOTH_ERAS
async def test_a_bug_shows_an_incident_id_and_nothing_of_the_exception(
    era: ConnectMode, server: Served, ann: str
) -> None:
    async with server.client(ann, era) as client:
        crashed = await client.call_tool("crash", {})
    assert crashed.is_error and "Incident" in text_of(crashed)
    assert SECRET not in crashed.model_dump_json() and "ValueError" not in crashed.model_dump_json()


@BOTH_ERAS
async def test_an_unknown_tool_is_a_protocol_error_with_the_nearest_name(
    era: ConnectMode, server: Served, ann: str
) -> None:
    async with server.client(ann, era) as client:
        with pytest.raises(MCPError, match="did you mean list_tags"):
            await client.call_tool("list_tagz", {})


@BOTH_ERAS
async def test_an_alias_can_be_called(era: ConnectMode, server: Served, ann: str) -> None:
    async with server.client(ann, era) as client:
        result = await client.call_tool("list_mark", {"limit": 2})
    assert result.structured_content is not None and len(result.structured_content["items"]) == 2


@BOTH_ERAS
async def test_a_page_that_is_too_long_comes_back_shorter(era: ConnectMode, server: Served, ann: str) -> None:
    async with server.client(ann, era) as client:
        result = await client.call_tool("list_marks", {"limit": 100, "words": 200})
        numbered = await client.call_tool("list_marks", {"limit": 100, "words": 200, "page": 2})
    assert result.structured_content is not None
    assert 1 < len(result.structured_content["items"]) == result.structured_content["limit"] < 100
    assert "cursor" in text_of(result) and "limit was lowered" in text_of(result)
    assert len(result.model_dump_json().encode()) <= 25_000
    assert numbered.is_error and "limit=" in text_of(numbered)


@BOTH_ERAS
async def test_progress_reaches_the_client_that_asks_for_it(era: ConnectMode, server: Served, ann: str) -> None:
    seen: list[tuple[float, float | None, str | None]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        seen.append((progress, total, message))

    async with server.client(ann, era) as client:
        await client.call_tool("work", {}, progress_callback=note)
    assert seen == [(1.0, 3.0, "step 1"), (2.0, 3.0, "step 2"), (3.0, 3.0, "step 3")]


@BOTH_ERAS
async def test_a_cancelled_call_stops_its_operation(era: ConnectMode, server: Served, ann: str) -> None:
    waiting = server.app.ports[Waiting]
    assert isinstance(waiting, Waiting)
    async with server.client(ann, era) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(client.call_tool, "wait", {})
        await waiting.started.wait()
        tasks.cancel_scope.cancel()
    await waiting.cancelled.wait()


@BOTH_ERAS
async def test_workspaces_do_not_see_each_other(era: ConnectMode, server: Served, ann: str, bob: str) -> None:
    async with server.client(ann, era) as client:
        await client.call_tool("create_tag", {"name": "Only Ann's"})
    async with server.client(bob, era) as client:
        assert "Only Ann's" not in text_of(await client.call_tool("list_tags", {}))


@BOTH_ERAS
async def test_a_platform_key_acts_in_the_workspace_that_it_names(
    era: ConnectMode, server: Served, installation: Installation
) -> None:
    key = installation.ann.platform_key.reveal()
    async with server.client(key, era, X_Workspace_Id=installation.ann.workspace_id) as client:
        assert "interested" in text_of(await client.call_tool("list_tags", {}))


@BOTH_ERAS
async def test_the_client_shows_why_a_key_was_refused(era: ConnectMode, server: Served, ann: str) -> None:
    wrong = ann[:-4] + "0000"
    with pytest.RaisesGroup(pytest.RaisesExc(MCPError, match="key is missing or not valid"), flatten_subgroups=True):
        async with server.client(wrong, era) as client:
            await client.list_tools()


async def test_without_a_good_key_nothing_is_parsed(server: Served, ann: str) -> None:
    broken: dict[str, Any] = {"content": b"{not json", "headers": {"Content-Type": "application/json"}}
    async with httpx.AsyncClient() as http:
        missing = await http.post(server.url, **broken)
        wrong = await http.post(server.url, **broken, params={"x_api_key": ann})
        basic = await http.post(server.url, **initialize(Authorization="Basic " + ann))
    for response in (missing, wrong, basic):
        assert response.status_code == 401
        assert response.headers["www-authenticate"].startswith("Bearer resource_metadata=")
        assert response.json()["error"]["data"]["code"] == "UNAUTHENTICATED"
    assert missing.content == wrong.content == basic.content
    hint = missing.json()["error"]["data"]["hint"]
    assert "sign in" in hint and "postrider keys create" in hint


async def test_whoever_guesses_keys_has_to_wait(server: Served, ann: str, bob: str) -> None:
    wrong = {"X-Api-Key": ann[:-4] + "0000"}
    async with httpx.AsyncClient() as http:
        for _ in range(MOST_FAILURES):
            assert (await http.post(server.url, **initialize(**wrong))).status_code == 401
        slowed = await http.post(server.url, **initialize(**wrong))
        somebody_else = await http.post(server.url, **initialize(**{"X-Api-Key": bob}))
        right = await http.post(server.url, **initialize(**{"X-Api-Key": ann}))
    assert right.status_code == 200, "guesses at a key do not lock it out"
    assert slowed.status_code == 429 and int(slowed.headers["retry-after"]) > 0
    assert somebody_else.status_code == 200


async def test_a_key_may_come_in_either_header_but_not_two_keys(server: Served, ann: str, bob: str) -> None:
    async with httpx.AsyncClient() as http:
        bearer = await http.post(server.url, **initialize(Authorization=f"bearer {ann}"))
        same_twice = await http.post(server.url, **initialize(**{"Authorization": f"Bearer {ann}", "X-Api-Key": ann}))
        different = await http.post(server.url, **initialize(**{"Authorization": f"Bearer {ann}", "X-Api-Key": bob}))
    assert (bearer.status_code, same_twice.status_code, different.status_code) == (200, 200, 401)


async def test_a_platform_key_must_name_a_workspace_of_its_own(server: Served, installation: Installation) -> None:
    key = installation.ann.platform_key.reveal()
    async with httpx.AsyncClient() as http:
        unnamed = await http.post(server.url, **initialize(**{"X-Api-Key": key}))
        foreign, absent = [
            await http.post(server.url, **initialize(**{"X-Api-Key": key, "X-Workspace-Id": workspace}))
            for workspace in (installation.bob.workspace_id, "ws_00000000000000000000000000")
        ]
    assert unnamed.status_code == 400 and "X-Workspace-Id" in unnamed.text
    assert foreign.status_code == absent.status_code == 403
    assert foreign.content == absent.content


async def test_a_session_belongs_to_the_credential_that_opened_it(
    server: Served, installation: Installation, ann: str, bob: str
) -> None:
    platform = {"X-Api-Key": installation.ann.platform_key.reveal(), "X-Workspace-Id": installation.ann.workspace_id}
    async with httpx.AsyncClient() as http:
        opened = await http.post(server.url, **initialize(**{"X-Api-Key": ann}))
        session = opened.headers["mcp-session-id"]
        own = await http.post(server.url, **list_tools(session, **{"X-Api-Key": ann}))
        others = await http.post(server.url, **list_tools(session, **{"X-Api-Key": bob}))
        same_person = await http.post(server.url, **list_tools(session, **platform))
        ended_by_other = await http.delete(server.url, headers={"X-Api-Key": bob, "Mcp-Session-Id": session})
        without_key = await http.post(server.url, **list_tools(session))
        still_there = await http.post(server.url, **list_tools(session, **{"X-Api-Key": ann}))
    assert own.status_code == still_there.status_code == 200
    assert others.status_code == same_person.status_code == ended_by_other.status_code == 404
    assert without_key.status_code == 401


async def test_a_session_does_not_move_to_another_workspace_of_the_same_key(
    server: Served, installation: Installation
) -> None:
    owner = installation.ann
    pepper = installation.app.vault.derive("api-keys")
    second = await installation.app.database.write(
        lambda session: create_owner(session, pepper, "ann@ann.test", "Ann", "Second", installation.clock.now())
    )
    key = owner.platform_key.reveal()
    async with httpx.AsyncClient() as http:
        first = {"X-Api-Key": key, "X-Workspace-Id": owner.workspace_id}
        session = (await http.post(server.url, **initialize(**first))).headers["mcp-session-id"]
        moved = await http.post(server.url, **list_tools(session, **{**first, "X-Workspace-Id": second.workspace_id}))
    assert moved.status_code == 404


@BOTH_ERAS
async def test_a_revoked_key_is_refused_within_a_second(
    era: ConnectMode, server: Served, installation: Installation, ann: str
) -> None:
    revoke = update(ApiKey).values(revoked_at=installation.clock.now())
    async with server.client(ann, era) as client:
        await client.call_tool("list_tags", {})
        await installation.app.database.write(lambda session: session.execute(revoke))
        start = monotonic()

        async def call_until_refused() -> None:
            while True:
                await client.call_tool("list_tags", {})

        with pytest.raises(MCPError, match="not valid"):
            await call_until_refused()
        assert monotonic() - start < 1.5, "a second, and what the last call took"


async def test_a_foreign_host_or_origin_is_refused_before_the_key_is_looked_at(server: Served, ann: str) -> None:
    async with httpx.AsyncClient() as http:
        for headers in ({}, {"X-Api-Key": ann}, {"X-Api-Key": ann, "MCP-Protocol-Version": MODERN}):
            host = await http.post(server.url, **initialize(Host="evil.test", **headers))
            origin = await http.post(server.url, **initialize(Origin="https://evil.test", **headers))
            assert (host.status_code, origin.status_code) == (421, 403)
            assert "POSTRIDER_PUBLIC_URL" in host.text
            assert "access-control-allow-origin" not in origin.headers


async def test_the_public_address_and_loopback_are_answered(server: Served, ann: str) -> None:
    own = f"localhost:{server.port}"
    async with httpx.AsyncClient() as http:
        for host, origin in (("post.ann.test", "https://post.ann.test"), (own, f"http://{own}")):
            response = await http.post(server.url, **initialize(Host=host, Origin=origin, **{"X-Api-Key": ann}))
            assert response.status_code == 200, response.text
        other_port = await http.post(server.url, **initialize(Host="localhost:1", **{"X-Api-Key": ann}))
    assert other_port.status_code == 421


async def test_headers_that_disagree_with_the_body_are_refused_and_nothing_runs(server: Served, ann: str) -> None:
    meta = {"protocolVersion": MODERN, "clientCapabilities": {}}
    params = {
        "name": "create_tag",
        "arguments": {"name": "Smuggled"},
        "_meta": {f"io.modelcontextprotocol/{name}": value for name, value in meta.items()},
    }
    routing = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": "list_tags", "X-Api-Key": ann}
    sent = {**initialize(**routing), "json": {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}}
    async with httpx.AsyncClient() as http:
        refused = await http.post(server.url, **sent)
        accepted = await http.post(server.url, **{**sent, "headers": {**sent["headers"], "Mcp-Name": "create_tag"}})
    assert refused.status_code == 400
    assert accepted.json()["result"]["structuredContent"]["name"] == "Smuggled", "it was free: nothing had run"


async def test_a_body_above_the_cap_is_refused(server: Served, ann: str) -> None:
    headers = {"X-Api-Key": ann, "Content-Type": "application/json"}
    async with httpx.AsyncClient() as http:
        response = await http.post(server.url, content=b" " * (4 * 1024 * 1024 + 1), headers=headers)
    assert response.status_code == 413


async def test_other_paths_below_mcp_are_not_found(server: Served, ann: str) -> None:
    async with httpx.AsyncClient() as http:
        response = await http.post(f"{server.url}/nowhere", **initialize(**{"X-Api-Key": ann}))
    assert response.status_code == 404 and "/mcp" in json.loads(response.text)["error"]["message"]
