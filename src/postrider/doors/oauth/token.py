"""The token endpoint: a code becomes tokens, and a refresh token the next ones."""

from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from postrider.doors.installation import Installation
from postrider.doors.mcp.surface import toolsets
from postrider.doors.oauth.answers import NO_STORE, failure, required, single
from postrider.doors.oauth.clients import authenticate_client
from postrider.doors.oauth.documents import Clients
from postrider.doors.rest.credentials import FailureLimit
from postrider.doors.web.forms import Form, read_form
from postrider.doors.web.throttle import address_of
from postrider.grants.codes import Presented, redeem_code
from postrider.grants.queries import Issued, Refusal, refresh_tokens
from postrider.grants.rules import Reach, read_scope, scope_words
from postrider.grants.tokens import ACCESS_MS, PURPOSE
from postrider.kernel.errors import InvalidInput, Unauthenticated
from postrider.storage.leases import wall_ms_now

_WHAT: Final = "token"


class TokenDoor:
    """Gives tokens. Only failures are counted against a caller: an app with a good code or token is never kept out."""

    def __init__(self, installation: Installation, clients: Clients, failures: FailureLimit) -> None:
        self._installation = installation
        self._database = installation.database
        self._clients = clients
        self._failures = failures
        self._key = installation.vault.derive(PURPOSE)
        self._toolsets = toolsets(installation.dispatcher.catalogue)

    async def answer(self, request: Request) -> Response:
        """Tokens, or why there are none. Raises: PostriderError."""
        guesser = (address_of(request), _WHAT)
        form = await read_form(request)
        try:
            client_id = await authenticate_client(request, form, self._clients, self._key)
        except Unauthenticated:
            self._count(guesser)
            return _unknown_client(request)
        found = await self._tokens(form, client_id)
        if isinstance(found, Refusal):
            self._count(guesser)
            return failure(400, found.error, found.description)
        body = {
            "access_token": found.access.reveal(),
            "token_type": "Bearer",
            "expires_in": ACCESS_MS // 1000,
            "refresh_token": found.refresh.reveal(),
            "scope": scope_words(found.reach),
        }
        return JSONResponse(body, headers=NO_STORE)

    async def _tokens(self, form: Form, client_id: str) -> Issued | Refusal:
        kind = required(form, "grant_type")
        if kind == "authorization_code":
            return await self._redeem(form, client_id)
        if kind == "refresh_token":
            return await self._refresh(form, client_id)
        raise InvalidInput(
            "The grant_type has to be authorization_code or refresh_token.", code="UNSUPPORTED_GRANT_TYPE"
        )

    async def _redeem(self, form: Form, client_id: str) -> Issued | Refusal:
        presented = Presented(
            code=required(form, "code"),
            client_id=client_id,
            redirect_uri=required(form, "redirect_uri"),
            verifier=required(form, "code_verifier"),
            resource=single(form, "resource"),
        )
        now = self._installation.clock.now()
        return await self._database.write(
            lambda session: redeem_code(session, self._key, presented, now, wall_ms_now())
        )

    async def _refresh(self, form: Form, client_id: str) -> Issued | Refusal:
        token, resource, asked = required(form, "refresh_token"), single(form, "resource"), self._asked(form)
        now = self._installation.clock.now()
        return await self._database.write(
            lambda session: refresh_tokens(session, self._key, token, client_id, asked, resource, now, wall_ms_now())
        )

    def _asked(self, form: Form) -> Reach | None:
        scope = single(form, "scope")
        if scope is None:
            return None
        reach = read_scope(scope, self._toolsets)
        if reach is None:
            raise InvalidInput("There is no such scope.", code="INVALID_SCOPE")
        return reach

    def _count(self, guesser: tuple[str, str]) -> None:
        """Raises: LimitReached."""
        self._failures.check(guesser)
        self._failures.add(guesser)


def _unknown_client(request: Request) -> Response:
    response = failure(401, "invalid_client", "The app's id or secret is not right.")
    if "authorization" in request.headers:
        response.headers["WWW-Authenticate"] = 'Basic realm="Postrider"'
    return response
