"""Which conversations a call acts on: named ones, or all that filters select."""

from typing import Annotated, Final

from pydantic import Field
from sqlalchemy import ColumnElement, func

from postrider.inbox.conversations import ConversationFilters, conversations_by_id, matching, with_people
from postrider.inbox.tables import Conversation
from postrider.kernel.context import Context
from postrider.kernel.errors import InvalidInput
from postrider.kernel.operation import Input

MAX_CHOSEN: Final = 500


class ConversationChoice(Input):
    """Which conversations. Give conversationIds, or selectAll with filters."""

    conversation_ids: Annotated[
        list[Annotated[str, Field(max_length=40)]], Field(max_length=MAX_CHOSEN, description="At most 500.")
    ] = []
    select_all: Annotated[bool, Field(description="All that filters select, except excludeIds.")] = False
    filters: Annotated[
        ConversationFilters | None, Field(description="Which ones; an empty or blank filter is refused.")
    ] = None
    exclude_ids: Annotated[list[Annotated[str, Field(max_length=40)]], Field(max_length=MAX_CHOSEN)] = []

    @property
    def takes_all(self) -> bool:
        return self.select_all

    @property
    def named(self) -> list[str]:
        """The ids that were given."""
        return self.conversation_ids


def chosen(
    ctx: Context, request: ConversationChoice, still: ColumnElement[bool] | None = None
) -> tuple[list[Conversation], int]:
    """The conversations, at most 500, and how many more there are.

    ``still``: of those that filters select, only the ones that the call would change, so that calling again gets on.
    Raises: InvalidInput without a clear choice, NotFound.
    """
    if request.select_all and not request.named:
        if request.filters is not None and not request.filters.chooses:
            raise InvalidInput(
                "filters is empty.",
                field="filters",
                hint="Leave filters out to take all open conversations, or give one of its fields a value.",
            )
        return _selected(ctx, request, still)
    if request.select_all or request.filters is not None or request.exclude_ids:
        raise InvalidInput(
            "filters and excludeIds go with selectAll: true, and selectAll goes without ids.",
            field="selectAll",
            hint="Give either ids, or selectAll with filters.",
        )
    if not request.named:
        raise InvalidInput(
            "No conversation is selected.",
            field="conversationIds",
            hint="Give conversationIds (see list_conversations), or selectAll: true with filters.",
        )
    return conversations_by_id(ctx, request.named, "conversationIds"), 0


def _selected(
    ctx: Context, request: ConversationChoice, still: ColumnElement[bool] | None
) -> tuple[list[Conversation], int]:
    condition = matching(ctx, request.filters or ConversationFilters())
    if still is not None:
        condition &= still
    if request.exclude_ids:
        condition &= Conversation.id.not_in(request.exclude_ids)
    total = ctx.session.execute(with_people(func.count()).where(condition)).scalar_one()
    query = with_people(Conversation).where(condition).order_by(Conversation.id).limit(MAX_CHOSEN)
    rows: list[Conversation] = list(ctx.session.scalars(query))
    return rows, total - len(rows)
