"""The routes of the authorization server, each open to the browsers that may use it."""

import time
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, request_response

from postrider.doors.cors import Cors
from postrider.doors.installation import Installation
from postrider.doors.mcp.surface import surface_at
from postrider.doors.oauth.answers import answering
from postrider.doors.oauth.authorize import AuthorizeDoor
from postrider.doors.oauth.documents import Clients
from postrider.doors.oauth.issuer import REGISTER, RESOURCE_METADATA, REVOKE, SERVER_METADATA, TOKEN
from postrider.doors.oauth.metadata import Metadata
from postrider.doors.oauth.register import RegisterDoor
from postrider.doors.oauth.revoke import RevokeDoor
from postrider.doors.oauth.token import TokenDoor
from postrider.doors.rest.credentials import FailureLimit
from postrider.doors.web.sessions import Sessions
from postrider.kernel.errors import NotFound

Handle = Callable[[Request], Awaitable[Response]]


def oauth_routes(
    installation: Installation, sessions: Sessions | None = None, register: RegisterDoor | None = None
) -> list[BaseRoute]:
    """Everything that connects apps. ``register``: one with other limits."""
    settings, catalogue = installation.settings, installation.dispatcher.catalogue
    clients, failures = Clients(installation), FailureLimit(time.monotonic)

    def is_endpoint(path: str) -> bool:
        try:
            surface_at(path, catalogue)
        except NotFound:
            return False
        return True

    metadata = Metadata(settings, is_endpoint)
    token, revoke = TokenDoor(installation, clients, failures), RevokeDoor(installation, clients, failures)
    origins = settings.cors_origins or ()
    return [
        *_public(RESOURCE_METADATA, metadata.of_resource),
        *_public(SERVER_METADATA, metadata.of_server),
        *AuthorizeDoor(installation, clients, sessions or Sessions(installation)).routes(),
        _posted(TOKEN, token.answer, origins),
        _posted(REVOKE, revoke.answer, origins),
        _posted(REGISTER, (register or RegisterDoor(installation)).answer, origins),
    ]


def _public(path: str, handle: Handle) -> list[BaseRoute]:
    """A document that anybody may read, alone and with the path of an endpoint behind it."""
    app = Cors(request_response(handle), None, "GET")
    methods = ["GET", "HEAD", "OPTIONS"]
    return [Route(path, app, methods=methods), Route(path + "/{rest:path}", app, methods=methods)]


def _posted(path: str, handle: Handle, origins: tuple[str, ...]) -> BaseRoute:
    return Route(path, Cors(request_response(answering(handle)), origins, "POST"), methods=["POST", "OPTIONS"])
