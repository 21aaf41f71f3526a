"""Signing in and out: with a password, or through the provider in the settings."""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from postrider.access.people import can_anybody_sign_in, find_person, person_at_provider
from postrider.access.people_rules import LONGEST_NAME
from postrider.access.ports import Identity, IdentityProvider, Journey, SystemMail
from postrider.doors.web.consent import error_page
from postrider.doors.web.desk import SIGN_IN, Desk, see_other
from postrider.doors.web.destinations import leads_to_an_app, safe_next
from postrider.doors.web.forms import read_form
from postrider.doors.web.rendering import render
from postrider.doors.web.sessions import CSRF_FIELD, Visit, check_csrf
from postrider.doors.web.throttle import Throttle, address_of
from postrider.kernel.errors import Forbidden, NotFound
from postrider.kernel.ids import random_text
from postrider.kernel.keyed import keyed_digest
from postrider.kernel.secret import Secret
from postrider.storage.leases import wall_ms_now

RETURN: Final = f"{SIGN_IN}/provider/return"
TRIES: Final = 10
TRIES_OF_ADDRESS: Final = 100
WINDOW_SECONDS: Final = 900
_JOURNEY_MS: Final = 600_000
_LONGEST_ANSWER: Final = 8_000
_APP_TARGETS: Final = ("https:", "http://127.0.0.1:*", "http://localhost:*")
"""Signing in on the way to an app may end there, in one chain of redirects that browsers hold to the form's page."""


