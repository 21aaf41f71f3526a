"""How many calls of get_campaign a second the MCP door answers, beside a bare SDK server that echoes, in both eras.

Both run behind uvicorn in a process of their own, in the SDK's default transport mode. Ours recognises the access token
of a connected app, reads a campaign of two emails from SQLite and describes it in words; the bare one gives the same
answer from memory, or one word. The load comes from raw sockets, so that the servers are what is measured.
"""

import asyncio
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from sqlalchemy.orm import Session
    from starlette.types import ASGIApp

    from postrider.app import App

Who = Literal["ours", "bare", "word"]
Era = Literal["2025-11-25", "2026-07-28"]
ERAS: Final[tuple[Era, ...]] = ("2025-11-25", "2026-07-28")
CONNECTIONS: Final = 8
ROUND_SECONDS: Final = 1.5
ROUNDS: Final = 3
GOAL_RATIO: Final = 0.5
TOOL: Final = "get_campaign"
ANSWER: Final = "answer.json"


@dataclass(frozen=True)
class Server:
    """A running server and what it takes to call its tool."""

    port: int
    token: str
    campaign_id: str

    @property
    def arguments(self) -> dict[str, object]:
        """What the tool is called with; the bare one takes anything."""
        return {"id": self.campaign_id}

    def request(self, era: Era, method: str, params: dict[str, object], session: str | None = None) -> bytes:
        """One POST as it goes over the wire."""
        if era == "2026-07-28":
            meta = {"protocolVersion": era, "clientCapabilities": {}}
            params = {**params, "_meta": {f"io.modelcontextprotocol/{name}": value for name, value in meta.items()}}
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        headers = {
            "Host": f"127.0.0.1:{self.port}",
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "Content-Length": str(len(body)),
            **({"Mcp-Session-Id": session} if session else {}),
            **({"MCP-Protocol-Version": era} if session or era == "2026-07-28" else {}),
            **({"Mcp-Method": method, "Mcp-Name": TOOL} if era == "2026-07-28" else {}),
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"POST /mcp HTTP/1.1\r\n{head}\r\n".encode() + body


def measure() -> dict[str, float]:
    """Calls per second of the servers in both eras, and ours as a share of the bare one's; best of ROUNDS."""
    figures: dict[str, float] = {}
    with running("ours") as ours:
        answer = asyncio.run(_answer(ours))
        with running("bare", answer) as bare, running("word") as word:
            for era in ERAS:
                best = dict.fromkeys(("ours", "bare", "word"), 0.0)
                for _ in range(ROUNDS):
                    for who, server in (("ours", ours), ("bare", bare), ("word", word)):
                        best[who] = max(best[who], asyncio.run(_per_second(server, era)))
                figures |= {f"{who} calls/s, {era}": rate for who, rate in best.items()}
                figures[f"ratio, {era}"] = best["ours"] / best["bare"]
    return figures


@contextmanager
def running(who: Who, answer: dict[str, Any] | None = None) -> Iterator[Server]:
    """A server in a process of its own, until the end of the block. ``answer``: what the bare one gives."""
    with tempfile.TemporaryDirectory() as folder:
        if answer is not None:
            (Path(folder) / ANSWER).write_text(json.dumps(answer))
        command = [sys.executable, "-m", "benchmarks.bench_mcp", who, folder]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])
        assert process.stdout is not None
        try:
            port, token, campaign_id = process.stdout.readline().split()
            yield Server(int(port), token, campaign_id)
        finally:
            process.terminate()
            process.wait()
            process.stdout.close()


