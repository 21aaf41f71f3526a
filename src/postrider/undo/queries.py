"""Keeping what takes a call back."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select, tuple_
from sqlalchemy.orm import Session

from postrider.kernel.context import Actor
from postrider.kernel.ids import new_id
from postrider.kernel.undoing import UndoRecord
from postrider.undo.tables import UndoEntry

UNDO_WITHIN: Final = timedelta(hours=24)
RESTARTS: Final = "restarts"
"""In a record's payload: how many people campaigns may go on writing to once it is undone."""
RESTARTS_IN: Final = "restarts_in"
"""In a record's payload: the ids of these campaigns."""
_SWEEP: Final = 50


def keep_undo(session: Session, actor: Actor, operation: str, scope: str, record: UndoRecord, now: datetime) -> str:
    """Keeps the record for a day; the id that undo_operation takes. ``scope``: what undoing it needs."""
    sweep_undo(session, now, actor.workspace_id)
    row = UndoEntry(
        workspace_id=actor.workspace_id,
        id=new_id("und"),
        operation=operation,
        scope=scope,
        payload=record.payload,
        summary=record.summary,
        count=record.count,
        credential_id=actor.credential_id,
        user_id=actor.user_id,
        created_at=now,
        expires_at=now + UNDO_WITHIN,
        undone_at=None,
        undone_by=None,
    )
    session.add(row)
    session.flush()
    return row.id


def sweep_undo(session: Session, now: datetime, workspace_id: str | None = None) -> int:
    """Forgets some of what can no longer be undone, for it may hold what somebody wanted deleted; how many.

    ``workspace_id``: of this one only.
    """
    key = tuple_(UndoEntry.workspace_id, UndoEntry.id)
    old = select(UndoEntry.workspace_id, UndoEntry.id).where(UndoEntry.expires_at < now)
    if workspace_id is not None:
        old = old.where(UndoEntry.workspace_id == workspace_id)
    if found := session.execute(old.order_by(UndoEntry.expires_at).limit(_SWEEP)).all():
        session.execute(delete(UndoEntry).where(key.in_(found)))
    return len(found)
