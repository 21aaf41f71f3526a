"""Chains what callers did, a few seconds after it was committed: see audit/sealing.py."""

import asyncio
from time import monotonic
from typing import Final

import structlog

from postrider.audit.rules import KEY_PURPOSE
from postrider.audit.sealing import BATCH_ROWS, ChainBroken, seal_batch, unsealed_workspaces
from postrider.kernel.clock import Clock
from postrider.kernel.vault import Vault
from postrider.storage.away import is_away
from postrider.storage.database import Database

log = structlog.get_logger(__name__)

LOOK_AGAIN_SECONDS: Final = 3.0
"""Wall time between two looks: everything is to be chained within ten seconds."""
TOLD_AGAIN_SECONDS: Final = 600.0
"""How often the log says that a chain is broken."""


class SealerLoop:
    """Chains the rows of every workspace, a batch for each in turn."""

    def __init__(self, database: Database, clock: Clock, vault: Vault) -> None:
        self._database = database
        self._clock = clock
        self._key = vault.derive(KEY_PURPOSE)
        self._stopping = asyncio.Event()
        self._told: dict[str, float] = {}

    def stop(self) -> None:
        """Takes on nothing more."""
        self._stopping.set()

    async def run(self) -> None:
        """Runs until ``stop``."""
        while not self._stopping.is_set():
            try:
                while await self.seal_all() and not self._stopping.is_set():
                    pass
            except Exception as error:
                # Nothing here may end the engine: mail goes on being sent, and rows wait for their place.
                log.exception("sealer_waits_for_database" if is_away(error) else "sealer_failed")
            await self._pause()

    async def seal_all(self) -> bool:
        """One batch for each workspace; whether one of them may have more."""
        more = False
        for workspace_id in await self._database.read(unsealed_workspaces):
            if self._stopping.is_set():
                return False
            more = await self._seal(workspace_id) == BATCH_ROWS or more
        return more

    async def _seal(self, workspace_id: str) -> int:
        try:
            return await self._database.write(
                lambda session: seal_batch(session, self._key, workspace_id, self._clock.now())
            )
        except ChainBroken:
            if monotonic() >= self._told.get(workspace_id, 0.0):
                self._told[workspace_id] = monotonic() + TOLD_AGAIN_SECONDS
                log.error("audit_chain_broken", workspace_id=workspace_id, mend="Run: postrider audit verify")
            return 0
        except Exception as error:
            if is_away(error):
                raise
            # The rows of one workspace must not keep those of the others from being sealed.
            log.exception("workspace_not_sealed", workspace_id=workspace_id)
            return 0

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), LOOK_AGAIN_SECONDS)
        except TimeoutError:
            return
