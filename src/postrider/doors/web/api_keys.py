"""API keys: the list, making one, which shows it once, and taking one back."""

from datetime import timedelta
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from postrider.access.safety import safety_of
from postrider.doors.web.consent import AUTONOMY_WORDS, MOST_DAILY_SENDS, SCOPE_WORDS, read_limit
from postrider.doors.web.desk import Desk, Visitor, only_administrators, see_other
from postrider.doors.web.forms import Form
from postrider.kernel.errors import Conflict, InvalidInput
from postrider.kernel.ids import random_text
from postrider.kernel.zones import rfc3339_milliseconds

KEYS: Final = "/keys"
LIFETIMES: Final = {"30": "30 days", "90": "90 days", "365": "a year", "never": "no end"}
_MADE_BEFORE: Final = ("IDEMPOTENT_ANSWER_NOT_KEPT", "IDEMPOTENCY_KEY_REUSED")
"""Sent again, a form counts its key's end from another instant: to the dispatcher that is another call."""

_ONCE: Final = (
    "This form has made its key already, and a key is shown only once. If you did not see it, revoke it above and make "
    "another one."
)


class KeyPages:
    """For those who administer the workspace."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[BaseRoute]:
        """Its paths."""
        desk = self._desk
        return [
            Route(KEYS, desk.private(self.show)),
            Route(KEYS, desk.private(self.create), methods=["POST"]),
            Route(f"{KEYS}/{{id}}/revoke", desk.private(self.revoke), methods=["POST"]),
        ]

    async def show(self, request: Request, visitor: Visitor) -> Response:
        """The list and the form for another one."""
        only_administrators(visitor)
        return await self._page(visitor, done=request.query_params.get("done") == "yes")

    async def create(self, request: Request, visitor: Visitor) -> Response:
        """Makes a key and shows it. Sent again (as by loading the page again), the form makes no second one."""
        only_administrators(visitor)
        form = await self._desk.form(request, visitor.person)
        try:
            made = await self._desk.call(visitor, "create_api_key", self._asked(form), form.one("once"))
        except InvalidInput as error:
            return await self._page(visitor, form=form, problem=f"{error.message} {error.hint or ''}".rstrip())
        except Conflict as error:
            if error.error_code not in _MADE_BEFORE:
                raise
            return await self._page(visitor, problem=_ONCE, status=409)
        return await self._page(visitor, made=made)

    async def revoke(self, request: Request, visitor: Visitor) -> Response:
        """Takes one back, at once."""
        only_administrators(visitor)
        await self._desk.form(request, visitor.person)
        await self._desk.call(visitor, "revoke_api_key", {"id": request.path_params["id"]})
        return see_other(visitor.path(KEYS, done="yes"))

    def _asked(self, form: Form) -> dict[str, Any]:
        days, now = form.one("lifetime"), self._desk.installation.clock.now()
        if days not in LIFETIMES:
            raise InvalidInput("Choose how long the key is good for.", field="lifetime")
        asked: dict[str, Any] = {
            "name": form.one("name"),
            "scopes": list(form.every("scope")),
            "autonomy": form.one("autonomy"),
            "toolsets": list(form.every("toolset")) or None,
            "dailySends": read_limit(form.one("daily_sends"), "daily_sends"),
            "firstDaySends": read_limit(form.one("first_day_sends"), "first_day_sends"),
        }
        if days != "never":
            asked["expiresAt"] = rfc3339_milliseconds(now + timedelta(days=int(days)))
        if not asked["scopes"]:
            raise InvalidInput("Tick at least one thing that the key may do.", field="scope")
        return asked

    async def _page(
        self,
        visitor: Visitor,
        *,
        form: Form | None = None,
        problem: str | None = None,
        made: Any = None,
        done: bool = False,
        status: int = 400,
    ) -> Response:
        keys = (await self._desk.call(visitor, "list_api_keys", {})).items
        place = visitor.home
        safety = await self._desk.installation.database.read(lambda session: safety_of(session, place.id))
        catalogue = self._desk.installation.dispatcher.catalogue
        return self._desk.show(
            visitor,
            "keys.html",
            here=KEYS,
            status=200 if problem is None else status,
            working=[key for key in keys if key.status == "active"],
            ended=[key for key in keys if key.status != "active"],
            form=form,
            problem=problem,
            made=made,
            done=done,
            once=random_text(32),
            scope_words=SCOPE_WORDS,
            autonomies=AUTONOMY_WORDS,
            lifetimes=LIFETIMES,
            toolsets=sorted({operation.toolset for operation in catalogue}),
            first_day=safety.first_day_sends,
            most_daily_sends=MOST_DAILY_SENDS,
        )
