"""A proxy before PostgreSQL that now and then passes a COMMIT on and cuts the line before its answer."""

import asyncio
from contextlib import suppress

COMMIT = b"COMMIT\0"
"""The end of the message that commits (Query, "COMMIT")."""


class LossyProxy:
    """Listens on loopback. From ``lose_from`` on, every ``every``-th COMMIT of all connections loses its answer."""

    def __init__(self, host: str, port: int, *, every: int, lose_from: int = 40) -> None:
        self._target = (host, port)
        self._every = every
        self._lose_from = lose_from
        self._commits = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.lost = 0

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def __aenter__(self) -> "LossyProxy":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client, and one connection to the server."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        up_reader, up_writer = await asyncio.open_connection(*self._target)
        answers = asyncio.create_task(_copy(up_reader, writer))
        try:
            with suppress(ConnectionError, asyncio.CancelledError):
                while data := await reader.read(65_536):
                    loses = COMMIT in data and self._loses()
                    if loses:
                        answers.cancel()
                        await asyncio.wait({answers})
                    up_writer.write(data)
                    await up_writer.drain()
                    if loses:
                        await up_reader.read(1)  # the server has committed and answered; nobody hears it
                        self.lost += 1
                        return
        finally:
            answers.cancel()
            for each in (writer, up_writer):
                each.transport.abort()
            self._tasks.discard(task)

    def _loses(self) -> bool:
        self._commits += 1
        return self._commits > self._lose_from and self._commits % self._every == 0


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
