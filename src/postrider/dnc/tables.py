"""The do-not-contact list."""

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from postrider.storage.base import Base, Id, Instant, LongText, ShortText


class DncEntry(Base):
    """One address or domain that must not be written to.

    ``value_hash`` is what guards look up; ``value`` is None when only the hash is known (the lead was erased).
    """

    __tablename__ = "dnc_entries"
    __table_args__ = (UniqueConstraint("workspace_id", "value_hash", "kind"),)

    workspace_id: Mapped[Id] = mapped_column(primary_key=True)
    id: Mapped[Id] = mapped_column(primary_key=True)
    kind: Mapped[ShortText]
    value_hash: Mapped[ShortText]
    value: Mapped[ShortText | None]
    reason: Mapped[LongText]
    source: Mapped[ShortText]
    created_at: Mapped[Instant]
