"""Threads that work for event loops: what one is asked to do, and the way of its results back."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class Job:
    """One unit of work with the future that its caller awaits."""

    work: Callable[..., Any]
    future: "asyncio.Future[Any]"
    loop: asyncio.AbstractEventLoop
    result: object = None
    error: BaseException | None = None
    is_taken: bool = False

    @classmethod
    def of(cls, work: Callable[..., Any]) -> "Job":
        """A job whose result goes to the event loop that runs here."""
        loop = asyncio.get_running_loop()
        return cls(work, loop.create_future(), loop)


def resolve(jobs: Sequence[Job]) -> None:
    """Hands the results to their event loops, one hop per loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Job]] = {}
    for job in jobs:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, own in by_loop.items():
        # It may close at any moment: then nobody waits any more, and whoever works here goes on for the others.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_settle, own)


def _settle(jobs: Sequence[Job]) -> None:
    for job in jobs:
        if job.future.done():
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)


class ThreadPool:
    """Threads that take jobs from one queue. A hop there and back costs a fifth of what an Executor's costs.

    A thread is woken for a job that has waited for ``patience_seconds`` behind others. Where jobs compute rather than
    wait, a few milliseconds let one thread do the short ones in turn: several would only fight for the interpreter's
    lock, and each wake costs as much as a short job.
    """

    def __init__(self, size: int, name: str, patience_seconds: float = 0.0) -> None:
        self._patience_seconds = patience_seconds
        self._jobs: deque[Job] = deque()
        self._lock = threading.Lock()
        self._awake = 0
        self._wakes: SimpleQueue[bool] = SimpleQueue()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._serve, name=f"{name}-{number}", daemon=True) for number in range(size)
        ]
        for thread in self._threads:
            thread.start()

    async def run(self, work: Callable[[], T]) -> T:
        """What ``work`` gives in one of the threads. If the caller is cancelled before it began, it never does."""
        job = Job.of(work)
        with self._lock:
            # Under the lock: what is taken on before the end is done before it.
            if self._closed:
                raise RuntimeError("the database is closed")
            self._jobs.append(job)
            is_alone = self._awake == 0
        if is_alone or not self._patience_seconds:
            self._wake_one()
        else:
            # Whoever is awake comes back for it, in a moment or after a long job.
            job.loop.call_later(self._patience_seconds, self._relieve, job)
        result: T = await job.future
        return result

    def close(self) -> None:
        """Returns when everything that was asked for is done."""
        with self._lock:
            self._closed = True
        self._wake_one()
        for _ in self._threads:
            self._wakes.put(False)
        for thread in self._threads:
            thread.join()

    def _wake_one(self) -> None:
        with self._lock:
            if self._awake == len(self._threads):
                return
            self._awake += 1
        self._wakes.put(True)

    def _relieve(self, job: Job) -> None:
        if not job.is_taken:
            self._wake_one()

    def _serve(self) -> None:
        while self._wakes.get():
            while (job := self._next()) is not None:
                if job.future.cancelled():
                    continue
                try:
                    job.result = job.work()
                except BaseException as error:
                    job.error = error
                resolve([job])
                # The thread may wait long for its next job, and must not keep this one's result alive meanwhile.
                del job

    def _next(self) -> Job | None:
        """The oldest job; None when there is none, and the thread sleeps from now on."""
        with self._lock:
            if not self._jobs:
                self._awake -= 1
                return None
            job = self._jobs.popleft()
            job.is_taken = True
            return job
