"""Who is signed in: the cookie of a browser, and the token that every form of theirs carries."""

import hmac
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from postrider.access.sessions import LONGEST_MS, SignedIn, begin_session, end_session, find_session, renew_session
from postrider.doors.installation import Installation
from postrider.doors.web.forms import Form
from postrider.kernel.errors import Forbidden
from postrider.kernel.ids import random_text
from postrider.kernel.keyed import keyed_digest
from postrider.storage.leases import wall_ms_now

CSRF_FIELD: Final = "csrf"
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_SESSION: Final = "postrider-session"
_VISIT: Final = "postrider-visit"
_VISIT_SECONDS: Final = 3_600
_LONGEST_COOKIE: Final = 100


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is signed in. ``csrf``: what the forms shown to them carry, bound to this very session."""

    user_id: str
    email: str
    name: str
    csrf: str


@dataclass(frozen=True, slots=True)
class Visit:
    """A browser before its person has signed in. ``csrf``: what the forms shown to it carry."""

    token: str
    csrf: str


def check_csrf(who: Person | Visit, form: Form) -> None:
    """Returns when the form was shown to ``who``. Raises: Forbidden."""
    if not hmac.compare_digest(form.one(CSRF_FIELD).encode(), who.csrf.encode()):
        raise Forbidden(
            "This form is not the one that was shown to you, or it is too old.",
            code="FORM_NOT_YOURS",
            hint="Open the page again, and send its form from there.",
        )


def is_local(request: Request) -> bool:
    """Whether the client, as far as proxies that are believed tell, is on this machine."""
    try:
        address = ip_address(request.client.host if request.client else "")
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


class Sessions:
    """Recognises browsers. Sessions are held as rows; a cookie holds 260 random bits and nothing else."""

    def __init__(self, installation: Installation) -> None:
        self._database = installation.database
        self._settings = installation.settings
        self._key = installation.vault.derive("web-sessions")
        self._csrf_key = installation.vault.derive("web-csrf")

    async def person_of(self, request: Request) -> Person | None:
        """Who is signed in at the browser that sent ``request``."""
        token, now_ms = self._cookie(request, _SESSION), wall_ms_now()
        if token is None:
            return None
        found = await self._database.read(lambda session: find_session(session, self._key, token, now_ms))
        if found is None:
            return None
        if found.stale:
            await self._database.write(lambda session: renew_session(session, found.digest, now_ms))
        return self._person(found)

    async def sign_in(self, request: Request, response: Response, user_id: str) -> None:
        """Begins a fresh session for the browser, with its cookie on ``response``; the one it had before ends."""
        old, now_ms = self._cookie(request, _SESSION), wall_ms_now()
        if old is not None:
            await self._database.write(lambda session: end_session(session, self._key, old))
        token = await self._database.write(lambda session: begin_session(session, self._key, user_id, now_ms))
        self._set(request, response, _SESSION, token.reveal(), LONGEST_MS // 1000)
        self._set(request, response, _VISIT, "", 0)

    async def sign_out(self, request: Request, response: Response) -> None:
        """Ends the browser's session, here and in its cookies."""
        token = self._cookie(request, _SESSION)
        if token is not None:
            await self._database.write(lambda session: end_session(session, self._key, token))
        self._set(request, response, _SESSION, "", 0)

    def visit(self, request: Request) -> Visit:
        """The browser that sent ``request``, for forms before signing in; a new one when it has no cookie yet."""
        token = self._cookie(request, _VISIT) or random_text(32)
        return Visit(token, keyed_digest(self._csrf_key, f"visit\0{token}".encode()).hex())

    def keep_visit(self, request: Request, response: Response, visit: Visit) -> None:
        """Puts the visit's cookie on ``response``."""
        self._set(request, response, _VISIT, visit.token, _VISIT_SECONDS)

    def is_secure(self, request: Request) -> bool:
        """Whether the browser spoke https, to us or to a proxy in front of us.

        A proxy that the settings name says so. Of one that they do not name, the name that was called is all there is.
        """
        if request.url.scheme == "https" or self._settings.trusted_proxies is not None:
            return request.url.scheme == "https"
        public = urlsplit(self._settings.public_url or "")
        return public.scheme == "https" and request.headers.get("host", "").lower() == public.netloc.lower()

    def is_safe(self, request: Request) -> bool:
        """Whether a password or a cookie may travel this way: by https, or without leaving the machine."""
        if request.url.scheme == "https":
            return True
        # A proxy on this machine that the settings do not name looks like a local client, so the host counts as well.
        return is_local(request) and (self.is_secure(request) or (request.url.hostname or "") in _LOOPBACK)

    def _person(self, found: SignedIn) -> Person:
        csrf = keyed_digest(self._csrf_key, b"session\0" + found.digest).hex()
        return Person(found.user_id, found.email, found.name, csrf)

    def _cookie(self, request: Request, name: str) -> str | None:
        value = request.cookies.get(self._full_name(request, name), "")
        return value if value.isascii() and value.isalnum() and len(value) <= _LONGEST_COOKIE else None

    def _set(self, request: Request, response: Response, name: str, value: str, seconds: int) -> None:
        response.set_cookie(
            self._full_name(request, name),
            value,
            max_age=seconds,
            path="/",
            secure=self.is_secure(request),
            httponly=True,
            samesite="lax",
        )

    def _full_name(self, request: Request, name: str) -> str:
        # A browser takes a __Host- cookie over https only, and from this very host only.
        return f"__Host-{name}" if self.is_secure(request) else name
