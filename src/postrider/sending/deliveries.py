"""What follows when campaign emails were accepted, for any number of them at once in one transaction."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import Connection, and_, bindparam, case, null, or_, select, update

from postrider.campaigns.states import QUEUE_FOLLOW_UP
from postrider.campaigns.tables import Campaign, Enrollment
from postrider.mailboxes.tables import Mailbox
from postrider.sending.events import Subject, record_events
from postrider.sending.outcomes import Delivered
from postrider.sending.program import Program, Programs
from postrider.sending.tables import Attempt
from postrider.sending.work import Begun, StepWork
from postrider.storage.prepared import Prepared, among

Values = dict[str, object]

_CLAIMED: Final = Prepared(
    lambda dialect: (
        select(Enrollment.id, Enrollment.lease_owner, Enrollment.fence, Enrollment.last_step)
        .where(Enrollment.workspace_id == bindparam("workspace_id"), among(Enrollment.id, "enrollment_ids", dialect))
        .order_by(Enrollment.id)
        .with_for_update()
    )
)
_REVISIONS: Final = Prepared(
    lambda dialect: select(Campaign.id, Campaign.revision).where(
        Campaign.workspace_id == bindparam("workspace_id"), among(Campaign.id, "campaign_ids", dialect)
    )
)
_STILL_RUNS: Final = or_(Enrollment.status == "active", Enrollment.status == "paused")
_ENROLLMENT: Final = Prepared(
    lambda _: (
        update(Enrollment)
        .where(Enrollment.workspace_id == bindparam("b_workspace_id"), Enrollment.id == bindparam("b_id"))
        .values(
            lease_owner=null(),
            claim=null(),
            hold_reason=null(),
            queue=QUEUE_FOLLOW_UP,
            # Whoever stopped the lead while the message was on its way has the last word.
            status=case((and_(_STILL_RUNS, bindparam("v_ended") == 1), "completed"), else_=Enrollment.status),
            mailbox_id=bindparam("v_mailbox_id"),
            next_step=bindparam("v_next_step"),
            due_at=case((_STILL_RUNS, bindparam("v_due_at", type_=Enrollment.due_at.type)), else_=null()),
            last_accepted_at=bindparam("v_now"),
            thread_subject=bindparam("v_thread_subject"),
            thread_ids=bindparam("v_thread_ids"),
            updated_at=bindparam("v_now"),
        )
    )
)
_ATTEMPT: Final = Prepared(
    lambda _: (
        update(Attempt)
        .where(Attempt.workspace_id == bindparam("b_workspace_id"), Attempt.id == bindparam("b_id"))
        .values(
            state="sent",
            lease_owner=null(),
            done_at=bindparam("v_now"),
            server_id=bindparam("v_server_id"),
            result_text=bindparam("v_result_text"),
            refused_copies=bindparam("v_refused_copies"),
        )
    )
)
_MAILBOX: Final = Prepared(
    lambda _: (
        update(Mailbox)
        .where(Mailbox.workspace_id == bindparam("b_workspace_id"), Mailbox.id == bindparam("b_id"))
        .values(
            total_sent=Mailbox.total_sent + bindparam("v_count"), consecutive_failures=0, cool_count=0, policy_strikes=0
        )
    )
)


class Accepted(NamedTuple):
    """A campaign email that its server has taken."""

    work: StepWork
    begun: Begun
    outcome: Delivered


class Onward(NamedTuple):
    """Where a lead goes from a position: its next step and when that is due (None: it has had all emails)."""

    next_step: int
    due_at: datetime | None


def onward(program: Program, next_step: int, since: datetime) -> Onward:
    """Where a lead goes whose wait for email ``next_step`` began at ``since``."""
    wait = program.emails[next_step].wait_seconds if next_step < len(program.emails) else None
    return Onward(next_step, None if wait is None else since + timedelta(seconds=wait))


def step_after(work: StepWork, program: Program, last_step: int, since: datetime) -> Onward:
    """Where the lead of ``work`` goes, which has had this email or gets it no more. ``program``: as it is now.

    ``last_step``: of the enrollment. Where the campaign was edited meanwhile, the edit has moved positions, and it is
    the one that counts.
    """
    position = work.email.position if program.revision == work.program.revision else last_step
    return onward(program, position + 1, since)


def deliver_steps(
    connection: Connection, programs: Programs, workspace_id: str, accepted: Sequence[Accepted], now: datetime
) -> list[bool]:
    """Writes that emails of one workspace were accepted. False for those whose claim was lost: see ``settle_late``."""
    enrollment_ids = [one.work.enrollment_id for one in accepted]
    rows = _CLAIMED.rows(connection, {"workspace_id": workspace_id, "enrollment_ids": enrollment_ids})
    claimed = {row[0]: (row[1], row[2]) for row in rows}
    last_steps = {row[0]: row[3] for row in rows}
    ours = [one for one in accepted if claimed.get(one.work.enrollment_id) == _claim_of(one.work)]
    ours.sort(key=lambda one: one.work.enrollment_id)
    current = current_programs(connection, programs, workspace_id, [one.work for one in ours])
    goes = [
        step_after(one.work, current[one.work.program.campaign_id], last_steps[one.work.enrollment_id], now)
        for one in ours
    ]
    _ENROLLMENT.many(connection, [_enrollment(one, onward, now) for one, onward in zip(ours, goes, strict=True)])
    _ATTEMPT.many(connection, [_attempt(one, now) for one in ours])
    sent = sorted(Counter(one.work.sender.account.mailbox_id for one in ours).items())
    _MAILBOX.many(connection, [{"b_workspace_id": workspace_id, "b_id": key, "v_count": count} for key, count in sent])
    record_events(connection, "sent", [subject_of(one.work, one.begun) for one in ours], now)
    written = {one.begun.attempt_id for one in ours}
    return [one.begun.attempt_id in written for one in accepted]


def subject_of(work: StepWork, begun: Begun | None) -> Subject:
    """What an event about one send is about."""
    return Subject(
        workspace_id=work.workspace_id,
        campaign_id=work.program.campaign_id,
        enrollment_id=work.enrollment_id,
        lead_id=work.recipient.lead_id,
        mailbox_id=work.sender.account.mailbox_id,
        attempt_id=begun.attempt_id if begun else None,
        step_id=work.email.id,
        variant=work.variant,
    )


def _claim_of(work: StepWork) -> tuple[str, int]:
    return work.claim.owner, work.claim.fence


def current_programs(
    connection: Connection, programs: Programs, workspace_id: str, works: Sequence[StepWork]
) -> dict[str, Program]:
    """The campaigns of ``works`` as they are now, by id; one that has been deleted as it was."""
    known = {work.program.campaign_id: work.program for work in works}
    rows = _REVISIONS.rows(connection, {"workspace_id": workspace_id, "campaign_ids": sorted(known)})
    return known | {
        campaign_id: known[campaign_id]
        if known[campaign_id].revision == revision
        else programs.load(connection, workspace_id, campaign_id)
        for campaign_id, revision in rows
    }


def _enrollment(one: Accepted, goes: Onward, now: datetime) -> Values:
    work, content = one.work, one.begun.content
    continues = content.get("inReplyTo") is not None
    return {
        "b_workspace_id": work.workspace_id,
        "b_id": work.enrollment_id,
        "v_mailbox_id": work.sender.account.mailbox_id,
        "v_ended": int(goes.due_at is None),
        "v_next_step": goes.next_step,
        "v_due_at": goes.due_at,
        "v_now": now,
        "v_thread_subject": work.thread.subject if continues else str(content.get("subject") or ""),
        "v_thread_ids": [*(work.thread.ids if continues else ()), one.begun.message_id],
    }


def _attempt(one: Accepted, now: datetime) -> Values:
    return {
        "b_workspace_id": one.work.workspace_id,
        "b_id": one.begun.attempt_id,
        "v_now": now,
        "v_server_id": one.outcome.server_id,
        "v_result_text": one.outcome.text[:500],
        "v_refused_copies": [f"{copy.address}: {copy.code} {copy.text}" for copy in one.outcome.refused_copies],
    }
