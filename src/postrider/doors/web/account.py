"""The first page, and changing one's password."""

from typing import Final

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from postrider.access.people import set_password
from postrider.access.people_rules import LEAST_PASSWORD_CHARACTERS
from postrider.access.tables import User
from postrider.audit.personal import record_personal
from postrider.confirmations.approvals import approvals_of
from postrider.doors.web.beginnings import new_password
from postrider.doors.web.desk import Desk, Visitor, see_other
from postrider.doors.web.entrance import TRIES, WINDOW_SECONDS
from postrider.doors.web.throttle import Throttle
from postrider.kernel.errors import InvalidInput
from postrider.kernel.secret import Secret

_MOST_SHOWN: Final = 100


class AccountPages:
    """What belongs to the person who is signed in."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._database = desk.installation.database
        self._tries = Throttle(TRIES, WINDOW_SECONDS)

    def routes(self) -> list[BaseRoute]:
        """Its paths."""
        desk = self._desk
        return [
            Route("/", desk.private(self.home)),
            Route("/password", desk.private(self.ask)),
            Route("/password", desk.private(self.change), methods=["POST"]),
        ]

    async def home(self, request: Request, visitor: Visitor) -> Response:
        """Links to everything, and how many calls wait for an answer."""
        now, places = self._desk.installation.clock.now(), visitor.places

        def count(session: Session) -> int:
            return sum(len(approvals_of(session, each.id, now, waiting=True, most=_MOST_SHOWN)) for each in places)

        base = self._desk.installation.settings.public_url or f"{request.url.scheme}://{request.url.netloc}"
        waiting = await self._database.read(count)
        return self._desk.show(visitor, "home.html", here="/", waiting=waiting, address=f"{base}/mcp")

    async def ask(self, request: Request, visitor: Visitor) -> Response:
        """The form for a new password."""
        return self._form(visitor, done=request.query_params.get("done") == "yes")

    async def change(self, request: Request, visitor: Visitor) -> Response:
        """Sets a new password. Everybody who was signed in as this person is signed out, but for this browser."""
        form = await self._desk.form(request, visitor.person)
        user_id = visitor.person.user_id
        self._tries.take(user_id)
        stored = await self._database.read(lambda session: session.get_one(User, user_id).password_hash)
        if not await self._desk.passwords.fits(Secret(form.one("current")), stored):
            return self._form(visitor, InvalidInput("That is not your present password.", field="current"))
        self._tries.forgive(user_id)
        try:
            password = new_password(form, visitor.person.email)
        except InvalidInput as error:
            return self._form(visitor, error)
        hashed = await self._desk.passwords.hash(password)
        now = self._desk.installation.clock.now()

        def write(session: Session) -> None:
            set_password(session, user_id, hashed)
            record_personal(session, user_id, "change_password", "web", now)

        await self._database.write(write)
        response = see_other(visitor.path("/password", done="yes"))
        await self._desk.sessions.sign_in(request, response, user_id)
        return response

    def _form(self, visitor: Visitor, error: InvalidInput | None = None, *, done: bool = False) -> Response:
        return self._desk.show(
            visitor,
            "password.html",
            here="/password",
            status=200 if error is None else 400,
            error=error,
            done=done,
            least=LEAST_PASSWORD_CHARACTERS,
        )
