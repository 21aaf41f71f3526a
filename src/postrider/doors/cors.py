"""Which pages of other sites may read answers in a browser. Never with cookies: these endpoints know none."""

from collections.abc import Collection
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_EXPOSED: Final = "WWW-Authenticate, Mcp-Session-Id, Mcp-Protocol-Version, Retry-After"
_PREFLIGHT_SECONDS: Final = "600"


class Cors:
    """``app`` for the pages of ``origins`` (None: of any site, for what is public)."""

    def __init__(self, app: ASGIApp, origins: Collection[str] | None, methods: str) -> None:
        self._app = app
        self._origins = origins
        self._methods = methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI. Other sites get what they would get anyway, without leave to read it."""
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if origin is None or (self._origins is not None and origin.lower() not in self._origins):
            await self._app(scope, receive, send)
            return
        leave = {"Access-Control-Allow-Origin": "*" if self._origins is None else origin, "Vary": "Origin"}
        asked = headers.get("access-control-request-method")
        if scope["method"] == "OPTIONS" and asked is not None:
            await Response(status_code=204, headers=leave | self._preflight(headers))(scope, receive, send)
            return

        async def send_readable(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(leave | {"Access-Control-Expose-Headers": _EXPOSED})
            await send(message)

        await self._app(scope, receive, send_readable)

    def _preflight(self, headers: Headers) -> dict[str, str]:
        wanted = headers.get("access-control-request-headers", "")
        named = [name for name in wanted.split(",") if name.strip().replace("-", "").isalnum()]
        return {
            "Access-Control-Allow-Methods": self._methods,
            "Access-Control-Allow-Headers": ", ".join(name.strip() for name in named[:50]),
            "Access-Control-Max-Age": _PREFLIGHT_SECONDS,
        }
