"""Forgets what has run out: what calls were held to, records for undoing, and files."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy.orm import Session

from postrider.confirmations.approvals import sweep_approvals
from postrider.confirmations.tokens import sweep_tokens
from postrider.files.queries import sweep_files, sweep_strays
from postrider.idempotency.queries import sweep_keys
from postrider.kernel.clock import Clock
from postrider.storage.database import Database
from postrider.storage.leases import wall_ms_now
from postrider.undo.queries import sweep_undo

log = structlog.get_logger(__name__)

LOOK_AGAIN_SECONDS: Final = 300.0
SWEPT_ROWS: Final = 500
"""Of each kind in one transaction."""


def sweep_demands(session: Session, now: datetime) -> bool:
    """Forgets idempotency keys, used confirm tokens and approvals that have run out; True if there may be more."""
    swept = (
        sweep_keys(session, now, SWEPT_ROWS),
        sweep_tokens(session, wall_ms_now(), SWEPT_ROWS),
        sweep_approvals(session, now, SWEPT_ROWS),
    )
    return SWEPT_ROWS in swept


class SweeperLoop:
    """Looks every few minutes, and deletes a bounded number of rows in one transaction."""

    def __init__(self, database: Database, clock: Clock, data_dir: Path) -> None:
        self._database = database
        self._clock = clock
        self._data_dir = data_dir
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Takes on nothing more."""
        self._stopping.set()

    async def run(self) -> None:
        """Runs until ``stop``."""
        while not self._stopping.is_set():
            try:
                await self.sweep()
            except Exception:
                # Nothing here may end the engine, and whatever it is can wait.
                log.exception("not_swept")
            try:
                await asyncio.wait_for(self._stopping.wait(), LOOK_AGAIN_SECONDS)
            except TimeoutError:
                continue

    async def sweep(self) -> None:
        """Forgets everything that has run out by now."""
        now = self._clock.now()
        sweeps: tuple[Callable[[Session], int], ...] = (
            lambda session: sweep_demands(session, now),
            lambda session: sweep_undo(session, now),
            lambda session: sweep_files(session, self._data_dir, now),
        )
        for sweep in sweeps:
            while await self._database.write(sweep) and not self._stopping.is_set():
                pass
        await self._database.read(lambda session: sweep_strays(session, self._data_dir))
