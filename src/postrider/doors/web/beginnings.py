"""Links that work once: the one that sets an installation up, and those that set a new password."""

import asyncio
from typing import Any, Final

import structlog
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from postrider.access.links import KEY, RESET_MS, Link, Purpose, find_link, make_link, use_link
from postrider.access.people import can_anybody_sign_in, find_person, first_owner, move_in, set_password
from postrider.access.people_rules import (
    LEAST_PASSWORD_CHARACTERS,
    LONGEST_NAME,
    check_email,
    check_new_password,
    check_person_name,
)
from postrider.access.ports import SystemMail
from postrider.access.tables import User
from postrider.audit.personal import record_personal
from postrider.doors.web.consent import error_page
from postrider.doors.web.desk import Desk, see_other
from postrider.doors.web.forms import Form, read_form
from postrider.doors.web.rendering import render
from postrider.doors.web.sessions import CSRF_FIELD, check_csrf
from postrider.doors.web.throttle import Throttle, address_of
from postrider.kernel.errors import InvalidInput, NotFound, PostriderError
from postrider.kernel.secret import Secret

SET_UP: Final = "/set-up"
RESET: Final = "/reset"
MAILS: Final = 3
MAILS_OF_ADDRESS: Final = 20
TRIES_OF_ADDRESS: Final = 60
_HOUR: Final = 3_600
_LONGEST_TOKEN: Final = 100
_SUBJECT: Final = "Set a new password for Postrider"
_TEXT: Final = """Somebody, you we hope, wants to set a new password for {email} at Postrider.

This link works once, within an hour:

{link}

If it was not you, do nothing: your password stays as it is.
"""
_log: Final = structlog.get_logger("postrider.people")


