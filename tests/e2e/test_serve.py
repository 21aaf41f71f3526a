"""The real process: what it prints, serves and survives, and how it ends."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from postrider.doors.cli import connections
from tests.witness.listening import start

POSTRIDER = (sys.executable, "-m", "postrider")
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
MCP_HEADERS = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("POSTRIDER_")}
    return own | {"POSTRIDER_DATA_DIR": str(tmp_path / "data"), "HOME": str(tmp_path)}


@contextmanager
def process(environment: dict[str, str], *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A running command; killed if the test leaves it running."""
    running = start([*POSTRIDER, *arguments], environment)
    try:
        yield running
    finally:
        if running.poll() is None:
            running.kill()
        running.communicate()


@contextmanager
def server(environment: dict[str, str], engine: str = "--no-engine") -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server on a free port, and its address."""
    with process(environment, "serve", "--port", "0", engine) as running:
        assert running.stdout is not None
        first = running.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:[1-9]\d*", first)
        assert found, first
        yield running, found.group()


def init(environment: dict[str, str]) -> dict[str, str]:
    command = [*POSTRIDER, "init", "--email", "a@a.test", "--name", "Ann", "--workspace", "Main", "--json"]
    found: dict[str, str] = json.loads(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)
    return found


def end(running: subprocess.Popen[str], number: signal.Signals) -> float:
    """Sends the signal, waits for a good end, and gives back the seconds it took."""
    started = time.monotonic()
    running.send_signal(number)
    assert running.wait(timeout=30) == 0, running.stderr and running.stderr.read()
    return time.monotonic() - started


def test_serve_announces_itself_and_answers_rest_mcp_and_health(environment: dict[str, str]) -> None:
    key = init(environment)["workspaceKey"]
    with server(environment) as (running, url), httpx.Client(base_url=url, headers={"X-Api-Key": key}) as client:
        assert client.get("/healthz").json()["status"] == "ok"
        assert client.get("/readyz").json()["database"] == "ok"
        assert client.get("/openapi.json").json()["openapi"] == "3.1.0"
        assert client.post("/v1/tags", json={"name": "Served"}).json()["data"]["name"] == "Served"
        assert "Served" in client.get("/v1/tags").text
        answer = client.post("/mcp", json=INITIALIZE, headers=MCP_HEADERS)
        assert answer.status_code == 200 and '"serverInfo"' in answer.text
        end(running, signal.SIGTERM)


def test_serve_prints_a_link_that_lets_the_first_person_in(environment: dict[str, str]) -> None:
    with server(environment) as (running, url):
        assert running.stdout is not None
        link = [running.stdout.readline() for _ in range(3)][-1].strip()
        assert link.startswith(f"{url}/set-up/")
        assert "You are the first one here" in httpx.get(link).text
        key = init(environment)["workspaceKey"]
        assert httpx.get(f"{url}/v1/tags", headers={"X-Api-Key": key}).status_code == 200
        assert "has an owner already" in httpx.get(link).text
        end(running, signal.SIGINT)
        assert running.stderr is not None and link.rpartition("/")[2] not in running.stderr.read()


def test_sigterm_ends_the_server_in_time_although_a_client_listens(environment: dict[str, str]) -> None:
    key = {"X-Api-Key": init(environment)["workspaceKey"], **MCP_HEADERS}
    with server(environment) as (running, url), httpx.Client(base_url=url, headers=key, timeout=40) as client:
        session = client.post("/mcp", json=INITIALIZE).headers["mcp-session-id"]
        with client.stream("GET", "/mcp", headers={"mcp-session-id": session}) as stream:
            assert stream.status_code == 200
            assert end(running, signal.SIGTERM) < 30


def wait_until_ready(url: str) -> dict[str, Any]:
    """What /readyz says once the engine of that process is alive."""
    deadline = time.monotonic() + 30
    while True:
        answer = httpx.get(f"{url}/readyz")
        if answer.status_code == 200:
            ready: dict[str, Any] = answer.json()
            return ready
        assert time.monotonic() < deadline, answer.text


def test_serve_runs_the_engine_and_both_end_in_time(environment: dict[str, str]) -> None:
    with server(environment, "--engine") as (running, url):
        engine = wait_until_ready(url)["engine"]
        assert engine["alive"] is True and engine["expectedHere"] is True
        assert 0 <= engine["heartbeatAgeSeconds"] <= 30
        assert end(running, signal.SIGTERM) < 30
        assert running.stderr is not None
        assert "Traceback" not in running.stderr.read()


def test_the_engine_runs_alone_beside_a_server_that_has_none(environment: dict[str, str]) -> None:
    with server(environment) as (serving, url), process(environment, "engine") as running:
        deadline = time.monotonic() + 30
        while not httpx.get(f"{url}/readyz").json()["engine"]["alive"]:
            assert running.poll() is None and time.monotonic() < deadline
        assert end(running, signal.SIGTERM) < 30
        assert end(serving, signal.SIGTERM) < 30


def test_a_port_in_use_is_one_line(environment: dict[str, str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = subprocess.run(
            [*POSTRIDER, "serve", "--port", port], env=environment, capture_output=True, text=True, check=False
        )
    assert result.returncode == 1 and f"Port {port}" in result.stderr and "Traceback" not in result.stderr


def send_raw(url: str, data: bytes) -> bytes:
    """What the server answers to ``data`` on a connection of its own, until it closes."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        try:
            connection.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return b""
        received = b""
        try:
            while chunk := connection.recv(65_536):
                received += chunk
        except ConnectionResetError:
            pass
        return received


