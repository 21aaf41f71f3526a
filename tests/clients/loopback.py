"""ASGI applications on a free loopback port, and a way in for clients that cannot send a key."""

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from postrider.app import App
from postrider.doors.cli.connections import BoundedProtocol
from postrider.doors.mcp.http import ServerBuild, mcp_app


class WithKey:
    """``app`` as a client with ``key`` sees it, for one that sends no credentials: the key is put in for it.

    The door behind it checks that key as it does any other.
    """

    def __init__(self, app: ASGIApp, key: str) -> None:
        self._app = app
        self._header = (b"x-api-key", key.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = {**scope, "headers": [*scope["headers"], self._header]}
        await self._app(scope, receive, send)


@asynccontextmanager
async def served(make: Callable[[int], ASGIApp], key: str) -> AsyncIterator[str]:
    """The address of what ``make`` makes for a port, for clients that send no key."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = int(listener.getsockname()[1])
    app = WithKey(make(port), key)
    config = uvicorn.Config(app, http=BoundedProtocol, log_level="warning", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve, [listener])
        yield f"http://127.0.0.1:{port}"
        server.should_exit = True


@asynccontextmanager
async def mcp_door(app: App, key: str, build: ServerBuild) -> AsyncIterator[str]:
    """The address of the MCP door of ``app``, with servers made by ``build``, for clients that send no key."""

    def make(port: int) -> ASGIApp:
        door, lifespan = mcp_app(app, port=port, build=build)
        routes = [Route("/mcp", door), Route("/mcp/{rest:path}", door)]
        return Starlette(routes=routes, lifespan=lambda _: lifespan())

    async with served(make, key) as address:
        yield f"{address}/mcp"
