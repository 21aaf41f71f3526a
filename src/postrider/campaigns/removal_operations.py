"""Deleting campaigns, and acting on many leads of a campaign at once."""

from typing import Annotated, Any, Final, Literal, NamedTuple

from pydantic import Field
from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session

from postrider.access.queries import lock_workspace
from postrider.campaigns.documents import CampaignRef
from postrider.campaigns.queries import find_campaign
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
from postrider.campaigns.showing import leads_named, name_of
from postrider.campaigns.states import EnrollmentStatus
from postrider.campaigns.tables import Campaign, Enrollment
from postrider.kernel.arguments import digest_of
from postrider.kernel.context import Context
from postrider.kernel.errors import Conflict, Forbidden, InvalidInput, NotFound
from postrider.kernel.ids import check_id
from postrider.kernel.operation import Effect, Input, Output, Rest, Selection, operation
from postrider.kernel.policy import Facts
from postrider.kernel.undoing import Undone, UndoRecord
from postrider.leads.queries import search_conditions
from postrider.leads.tables import Lead
from postrider.storage.rows import CHUNK


class CampaignDeleted(Output):
    """The campaign is archived."""

    id: str
    status: Literal["archived"]


def campaign_deletion_facts(ctx: Context, request: CampaignRef) -> Facts:
    """What is lost with the campaign. Raises: NotFound, Conflict."""
    row = _not_archived(_locked(ctx, request.id))
    return Facts(
        summary=f"The campaign {row.id} ({row.status}) is archived: it sends nothing more and leaves the lists; its "
        "numbers, emails and conversations are kept.",
        subject=row.id,
        revision=f"{row.revision}/{row.status}",
        cause="destroy",
        people=1,
        details=(name_of(row),),
    )


def undo_campaign_deletion(ctx: Context, payload: dict[str, Any]) -> Undone:
    """Gives the campaign its state back; one that was running comes back paused."""
    row = lock_campaigns(ctx.session, ctx.workspace_id, [payload["id"]]).get(payload["id"])
    if row is None or row.status != "archived":
        return Undone(0, {"changed_since": 1})
    was = payload["status"]
    row.status = "paused" if was == "active" else was
    row.updated_at = ctx.now
    return Undone(1, {"paused_instead_of_active": int(was == "active")})


@operation(
    title="Delete a campaign",
    keywords="archive old finished hide put away end mistake draft outdated close gone",
    effect=Effect.DESTRUCTIVE,
    rest=Rest("DELETE", "/v1/campaigns/{id}"),
    confirm=campaign_deletion_facts,
    undo=undo_campaign_deletion,
)
def delete_campaign(ctx: Context, request: CampaignRef) -> CampaignDeleted:
    """Archive a campaign: a running one stops at once, and it is no longer listed unless status archived is asked for.

    Its leads, numbers, emails and conversations are kept. undo_operation brings it back within 24 hours; one that was
    running comes back paused.
    """
    lock_workspace(ctx.session, ctx.workspace_id)
    row = _not_archived(find_campaign(ctx, request.id, lock=True))
    ctx.undoable(UndoRecord({"id": row.id, "status": row.status}, "A campaign comes back from the archive.", 1))
    row.status = "archived"
    row.updated_at = ctx.now
    ctx.wake("sender")
    return CampaignDeleted(id=row.id, status="archived")


def _locked(ctx: Context, campaign_id: str) -> Campaign:
    """The campaign, to be looked at before the operation: the workspace is locked first here too, as by the second
    markers, so that nobody waits for each other."""
    if ctx.locks:
        lock_workspace(ctx.session, ctx.workspace_id)
    return find_campaign(ctx, campaign_id, lock=ctx.locks)


def _not_archived(row: Campaign) -> Campaign:
    if row.status == "archived":
        raise Conflict(
            "The campaign is archived already.", hint="Nothing has to be done.", details={"status": row.status}
        )
    return row


class CampaignLeadFilters(Selection):
    """Which leads of the campaign; all that are given must hold."""

    status: EnrollmentStatus | None = None
    search: Annotated[str | None, Field(max_length=320, description="Words in address, name or company.")] = None


