"""Finding conversations: one by its id, or those that filters select."""

from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias

from pydantic import Field
from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import Session

from postrider.campaigns.tables import Campaign
from postrider.inbox.rules import OPEN
from postrider.inbox.tables import Conversation
from postrider.kernel.context import Context
from postrider.kernel.errors import InvalidInput, NotFound
from postrider.kernel.ids import check_id
from postrider.kernel.operation import Selection
from postrider.leads.tables import Lead
from postrider.tags.queries import find_tag, tag_names

ConversationQuery: TypeAlias = "Select[*tuple[Any, ...]]"


class ConversationFilters(Selection):
    """Which conversations. Filters add up; one that is null counts as left out, none at all means all open ones."""

    unread: Annotated[bool | None, Field(description="true: with unread replies; false: all read.")] = None
    ai_tag: Annotated[str | None, Field(max_length=60, description="Only with this label (see list_tags).")] = None
    campaign_id: Annotated[str | None, Field(max_length=40, description="Only of this campaign.")] = None
    search: Annotated[str | None, Field(max_length=200, description="Part of the lead's email, name or company.")] = (
        None
    )


def find_conversation(ctx: Context, conversation_id: str, field: str = "id") -> Conversation:
    """The open conversation. Raises: NotFound, InvalidInput for an id of another kind."""
    row = ctx.session.get(Conversation, (ctx.workspace_id, check_id(conversation_id, "conv", field)))
    if row is None or row.status != OPEN:
        raise NotFound("Conversation not found", hint="See list_conversations.")
    return row


def tag_named(session: Session, workspace_id: str, name: str, field: str = "aiTag") -> str:
    """The label as it is written in this workspace. Raises: InvalidInput that lists all labels."""
    tag = find_tag(session, workspace_id, name)
    if tag is not None:
        return tag.name
    labels = tag_names(session, workspace_id)
    raise InvalidInput(
        f"There is no such label. Labels here: {', '.join(labels)}.",
        field=field,
        hint="Use one of them, or make a new one with create_tag.",
        details={"labels": labels},
    )


def matching(ctx: Context, filters: ConversationFilters) -> ColumnElement[bool]:
    """The condition for open conversations of the caller's workspace that ``filters`` select; needs Lead joined."""
    parts: list[ColumnElement[bool]] = [Conversation.workspace_id == ctx.workspace_id, Conversation.status == OPEN]
    if filters.unread is not None:
        parts.append(Conversation.unread_count > 0 if filters.unread else Conversation.unread_count == 0)
    if filters.ai_tag:
        parts.append(Conversation.ai_tag == tag_named(ctx.session, ctx.workspace_id, filters.ai_tag))
    if filters.campaign_id:
        parts.append(Conversation.campaign_id == check_id(filters.campaign_id, "camp", "campaignId"))
    if filters.search and filters.search.strip():
        parts.append(_mentions(filters.search.strip()))
    return and_(*parts)


def with_people(*columns: Any) -> ConversationQuery:
    """A selection from conversations with their leads and campaigns beside them."""
    query: ConversationQuery = select(*columns).select_from(Conversation)
    return query.join(
        Lead, and_(Lead.workspace_id == Conversation.workspace_id, Lead.id == Conversation.lead_id)
    ).outerjoin(
        Campaign, and_(Campaign.workspace_id == Conversation.workspace_id, Campaign.id == Conversation.campaign_id)
    )


def conversations_by_id(ctx: Context, ids: Sequence[str], field: str) -> list[Conversation]:
    """The open conversations, each once. Raises: NotFound that names those that are not there."""
    wanted = list(dict.fromkeys(check_id(each, "conv", field) for each in ids))
    rows = {
        row.id: row
        for row in ctx.session.scalars(
            select(Conversation).where(
                Conversation.workspace_id == ctx.workspace_id,
                Conversation.id.in_(wanted),
                Conversation.status == OPEN,
            )
        )
    }
    absent = [each for each in wanted if each not in rows]
    if absent:
        raise NotFound(
            f"Conversation not found: {', '.join(absent[:5])}",
            hint="Nothing was changed. See list_conversations.",
            details={"absent": absent[:50]},
        )
    return [rows[each] for each in wanted]


def _mentions(text: str) -> ColumnElement[bool]:
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    pattern = f"%{escaped}%"
    name = func.coalesce(Lead.first_name, "") + " " + func.coalesce(Lead.last_name, "")
    return or_(
        Lead.email.ilike(pattern, escape="\\"),
        name.ilike(pattern, escape="\\"),
        func.coalesce(Lead.company_name, "").ilike(pattern, escape="\\"),
    )
