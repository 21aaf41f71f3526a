"""/v1: every operation of the catalogue at its path. Translation only; authority is the dispatcher's."""

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from postrider.dispatch import Answer, Call
from postrider.doors.installation import Installation, RunJob
from postrider.doors.oauth.issuer import base_of
from postrider.doors.rest.arguments import merge, read_pairs
from postrider.doors.rest.body import MAX_JSON_BYTES, parse_object, read_body
from postrider.doors.rest.credentials import Authenticator
from postrider.doors.rest.headers import IDEMPOTENCY_KEY, REQUEST_ID, name_ignored, request_id_of, say_outcome
from postrider.doors.rest.pages import envelope
from postrider.doors.rest.paths import Found, PathTable
from postrider.doors.rest.problems import MethodNotAllowed, incident_response, problem_response
from postrider.doors.rest.uploads import is_multipart, receive_form
from postrider.doors.waiting import JobView, job_id_of, wait_for_job
from postrider.doors.web.metrics import observe_call
from postrider.kernel.context import Actor, UploadedFile
from postrider.kernel.errors import InvalidInput, NotFound, PostriderError
from postrider.kernel.ids import encode_bits

_log: Final = structlog.get_logger("postrider.rest")


@dataclass(slots=True)
class _Inputs:
    """What one request brings: arguments, fields that lost to others of the same name, and files."""

    arguments: dict[str, Any]
    lost: list[str]
    files: dict[str, UploadedFile] = field(default_factory=dict)


class RestDoor:
    """The ASGI application of /v1. ``run_job``: for a process without an engine (see RunJob)."""

    def __init__(self, installation: Installation, run_job: RunJob | None = None) -> None:
        self._dispatcher = installation.dispatcher
        self._paths = PathTable(installation.dispatcher.catalogue)
        self._authenticator = Authenticator(installation, time.monotonic)
        self._settings = installation.settings
        self._uploads = installation.settings.data_dir / "uploads"
        self._run_job = run_job

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        request = Request(scope, receive)
        request_id = request_id_of(request.headers)
        try:
            response = await self._answer(request, request_id)
        except ClientDisconnect:
            return
        response.headers[REQUEST_ID] = request_id
        if request.method == "HEAD":
            response.body = b""
        await response(scope, receive, send)

    async def _answer(self, request: Request, request_id: str) -> Response:
        started, name, outcome = time.monotonic(), "none", "ok"
        try:
            found = self._find(request)
            if isinstance(found, Response):
                return found
            name = found.operation.name
            return await self._run(request, found, request_id)
        except PostriderError as error:
            outcome = error.error_code
            return problem_response(error)
        except ClientDisconnect:
            outcome = "DISCONNECTED"
            raise
        except Exception:
            outcome = "INTERNAL_ERROR"
            incident = encode_bits(int.from_bytes(os.urandom(5), "big"), 8)
            _log.exception("operation_crashed", incident=incident, operation=name)
            return incident_response(incident)
        finally:
            observe_call("v1", name, outcome, time.monotonic() - started)

    def _find(self, request: Request) -> Found | Response:
        try:
            found = self._paths.find("GET" if request.method == "HEAD" else request.method, raw_path(request))
        except UnicodeDecodeError:
            raise InvalidInput("The path is not UTF-8.", hint="Percent-encode UTF-8.") from None
        if isinstance(found, Found):
            return found
        if not found:
            raise NotFound("There is no such path.", hint="All paths are listed in /openapi.json.")
        allowed = [*found, *(["HEAD"] if "GET" in found else []), "OPTIONS"]
        if request.method == "OPTIONS":
            return Response(status_code=204, headers={"Allow": ", ".join(allowed)})
        raise MethodNotAllowed(
            f"{request.method} is not possible here.", hint=f"Use {', '.join(found)}.", details={"allowed": allowed}
        )

    async def _run(self, request: Request, found: Found, request_id: str) -> Response:
        actor = await self._authenticator.actor(request)
        operation = found.operation
        async with self._inputs(request, found) as inputs:
            call = Call(
                operation.name,
                inputs.arguments,
                actor,
                lenient=True,
                files=inputs.files,
                idempotency_key=request.headers.get(IDEMPOTENCY_KEY),
                request_id=request_id,
                base_url=base_of(self._settings, request),
            )
            answer = await self._dispatcher.call(call)
        if operation.rest.waits_for_job:
            response = await self._finished(request, actor, answer)
        else:
            response = JSONResponse(envelope(answer.output, inputs.arguments), operation.rest.status)
        name_ignored(response, [*answer.ignored, *inputs.lost])
        say_outcome(response, answer)
        return response

    @asynccontextmanager
    async def _inputs(self, request: Request, found: Found) -> AsyncIterator[_Inputs]:
        model, file_field = found.operation.input, found.operation.rest.file_field
        query = read_pairs(model, request.query_params.multi_items(), "The query")
        for value in found.parameters.values():
            if "\x00" in value:
                raise InvalidInput("The path contains a NUL character.", hint="Send text without NUL.")
        if file_field is not None and is_multipart(request):
            async with receive_form(request, self._uploads, file_field) as form:
                arguments, lost = merge(found.parameters, read_pairs(model, form.pairs, "The form"), query)
                yield _Inputs(arguments, lost, form.files)
            return
        # A body of GET has no meaning, so that it is not read.
        body = b"" if request.method in ("GET", "HEAD") else await read_body(request, MAX_JSON_BYTES)
        parsed = parse_object(body, request.headers.get("content-type", ""))
        arguments, lost = merge(found.parameters, parsed, query)
        yield _Inputs(arguments, lost)

    async def _finished(self, request: Request, actor: Actor, answer: Answer) -> JSONResponse:
        async def still_there(_: JobView) -> bool:
            return not await request.is_disconnected()

        job_id = job_id_of(answer.output)
        job = await wait_for_job(self._dispatcher, actor, job_id, run_job=self._run_job, watch=still_there)
        if not job.ended:
            return JSONResponse({"success": True, "data": {"jobId": job_id, **job.fields}}, 202)
        return JSONResponse({"success": True, "data": job.result()})


def raw_path(request: Request) -> str:
    """The path as it was sent, still percent-encoded: an encoded slash belongs to its segment."""
    raw: bytes | None = request.scope.get("raw_path")
    return quote(request.scope["path"]) if raw is None else raw.partition(b"?")[0].decode("ascii", "replace")
