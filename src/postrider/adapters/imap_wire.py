"""The connection below IMAP: to a checked address, within one deadline, and never taking in more than allowed."""

import imaplib
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

from imap_tools import BaseMailBox

from postrider.adapters.egress import ResolvedHost
from postrider.adapters.imap_errors import TooMuchData, tls_failed, unreachable
from postrider.mailboxes.ports import Security

ContextFactory = Callable[[], ssl.SSLContext]

_CHUNK_BYTES = 65_536
_CHUNKS_AT_ONCE = 16
_ADDRESSES_TRIED = 4


class Wire:
    """One TCP or TLS connection. Blocking calls belong to one thread at a time; ``abort`` may come from any."""

    def __init__(self, target: ResolvedHost, tls_context: ContextFactory) -> None:
        self.target = target
        self._tls_context = tls_context
        self._socket: socket.socket | None = None
        self._buffer = bytearray()
        self._deadline = 0.0
        self._allowed_bytes = 0
        self._aborted = False
        self._connected = False
        self._guard = threading.Lock()

    @property
    def aborted(self) -> bool:
        """Whether somebody gave this connection up."""
        return self._aborted

    @property
    def connected(self) -> bool:
        """Whether a connection came about, whatever was said on it and whether or not it still stands."""
        return self._connected

    def allow(self, seconds: float, size_bytes: int) -> None:
        """Sets what everything from here on may take in all, until the next call."""
        self._deadline = monotonic() + seconds
        self._allowed_bytes = size_bytes

    def connect(self) -> None:
        """Opens the connection; TLS is a second step. Raises: Upstream, TimeoutError."""
        addresses = (self.target.ip, *self.target.other_ips)[:_ADDRESSES_TRIED]
        for tries_left, ip in zip(range(len(addresses), 0, -1), addresses, strict=True):
            try:
                opened = socket.create_connection((ip, self.target.port), self._seconds_left() / tries_left)
            except OSError:
                continue
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._adopt(opened)
            return
        self._seconds_left()
        raise unreachable()

    def secure(self) -> None:
        """Starts TLS and verifies the certificate for the host name. Raises: Upstream, OSError."""
        # Whatever came in the clear must not be taken for an answer given under TLS.
        self._buffer.clear()
        try:
            # The handshake is a step of its own, so that abort() can reach the socket while it lasts.
            wrapped = self._tls_context().wrap_socket(
                self._open_socket(), server_hostname=self.target.host, do_handshake_on_connect=False
            )
            self._adopt(wrapped)
            wrapped.settimeout(self._seconds_left())
            wrapped.do_handshake()
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            raise ConnectionResetError from None
        except ssl.SSLError:
            raise tls_failed(retryable=False) from None

    def read(self, size: int) -> bytes:
        """Exactly ``size`` bytes. Raises: OSError, TooMuchData."""
        if size > len(self._buffer) + self._allowed_bytes:
            raise TooMuchData
        while len(self._buffer) < size:
            self._receive()
        return self._take(size)

    def readline(self) -> bytes:
        """One line with its end. Raises: OSError, TooMuchData."""
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            self._receive()
        return self._take(end + 1)

    def lines_arrived(self) -> list[bytes]:
        """The whole lines that are here already; never waits. Raises: OSError when the server has hung up."""
        connection = self._open_socket()
        connection.settimeout(0)
        with suppress(BlockingIOError, ssl.SSLWantReadError):
            for _ in range(_CHUNKS_AT_ONCE):
                self._store(connection.recv(_CHUNK_BYTES))
        end = self._buffer.rfind(b"\n") + 1
        return self._take(end).splitlines()

    def send(self, data: bytes) -> None:
        """Hands everything over. Raises: OSError."""
        connection = self._open_socket()
        connection.settimeout(self._seconds_left())
        connection.sendall(data)

    def fileno(self) -> int:
        """The number by which an event loop can watch the connection."""
        return self._open_socket().fileno()

    def abort(self) -> None:
        """Makes every call in progress fail at once. The thread that uses the connection closes it."""
        with self._guard:
            self._aborted = True
            if self._socket is not None:
                with suppress(OSError):
                    # Not SSLSocket.shutdown: that one would let a later write go out unencrypted.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Ends the connection; may be called again. Not while another thread reads: its file number may be reused."""
        with self._guard:
            if self._socket is not None:
                self._socket.close()
                self._socket = None

    def _adopt(self, opened: socket.socket) -> None:
        with self._guard:
            self._socket = opened
            self._connected = True
            if not self._aborted:
                return
        self.close()
        raise ConnectionAbortedError

    def _open_socket(self) -> socket.socket:
        if self._socket is None or self._aborted:
            raise ConnectionAbortedError
        return self._socket

    def _receive(self) -> None:
        connection = self._open_socket()
        connection.settimeout(self._seconds_left())
        self._store(connection.recv(_CHUNK_BYTES))

    def _store(self, chunk: bytes) -> None:
        if not chunk:
            raise ConnectionResetError
        self._allowed_bytes -= len(chunk)
        if self._allowed_bytes < 0:
            raise TooMuchData
        self._buffer += chunk

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _seconds_left(self) -> float:
        left = self._deadline - monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class ImapClient(imaplib.IMAP4):
    """The library's IMAP client, speaking over a Wire."""

    def __init__(self, wire: Wire, security: Security) -> None:
        self._wire = wire
        self._security = security
        super().__init__(wire.target.host, wire.target.port)
        if security == "starttls":
            self._start_tls()

    def open(self, host: str = "", port: int = 143, timeout: float | None = None) -> None:
        """Connects; part of the library's constructor."""
        self.host, self.port = host, port
        self._wire.connect()
        if self._security == "tls":
            self._wire.secure()

    def read(self, size: int) -> bytes:
        """See Wire.read."""
        return self._wire.read(size)

    def readline(self) -> bytes:
        """See Wire.readline."""
        return self._wire.readline()

    def send(self, data: bytes) -> None:  # type: ignore[override]  # the library itself only ever sends bytes
        """See Wire.send."""
        self._wire.send(data)

    def shutdown(self) -> None:
        """See Wire.close."""
        self._wire.close()

    def _start_tls(self) -> None:
        # A server that greets with PREAUTH must not talk us out of TLS: STARTTLS is impossible then, so we leave.
        if "STARTTLS" not in self.capabilities or self.state != "NONAUTH":
            raise tls_failed(retryable=False)
        answer, _ = self._simple_command("STARTTLS")
        if answer != "OK":
            raise tls_failed(retryable=True)
        self._wire.secure()
        self.untagged_responses.clear()
        self._get_capabilities()

    def _log(self, line: bytes) -> None:
        """Keeps nothing: the library would hold the last commands in memory, the one with the password among them."""


class ImapBox(BaseMailBox):
    """imap-tools over a Wire. Not signed in yet."""

    client: ImapClient

    def __init__(self, wire: Wire, security: Security) -> None:
        self._wire = wire
        self._security = security
        super().__init__()

    def _get_mailbox_client(self) -> ImapClient:
        return ImapClient(self._wire, self._security)
