"""Whom a request comes from when it comes through proxies: their word counts only where the settings say so."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send

_FOR: Final = "x-forwarded-for"
_PROTO: Final = "x-forwarded-proto"
_HOST: Final = "x-forwarded-host"
_MOST_HOPS: Final = 50
_Address = IPv4Address | IPv6Address


class BehindProxies:
    """Gives requests of trusted proxies the client, the scheme and the host that they speak for.

    The list of hops is read from the right, where the nearest proxy has written: the first one that is not trusted is
    the client, whatever stands to the left of it. Anybody else's headers of this kind are taken away.
    """

    def __init__(self, app: ASGIApp, trusted: str) -> None:
        self._app = app
        self._trusted: list[IPv4Network | IPv6Network] = [ip_network(each) for each in trusted.split(",")]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "http":
            scope = self._seen(scope)
        await self._app(scope, receive, send)

    def _seen(self, scope: Scope) -> Scope:
        headers = Headers(scope=scope)
        peer = _address((scope.get("client") or ("", 0))[0])
        kept = [(name, value) for name, value in scope["headers"] if name.decode("latin-1").lower() not in _ALL]
        if peer is None or not self._trusts(peer):
            return {**scope, "headers": kept}
        client = self._client(peer, _words(headers, _FOR))
        host, proto = _last(headers, _HOST), _last(headers, _PROTO).lower()
        seen = {**scope, "headers": kept, "client": (str(client), 0)}
        if proto in ("http", "https"):
            seen["scheme"] = proto
        if host:
            written = MutableHeaders(raw=[(name, value) for name, value in kept if name.lower() != b"host"])
            written.append("host", host)
            seen["headers"] = written.raw
        return seen

    def _client(self, peer: _Address, hops: list[str]) -> _Address:
        client = peer
        for hop in reversed(hops[-_MOST_HOPS:]):
            address = _address(hop)
            if address is None:
                # What a proxy that we trust could not tell is unknown; the last one that was told counts.
                return client
            client = address
            if not self._trusts(address):
                return client
        return client

    def _trusts(self, address: _Address) -> bool:
        return any(address in network for network in self._trusted if network.version == address.version)


_ALL: Final = frozenset({_FOR, _PROTO, _HOST, "forwarded"})


def _words(headers: Headers, name: str) -> list[str]:
    return [word.strip() for line in headers.getlist(name) for word in line.split(",")]


def _last(headers: Headers, name: str) -> str:
    return next(iter(reversed(_words(headers, name))), "")


def _address(text: str) -> _Address | None:
    """The address in a hop, which may have a port behind it and an IPv6 one brackets around it."""
    for candidate in _spellings(text.strip().strip('"')):
        try:
            address = ip_address(candidate)
        except ValueError:
            continue
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        return mapped or address
    return None


def _spellings(text: str) -> Iterable[str]:
    yield text
    if text.startswith("["):
        yield text[1:].partition("]")[0]
    elif text.count(":") == 1:
        yield text.partition(":")[0]
