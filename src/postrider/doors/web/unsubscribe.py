"""``/u/{token}``: fetching it shows a page; only a POST unsubscribes, because scanners fetch links."""

import re
from contextlib import suppress
from typing import Final
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from postrider.doors.installation import Installation
from postrider.doors.rest.body import read_body
from postrider.doors.rest.problems import BodyTooLarge, TooSlow
from postrider.doors.web.metrics import TRACKED
from postrider.doors.web.pages import not_found, page
from postrider.kernel.errors import InvalidInput

_LONGEST_TOKEN: Final = 1_000
_LONGEST_BODY: Final = 16 * 1024
_FIELD: Final = "List-Unsubscribe"
_VALUE: Final = "One-Click"
_NAME: Final = re.compile(rb'(?i)\bname="?List-Unsubscribe"?\s*(?:;|\r|$)')


class UnsubscribeDoor:
    """The page behind the footer link and the target of one-click requests. Source: RFC 8058, section 3."""

    def __init__(self, installation: Installation) -> None:
        self._database = installation.database
        self._vault = installation.vault
        self._clock = installation.clock

    def routes(self) -> list[BaseRoute]:
        """The one path."""
        return [Route("/u/{token}", self.show), Route("/u/{token}", self.stop, methods=["POST"])]

    async def show(self, request: Request) -> Response:
        """A page with a button; changes nothing."""
        from postrider.sending.letter import SAMPLE_TOKEN
        from postrider.sending.tracking import unsubscribe_known

        token = _token(request)
        if token == SAMPLE_TOKEN:
            return _of_a_test()
        if token is None or not await self._database.read(lambda session: unsubscribe_known(session, token)):
            return not_found()
        return page(
            "Unsubscribe",
            "Press the button and you will get no more of these messages at this address.",
            button="Unsubscribe",
        )

    async def stop(self, request: Request) -> Response:
        """Unsubscribes at once, whoever posts and however often: no cookie, no redirect, no question."""
        from postrider.sending.letter import SAMPLE_TOKEN
        from postrider.sending.tracking import unsubscribe

        token, now = _token(request), self._clock.now()
        if token is None:
            return not_found()
        if token == SAMPLE_TOKEN:
            return _of_a_test()
        try:
            asked = await _asks_for_it(request)
        except TooSlow:
            return page("Nothing was changed", "The request did not arrive in time.", status=408)
        if not asked:
            return page("Nothing was changed", "The request did not say that it wants to unsubscribe.", status=400)
        done = await self._database.write(lambda session: unsubscribe(session, self._vault, token, now))
        TRACKED.labels("unsubscribe", "ok" if done else "unknown").inc()
        if not done:
            return not_found()
        return page("You are unsubscribed", "You will get no more of these messages at this address.")


def _of_a_test() -> Response:
    """What the link of a preview or a test message leads to: there is nobody whom it could unsubscribe."""
    return page(
        "This is the link of a test",
        "In a real message it leads to a page where its reader unsubscribes with one press. This one belongs to a "
        "preview or a test message, and nothing has been changed.",
    )


def _token(request: Request) -> str | None:
    token: str = request.path_params["token"]
    return token if len(token) <= _LONGEST_TOKEN and token.isascii() and token.isprintable() else None


async def _asks_for_it(request: Request) -> bool:
    """Whether the body has List-Unsubscribe=One-Click, in either encoding that RFC 8058 allows. Raises: TooSlow."""
    body = b""
    with suppress(BodyTooLarge, InvalidInput, ClientDisconnect):
        body = await read_body(request, _LONGEST_BODY)
    if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        return _multipart_value(body) == _VALUE
    fields = parse_qs(body.decode("latin-1"), max_num_fields=20) if body.count(b"&") < 20 else {}
    return fields.get(_FIELD, [""])[0] == _VALUE


def _multipart_value(body: bytes) -> str | None:
    """The text of the part that is called List-Unsubscribe."""
    for part in body.split(b"\r\n--"):
        head, _, text = part.partition(b"\r\n\r\n")
        if _NAME.search(head):
            return text.decode("latin-1").strip()
    return None
