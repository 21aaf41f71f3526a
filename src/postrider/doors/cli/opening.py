"""Opening the installation for one command."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

import structlog

from postrider.access.queries import local_actor
from postrider.app import App, build
from postrider.doors.installation import Installation
from postrider.kernel.context import Actor
from postrider.kernel.errors import Conflict
from postrider.logs import configure_logs
from postrider.settings import load_settings, unknown_variables

_log: Final = structlog.get_logger("postrider.process")


def open_app() -> App:
    """The installation that the environment describes. Raises: SettingsError, SchemaError, VaultError."""
    settings = load_settings()
    configure_logs(settings.log_level)
    for name, near in unknown_variables().items():
        _log.warning("unknown_setting", variable=name, did_you_mean=near)
    return build(settings)


@asynccontextmanager
async def opened() -> AsyncIterator[App]:
    """The installation, closed afterwards."""
    app = open_app()
    try:
        yield app
    finally:
        await app.close()


async def cli_actor(installation: Installation, workspace: str | None) -> Actor:
    """The local owner, calling from here.

    Raises: NotFound, InvalidInput when several workspaces could be meant, Conflict when there is none yet.
    """
    actor = await installation.database.read(lambda session: local_actor(session, workspace, only_one=True))
    if actor is None:
        raise Conflict(
            "There is no workspace yet.",
            hint="Run: postrider init --email you@example.com --name You --workspace Main",
        )
    return replace(actor, door="cli", autonomy="free")
