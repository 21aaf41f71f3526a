"""The authorization endpoint: who asks for what is checked, a person decides, and the browser goes back to the app.

Until the app and its redirect address are known to belong together, nothing is redirected: a page says what is wrong.
"""

import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from postrider.access.people_rules import scopes_of
from postrider.doors.installation import Installation
from postrider.doors.mcp.surface import toolsets
from postrider.doors.oauth.answers import single
from postrider.doors.oauth.documents import Clients
from postrider.doors.oauth.issuer import AUTHORIZE, Issuer, issuer_of
from postrider.doors.rest.problems import status_of
from postrider.doors.web.consent import Choice, Consent, ConsentView, consent_page, error_page, read_consent
from postrider.doors.web.forms import Form, parse_form, read_form
from postrider.doors.web.sessions import Person, Sessions, check_csrf
from postrider.doors.web.throttle import Throttle, address_of
from postrider.grants.clients import Client
from postrider.grants.codes import Consented, Place, issue_code, places_of
from postrider.grants.rules import (
    BUNDLES,
    Reach,
    is_challenge,
    is_document,
    read_scope,
    redirect_matches,
    scope_words,
    with_answer,
)
from postrider.grants.tokens import PURPOSE
from postrider.kernel.errors import InvalidInput, NotFound, PostriderError
from postrider.kernel.keyed import keyed_digest
from postrider.storage.leases import wall_ms_now

SIGN_IN: Final = "/sign-in"
_SEEN: Final = "seen"
_SEEN_MS: Final = 600_000
_STALE: Final = "This has changed since it was shown, or was shown too long ago. Look again."
_LONGEST_QUERY: Final = 3_900
"""What is still kept over signing in."""

