"""What clients carry for us from one call to the next is sealed: they can neither read nor change it, nor lend it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from mcp.server.context import ServerRequestContext
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity

if TYPE_CHECKING:
    # The domain is not wanted before the first list has gone out over stdio.
    from postrider.kernel.context import Actor

AUDIENCE: Final = "postrider"
SECONDS: Final = 600.0
"""As long as the confirm token inside can be used."""


def sealed_for_one() -> RequestStateBoundary:
    """For a process that serves one client, as long as it lives."""
    return RequestStateBoundary(RequestStateSecurity.ephemeral(ttl=SECONDS), default_audience=AUDIENCE)


def sealed_for_many(key: bytes, actor_of: Callable[[ServerRequestContext[Any, Any]], "Actor"]) -> RequestStateBoundary:
    """For every process with the installation's ``key``; what one caller was given opens for no other."""

    def principal(ctx: ServerRequestContext[Any, Any]) -> str:
        actor = actor_of(ctx)
        return " ".join((actor.workspace_id, actor.credential_id, actor.user_id))

    security = RequestStateSecurity(keys=[key], ttl=SECONDS, bind_principal=principal)
    return RequestStateBoundary(security, default_audience=AUDIENCE)
