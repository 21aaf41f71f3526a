"""Dynamic registration, for clients without a metadata document: anybody may, so it is rare, bounded and forgotten.

Source: RFC 7591.
"""

import time
from collections.abc import Callable
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from postrider.doors.installation import Installation
from postrider.doors.oauth.answers import NO_STORE
from postrider.doors.rest.body import parse_object, read_body
from postrider.doors.web.throttle import Throttle, address_of
from postrider.grants.clients import MOST_UNUSED, Registered, register_client
from postrider.grants.descriptions import GRANT_TYPES, Description, read_registration
from postrider.grants.rules import BUNDLES
from postrider.grants.tokens import PURPOSE
from postrider.storage.leases import wall_ms_now

PER_CALLER: Final = 30
WINDOW_SECONDS: Final = 3_600
_MOST_BYTES: Final = 16 * 1024


class RegisterDoor:
    """Registers apps. ``per_caller``: within an hour. ``most_unused``: in all, that nobody has let in yet."""

    def __init__(
        self,
        installation: Installation,
        *,
        per_caller: int = PER_CALLER,
        most_unused: int = MOST_UNUSED,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = installation.database
        self._key = installation.vault.derive(PURPOSE)
        self._limit = Throttle(per_caller, WINDOW_SECONDS, monotonic)
        self._most_unused = most_unused

    async def answer(self, request: Request) -> Response:
        """The registered app, its secret (if it wants one) for the only time. Raises: PostriderError."""
        self._limit.take(address_of(request))
        body = await read_body(request, _MOST_BYTES)
        description = read_registration(parse_object(body, request.headers.get("content-type", "")))
        now_ms = wall_ms_now()
        registered = await self._database.write(
            lambda session: register_client(session, self._key, description, now_ms, self._most_unused)
        )
        return JSONResponse(_answer(registered, description, now_ms), 201, headers=NO_STORE)


def _answer(registered: Registered, description: Description, now_ms: int) -> dict[str, Any]:
    """All that was accepted. Source: RFC 7591 section 3.2.1."""
    answer: dict[str, Any] = {
        "client_id": registered.id,
        "client_id_issued_at": now_ms // 1000,
        "client_name": description.name,
        "redirect_uris": list(description.redirect_uris),
        "grant_types": list(GRANT_TYPES),
        "response_types": ["code"],
        "token_endpoint_auth_method": description.auth_method,
        "scope": " ".join(BUNDLES),
        **description.details,
    }
    if registered.secret is not None:
        answer |= {"client_secret": registered.secret.reveal(), "client_secret_expires_at": 0}
    return answer
