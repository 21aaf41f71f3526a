"""Servers that misbehave on purpose: a proxy that spoils a real server's answers, and one that follows a script."""

import asyncio
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

_CHUNK_BYTES = 65_536


class _LoopbackServer:
    """Listens on a free port of 127.0.0.1 between ``async with`` and its end, in the running event loop."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.received = b""
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._open: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.cut_all()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut_all(self) -> None:
        """Cuts every connection."""
        for writer in self._open:
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(ConnectionError, asyncio.CancelledError):
                await self._serve(reader, writer)
        finally:
            writer.transport.abort()
            self._open.discard(writer)
            self._tasks.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise NotImplementedError


class FaultProxy(_LoopbackServer):
    """Passes a TCP service on; a fault applies to what the service says. ``received`` is what clients said."""

    def __init__(self, target_port: int, *, rewrite: Callable[[bytes], bytes] = lambda chunk: chunk) -> None:
        super().__init__()
        self._target_port = target_port
        self._rewrite = rewrite
        self._cut_at: tuple[bytes, int] | None = None
        self._cuts_left = 0
        self._hanging = False
        self._seconds_per_byte = 0.0

    def cut_after(self, marker: bytes, further_bytes: int, *, times: int = 1) -> None:
        """Cuts the connection that many bytes behind the marker."""
        self._cut_at, self._cuts_left = (marker, further_bytes), times

    def hang(self, hanging: bool = True) -> None:
        """From now on the service says nothing any more, without hanging up."""
        self._hanging = hanging

    def drip(self, seconds_per_byte: float) -> None:
        """From now on the service speaks one byte at a time."""
        self._seconds_per_byte = seconds_per_byte

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_service, to_service = await asyncio.open_connection("127.0.0.1", self._target_port)
        try:
            async with asyncio.TaskGroup() as both_ways:
                upward = both_ways.create_task(self._pass_up(reader, to_service))
                await self._pass_down(from_service, writer)
                upward.cancel()
        except* ConnectionError:
            pass
        finally:
            to_service.transport.abort()

    async def _pass_up(self, reader: asyncio.StreamReader, to_service: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(_CHUNK_BYTES):
            self.received += chunk
            to_service.write(chunk)
            await to_service.drain()

    async def _pass_down(self, from_service: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await from_service.read(_CHUNK_BYTES):
            while self._hanging:
                await asyncio.sleep(0.01)
            chunk = self._rewrite(chunk)
            if self._cut_at is not None and self._cuts_left and (found := chunk.find(self._cut_at[0])) >= 0:
                self._cuts_left -= 1
                writer.write(chunk[: found + len(self._cut_at[0]) + self._cut_at[1]])
                await writer.drain()
                return
            await self._say(chunk, writer)

    async def _say(self, chunk: bytes, writer: asyncio.StreamWriter) -> None:
        if not self._seconds_per_byte:
            writer.write(chunk)
            await writer.drain()
            return
        for byte in chunk:
            writer.write(bytes([byte]))
            await asyncio.sleep(self._seconds_per_byte)


class ScriptedImap(_LoopbackServer):
    """An IMAP server that answers each command by the first pattern that fits; TAG stands for the command's tag.

    Without a rule of its own for them, it signs anybody in and shows an INBOX with validity 7 and three messages.
    """

    RULES: Sequence[tuple[bytes, bytes]] = (
        (rb"CAPABILITY", b"* CAPABILITY IMAP4rev1\r\nTAG OK done\r\n"),
        (rb"LOGIN", b"TAG OK signed in\r\n"),
        (rb"LOGOUT", b"* BYE\r\nTAG OK bye\r\n"),
        (rb"NOOP", b"TAG OK done\r\n"),
        (rb"LIST", b'* LIST () "/" INBOX\r\nTAG OK done\r\n'),
        (rb"EXAMINE", b"* 3 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n* OK [UIDNEXT 4] ok\r\nTAG OK [READ-ONLY] open\r\n"),
        (rb"UID SEARCH", b"* SEARCH 1 2 3\r\nTAG OK done\r\n"),
    )

    def __init__(self, *rules: tuple[bytes, bytes], greeting: bytes = b"* OK ready\r\n") -> None:
        super().__init__()
        self._rules = (*rules, *self.RULES)
        self._greeting = greeting

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self._greeting)
        while line := await reader.readline():
            self.received += line
            tag, _, command = line.strip().partition(b" ")
            answers = (answer for pattern, answer in self._rules if re.match(pattern, command, re.IGNORECASE))
            writer.write(next(answers, b"TAG BAD what?\r\n").replace(b"TAG", tag))
            await writer.drain()
