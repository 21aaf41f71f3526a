"""Who did what: one row for each deed, chained by hash once it is committed."""

from sqlalchemy import Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from postrider.storage.base import Base, Id, Instant, LongText, ShortText


class AuditEvent(Base):
    """One deed. Nothing changes in it but its place in the chain, which the sealer gives it.

    ``outcome``: done; refused, where nothing came of it; failed, where some of it may stand; started or ended.
    ``started_id``: the row of the start that this is the end of. The hashes are hex. ``after_hash`` is of all that was
    written, ``before_hash`` of what stood in rows that were loaded to be changed, and of single statements that change
    or delete rows by a condition, with their values: not of what stood in those. At the end of a call of several
    transactions, they are of all that were committed. ``number``, ``previous_hash`` and ``hash``: its place in the
    chain of the workspace.
    """

    __tablename__ = "audit_events"
    __table_args__ = (
        UniqueConstraint("workspace_id", "number"),
        Index(
            "ix_audit_events_unsealed",
            "workspace_id",
            "id",
            sqlite_where=text("number IS NULL"),
            postgresql_where=text("number IS NULL"),
        ),
        Index(
            "ix_audit_events_jobs",
            "workspace_id",
            "job_id",
            sqlite_where=text("job_id IS NOT NULL"),
            postgresql_where=text("job_id IS NOT NULL"),
        ),
    )

    workspace_id: Mapped[Id] = mapped_column(primary_key=True)
    id: Mapped[Id] = mapped_column(primary_key=True)
    at: Mapped[Instant]
    actor_kind: Mapped[ShortText]
    credential_id: Mapped[Id]
    client_id: Mapped[LongText | None]
    user_id: Mapped[Id]
    door: Mapped[ShortText]
    request_id: Mapped[ShortText | None]
    operation: Mapped[ShortText]
    effect: Mapped[ShortText]
    outcome: Mapped[ShortText]
    error_code: Mapped[ShortText | None]
    target_id: Mapped[ShortText | None]
    started_id: Mapped[Id | None]
    job_id: Mapped[Id | None]
    arguments_hash: Mapped[ShortText]
    before_hash: Mapped[ShortText | None]
    after_hash: Mapped[ShortText | None]
    number: Mapped[int | None]
    previous_hash: Mapped[ShortText | None]
    hash: Mapped[ShortText | None]


class AuditHead(Base):
    """The last link of a workspace's chain: what was cut off behind it would be missed otherwise."""

    __tablename__ = "audit_heads"

    workspace_id: Mapped[Id] = mapped_column(primary_key=True)
    number: Mapped[int]
    hash: Mapped[ShortText]
    sealed_at: Mapped[Instant]
