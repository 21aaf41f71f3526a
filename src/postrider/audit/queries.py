"""Writing down who did what, in the transaction that it belongs to."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

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
