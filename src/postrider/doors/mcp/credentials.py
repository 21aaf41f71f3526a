"""Who calls over HTTP: the key or access token in the headers of each request becomes the Actor that handlers find."""

from time import monotonic
from typing import Final

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.requests import Request
from starlette.types import Scope

from postrider.access.keys import hash_key, read_lookup
from postrider.access.queries import HOW_TO_SEND_A_KEY, authenticate_key
from postrider.doors.installation import Installation
from postrider.doors.last_use import LastUse
from postrider.doors.mcp.server import RequestContext
from postrider.doors.oauth.issuer import issuer_of
from postrider.doors.rest.credentials import FailureLimit, presented_key
from postrider.grants.queries import authenticate_token
from postrider.grants.tokens import PURPOSE, is_token
from postrider.kernel.context import Actor
from postrider.kernel.errors import Unauthenticated
from postrider.storage.leases import wall_ms_now

REMEMBERED_SECONDS: Final = 0.8
"""A revoked key must be refused within one second, in every process."""

_MOST_REMEMBERED: Final = 1_000
_ACTOR: Final = "postrider.actor"


class Authenticator:
    """Recognises API keys and the access tokens of connected apps, and slows down whoever guesses them.

    A good one is remembered for a moment: that is how soon a revocation takes effect.
    """

    def __init__(self, installation: Installation) -> None:
        self._database = installation.database
        self._settings = installation.settings
        self._clock = installation.clock
        self._pepper = installation.vault.derive("api-keys")
        self._token_key = installation.vault.derive(PURPOSE)
        self._failures = FailureLimit(monotonic)
        self._last_use = LastUse(installation.database, installation.clock)
        self._known: dict[tuple[bytes, str | None, str], tuple[float, Actor]] = {}

    async def actor(self, request: Request) -> Actor:
        """The actor behind the request's credential.

        Raises: Unauthenticated, LimitReached, InvalidInput, NotFound.
        """
        presented = presented_key(request.headers)
        workspace_id = request.headers.get("x-workspace-id")
        issuer = issuer_of(self._settings, request)
        # A token is good for one address of this server, where it may have several.
        resource = "" if issuer is None else issuer.resource
        # The keyed hash, not the key: memory holds no credential, and looking one up tells nothing by its timing.
        known_as = (hash_key(presented or "", self._pepper), workspace_id, resource)
        until, actor = self._known.get(known_as, (0.0, None))
        if actor is None or until < monotonic():
            actor = await self._look_up(request, presented, workspace_id, resource)
            self._remember(known_as, actor)
            await self._last_use.note(actor)
        return actor

    async def _look_up(self, request: Request, presented: str | None, workspace_id: str | None, resource: str) -> Actor:
        guesser = (request.client.host if request.client else "", read_lookup(presented or "") or "")
        try:
            if presented is None:
                raise _without_credential(can_sign_in=bool(resource))
            if is_token(presented, "access") and not request.headers.getlist("x-api-key"):
                token = presented
                return await self._database.read(
                    lambda session: authenticate_token(
                        session, self._token_key, token, resource, workspace_id, "mcp", wall_ms_now()
                    ),
                    short=True,
                )
            return await self._database.read(
                lambda session: authenticate_key(
                    session, self._pepper, presented, workspace_id, "mcp", self._clock.now()
                ),
                short=True,
            )
        except Unauthenticated:
            self._failures.check(guesser)
            self._failures.add(guesser)
            raise

    def _remember(self, known_as: tuple[bytes, str | None, str], actor: Actor) -> None:
        now = monotonic()
        if len(self._known) >= _MOST_REMEMBERED:
            self._known = {key: entry for key, entry in self._known.items() if entry[0] >= now}
        self._known[known_as] = (now + REMEMBERED_SECONDS, actor)


def _without_credential(can_sign_in: bool) -> Unauthenticated:
    sign_in = "Connect with this address alone, and your app lets you sign in. Or: " if can_sign_in else ""
    return Unauthenticated("The call came without a credential.", hint=sign_in + HOW_TO_SEND_A_KEY)


def with_actor(scope: Scope, actor: Actor) -> Scope:
    """The request with its actor. As ``user`` the transport binds each session to the credential that opened it."""
    principal = AccessToken(token="", client_id=actor.credential_id, scopes=[], subject=actor.workspace_id)
    return {**scope, "user": AuthenticatedUser(principal), _ACTOR: actor}


def actor_of(ctx: RequestContext) -> Actor:
    """The actor of the HTTP request that carried this message: in a session, that of this very POST."""
    return actor_in(ctx.request.scope if isinstance(ctx.request, Request) else {})


def actor_in(scope: Scope) -> Actor:
    """The actor of a request that ``with_actor`` made. Raises: Unauthenticated."""
    actor = scope.get(_ACTOR)
    if not isinstance(actor, Actor):
        raise Unauthenticated("This message came without a credential.")
    return actor