class Entrance:
    """The sign-in page and what it leads to."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._database = desk.installation.database
        self._public_url = desk.installation.settings.public_url
        self._journeys = desk.installation.vault.derive("oidc-journeys")
        self._tries = Throttle(TRIES, WINDOW_SECONDS)
        self._tries_of_address = Throttle(TRIES_OF_ADDRESS, WINDOW_SECONDS)

    def routes(self) -> list[BaseRoute]:
        """Its paths."""
        desk = self._desk
        return [
            Route(SIGN_IN, desk.public(self.ask)),
            Route(SIGN_IN, desk.public(self.sign_in), methods=["POST"]),
            Route("/sign-out", desk.public(self.sign_out), methods=["POST"]),
            Route(f"{SIGN_IN}/provider", desk.public(self.leave)),
            Route(RETURN, desk.public(self.come_back)),
        ]

    async def ask(self, request: Request) -> Response:
        """The page with the form; straight on for somebody who is signed in."""
        wanted = safe_next(request.query_params.get("next", ""))
        if await self._desk.sessions.person_of(request) is not None:
            return see_other(wanted)
        if not await self._database.read(can_anybody_sign_in) and self._provider() is None:
            return error_page(
                200,
                "Nobody can sign in yet",
                "The first person is let in by a link that works once.",
                "Whoever started this server finds it in the output of postrider serve. "
                "A new one is made at every start.",
            )
        return self._form(request, wanted)

    async def sign_in(self, request: Request) -> Response:
        """Signs in with address and password. Which of the two was wrong is not told, nor does the time tell it."""
        form = await read_form(request)
        visit = self._desk.sessions.visit(request)
        check_csrf(visit, form)
        wanted, email = safe_next(form.one("next")), form.one("email").strip().lower()[:LONGEST_NAME]
        address = address_of(request)
        self._tries_of_address.take(address)
        self._tries.take(address, email)
        found = await self._database.read(lambda session: _way_in(session, email))
        fits = await self._desk.passwords.fits(Secret(form.one("password")), found[1] if found else None)
        if found is None or not fits:
            problem = "That address and password do not belong together."
            return self._form(request, wanted, email=email, problem=problem, status=401)
        self._tries.forgive(address, email)
        response = see_other(wanted)
        await self._desk.sessions.sign_in(request, response, found[0])
        return response

    async def sign_out(self, request: Request) -> Response:
        """Ends the session."""
        person = await self._desk.sessions.person_of(request)
        response = see_other(SIGN_IN)
        if person is not None:
            await self._desk.form(request, person)
            await self._desk.sessions.sign_out(request, response)
        return response

    async def leave(self, request: Request) -> Response:
        """Sends the browser to the provider. What comes back has to come back to this very browser."""
        provider = self._needed_provider()
        self._tries_of_address.take(address_of(request))
        visit = self._desk.sessions.visit(request)
        state = self._new_state(visit, safe_next(request.query_params.get("next", "")))
        response = see_other(await provider.way_there(self._journey(request, visit, state)))
        self._desk.sessions.keep_visit(request, response, visit)
        return response

    async def come_back(self, request: Request) -> Response:
        """Signs in whom the provider has seen, if that is somebody we know."""
        provider, query = self._needed_provider(), request.query_params
        self._tries_of_address.take(address_of(request))
        visit, state = self._desk.sessions.visit(request), query.get("state", "")[:_LONGEST_ANSWER]
        wanted = self._checked_state(visit, state)
        code = query.get("code", "")
        if not code or len(code) > _LONGEST_ANSWER:
            raise Forbidden("The provider did not sign you in.", hint="Begin again at the sign-in page.")
        identity = await provider.identity(self._journey(request, visit, state), code, query.get("iss"))
        user_id = await self._database.write(lambda session: _known_at(session, identity))
        if user_id is None:
            raise Forbidden(
                "You have signed in there, but nobody here has an address that it has verified as yours.",
                hint="Ask whoever runs this server to add you with that address: postrider people add",
            )
        response = see_other(wanted)
        await self._desk.sessions.sign_in(request, response, user_id)
        return response

    def _form(
        self, request: Request, wanted: str, *, email: str = "", problem: str | None = None, status: int = 200
    ) -> Response:
        provider, visit = self._provider(), self._desk.sessions.visit(request)
        response = render(
            "sign_in.html",
            status=status,
            targets=_APP_TARGETS if leads_to_an_app(wanted) else (),
            csrf_field=CSRF_FIELD,
            csrf=visit.csrf,
            wanted=wanted,
            email=email,
            problem=problem,
            provider=None if provider is None else provider.name,
            by_mail=SystemMail in self._desk.installation.ports and self._public_url is not None,
        )
        self._desk.sessions.keep_visit(request, response, visit)
        return response

    def _provider(self) -> IdentityProvider | None:
        found = self._desk.installation.ports.get(IdentityProvider)
        return found if found is None else _as_provider(found)

    def _needed_provider(self) -> IdentityProvider:
        provider = self._provider()
        if provider is None:
            raise NotFound("No other way to sign in is set up here.", hint="Sign in with a password.")
        return provider

    def _new_state(self, visit: Visit, wanted: str) -> str:
        head = f"{random_text(26)}.{wall_ms_now() + _JOURNEY_MS}.{urlsafe_b64encode(wanted.encode()).decode()}"
        return f"{head}.{self._derived('state', visit, head)}"

    def _checked_state(self, visit: Visit, state: str) -> str:
        """Where the person wanted to go. Raises: Forbidden when this browser did not set out with that state."""
        head, _, mac = state.rpartition(".")
        _, expires_ms, wanted = (*head.split("."), "", "", "")[:3]
        good = hmac.compare_digest(mac.encode(), self._derived("state", visit, head).encode())
        if not good or int(expires_ms) <= wall_ms_now():
            raise Forbidden(
                "This answer of the provider is not for this browser, or it is too old.",
                code="STATE_NOT_YOURS",
                hint="Begin again at the sign-in page.",
            )
        return safe_next(urlsafe_b64decode(wanted).decode())

    def _journey(self, request: Request, visit: Visit, state: str) -> Journey:
        base = self._public_url or f"{request.url.scheme}://{request.url.netloc}"
        nonce, verifier = self._derived("nonce", visit, state), self._derived("verifier", visit, state)
        return Journey(state, nonce, Secret(verifier), f"{base}{RETURN}")

    def _derived(self, purpose: str, visit: Visit, state: str) -> str:
        return keyed_digest(self._journeys, "\0".join((purpose, visit.token, state)).encode()).hex()


def _as_provider(found: object) -> IdentityProvider:
    provider: IdentityProvider = found  # type: ignore[assignment]  # keyed by its own type in app.py
    return provider


def _way_in(session: Session, email: str) -> tuple[str, str | None] | None:
    person = find_person(session, email)
    return None if person is None else (person.id, person.password_hash)


def _known_at(session: Session, identity: Identity) -> str | None:
    person = person_at_provider(session, identity.issuer, identity.subject, identity.verified_email)
    return None if person is None else person.id
