"""Reads of leads that operations share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, delete, func, or_, select
from sqlalchemy.orm import Session

from postrider.kernel.errors import NotFound
from postrider.kernel.ids import check_id
from postrider.leads.rules import VerificationStatus, lead_tag_key
from postrider.leads.tables import Lead, LeadTag
from postrider.leads.writing import add_tags

_MOST_WORDS: Final = 10


@dataclass(frozen=True, slots=True)
class LeadFilter:
    """Which leads. Every condition that is given must hold; of ``tags`` any one."""

    search: str | None = None
    tags: Sequence[str] = ()
    verification: VerificationStatus | None = None
    verified: bool | None = None
    country: str | None = None
    lead_ids: Sequence[str] | None = None
    exclude_ids: Sequence[str] = ()


def find_lead(session: Session, workspace_id: str, lead_id: str, *, to_change: bool = False) -> Lead:
    """The lead; ``to_change`` locks it against others. Raises: InvalidInput, NotFound."""
    check_id(lead_id, "lead", "id")
    lead = session.get(Lead, (workspace_id, lead_id), with_for_update=to_change or None)
    if lead is None:
        raise NotFound("There is no such lead.", hint="See list_leads.")
    return lead


def lead_conditions(workspace_id: str, wanted: LeadFilter) -> list[ColumnElement[bool]]:
    """The SQL conditions of a filter, the workspace first."""
    found: list[ColumnElement[bool]] = [Lead.workspace_id == workspace_id]
    found += search_conditions(wanted.search)
    if wanted.tags:
        keys = [lead_tag_key(tag) for tag in wanted.tags]
        tagged = select(LeadTag.lead_id).where(LeadTag.workspace_id == workspace_id, LeadTag.tag_key.in_(keys))
        found.append(Lead.id.in_(tagged))
    if wanted.verification is not None:
        found.append(Lead.email_verification_status == wanted.verification)
    if wanted.verified is not None:
        valid = Lead.email_verification_status == "valid"
        found.append(valid if wanted.verified else ~valid)
    if wanted.country is not None:
        found.append(func.lower(Lead.country) == func.lower(wanted.country.strip()))
    if wanted.lead_ids is not None:
        found.append(Lead.id.in_(wanted.lead_ids))
    if wanted.exclude_ids:
        found.append(Lead.id.not_in(wanted.exclude_ids))
    return found


def search_conditions(text: str | None) -> list[ColumnElement[bool]]:
    """Every word stands somewhere in address, name or company."""
    columns = (Lead.email, Lead.first_name, Lead.last_name, Lead.company_name)
    words = (text or "").split()[:_MOST_WORDS]
    return [or_(*(column.icontains(word, autoescape=True) for column in columns)) for word in words]


def count_leads(session: Session, conditions: Sequence[ColumnElement[bool]]) -> int:
    """How many leads fit."""
    return session.scalar(select(func.count()).select_from(Lead).where(*conditions)) or 0


def tags_of(session: Session, workspace_id: str, lead_ids: Sequence[str]) -> dict[str, list[str]]:
    """The tags of each lead by its id, in alphabetical order."""
    query = select(LeadTag.lead_id, LeadTag.tag).where(
        LeadTag.workspace_id == workspace_id, LeadTag.lead_id.in_(lead_ids)
    )
    found: dict[str, list[str]] = {lead_id: [] for lead_id in lead_ids}
    for lead_id, tag in session.execute(query.order_by(LeadTag.tag_key)):
        found[lead_id].append(tag)
    return found


def replace_tags(session: Session, workspace_id: str, lead_id: str, tags: Sequence[str]) -> None:
    """Gives the lead exactly these tags."""
    session.execute(delete(LeadTag).where(LeadTag.workspace_id == workspace_id, LeadTag.lead_id == lead_id))
    add_tags(session, workspace_id, {lead_id: tags})
