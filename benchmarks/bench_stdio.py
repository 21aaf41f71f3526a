"""How long an MCP client waits for its first list of tools over stdio, beside a bare SDK server with one tool.

From the start of the process to the line with the answer. The installation is opened after that, so whether its
database exists already makes no difference; here it does.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from mcp.server.lowlevel.server import Server
    from mcp_types import CallToolResult

Who = Literal["ours", "bare"]
STARTS: Final = 7
GOAL_RATIO: Final = 1.5
COMMANDS: Final[dict[Who, list[str]]] = {"ours": ["postrider", "stdio"], "bare": ["benchmarks.bench_stdio", "bare"]}

_HELLO: Final = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
OPENING: Final = b"".join(
    json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n"
    for message in (
        {"id": 1, "method": "initialize", "params": _HELLO},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/list"},
    )
)


def measure() -> dict[str, float]:
    """Median milliseconds to the first list of tools, and ours as a multiple of the bare server's."""
    waits: dict[Who, list[float]] = {"ours": [], "bare": []}
    with tempfile.TemporaryDirectory() as folder:
        first_list("ours", folder)
        for _ in range(STARTS):
            for who, seen in waits.items():
                seen.append(first_list(who, folder))
    ours, bare = median(waits["ours"]), median(waits["bare"])
    return {"ours ms": ours * 1_000, "bare ms": bare * 1_000, "ratio": ours / bare}


def first_list(who: Who, folder: str) -> float:
    """Seconds from the start of a process to its answer to tools/list."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", *COMMANDS[who]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).parents[1],
        env={**os.environ, "POSTRIDER_DATA_DIR": folder},
    )
    assert process.stdin is not None and process.stdout is not None
    with process:
        process.stdin.write(OPENING)
        process.stdin.flush()
        while json.loads(process.stdout.readline())["id"] != 2:
            pass
        waited = time.perf_counter() - start
        process.stdin.close()
        process.stdout.read()
    return waited


def bare_server(tool: str, answer: "CallToolResult | None" = None) -> "Server[Any]":
    """The least that the SDK makes a server of: one tool that returns a constant, ``answer`` or a word."""
    from mcp.server.lowlevel.server import Server
    from mcp_types import CallToolResult, ListToolsResult, TextContent, Tool

    async def list_tools(ctx: object, params: object) -> ListToolsResult:
        return ListToolsResult(tools=[Tool(name=tool, input_schema={"type": "object"})])

    async def call_tool(ctx: object, params: object) -> CallToolResult:
        return answer or CallToolResult(content=[TextContent(text="echo")])

    return Server("bare", on_list_tools=list_tools, on_call_tool=call_tool)


async def serve_bare() -> None:
    """Serves stdio until the client leaves."""
    from mcp.server.stdio import stdio_server

    server = bare_server("echo")
    async with stdio_server() as (requests, replies):
        await server.run(requests, replies, server.create_initialization_options())


if __name__ == "__main__":
    if sys.argv[1:] == ["bare"]:
        import anyio

        anyio.run(serve_bare)
    else:
        for name, figure in measure().items():
            print(f"{name:12} {figure:10,.2f}")
        print(f"goal: ratio at most {GOAL_RATIO}")
