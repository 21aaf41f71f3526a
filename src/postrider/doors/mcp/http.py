"""The MCP endpoints over Streamable HTTP: address checks, then the credential, then the SDK's transport."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from mcp_types import INVALID_REQUEST, PARSE_ERROR, jsonrpc_message_adapter
from pydantic import ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from postrider.doors.installation import Installation
from postrider.doors.mcp.credentials import Authenticator, actor_of, with_actor
from postrider.doors.mcp.projection import Projection
from postrider.doors.mcp.server import build_server
from postrider.doors.mcp.surface import SURFACES
from postrider.doors.mcp.text import error_facts
from postrider.doors.rest.body import MAX_JSON_BYTES, read_body
from postrider.doors.rest.problems import BodyTooLarge, TooSlow
from postrider.kernel.errors import Forbidden, InvalidInput, LimitReached, NotFound, PostriderError, Unauthenticated

Lifespan = Callable[[], AbstractAsyncContextManager[None]]
_LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
_NO_JSON: Final = "PARSE_ERROR"
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def mcp_app(installation: Installation, *, port: int | None = None) -> tuple[ASGIApp, Lifespan]:
    """Every MCP endpoint as one ASGI application, and the context that must surround its serving.

    Route ``/mcp`` and ``/mcp/{rest:path}`` to it as they are (``Route(path, endpoint=...)``; a Mount would redirect
    ``/mcp``), and enter the context in the outer lifespan. ``port``: the bound one; None allows loopback on any.
    """
    security = transport_security(installation.settings.public_url, port)
    managers = {
        surface.path: StreamableHTTPSessionManager(
            build_server(Projection(installation.dispatcher, surface, actor_of)), security_settings=security
        )
        for surface in SURFACES
    }

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for manager in managers.values():
                await stack.enter_async_context(manager.run())
            yield

    endpoints: dict[str, ASGIApp] = {path: manager.handle_request for path, manager in managers.items()}
    return McpDoor(
        endpoints, Authenticator(installation.database, installation.vault, installation.clock), security
    ), lifespan


def transport_security(public_url: str | None, port: int | None) -> TransportSecuritySettings:
    """The Host and Origin headers that may be sent: those of the public address, and of loopback on our own port."""
    suffix = "*" if port is None else str(port)
    hosts = [f"{host}:{suffix}" for host in _LOOPBACK]
    origins = [f"http://{host}" for host in hosts]
    if port in (None, 80):
        hosts += _LOOPBACK
        origins += [f"http://{host}" for host in _LOOPBACK]
    if public_url is not None:
        names = _public_names(public_url)
        hosts += names
        origins += [f"{urlsplit(public_url).scheme}://{name}" for name in names]
    return TransportSecuritySettings(allowed_hosts=hosts, allowed_origins=origins)


def _public_names(public_url: str) -> list[str]:
    """The host as clients may write it: with the port, and without when the port is the scheme's own."""
    parts = urlsplit(public_url)
    host = parts.netloc.rsplit("@", 1)[-1].lower()
    default = _DEFAULT_PORTS[parts.scheme]
    if parts.port is None:
        return [host, f"{host}:{default}"]
    bare = host.rsplit(":", 1)[0]
    return [host, bare] if parts.port == default else [host]


class McpDoor:
    """Refuses what may not come in, before a byte of the body is read; then lets the transport of the path answer."""

    def __init__(
        self,
        endpoints: dict[str, ASGIApp],
        authenticator: Authenticator,
        security: TransportSecuritySettings,
        challenge: str = "Bearer",
    ) -> None:
        """``challenge``: the WWW-Authenticate of a 401; where authorization metadata is pointed at."""
        self._endpoints = endpoints
        self._challenge = challenge
        self._authenticator = authenticator
        self._addresses = TransportSecurityMiddleware(security)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        endpoint = self._endpoints.get(scope["path"].rstrip("/"))
        if endpoint is None:
            known = f"Use {' or '.join(self._endpoints)}."
            await _refusal(404, NotFound("There is no MCP endpoint here.", hint=known))(scope, receive, send)
            return
        misdirected = await self._addresses.validate_request(request)
        if misdirected is not None:
            await _refusal(misdirected.status_code, _misdirected(misdirected.status_code))(scope, receive, send)
            return
        try:
            actor = await self._authenticator.actor(request)
        except PostriderError as error:
            await _refusal(_status(error), error, self._challenge)(scope, receive, send)
            return
        try:
            received = await _received(request, receive)
        except ClientDisconnect:
            return
        except PostriderError as error:
            await _refusal(_status(error), error)(scope, receive, send)
            return
        await endpoint(with_actor(scope, actor), received, send)


async def _received(request: Request, receive: Receive) -> Receive:
    """A receive that gives the whole body at once, read here within the limits of size and time of every door.

    Raises: ClientDisconnect, BodyTooLarge, TooSlow, InvalidInput.
    """
    if request.method != "POST":
        return receive
    body = await read_body(request, MAX_JSON_BYTES)
    _check_message(body)
    whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return whole.pop() if whole else await receive()

    return receive_again


def _check_message(body: bytes) -> None:
    """Accepts one JSON-RPC message: the transport would answer anything else in its parser's words.

    Raises: InvalidInput.
    """
    try:
        jsonrpc_message_adapter.validate_json(body, by_name=False)
    except ValidationError as error:
        if error.errors(include_url=False, include_input=False)[0]["type"] == "json_invalid":
            raise InvalidInput("The body is not JSON.", code=_NO_JSON, hint="Send one JSON object in UTF-8.") from None
        raise InvalidInput(
            "The body is not one JSON-RPC 2.0 message.",
            hint='Send one object such as {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}, no batch.',
        ) from None


def _misdirected(status: int) -> PostriderError:
    wrong = "Host" if status == 421 else "Origin"
    return Forbidden(
        f"The {wrong} header names an address that this server does not answer to.",
        hint="Whoever runs the server sets POSTRIDER_PUBLIC_URL to the address that clients use.",
    )


def _status(error: PostriderError) -> int:
    """404 is left out on purpose: to a client it means that its session has ended."""
    statuses: dict[type[PostriderError], int] = {
        Unauthenticated: 401,
        InvalidInput: 400,
        LimitReached: 429,
        TooSlow: 408,
        BodyTooLarge: 413,
    }
    return next((status for kind, status in statuses.items() if isinstance(error, kind)), 403)


def _refusal(status: int, error: PostriderError, challenge: str = "") -> Response:
    """A JSON-RPC error without an id: clients show its message, where they would show a bare status otherwise."""
    message = f"{error.message} {error.hint}" if error.hint else error.message
    data = {"code": error.error_code, "hint": error.hint, "details": error_facts(error)}
    number = PARSE_ERROR if error.error_code == _NO_JSON else INVALID_REQUEST
    body = {"jsonrpc": "2.0", "id": None, "error": {"code": number, "message": message, "data": data}}
    response = JSONResponse(body, status)
    if status == 401:
        response.headers["WWW-Authenticate"] = challenge
    if isinstance(error, LimitReached) and error.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response
