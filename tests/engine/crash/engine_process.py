"""The real engine as a process of its own, started in milliseconds: forked from one that has everything imported.

``python -m tests.engine.crash.engine_process`` reads one JSON command per line: ``{"start": …}`` (see Orders) prints
the pid of a fresh engine, ``{"ended": pid}`` prints how it ended (``null``: it runs). Tests use ``EngineHost``.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import anyio
from sqlalchemy.orm import configure_mappers

from postrider.app import build, engine_of
from postrider.doors.cli.stopping import DRAIN_SECONDS, drain, on_stop_signal
from postrider.engine.worker import run_when_free
from postrider.kernel.clock import SystemClock
from postrider.logs import configure_logs
from postrider.mailboxes.ports import MailAccount
from postrider.sending.outcomes import Outcome
from postrider.sending.ports import Envelope, MailTransport, Marker
from postrider.settings import load_settings
from tests.engine.crash.fast_clock import FastClock
from tests.witness.listening import WITNESS

REPOSITORY = Path(__file__).parents[3]
SPRUNG = "the trap is sprung by mail to "
"""What the log says then, and whose mail it was."""
WAKE = signal.SIGUSR1
"""Tells an engine that there is something to do, as a change that is made in its own process would."""


@dataclass(frozen=True)
class Trap:
    """A signal that the engine sends itself at a point that nobody outside can see.

    marker: the second marker is committed, the dot not yet sent. answer: the final reply is read, nothing committed.
    ``match``: part of the recipient's address. ``nth``: the how-manieth time it is sprung, from 1.
    """

    at: Literal["marker", "answer"]
    number: int = signal.SIGKILL
    match: str = ""
    nth: int = 1


@dataclass(frozen=True)
class Orders:
    """What one engine is started with. ``log``: where its standard error goes. ``clock_origin``: see FastClock."""

    environment: dict[str, str]
    log: str
    trap: Trap | None = None
    clock_origin: float | None = None
    drain_seconds: float = DRAIN_SECONDS


class TrappedTransport:
    """Passes everything on, and springs the trap."""

    def __init__(self, inner: MailTransport, trap: Trap) -> None:
        self._inner = inner
        self._trap = trap
        self._times = 0

    async def send(self, account: MailAccount, envelope: Envelope, marker: Marker) -> Outcome:
        """See MailTransport.send."""
        matches = self._trap.match in envelope.recipients[0]

        async def watched() -> bool:
            allowed = await marker()
            if allowed and matches:
                self._come_by("marker", envelope)
            return allowed

        outcome = await self._inner.send(account, envelope, watched)
        if matches:
            self._come_by("answer", envelope)
        return outcome

    def hang_up(self) -> None:
        """See MailTransport.hang_up."""
        self._inner.hang_up()

    async def close(self) -> None:
        """See MailTransport.close."""
        await self._inner.close()

    def _come_by(self, place: str, envelope: Envelope) -> None:
        self._times += place == self._trap.at
        if place == self._trap.at and self._times == self._trap.nth:
            print(f"{SPRUNG}{envelope.recipients[0]}", flush=True)
            os.kill(os.getpid(), self._trap.number)


async def _run(orders: Orders) -> None:
    clock = SystemClock() if orders.clock_origin is None else FastClock(orders.clock_origin)
    app = build(load_settings(orders.environment), clock=clock)
    if orders.trap is not None:
        app = replace(app, ports={**app.ports, MailTransport: TrappedTransport(app.port(MailTransport), orders.trap)})
    stop = asyncio.Event()
    on_stop_signal(stop.set)
    asyncio.get_running_loop().add_signal_handler(WAKE, app.signals.wake, "sender")
    engine = asyncio.create_task(run_when_free(engine_of(app), stop))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({engine, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    await drain(engine, orders.drain_seconds)
    await app.close()


def _start(orders: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    trap = orders.pop("trap", None)
    chosen = Orders(**orders, trap=Trap(**trap) if trap else None)
    log = os.open(chosen.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    status = 1
    try:
        configure_logs("DEBUG", as_json=True)
        asyncio.run(_run(chosen))
        status = 0
    finally:
        sys.stderr.flush()
        os._exit(status)


def main() -> None:
    """Serves commands until standard input closes; ends the engines that are left."""
    configure_mappers()
    signal.signal(WAKE, signal.SIG_IGN)  # an engine that is not up yet looks at the database anyway
    started: set[int] = set()
    for line in sys.stdin:
        command = json.loads(line)
        if "start" in command:
            pid = _start(command["start"])
            started.add(pid)
            print(pid, flush=True)
        else:
            pid, status = os.waitpid(command["ended"], os.WNOHANG)
            print(json.dumps(os.waitstatus_to_exitcode(status) if pid else None), flush=True)
            started.discard(pid)
    for pid in started:
        os.kill(pid, signal.SIGKILL)


@dataclass
class EngineProcess:
    """One engine, known by its pid."""

    host: "EngineHost"
    pid: int
    log: Path
    ended: bool = False

    def send(self, number: int) -> None:
        """Sends it a signal."""
        os.kill(self.pid, number)

    def has_logged(self, words: str) -> bool:
        """Whether its log says so by now."""
        return words in self.log.read_text()

    def sprung_by(self) -> list[str]:
        """Whose mail sprang the trap."""
        lines = self.log.read_text().splitlines()
        return [line.removeprefix(SPRUNG) for line in lines if line.startswith(SPRUNG)]

    async def wait(self) -> int:
        """How it ended: its exit status, or minus the signal that ended it."""
        while (status := self.host.status(self.pid)) is None:
            await anyio.sleep(0.005)
        self.ended = True
        return status

    async def kill(self) -> None:
        """Ends it the hard way."""
        self.send(signal.SIGKILL)
        assert await self.wait() == -signal.SIGKILL

    async def stop(self) -> None:
        """Ends it as a service manager does; it must end well."""
        self.send(signal.SIGTERM)
        assert await self.wait() == 0, self.log.read_text()[-2_000:]


class EngineHost:
    """Starts engines."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def start(self, orders: Orders) -> EngineProcess:
        """A fresh engine."""
        log = Path(orders.log)
        WITNESS.read(log)
        return EngineProcess(self, int(self._ask({"start": asdict(orders)})), log)

    def status(self, pid: int) -> int | None:
        """How an engine ended; None while it runs."""
        status: int | None = json.loads(self._ask({"ended": pid}))
        return status

    def _ask(self, command: dict[str, object]) -> str:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()


@contextmanager
def engine_host() -> Iterator[EngineHost]:
    """A host that ends, with all its engines, when the context does."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.engine.crash.engine_process"],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield EngineHost(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(10)


if __name__ == "__main__":
    main()
