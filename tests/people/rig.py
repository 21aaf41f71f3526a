"""People at browsers, without a browser: clients with cookies that send the forms they were shown."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import unescape
from typing import Any, Final

import httpx
from sqlalchemy.orm import Session

from postrider.access.links import KEY, RESET_MS, SETUP_MS, Purpose, make_link
from postrider.access.passwords import hash_password
from postrider.access.people import find_person, set_password
from postrider.app import App
from postrider.doors.http import Binding, http_app
from postrider.kernel.secret import Secret

BASE: Final = "http://127.0.0.1:8025"
PASSWORD: Final = "purple tandem kettle"
HASH: Final = hash_password(Secret(PASSWORD))
_HIDDEN: Final = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')


@dataclass
class Person:
    """Somebody at a browser."""

    client: httpx.AsyncClient

    async def get(self, path: str, **more: Any) -> httpx.Response:
        """The page there."""
        return await self.client.get(path, **more)

    async def send(self, path: str, at: Any = None, form: Any = 0, **fields: Any) -> httpx.Response:
        """The answer to a form (by its number) of the page ``at``, else of ``path``, filled in with ``fields``."""
        shown = await self.client.get(at or path)
        hidden = hidden_fields(shown.text, form)
        return await self.client.post(path, data={**hidden, **fields})

    async def sign_in(self, email: str, password: str = PASSWORD, **more: Any) -> httpx.Response:
        """What the sign-in form answers."""
        return await self.send("/sign-in", email=email, password=password, **more)


def hidden_fields(html: str, form: int = 0) -> dict[str, str]:
    """The hidden fields of one form on a page, without the sign-out form in the bar."""
    forms = [part for part in re.findall(r"<form.*?</form>", html, re.DOTALL) if 'action="/sign-out"' not in part]
    return {name: unescape(value) for name, value in _HIDDEN.findall(forms[form])} if forms else {}


@asynccontextmanager
async def person_at(
    app: App, base: str = BASE, binding: Binding | None = None, client: tuple[str, int] = ("127.0.0.1", 50_000)
) -> AsyncIterator[Person]:
    """Somebody at a browser that has never been here."""
    transport = httpx.ASGITransport(http_app(app, binding), client=client)
    async with httpx.AsyncClient(transport=transport, base_url=base) as opened:
        yield Person(opened)


async def give_password(app: App, email: str) -> str:
    """Lets somebody sign in with PASSWORD; their id."""

    def write(session: Session) -> str:
        person = find_person(session, email)
        assert person is not None
        set_password(session, person.id, HASH)
        return person.id

    return await app.database.write(write)


async def link_token(app: App, purpose: Purpose, email: str | None = None, lifetime_ms: int | None = None) -> str:
    """The token of a fresh link."""

    def write(session: Session) -> str:
        person = find_person(session, email) if email is not None else None
        lasts = lifetime_ms if lifetime_ms is not None else SETUP_MS if purpose == "setup" else RESET_MS
        key = app.vault.derive(KEY)
        return make_link(session, key, purpose, None if person is None else person.id, lasts).reveal()

    return await app.database.write(write)


def cookies_of(response: httpx.Response) -> Mapping[str, str]:
    """The cookies that an answer sets, each with its attributes."""
    lines = response.headers.get_list("set-cookie")
    return {line.partition("=")[0]: line for line in lines}
