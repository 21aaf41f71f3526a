"""MCP over standard input and output: the protocol alone on stdout, everything else on stderr."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper

import anyio
from mcp.server.stdio import stdio_server

from postrider.doors.mcp.server import Handlers, build_server


@contextmanager
def own_stdout() -> Iterator[TextIOWrapper]:
    """The real stdout, for the caller alone. Until the end, whatever is printed in this process goes to stderr.

    Both ways out are led away: Python's ``sys.stdout``, and descriptor 1 for libraries and child processes.
    """
    printed = sys.stdout
    printed.flush()
    wire = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    stream = TextIOWrapper(os.fdopen(wire, "wb"), encoding="utf-8", newline="\n")
    try:
        yield stream
    finally:
        # What was written through an older reference is still buffered: it leaves before descriptor 1 comes back.
        printed.flush()
        sys.stdout = printed
        os.dup2(wire, 1)
        stream.close()


async def serve_stdio(handlers: Handlers, wire: TextIOWrapper) -> None:
    """Serves until the client closes stdin. ``wire``: what ``own_stdout`` gave."""
    server = build_server(handlers)
    async with stdio_server(stdout=anyio.wrap_file(wire)) as (requests, replies):
        await server.run(requests, replies, server.create_initialization_options())
