"""Keeping what takes a call back."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from postrider.kernel.context import Actor
from postrider.kernel.ids import new_id
from postrider.kernel.undoing import UndoRecord
from postrider.undo.tables import UndoEntry

UNDO_WITHIN: Final = timedelta(hours=24)


def keep_undo(session: Session, actor: Actor, operation: str, record: UndoRecord, now: datetime) -> str:
    """Keeps the record for a day; the id that undo_operation takes."""
    row = UndoEntry(
        workspace_id=actor.workspace_id,
        id=new_id("und"),
        operation=operation,
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
