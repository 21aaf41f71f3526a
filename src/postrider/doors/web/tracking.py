"""``/t/o/{token}`` (an open) and ``/t/c/{token}`` (a click). A token that is not ours leads nowhere."""

from typing import TYPE_CHECKING, Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from postrider.content.links import MAX_TOKEN_CHARACTERS
from postrider.doors.installation import Installation
from postrider.doors.web.metrics import TRACKED
from postrider.doors.web.pages import not_found

if TYPE_CHECKING:
    from postrider.sending.tracking import Seen

_PIXEL: Final = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")
_LONGEST_AGENT: Final = 500


class TrackingDoor:
    """Records what recipients' programs fetch. HEAD never counts."""

    def __init__(self, installation: Installation) -> None:
        self._database = installation.database
        self._vault = installation.vault
        self._clock = installation.clock

    def routes(self) -> list[BaseRoute]:
        """The two paths."""
        return [Route("/t/o/{token}", self.open), Route("/t/c/{token}", self.click)]

    async def open(self, request: Request) -> Response:
        """A transparent image of one pixel; 404 for a token that is not ours."""
        from postrider.sending.tracking import record_open

        if request.method == "HEAD":
            return Response(media_type="image/gif")
        token, seen, now = _token(request), _seen(request), self._clock.now()
        known = token is not None and await self._database.hot(
            lambda connection: record_open(connection, self._vault, token, seen, now)
        )
        TRACKED.labels("open", "ok" if known else "unknown").inc()
        return Response(_PIXEL, 200 if known else 404, media_type="image/gif")

    async def click(self, request: Request) -> Response:
        """A redirect to the link's target; a page, never a redirect, for a token that is not ours."""
        from postrider.sending.tracking import record_click

        if request.method == "HEAD":
            return Response()
        token, seen, now = _token(request), _seen(request), self._clock.now()
        target = None
        if token is not None:
            target = await self._database.hot(
                lambda connection: record_click(connection, self._vault, token, seen, now)
            )
        TRACKED.labels("click", "ok" if target else "unknown").inc()
        if target is None or not target.lower().startswith(("https://", "http://")):
            return not_found()
        return RedirectResponse(target, 302)


def _token(request: Request) -> str | None:
    token: str = request.path_params["token"]
    return token if len(token) <= MAX_TOKEN_CHARACTERS and token.isascii() and token.isprintable() else None


def _seen(request: Request) -> "Seen":
    from postrider.sending.tracking import Seen

    agent = request.headers.get("user-agent", "")[:_LONGEST_AGENT]
    return Seen(user_agent=agent, ip_address=request.client.host if request.client else "")
