"""Jobs and the pieces of their files, as the operations that start them and the loop that runs them need them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, insert, select, tuple_
from sqlalchemy.orm import Session

from postrider.jobs.states import ENDED, JobState
from postrider.jobs.tables import Job, JobChunk
from postrider.kernel.errors import NotFound
from postrider.kernel.ids import check_id, new_id
from postrider.storage.base import JsonObject

MAX_CHUNK_BYTES: Final = 1024 * 1024
_ORPHAN_AGE: Final = timedelta(days=1)
_SWEEP: Final = 8
"""Chunks deleted in one transaction: 8 MiB at most."""


def find_job(session: Session, workspace_id: str, job_id: str, *, to_change: bool = False) -> Job:
    """The job; ``to_change`` locks it against others. Raises: InvalidInput, NotFound."""
    check_id(job_id, "job", "id")
    job = session.get(Job, (workspace_id, job_id), with_for_update=to_change or None)
    if job is None:
        raise NotFound("There is no such job.", hint="A job's id is in the answer of the call that started it.")
    return job


def new_job_id(now: datetime) -> str:
    """An id for a job whose chunks are stored before it; ``now`` tells later how old they are."""
    return new_id("job", int(now.timestamp() * 1000))


def store_chunks(session: Session, workspace_id: str, job_id: str, number: int, chunks: Sequence[bytes]) -> None:
    """Keeps pieces of a job's file, the first of them under ``number``. Pieces are numbered from 0."""
    longest = max(map(len, chunks))
    if longest > MAX_CHUNK_BYTES:
        raise ValueError(f"a chunk of {longest} bytes")
    same = {"workspace_id": workspace_id, "job_id": job_id}
    session.execute(
        insert(JobChunk), [same | {"number": place, "data": data} for place, data in enumerate(chunks, number)]
    )


def read_chunk(session: Session, workspace_id: str, job_id: str, number: int) -> bytes | None:
    """A piece of a job's file; None after the last one."""
    return session.scalar(
        select(JobChunk.data).where(
            JobChunk.workspace_id == workspace_id, JobChunk.job_id == job_id, JobChunk.number == number
        )
    )


def drop_chunk(session: Session, workspace_id: str, job_id: str, number: int) -> None:
    """Forgets a piece that has been worked off."""
    session.execute(
        delete(JobChunk).where(
            JobChunk.workspace_id == workspace_id, JobChunk.job_id == job_id, JobChunk.number == number
        )
    )


def create_job(
    session: Session,
    *,
    workspace_id: str,
    job_id: str,
    kind: str,
    arguments: JsonObject,
    result: JsonObject,
    total: int | None,
    created_by: str,
    now: datetime,
) -> Job:
    """A job that waits for an engine. The caller wakes the signal "jobs"."""
    job = Job(
        workspace_id=workspace_id,
        id=job_id,
        kind=kind,
        state="waiting",
        arguments=arguments,
        cursor={},
        total=total,
        done=0,
        result=result,
        error=None,
        created_by=created_by,
        lease_owner=None,
        fence=0,
        created_at=now,
        updated_at=now,
        finished_at=None,
    )
    session.add(job)
    return job


def end_job(job: Job, state: JobState, now: datetime, error: str | None = None) -> None:
    """Ends a job for good; what it has committed so far stays in its result."""
    job.state = state
    job.error = error
    job.lease_owner = None
    job.finished_at = job.updated_at = now


def sweep_chunks(session: Session, now: datetime) -> int:
    """Deletes a few chunks that nobody needs: of ended jobs, and of jobs that never came to be. How many it deleted."""
    oldest = new_job_id(now - _ORPHAN_AGE)
    query = (
        select(JobChunk.workspace_id, JobChunk.job_id, JobChunk.number)
        .outerjoin(Job, (Job.workspace_id == JobChunk.workspace_id) & (Job.id == JobChunk.job_id))
        .where(Job.state.in_(ENDED) | (Job.id.is_(None) & (JobChunk.job_id < oldest)))
        .limit(_SWEEP)
    )
    found = session.execute(query).all()
    if found:
        key = tuple_(JobChunk.workspace_id, JobChunk.job_id, JobChunk.number)
        session.execute(delete(JobChunk).where(key.in_(found)))
    return len(found)
