"""What calls with an idempotency key answered."""

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from postrider.storage.base import JSON_TYPE, Base, Id, Instant, JsonObject, ShortText


class IdempotencyKey(Base):
    """One key of one credential. ``output`` None: the call is under way, was cut off, or its answer is shown once.

    ``undo_id``: what takes the call back.
    """

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("ix_idempotency_keys_created_at", "created_at"),)

    workspace_id: Mapped[Id] = mapped_column(primary_key=True)
    credential_id: Mapped[Id] = mapped_column(primary_key=True)
    key: Mapped[ShortText] = mapped_column(primary_key=True)
    operation: Mapped[ShortText]
    arguments_hash: Mapped[ShortText]
    state: Mapped[ShortText]
    output: Mapped[JsonObject | None] = mapped_column(JSON_TYPE)
    undo_id: Mapped[Id | None]
    created_at: Mapped[Instant]
