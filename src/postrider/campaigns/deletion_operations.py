"""Deleting leads, with their places in campaigns."""

from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import and_, delete, func, select
from sqlalchemy.orm import Session

from postrider.access.queries import lock_workspace
from postrider.campaigns.lead_operations import LeadFilters
from postrider.campaigns.removal import (
    MOST_AT_ONCE,
    NAMED,
    Ids,
    at_once,
    change_enrollments,
    empty_filters,
    held_enrollments,
    lock_campaigns,
    removed_values,
    restarts_of,
    restore_enrollments,
)
from postrider.campaigns.showing import leads_named
from postrider.campaigns.tables import Campaign, Enrollment
from postrider.kernel.arguments import digest_of
from postrider.kernel.context import Context
from postrider.kernel.errors import InvalidInput, NotFound
from postrider.kernel.ids import check_id
from postrider.kernel.operation import Effect, Input, Output, Rest, operation
from postrider.kernel.policy import Facts
from postrider.kernel.undoing import Undone, UndoRecord
from postrider.leads.queries import LeadFilter, count_leads, lead_conditions
from postrider.leads.tables import Lead, LeadTag
from postrider.storage.rows import CHUNK, packed, put_back, stored_columns


class DeleteLeads(Input):
    """Which leads: leadIds, or deleteAll with filters."""

    lead_ids: Annotated[Ids, Field(description="Leads (lead_…).")] = []
    delete_all: Annotated[bool, Field(description="All that filters select, except excludeIds.")] = False
    filters: LeadFilters | None = None
    exclude_ids: Annotated[Ids, Field(description="Leads to leave out, with deleteAll.")] = []
    force: Annotated[bool, Field(description="Also leads in active campaigns: they are removed from these.")] = False

    @property
    def takes_all(self) -> bool:
        return self.delete_all


class LeadsDeleted(Output):
    """``removedFromCampaigns``: places in campaigns that they lost. ``remaining``: selected leads beyond the 1,000 of
    one call; call again for them."""

    deleted: int
    removed_from_campaigns: int
    remaining: int


def lead_deletion_facts(ctx: Context, request: DeleteLeads) -> Facts | None:
    """How many are lost; None where nobody is. Raises: see ``_chosen`` and ``_check_unprotected``."""
    ids, remaining = ctx.once(_chosen, request)
    if not ids:
        return None
    _check_unprotected(ctx, request, ids)
    digest = digest_of([ids, remaining])
    forced = ", also those that active campaigns are writing to" if request.force else ""
    return Facts(
        summary=f"{at_once(len(ids), remaining, 'lead is', 'leads are')} deleted{forced}.",
        subject=ids[0] if len(ids) == 1 else ctx.workspace_id,
        revision=digest,
        cause="destroy",
        people=len(ids) + remaining,
        details=(f"Deleted: {leads_named(ctx.session, ctx.workspace_id, ids, len(ids) + remaining)}",),
    )


def undo_lead_deletion(ctx: Context, payload: dict[str, Any]) -> Undone:
    """Puts the leads back with their labels, and into the campaigns at the places they had."""
    back = put_back(ctx.session, Lead, payload["leads"], "id")
    put_back(ctx.session, LeadTag, [row for row in payload["tags"] if row["lead_id"] in back], "lead_id")
    places = [row for row in payload["enrollments"] if row["lead_id"] in back]
    _, kept = restore_enrollments(ctx, places, payload["at"], "removed")
    return Undone(len(back), kept | {"address_taken_since": len(payload["leads"]) - len(back)})


@operation(
    title="Delete leads",
    keywords="forget forgotten personal data gdpr dsgvo privacy database bad outdated duplicates mass",
    effect=Effect.DESTRUCTIVE,
    rest=Rest("DELETE", "/v1/leads"),
    toolset="leads",
    confirm=lead_deletion_facts,
    undo=undo_lead_deletion,
)
def delete_leads(ctx: Context, request: DeleteLeads) -> LeadsDeleted:
    """Delete leads of the workspace: named ones, or all that filters select; at most 1,000 in one call.

    Leads in active campaigns are protected: the call is refused as a whole and names the campaigns, unless force is
    true. Deleted leads are out of all campaigns and lists, and their conversations leave the inbox; what they were
    sent, and the do-not-contact list, are kept. undo_operation brings them back with their places in campaigns.
    """
    lock_workspace(ctx.session, ctx.workspace_id)
    ids, remaining = ctx.once(_chosen, request)
    if not ids:
        return LeadsDeleted(deleted=0, removed_from_campaigns=0, remaining=0)
    places = _places(ctx.session, ctx.workspace_id, ids)
    campaigns = lock_campaigns(ctx.session, ctx.workspace_id, {campaign_id for _, campaign_id in places})
    # None of them can be started from here on.
    _check_unprotected(ctx, request, ids)
    for campaign in campaigns.values():
        campaign.revision += 1
        campaign.updated_at = ctx.now
    enrollments = [enrollment_id for enrollment_id, _ in places]
    held = held_enrollments(ctx.session, ctx.workspace_id, enrollments)
    change_enrollments(ctx.session, ctx.workspace_id, enrollments, removed_values(), ctx.now)
    leads, tags = _take_out(ctx.session, ctx.workspace_id, ids)
    record: dict[str, Any] = {"leads": leads, "tags": tags, "enrollments": held, "at": ctx.now.isoformat()}
    record |= restarts_of(held)
    ctx.undoable(UndoRecord(record, f"{len(leads):,} leads come back.", len(leads)))
    ctx.wake("sender")
    return LeadsDeleted(deleted=len(leads), removed_from_campaigns=len(held), remaining=remaining)


