"""What an argument of a resource template or a prompt may go on with."""

from collections.abc import Sequence
from typing import Final, Literal

from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CompleteRequestParams,
    Completion,
    PromptReference,
    ResourceTemplateReference,
)

from postrider.catalogue import Catalogue
from postrider.dispatch.authority import check_authority
from postrider.doors.mcp.prompts import Argument, Recipe, served_recipes
from postrider.doors.mcp.resources import served_addresses
from postrider.doors.mcp.surface import Surface, callable_operation
from postrider.inbox.beginnings import ids_beginning
from postrider.kernel.context import Actor
from postrider.kernel.errors import Forbidden
from postrider.storage.database import Database

MOST: Final = 100
"""What the protocol allows in one answer."""

_MAX_TEXT: Final = 200
_KINDS: Final[dict[str, Literal["campaign", "conversation"]]] = {
    "get_campaign": "campaign",
    "get_campaign_analytics": "campaign",
    "get_campaign_performance": "campaign",
    "get_conversation": "conversation",
}
"""By the operation whose id is asked for. Listing them is what its credential must be allowed to do."""

Kind = Literal["campaign", "conversation"]
_LISTED_BY: Final[dict[Kind, str]] = {"campaign": "list_campaigns", "conversation": "list_conversations"}


class Completer:
    """Answers ``completion/complete`` with what the caller may see."""

    def __init__(self, database: Database, catalogue: Catalogue) -> None:
        self._database = database
        self._catalogue = catalogue

    async def complete(self, params: CompleteRequestParams, surface: Surface, actor: Actor) -> Completion:
        """Ids by the beginning of the id or of the name; words by their beginning. Raises: MCPError."""
        kind, words = _meant(params, surface, self._catalogue)
        text = params.argument.value.strip()
        if kind is None:
            fitting = [word for word in words if word.startswith(text.lower())]
            return Completion(values=fitting, total=len(fitting), has_more=False)
        if len(text) > _MAX_TEXT or not self._may_list(kind, surface, actor):
            return Completion(values=[], total=0, has_more=False)
        found = await self._database.read(lambda session: ids_beginning(session, actor.workspace_id, kind, text, MOST))
        return Completion(values=found.ids, total=found.total, has_more=found.total > len(found.ids))

    def _may_list(self, kind: Kind, surface: Surface, actor: Actor) -> bool:
        operation = callable_operation(surface, self._catalogue, _LISTED_BY[kind])
        if operation is None:
            return False
        try:
            check_authority(operation, actor)
        except Forbidden:
            return False
        return True


def _meant(
    params: CompleteRequestParams, surface: Surface, catalogue: Catalogue
) -> tuple[Kind | None, tuple[str, ...]]:
    """Ids of which kind, or which words, the argument takes. Raises: MCPError for one that does not exist."""
    ref, name = params.ref, params.argument.name
    if isinstance(ref, ResourceTemplateReference):
        served = served_addresses(surface, catalogue)
        address = next((each for each in served if each.template == ref.uri), None)
        if address is None or name not in address.variables:
            raise MCPError(INVALID_PARAMS, f"No resource template {ref.uri[:200]!r} takes {name[:60]!r}.")
        return (_KINDS.get(address.operation) if name == "id" else None), ()
    if isinstance(ref, PromptReference):
        argument = _argument(served_recipes(surface, catalogue), ref.name, name)
        return argument.ids_of, argument.words
    raise MCPError(INVALID_PARAMS, "Complete an argument of a prompt or of a resource template.")


def _argument(recipes: Sequence[Recipe], prompt: str, name: str) -> Argument:
    for each in recipes:
        if each.name == prompt:
            for argument in each.arguments:
                if argument.name == name:
                    return argument
    raise MCPError(INVALID_PARAMS, f"No prompt {prompt[:60]!r} takes {name[:60]!r}.")