_LONGEST_STATE: Final = 2_000
_CALLS_PER_MINUTE: Final = 300


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that may be shown to a person: its app and redirect address belong together, all else is in order."""

    client: Client
    redirect_uri: str
    reach: Reach
    challenge: str
    state: str | None
    issuer: Issuer


class AuthorizeDoor:
    """Shows the consent page, and gives a code for what was said on it."""

    def __init__(self, installation: Installation, clients: Clients, sessions: Sessions) -> None:
        self._installation = installation
        self._clients = clients
        self._sessions = sessions
        self._key = installation.vault.derive(PURPOSE)
        self._seen_key = installation.vault.derive("oauth-consent")
        self._toolsets = toolsets(installation.dispatcher.catalogue)
        self._limit = Throttle(_CALLS_PER_MINUTE, 60)

    def routes(self) -> list[BaseRoute]:
        """One path. Both ways carry the request in the address."""
        return [Route(AUTHORIZE, self.show), Route(AUTHORIZE, self.decide, methods=["POST"])]

    async def show(self, request: Request) -> Response:
        """The consent page, or the way to it: signing in."""
        try:
            self._limit.take(address_of(request))
            person = await self._sessions.person_of(request)
            asked = await self._asked(request, person)
            if isinstance(asked, Response):
                return asked
            if person is None:
                return _sign_in(request)
            return await self._consent(request, person, asked)
        except PostriderError as error:
            return _page(error)

    async def decide(self, request: Request) -> Response:
        """Back to the app, with a code or with a no; or the page once more."""
        try:
            form = await read_form(request)
            person = await self._sessions.person_of(request)
            if person is None:
                return _sign_in(request)
            check_csrf(person, form)
            asked = await self._asked(request, person)
            return asked if isinstance(asked, Response) else await self._decided(request, person, asked, form)
        except PostriderError as error:
            return _page(error)
        except ClientDisconnect:
            return Response(status_code=400)

    async def _decided(self, request: Request, person: Person, asked: Asked, form: Form) -> Response:
        places = await self._places(person)
        view = self._view(request, person, asked, places)
        if not self._was_seen(form.one(_SEEN), person, asked):
            return consent_page(replace(view, problem=_STALE))
        try:
            consent = read_consent(form, view)
            if not consent.allowed:
                return _back(asked.redirect_uri, asked.issuer, asked.state, 303, error="access_denied")
            consented = _consented(person, asked, consent, places)
        except InvalidInput as error:
            return consent_page(replace(view, problem=error.message))
        code = await self._installation.database.write(
            lambda session: issue_code(session, self._key, consented, wall_ms_now())
        )
        return _back(asked.redirect_uri, asked.issuer, asked.state, 303, code=code.reveal())

    async def _consent(self, request: Request, person: Person, asked: Asked) -> Response:
        places = await self._places(person)
        if not places:
            raise NotFound("You belong to no workspace yet.", hint="Somebody who has one can let you in.")
        return consent_page(self._view(request, person, asked, places))

    async def _places(self, person: Person) -> Sequence[Place]:
        return await self._installation.database.read(lambda session: places_of(session, person.user_id))

    def _view(self, request: Request, person: Person, asked: Asked, places: Sequence[Place]) -> ConsentView:
        offered = frozenset[str]().union(*(scopes_of(place.role) for place in places)) & asked.reach.scopes
        limits = {place.first_day_sends for place in places}
        return ConsentView(
            person=person,
            client_name=asked.client.name,
            client_host=asked.client.host,
            redirect_uri=asked.redirect_uri,
            workspaces=[Choice(place.workspace_id, place.name) for place in places],
            scopes=[scope for scope in BUNDLES if scope in offered],
            toolsets=[name for name in self._toolsets if name in (asked.reach.toolsets or self._toolsets)],
            hidden={_SEEN: self._seal(person, asked, wall_ms_now() + _SEEN_MS)},
            action=f"{AUTHORIZE}?{_query(request)}",
            first_day_sends=limits.pop() if len(limits) == 1 else None,
        )

    def _seal(self, person: Person, asked: Asked, expires_ms: int) -> str:
        """Proves later what was shown, to whom and until when: each page has its own."""
        shown = [
            person.csrf,
            asked.client.id,
            asked.client.name,
            asked.redirect_uri,
            scope_words(asked.reach),
            asked.challenge,
            asked.state,
            asked.issuer.url,
            expires_ms,
        ]
        return f"{expires_ms}.{keyed_digest(self._seen_key, json.dumps(shown).encode()).hex()}"

    def _was_seen(self, seal: str, person: Person, asked: Asked) -> bool:
        stamp = seal.partition(".")[0]
        if not stamp.isascii() or not stamp.isdecimal() or len(stamp) > 15 or int(stamp) < wall_ms_now():
            return False
        return hmac.compare_digest(seal.encode(), self._seal(person, asked, int(stamp)).encode())

    async def _asked(self, request: Request, person: Person | None) -> Asked | Response:
        """The request, or what it is answered at once.

        Raises: PostriderError, where the app and its redirect address are not known to belong together.
        """
        issuer = issuer_of(self._installation.settings, request)
        if issuer is None:
            raise InvalidInput(
                "Apps can be connected over https only.",
                hint="Whoever runs the server sets POSTRIDER_PUBLIC_URL to its https address.",
            )
        query = parse_form(_query(request).encode("latin-1")[: _LONGEST_QUERY + 1])
        client_id, redirect_uri = single(query, "client_id"), single(query, "redirect_uri")
        if client_id is None or redirect_uri is None or len(_query(request)) > _LONGEST_QUERY:
            raise InvalidInput("The app did not say who it is, or where to go back to.", hint="Start again in the app.")
        if person is None and is_document(client_id):
            # Nothing is fetched for somebody whom we do not know.
            return _sign_in(request)
        client = await self._clients.find(client_id)
        if not redirect_matches(client.redirect_uris, redirect_uri):
            raise InvalidInput(
                "The app wants to go back to an address that it has not named before. You have not been sent there.",
                hint="Start again in the app. If this happens again, do not trust the link that brought you here.",
            )
        return self._checked(query, client, redirect_uri, issuer)

    def _checked(self, query: Form, client: Client, redirect_uri: str, issuer: Issuer) -> Asked | Response:
        """What is wrong from here on, the app is told."""
        state = (query.fields.get("state") or ("",))[0] or None
        try:
            if len(single(query, "state") or "") > _LONGEST_STATE:
                raise InvalidInput("The state is too long.")
            reach = self._reach(query, issuer)
            challenge = single(query, "code_challenge") or ""
            if single(query, "code_challenge_method") != "S256" or not is_challenge(challenge):
                raise InvalidInput("PKCE is required: a code_challenge with the code_challenge_method S256.")
        except InvalidInput as error:
            word = error.error_code.lower() if error.error_code in _ERRORS else "invalid_request"
            return _back(redirect_uri, issuer, state, 302, error=word, error_description=error.message)
        return Asked(client, redirect_uri, reach, challenge, state, issuer)

    def _reach(self, query: Form, issuer: Issuer) -> Reach:
        """What is asked for. Raises: InvalidInput."""
        if single(query, "response_type") != "code":
            raise InvalidInput("The response_type has to be code.", code="UNSUPPORTED_RESPONSE_TYPE")
        if single(query, "response_mode") not in (None, "query"):
            raise InvalidInput("The response_mode has to be query.")
        if single(query, "request") is not None or single(query, "request_uri") is not None:
            raise InvalidInput("Request objects are not taken.", code="REQUEST_NOT_SUPPORTED")
        if single(query, "resource") not in (None, issuer.resource):
            raise InvalidInput(f"The resource of this server is {issuer.resource}.", code="INVALID_TARGET")
        reach = read_scope(single(query, "scope") or "", self._toolsets)
        if reach is None:
            raise InvalidInput(f"The scopes are {', '.join(BUNDLES)}.", code="INVALID_SCOPE")
        return reach


_ERRORS: Final = ("UNSUPPORTED_RESPONSE_TYPE", "REQUEST_NOT_SUPPORTED", "INVALID_TARGET", "INVALID_SCOPE")


def _consented(person: Person, asked: Asked, consent: Consent, places: Sequence[Place]) -> Consented:
    """What the person said. Raises: InvalidInput where they may not say it."""
    place = next(place for place in places if place.workspace_id == consent.workspace_id)
    if not consent.scopes <= scopes_of(place.role):
        raise InvalidInput(f"Only an owner or admin of {place.name} can let an app administer it.", field="scope")
    return Consented(
        client_id=asked.client.id,
        client_name=asked.client.name,
        user_id=person.user_id,
        workspace_id=place.workspace_id,
        redirect_uri=asked.redirect_uri,
        challenge=asked.challenge,
        resource=asked.issuer.resource,
        reach=Reach(consent.scopes, consent.toolsets or asked.reach.toolsets),
        autonomy=consent.autonomy,
        daily_sends=consent.daily_sends,
    )


def _query(request: Request) -> str:
    return bytes(request.scope.get("query_string", b"")).decode("latin-1")


def _sign_in(request: Request) -> Response:
    place = quote(f"{AUTHORIZE}?{_query(request)}", safe="")
    return RedirectResponse(f"{SIGN_IN}?next={place}", 303)


def _back(redirect_uri: str, issuer: Issuer, state: str | None, status: int, **answer: str) -> Response:
    """To the app. Every answer says which server it is from. Source: RFC 9207 section 2."""
    known = answer | ({} if state is None else {"state": state}) | {"iss": issuer.url}
    return Response(status_code=status, headers={"Location": with_answer(redirect_uri, known)})


def _page(error: PostriderError) -> Response:
    response = error_page(status_of(error), "This app cannot be connected", error.message, error.hint)
    retry = error.details.get("retryAfterSeconds")
    if retry is not None:
        response.headers["Retry-After"] = str(retry)
    return response
