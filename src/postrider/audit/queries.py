"""Writing down who did what, in the transaction that it belongs to."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from postrider.audit.tables import AuditEvent
from postrider.kernel.context import Actor
from postrider.kernel.ids import new_id

Outcome = Literal["done", "refused", "failed", "started", "ended"]


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing that a credential did or tried. ``error_code`` of what was refused or failed; never its words.

    ``target_id``: the first id in the arguments. ``started_id``: the row of the start that this ends. Hashes are hex.
    """

    actor: Actor
    operation: str
    effect: str
    outcome: Outcome
    arguments_hash: str
    request_id: str | None = None
    error_code: str | None = None
    target_id: str | None = None
    started_id: str | None = None
    job_id: str | None = None
    before_hash: str | None = None
    after_hash: str | None = None


def record(session: Session, deed: Deed, now: datetime) -> str:
    """Adds the row; its id. The sealer chains it after the commit."""
    row = AuditEvent(
        workspace_id=deed.actor.workspace_id,
        id=new_id("aud"),
        at=now,
        actor_kind=deed.actor.kind,
        credential_id=deed.actor.credential_id,
        client_id=deed.actor.client_id,
        user_id=deed.actor.user_id,
        door=deed.actor.door,
        request_id=deed.request_id,
        operation=deed.operation,
        effect=deed.effect,
        outcome=deed.outcome,
        error_code=deed.error_code,
        target_id=deed.target_id,
        started_id=deed.started_id,
        job_id=deed.job_id,
        arguments_hash=deed.arguments_hash,
        before_hash=deed.before_hash,
        after_hash=deed.after_hash,
        number=None,
        previous_hash=None,
        hash=None,
    )
    session.add(row)
    session.flush()
    return row.id


def record_job_end(
    session: Session, workspace_id: str, job_id: str, outcome: Literal["ended", "failed"], now: datetime
) -> None:
    """Adds the end of a job, in the name of whoever started it; nothing for a job that no call has started."""
    started = session.scalar(
        select(AuditEvent)
        .where(AuditEvent.workspace_id == workspace_id, AuditEvent.job_id == job_id, AuditEvent.started_id.is_(None))
        .order_by(AuditEvent.id)
        .limit(1)
    )
    if started is None:
        return
    copied = {column.name: getattr(started, column.name) for column in AuditEvent.__table__.c}
    copied |= {"id": new_id("aud"), "at": now, "outcome": outcome, "started_id": started.id}
    copied |= {"error_code": "JOB_FAILED" if outcome == "failed" else None, "request_id": None}
    copied |= {"before_hash": None, "after_hash": None, "number": None, "previous_hash": None, "hash": None}
    session.add(AuditEvent(**copied))
