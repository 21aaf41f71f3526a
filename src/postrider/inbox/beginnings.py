"""Campaigns and conversations by how their id, or the name that people know them by, begins."""

from typing import Literal, NamedTuple

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from postrider.campaigns.tables import Campaign
from postrider.inbox.tables import Conversation
from postrider.leads.tables import Lead


class Beginnings(NamedTuple):
    """The ids, newest first, as many as were asked for; and how many there are."""

    ids: list[str]
    total: int


def ids_beginning(
    session: Session, workspace_id: str, kind: Literal["campaign", "conversation"], text: str, most: int
) -> Beginnings:
    """The ids of campaigns whose id or name begins with ``text``; of conversations, whose lead's name or address does.

    Upper and lower case are the same; an empty text is the beginning of all.
    """
    query = _campaigns(workspace_id, text) if kind == "campaign" else _conversations(workspace_id, text)
    total = session.scalar(select(func.count()).select_from(query.order_by(None).subquery())) or 0
    return Beginnings(list(session.scalars(query.limit(most))), total)


def _campaigns(workspace_id: str, text: str) -> Select[str]:
    begins = or_(
        Campaign.id.startswith(text.lower(), autoescape=True), Campaign.name.istartswith(text, autoescape=True)
    )
    of_workspace = select(Campaign.id).where(Campaign.workspace_id == workspace_id)
    return of_workspace.where(begins).order_by(Campaign.created_at.desc(), Campaign.id.desc())


def _conversations(workspace_id: str, text: str) -> Select[str]:
    begins = or_(
        Conversation.id.startswith(text.lower(), autoescape=True),
        Lead.email.istartswith(text, autoescape=True),
        Lead.first_name.istartswith(text, autoescape=True),
        Lead.last_name.istartswith(text, autoescape=True),
        Lead.company_name.istartswith(text, autoescape=True),
    )
    with_leads = select(Conversation.id).join(
        Lead, (Lead.workspace_id == Conversation.workspace_id) & (Lead.id == Conversation.lead_id)
    )
    return with_leads.where(Conversation.workspace_id == workspace_id, begins).order_by(
        Conversation.last_reply_at.desc(), Conversation.id.desc()
    )
