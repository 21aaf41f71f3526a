"""What the MCP tests share: extra operations, the door behind a real HTTP server, and the SDK's own client."""

import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Annotated

import anyio
import uvicorn
from mcp.client import Client
from mcp.client.client import ConnectMode
from mcp.client.session import MessageHandlerFnT
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from pydantic import Field
from starlette.applications import Starlette
from starlette.routing import Route

from postrider.app import App
from postrider.catalogue import Catalogue, load_catalogue
from postrider.dispatch import Dispatcher
from postrider.doors.mcp.http import mcp_app
from postrider.kernel.context import Context, OutsideContext
from postrider.kernel.errors import LimitReached
from postrider.kernel.operation import ATTRIBUTE, Effect, Input, Operation, Output, Rest, operation
from postrider.kernel.page import Page, PageInput

ERAS: tuple[ConnectMode, ...] = ("legacy", "2026-07-28")
SECRET = "sk_0123456789_not_for_any_client"


class Nothing(Input):
    """Takes nothing."""


class Marks(PageInput):
    """A page of marks."""

    words: Annotated[int, Field(ge=1, le=1_000, description="How long each text is.")] = 1


class Mark(Output):
    """One mark. ``note`` is null now and then."""

    id: str
    name: str
    note: str | None
    text: str


class MarkPage(Page[Mark]):
    """A page of marks."""


class Essay(Output):
    """A very long text."""

    id: str
    text: str


@operation(title="List marks", effect=Effect.READ, rest=Rest("GET", "/v1/marks"), aliases=("list_mark",), core=True)
def list_marks(ctx: Context, request: Marks) -> MarkPage:
    """List marks, as many as asked for."""
    rows = [
        Mark(id=f"mark_{n}", name=f"Mark {n}", note=None, text="palaver " * request.words) for n in range(request.limit)
    ]
    return MarkPage(items=rows, limit=request.limit, total=1_000, has_more=True, next_cursor="next")


@operation(title="Write an essay", effect=Effect.WRITE, rest=Rest("POST", "/v1/essays"))
def write_essay(ctx: Context, request: Nothing) -> Essay:
    """Write far more than fits into one answer."""
    return Essay(id="essay_1", text="on and on " * 10_000)


@operation(title="Crash", effect=Effect.DESTRUCTIVE, rest=Rest("DELETE", "/v1/crash"))
def crash(ctx: Context, request: Nothing) -> Essay:
    """Fail as a bug does, with a secret in the exception."""
    raise ValueError(f"could not parse {SECRET}")


@operation(title="Hit a limit", effect=Effect.WRITE, rest=Rest("POST", "/v1/limits"))
def hit_limit(ctx: Context, request: Nothing) -> Essay:
    """Run into a limit."""
    raise LimitReached("The daily limit of 40 is reached.", retry_after_seconds=3600, hint="Call again tomorrow.")


@operation(title="Work", effect=Effect.WRITE, rest=Rest("POST", "/v1/work"))
async def work(ctx: OutsideContext, request: Nothing) -> Essay:
    """Report three steps of work."""
    for step in (1, 2, 3):
        await ctx.progress(step, 3, f"step {step}")
    return Essay(id="essay_2", text="done")


class Waiting:
    """A port that the operation ``wait`` waits at; tells when somebody waits, and when they gave up."""

    def __init__(self) -> None:
        self.started = anyio.Event()
        self.cancelled = anyio.Event()

    async def forever(self) -> None:
        self.started.set()
        try:
            await anyio.Event().wait()
        finally:
            self.cancelled.set()


@operation(title="Wait", effect=Effect.WRITE, rest=Rest("POST", "/v1/wait"))
async def wait(ctx: OutsideContext, request: Nothing) -> Essay:
    """Wait for something that never happens."""
    await ctx.port(Waiting).forever()
    return Essay(id="essay_3", text="never")


@operation(title="Make noise", effect=Effect.WRITE, rest=Rest("POST", "/v1/noise"))
def make_noise(ctx: Context, request: Nothing) -> Essay:
    """Print by every way there is: Python, the descriptor, a child process, the stream as it was at the start."""
    print("noise from print")
    os.write(1, b"noise from descriptor 1\n")
    subprocess.run([sys.executable, "-c", "print('noise from a child')"], check=True)
    assert sys.__stdout__ is not None
    sys.__stdout__.write("noise from the first stdout\n")
    return Essay(id="essay_4", text="quiet")


EXTRA: tuple[Operation, ...] = tuple(
    getattr(function, ATTRIBUTE) for function in (list_marks, write_essay, crash, hit_limit, work, wait, make_noise)
)


def with_extra_operations(app: App) -> App:
    """``app`` with this module's operations behind the real ones."""
    catalogue = Catalogue([*load_catalogue(), *EXTRA])
    ports = {**app.ports, Waiting: Waiting()}
    dispatcher = Dispatcher(catalogue, app.database, app.settings, app.vault, app.clock, app.signals, ports)
    return replace(app, dispatcher=dispatcher, ports=ports)


@dataclass(frozen=True)
class Served:
    """A running server. ``app`` has the extra operations."""

    app: App
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    @asynccontextmanager
    async def client(
        self,
        key: str,
        mode: ConnectMode,
        below: str = "",
        message_handler: MessageHandlerFnT | None = None,
        **headers: str,
    ) -> AsyncIterator[Client]:
        """The SDK's client over HTTP. ``below``: the rest of the address; ``headers`` with underscores for dashes."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with create_mcp_http_client(headers={"X-Api-Key": key, **named}) as http:
            transport = streamable_http_client(self.url + below, http_client=http)
            async with Client(transport, mode=mode, message_handler=message_handler) as client:
                yield client


@asynccontextmanager
async def served(app: App) -> AsyncIterator[Served]:
    """The door of ``app`` (with the extra operations) behind uvicorn, on a free loopback port."""
    extended = with_extra_operations(app)
    listener = socket.create_server(("127.0.0.1", 0))
    port = int(listener.getsockname()[1])
    door, lifespan = mcp_app(extended, port=port)
    routes = [Route("/mcp", door), Route("/mcp/{rest:path}", door)]
    starlette = Starlette(routes=routes, lifespan=lambda _: lifespan())
    server = uvicorn.Server(uvicorn.Config(starlette, log_level="warning", timeout_graceful_shutdown=1))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve, [listener])
        yield Served(extended, port)
        server.should_exit = True
