"""What is posted to /mcp and is no message: answered in our words, not in a parser's."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.conftest import Installation
from tests.e2e.mcp_rig import Served, served

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
        (b"[" * 100_000, -32700, "The body is not JSON."),
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