class BulkActionCampaignLeads(Input):
    """What to do with which leads: leadIds, or selectAll with filters."""

    id: Annotated[str, Field(max_length=40, description="Id of the campaign (camp_…).")]
    action: Annotated[
        Literal["pause", "resume", "remove"],
        Field(description="pause: nothing is sent until resume. remove: out of the campaign, history kept."),
    ]
    lead_ids: Annotated[Ids, Field(description="Campaign lead ids (cl_…) or lead ids (lead_…).")] = []
    select_all: Annotated[bool, Field(description="All that filters select, except excludeIds.")] = False
    filters: CampaignLeadFilters | None = None
    exclude_ids: Annotated[Ids, Field(description="Campaign lead ids to leave out, with selectAll.")] = []

    @property
    def takes_all(self) -> bool:
        return self.select_all


class BulkActionDone(Output):
    """``skipped``: selected leads whose state the action does not fit, such as pausing one that has replied.

    ``remaining``: selected ones beyond the 1,000 of one call; call again for them.
    """

    affected: int
    skipped: int
    remaining: int


class _Choice(NamedTuple):
    """The enrollments to act on, how many do not fit, and how many are left for another call."""

    ids: list[str]
    skipped: int
    remaining: int


_FROM: Final[dict[str, tuple[str, ...]]] = {"pause": ("active", "pending"), "resume": ("paused",)}


def bulk_facts(ctx: Context, request: BulkActionCampaignLeads) -> Facts | None:
    """How many leads are taken out, or written to again; None where neither. Raises: see ``_chosen``."""
    row = _locked(ctx, request.id)
    ids, _, remaining = _chosen(ctx, row, request)
    sends = request.action == "resume" and row.status in ("active", "completed")
    if not ids or (request.action != "remove" and not sends):
        return None
    digest = digest_of([ids, remaining])
    words = ("lead goes on in", "leads go on in") if sends else ("lead is taken out of", "leads are taken out of")
    return Facts(
        summary=f"{at_once(len(ids), remaining, *words)} the campaign {row.id}.",
        subject=row.id,
        revision=f"{row.status}/{digest}",
        cause="send" if sends else "destroy",
        people=len(ids) + remaining,
        leaves_from=(row.id,) if sends else (),
        details=(name_of(row), f"Leads: {_named_leads(ctx, ids, len(ids) + remaining)}"),
    )


def _named_leads(ctx: Context, ids: list[str], count: int) -> str:
    """The first leads of these places by name."""
    first = select(Enrollment.lead_id).where(
        Enrollment.workspace_id == ctx.workspace_id, Enrollment.id.in_(ids[:NAMED])
    )
    return leads_named(ctx.session, ctx.workspace_id, list(ctx.session.scalars(first)), count)


def undo_bulk(ctx: Context, payload: dict[str, Any]) -> Undone:
    """Gives the leads the state back that they had."""
    return Undone(*restore_enrollments(ctx, payload["enrollments"], payload["at"], payload["left_as"]))


@operation(
    title="Act on leads of a campaign",
    keywords="take unenroll exclude followups single individual several recipients group paused drop",
    effect=Effect.DESTRUCTIVE,
    rest=Rest("POST", "/v1/campaigns/{id}/leads/action"),
    confirm=bulk_facts,
    undo=undo_bulk,
)
def bulk_action_campaign_leads(ctx: Context, request: BulkActionCampaignLeads) -> BulkActionDone:
    """Pause, resume or remove leads of a campaign: named ones, or all that filters select; at most 1,000 in one call.

    pause: nothing is sent to them until resume. remove: they are out of the campaign; what they were sent is kept, and
    if added again they go on behind it. Leads whose state does not fit are skipped. Takes effect at once, also for what
    is being sent. undo_operation gives every lead back the state it had.
    """
    lock_workspace(ctx.session, ctx.workspace_id)
    row = find_campaign(ctx, request.id, lock=True)
    if request.action == "resume" and row.status == "active" and "send" not in ctx.actor.scopes:
        raise Forbidden(
            "Resuming leads of a running campaign lets mail leave: it needs the scope 'send'.",
            code="INSUFFICIENT_SCOPE",
            hint="Use a credential with that scope, or pause the campaign first.",
            details={"scope": "send"},
        )
    ids, skipped, remaining = _chosen(ctx, row, request)
    if not ids:
        return BulkActionDone(affected=0, skipped=skipped, remaining=remaining)
    held = held_enrollments(ctx.session, ctx.workspace_id, ids)
    status = {"pause": "paused", "resume": "active" if row.status == "active" else "pending"}.get(request.action)
    values = removed_values() if status is None else {"status": status}
    if request.action == "resume" and ctx.capped_by is not None:
        values["credential_id"] = ctx.capped_by
    change_enrollments(ctx.session, ctx.workspace_id, ids, values, ctx.now)
    row.revision += 1
    row.updated_at = ctx.now
    restarts = restarts_of(held) if request.action != "resume" else {}
    left_as = values["status"]
    record: dict[str, Any] = {"enrollments": held, "at": ctx.now.isoformat(), "left_as": left_as, **restarts}
    ctx.undoable(UndoRecord(record, f"{len(ids):,} leads of {row.id} get back the state they had.", len(ids)))
    ctx.wake("sender")
    return BulkActionDone(affected=len(ids), skipped=skipped, remaining=remaining)


