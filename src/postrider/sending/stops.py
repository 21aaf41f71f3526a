"""What stops a lead for good: bounces, complaints, unsubscribing, replies. Used by sender, receiver and pages."""

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, select, update
from sqlalchemy.orm import Session

from postrider.access.queries import lock_workspace
from postrider.campaigns.endings import Stop
from postrider.campaigns.enrollments import end_enrollment
from postrider.campaigns.states import RUNNING
from postrider.campaigns.tables import Enrollment
from postrider.dnc.queries import add_entries
from postrider.dnc.rules import DncKey, DncSource
from postrider.kernel.vault import Vault
from postrider.leads.tables import Lead
from postrider.mailboxes.tables import Mailbox
from postrider.sending.events import Subject, record_event
from postrider.sending.tables import Attempt, OutgoingReply

Leaving = Literal["unsubscribed", "complained"]


def bounce_lead(
    connection: Connection | Session, vault: Vault, subject: Subject, email: str, text: str, now: datetime
) -> None:
    """A hard bounce: the address goes on the do-not-contact list and the lead stops everywhere."""
    suppress(connection, vault, subject.workspace_id, email, source="bounce", reason=f"bounced: {text}"[:500], now=now)
    stop_lead(connection, subject.workspace_id, email, "bounced", Stop("bounced", text), now, bounced_at=now)
    if subject.mailbox_id is not None:
        connection.execute(
            update(Mailbox)
            .where(Mailbox.workspace_id == subject.workspace_id, Mailbox.id == subject.mailbox_id)
            .values(total_bounced=Mailbox.total_bounced + 1)
        )
    record_event(connection, "bounced", subject, now, {"text": text[:500]})


def suppress(
    connection: Connection | Session,
    vault: Vault,
    workspace_id: str,
    email: str,
    *,
    source: DncSource,
    reason: str,
    now: datetime,
) -> None:
    """Puts an address on the do-not-contact list and cancels the replies that wait to be sent to it."""
    lock_workspace(connection, workspace_id)
    add_entries(connection, vault, workspace_id, [DncKey("email", email)], reason=reason, source=source, now=now)
    leads = select(Lead.id).where(Lead.workspace_id == workspace_id, Lead.email == email)
    theirs = select(Enrollment.id).where(Enrollment.workspace_id == workspace_id, Enrollment.lead_id.in_(leads))
    connection.execute(
        update(OutgoingReply)
        .where(
            OutgoingReply.workspace_id == workspace_id,
            OutgoingReply.status == "pending",
            OutgoingReply.enrollment_id.in_(theirs),
        )
        .values(status="cancelled", error=reason, updated_at=now)
    )


def unsubscribe_lead(
    session: Session, vault: Vault, workspace_id: str, email: str, now: datetime, *, how: str, attempt: Attempt | None
) -> None:
    """The person with that address wants no more mail: listed, stopped everywhere, and counted once.

    ``attempt``: the message that brought it about; None takes the last one sent to the address.
    """
    suppress(session, vault, workspace_id, email, source="unsubscribe", reason=f"unsubscribed: {how}", now=now)
    _leave(session, workspace_id, email, now, how=how, kind="unsubscribed", attempt=attempt)


def complain_lead(session: Session, vault: Vault, email: str, now: datetime, *, attempt: Attempt) -> None:
    """The person with that address called ``attempt`` spam: listed and stopped everywhere."""
    suppress(
        session, vault, attempt.workspace_id, email, source="complaint", reason="complained about a message", now=now
    )
    _leave(session, attempt.workspace_id, email, now, how="complaint", kind="complained", attempt=attempt)


def _leave(
    session: Session,
    workspace_id: str,
    email: str,
    now: datetime,
    *,
    how: str,
    kind: Leaving,
    attempt: Attempt | None,
) -> None:
    """Ends all enrollments of an address, and records why for the one whose message brought it about."""
    attempt = attempt or _last_attempt(session, workspace_id, email)
    cause = None
    if attempt is not None and attempt.enrollment_id is not None:
        cause = session.get(Enrollment, (workspace_id, attempt.enrollment_id), with_for_update=True)
    is_news = cause is not None and (cause.unsubscribed_at is None or kind == "complained")
    stop = Stop(kind, how)
    stop_lead(session, workspace_id, email, "unsubscribed", stop, now, unsubscribed_at=now)
    if cause is None or attempt is None or not is_news:
        return
    if cause.status in ("completed", "replied", "stopped"):
        end_enrollment(cause, "unsubscribed", stop, now)
    cause.unsubscribed_at = cause.unsubscribed_at or now
    cause.updated_at = now
    record_event(session, kind, Subject.of(attempt), now, {"how": how})


def _last_attempt(session: Session, workspace_id: str, email: str) -> Attempt | None:
    query = select(Attempt).where(
        Attempt.workspace_id == workspace_id, Attempt.recipient == email, Attempt.enrollment_id.is_not(None)
    )
    return session.scalars(query.order_by(Attempt.sending_at.desc()).limit(1)).one_or_none()


def stop_lead(
    connection: Connection | Session,
    workspace_id: str,
    email: str,
    status: str,
    stop: Stop,
    now: datetime,
    **columns: Any,
) -> None:
    """Ends every running enrollment of the lead with that address."""
    lead = select(Lead.id).where(Lead.workspace_id == workspace_id, Lead.email == email).scalar_subquery()
    connection.execute(
        update(Enrollment)
        .where(Enrollment.workspace_id == workspace_id, Enrollment.lead_id == lead, Enrollment.status.in_(RUNNING))
        .values(status=status, due_at=None, updated_at=now, **stop.columns(), **columns)
    )


def stop_company(
    connection: Connection | Session, workspace_id: str, campaign_id: str, domain: str, stop: Stop, now: datetime
) -> None:
    """Ends the running enrollments of everybody of one company (registrable domain) in one campaign."""
    colleagues = select(Lead.id).where(Lead.workspace_id == workspace_id, Lead.company_domain == domain)
    connection.execute(
        update(Enrollment)
        .where(
            Enrollment.workspace_id == workspace_id,
            Enrollment.campaign_id == campaign_id,
            Enrollment.lead_id.in_(colleagues),
            Enrollment.status.in_(RUNNING),
        )
        .values(status="stopped", due_at=None, updated_at=now, **stop.columns())
    )
