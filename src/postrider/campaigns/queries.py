"""Reads of campaigns, and of what they depend on, that operations share."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, column, func, or_, select, table
from sqlalchemy.orm import Session

from postrider.access.house import house_of
from postrider.access.tables import Workspace
from postrider.campaigns.checking import MailboxFacts
from postrider.campaigns.documents import SettingsInput, Subsequence
from postrider.campaigns.following import STILL_FOLLOWING, open_changes
from postrider.campaigns.launch import (
    Problem,
    Surroundings,
    content_problems,
    mailbox_problems,
    unsupported,
    warnings_for,
)
from postrider.campaigns.output import CampaignOut, CampaignStats, LeadCounts, campaign_out, delivered
from postrider.campaigns.sequence import email_steps, read_steps
from postrider.campaigns.tables import Campaign, DailyCount, Enrollment
from postrider.kernel.context import Context
from postrider.kernel.errors import InvalidInput, NotFound
from postrider.kernel.ids import check_id
from postrider.kernel.page import PageInput, read_cursor, write_cursor
from postrider.mailboxes.tables import Mailbox
from postrider.storage.paging import cursor_instant

# Agents are a feature above this one: its row is looked up by the names of two columns, which a test holds against it.
AGENTS: Final = table("agents", column("workspace_id"), column("id"))

ENDED: Final = frozenset({"completed", "archived"})
"""Campaign states in which warnings about sending would be noise."""

_CURSOR: Final = "campaigns"


def find_campaign(ctx: Context, campaign_id: str, *, lock: bool = False) -> Campaign:
    """The campaign. ``lock``: until this transaction ends nobody else changes it (PostgreSQL; SQLite has one writer),
    and second markers being written are waited for.

    Raises: NotFound, InvalidInput for an id of another kind.
    """
    query = select(Campaign).where(
        Campaign.workspace_id == ctx.workspace_id, Campaign.id == check_id(campaign_id, "camp", "id")
    )
    row = ctx.session.scalar(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound("Campaign not found", hint="See list_campaigns.")
    return row


def mailbox_facts(session: Session, workspace_id: str, mailbox_ids: Sequence[str] | None = None) -> list[MailboxFacts]:
    """The workspace's mailboxes, oldest first; only those of ``mailbox_ids`` where given."""
    query = select(Mailbox).where(Mailbox.workspace_id == workspace_id).order_by(Mailbox.created_at, Mailbox.id)
    if mailbox_ids is not None:
        query = query.where(Mailbox.id.in_(mailbox_ids))
    return [
        MailboxFacts(row.id, row.email, row.provider, row.tags, row.display_name, row.signature, _problem(row))
        for row in session.scalars(query)
    ]


def _problem(row: Mailbox) -> str | None:
    if row.status != "active":
        return f"its state is {row.status}"
    return None if row.sending_enabled else "sending is turned off"


def surroundings_of(ctx: Context, row: Campaign) -> Surroundings:
    """What the campaign depends on beside its own documents."""
    workspace = ctx.session.get_one(Workspace, ctx.workspace_id)
    house = house_of(ctx.session, ctx.workspace_id)
    return Surroundings(
        tracks=ctx.settings.tracks,
        has_legal_lines=bool(house.legal_lines),
        unsubscribe_headers=house.unsubscribe_headers,
        workspace_paused=workspace.paused_at is not None,
        mailboxes=mailbox_facts(ctx.session, ctx.workspace_id, row.mailbox_ids),
    )


def document_problems(row: Campaign) -> list[Problem]:
    """What in the campaign's own documents keeps it from running."""
    return [
        *content_problems(email_steps(read_steps(row.sequence))),
        *([] if row.mailbox_ids else mailbox_problems(row.mailbox_ids, [])),
        *unsupported_parts(row),
    ]


def unsupported_parts(row: Campaign) -> list[Problem]:
    """Everything in the campaign that is stored but not done yet."""
    subsequences = [Subsequence.model_validate(document) for document in row.subsequences]
    return unsupported(SettingsInput.model_validate(row.settings), subsequences)


def campaign_warnings(ctx: Context, row: Campaign) -> list[str]:
    """What keeps the campaign from starting, or makes it send less than expected, as far as its documents and what it
    depends on tell."""
    found = [STILL_FOLLOWING] if open_changes(ctx.session, row) else []
    if row.status not in ENDED:
        found += [f"start_campaign will refuse: {problem.message}." for problem in unsupported_parts(row)]
        settings = SettingsInput.model_validate(row.settings)
        found += warnings_for(settings, row.mailbox_ids, {}, surroundings_of(ctx, row))
    return found


