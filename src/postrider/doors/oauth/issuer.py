"""Under which address this server issues tokens, and the addresses that follow from it."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request

from postrider.settings import Settings

RESOURCE_PATH: Final = "/mcp"
AUTHORIZE: Final = "/oauth/authorize"
TOKEN: Final = "/oauth/token"
REGISTER: Final = "/oauth/register"
REVOKE: Final = "/oauth/revoke"
RESOURCE_METADATA: Final = "/.well-known/oauth-protected-resource"
SERVER_METADATA: Final = "/.well-known/oauth-authorization-server"
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Issuer:
    """One address of this server. ``url``: the issuer identifier, as clients compare it: byte for byte."""

    url: str

    @property
    def resource(self) -> str:
        """What every token is good for: the canonical MCP endpoint, whichever of the endpoints is used."""
        return self.url + RESOURCE_PATH

    @property
    def prefix(self) -> str:
        """The path of the address, which metadata addresses carry behind theirs. Source: RFC 8414 section 3.1."""
        return urlsplit(self.url).path

    def resource_metadata(self, path: str) -> str:
        """Where the metadata of the endpoint at ``path`` is. Source: RFC 9728 section 3.1."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}{RESOURCE_METADATA}{parts.path}{path}"


def issuer_of(settings: Settings, request: Request) -> Issuer | None:
    """The issuer for a request: the public address where one is set, else the loopback address that was called.

    None where tokens would travel in clear: OAuth needs https, except on loopback.
    """
    if settings.public_url is not None:
        return _safe(settings.public_url)
    host = request.headers.get("host", "").lower()
    return _safe(f"{request.url.scheme}://{host}")


def base_of(settings: Settings, request: Request) -> str | None:
    """The address of this server as whoever sent ``request`` may use it; None where it is not safe."""
    issuer = issuer_of(settings, request)
    return None if issuer is None else issuer.url


def _safe(url: str) -> Issuer | None:
    try:
        parts = urlsplit(url)
        name, _ = parts.hostname, parts.port
    except ValueError:
        return None
    return Issuer(url) if name and (name in _LOOPBACK or parts.scheme == "https") else None
