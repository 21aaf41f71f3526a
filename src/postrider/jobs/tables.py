"""Long work, done batch by batch, each batch in one transaction with its watermark."""

from sqlalchemy import Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from postrider.storage.base import Base, Id, Instant, Json, LongText, ShortText


class Job(Base):
    """One piece of long work. ``state``: waiting, running, finished, failed or cancelled.

    ``done`` units of ``total`` are committed; ``cursor`` is where the next batch starts; ``result`` grows with each
    batch and stays when the job is cancelled.
    """

    __tablename__ = "jobs"
    __table_args__ = (Index("ix_jobs_state", "state", "created_at"), Index("ix_jobs_lease", "lease_owner"))

    workspace_id: Mapped[Id] = mapped_column(primary_key=True)
    id: Mapped[Id] = mapped_column(primary_key=True)
    kind: Mapped[ShortText]
    state: Mapped[ShortText]
    arguments: Mapped[Json]
    cursor: Mapped[Json]
    total: Mapped[int | None]
    done: Mapped[int]
    result: Mapped[Json]
    error: Mapped[LongText | None]
    created_by: Mapped[ShortText]
    lease_owner: Mapped[ShortText | None]
    fence: Mapped[int]
    created_at: Mapped[Instant]
    updated_at: Mapped[Instant]
    finished_at: Mapped[Instant | None]


class JobChunk(Base):
    """A piece (at most 1 MiB) of the file that a job works on; deleted when the job ends."""

    __tablename__ = "job_chunks"

    workspace_id: Mapped[Id] = mapped_column(primary_key=True)
    job_id: Mapped[Id] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    data: Mapped[bytes] = mapped_column(LargeBinary)
