"""Writes down which credentials are in use: seldom, and never at the cost of a call."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from postrider.access.last_use import GRAIN, note_key_use
from postrider.grants.queries import note_grant_use
from postrider.kernel.clock import Clock
from postrider.kernel.context import Actor
from postrider.storage.database import Database

_MOST_REMEMBERED: Final = 10_000


class LastUse:
    """Notes the use of a credential at most once a minute for each process."""

    def __init__(self, database: Database, clock: Clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._now = monotonic
        self._noted: dict[str, float] = {}

    async def note(self, actor: Actor) -> None:
        """Returns when it is written down, or has been within the last minute."""
        now = self._now()
        if now < self._noted.get(actor.credential_id, now):
            return
        if len(self._noted) >= _MOST_REMEMBERED:
            self._noted = {name: until for name, until in self._noted.items() if until > now}
        self._noted[actor.credential_id] = now + GRAIN.total_seconds()
        with suppress(SQLAlchemyError):
            await self._database.hot(lambda connection: self._write(connection, actor))

    def _write(self, connection: Connection, actor: Actor) -> None:
        if actor.kind == "oauth_grant":
            note_grant_use(connection, actor.workspace_id, actor.credential_id, self._clock.now())
        else:
            note_key_use(connection, actor.credential_id, self._clock.now())
