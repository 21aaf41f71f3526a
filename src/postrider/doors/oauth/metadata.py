"""What clients find out by themselves: who protects an MCP endpoint, and what the authorization server can do."""

from collections.abc import Callable
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from postrider.doors.oauth.answers import document
from postrider.doors.oauth.issuer import AUTHORIZE, REGISTER, REVOKE, TOKEN, Issuer, issuer_of
from postrider.doors.rest.problems import problem_response
from postrider.grants.descriptions import AUTH_METHODS, GRANT_TYPES
from postrider.grants.rules import BUNDLES
from postrider.kernel.errors import NotFound
from postrider.settings import Settings

_MAX_AGE_SECONDS: Final = 300
_NAME: Final = "Postrider"


def server_metadata(issuer: Issuer) -> dict[str, Any]:
    """The authorization server's description. Source: RFC 8414 section 2, RFC 9207 section 3."""
    return {
        "issuer": issuer.url,
        "authorization_endpoint": issuer.url + AUTHORIZE,
        "token_endpoint": issuer.url + TOKEN,
        "registration_endpoint": issuer.url + REGISTER,
        "revocation_endpoint": issuer.url + REVOKE,
        "scopes_supported": list(BUNDLES),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(GRANT_TYPES),
        "token_endpoint_auth_methods_supported": list(AUTH_METHODS),
        "revocation_endpoint_auth_methods_supported": list(AUTH_METHODS),
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "client_id_metadata_document_supported": True,
    }


def resource_metadata(issuer: Issuer) -> dict[str, Any]:
    """The description of the protected resource. Source: RFC 9728 section 2."""
    return {
        "resource": issuer.resource,
        "authorization_servers": [issuer.url],
        "scopes_supported": list(BUNDLES),
        "bearer_methods_supported": ["header"],
        "resource_name": _NAME,
    }


class Metadata:
    """Answers both well-known addresses. ``is_endpoint``: whether a path is one of the MCP endpoints."""

    def __init__(self, settings: Settings, is_endpoint: Callable[[str], bool]) -> None:
        self._settings = settings
        self._is_endpoint = is_endpoint

    async def of_resource(self, request: Request) -> Response:
        """The same for each MCP endpoint: it names the canonical one."""
        issuer = issuer_of(self._settings, request)
        place = _behind(request, issuer)
        if issuer is None or place is None or not (place == "" or self._is_endpoint(place)):
            return _nothing_here()
        return document(resource_metadata(issuer), _MAX_AGE_SECONDS)

    async def of_server(self, request: Request) -> Response:
        """The authorization server."""
        issuer = issuer_of(self._settings, request)
        if issuer is None or _behind(request, issuer) != "":
            return _nothing_here()
        return document(server_metadata(issuer), _MAX_AGE_SECONDS)


def _behind(request: Request, issuer: Issuer | None) -> str | None:
    """The path of the endpoint that is asked about; empty for the server itself."""
    rest = str(request.path_params.get("rest", ""))
    place = f"/{rest}" if rest else ""
    if issuer is None or not issuer.prefix or not place:
        return place
    return place.removeprefix(issuer.prefix) if place.startswith(issuer.prefix) else None


def _nothing_here() -> Response:
    return problem_response(NotFound("There is no authorization metadata here.", hint="Ask for that of /mcp."))
