"""Addresses at which apps describe themselves, and an address at which nobody may ever arrive."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from postrider.adapters.client_documents import FetchedDocuments
from postrider.adapters.egress import Egress
from tests.integration.certificates import Authority
from tests.oauth.rig import REDIRECT

HOST = "app.documents.test"


def document(url: str, **changes: Any) -> bytes:
    """What a well-behaved app says of itself at ``url``; None leaves a field out."""
    said = {"client_id": url, "client_name": "Document app", "redirect_uris": [REDIRECT], **changes}
    return json.dumps({name: value for name, value in said.items() if value is not None}).encode()


@dataclass
class Names:
    """A resolver for tests: the next answer of a name, its last one for ever. Knows what it was asked."""

    answers: dict[str, list[Sequence[str]]]
    asked: list[str] = field(default_factory=list)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        left = self.answers.get(host)
        if not left:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return left.pop(0) if len(left) > 1 else left[0]


@dataclass
class Canary:
    """Counts who connects."""

    port: int
    visits: int = 0


@asynccontextmanager
async def canary(host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Canary]:
    """A listener that must not be reached."""
    found = Canary(0)

    def visited(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.visits += 1
        writer.close()

    async with await asyncio.start_server(visited, host, port) as server:
        found.port = server.sockets[0].getsockname()[1]
        yield found


@dataclass
class DocumentServer:
    """A TLS server for HOST on loopback. ``answers``: what it sends for a path, after the request."""

    port: int
    authority: Authority
    answers: dict[str, bytes] = field(default_factory=dict)
    visits: list[str] = field(default_factory=list)
    sent_bytes: int = 0

    def url(self, path: str, host: str = HOST) -> str:
        return f"https://{host}:{self.port}{path}"

    def serves(self, path: str, body: bytes, status: str = "200 OK", **headers: str) -> str:
        """The address of ``body``."""
        named = {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in named.items())
        self.answers[path] = f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body
        return self.url(path)

    def fetcher(self, names: Names) -> FetchedDocuments:
        """The adapter as in production, but that loopback counts as public and this server's authority as good."""
        return FetchedDocuments(Egress(True, names), tls_context=self.authority.client_context)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
            self.visits.append(path)
            if path == "/endless":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n")
                while True:
                    writer.write(b" " * 4096)
                    await writer.drain()
                    self.sent_bytes += 4096
            if path == "/slow":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n")
                await writer.drain()
                await reader.read()
            writer.write(self.answers.get(path, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"))
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def document_server(folder: Path) -> AsyncIterator[DocumentServer]:
    """The server, running."""
    authority = Authority()
    context = authority.server_context(HOST, folder / "documents.pem")
    found = DocumentServer(0, authority)
    async with await asyncio.start_server(found.answer, "127.0.0.1", 0, ssl=context) as server:
        found.port = server.sockets[0].getsockname()[1]
        yield found
