"""``stdio``: MCP for the local owner, with the engine beside it.

Opening the installation is most of the start. So the client gets the list of tools first, and the rest happens in a
thread meanwhile; whatever else is asked for waits for it.
"""

import asyncio
import contextlib
import os
import sys
import traceback
from io import TextIOWrapper
from typing import TYPE_CHECKING, Final, NoReturn

import typer

from postrider.doors.cli.stopping import drain, on_stop_signal
from postrider.doors.cli.words import explained
from postrider.doors.mcp.early import CORE, EarlyHandlers, known_tools
from postrider.doors.mcp.server import Handlers
from postrider.doors.mcp.stdio import own_stdout, serve_stdio
from postrider.logs import configure_logs
from postrider.settings import Settings, load_settings

if TYPE_CHECKING:
    from postrider.app import App
    from postrider.doors.cli.local import House

_LIST_SECONDS: Final = 0.05
"""What a list takes to be written. Imports beside it, in the same interpreter, would make it several times that."""

_PATIENCE_SECONDS: Final = 0.5
"""How long a client may take to ask for the list. Most ask at once."""


def serve(workspace: str | None, surface: str) -> None:
    """Serves until standard input ends or a signal comes. Raises: SettingsError."""
    settings = load_settings()
    configure_logs(settings.log_level)
    with own_stdout() as wire:
        asyncio.run(_serve(settings, workspace, surface, wire))


async def _serve(settings: Settings, workspace: str | None, surface: str, wire: TextIOWrapper) -> None:
    stop, begin = asyncio.Event(), asyncio.Event()
    on_stop_signal(stop.set)
    tools = known_tools() if surface == CORE else None
    opening = asyncio.create_task(_open(settings, workspace, surface, begin))

    async def opened() -> Handlers:
        begin.set()
        # Shielded: a client that takes its request back must not stop the opening.
        return (await asyncio.shield(opening)).handlers(tools)

    def listed() -> None:
        asyncio.get_running_loop().call_later(_LIST_SECONDS, begin.set)

    client = asyncio.create_task(serve_stdio(EarlyHandlers(tools, opened, listed), wire))
    client.add_done_callback(lambda _: begin.set())
    stopped = asyncio.create_task(stop.wait())
    try:
        house = await opening
    except Exception as error:
        _end_with(error)
    engine = asyncio.create_task(house.run_engine(stop))
    await asyncio.wait({client, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    await drain(engine)
    await house.app.close()
    if client.done():
        client.result()
        return
    _end(0)


async def _open(settings: Settings, workspace: str | None, surface: str, begin: asyncio.Event) -> "House":
    """The installation, opened as soon as ``begin`` is set, and in any case soon."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(begin.wait(), _PATIENCE_SECONDS)
    app = await asyncio.to_thread(_build, settings)
    from postrider.doors.cli.local import move_in

    return await move_in(app, workspace, surface)


def _build(settings: Settings) -> "App":
    """Runs in a thread: the imports take most of the time."""
    from postrider.doors.cli import local

    return local.build(settings)


def _end_with(error: Exception) -> NoReturn:
    """Says what is wrong with the installation: in words what a person can mend, with its traceback what is a bug."""
    try:
        with explained():
            raise error
    except typer.Exit:
        pass
    except Exception:
        traceback.print_exc()
    _end(1)


def _end(status: int) -> NoReturn:
    """Ends the process at once: a thread waits for the next line of standard input, and only that line would end it."""
    sys.stderr.flush()
    os._exit(status)
