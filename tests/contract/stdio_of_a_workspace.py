"""Serves one workspace over stdio, as `postrider stdio --workspace` does, without an engine that would move things."""

import sys
from dataclasses import replace

import anyio

from postrider.access.queries import local_actor
from postrider.app import build
from postrider.doors.mcp.projection import Projection
from postrider.doors.mcp.stdio import own_stdout, serve_stdio
from postrider.doors.mcp.surface import MAIN
from postrider.logs import configure_logs
from postrider.settings import load_settings


async def main() -> None:
    """Serves the workspace that the first argument names. ``free`` as the second: nothing is asked about."""
    settings = load_settings()
    configure_logs(settings.log_level)
    with own_stdout() as wire:
        app = build(settings)
        actor = await app.database.read(lambda session: local_actor(session, sys.argv[1]))
        assert actor is not None
        caller = replace(actor, autonomy="free") if sys.argv[2:] == ["free"] else actor
        await serve_stdio(Projection(app, MAIN, lambda ctx: caller), wire)
        await app.close()


if __name__ == "__main__":
    anyio.run(main)
