"""How the sandbox's prospects reach the demo's web pages: calls of the HTTP application itself, without a network."""

from typing import Final
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Scope

from postrider.demo.scenario import PUBLIC_URL

_BROWSER: Final = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0"
_ONE_CLICK: Final = b"List-Unsubscribe=One-Click"


class Visitor:
    """Somebody with a browser and a mail program. ``app`` is set once the application exists."""

    def __init__(self) -> None:
        self.app: ASGIApp | None = None

    async def fetch(self, url: str) -> None:
        """Gets an image or a link as a browser does; redirects are not followed."""
        await self._request("GET", url, b"")

    async def one_click(self, url: str) -> None:
        """Unsubscribes as a mail program does. Source: RFC 8058 section 3.1."""
        await self._request("POST", url, _ONE_CLICK)

    async def _request(self, method: str, url: str, body: bytes) -> None:
        if self.app is None or not url.startswith(f"{PUBLIC_URL}/"):
            return
        inbox: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        statuses: list[int] = []

        async def receive() -> Message:
            return inbox.pop() if inbox else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        await self.app(_scope(method, url, body), receive, send)
        if not statuses or statuses[0] >= 400:
            raise ConnectionError(f"{method} {urlsplit(url).path} answered {statuses}")


def _scope(method: str, url: str, body: bytes) -> Scope:
    parts = urlsplit(url)
    host = parts.netloc.encode()
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": parts.scheme,
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "root_path": "",
        "headers": [
            (b"host", host),
            (b"user-agent", _BROWSER.encode()),
            (b"content-type", b"application/x-www-form-urlencoded"),
            (b"content-length", str(len(body)).encode()),
        ],
        "client": ("198.51.100.7", 50_000),
        "server": (parts.hostname or "", 443),
    }
