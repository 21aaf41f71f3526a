"""The one way out by HTTP: every request goes to a checked address, follows no redirect, and ends in time.

Each request opens a connection of its own to the address that was checked, while TLS verifies the name. Connections are
not shared: two names that lead to one address must never answer for each other.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final, NoReturn

import httpx

from postrider.adapters.egress import Egress, ResolvedHost
from postrider.adapters.tls import verified_tls
from postrider.kernel.errors import Upstream

DEFAULT_PORTS: Final = {"https": 443, "http": 80}
CONNECT_SECONDS: Final = 10.0
MAX_URL_CHARACTERS: Final = 8_000
_HTTPS_PORTS: Final = frozenset({443, 8443})
_HTTP_PORTS: Final = frozenset({80, 8080})
_USER_AGENT: Final = "postrider"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request. ``timeout_seconds`` bounds all of it, name lookup and answer included."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    timeout_seconds: float = 10.0
    max_answer_bytes: int = 64 * 1024


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What the server answered, a redirect as it stands. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpClient:
    """Sends requests through the address guard.

    ``plain``: http is allowed beside https, as an installation that may use private hosts needs it.
    """

    def __init__(
        self, egress: Egress, *, plain: bool = False, tls_context: Callable[[], ssl.SSLContext] = verified_tls
    ) -> None:
        self._egress = egress
        self._plain = plain
        self._make_tls_context = tls_context
        self._tls: ssl.SSLContext | None = None

    async def send(self, request: HttpRequest) -> HttpAnswer:
        """The answer, whatever its status. Raises: Upstream, coarse and harmless, when there is none to be had."""
        url = _checked_url(request.url, self._plain)
        try:
            async with asyncio.timeout(request.timeout_seconds):
                port = url.port or DEFAULT_PORTS[url.scheme]
                ports = _HTTPS_PORTS if url.scheme == "https" else _HTTP_PORTS
                target = await self._egress.address_of(url.host, port, ports=ports)
                return await self._exchange(request, url, target)
        except (TimeoutError, httpx.TimeoutException):
            raise Upstream("The server did not answer in time.", retryable=True, code="HTTP_TIMEOUT") from None
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError):
            # What exactly failed would tell a caller which ports are open.
            raise Upstream("The server could not be reached.", retryable=True, code="HTTP_UNREACHABLE") from None

    async def _exchange(self, request: HttpRequest, url: httpx.URL, target: ResolvedHost) -> HttpAnswer:
        addresses = (target.ip, *target.other_ips)
        for address in addresses[:-1]:
            try:
                return await self._exchange_with(address, request, url, target)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return await self._exchange_with(addresses[-1], request, url, target)

    async def _exchange_with(
        self, address: str, request: HttpRequest, url: httpx.URL, target: ResolvedHost
    ) -> HttpAnswer:
        async with AsyncExitStack() as stack:
            transport = await stack.enter_async_context(
                httpx.AsyncHTTPTransport(verify=await self._tls_context(), trust_env=False)
            )
            outgoing = _pinned(request, url, address, target)
            answer = await transport.handle_async_request(outgoing)
            stack.push_async_callback(answer.aclose)
            return HttpAnswer(
                answer.status_code,
                {name.lower(): value for name, value in answer.headers.items()},
                await _read_body(answer, request.max_answer_bytes),
            )

    async def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = await asyncio.to_thread(self._make_tls_context)
        return self._tls


def _checked_url(text: str, plain: bool) -> httpx.URL:
    try:
        url = httpx.URL(text) if len(text) <= MAX_URL_CHARACTERS else None
    except httpx.InvalidURL:
        url = None
    schemes = ("https", "http") if plain else ("https",)
    if url is None or url.scheme not in schemes or not url.host or url.userinfo:
        _refuse_url(" or ".join(schemes))
    return url


def _refuse_url(schemes: str) -> NoReturn:
    raise Upstream(
        f"That address cannot be called: it must be a plain {schemes} URL without user name.",
        retryable=False,
        code="URL_NOT_ALLOWED",
    )


def _pinned(request: HttpRequest, url: httpx.URL, address: str, target: ResolvedHost) -> httpx.Request:
    """The request as it is sent: to the checked address, under the name's Host header and certificate."""
    headers = {"user-agent": _USER_AGENT} | {name.lower(): value for name, value in request.headers.items()}
    headers.pop("content-length", None)
    # Nothing is unpacked here, so that a small answer cannot become a huge one.
    headers |= {"host": url.netloc.decode("ascii"), "accept-encoding": "identity", "connection": "close"}
    timeout = httpx.Timeout(request.timeout_seconds, connect=min(CONNECT_SECONDS, request.timeout_seconds))
    return httpx.Request(
        request.method,
        url.copy_with(host=address),
        headers=headers,
        content=request.body,
        extensions={"sni_hostname": target.host, "timeout": timeout.as_dict()},
    )


async def _read_body(answer: httpx.Response, most_bytes: int) -> bytes:
    if answer.headers.get("content-encoding", "identity").lower() not in ("identity", ""):
        raise Upstream("The server packed its answer though asked not to.", retryable=False, code="HTTP_ENCODING")
    body = bytearray()
    async for piece in answer.aiter_raw():
        body += piece
        if len(body) > most_bytes:
            raise Upstream("The server's answer is too large.", retryable=False, code="HTTP_TOO_LARGE")
    return bytes(body)
