"""The real server and engine in a process of their own, on a clock that the test moves over a pipe.

Started with settings in the environment. First line out: JSON with the port and the owner's keys. Then, for each line
in (``{"pass_seconds": 3600}``), time passes wake-up by wake-up, all mailboxes being looked at at each, and one JSON
line with the new time comes out. End of input ends it.
"""

import asyncio
import json
import socket
import sys
from datetime import datetime, timedelta

import uvicorn

from postrider.access.queries import create_owner
from postrider.app import build, engine_of
from postrider.doors.http import Binding, http_app
from postrider.engine.worker import Engine, run_when_free
from postrider.kernel.clock import VirtualClock
from postrider.logs import configure_logs
from postrider.settings import load_settings
from postrider.storage.schema import is_postgresql, upgrade_schema

STEP_SECONDS = 60.0


async def pass_time(engine: Engine, clock: VirtualClock, end: datetime) -> None:
    """Moves the clock to ``end``, everybody doing all there is to do on the way."""
    while True:
        async with asyncio.timeout(STEP_SECONDS):
            await engine.rest.quiet()
            await engine.poll_mail()
            await engine.rest.quiet()
        if clock.now() >= end:
            return
        wake = clock.next_wake()
        clock.advance_to(min(end, wake) if wake is not None else end)


async def serve() -> None:
    """Runs until the end of input."""
    settings = load_settings()
    configure_logs(settings.log_level, as_json=True)
    if is_postgresql(settings):
        upgrade_schema(settings)
    clock = VirtualClock(datetime.fromisoformat("2026-03-02T08:00:00+00:00"))
    app = build(settings, clock=clock)
    pepper = app.vault.derive("api-keys")
    owner = await app.database.write(lambda s: create_owner(s, pepper, "ann@ann.test", "Ann", "Ann's", clock.now()))
    listener = socket.create_server(("127.0.0.1", 0))
    port = int(listener.getsockname()[1])
    config = uvicorn.Config(http_app(app, Binding("127.0.0.1", port, True)), log_config=None, ws="none")
    server, stop, engine = uvicorn.Server(config), asyncio.Event(), engine_of(app)
    tasks = [asyncio.create_task(server.serve([listener])), asyncio.create_task(run_when_free(engine, stop))]
    _say({"port": port, "workspaceId": owner.workspace_id, "key": owner.workspace_key.reveal()})
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        seconds = json.loads(line)["pass_seconds"]
        await pass_time(engine, clock, clock.now() + timedelta(seconds=seconds))
        _say({"now": clock.now().isoformat()})
    stop.set()
    server.should_exit = True
    await asyncio.gather(*tasks)
    await app.close()


def _say(fact: dict[str, object]) -> None:
    print(json.dumps(fact), flush=True)


if __name__ == "__main__":
    asyncio.run(serve())
