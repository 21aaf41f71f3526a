"""A test message on its way. Whoever waits for it may leave: the ledger learns what became of it all the same."""

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

from sqlalchemy import Connection

from postrider.kernel.context import OutsideContext
from postrider.sending.outcomes import Held, Outcome
from postrider.sending.ports import Envelope, MailTransport
from postrider.sending.trials import Trial, begin_trial, dot_trial, finish_trial
from postrider.storage.away import insist

T = TypeVar("T")

_under_way: Final[set["asyncio.Task[Outcome]"]] = set()
"""A loop knows its tasks only weakly."""


async def send_trial(ctx: OutsideContext, trial: Trial, envelope: Envelope) -> Outcome:
    """What became of a test, once it has been written down; for that, a database that is away is waited for.

    A caller who leaves stops it if the dot has not left yet. Raises: Conflict when something forbids it.
    """
    flight = _TrialFlight(ctx, trial, envelope)
    task = asyncio.create_task(flight.run())
    _under_way.add(task)
    task.add_done_callback(_under_way.discard)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        flight.is_wanted = False
        raise


class _TrialFlight:
    """Takes a test from its first marker to its outcome, in a task of its own."""

    def __init__(self, ctx: OutsideContext, trial: Trial, envelope: Envelope) -> None:
        self.is_wanted = True
        self._ctx = ctx
        self._trial = trial
        self._envelope = envelope

    async def run(self) -> Outcome:
        """See send_trial."""
        await self._write(lambda connection: begin_trial(connection, self._trial))
        transport = self._ctx.port(MailTransport)
        try:
            outcome = await transport.send(self._trial.account, self._envelope, self._marker)
        except BaseException:
            # The second marker failed or the process is to end, and either way the dot has not left.
            await self._finish(Held("interrupted"))
            raise
        await self._finish(outcome)
        return outcome

    async def _marker(self) -> bool:
        return self.is_wanted and await self._write(lambda connection: dot_trial(connection, self._trial))

    async def _finish(self, outcome: Outcome) -> None:
        await insist(
            lambda: self._write(lambda connection: finish_trial(connection, self._ctx.vault, self._trial, outcome)),
            "outcome_of_test_not_written",
            outcome=type(outcome).__name__,
        )

    async def _write(self, work: Callable[[Connection], T]) -> T:
        return await self._ctx.aside(lambda tx: work(tx.session.connection()))
