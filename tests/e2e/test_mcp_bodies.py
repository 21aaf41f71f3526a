"""What is posted to /mcp and is no message: answered in our words, not in a parser's."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from mcp.client.client import ConnectMode

from tests.conftest import Installation
from tests.e2e.mcp_rig import ERAS, Served, served

HEADERS = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}


@pytest.fixture
async def server(installation: Installation) -> AsyncIterator[Served]:
    async with served(installation.app) as running:
        yield running


@pytest.mark.parametrize("era", [{}, {"MCP-Protocol-Version": "2026-07-28"}])
@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b"{not json", -32700, "The body is not JSON."),
        (b"", -32700, "The body is not JSON."),
        (b'{"a": "\xff"}', -32700, "The body is not JSON."),
        (b"[" * 100_000, -32600, "The body is nested too deep."),
        (b'{"jsonrpc": "2.0", "id": 1, "params": ' + b'{"a":' * 500, -32600, "The body is nested too deep."),
        (b"{}", -32600, "The body is not one JSON-RPC 2.0 message."),
        (b"null", -32600, "The body is not one JSON-RPC 2.0 message."),
        (b'[{"jsonrpc": "2.0", "id": 1, "method": "ping"}]', -32600, "The body is not one JSON-RPC 2.0 message."),
        (b'{"jsonrpc": "2.0", "id": 1, "method": 5}', -32600, "The body is not one JSON-RPC 2.0 message."),
        (b'{"jsonrpc": "1.0", "id": 1, "method": "ping"}', -32600, "The body is not one JSON-RPC 2.0 message."),
    ],
)
async def test_what_is_no_message_is_answered_in_words(
    installation: Installation, server: Served, era: dict[str, str], body: bytes, code: int, message: str
) -> None:
    key = {"X-Api-Key": installation.ann.workspace_key.reveal()}
    async with httpx.AsyncClient() as http:
        answer = await http.post(server.url, content=body, headers=HEADERS | key | era)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, code)
    assert error["message"].startswith(message) and "validation error" not in answer.text


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({"name": "list_tags", "arguments": []}, "params.arguments must be an object"),
        ({"name": "list_tags", "arguments": "limit=1"}, "params.arguments must be an object"),
        ({}, "params.name must be the name of a tool"),
    ],
)
async def test_a_call_of_the_wrong_shape_is_told_which_part(
    installation: Installation, server: Served, era: ConnectMode, params: dict[str, Any], named: str
) -> None:
    meta = {"protocolVersion": "2026-07-28", "clientCapabilities": {}}
    whole = {**params, "_meta": {f"io.modelcontextprotocol/{name}": value for name, value in meta.items()}}
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    key = {"X-Api-Key": installation.ann.workspace_key.reveal()}
    async with httpx.AsyncClient(headers=HEADERS | key) as http:
        if era == "legacy":
            opening = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
            opened = await http.post(server.url, json=opening)
            headers = {"Mcp-Session-Id": opened.headers["mcp-session-id"]}
        else:
            headers = {"MCP-Protocol-Version": era, "Mcp-Method": "tools/call"}
            headers |= {"Mcp-Name": params["name"]} if isinstance(params.get("name"), str) else {}
        call = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params if era == "legacy" else whole}
        answer = await http.post(server.url, json=call, headers=headers)
    assert named in answer.text and "-32602" in answer.text, answer.text
