"""``serve`` and ``engine``: the processes that stay."""

import asyncio
import contextlib
import gc
import importlib
import socket
from collections.abc import Iterator
from typing import Final

import structlog
import uvicorn
from sqlalchemy.orm import Session
from starlette.types import ASGIApp

from postrider.access.links import KEY, SETUP_MS, drop_links, make_link
from postrider.access.people import can_anybody_sign_in
from postrider.app import App, run_job
from postrider.doors.cli.connections import BoundedProtocol
from postrider.doors.cli.opening import open_app
from postrider.doors.cli.stopping import DRAIN_SECONDS, drain, on_stop_signal
from postrider.doors.cli.words import say
from postrider.kernel.errors import Conflict

_HTTP_DRAIN_SECONDS: Final = 5
_KEEP_ALIVE_SECONDS: Final = 75
_log: Final = structlog.get_logger("postrider.process")


class _Server(uvicorn.Server):
    """A server whose signals are ours, because an engine has to stop with it, and which says that it is up."""

    def __init__(self, config: uvicorn.Config, announcement: list[str]) -> None:
        super().__init__(config)
        self._announcement = announcement

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Captures none."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Announces the address once it can be reached."""
        await super().startup(sockets)
        if self.started:
            for line in self._announcement:
                say(line)


def serve_http(host: str, port: int, with_engine: bool) -> None:
    """Serves until a signal comes. Raises: Conflict when the port is taken."""
    from postrider.doors.http import Binding, http_app

    app = open_app()
    listener = _bind(host, port)
    bound = listener.getsockname()[1]
    runner = None if with_engine else (lambda actor, job_id: run_job(app, actor.workspace_id, job_id))
    config = _config(http_app(app, Binding(host, bound, with_engine), runner))
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as loop:
        loop.run(_serve(app, config, listener, _address(host, bound), with_engine))


def run_engine_alone() -> None:
    """Runs the engine until a signal comes."""
    asyncio.run(_engine_alone(open_app()))


async def start_engine(app: App, stop: asyncio.Event) -> None:
    """Runs the engine until ``stop``; it starts afresh when it fails. Imported in a thread: the doors answer meanwhile.

    Raises: what keeps it from starting at all, such as a lock file that cannot be opened.
    """
    await asyncio.to_thread(importlib.import_module, "postrider.engine.worker")
    from postrider.app import run_engine

    settle_memory()
    await run_engine(app, stop)


def settle_memory() -> None:
    """Takes what has been loaded out of the garbage collector's sight: it stays, and every look at it costs time."""
    gc.collect()
    gc.freeze()
    # A call makes and drops thousands of objects; to look through the young ones after every 700 finds next to nothing.
    gc.set_threshold(10_000, 20, 50)


async def _serve(app: App, config: uvicorn.Config, listener: socket.socket, address: str, with_engine: bool) -> None:
    stop = asyncio.Event()
    on_stop_signal(stop.set)
    settle_memory()
    server = _Server(config, await _announcement(app, address, with_engine))
    http = asyncio.create_task(server.serve(sockets=[listener]))
    engine = asyncio.create_task(start_engine(app, stop)) if with_engine else None
    try:
        await _until_something_ends(http, engine, stop)
    finally:
        stop.set()
        server.should_exit = True
        await _drain_all(http, engine)
        await app.close()


async def _until_something_ends(
    http: "asyncio.Task[None]", engine: "asyncio.Task[None] | None", stop: asyncio.Event
) -> None:
    """Returns on a signal, when the server ends, or when the engine cannot start; it may also end by itself."""
    stopped = asyncio.create_task(stop.wait())
    running: set[asyncio.Task[object]] = {http, stopped, *([engine] if engine else [])}
    while not stopped.done() and not http.done():
        done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        if engine in done and engine is not None and engine.exception() is not None:
            break
    stopped.cancel()


async def _drain_all(http: "asyncio.Task[None]", engine: "asyncio.Task[None] | None") -> None:
    ends = [drain(http, DRAIN_SECONDS), *([drain(engine)] if engine else [])]
    for result in await asyncio.gather(*ends, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


async def _engine_alone(app: App) -> None:
    stop = asyncio.Event()
    on_stop_signal(stop.set)
    engine = asyncio.create_task(start_engine(app, stop))
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({engine, stopped}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stop.set()
        await drain(engine)
        await app.close()


async def _announcement(app: App, address: str, with_engine: bool) -> list[str]:
    lines = [f"Postrider listens on {address}  (REST {address}/v1, MCP {address}/mcp)"]
    if not with_engine:
        lines.append("No engine runs in this process: start one with `postrider engine`.")
    link = await set_up_link(app, app.settings.public_url or address)
    if link is not None:
        lines.append("Nobody can sign in yet. Open this link, which works once and for a day:")
        lines.append(f"  {link}")
    return lines


async def set_up_link(app: App, base: str) -> str | None:
    """A link with which the first person sets the installation up; None once anybody can sign in."""

    def write(session: Session) -> str | None:
        if can_anybody_sign_in(session):
            drop_links(session, "setup")
            return None
        token = make_link(session, app.vault.derive(KEY), "setup", None, SETUP_MS)
        return f"{base}/set-up/{token.reveal()}"

    return await app.database.write(write)


def _config(application: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        http=BoundedProtocol,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        # Which proxies are believed is a setting, and our own wrapper's work: see doors/proxies.py.
        proxy_headers=False,
        timeout_graceful_shutdown=_HTTP_DRAIN_SECONDS,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        ws="none",
    )


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(target)
    except OSError as error:
        raise Conflict(
            f"Port {port} on {host} cannot be used: {error.strerror or error}.",
            hint="Choose another one with --port, or stop what uses it.",
        ) from None
    listener.setblocking(False)
    return listener


def _address(host: str, port: int) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"
