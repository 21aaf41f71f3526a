"""The MCP endpoints over Streamable HTTP: address checks, then the credential, then the SDK's transport."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.lowlevel.server import Server
from mcp.server.request_state import RequestStateBoundary
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from mcp_types import INVALID_REQUEST, PARSE_ERROR
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from postrider.doors.cors import Cors
from postrider.doors.installation import Installation
from postrider.doors.mcp.challenges import Challenges
from postrider.doors.mcp.credentials import Authenticator, actor_of, with_actor
from postrider.doors.mcp.messages import NO_JSON, receive_message
from postrider.doors.mcp.projection import Projection
from postrider.doors.mcp.sealing import sealed_for_many
from postrider.doors.mcp.server import Handlers, RequestContext, build_server
from postrider.doors.mcp.sessions import BoundedSessions
from postrider.doors.mcp.streams import stays_open, while_good
from postrider.doors.mcp.surface import Surface, surface_at
from postrider.doors.mcp.text import error_facts
from postrider.doors.rest.problems import BodyTooLarge, TooSlow
from postrider.kernel.errors import Forbidden, InvalidInput, LimitReached, NotFound, PostriderError, Unauthenticated

Lifespan = Callable[[], AbstractAsyncContextManager[None]]
ServerBuild = Callable[[Handlers, RequestStateBoundary], Server[Any]]
_SURFACE: Final = "postrider.surface"
_LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_METHODS: Final = "GET, POST, DELETE"


def mcp_app(
    installation: Installation, *, port: int | None = None, build: ServerBuild = build_server
) -> tuple[ASGIApp, Lifespan]:
    """Every MCP endpoint as one ASGI application, and the context that must surround its serving.

    Route ``/mcp`` and ``/mcp/{rest:path}`` to it as they are (``Route(path, endpoint=...)``; a Mount would redirect
    ``/mcp``), and enter the context in the outer lifespan. ``port``: the bound one; None allows loopback on any.
    ``build``: what makes the server of an endpoint from its handlers and the seal of what clients carry, for a server
    that answers more than ours.
    """
    settings = installation.settings
    security = transport_security(settings.public_url, port, settings.cors_origins or ())
    catalogue = installation.dispatcher.catalogue
    state = sealed_for_many(installation.vault.derive("mcp-request-state"), actor_of)
    manager = StreamableHTTPSessionManager(
        build(Projection(installation, surface_of, actor_of), state), security_settings=security
    )

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        async with manager.run():
            yield

    authenticator, challenges = Authenticator(installation), Challenges(installation)
    endpoint = BoundedSessions(manager.handle_request)
    door = McpDoor(endpoint, lambda path: surface_at(path, catalogue), authenticator, security, challenges)
    return Cors(door, settings.cors_origins or (), _METHODS), lifespan


def with_surface(scope: Scope, surface: Surface) -> Scope:
    """The request of an actor with the surface of its address, which the handlers find.

    As part of the user it binds sessions too: one that was opened at another address does not exist at this one.
    """
    principal = scope["user"].access_token
    bound = principal.model_copy(update={"subject": f"{principal.subject} {surface.path}"})
    return {**scope, "user": AuthenticatedUser(bound), _SURFACE: surface}


def surface_of(ctx: RequestContext) -> Surface:
    """The surface of the HTTP request that carried this message: in a session, that of this very POST."""
    request = ctx.request
    if not isinstance(request, Request) or not isinstance(surface := request.scope.get(_SURFACE), Surface):
        raise NotFound("This message came to no address.")
    return surface


def transport_security(
    public_url: str | None, port: int | None, further_origins: Sequence[str] = ()
) -> TransportSecuritySettings:
    """The Host and Origin headers that may be sent: those of the public address, and of loopback on our own port.

    ``further_origins``: of pages that may call from a browser.
    """
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
    return TransportSecuritySettings(allowed_hosts=hosts, allowed_origins=[*origins, *further_origins])


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
    """Refuses callers before a byte of the body is read, and calls before they run; then lets the transport answer."""

    def __init__(
        self,
        endpoint: ASGIApp,
        surface: Callable[[str], Surface],
        authenticator: Authenticator,
        security: TransportSecuritySettings,
        challenges: Challenges,
    ) -> None:
        """``surface``: of a path; raises NotFound."""
        self._endpoint = endpoint
        self._surface = surface
        self._challenges = challenges
        self._authenticator = authenticator
        self._addresses = TransportSecurityMiddleware(security)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            surface = self._surface(scope["path"])
        except NotFound as error:
            await _refusal(404, error)(scope, receive, send)
            return
        misdirected = await self._addresses.validate_request(request)
        if misdirected is not None:
            await _refusal(misdirected.status_code, _misdirected(misdirected.status_code))(scope, receive, send)
            return
        try:
            actor = await self._authenticator.actor(request)
        except PostriderError as error:
            challenge = self._challenges.unauthenticated(request, surface)
            status = _status(error)
            await _refusal(status, error, challenge if status == 401 else "")(scope, receive, send)
            return
        try:
            received, call = await receive_message(request, receive)
        except ClientDisconnect:
            return
        except PostriderError as error:
            await _refusal(_status(error), error)(scope, receive, send)
            return
        missing = await self._challenges.step_up(request, call, actor, surface)
        if missing is not None:
            await _refusal(403, *missing)(scope, receive, send)
            return
        known = with_surface(with_actor(scope, actor), surface)
        if stays_open(request):
            await while_good(
                lambda watched: self._endpoint(known, received, watched),
                send,
                lambda: self._authenticator.actor(request),
            )
        else:
            await self._endpoint(known, received, send)


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
    number = PARSE_ERROR if error.error_code == NO_JSON else INVALID_REQUEST
    body = {"jsonrpc": "2.0", "id": None, "error": {"code": number, "message": message, "data": data}}
    response = JSONResponse(body, status)
    if challenge:
        response.headers["WWW-Authenticate"] = challenge
    if isinstance(error, LimitReached) and error.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response
