"""Files that come in before the call that uses them, and files that wait to be fetched."""

from sqlalchemy import BigInteger, Index
from sqlalchemy.orm import Mapped, mapped_column

from postrider.storage.base import Base, Id, Instant, LongText, ShortText


class StoredFile(Base):
    """One file, kept on disk under its id. ``kind``: upload or export. ``state``: open (nothing received yet) or ready.

    ``name`` is untrusted and only for display. ``created_by``, ``actor_kind``, ``client_id``, ``user_id``: the
    credential that made it. ``claim``: who is sending the file just now, until ``claimed_until_ms`` (wall time since
    1970); of an upload that is ready, who sent it, which its file is named by.
    """

    __tablename__ = "stored_files"
    __table_args__ = (Index("ix_stored_files_expires_at", "expires_at"),)

    workspace_id: Mapped[Id] = mapped_column(primary_key=True)
    id: Mapped[Id] = mapped_column(primary_key=True)
    kind: Mapped[ShortText]
    state: Mapped[ShortText]
    name: Mapped[ShortText]
    media_type: Mapped[ShortText]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    created_by: Mapped[Id]
    actor_kind: Mapped[ShortText]
    client_id: Mapped[LongText | None]
    user_id: Mapped[Id]
    created_at: Mapped[Instant]
    expires_at: Mapped[Instant]
    claim: Mapped[Id | None]
    claimed_until_ms: Mapped[int | None] = mapped_column(BigInteger)
