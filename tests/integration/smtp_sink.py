"""A submission server that records what it accepts and misbehaves as it is told.

In a test: ``async with SmtpSink([Rule("rcpt", match="ann@", reply="550 5.1.1 no")]) as sink``. As a process of its own:
``python -m tests.integration.smtp_sink --port 0 --log FILE --behaviour '{"rules": [{"stage": "dot", "do": "hang"}]}'``
prints its port. Each line of the log is one JSON object, written before the client hears anything: an ``accepted``
message with its envelope and bytes, or a ``fault`` that is about to happen.
"""

import argparse
import asyncio
import base64
import json
import os
import ssl
import sys
from collections import Counter
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType

from tests.integration.smtp_sink_session import Accepted, Deed, Rule, SinkConnection, SinkStage

__all__ = ["Accepted", "Rule", "SmtpSink", "sink_from"]

_PATIENCE_SECONDS = 10.0


@dataclass
class SmtpSink:
    """Listens on loopback. With ``tls`` it offers STARTTLS, or starts in TLS if ``implicit_tls``.

    ``users``: name to password; if given, MAIL needs AUTH. ``keep``: hold messages and commands in memory.
    """

    rules: Sequence[Rule] = ()
    extensions: tuple[str, ...] = ("SIZE 50000000", "8BITMIME", "ENHANCEDSTATUSCODES")
    users: Mapping[str, str] = field(default_factory=dict)
    mechanisms: str = "PLAIN LOGIN"
    tls: ssl.SSLContext | None = None
    implicit_tls: bool = False
    log: Path | None = None
    keep: bool = True

    def __post_init__(self) -> None:
        self.accepted: list[Accepted] = []
        self.commands: list[tuple[int, str]] = []
        self.faults: list[tuple[SinkStage, Deed]] = []
        self.connections = 0
        self.count = 0
        self.open: set[SinkConnection] = set()
        self.changed = asyncio.Condition()
        self._done: Counter[tuple[int, str]] = Counter()
        self._log_file = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600) if self.log else None
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self, port: int = 0) -> None:
        """Listens; port 0 picks a free one."""
        context = self.tls if self.implicit_tls else None
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: SinkConnection(self), "127.0.0.1", port, ssl=context, backlog=1024
        )

    async def stop(self) -> None:
        """Stops listening and drops all connections."""
        assert self._server is not None
        self._server.close()
        for connection in list(self.open):
            connection.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()
        if self._log_file is not None:
            os.close(self._log_file)

    async def __aenter__(self) -> "SmtpSink":
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def until_fault(self, stage: SinkStage) -> None:
        """Returns once a rule for that stage has been acted upon. Raises: TimeoutError."""
        async with asyncio.timeout(_PATIENCE_SECONDS), self.changed:
            await self.changed.wait_for(lambda: any(each == stage for each, _ in self.faults))

    async def until_quiet(self) -> None:
        """Returns once no connection is open, so that nothing more can arrive. Raises: TimeoutError."""
        async with asyncio.timeout(_PATIENCE_SECONDS), self.changed:
            await self.changed.wait_for(lambda: not self.open)

    def drop_all(self, farewell: str = "") -> None:
        """Closes every connection, without a word or with one, as a restarted server would."""
        for connection in list(self.open):
            connection.leave(farewell)

    def rule_for(self, stage: SinkStage, addresses: Sequence[str], connection: int) -> Rule | None:
        """The first rule that applies here, counted as used."""
        for number, rule in enumerate(self.rules):
            if rule.stage != stage or rule.connection not in {0, connection}:
                continue
            matching = [each for each in addresses if rule.match in each] if rule.match else [*addresses[:1], ""][:1]
            if not matching:
                continue
            key = (number, matching[0] if rule.per_address else "")
            if rule.times and self._done[key] >= rule.times:
                continue
            self._done[key] += 1
            self.faults.append((stage, rule.do))
            self.write_log({"event": "fault", "stage": stage, "do": rule.do, "recipients": list(addresses)})
            self.notify()
            return rule
        return None

    def record(self, mail: Accepted) -> None:
        """Takes responsibility for a message: in the log first."""
        self.count += 1
        if self._log_file is not None:
            shown = asdict(mail) | {"data": base64.b64encode(mail.data).decode(), "message_id": mail.message_id}
            self.write_log({"event": "accepted", **shown})
        if self.keep:
            self.accepted.append(mail)

    def write_log(self, entry: Mapping[str, object]) -> None:
        """One line, handed to the operating system before this returns."""
        if self._log_file is not None:
            os.write(self._log_file, json.dumps(entry).encode() + b"\n")

    def notify(self) -> None:
        """Wakes whoever waits on ``changed``."""
        self.spawn(self._notify())

    def spawn(self, work: Coroutine[object, object, None]) -> None:
        """Runs something beside the protocol, until the sink stops."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _notify(self) -> None:
        async with self.changed:
            self.changed.notify_all()


def sink_from(behaviour: Mapping[str, object], log: Path | None, cert: Path | None, implicit_tls: bool) -> SmtpSink:
    """A sink as described by ``rules``, ``users``, ``extensions`` and ``keep``, all of which may be absent."""
    rules = behaviour.get("rules", [])
    users = behaviour.get("users", {})
    extensions = behaviour.get("extensions", SmtpSink.extensions)
    assert isinstance(rules, list) and isinstance(users, Mapping) and isinstance(extensions, Iterable)
    context = None
    if cert is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert)
    return SmtpSink(
        rules=[Rule(**rule) for rule in rules],
        users={str(name): str(password) for name, password in users.items()},
        extensions=tuple(str(each) for each in extensions),
        tls=context,
        implicit_tls=implicit_tls,
        log=log,
        keep=bool(behaviour.get("keep", False)),
    )


async def _serve(arguments: argparse.Namespace) -> None:
    sink = sink_from(json.loads(arguments.behaviour), arguments.log, arguments.cert, arguments.implicit_tls)
    await sink.start(arguments.port)
    print(sink.port, flush=True)
    if arguments.until_stdin_closes:
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        await sink.stop()
    else:
        await asyncio.Event().wait()


def main() -> None:
    """Runs until it is ended, or until its standard input closes if asked so."""
    parser = argparse.ArgumentParser(description="A submission server that misbehaves on demand.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--behaviour", default="{}")
    parser.add_argument("--cert", type=Path, help="PEM file with key and certificate; offers STARTTLS")
    parser.add_argument("--implicit-tls", action="store_true")
    parser.add_argument("--until-stdin-closes", action="store_true")
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
