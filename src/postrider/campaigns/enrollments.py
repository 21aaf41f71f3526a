"""Leads put into campaigns, many at a time, and let go on once what held them has been mended."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import and_, bindparam, case, or_, select, update
from sqlalchemy.orm import Session

from postrider.access.causes import hold_leads
from postrider.campaigns.documents import StepInput
from postrider.campaigns.endings import Stop
from postrider.campaigns.following import catch_up
from postrider.campaigns.sequence import email_steps
from postrider.campaigns.states import QUEUE_FOLLOW_UP, QUEUE_HELD, QUEUE_NEW, queue_for
from postrider.campaigns.tables import Campaign, Enrollment
from postrider.kernel.errors import Conflict, NotFound
from postrider.leads.bulk import Columns, Same, Value, find_rows, insert_rows, new_ids, stored_instant
from postrider.leads.tables import Lead

_OF_THE_LEAD: Final = ("missing_variable", "link_not_allowed")
"""What hold reasons start with that an edit of the lead may have cured."""

_MAY_BE_CURED: Final = and_(
    Enrollment.queue == QUEUE_HELD,
    or_(*(Enrollment.hold_reason.startswith(reason, autoescape=True) for reason in _OF_THE_LEAD)),
)
_LET_GO_ON: Final = (
    update(Enrollment)
    .where(
        Enrollment.workspace_id == bindparam("b_workspace_id"),
        Enrollment.lead_id == bindparam("b_lead_id"),
        or_(_MAY_BE_CURED, Enrollment.sleep_until.is_not(None)),
    )
    .values(
        queue=case(
            (and_(_MAY_BE_CURED, Enrollment.next_step == 0), QUEUE_NEW),
            (_MAY_BE_CURED, QUEUE_FOLLOW_UP),
            else_=Enrollment.queue,
        ),
        hold_reason=case((_MAY_BE_CURED, None), else_=Enrollment.hold_reason),
        sleep_until=None,
        updated_at=bindparam("b_now"),
    )
)


class Enrolled(NamedTuple):
    """How many leads came into a campaign, and how many were in it already."""

    added: int
    skipped: int


def campaign_to_fill(session: Session, workspace_id: str, campaign_id: str) -> Campaign:
    """The campaign, locked so that leads are put into it by one transaction at a time.

    Raises: NotFound; Conflict when it is archived.
    """
    query = select(Campaign).where(Campaign.workspace_id == workspace_id, Campaign.id == campaign_id)
    campaign = session.scalar(query.with_for_update())
    if campaign is None:
        raise NotFound("Campaign not found", hint="See list_campaigns.")
    if campaign.status == "archived":
        raise Conflict(
            "The campaign is archived: no leads can be added to it.",
            hint="Add them to another campaign, or duplicate this one.",
            details={"status": campaign.status},
        )
    return campaign


def enroll(
    session: Session, campaign: Campaign, lead_ids: Sequence[str], now: datetime, *, capped_by: str | None
) -> Enrolled:
    """Puts leads of the campaign's workspace into it; those in it already are skipped, removed ones come back.

    New leads are active when the campaign is active, else pending; a completed campaign becomes active again.
    ``campaign`` comes from ``campaign_to_fill``; each id stands once. ``capped_by``: whose limit their emails count on.
    """
    scope = (Enrollment.workspace_id == campaign.workspace_id, Enrollment.campaign_id == campaign.id)
    known = find_rows(session, (Enrollment.lead_id, Enrollment.status), Enrollment.lead_id, lead_ids, *scope)
    fresh = [lead_id for lead_id in lead_ids if lead_id not in known] if known else lead_ids
    gone = [lead_id for lead_id, status in known.items() if status == "removed"]
    added = len(fresh) + len(gone)
    if not added:
        return Enrolled(0, len(lead_ids))
    if campaign.status == "completed":
        campaign.status, campaign.completed_at = "active", None
    status = "active" if campaign.status == "active" else "pending"
    if fresh:
        _insert(session, campaign, fresh, status, now, capped_by)
    if gone:
        catch_up(session, campaign, gone)
    removed = session.scalars(select(Enrollment).where(*scope, Enrollment.lead_id.in_(gone))).all() if gone else []
    for enrollment in removed:
        _bring_back(campaign, enrollment, status, now)
        enrollment.credential_id = capped_by
    campaign.revision += 1
    campaign.updated_at = now
    return Enrolled(added, len(lead_ids) - added)


def present_leads(session: Session, workspace_id: str, lead_ids: Sequence[str]) -> set[str]:
    """Those of ``lead_ids`` that are leads of the workspace."""
    return set(find_rows(session, (Lead.id, Lead.id), Lead.id, lead_ids, Lead.workspace_id == workspace_id))


def follow_lead_edits(
    session: Session, workspace_id: str, lead_ids: Sequence[str], now: datetime, *, capped_by: str | None
) -> int:
    """Lets leads that have been edited go on, if a value of theirs held them or they sleep. How many enrollments.

    If the value is still missing or unfit, the sender holds them again; if it is closed in the zone and country that
    they have now, it puts them to sleep again. Call it behind the edit, in the same transaction. ``capped_by``: whose
    limit their emails count on from now on.
    """
    if capped_by is not None:
        hold_leads(session, workspace_id, capped_by, lead_ids)
    # Lead by lead: PostgreSQL would read all enrollments for a long list of ids.
    same = {"b_workspace_id": workspace_id, "b_now": now}
    rows = [{**same, "b_lead_id": lead_id} for lead_id in lead_ids]
    return session.connection().execute(_LET_GO_ON, rows).rowcount


def _insert(
    session: Session, campaign: Campaign, lead_ids: Sequence[str], status: str, now: datetime, capped_by: str | None
) -> None:
    instant = stored_instant(session, now)
    same: dict[str, Value] = {
        "workspace_id": campaign.workspace_id,
        "campaign_id": campaign.id,
        "status": status,
        "next_step": 0,
        "last_step": -1,
        "moved_revision": 0,
        "queue": QUEUE_NEW,
        "due_at": instant,
        "thread_ids": "[]",
        "soft_bounces": 0,
        "fence": 0,
        "credential_id": capped_by,
        "created_at": instant,
        "updated_at": instant,
    }
    columns: Columns = {
        "id": new_ids("cl", len(lead_ids), now),
        "lead_id": lead_ids,
        **{name: Same(value) for name, value in same.items()},
    }
    insert_rows(session, Enrollment, columns)


def end_enrollment(enrollment: Enrollment, status: str, stop: Stop, now: datetime) -> None:
    """Nothing more is sent to the lead of a loaded row: it is ``status`` from now on, for that reason."""
    enrollment.status = status
    for name, value in stop.columns().items():
        setattr(enrollment, name, value)
    enrollment.due_at, enrollment.updated_at = None, now


def _bring_back(campaign: Campaign, enrollment: Enrollment, status: str, now: datetime) -> None:
    """A removed lead goes on after the last step it was ever sent; its follow-up waits as long as it would have."""
    emails = email_steps([StepInput.model_validate(step) for step in campaign.sequence])
    position = enrollment.last_step + 1
    enrollment.next_step = position
    enrollment.queue = queue_for(position)
    enrollment.stop_reason = enrollment.stop_detail = None
    enrollment.hold_reason = enrollment.sleep_until = None
    enrollment.updated_at = now
    if position > 0 and position >= len(emails):
        enrollment.status, enrollment.due_at = "completed", None
        return
    enrollment.status, enrollment.due_at = status, now
    if position and enrollment.last_accepted_at is not None:
        wait = timedelta(seconds=emails[position].wait_seconds)
        enrollment.due_at = max(now, enrollment.last_accepted_at + wait)
