"""What a client is told that may not come in as it is: where to ask a person, and for what. Source: RFC 6750, RFC 9728.

A connected app without the scopes for what it calls, by its own name or through a run tool, is told so here, as a
status that makes clients ask for more.
"""

from contextlib import suppress
from typing import Final

from starlette.requests import Request

from postrider.dispatch import Call
from postrider.dispatch.authority import check_authority
from postrider.doors.installation import Installation
from postrider.doors.mcp.messages import ToolCall
from postrider.doors.mcp.running import RUN_TOOLS, target
from postrider.doors.mcp.surface import READONLY, Surface, callable_operation
from postrider.doors.oauth.issuer import issuer_of
from postrider.grants.rules import ASKED_BY_DEFAULT, scope_list
from postrider.kernel.context import Actor
from postrider.kernel.errors import Forbidden, InvalidInput
from postrider.kernel.operation import Effect, Operation
from postrider.kernel.policy import covered_scopes

_NAME: Final = "mcp-name"


class Challenges:
    """Words the WWW-Authenticate header for an installation."""

    def __init__(self, installation: Installation) -> None:
        self._settings = installation.settings
        self._dispatcher = installation.dispatcher

    def unauthenticated(self, request: Request, surface: Surface) -> str:
        """For a 401: the metadata of the endpoint, and what an app should ask for first."""
        scopes = ["read"] if surface is READONLY else ASKED_BY_DEFAULT
        presented = request.headers.get("authorization", "").lower().startswith("bearer ")
        error = 'error="invalid_token"' if presented else ""
        return self._words(request, surface, error, " ".join(scopes))

    async def step_up(
        self, request: Request, call: ToolCall | None, actor: Actor, surface: Surface
    ) -> tuple[Forbidden, str] | None:
        """For a 403: what the call needs, beside what the app has. None where nothing is missing.

        The scopes that it has are named too: an app that asks for the others alone would lose them.
        """
        if call is None or actor.kind != "oauth_grant":
            return None
        operation = self._operation(call, surface)
        # Headers that name something else are the transport's to refuse.
        if operation is None or request.headers.get(_NAME, call.name) != call.name:
            return None
        try:
            check_authority(operation, actor)
        except Forbidden as error:
            if error.details.keys().isdisjoint({"scope", "toolset"}):
                return None
            await self._note(operation, actor)
            toolsets = None if actor.toolsets is None else actor.toolsets | {operation.toolset}
            scopes = scope_list(actor.scopes | covered_scopes({operation.scope}), toolsets)
            return error, self._words(request, surface, 'error="insufficient_scope"', " ".join(scopes))
        return None

    def _operation(self, call: ToolCall, surface: Surface) -> Operation | None:
        """The operation that would run; None where the answer is that none does."""
        if not isinstance(call.name, str):
            return None
        if not surface.brief or call.name not in RUN_TOOLS.values():
            return callable_operation(surface, self._dispatcher.catalogue, call.name)
        named = call.arguments.get("operation") if isinstance(call.arguments, dict) else None
        with suppress(InvalidInput):
            return target(call.name, {"operation": named}, self._dispatcher.catalogue)[0]
        return None

    async def _note(self, operation: Operation, actor: Actor) -> None:
        """Has the refusal of a change written down: the dispatcher refuses as we did, before it looks at arguments."""
        if operation.effect is not Effect.READ:
            with suppress(Forbidden):
                await self._dispatcher.call(Call(operation.name, {}, actor))

    def _words(self, request: Request, surface: Surface, error: str, scope: str) -> str:
        issuer = issuer_of(self._settings, request)
        if issuer is None:
            return "Bearer"
        metadata = f'resource_metadata="{issuer.resource_metadata(surface.path)}"'
        return "Bearer " + ", ".join(part for part in (error, metadata, f'scope="{scope}"') if part)