async def _answer(server: Server) -> dict[str, Any]:
    """What the tool gives."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(server.request("2026-07-28", "tools/call", {"name": TOOL, "arguments": server.arguments}))
    _, body = await _response(reader)
    writer.close()
    found = json.loads(body)["result"]
    return {name: found[name] for name in ("content", "structuredContent")}


async def _per_second(server: Server, era: Era) -> float:
    # A session each: within one, answers are told apart by the request's id, which is the same in every call here.
    sessions = [await _open_session(server) if era == "2025-11-25" else None for _ in range(CONNECTIONS)]
    calls = [
        server.request(era, "tools/call", {"name": TOOL, "arguments": server.arguments}, session)
        for session in sessions
    ]
    start = time.perf_counter()
    counts = await asyncio.gather(*(_calls(server, call, start + ROUND_SECONDS) for call in calls))
    return sum(counts) / (time.perf_counter() - start)


async def _open_session(server: Server) -> str:
    opening: dict[str, object] = {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "bench", "version": "1"},
    }
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(server.request("2025-11-25", "initialize", opening))
    head, _ = await _response(reader)
    writer.close()
    (line,) = [line for line in head.splitlines() if line.lower().startswith(b"mcp-session-id:")]
    return line.split(b":", 1)[1].strip().decode()


async def _calls(server: Server, call: bytes, until: float) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    count = 0
    while time.perf_counter() < until:
        writer.write(call)
        head, body = await _response(reader)
        if not head.startswith(b"HTTP/1.1 200") or b'"isError":false' not in body.replace(b" ", b""):
            raise RuntimeError(f"unexpected answer: {head!r} {body!r}")
        count += 1
    writer.close()
    return count


async def _response(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.lower().splitlines():
        if line.startswith(b"content-length:"):
            return head, await reader.readexactly(int(line.split(b":")[1]))
    # Chunked: a session answers as an event stream.
    body = b""
    while (size := int(await reader.readuntil(b"\r\n"), 16)) > 0:
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)
    return head, body


def serve(who: Who, folder: str) -> None:
    """Serves until terminated; the first line on stdout is the port, the access token and the campaign's id."""
    import uvicorn

    listener = socket.create_server(("127.0.0.1", 0))
    port = int(listener.getsockname()[1])
    app, token, campaign_id = _our_app(folder, port) if who == "ours" else (_bare_app(folder), "none", "none")
    print(port, token, campaign_id, flush=True)
    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1)
    uvicorn.Server(config).run([listener])


def _our_app(folder: str, port: int) -> tuple["ASGIApp", str, str]:
    from starlette.applications import Starlette
    from starlette.routing import Route

    from postrider.app import build
    from postrider.doors.cli.serving import settle_memory
    from postrider.doors.mcp.http import mcp_app
    from postrider.settings import load_settings

    app = build(load_settings({"POSTRIDER_DATA_DIR": folder}))
    token, campaign_id = asyncio.run(_connected(app, f"http://127.0.0.1:{port}/mcp"))
    door, lifespan = mcp_app(app, port=port)
    settle_memory()
    return Starlette(routes=[Route("/mcp", door)], lifespan=lambda _: lifespan()), token, campaign_id


async def _connected(app: "App", resource: str) -> tuple[str, str]:
    """The access token of an app that somebody has let in, and the id of a campaign."""
    from postrider.access.queries import create_owner
    from postrider.dispatch import Call
    from postrider.grants.queries import granted_reach, issue_tokens
    from postrider.grants.tables import Grant
    from postrider.grants.tokens import PURPOSE
    from postrider.kernel.context import ALL_SCOPES, Actor
    from postrider.kernel.ids import new_id
    from postrider.storage.leases import wall_ms_now

    pepper, now = app.vault.derive("api-keys"), app.clock.now()
    owner = await app.database.write(lambda s: create_owner(s, pepper, "ann@ann.test", "Ann", "Ann's", now))
    grant = Grant(
        workspace_id=owner.workspace_id,
        id=new_id("grt"),
        client_id="bench",
        client_name="Benchmark",
        user_id=owner.user_id,
        redirect_uri="http://127.0.0.1/callback",
        scopes=["read"],
        toolsets=None,
        autonomy="confirm",
        daily_sends=None,
        first_day_sends=100,
        created_at=now,
        last_used_at=None,
        revoked_at=None,
        revoked_reason=None,
    )

    def give(session: "Session") -> str:
        session.add(grant)
        session.flush()
        key = app.vault.derive(PURPOSE)
        return issue_tokens(session, key, grant, resource, granted_reach(grant), None, wall_ms_now()).access.reveal()

    token = await app.database.write(give)
    actor = Actor("local", "local", owner.user_id, owner.workspace_id, ALL_SCOPES, "free", "cli")
    email = {"type": "email", "subject": "Hello {{firstName}}", "body": "<p>Is {{companyName|your team}} hiring?</p>"}
    sequence = [email, {"type": "wait", "waitDays": 3}, {**email, "subject": ""}]
    made = await app.dispatcher.call(Call("create_campaign", {"name": "Bench", "sequence": sequence}, actor))
    return token, str(made.output.model_dump(by_alias=True)["id"])


def _bare_app(folder: str) -> "ASGIApp":
    from benchmarks.bench_stdio import bare_server
    from mcp_types import CallToolResult

    kept = Path(folder) / ANSWER
    answer = CallToolResult.model_validate_json(kept.read_bytes()) if kept.exists() else None
    return bare_server(TOOL, answer).streamable_http_app()


if __name__ == "__main__":
    if len(sys.argv) == 3:
        serve("ours" if sys.argv[1] == "ours" else "bare", sys.argv[2])
    else:
        for name, figure in measure().items():
            print(f"{name:32} {figure:10,.2f}")
        print(f"goal: each ratio at least {GOAL_RATIO}")
