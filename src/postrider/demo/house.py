"""The demo's installation: the whole product on a temporary database, on a clock that the demo moves."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import uvicorn

from postrider.access.queries import NewOwner, create_owner
from postrider.adapters.sandbox import Sandbox
from postrider.app import App, build, engine_of
from postrider.demo.scenario import PUBLIC_URL, SEED, START
from postrider.demo.visits import Visitor
from postrider.doors.http import Binding, http_app
from postrider.engine.worker import Engine, run_when_free
from postrider.kernel.clock import VirtualClock
from postrider.settings import PREFIX, load_settings

Tick = Callable[[datetime], Awaitable[None]]

_STEP_SECONDS: Final = 60.0
"""Wall time after which a step of virtual time is given up: something waits for what never comes."""


class _Server(uvicorn.Server):
    """A server that leaves signals to the demo."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Captures none."""
        yield


@dataclass(slots=True)
class House:
    """A running installation with its sandbox and its clock. ``polled``: the arrivals that have been read."""

    app: App
    engine: Engine
    sandbox: Sandbox
    clock: VirtualClock
    owner: NewOwner
    url: str
    polled: int = -1

    async def pass_until(self, end: datetime, tick: Tick) -> None:
        """Lets virtual time pass: to whatever comes next, everybody doing all there is to do before it moves on."""
        while True:
            async with asyncio.timeout(_STEP_SECONDS):
                await self.settle()
            await tick(self.clock.now())
            if self.clock.now() >= end:
                return
            wakes = (self.clock.next_wake(), self.sandbox.next_event_at())
            self.clock.advance_to(min([end, *(wake for wake in wakes if wake is not None)]))

    async def settle(self) -> None:
        """Returns when nothing is left to do at this instant: mail is sent, and what came in is read."""
        await self.engine.rest.quiet()
        await self.sandbox.settle()
        if self.polled != self.sandbox.arrivals:
            self.polled = self.sandbox.arrivals
            await self.engine.poll_mail()
        await self.engine.rest.quiet()


@asynccontextmanager
async def open_house(folder: Path) -> AsyncIterator[House]:
    """The product at work in ``folder``: server, engine and sandbox in one event loop."""
    visitor, clock = Visitor(), VirtualClock(START)
    sandbox = Sandbox(clock, SEED, one_click=visitor.one_click, fetch=visitor.fetch)
    settings = load_settings({f"{PREFIX}DATA_DIR": str(folder), f"{PREFIX}PUBLIC_URL": PUBLIC_URL})
    app = build(settings, clock=clock, sandbox=sandbox)
    pepper = app.vault.derive("api-keys")
    owner = await app.database.write(
        lambda session: create_owner(session, pepper, "you@acme-outreach.test", "You", "Demo", clock.now())
    )
    listener = socket.create_server(("127.0.0.1", 0))
    port = int(listener.getsockname()[1])
    visitor.app = http_app(app, Binding("127.0.0.1", port, engine=True))
    config = uvicorn.Config(visitor.app, lifespan="on", log_config=None, access_log=False, ws="none")
    server, stop, engine = _Server(config), asyncio.Event(), engine_of(app)
    tasks = [
        asyncio.create_task(server.serve(sockets=[listener])),
        asyncio.create_task(run_when_free(engine, stop)),
    ]
    try:
        yield House(app, engine, sandbox, clock, owner, f"http://127.0.0.1:{port}/mcp")
    finally:
        stop.set()
        server.should_exit = True
        await asyncio.gather(*tasks)
        await app.close()