def _chosen(ctx: Context, request: DeleteLeads) -> tuple[list[str], int]:
    """The leads of this call, and how many are left for another one.

    Raises: InvalidInput without a clear choice; NotFound.
    """
    if bool(request.lead_ids) == request.delete_all:
        raise InvalidInput(
            "Give either leadIds, or deleteAll: true with filters.", field="leadIds", hint="list_leads shows the ids."
        )
    if request.lead_ids and (request.filters is not None or request.exclude_ids):
        raise InvalidInput("filters and excludeIds go with deleteAll: true.", field="filters", hint="Leave them out.")
    return (_named_leads(ctx, request.lead_ids), 0) if request.lead_ids else _selected_leads(ctx, request)


def _named_leads(ctx: Context, given: list[str]) -> list[str]:
    wanted = sorted({check_id(each, "lead", "leadIds") for each in given})
    found = set[str]()
    for start in range(0, len(wanted), CHUNK):
        chunk = wanted[start : start + CHUNK]
        found.update(
            ctx.session.scalars(select(Lead.id).where(Lead.workspace_id == ctx.workspace_id, Lead.id.in_(chunk)))
        )
    absent = [each for each in wanted if each not in found]
    if absent:
        raise NotFound(
            f"There is no such lead: {', '.join(absent[:NAMED])}",
            hint="Nothing was deleted. See list_leads.",
            details={"absent": absent[:50]},
        )
    return wanted


def _selected_leads(ctx: Context, request: DeleteLeads) -> tuple[list[str], int]:
    filters = request.filters or LeadFilters()
    if request.filters is not None and not filters.chooses:
        raise empty_filters()
    wanted = LeadFilter(
        search=filters.search,
        tags=filters.tags,
        verification=filters.email_verification_status,
        country=filters.country,
        lead_ids=filters.lead_ids,
        exclude_ids=request.exclude_ids,
    )
    conditions = lead_conditions(ctx.workspace_id, wanted)
    query = select(Lead.id).where(*conditions).order_by(Lead.id).limit(MOST_AT_ONCE)
    ids = list(ctx.session.scalars(query))
    return ids, count_leads(ctx.session, conditions) - len(ids)


def _check_unprotected(ctx: Context, request: DeleteLeads, lead_ids: list[str]) -> None:
    """Raises: InvalidInput that names the active campaigns the leads are in, unless it is forced."""
    found = dict[str, int]()
    for start in range(0, 0 if request.force else len(lead_ids), CHUNK):
        query = (
            select(Campaign.id, func.count())
            .join(
                Enrollment,
                and_(Enrollment.workspace_id == Campaign.workspace_id, Enrollment.campaign_id == Campaign.id),
            )
            .where(
                Campaign.workspace_id == ctx.workspace_id,
                Campaign.status == "active",
                Enrollment.lead_id.in_(lead_ids[start : start + CHUNK]),
                Enrollment.status != "removed",
            )
        )
        for campaign_id, count in ctx.session.execute(query.group_by(Campaign.id)):
            found[campaign_id] = found.get(campaign_id, 0) + count
    if found:
        raise InvalidInput(
            f"Leads are in active campaigns: {', '.join(sorted(found)[:NAMED])}. Nothing was deleted.",
            code="LEADS_IN_ACTIVE_CAMPAIGNS",
            field="leadIds",
            hint="Leave them out, or give force: true to take them out of these campaigns as well.",
            details={"campaigns": [{"id": key, "leads": count} for key, count in sorted(found.items())][:50]},
        )


def _places(session: Session, workspace_id: str, lead_ids: list[str]) -> list[tuple[str, str]]:
    """The enrollments of leads, removed ones left out: their ids, and those of their campaigns."""
    found = list[tuple[str, str]]()
    for start in range(0, len(lead_ids), CHUNK):
        query = select(Enrollment.id, Enrollment.campaign_id).where(
            Enrollment.workspace_id == workspace_id,
            Enrollment.lead_id.in_(lead_ids[start : start + CHUNK]),
            Enrollment.status != "removed",
        )
        found += [(row[0], row[1]) for row in session.execute(query)]
    return sorted(found)


def _take_out(session: Session, workspace_id: str, ids: list[str]) -> tuple[list[Any], list[Any]]:
    """Deletes the rows of the leads and of their tags, and gives them back packed."""
    leads, tags = list[Any](), list[Any]()
    for start in range(0, len(ids), CHUNK):
        chunk = ids[start : start + CHUNK]
        for table, column, into in ((LeadTag, LeadTag.lead_id, tags), (Lead, Lead.id, leads)):
            theirs = (table.workspace_id == workspace_id, column.in_(chunk))
            rows = session.execute(select(*stored_columns(table)).where(*theirs))
            into += [packed(row._asdict()) for row in rows]
            session.execute(delete(table).where(*theirs))
    return leads, tags
