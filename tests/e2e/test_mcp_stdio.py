"""The stdio door as a real process: both eras by the SDK's client, and a stdout that carries the protocol alone."""

import contextlib
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import StdioServerParameters
from mcp.client import Client
from mcp.client.client import ConnectMode

from tests.e2e.mcp_rig import ERAS
from tests.witness.listening import WITNESS, listened_to

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "tests.e2e.mcp_stdio_launcher"]
SECONDS = 60


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """What the process is given: a data directory of its own."""
    return {"POSTRIDER_DATA_DIR": str(tmp_path / "data"), "PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}


def request(number: int, method: str, **params: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode() + b"\n"


INITIALIZE = request(
    1, "initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo={"name": "test", "version": "1"}
)
INITIALIZED = b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n'


def exchange(environment: dict[str, str], *lines: bytes, until: int) -> tuple[dict[Any, Any], str]:
    """Every message of stdout by its id, once the one with the id ``until`` is there and stdin closed; and stderr."""
    messages = {}
    ear, pipe = WITNESS.at(environment), subprocess.PIPE
    process = subprocess.Popen(COMMAND, stdin=pipe, stdout=pipe, cwd=ROOT, env=ear.environment)
    assert process.stdin is not None and process.stdout is not None
    with process, contextlib.closing(process.stdout):
        process.stdin.write(b"".join(lines))
        process.stdin.flush()
        for line in process.stdout:
            message = json.loads(line)
            assert isinstance(message, dict) and message["jsonrpc"] == "2.0"
            messages[message.get("id")] = message
            if until in messages and not process.stdin.closed:
                process.stdin.close()
    assert process.returncode == 0
    return messages, ear.heard()


def garbage() -> Iterator[bytes]:
    """Lines that are not requests: bytes, wrong shapes, half messages, far too much nesting."""
    yield from (b"\n", b"{}\n", b"[]\n", b"null\n", b"42\n", b'"text"\n', b"{\n", b"GET / HTTP/1.1\n", b"\xff\xfe\n")
    yield b"[" * 100_000 + b"\n"
    yield b'{"jsonrpc":"2.0","id":1e400,"method":"tools/list"}\n'
    yield b'{"jsonrpc":"1.0","id":7,"method":"tools/list"}\n'
    yield b'{"jsonrpc":"2.0","id":[1],"method":"tools/list"}\n'
    yield b'{"jsonrpc":"2.0","id":99,"result":{}}\n'
    yield b'[{"jsonrpc":"2.0","id":8,"method":"ping"}]\n'
    for number in range(200):
        yield hashlib.sha512(str(number).encode()).digest().replace(b"\n", b"") + b"\n"


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_lists_and_calls_tools_over_stdio(era: ConnectMode, environment: dict[str, str]) -> None:
    server = StdioServerParameters(command=COMMAND[0], args=COMMAND[1:], env=listened_to(environment), cwd=ROOT)
    with anyio.fail_after(SECONDS):
        async with Client(server, mode=era) as client:
            assert "list_conversations" in [tool.name for tool in (await client.list_tools()).tools]
            created = await client.call_tool("create_tag", {"name": "Over stdio"})
            listed = await client.call_tool("list_tags", {})
    assert created.structured_content is not None and listed.structured_content is not None
    assert created.structured_content in listed.structured_content["items"]


def test_garbage_on_stdin_is_survived_and_stdout_stays_pure(environment: dict[str, str]) -> None:
    call = request(2, "tools/call", name="list_tags", arguments={})
    messages, _ = exchange(environment, *garbage(), INITIALIZE, INITIALIZED, *garbage(), call, until=2)
    assert messages[1]["result"]["serverInfo"]["name"] == "postrider"
    assert len(messages[2]["result"]["structuredContent"]["items"]) == 11


def test_whatever_is_printed_goes_to_stderr(environment: dict[str, str]) -> None:
    noise = request(2, "tools/call", name="make_noise", arguments={})
    messages, stderr = exchange(environment, INITIALIZE, INITIALIZED, noise, until=2)
    assert messages[2]["result"]["structuredContent"]["text"] == "quiet"
    for source in ("print", "descriptor 1", "a child", "the first stdout"):
        assert f"noise from {source}" in stderr


def test_a_crash_is_logged_to_stderr_under_its_incident_id(environment: dict[str, str]) -> None:
    call = request(2, "tools/call", name="crash", arguments={})
    messages, stderr = exchange(environment, INITIALIZE, INITIALIZED, call, until=2)
    incident = messages[2]["result"]["_meta"]["postrider/error"]["details"]["incident"]
    assert incident in stderr and "ValueError" in stderr


def test_a_second_start_imports_neither_anthropic_nor_alembic(environment: dict[str, str]) -> None:
    exchange(environment, INITIALIZE, until=1)
    messages, stderr = exchange(environment, INITIALIZE, INITIALIZED, request(2, "tools/list"), until=2)
    assert messages[2]["result"]["tools"]
    assert stderr.splitlines()[-1] == "imported:"
