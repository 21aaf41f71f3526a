"""Which Host and Origin headers are ours, and the headers that every answer carries."""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from postrider.doors.rest.problems import ForeignOrigin, WrongHost, problem_response
from postrider.kernel.errors import InvalidInput, PostriderError

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_WILDCARDS: Final = frozenset({"0.0.0.0", "::", ""})
_SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}
_SINGLE: Final = ("Host", "Origin", "X-Workspace-Id")
_UNCHECKED: Final = re.compile(r"/(?:t|u|mcp)/.*|/(?:mcp|healthz|readyz)", re.DOTALL)
"""Probes come by any address. Recipients come by the address that their message was sent with, which may be an older
public one: a link to unsubscribe works for ever, and nothing behind it knows who calls. The MCP door looks at both
headers itself."""

_PUBLIC: Final = re.compile(r"/\.well-known/oauth-.*", re.DOTALL)
"""Documents for everybody, whichever page asks."""

_CROSS: Final = re.compile(r"/oauth/(?:token|register|revoke)")


@dataclass(frozen=True, slots=True)
class Addresses:
    """The names that this server answers to. ``hosts`` None: any (bound to every interface, no public address)."""

    hosts: frozenset[str] | None
    origins: frozenset[str]
    any_address: bool
    cross_origins: frozenset[str] = frozenset()

    def check(self, headers: Headers, path: str = "") -> None:
        """Raises: WrongHost (a page that rebound its name to us), ForeignOrigin (a page of another site)."""
        host = headers.get("host", "")
        if not self._knows(_host_name(host)):
            raise WrongHost(
                "This server does not answer to that host name.",
                hint="Use the address it is bound to, or set POSTRIDER_PUBLIC_URL to the one you use.",
            )
        origin = headers.get("origin")
        if origin is None or origin.lower() in self.origins or _authority(origin) == host.lower():
            return
        if not (_PUBLIC.fullmatch(path) or (_CROSS.fullmatch(path) and origin.lower() in self.cross_origins)):
            raise ForeignOrigin("Pages of other sites may not call this server.", hint="Call it from a program.")

    def _knows(self, name: str | None) -> bool:
        if name is None:
            return False
        return self.hosts is None or name in self.hosts or (self.any_address and _is_address(name))


def own_addresses(bind_host: str, public_url: str | None, cross_origins: Sequence[str] = ()) -> Addresses:
    """The names for a server bound to ``bind_host``: loopback, the bound and the public one. ``cross_origins``: of the
    pages that may use the token endpoints from a browser.

    Bound to every interface, any literal address is fine as well: rebinding needs a name.
    """
    names = set(_LOOPBACK)
    origins: set[str] = set()
    wild = bind_host in _WILDCARDS
    if not wild:
        names.add(bind_host.lower())
    if public_url is not None:
        parts = urlsplit(public_url)
        names.add(parts.hostname or "")
        origins.add(f"{parts.scheme}://{parts.netloc}".lower())
    hosts = None if wild and public_url is None else frozenset(names)
    return Addresses(hosts, frozenset(origins), wild, frozenset(cross_origins))


class Guard:
    """Refuses misdirected requests before anything is parsed, and puts the security headers on every answer."""

    def __init__(self, app: ASGIApp, addresses: Addresses) -> None:
        self._app = app
        self._addresses = addresses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope)
        answer = self._app if refusal is None else problem_response(refusal)
        await answer(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> PostriderError | None:
        headers = Headers(scope=scope)
        double = next((name for name in _SINGLE if len(headers.getlist(name)) > 1), None)
        if double is not None:
            # Which of them counts is not for us to guess: something between us and the caller may have taken the other.
            return InvalidInput(f"The header {double} stands there more than once.", field=double, hint="Send it once.")
        if _UNCHECKED.fullmatch(scope["path"]):
            return None
        try:
            self._addresses.check(headers, scope["path"])
        except (WrongHost, ForeignOrigin) as error:
            return error
        return None


def _host_name(host: str) -> str | None:
    """The name in a Host header without its port, in lower case; None when it is malformed."""
    try:
        parts = urlsplit(f"//{host}")
        name, _ = parts.hostname, parts.port
    except ValueError:
        return None
    return name if name and parts.netloc == host and "@" not in host else None


def _authority(origin: str) -> str:
    return origin.partition("://")[2].lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
