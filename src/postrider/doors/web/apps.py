"""Connected apps: which ones have been let in, when they were last here, and putting them out."""

from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from postrider.dispatch import Call
from postrider.doors.web.consent import APP_SCOPE_WORDS, AUTONOMY_WORDS
from postrider.doors.web.desk import Desk, Visitor, see_other
from postrider.grants.rules import is_document
from postrider.kernel.context import ALL_SCOPES
from postrider.kernel.errors import NotFound

APPS = "/apps"


class AppPages:
    """Who administers the workspace sees everybody's apps, anybody else their own."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[BaseRoute]:
        """Its paths."""
        desk = self._desk
        return [
            Route(APPS, desk.private(self.show)),
            Route(f"{APPS}/{{id}}/revoke", desk.private(self.revoke), methods=["POST"]),
        ]

    async def show(self, request: Request, visitor: Visitor) -> Response:
        """The list."""
        return self._desk.show(
            visitor,
            "apps.html",
            here=APPS,
            apps=await self._apps(visitor),
            is_document=is_document,
            scope_words=APP_SCOPE_WORDS,
            autonomies=AUTONOMY_WORDS,
            done=request.query_params.get("done") == "yes",
        )

    async def revoke(self, request: Request, visitor: Visitor) -> Response:
        """Ends one, at once, also from a page that was shown before the app asked for more."""
        await self._desk.form(request, visitor.person)
        wanted = request.path_params["id"]
        if wanted not in {grant_id for app in await self._apps(visitor) for grant_id in app.grant_ids}:
            raise NotFound("That app is not connected (any more).", hint="See the list of connected apps.")
        await self._call(visitor, "revoke_connected_app", {"id": wanted})
        return see_other(visitor.path(APPS, done="yes"))

    async def _apps(self, visitor: Visitor) -> list[Any]:
        whose = {} if visitor.administers else {"userId": visitor.person.user_id}
        items: list[Any] = (await self._call(visitor, "list_connected_apps", whose)).items
        return items

    async def _call(self, visitor: Visitor, operation: str, arguments: dict[str, str]) -> Any:
        # Everybody may look at, and take back, what they have given themselves: only such apps are let through here.
        actor = replace(await self._desk.actor(visitor), scopes=ALL_SCOPES)
        return (await self._desk.installation.dispatcher.call(Call(operation, arguments, actor))).output
