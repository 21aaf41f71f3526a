"""The revocation endpoint, for every app, with or without a secret. Source: RFC 7009."""

from starlette.requests import Request
from starlette.responses import Response

from postrider.doors.installation import Installation
from postrider.doors.oauth.answers import NO_STORE, failure, required
from postrider.doors.oauth.clients import authenticate_client
from postrider.doors.oauth.documents import Clients
from postrider.doors.rest.credentials import FailureLimit
from postrider.doors.web.forms import read_form
from postrider.doors.web.throttle import address_of
from postrider.grants.queries import revoke_token
from postrider.grants.tokens import PURPOSE
from postrider.kernel.errors import Unauthenticated


class RevokeDoor:
    """Takes tokens back."""

    def __init__(self, installation: Installation, clients: Clients, failures: FailureLimit) -> None:
        self._database = installation.database
        self._clock = installation.clock
        self._clients = clients
        self._failures = failures
        self._key = installation.vault.derive(PURPOSE)

    async def answer(self, request: Request) -> Response:
        """200 for a token that does not work any more, also for one that never did. Raises: PostriderError."""
        form = await read_form(request)
        try:
            client_id = await authenticate_client(request, form, self._clients, self._key)
        except Unauthenticated:
            guesser = (address_of(request), "revoke")
            self._failures.check(guesser)
            self._failures.add(guesser)
            raise
        token, now = required(form, "token"), self._clock.now()
        refusal = await self._database.write(lambda session: revoke_token(session, self._key, token, client_id, now))
        return Response(headers=NO_STORE) if refusal is None else failure(400, refusal.error, refusal.description)
