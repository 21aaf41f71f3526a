"""``/files/{token}`` (fetch an export) and ``/uploads/{token}`` (send a file). The signed address is the permission."""

import asyncio
from typing import Final

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from postrider.doors.installation import Installation
from postrider.doors.rest.body import check_announced, chunks, too_large
from postrider.doors.rest.problems import problem_response
from postrider.files.links import Linked, Purpose, read_link
from postrider.files.queries import find_file, receive_file
from postrider.files.store import Incoming, path_of
from postrider.files.tables import StoredFile
from postrider.kernel.errors import Conflict, InvalidInput, NotFound, PostriderError
from postrider.storage.leases import wall_ms_now

_UPLOAD_SECONDS: Final = 900.0
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, no-store",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Referrer-Policy": "no-referrer",
}


class FilesDoor:
    """Hands exports out and takes uploads in."""

    def __init__(self, installation: Installation) -> None:
        self._database = installation.database
        self._vault = installation.vault
        self._clock = installation.clock
        self._data_dir = installation.settings.data_dir

    def routes(self) -> list[BaseRoute]:
        """The two paths."""
        return [
            Route("/files/{token}", self.fetch, methods=["GET"]),
            Route("/uploads/{token}", self.receive, methods=["PUT"]),
        ]

    async def fetch(self, request: Request) -> Response:
        """The file, to be saved and not shown; 404 for any address that is not ours or has run out."""
        try:
            linked = self._linked(request, "fetch")
            row = await self._row(linked, "fetch")
        except PostriderError as error:
            return problem_response(error)
        path = path_of(self._data_dir, "export", linked.workspace_id, linked.file_id)
        if not await asyncio.to_thread(path.is_file):
            return problem_response(_unknown())
        return FileResponse(
            path, headers=_HEADERS, media_type=row.media_type, filename=row.name, content_disposition_type="attachment"
        )

    async def receive(self, request: Request) -> Response:
        """Takes the file of an upload, once, in the size that was announced for it."""
        try:
            linked = self._linked(request, "send")
            size = await self._receive(request, linked)
        except PostriderError as error:
            return problem_response(error)
        return JSONResponse({"uploadId": linked.file_id, "sizeBytes": size}, 201)

    async def _receive(self, request: Request, linked: Linked) -> int:
        row = await self._row(linked, "send")
        check_announced(request, row.size_bytes)
        incoming = await asyncio.to_thread(Incoming, self._data_dir, "upload", linked.workspace_id)
        try:
            size = 0
            async for chunk in chunks(request, _UPLOAD_SECONDS):
                size += len(chunk)
                if size > row.size_bytes:
                    raise too_large(row.size_bytes)
                await asyncio.to_thread(incoming.file.write, chunk)
            if size != row.size_bytes:
                raise InvalidInput(
                    f"The file has {size:,} bytes; {row.size_bytes:,} were announced.",
                    hint="Send it again, whole, or create an upload with its exact size.",
                )
            await asyncio.to_thread(incoming.finish)
            if not await self._database.write(lambda session: receive_file(session, linked)):
                raise Conflict("This address was used already.", hint="Create another upload for another file.")
            await asyncio.to_thread(incoming.keep, self._data_dir, "upload", linked.workspace_id, linked.file_id)
        finally:
            await asyncio.to_thread(incoming.discard)
        return size

    def _linked(self, request: Request, purpose: Purpose) -> Linked:
        linked = read_link(self._vault, purpose, request.path_params["token"], wall_ms_now())
        if linked is None:
            raise _unknown()
        return linked

    async def _row(self, linked: Linked, purpose: Purpose) -> StoredFile:
        now = self._clock.now()
        kind, state = ("export", "ready") if purpose == "fetch" else ("upload", "open")
        row = await self._database.read(
            lambda session: find_file(session, linked, "export" if kind == "export" else "upload", state, now)
        )
        if row is None:
            raise _unknown()
        return row


def _unknown() -> NotFound:
    return NotFound("There is no such file, or no longer.", hint="Links work for an hour; ask for a new one.")
