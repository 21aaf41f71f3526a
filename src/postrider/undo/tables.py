"""What can be taken back."""

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from postrider.storage.base import Base, Id, Instant, Json, LongText, ShortText


class UndoEntry(Base):
    """How to take one call back, until ``expires_at``. ``payload``: see kernel.undoing.UndoRecord."""

    __tablename__ = "undo_entries"
    __table_args__ = (Index("ix_undo_entries_expires_at", "expires_at"),)

    workspace_id: Mapped[Id] = mapped_column(primary_key=True)
    id: Mapped[Id] = mapped_column(primary_key=True)
    operation: Mapped[ShortText]
    scope: Mapped[ShortText]
    payload: Mapped[Json]
    summary: Mapped[LongText]
    count: Mapped[int]
    credential_id: Mapped[Id]
    user_id: Mapped[Id]
    created_at: Mapped[Instant]
    expires_at: Mapped[Instant]
    undone_at: Mapped[Instant | None]
    undone_by: Mapped[Id | None]
