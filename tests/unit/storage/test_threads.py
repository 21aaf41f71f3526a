"""Database threads: results and errors come back to the loop that asked; who has left is not worked for."""

import asyncio
import threading

import pytest

from postrider.storage.threads import ThreadPool


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