def show_campaign(ctx: Context, row: Campaign, warnings: Sequence[str] = ()) -> CampaignOut:
    """The campaign with its counts and warnings, ``warnings`` first."""
    found = [*warnings, *campaign_warnings(ctx, row)]
    stats = campaign_stats(ctx.session, ctx.workspace_id, [row.id])
    leads = lead_counts(ctx.session, ctx.workspace_id, [row.id])
    return campaign_out(row, stats[row.id], leads[row.id], found)


def check_agent(ctx: Context, agent_id: str | None) -> None:
    """Accepts no agent, or one of this workspace. Raises: InvalidInput with the code AGENT_NOT_FOUND."""
    if agent_id is None:
        return
    query = select(AGENTS.c.id).where(AGENTS.c.workspace_id == ctx.workspace_id, AGENTS.c.id == agent_id)
    if ctx.session.execute(query).scalar() is None:
        raise InvalidInput(
            "settings.aiAgentId is not an agent of this workspace.",
            code="AGENT_NOT_FOUND",
            field="settings.aiAgentId",
            hint="See list_agents, or leave it out.",
        )


def campaign_stats(session: Session, workspace_id: str, campaign_ids: Sequence[str]) -> dict[str, CampaignStats]:
    """What came of each campaign's emails, in one statement."""
    query = (
        select(DailyCount.campaign_id, DailyCount.kind, func.sum(DailyCount.count))
        .where(DailyCount.workspace_id == workspace_id, DailyCount.campaign_id.in_(campaign_ids))
        .group_by(DailyCount.campaign_id, DailyCount.kind)
    )
    counts: dict[str, dict[str, int]] = {campaign_id: {} for campaign_id in campaign_ids}
    for campaign_id, kind, count in session.execute(query):
        counts[campaign_id][kind] = int(count)
    return {campaign_id: _stats(found) for campaign_id, found in counts.items()}


def _stats(counts: dict[str, int]) -> CampaignStats:
    sent = counts.get("sent", 0)
    return CampaignStats(
        sent=sent,
        delivered=delivered(sent, counts.get("returned", 0)),
        opened=counts.get("opened", 0),
        clicked=counts.get("clicked", 0),
        replied=counts.get("replied", 0),
        bounced=counts.get("bounced", 0),
        unsubscribed=counts.get("unsubscribed", 0),
    )


def lead_counts(session: Session, workspace_id: str, campaign_ids: Sequence[str]) -> dict[str, LeadCounts]:
    """How many leads each campaign has, in one statement; removed ones do not count."""
    query = (
        select(Enrollment.campaign_id, Enrollment.status, func.count())
        .where(Enrollment.workspace_id == workspace_id, Enrollment.campaign_id.in_(campaign_ids))
        .group_by(Enrollment.campaign_id, Enrollment.status)
    )
    counts: dict[str, dict[str, int]] = {campaign_id: {} for campaign_id in campaign_ids}
    for campaign_id, status, count in session.execute(query):
        counts[campaign_id][status] = count
    return {
        campaign_id: LeadCounts(total=sum(found.values()) - found.get("removed", 0), active=found.get("active", 0))
        for campaign_id, found in counts.items()
    }


def has_leads(session: Session, workspace_id: str, campaign_id: str) -> bool:
    """Whether anybody is in the campaign."""
    query = select(Enrollment.id).where(
        Enrollment.workspace_id == workspace_id, Enrollment.campaign_id == campaign_id, Enrollment.status != "removed"
    )
    return session.scalar(query.limit(1)) is not None


def campaign_page(
    session: Session, workspace_id: str, request: PageInput, *, status: str | None, search: str | None
) -> tuple[list[Campaign], int, str | None]:
    """One page of campaigns, newest first: the rows, how many there are in all, and the cursor of the next page.

    Archived campaigns are left out unless ``status`` asks for them.
    """
    fits: list[ColumnElement[bool]] = [Campaign.workspace_id == workspace_id]
    fits.append(Campaign.status == status if status else Campaign.status != "archived")
    if search:
        fits.append(Campaign.name.icontains(search, autoescape=True))
    total = session.scalar(select(func.count()).select_from(Campaign).where(*fits)) or 0
    query = select(Campaign).where(*fits).order_by(Campaign.created_at.desc(), Campaign.id.desc())
    rows = list(session.scalars(_from(query, request).limit(request.limit + 1)))
    has_more = len(rows) > request.limit
    rows = rows[: request.limit]
    cursor = write_cursor(_CURSOR, [rows[-1].created_at.isoformat(), rows[-1].id]) if has_more else None
    return rows, total, cursor


def _from(query: "Select[*tuple[Any, ...]]", request: PageInput) -> "Select[*tuple[Any, ...]]":
    if request.cursor is None:
        return query.offset(((request.page or 1) - 1) * request.limit)
    at, last_id = read_cursor(_CURSOR, request.cursor, 2)
    created = cursor_instant(at)
    return query.where(
        or_(Campaign.created_at < created, and_(Campaign.created_at == created, Campaign.id < str(last_id)))
    )
