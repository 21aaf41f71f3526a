"""Work that many tasks ask for at the same time, done for all of them in one transaction."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

from sqlalchemy import Connection

from postrider.storage.away import is_away
from postrider.storage.database import Database

Item = TypeVar("Item")
Result = TypeVar("Result")

LIMIT: Final = 64
"""Items of one transaction, which is to stay short."""


class Together(Generic[Item, Result]):
    """Runs ``work(connection, workspace_id, items)`` for what has gathered while the last such transaction ran.

    One item alone does not wait. When an item makes the transaction fail, each is tried in one of its own, so that the
    trouble of one is not that of the others; when the database is away, that is everybody's trouble. ``work`` gives
    one result for each item, in their order.
    """

    def __init__(
        self,
        database: Database,
        work: Callable[[Connection, str, Sequence[Item]], Sequence[Result]],
        *,
        urgent: bool = False,
    ) -> None:
        self._database = database
        self._work = work
        self._urgent = urgent
        self._waiting: dict[str, list[tuple[Item, asyncio.Future[Result]]]] = {}
        self._runs: set[asyncio.Task[None]] = set()

    async def run(self, workspace_id: str, item: Item) -> Result:
        """The result for one item, after the commit. Raises: what ``work`` or the database raises."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.get(workspace_id)
        if waiting is not None:
            waiting.append((item, future))
        else:
            self._waiting[workspace_id] = [(item, future)]
            task = asyncio.create_task(self._work_off(workspace_id))
            self._runs.add(task)
            task.add_done_callback(self._runs.discard)
        return await future

    async def _work_off(self, workspace_id: str) -> None:
        try:
            while waiting := self._waiting[workspace_id]:
                group, self._waiting[workspace_id] = waiting[:LIMIT], waiting[LIMIT:]
                await self._run_group(workspace_id, group)
        finally:
            for _, future in self._waiting.pop(workspace_id):
                future.cancel()

    async def _run_group(self, workspace_id: str, group: "list[tuple[Item, asyncio.Future[Result]]]") -> None:
        try:
            results = await self._in_one(workspace_id, [item for item, _ in group])
        except Exception as error:
            if len(group) == 1 or is_away(error):
                for _, future in group:
                    _fail(future, error)
            else:
                await asyncio.gather(*(self._run_group(workspace_id, [one]) for one in group))
            return
        for (_, future), result in zip(group, results, strict=True):
            if not future.done():
                future.set_result(result)

    async def _in_one(self, workspace_id: str, items: Sequence[Item]) -> Sequence[Result]:
        return await self._database.hot(lambda c: self._work(c, workspace_id, items), urgent=self._urgent)


def _fail(future: "asyncio.Future[Result]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
