"""Parses inbound mail in processes of their own, which a poison message may hang or crash without harm to anyone else.

The workers are fresh interpreters (never forks of this threaded process), started when first needed, given no secrets,
and killed and replaced whenever a message takes too long, too much memory, or brings them down.
"""

import asyncio
import json
import os
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Self

import postrider
from postrider.inbox.parsing import DEFAULT_LIMITS, ParsedMail, ParseLimits, Poison
from postrider.inbox.parsing_wire import LENGTH_BYTES, READY, frame, frame_length, load_answer

_START_SECONDS = 60.0
_TRIES = 2
_INHERITED = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PATH", "SYSTEMROOT", "TZ")
_MAX_STARTUP_ERROR_BYTES = 4_000


class MailParser:
    """A small pool of parsing processes, which callers get in the order in which they ask.

    A mailbox has its messages parsed one by one, so that one full of poison holds up one worker and leaves the others
    to everybody else. ``timeout_seconds`` is for one message; ``memory_bytes`` is the address space of one worker, its
    code included.
    """

    def __init__(
        self,
        *,
        workers: int = 2,
        timeout_seconds: float = 10.0,
        memory_bytes: int = 512 * 1024 * 1024,
        limits: ParseLimits = DEFAULT_LIMITS,
    ) -> None:
        self._timeout_seconds = timeout_seconds
        self._settings = json.dumps({"memory_bytes": memory_bytes, "limits": asdict(limits)})
        self._max_bytes = limits.message_bytes
        self._slots = asyncio.Semaphore(workers)
        self._idle: list[_Worker] = []
        self._reaping: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def worker_pids(self) -> tuple[int, ...]:
        """The processes that wait for work."""
        return tuple(worker.pid for worker in self._idle)

    async def parse(self, raw: bytes) -> ParsedMail | Poison:
        """The parsed message, or what kept it from being parsed. Raises: RuntimeError when no worker can be started."""
        # One byte more than the cap lets the worker see, and name, that the message is longer.
        request = raw[: self._max_bytes + 1]
        async with self._slots:
            for _ in range(_TRIES):
                answer = await self._ask(await self._take(), request)
                # A worker can die of something else than this message, so a crash counts when it happens twice.
                if answer != Poison("crashed"):
                    break
            return answer

    async def close(self) -> None:
        """Ends all workers and waits until they are gone; one that is still at work goes when it has answered."""
        self._closed = True
        while self._idle:
            self._discard(self._idle.pop())
        while self._reaping:
            await asyncio.gather(*self._reaping)

    async def _take(self) -> "_Worker":
        while self._idle:
            worker = self._idle.pop()
            if worker.is_alive:
                return worker
            self._discard(worker)
        worker = await _Worker.start(self._settings)
        try:
            await worker.ready()
        except BaseException:
            self._discard(worker)
            raise
        return worker

    async def _ask(self, worker: "_Worker", request: bytes) -> ParsedMail | Poison:
        reusable = False
        try:
            async with asyncio.timeout(self._timeout_seconds):
                answer = load_answer(await worker.ask(request))
            reusable = isinstance(answer, ParsedMail)
            return answer
        except TimeoutError:
            return Poison("timeout")
        except (ConnectionError, asyncio.IncompleteReadError, ValueError):
            return Poison("crashed")
        finally:
            if reusable and not self._closed:
                self._idle.append(worker)
            else:
                self._discard(worker)

    def _discard(self, worker: "_Worker") -> None:
        """Kills at once, even while this task is being cancelled; what is left is collected in the background."""
        worker.kill()
        task = asyncio.get_running_loop().create_task(worker.gone())
        self._reaping.add(task)
        task.add_done_callback(self._reaping.discard)


class _Worker:
    """One parsing process and the pipes to it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the parsing process has no pipes")
        self._process = process
        self._stdin = process.stdin
        self._stdout = process.stdout

    @classmethod
    async def start(cls, settings: str) -> Self:
        """A worker on its way; ask it nothing before it is ``ready``."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "postrider.inbox.parse_worker", settings),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=_environment(),
            start_new_session=True,
        )
        return cls(process)

    async def ready(self) -> None:
        """Returns when the worker has said that it is ready. Raises: RuntimeError with what it said instead."""
        try:
            async with asyncio.timeout(_START_SECONDS):
                if await self._read() == READY:
                    return
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError, ValueError):
            pass
        self.kill()
        _, complaint = await self._process.communicate()
        raise RuntimeError(
            f"The mail parsing process does not start: {complaint[-_MAX_STARTUP_ERROR_BYTES:].decode(errors='replace')}"
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.returncode is None and not self._stdout.at_eof()

    async def ask(self, request: bytes) -> bytes:
        """The answer to one message. Raises: ConnectionError, IncompleteReadError, ValueError when the worker died."""
        self._stdin.write(frame(request))
        await self._stdin.drain()
        return await self._read()

    async def _read(self) -> bytes:
        return await self._stdout.readexactly(frame_length(await self._stdout.readexactly(LENGTH_BYTES)))

    def kill(self) -> None:
        """Ends the process without asking it."""
        with suppress(ProcessLookupError):
            self._process.kill()
        self._stdin.close()

    async def gone(self) -> None:
        """Returns when the process has been collected and its pipes are closed."""
        with suppress(ConnectionError):
            await self._process.communicate()


def _environment() -> dict[str, str]:
    """Enough to run the interpreter that runs us, and nothing that is secret."""
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    root = str(Path(postrider.__file__).parent.parent)
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH", ""))))}
