"""Reads of campaigns, and of what they depend on, that operations share."""

from collections import namedtuple
from collections.abc import Sequence
from typing import Any, Final, cast

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Select,
    and_,
    bindparam,
    column,
    func,
    or_,
    select,
    table,
    true,
)
from sqlalchemy.orm import Session

from postrider.access.house import House, house_from, house_of
from postrider.access.tables import Workspace
from postrider.campaigns.checking import MailboxFacts
from postrider.campaigns.documents import SettingsInput, Subsequence
from postrider.campaigns.following import STILL_FOLLOWING, all_leads_follow, open_changes
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
from postrider.storage.prepared import Prepared

# Agents are a feature above this one: its row is looked up by the names of two columns, which a test holds against it.
AGENTS: Final = table("agents", column("workspace_id"), column("id"))

ENDED: Final = frozenset({"completed", "archived"})
"""Campaign states in which warnings about sending would be noise."""

_CURSOR: Final = "campaigns"


# Statements that are built once: to build one costs as much as to run it.

_ID: Final[BindParameter[str]] = bindparam("id")
_WORKSPACE_ID: Final[BindParameter[str]] = bindparam("workspace_id")
_ONE: Final = select(Campaign).where(Campaign.workspace_id == _WORKSPACE_ID, Campaign.id == _ID)
_ONE_LOCKED: Final = _ONE.with_for_update()

_SUMS: Final = tuple(
    func.sum(DailyCount.count).filter(DailyCount.kind == kind).label(kind)
    for kind in ("sent", "returned", "opened", "clicked", "replied", "bounced", "unsubscribed")
)
"""What _stats takes."""

_COUNTS: Final = (
    func.count().filter(Enrollment.status != "removed").label("total"),
    func.count().filter(Enrollment.status == "active").label("active"),
)
"""What _leads takes."""


def _shown() -> "Select[Any]":
    sums = select(*_SUMS).where(DailyCount.workspace_id == _WORKSPACE_ID, DailyCount.campaign_id == _ID).subquery()
    counts = select(*_COUNTS).where(Enrollment.workspace_id == _WORKSPACE_ID, Enrollment.campaign_id == _ID).subquery()
    house = (Workspace.settings.label("house"), Workspace.paused_at)
    has_changes = ~all_leads_follow()
    shown = select(*Campaign.__table__.c, *house, has_changes, *sums.c, *counts.c).select_from(Campaign)
    tables = shown.join(Workspace, Workspace.id == Campaign.workspace_id).join(sums, true()).join(counts, true())
    return tables.where(Campaign.workspace_id == _WORKSPACE_ID, Campaign.id == _ID)


_SHOWN: Final = Prepared(lambda dialect: _shown())
"""One campaign with all that is shown of it but its mailboxes."""

_Columns: Final = namedtuple("_Columns", [column.name for column in Campaign.__table__.c])  # type: ignore[misc]  # known to the table alone
"""Reads like a campaign; an object of the session costs as much as all the rest."""


def find_campaign(ctx: Context, campaign_id: str, *, lock: bool = False) -> Campaign:
    """The campaign. ``lock``: until this transaction ends nobody else changes it (PostgreSQL; SQLite has one writer),
    and second markers being written are waited for.

    Raises: NotFound, InvalidInput for an id of another kind.
    """
    key = {"workspace_id": ctx.workspace_id, "id": check_id(campaign_id, "camp", "id")}
    row = ctx.session.scalar(_ONE_LOCKED if lock else _ONE, key)
    if row is None:
        raise _not_found()
    return row


def _not_found() -> NotFound:
    return NotFound("Campaign not found", hint="See list_campaigns.")


def mailbox_facts(session: Session, workspace_id: str, mailbox_ids: Sequence[str] | None = None) -> list[MailboxFacts]:
    """The workspace's mailboxes, oldest first; only those of ``mailbox_ids`` where given."""
    if mailbox_ids is not None and not mailbox_ids:
        return []
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
    return _surroundings(ctx, row, house_of(ctx.session, ctx.workspace_id))


def _surroundings(ctx: Context, row: Campaign, house: House) -> Surroundings:
    return Surroundings(
        tracks=ctx.settings.tracks,
        has_legal_lines=bool(house.legal_lines),
        unsubscribe_headers=house.unsubscribe_headers,
        workspace_paused=house.paused_at is not None,
        mailboxes=mailbox_facts(ctx.session, ctx.workspace_id, row.mailbox_ids),
    )