class Beginnings:
    """Setting up, and setting a password anew."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._database = desk.installation.database
        self._clock = desk.installation.clock
        self._public_url = desk.installation.settings.public_url
        self._key = desk.installation.vault.derive(KEY)
        self._mails = Throttle(MAILS, _HOUR)
        self._mails_of_address = Throttle(MAILS_OF_ADDRESS, _HOUR)
        self._tries = Throttle(TRIES_OF_ADDRESS, _HOUR)
        self._sending: set[asyncio.Task[None]] = set()

    def routes(self) -> list[BaseRoute]:
        """Its paths."""
        desk = self._desk
        return [
            Route(f"{SET_UP}/{{token}}", desk.public(self.show_set_up)),
            Route(f"{SET_UP}/{{token}}", desk.public(self.set_up), methods=["POST"]),
            Route(RESET, desk.public(self.ask)),
            Route(RESET, desk.public(self.send), methods=["POST"]),
            Route(f"{RESET}/{{token}}", desk.public(self.show_reset)),
            Route(f"{RESET}/{{token}}", desk.public(self.reset), methods=["POST"]),
        ]

    async def show_set_up(self, request: Request) -> Response:
        """The form of the first person."""
        await self._link(request, "setup")
        owner = await self._owner()
        return self._set_up_form(request, {"name": owner[0], "email": owner[1], "place": ""}, bool(owner[1]))

    async def set_up(self, request: Request) -> Response:
        """Makes the first person, who is signed in then; the link works no more."""
        token, _ = await self._link(request, "setup")
        form = await self._form(request)
        _, known = await self._owner()
        entered = {each: form.one(each) for each in ("name", "email", "place")}
        try:
            name, email = check_person_name(entered["name"]), check_email(entered["email"])
            place = "" if known else check_person_name(entered["place"], "place")
            password = new_password(form, email)
        except InvalidInput as error:
            return self._set_up_form(request, entered, bool(known), error)
        hashed, now = await self._desk.passwords.hash(password), self._clock.now()

        def write(session: Session) -> str:
            self._use(session, "setup", token)
            owner = first_owner(session)
            person = move_in(session, None if owner is None else owner.id, email, name, place, now)
            set_password(session, person.id, hashed)
            record_personal(session, person.id, "set_up", "web", now)
            return person.id

        response = see_other("/")
        await self._desk.sessions.sign_in(request, response, await self._database.write(write))
        return response

    async def ask(self, request: Request) -> Response:
        """The form for somebody who has forgotten their password; how else, where no mail can be sent."""
        if self._mail() is None:
            return render("forgotten.html", csrf=None, csrf_field=CSRF_FIELD)
        visit = self._desk.sessions.visit(request)
        response = render("forgotten.html", csrf=visit.csrf, csrf_field=CSRF_FIELD)
        self._desk.sessions.keep_visit(request, response, visit)
        return response

    async def send(self, request: Request) -> Response:
        """Says that a message is on its way, to whomever: whether the address is known is not told, nor by time."""
        form = await self._form(request)
        email = form.one("email").strip().lower()[:LONGEST_NAME]
        self._mails_of_address.take(address_of(request))
        self._mails.take(email)
        mail = self._mail()
        if mail is not None:
            task = asyncio.create_task(self._send(mail, email))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        return error_page(
            200,
            "Look into your mail",
            "If somebody here has that address, a message with a link is on its way. It works once, within an hour.",
            "Nothing there? Look among the junk, or ask whoever runs this server.",
        )

    async def show_reset(self, request: Request) -> Response:
        """The form for a new password."""
        _, link = await self._link(request, "reset")
        return self._reset_form(request, await self._email_of(link))

    async def reset(self, request: Request) -> Response:
        """Sets the password and signs in; every other session of the person ends, and the link works no more."""
        token, link = await self._link(request, "reset")
        form = await self._form(request)
        email = await self._email_of(link)
        try:
            password = new_password(form, email)
        except InvalidInput as error:
            return self._reset_form(request, email, error)
        hashed, now = await self._desk.passwords.hash(password), self._clock.now()

        def write(session: Session) -> str:
            user_id = self._use(session, "reset", token).user_id
            if user_id is None:
                raise _not_any_more()
            set_password(session, user_id, hashed)
            record_personal(session, user_id, "reset_password", "web", now)
            return user_id

        response = see_other("/")
        await self._desk.sessions.sign_in(request, response, await self._database.write(write))
        return response

    async def _send(self, mail: SystemMail, email: str) -> None:
        token = await self._database.write(lambda session: self._new_link(session, email))
        if token is None:
            return
        link = f"{self._public_url}{RESET}/{token.reveal()}"
        try:
            await mail.send(email, _SUBJECT, _TEXT.format(email=email, link=link))
        except PostriderError as error:
            _log.warning("reset_mail_not_sent", code=error.error_code)

    def _new_link(self, session: Session, email: str) -> Secret | None:
        person = find_person(session, email)
        return None if person is None else make_link(session, self._key, "reset", person.id, RESET_MS)

    def _find(self, session: Session, purpose: Purpose, token: str) -> Link | None:
        if purpose == "setup" and can_anybody_sign_in(session):
            return None
        return find_link(session, self._key, purpose, token)

    def _use(self, session: Session, purpose: Purpose, token: str) -> Link:
        link = self._find(session, purpose, token) and use_link(session, self._key, purpose, token)
        if link is None:
            raise _not_any_more()
        return link

    def _mail(self) -> SystemMail | None:
        mail: SystemMail | None = self._desk.installation.ports.get(SystemMail)  # type: ignore[assignment]  # by type
        return mail if self._public_url is not None else None

    async def _link(self, request: Request, purpose: Purpose) -> tuple[str, Link]:
        """The token in the path and its link. Raises: NotFound for one that does not work, LimitReached for guesses."""
        self._tries.take(address_of(request))
        token: str = request.path_params["token"]
        link = None
        if len(token) <= _LONGEST_TOKEN and token.isascii() and token.isalnum():
            link = await self._database.read(lambda session: self._find(session, purpose, token))
        if link is None:
            raise _not_any_more()
        return token, link

    async def _owner(self) -> tuple[str, str]:
        """Name and address of the owner that there is; empty where there is none."""

        def look(session: Session) -> tuple[str, str]:
            owner = first_owner(session)
            return ("", "") if owner is None else (owner.name, owner.email)

        return await self._database.read(look)

    async def _email_of(self, link: Link) -> str:
        def look(session: Session) -> str:
            person = session.get(User, link.user_id) if link.user_id is not None else None
            return "" if person is None else person.email

        return await self._database.read(look)

    async def _form(self, request: Request) -> Form:
        form = await read_form(request)
        check_csrf(self._desk.sessions.visit(request), form)
        return form

    def _set_up_form(
        self, request: Request, entered: dict[str, str], known: bool, error: InvalidInput | None = None
    ) -> Response:
        return self._show(request, "set_up.html", error, entered=entered, known=known)

    def _reset_form(self, request: Request, email: str, error: InvalidInput | None = None) -> Response:
        return self._show(request, "reset.html", error, email=email)

    def _show(self, request: Request, template: str, error: InvalidInput | None, **values: Any) -> Response:
        visit = self._desk.sessions.visit(request)
        response = render(
            template,
            status=200 if error is None else 400,
            csrf=visit.csrf,
            csrf_field=CSRF_FIELD,
            error=error,
            least=LEAST_PASSWORD_CHARACTERS,
            **values,
        )
        self._desk.sessions.keep_visit(request, response, visit)
        return response


def new_password(form: Form, email: str) -> Secret:
    """The password that was entered twice. Raises: InvalidInput."""
    password = check_new_password(form.one("password"), email)
    if password != form.one("again"):
        raise InvalidInput("The two passwords differ.", field="again", hint="Enter the same one twice.")
    return Secret(password)


def _not_any_more() -> NotFound:
    return NotFound(
        "This link does not work, or does not any more.",
        hint="Each works once and only for a while. postrider serve prints a new one while nobody can sign in; "
        "postrider people reset-link makes one for a new password.",
    )
