"""Settles messages of which nobody knew whether they had left."""

from datetime import datetime

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from postrider.campaigns.states import QUEUE_FOLLOW_UP, RUNNING, UNKNOWN_OUTCOME, queue_for
from postrider.campaigns.tables import Campaign, Enrollment
from postrider.kernel.errors import NotFound
from postrider.mailboxes.tables import Mailbox
from postrider.sending.deliveries import onward
from postrider.sending.events import Subject, add_count, record_event
from postrider.sending.program import Programs
from postrider.sending.tables import Attempt, Event, OutgoingReply


def settle_unknown(
    session: Session,
    programs: Programs,
    attempt: Attempt,
    accepted_at: datetime,
    now: datetime,
    *,
    how: str,
    found_id: str | None = None,
) -> bool:
    """Calls an unknown message sent, because something proves it (``how``), and lets its lead go on.

    ``accepted_at``: from when the wait for the next step counts. ``found_id``: the Message-ID that it got in place of
    ours, which the lead's mail program knows it by. False when the message was not unknown (any more).
    """
    session.flush()
    settled = session.execute(
        update(Attempt)
        .where(Attempt.workspace_id == attempt.workspace_id, Attempt.id == attempt.id, Attempt.state == "unknown")
        .values(
            state="sent", done_at=now, result_kind=None, result_text=f"known to have left: {how}", found_id=found_id
        )
    )
    if settled.rowcount != 1:  # type: ignore[attr-defined]  # an UPDATE's result counts its rows
        return False
    session.refresh(attempt)
    subject = Subject.of(attempt)
    session.execute(
        update(Mailbox)
        .where(Mailbox.workspace_id == attempt.workspace_id, Mailbox.id == attempt.mailbox_id)
        .values(total_sent=Mailbox.total_sent + 1)
    )
    if attempt.purpose == "reply":
        session.execute(
            update(OutgoingReply)
            .where(OutgoingReply.workspace_id == attempt.workspace_id, OutgoingReply.id == attempt.purpose_key)
            .values(status="sent", error=None, updated_at=now)
        )
        record_event(session, "reply_sent", subject, now, {"settled": how, "replyId": attempt.purpose_key})
    elif attempt.enrollment_id is not None:
        _take_back(session, attempt, subject)
        record_event(session, "sent", subject, now, {"settled": how})
        key = (attempt.workspace_id, attempt.enrollment_id)
        enrollment = session.get(Enrollment, key, with_for_update=True)
        if enrollment is not None:
            _go_on(session, programs, enrollment, attempt, accepted_at, now)
    return True


def settle_late(session: Session, programs: Programs, workspace_id: str, attempt_id: str, now: datetime) -> bool:
    """The server accepted a message whose claim was lost meanwhile; if it was called unknown, it is known now."""
    attempt = session.get(Attempt, (workspace_id, attempt_id))
    if attempt is None:
        return False
    return settle_unknown(session, programs, attempt, now, now, how="its server accepted it after the claim was lost")


def settle_not_sent(session: Session, attempt: Attempt, now: datetime, *, how: str) -> bool:
    """Calls an unknown message not sent, because a person says so: its lead is due now and gets it after all.

    It goes out under the same Message-ID and with the same words. False when it was not unknown (any more).
    """
    session.flush()
    settled = session.execute(
        update(Attempt)
        .where(Attempt.workspace_id == attempt.workspace_id, Attempt.id == attempt.id, Attempt.state == "unknown")
        # The 48 hours of trying begin anew: the time until somebody looked is not the server's.
        .values(
            state="deferred",
            dotted_at=None,
            done_at=None,
            first_try_at=now,
            result_kind="held",
            result_text=f"known not to have left: {how}",
        )
    )
    if settled.rowcount != 1:  # type: ignore[attr-defined]  # an UPDATE's result counts its rows
        return False
    session.refresh(attempt)
    subject = Subject.of(attempt)
    _take_back(session, attempt, subject)
    record_event(session, "not_sent", subject, now, {"settled": how, "reason": UNKNOWN_OUTCOME})
    enrollment = session.get(Enrollment, (attempt.workspace_id, attempt.enrollment_id), with_for_update=True)
    if enrollment is not None and enrollment.hold_reason == UNKNOWN_OUTCOME:
        enrollment.hold_reason = None
        enrollment.queue = queue_for(enrollment.next_step)
        enrollment.sleep_until = None
        enrollment.due_at = now if enrollment.status in RUNNING else None
        enrollment.updated_at = now
    return True


def unknown_step(session: Session, workspace_id: str, campaign_id: str, lead_id: str) -> Attempt:
    """The campaign's message to a lead (by the lead's or the enrollment's id) that is unknown. Raises: NotFound."""
    query = (
        select(Attempt)
        .where(
            Attempt.workspace_id == workspace_id,
            Attempt.campaign_id == campaign_id,
            or_(Attempt.lead_id == lead_id, Attempt.enrollment_id == lead_id),
            Attempt.purpose == "step",
            Attempt.state == "unknown",
        )
        .order_by(Attempt.sending_at.desc())
        .limit(1)
    )
    found = session.scalar(query)
    if found is None:
        raise NotFound(
            "No message of this campaign to this lead has an unknown outcome.", hint="See why with explain_lead."
        )
    return found


def _take_back(session: Session, attempt: Attempt, subject: Subject) -> None:
    """The message counts as unknown no longer, and the events still add up to the counts."""
    events = select(Event).where(
        Event.workspace_id == attempt.workspace_id,
        Event.enrollment_id == attempt.enrollment_id,
        Event.attempt_id == attempt.id,
        Event.kind == "unknown",
    )
    for event in session.scalars(events):
        event.kind = "was_unknown"
        add_count(session, "unknown", subject, event.at, by=-1)
    session.flush()


def _go_on(
    session: Session, programs: Programs, enrollment: Enrollment, attempt: Attempt, accepted_at: datetime, now: datetime
) -> None:
    """The enrollment as it would be had the answer not been lost."""
    continues = attempt.content.get("inReplyTo") is not None
    enrollment.last_accepted_at = accepted_at
    if not continues:
        enrollment.thread_subject = str(attempt.content.get("subject") or "")
    enrollment.thread_ids = [*(enrollment.thread_ids if continues else ()), attempt.found_id or attempt.message_id]
    enrollment.updated_at = now
    if enrollment.hold_reason != UNKNOWN_OUTCOME:
        return
    enrollment.hold_reason = None
    enrollment.queue = QUEUE_FOLLOW_UP
    enrollment.sleep_until = None
    program = programs.of(session.get_one(Campaign, (enrollment.workspace_id, enrollment.campaign_id)))
    # Edits move the last attempted position along, so that it, and not the attempt's own, tells what comes next.
    enrollment.next_step, due_at = onward(program, enrollment.last_step + 1, accepted_at)
    runs = enrollment.status in RUNNING
    enrollment.due_at = due_at if runs else None
    if runs and due_at is None:
        enrollment.status = "completed"
