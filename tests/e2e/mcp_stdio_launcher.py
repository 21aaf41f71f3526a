"""Starts the stdio door as a process of its own, with the extra operations: python -m tests.e2e.mcp_stdio_launcher."""

import sys

import anyio

from postrider.access.queries import create_owner, local_actor
from postrider.app import build
from postrider.doors.mcp.projection import Projection
from postrider.doors.mcp.stdio import own_stdout, serve_stdio
from postrider.doors.mcp.surface import MAIN
from postrider.logs import configure_logs
from postrider.settings import load_settings
from tests.e2e.mcp_rig import with_extra_operations

SLOW_TO_IMPORT = ("anthropic", "alembic")


async def main() -> None:
    """Serves the first workspace of POSTRIDER_DATA_DIR, which is made when there is none."""
    settings = load_settings()
    configure_logs(settings.log_level)
    with own_stdout() as wire:
        app = build(settings)
        actor = await app.database.read(lambda session: local_actor(session, None))
        if actor is None:
            pepper = app.vault.derive("api-keys")
            now = app.clock.now()
            await app.database.write(lambda session: create_owner(session, pepper, "ann@ann.test", "Ann", "Ann's", now))
            actor = await app.database.read(lambda session: local_actor(session, None))
        assert actor is not None
        await serve_stdio(Projection(with_extra_operations(app), MAIN, lambda ctx: actor), wire)
        await app.close()
    print("imported:", *(name for name in SLOW_TO_IMPORT if name in sys.modules), file=sys.stderr)


if __name__ == "__main__":
    anyio.run(main)
