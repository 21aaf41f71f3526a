"""What runs the transactions of a call: plain ones, the one that is its effect, and parts between two records."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from pydantic import BaseModel
from sqlalchemy.orm import Session

from postrider.audit.changes import Changes, Hashes
from postrider.dispatch.settlement import Settlement
from postrider.kernel.context import Context
from postrider.kernel.events import Signals

T = TypeVar("T")


class Replayed(Exception):
    """Another call with the same key was faster; its answer is ours."""

    def __init__(self, output: BaseModel) -> None:
        super().__init__()
        self.output = output


class Transactions:
    """Runs functions of a Context in transactions of one kind, and wakes the engine after each commit."""

    def __init__(
        self,
        run: Callable[[Callable[[Session], Any]], Awaitable[Any]],
        context: Callable[[Session], Context],
        signals: Signals,
    ) -> None:
        self._run = run
        self._context = context
        self._signals = signals

    async def __call__(self, work: Callable[[Context], T]) -> T:
        contexts: list[Context] = []

        def inside(session: Session) -> T:
            context = self._context(session)
            contexts.append(context)
            return work(context)

        result: T = await self._run(inside)
        for signal in contexts[-1].wakes:
            self._signals.wake(signal)
        return result


class OneEffect:
    """Runs the one transaction that is what an operation does, and settles the call in it."""

    def __init__(self, write: Transactions, settlement: Settlement) -> None:
        self._write = write
        self._settlement = settlement

    async def __call__(self, work: Callable[[Context], T]) -> T:
        def inside(context: Context) -> T:
            replay = self._settlement.enter(context)
            if replay is not None:
                raise Replayed(replay)
            output = work(context)
            assert isinstance(output, BaseModel)
            self._settlement.leave(context, output)
            return output

        return await self._write(inside)


class Part:
    """Runs the transactions of a call with a record at each end, and tells its settlement what they have committed.

    ``is_effect``: what they write is what the call was asked for.
    """

    def __init__(self, write: Transactions, settlement: Settlement, *, is_effect: bool) -> None:
        self._write = write
        self._settlement = settlement
        self._is_effect = is_effect

    async def __call__(self, work: Callable[[Context], T]) -> T:
        def inside(context: Context) -> tuple[T, Hashes]:
            changes = Changes(context.session, context.vault)
            output = work(context)
            return output, changes.end()

        output, hashes = await self._write(inside)
        self._settlement.committed(hashes, is_effect=self._is_effect)
        return output


def settling(settlement: Settlement, run: Callable[[Context], BaseModel]) -> Callable[[Context], BaseModel]:
    """``run`` as the effect of a call, settled in its transaction."""

    def inside(context: Context) -> BaseModel:
        replay = settlement.enter(context)
        if replay is not None:
            return replay
        output = run(context)
        settlement.leave(context, output)
        return output

    return inside