def _chosen(ctx: Context, row: Campaign, request: BulkActionCampaignLeads) -> _Choice:
    """Raises: InvalidInput without a clear choice, Conflict, NotFound."""
    if bool(request.lead_ids) == request.select_all:
        raise InvalidInput(
            "Give either leadIds, or selectAll: true with filters.",
            field="leadIds",
            hint="list_campaign_leads shows the ids.",
        )
    if request.lead_ids and (request.filters is not None or request.exclude_ids):
        raise InvalidInput("filters and excludeIds go with selectAll: true.", field="filters", hint="Leave them out.")
    if row.status == "archived":
        raise Conflict("The campaign is archived.", hint="Nothing was changed.", details={"status": row.status})
    conditions: list[ColumnElement[bool]] = [
        Enrollment.workspace_id == ctx.workspace_id,
        Enrollment.campaign_id == row.id,
    ]
    wanted = _FROM.get(request.action)
    if not request.lead_ids:
        return _selected(ctx, conditions, request, wanted)
    found = _named(ctx.session, conditions, request.lead_ids)
    fit = [each for each, status in found if (status != "removed" if wanted is None else status in wanted)]
    return _Choice(fit, len(found) - len(fit), 0)


def _named(session: Session, conditions: list[ColumnElement[bool]], given: list[str]) -> list[tuple[str, str]]:
    wanted = dict.fromkeys(given)
    query = select(Enrollment.id, Enrollment.status, Enrollment.lead_id).where(*conditions)
    found, seen = dict[str, str](), set[str]()
    names = [each if each.startswith("cl_") else check_id(each, "lead", "leadIds") for each in wanted]
    for start in range(0, len(names), CHUNK):
        chunk = names[start : start + CHUNK]
        for enrollment_id, status, lead_id in session.execute(
            query.where(Enrollment.id.in_(chunk) | Enrollment.lead_id.in_(chunk))
        ):
            found[enrollment_id] = status
            seen |= {enrollment_id, lead_id}
    absent = [each for each in names if each not in seen]
    if absent:
        raise NotFound(
            f"Not in this campaign: {', '.join(absent[:NAMED])}",
            hint="Nothing was changed. See list_campaign_leads.",
            details={"absent": absent[:50]},
        )
    return sorted(found.items())


def _selected(
    ctx: Context,
    conditions: list[ColumnElement[bool]],
    request: BulkActionCampaignLeads,
    wanted: tuple[str, ...] | None,
) -> _Choice:
    """Those whose state fits, so that calling again gets on."""
    filters = request.filters or CampaignLeadFilters()
    if request.filters is not None and not filters.chooses:
        raise empty_filters()
    query = select(Enrollment.id).where(
        *conditions, Enrollment.status == filters.status if filters.status else Enrollment.status != "removed"
    )
    if filters.search:
        joined = and_(Lead.workspace_id == Enrollment.workspace_id, Lead.id == Enrollment.lead_id)
        query = query.join(Lead, joined).where(*search_conditions(filters.search))
    if request.exclude_ids:
        query = query.where(Enrollment.id.not_in(request.exclude_ids), Enrollment.lead_id.not_in(request.exclude_ids))
    fits = query.where(Enrollment.status != "removed" if wanted is None else Enrollment.status.in_(wanted))
    matching, fitting = (
        ctx.session.scalar(select(func.count()).select_from(each.subquery())) or 0 for each in (query, fits)
    )
    ids = list(ctx.session.scalars(fits.order_by(Enrollment.id).limit(MOST_AT_ONCE)))
    return _Choice(ids, matching - fitting, fitting - len(ids))
