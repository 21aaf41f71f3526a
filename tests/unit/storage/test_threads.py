"""Database threads: results and errors come back to the loop that asked; who has left is not worked for."""

import asyncio
import threading
from collections.abc import Callable
from contextvars import Context
from pathlib import Path
from typing import TypeVarTuple

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from postrider.storage.sqlite import SqliteDatabase
from postrider.storage.threads import Job, ThreadPool, resolve

Ts = TypeVarTuple("Ts")


@pytest.fixture
def pool() -> ThreadPool:
    return ThreadPool(1, "test")


async def test_results_and_errors_come_back_from_a_thread_of_the_pool(pool: ThreadPool) -> None:
    def fail() -> None:
        raise LookupError("gone")

    assert await pool.run(lambda: threading.current_thread().name) == "test-0"
    with pytest.raises(LookupError, match="gone"):
        await pool.run(fail)
    assert await pool.run(lambda: 2) == 2
    pool.close()


async def test_short_jobs_are_done_by_one_thread_and_a_long_one_keeps_nobody_waiting() -> None:
    patient, free = ThreadPool(2, "patient", patience_seconds=3_600.0), threading.Event()
    names = await asyncio.gather(*(patient.run(lambda: threading.current_thread().name) for _ in range(50)))
    assert len(set(names)) == 1
    patient.close()
    hasty = ThreadPool(2, "hasty", patience_seconds=0.001)
    long = asyncio.create_task(hasty.run(free.wait))
    await asyncio.sleep(0)
    assert await asyncio.wait_for(hasty.run(lambda: "meanwhile"), 30) == "meanwhile"
    free.set()
    assert await long
    hasty.close()


async def test_work_whose_caller_has_left_before_it_began_is_never_done(pool: ThreadPool) -> None:
    free, done = threading.Event(), []
    first = asyncio.create_task(pool.run(lambda: free.wait()))
    second = asyncio.create_task(pool.run(lambda: done.append("second")))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.wait({second})
    free.set()
    assert await first
    assert await pool.run(lambda: done) == []
    pool.close()


async def test_closing_finishes_what_was_asked_for_and_refuses_more(pool: ThreadPool) -> None:
    last = asyncio.create_task(pool.run(lambda: "done"))
    await asyncio.sleep(0)
    pool.close()
    assert await last == "done"
    with pytest.raises(RuntimeError, match="closed"):
        await pool.run(lambda: None)


class LeavesAtTheLastMoment(asyncio.SelectorEventLoop):
    """A loop that is open whenever it is asked, and closed when it is told something."""

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        self.close()
        return super().call_soon_threadsafe(callback, *args, context=context)


async def test_a_loop_that_closes_meanwhile_keeps_nobody_else_from_their_result() -> None:
    leaving = LeavesAtTheLastMoment()
    gone = Job(lambda: None, leaving.create_future(), leaving)
    here = Job.of(lambda: None)
    here.result = "here"
    resolve([gone, here])
    assert leaving.is_closed()
    assert await asyncio.wait_for(here.future, 5) == "here"


async def test_the_writer_goes_on_when_the_loop_of_its_caller_has_closed(tmp_path: Path) -> None:
    """As when a process that shares the database runs one loop after another, and one is cut off in the midst."""
    database = SqliteDatabase(str(tmp_path / "data.sqlite3"))
    working, free = threading.Event(), threading.Event()

    def hold(session: Session) -> None:
        working.set()
        assert free.wait(10)

    async def ask_and_leave() -> None:
        asking = asyncio.create_task(database.write(hold))
        await asyncio.sleep(0)
        await asyncio.get_running_loop().run_in_executor(None, working.wait, 10)
        asking.cancel()

    await asyncio.to_thread(lambda: asyncio.run(ask_and_leave()))
    free.set()
    assert await asyncio.wait_for(database.write(lambda s: s.scalar(text("SELECT 1"))), 5) == 1
    await database.close()
