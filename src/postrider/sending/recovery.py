"""After a crash: what a dead engine had claimed goes back to the queue, or is called unknown.

``sending`` without the second marker: nothing can have been accepted; it may be tried again under its Message-ID.
``dotted``: it may have been accepted, so it is never sent again by itself.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select, true
from sqlalchemy.orm import Session

from postrider.campaigns.states import QUEUE_HELD
from postrider.campaigns.tables import Enrollment
from postrider.sending.events import Subject, record_event
from postrider.sending.tables import Attempt
from postrider.sending.usage import give_all_back

BATCH = 200


class Recovered(NamedTuple):
    """How many sends went back to the queue, and how many are unknown."""

    returned: int
    unknown: int


def recover_batch(
    session: Session, owners: Sequence[str], now: datetime, only: Sequence[str] | None = None
) -> Recovered:
    """Takes over at most one batch of what ``owners`` had claimed; call again until nothing is recovered.

    ``only``: these enrollments, of an engine that lives on but lost track of them.
    """
    query = (
        select(Enrollment)
        .where(Enrollment.lease_owner.in_(owners), Enrollment.id.in_(only) if only is not None else true())
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    enrollments = session.scalars(query).all()
    attempts = _attempts(session, enrollments)
    dotted = {key for key, attempt in attempts.items() if attempt.state == "dotted"}
    returned = [row for row in enrollments if row.id not in dotted]
    claims = [(row.workspace_id, row.campaign_id, row.claim) for row in returned if row.claim is not None]
    give_all_back(session, claims)
    for enrollment in returned:
        _return(session, enrollment, attempts.get(enrollment.id), now)
    for enrollment in enrollments:
        if enrollment.id in dotted:
            _call_unknown(session, enrollment, attempts[enrollment.id], now)
    return Recovered(len(returned), len(dotted))


def claims_of(session: Session, owner: str) -> list[str]:
    """The enrollments that ``owner`` has claimed."""
    return list(session.scalars(select(Enrollment.id).where(Enrollment.lease_owner == owner)))


def _attempts(session: Session, enrollments: Sequence[Enrollment]) -> dict[str, Attempt]:
    """What is under way for ``enrollments``, by their ids.

    Read after these were locked, in a statement of its own: a second marker that was being committed meanwhile is seen.
    """
    owners = {row.id: row.lease_owner for row in enrollments}
    query = select(Attempt).where(
        Attempt.workspace_id.in_({row.workspace_id for row in enrollments}),
        Attempt.lease_owner.in_(set(owners.values())),
        Attempt.enrollment_id.in_(list(owners)),
        Attempt.purpose == "step",
    )
    found = session.scalars(query).all() if enrollments else ()
    return {
        row.enrollment_id: row
        for row in found
        if row.enrollment_id is not None and owners[row.enrollment_id] == row.lease_owner
    }


def _call_unknown(session: Session, enrollment: Enrollment, attempt: Attempt, now: datetime) -> None:
    attempt.state = "unknown"
    attempt.done_at = now
    attempt.result_kind = "unknown"
    attempt.result_text = "the program ended after the message was handed over and before the answer was noted"
    attempt.lease_owner = None
    enrollment.mailbox_id = attempt.mailbox_id
    enrollment.queue = QUEUE_HELD
    enrollment.hold_reason = "unknown_outcome"
    _free(enrollment, now)
    session.flush()
    record_event(session, "unknown", _subject(enrollment, attempt), now, {"text": "engine ended"})


def _return(session: Session, enrollment: Enrollment, attempt: Attempt | None, now: datetime) -> None:
    if attempt is not None:
        attempt.state = "deferred"
        attempt.lease_owner = None
    _free(enrollment, now)
    session.flush()


def _free(enrollment: Enrollment, now: datetime) -> None:
    # The fence rises, so that a stopped engine that wakes up again finds every one of its writes refused.
    enrollment.fence += 1
    enrollment.lease_owner = None
    enrollment.claim = None
    enrollment.updated_at = now


def _subject(enrollment: Enrollment, attempt: Attempt) -> Subject:
    return Subject(
        workspace_id=enrollment.workspace_id,
        campaign_id=enrollment.campaign_id,
        enrollment_id=enrollment.id,
        lead_id=enrollment.lead_id,
        mailbox_id=attempt.mailbox_id,
        attempt_id=attempt.id,
        step_id=attempt.step_id,
        variant=attempt.variant,
    )
