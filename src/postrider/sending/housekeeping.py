"""What a tick tidies up on the way: leads that sleep, leads and campaigns that have come to their end."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Update, select, update
from sqlalchemy.orm import Session

from postrider.campaigns.states import RUNNING, UNKNOWN_OUTCOME
from postrider.campaigns.tables import Campaign, Enrollment
from postrider.leads.tables import Lead
from postrider.sending.plan_queries import CandidateRow, Setting
from postrider.sending.plan_state import Reason, Wait
from postrider.sending.program import Program

ENDED_AT_ONCE: Final = 500
"""Leads of one campaign that one tick completes: 10 ms on SQLite, 60 ms on PostgreSQL, among 100,000."""

_SLEEPS: Final = frozenset({Reason.OUTSIDE_WINDOW, Reason.HOLIDAY})


def update_enrollments(workspace_id: str, ids: Sequence[str]) -> Update:
    """An UPDATE of the enrollments ``ids``."""
    return update(Enrollment).where(Enrollment.workspace_id == workspace_id, Enrollment.id.in_(ids))


def put_to_sleep(session: Session, setting: Setting, rows: dict[str, CandidateRow], waits: Sequence[Wait]) -> bool:
    """Leads whose own zone or country is closed are not looked at before it opens, so that others do not starve.

    True when there were any: then those behind them have not been looked at yet. Who is being edited, or has been since
    it was read, stays awake: a sleep always follows from the zone, country and schedule of now.
    """
    by_instant: dict[datetime, list[CandidateRow]] = {}
    for wait in waits:
        row = rows[wait.enrollment_id]
        own_zone = setting.programs[row.campaign_id].schedule.use_lead_timezone
        own_holiday = wait.reason is Reason.HOLIDAY and row.country is not None
        if wait.reason in _SLEEPS and wait.until is not None and (own_zone or own_holiday):
            by_instant.setdefault(wait.until, []).append(row)
    if not by_instant:
        return False
    unchanged = _unchanged(session, setting, [row for group in by_instant.values() for row in group])
    for until, group in by_instant.items():
        ids = [row.id for row in group if row.id in unchanged]
        if ids:
            session.execute(update_enrollments(setting.workspace_id, ids).values(sleep_until=until))
    return True


def _unchanged(session: Session, setting: Setting, rows: Sequence[CandidateRow]) -> set[str]:
    """Enrollments whose campaign and lead are still as they were read, and stay so until this transaction ends."""
    campaigns = _unchanged_campaigns(session, setting, {row.campaign_id for row in rows})
    query = select(Lead.id, Lead.timezone, Lead.country).where(
        Lead.workspace_id == setting.workspace_id, Lead.id.in_({row.lead_id for row in rows})
    )
    places = {row.id: row[1:] for row in session.execute(query.with_for_update(read=True, skip_locked=True))}
    return {
        row.id for row in rows if row.campaign_id in campaigns and places.get(row.lead_id) == (row.zone, row.country)
    }


def _unchanged_campaigns(session: Session, setting: Setting, ids: Collection[str]) -> set[str]:
    """Those of ``ids`` that are still as they were read, locked so that they stay so until this transaction ends.

    It waits for nobody: what another transaction is changing at the moment is left out, of the leads as well.
    """
    query = select(Campaign.id, Campaign.revision).where(
        Campaign.workspace_id == setting.workspace_id, Campaign.id.in_(ids)
    )
    locked = session.execute(query.with_for_update(read=True, skip_locked=True))
    return {row.id for row in locked if row.revision == setting.programs[row.id].revision}


def end_leads(session: Session, setting: Setting, now: datetime) -> bool:
    """Completes leads whose next step was taken out of the sequence, whatever becomes of their mailboxes.

    True when there may be more of them. Who is being sent something, or waits for an unknown outcome, is left to it.
    """
    found = {
        program.campaign_id
        for program in setting.programs.values()
        if session.scalar(select(Enrollment.id).where(*_has_ended(program)).limit(1)) is not None
    }
    # Asked again under a lock: in a campaign edited since it was read, leads have places in a sequence not known here.
    unchanged = _unchanged_campaigns(session, setting, found) if found else found
    counts = [_end(session, setting.programs[campaign_id], now) for campaign_id in unchanged]
    return len(unchanged) < len(found) or max(counts, default=0) == ENDED_AT_ONCE


def _end(session: Session, program: Program, now: datetime) -> int:
    ids = session.scalars(select(Enrollment.id).where(*_has_ended(program)).limit(ENDED_AT_ONCE)).all()
    # The conditions once more: a reply that came in meanwhile has ended the lead in another way.
    statement = update_enrollments(program.workspace_id, ids).where(*_has_ended(program))
    values = {"status": "completed", "due_at": None, "sleep_until": None, "hold_reason": None, "updated_at": now}
    session.execute(statement.values(values), execution_options={"synchronize_session": False})
    return len(ids)


def _has_ended(program: Program) -> Sequence[ColumnElement[bool]]:
    return (
        Enrollment.workspace_id == program.workspace_id,
        Enrollment.campaign_id == program.campaign_id,
        Enrollment.status == "active",
        Enrollment.next_step >= len(program.emails),
        Enrollment.lease_owner.is_(None),
        Enrollment.hold_reason.is_distinct_from(UNKNOWN_OUTCOME),
    )


def finish_campaigns(session: Session, setting: Setting, rows: dict[str, CandidateRow], now: datetime) -> bool:
    """Completes campaigns that have nothing left to do.

    True when one was completed: its mailboxes' pauses may have become shorter.
    """
    busy = {row.campaign_id for row in rows.values()}
    finished = [
        program
        for program in setting.programs.values()
        if program.campaign_id not in busy and _is_finished(session, program)
    ]
    completed = [program for program in finished if _complete(session, program, now)]
    return bool(completed)


def _complete(session: Session, program: Program, now: datetime) -> bool:
    """Completes the campaign, unless somebody is putting leads into it: then a later tick looks again."""
    this = (Campaign.workspace_id == program.workspace_id, Campaign.id == program.campaign_id)
    locked = session.scalar(
        select(Campaign.id).where(*this, Campaign.status == "active").with_for_update(skip_locked=True)
    )
    # Looked at once more under the lock that adding leads takes: those added meanwhile are seen now.
    if locked is None or not _is_finished(session, program):
        return False
    session.execute(update(Campaign).where(*this).values(status="completed", completed_at=now, updated_at=now))
    return True


def _is_finished(session: Session, program: Program) -> bool:
    query = select(Enrollment.id).where(
        Enrollment.workspace_id == program.workspace_id, Enrollment.campaign_id == program.campaign_id
    )
    return session.scalar(query.where(Enrollment.status.in_(RUNNING)).limit(1)) is None
