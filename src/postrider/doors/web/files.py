"""``/files/{token}`` (fetch an export) and ``/uploads/{token}`` (send a file). The signed address is the permission."""

import asyncio
import time
from typing import Final

from sqlalchemy.orm import Session
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from postrider.audit.queries import Deed, record
from postrider.doors.installation import Installation
from postrider.doors.rest.body import check_announced, chunks
from postrider.doors.rest.problems import BodyTooLarge, problem_response
from postrider.files.claims import CLAIM_SECONDS, Claim, claim_upload, give_back, receive_upload, renew_claim
from postrider.files.links import Linked, Purpose, read_link
from postrider.files.queries import find_file, maker_of
from postrider.files.store import Incoming, path_of
from postrider.files.tables import StoredFile
from postrider.kernel.errors import Conflict, InvalidInput, NotFound, PostriderError
from postrider.kernel.words import counted
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
            row = await self._export(linked)
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
            size = await self._receive(request, await self._claim(linked))
        except ClientDisconnect:
            return Response(status_code=400)
        except PostriderError as error:
            return problem_response(error)
        return JSONResponse({"uploadId": linked.file_id, "sizeBytes": size}, 201)

    async def _claim(self, linked: Linked) -> Claim:
        now = self._clock.now()
        claim = await self._database.write(lambda session: claim_upload(session, linked, now))
        if claim is None:
            raise _unknown()
        return claim

    async def _receive(self, request: Request, claim: Claim) -> int:
        received = False
        try:
            check_announced(request, claim.size_bytes, _too_long)
            size = await self._keep(request, claim)
            # What is committed as ready is in place by then.
            await self._database.write(lambda session: self._note_received(session, claim))
            received = True
        finally:
            if not received:
                await self._give_back(claim)
        return size

    async def _keep(self, request: Request, claim: Claim) -> int:
        incoming = await asyncio.to_thread(Incoming, self._data_dir, "upload", claim.linked.workspace_id)
        try:
            size = await self._take_in(request, claim, incoming)
            await asyncio.to_thread(incoming.finish)
            await asyncio.to_thread(incoming.keep, self._data_dir, "upload", *claim.linked, claim.token)
        finally:
            await asyncio.to_thread(incoming.discard)
        return size

    async def _give_back(self, claim: Claim) -> None:
        if await self._database.write(lambda session: give_back(session, claim)):
            path = path_of(self._data_dir, "upload", *claim.linked, claim.token)
            await asyncio.to_thread(path.unlink, missing_ok=True)

    async def _take_in(self, request: Request, claim: Claim, incoming: Incoming) -> int:
        size, renewed = 0, time.monotonic()
        async for chunk in chunks(request, _UPLOAD_SECONDS):
            size += len(chunk)
            if size > claim.size_bytes:
                raise _too_long(claim.size_bytes)
            await asyncio.to_thread(incoming.file.write, chunk)
            if time.monotonic() - renewed > CLAIM_SECONDS / 3:
                if not await self._database.write(lambda session: renew_claim(session, claim)):
                    raise _lost()
                renewed = time.monotonic()
        if size != claim.size_bytes:
            raise InvalidInput(
                f"The file has {size:,} bytes; {claim.size_bytes:,} were announced.",
                hint="Send it again, whole, or create an upload with its exact size.",
            )
        return size

    def _note_received(self, session: Session, claim: Claim) -> None:
        now = self._clock.now()
        if not receive_upload(session, claim, now):
            raise _lost()
        maker = maker_of(session.get_one(StoredFile, tuple(claim.linked)))
        deed = Deed(maker, "receive_upload", "write", "done", arguments_hash="", target_id=claim.linked.file_id)
        record(session, deed, now)

    def _linked(self, request: Request, purpose: Purpose) -> Linked:
        linked = read_link(self._vault, purpose, request.path_params["token"], wall_ms_now())
        if linked is None:
            raise _unknown()
        return linked

    async def _export(self, linked: Linked) -> StoredFile:
        now = self._clock.now()
        row = await self._database.read(lambda session: find_file(session, linked, "export", "ready", now))
        if row is None:
            raise _unknown()
        return row


def _unknown() -> NotFound:
    return NotFound("There is no such file, or no longer.", hint="Links work for an hour; ask for a new one.")


def _too_long(announced_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"The file is longer than the {counted(announced_bytes, 'byte', 'bytes')} announced for it.",
        hint="Create another upload with its exact size, and send the file there.",
        details={"limitBytes": announced_bytes},
    )


def _lost() -> Conflict:
    return Conflict("Somebody else was faster, or the hour is over.", hint="Create another upload, and send it there.")