def test_a_head_of_any_size_is_refused_and_the_server_lives_on(environment: dict[str, str]) -> None:
    start = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
    with server(environment) as (running, url):
        many = send_raw(url, start + b"".join(b"X-%d: y\r\n" % n for n in range(100_000)) + b"\r\n")
        endless = send_raw(url, start + b"X-Long: " + b"y" * 5_000_000)
        for answer in (many, endless):
            assert answer == b"" or answer.startswith(b"HTTP/1.1 400")
        assert httpx.get(f"{url}/healthz").status_code == 200
        end(running, signal.SIGTERM)


async def test_a_head_that_never_comes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)
    application = Starlette(routes=[Route("/", lambda request: PlainTextResponse("here"))])
    config = uvicorn.Config(application, http=connections.BoundedProtocol, log_config=None, lifespan="off")
    served = uvicorn.Server(config)
    with socket.socket() as listener, anyio.fail_after(20):
        listener.bind(("127.0.0.1", 0))
        serving = asyncio.create_task(served.serve(sockets=[listener]))
        host, port = listener.getsockname()
        for sent in (b"", b"GET / HTTP/1.1\r\nHost:", b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HT"):
            while not served.started:
                await asyncio.sleep(0)
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(sent)
            received = await reader.read()
            assert received.endswith(b"connection: close\r\n\r\n") and b"HTTP/1.1 408" in received
            writer.close()
        assert received.startswith(b"HTTP/1.1 200")
        served.should_exit = True
        await serving


def talk(running: subprocess.Popen[str], message: dict[str, Any]) -> dict[str, Any]:
    assert running.stdin is not None and running.stdout is not None
    running.stdin.write(json.dumps(message) + "\n")
    running.stdin.flush()
    answer: dict[str, Any] = json.loads(running.stdout.readline())
    return answer


def test_stdio_makes_its_owner_and_speaks_nothing_but_the_protocol(environment: dict[str, str]) -> None:
    with process(environment, "stdio") as running:
        assert "serverInfo" in talk(running, INITIALIZE)["result"]
        assert running.stdin is not None
        running.stdin.write('{"jsonrpc": "2.0", "method": "notifications/initialized"}\n')
        call = {"name": "create_tag", "arguments": {"name": "By stdio"}}
        answer = talk(running, {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call})
        assert answer["result"]["structuredContent"]["name"] == "By stdio"
        out, _ = running.communicate(timeout=30)
        assert out == "" and running.returncode == 0
    listed = subprocess.run(
        [*POSTRIDER, "call", "list_tags"], env=environment, capture_output=True, text=True, check=True
    )
    assert "By stdio" in listed.stdout


def test_stdio_ends_on_sigterm_while_its_client_is_silent(environment: dict[str, str]) -> None:
    with process(environment, "stdio") as running:
        talk(running, INITIALIZE)
        assert end(running, signal.SIGTERM) < 30


def test_stdio_with_bad_settings_says_so_on_stderr_only(environment: dict[str, str]) -> None:
    bad = environment | {"POSTRIDER_LOG_LEVEL": "LOUD"}
    result = subprocess.run(
        [*POSTRIDER, "stdio"], env=bad, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    assert result.returncode == 1 and result.stdout == "" and "POSTRIDER_LOG_LEVEL" in result.stderr