def document_problems(row: Campaign) -> list[Problem]:
    """What in the campaign's own documents keeps it from running."""
    return [
        *content_problems(email_steps(read_steps(row.sequence))),
        *([] if row.mailbox_ids else mailbox_problems(row.mailbox_ids, [])),
        *unsupported_parts(row),
    ]


def unsupported_parts(row: Campaign, settings: SettingsInput | None = None) -> list[Problem]:
    """Everything in the campaign that is stored but not done yet. ``settings``: its own, if read already."""
    subsequences = [Subsequence.model_validate(document) for document in row.subsequences]
    return unsupported(settings or SettingsInput.model_validate(row.settings), subsequences)


def campaign_warnings(ctx: Context, row: Campaign) -> list[str]:
    """What keeps the campaign from starting, or makes it send less than expected, as far as its documents and what it
    depends on tell."""
    house, settings = house_of(ctx.session, ctx.workspace_id), SettingsInput.model_validate(row.settings)
    return _warnings(ctx, row, settings, house, bool(open_changes(ctx.session, row)))


def _warnings(ctx: Context, row: Campaign, settings: SettingsInput, house: House, has_changes: bool) -> list[str]:
    found = [STILL_FOLLOWING] if has_changes else []
    if row.status not in ENDED:
        found += [f"start_campaign will refuse: {problem.message}." for problem in unsupported_parts(row, settings)]
        found += warnings_for(settings, row.mailbox_ids, {}, _surroundings(ctx, row, house))
    return found


def show_campaign(ctx: Context, campaign_id: str, warnings: Sequence[str] = ()) -> CampaignOut:
    """The campaign with its counts and warnings, ``warnings`` first. Raises: NotFound, InvalidInput."""
    key = {"workspace_id": ctx.workspace_id, "id": check_id(campaign_id, "camp", "id")}
    ctx.session.flush()
    rows = _SHOWN.rows(ctx.session.connection(), key)
    if not rows:
        raise _not_found()
    row = cast("Campaign", _Columns._make(rows[0][: len(_Columns._fields)]))
    house, paused_at, has_changes, *figures = rows[0][len(_Columns._fields) :]
    settings = SettingsInput.model_validate(row.settings)
    known = [*warnings, *_warnings(ctx, row, settings, house_from(house, paused_at), has_changes)]
    return campaign_out(row, settings, _stats(*figures[: len(_SUMS)]), _leads(*figures[len(_SUMS) :]), known)


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


def figures_of(
    session: Session, workspace_id: str, campaign_ids: Sequence[str]
) -> dict[str, tuple[CampaignStats, LeadCounts]]:
    """What came of each campaign's emails, and how many leads it has."""
    sums, counts = (
        session.execute(
            select(of.campaign_id, *figures)
            .where(of.workspace_id == workspace_id, of.campaign_id.in_(campaign_ids))
            .group_by(of.campaign_id)
        )
        for of, figures in ((DailyCount, _SUMS), (Enrollment, _COUNTS))
    )
    stats = {campaign_id: _stats(*found) for campaign_id, *found in sums}
    leads = {campaign_id: _leads(*found) for campaign_id, *found in counts}
    return {
        campaign_id: (stats.get(campaign_id) or _stats(), leads.get(campaign_id) or _leads())
        for campaign_id in campaign_ids
    }


def _stats(
    sent: int | None = None,
    returned: int | None = None,
    opened: int | None = None,
    clicked: int | None = None,
    replied: int | None = None,
    bounced: int | None = None,
    unsubscribed: int | None = None,
) -> CampaignStats:
    """None: nothing of the kind was counted. A sum comes as Decimal from PostgreSQL."""
    return CampaignStats(
        sent=int(sent or 0),
        delivered=delivered(int(sent or 0), int(returned or 0)),
        opened=int(opened or 0),
        clicked=int(clicked or 0),
        replied=int(replied or 0),
        bounced=int(bounced or 0),
        unsubscribed=int(unsubscribed or 0),
    )


def _leads(total: int = 0, active: int = 0) -> LeadCounts:
    return LeadCounts(total=total, active=active)


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
