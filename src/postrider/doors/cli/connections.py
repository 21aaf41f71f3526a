"""Connections of clients that are slow or shameless: a deadline and a size for the head of each request."""

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS: Final = 20.0
MAX_HEAD_BYTES: Final = 64 * 1024
MAX_HEADERS: Final = 200


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which by itself waits for ever for a head of any size."""

    _head_open = True
    _head_bytes = 0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the base class
        """Starts the clock for the first request."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops the clock."""
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Counts what arrives before a head is complete: the parser itself buffers without limit."""
        super().data_received(data)
        if self._head_open and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self.send_400_response("The head of the request is too large.")

    def on_message_begin(self) -> None:
        """Starts the clock for a further request on the same connection."""
        super().on_message_begin()
        self._expect_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Refuses a head that arrives at once but is too large. An exception here is a 400 to the base class.

        The parser leaves the blanks behind a value in it. Source: RFC 9112, section 5.1.
        """
        super().on_header(name, value.rstrip(b" \t"))
        if len(self.headers) > MAX_HEADERS or len(value) > MAX_HEAD_BYTES:
            raise ValueError("too many headers")

    def on_headers_complete(self) -> None:
        """The head is here."""
        self._head_open = False
        self._stop_clock()
        super().on_headers_complete()

    def _expect_head(self) -> None:
        self._head_open, self._head_bytes = True, 0
        self._stop_clock()
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._too_late)

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            self.transport.close()
