"""The installation as its local owner uses it over stdio. Importing this takes long: it brings everything."""

import asyncio
from dataclasses import dataclass
from typing import Final

import structlog
from mcp_types import ListToolsResult

from postrider.access.queries import local_actor
from postrider.app import App, build
from postrider.doors.cli.owner import add_owner
from postrider.doors.cli.serving import start_engine
from postrider.doors.mcp.projection import Projection
from postrider.doors.mcp.surface import Surface, surface_named
from postrider.kernel.context import Actor
from postrider.kernel.errors import PostriderError

__all__ = ["House", "build", "move_in"]

_log: Final = structlog.get_logger("postrider.process")
_OWNER: Final = ("owner@localhost", "Owner", "Main")


@dataclass(frozen=True, slots=True)
class House:
    """An open installation and who lives there."""

    app: App
    owner: Actor
    surface: Surface

    def handlers(self, tools: ListToolsResult | None) -> Projection:
        """What answers the owner's requests. ``tools``: the main surface's list, where it is known already."""
        return Projection(self.app, self.surface, lambda ctx: self.owner, tools)

    async def run_engine(self, stop: asyncio.Event) -> None:
        """The engine. An agent must still reach its data when it cannot be started."""
        try:
            await start_engine(self.app, stop)
        except Exception:
            _log.exception("engine_not_started")


async def move_in(app: App, workspace: str | None, surface: str) -> House:
    """The local owner in ``workspace``; made with a first workspace when there is none yet.

    Raises: see local_actor; NotFound for a surface that there is not.
    """
    try:
        chosen = surface_named(surface, app.dispatcher.catalogue)
        return House(app, await _owner(app, workspace), chosen)
    except BaseException:
        await app.close()
        raise


async def _owner(app: App, workspace: str | None) -> Actor:
    actor = await app.database.read(lambda session: local_actor(session, workspace))
    if actor is None:
        await add_owner(app, *_OWNER)
        actor = await app.database.read(lambda session: local_actor(session, None))
    if actor is None:
        raise PostriderError("The workspace that was just made is gone.", hint="Start again.")
    return actor
