"""A signed-in SMTP connection, once aiosmtplib has opened it: commands, replies, and bytes that may be interrupted.

aiosmtplib sends body and dot in one call and drops what a server says while it is not asked. The second marker needs
both apart, so this protocol takes the transport over after signing in. Only public names of the library are used.
"""

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass

import anyio

from postrider.sending.reply_codes import split_reply

_MAX_UNREAD_BYTES = 64 * 1024
_PIECE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Reply:
    """One complete answer of the server. Source: RFC 5321 section 4.2."""

    code: int
    lines: tuple[bytes, ...]

    def wording(self) -> tuple[str | None, str]:
        """The enhanced code (or None) and the text, cleaned and cut."""
        return split_reply([line[4:].decode("utf-8", "replace") for line in self.lines])

    @property
    def ok(self) -> bool:
        """Whether it is a positive completion (2yz)."""
        return 200 <= self.code <= 299


class WireError(Exception):
    """The connection is of no more use; the message says why, in words that are safe to show."""


class SmtpWire(asyncio.Protocol):
    """Reads replies and writes bytes on a transport that it takes over; belongs to one user at a time."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._buffer = bytearray()
        self._unread_bytes = 0
        self._lines: list[bytes] = []
        self._replies: deque[Reply] = deque()
        self._failure: WireError | None = None
        self._changed: asyncio.Future[None] | None = None
        self._paused = False
        transport.set_protocol(self)
        # Nothing should linger in our own buffer when the marker is asked: it must come as late as it can.
        # (Not high=0: asyncio's TLS transport compares with >= and would hold an empty buffer back for ever.)
        transport.set_write_buffer_limits(high=1, low=0)
        if transport.is_closing():
            self._fail("The server closed the connection.")

    @property
    def has_news(self) -> bool:
        """Whether the server said something, or left, without being asked."""
        return bool(self._replies) or self._failure is not None

    async def command(self, line: bytes, timeout_seconds: float) -> Reply:
        """The server's answer to one command line (given without CRLF). Raises: WireError."""
        if not (self.has_news or self._has_begun_an_answer):
            self._transport.write(line + b"\r\n")
            return await self.reply(timeout_seconds)
        if self._replies and self._replies[0].code == 421:
            # A server may take its leave at any time (RFC 5321 section 3.8); anything else is out of step.
            return self._next()
        raise self._failure or WireError("The server answered more than it was asked.")

    async def reply(self, timeout_seconds: float) -> Reply:
        """The next reply. Raises: WireError, also for silence."""
        deadline = self._loop.time() + timeout_seconds
        while not self._replies:
            if self._failure is not None:
                raise self._failure
            await self._change(deadline)
        return self._next()

    async def reply_whatever_happens(self, timeout_seconds: float) -> Reply:
        """Like ``reply``, but a cancellation does not end the wait. Raises: WireError.

        The cancellation is not undone: ``asyncio.current_task().cancelling()`` still tells of it afterwards.
        """
        deadline = self._loop.time() + timeout_seconds
        while True:
            # anyio repeats a cancellation until it is shielded from; asyncio sends it once, to be caught here.
            with anyio.CancelScope(shield=True), suppress(asyncio.CancelledError):
                return await self.reply(deadline - self._loop.time())

    def write(self, data: bytes) -> None:
        """Hands bytes to the transport. Raises: WireError when the connection is gone."""
        if self._failure is not None:
            raise self._failure
        self._transport.write(data)

    async def write_all(self, data: bytes, timeout_seconds: float) -> None:
        """Returns when the bytes left this process, or the server said something meanwhile. Raises: WireError.

        In pieces, because a TLS transport takes whatever it is given and slows nobody down before the next write.
        """
        deadline = self._loop.time() + timeout_seconds
        rest = memoryview(data)
        while rest and not self.has_news:
            self._transport.write(rest[:_PIECE_BYTES])
            rest = rest[_PIECE_BYTES:]
            while self._paused and not self.has_news:
                await self._change(deadline)
            if rest:
                await asyncio.sleep(0)

    def early_reply(self) -> Reply | None:
        """What the server said while it should have been listening. Raises: WireError when it left or only began."""
        if self._replies:
            return self._next()
        if self._failure is not None:
            raise self._failure
        if self._has_begun_an_answer:
            raise WireError("The server answered more than it was asked.")
        return None

    def close(self) -> None:
        """Says QUIT without waiting for the answer, and closes."""
        if not self._transport.is_closing():
            self._transport.write(b"QUIT\r\n")
            self._transport.close()
        self._fail("The connection was closed.")

    def abort(self) -> None:
        """Closes at once; bytes that were not sent yet never are."""
        self._transport.abort()
        self._fail("The connection was closed.")

    # asyncio calls these

    def data_received(self, data: bytes) -> None:
        """Collects lines into replies."""
        if self._failure is not None:
            return
        self._buffer += data
        self._unread_bytes += len(data)
        if self._unread_bytes > _MAX_UNREAD_BYTES:
            self._reject("The server's answer was too long.")
        while self._failure is None and (end := self._buffer.find(b"\n")) >= 0:
            line = bytes(self._buffer[:end]).rstrip(b"\r")
            del self._buffer[: end + 1]
            self._take_line(line)
        self._wake()

    def eof_received(self) -> None:
        """The server will say no more."""
        self._fail("The server closed the connection.")

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._fail("The connection was lost.")

    def pause_writing(self) -> None:
        """The transport holds bytes back."""
        self._paused = True

    def resume_writing(self) -> None:
        """The transport sent all."""
        self._paused = False
        self._wake()

    @property
    def _has_begun_an_answer(self) -> bool:
        return bool(self._buffer or self._lines)

    def _take_line(self, line: bytes) -> None:
        code, mark = line[:3], line[3:4]
        if not (len(code) == 3 and code.isdigit() and mark in {b"", b" ", b"-"}):
            self._reject("The server's answer was not SMTP.")
            return
        self._lines.append(line)
        if mark != b"-":
            self._replies.append(Reply(int(code), tuple(self._lines)))
            self._lines.clear()

    def _next(self) -> Reply:
        self._unread_bytes = len(self._buffer)
        return self._replies.popleft()

    def _reject(self, reason: str) -> None:
        self._transport.abort()
        self._fail(reason)

    def _fail(self, reason: str) -> None:
        if self._failure is None:
            self._failure = WireError(reason)
        self._wake()

    def _wake(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    async def _change(self, deadline: float) -> None:
        """Waits for anything to happen on the connection. Raises: WireError at the deadline."""
        self._changed = self._loop.create_future()
        timer = self._loop.call_at(deadline, self._time_out)
        try:
            await self._changed
        finally:
            timer.cancel()
            self._changed = None

    def _time_out(self) -> None:
        self._fail("The server did not answer in time.")
