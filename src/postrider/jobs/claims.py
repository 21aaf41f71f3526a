"""Which engine works on which job. A claim lasts a turn; a dead engine's claims are free again."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from postrider.jobs.states import OPEN
from postrider.jobs.tables import Job
from postrider.storage.leases import wall_ms
from postrider.storage.tables import EngineLease


class JobClaim(NamedTuple):
    """A job in the hands of one engine. A later claim has a higher ``fence``, and voids this one."""

    workspace_id: str
    job_id: str
    owner: str
    fence: int


def claim_job(
    session: Session, owner: str, kinds: Iterable[str], served: Mapping[str, int], now: datetime
) -> JobClaim | None:
    """Claims the oldest job of the workspace that was served longest ago; None when there is nothing to do.

    ``kinds``: those the caller can do (another engine may be newer). ``served``: for each workspace the number of its
    last turn.
    """
    query = (
        select(Job.workspace_id, func.min(Job.id))
        .where(Job.state.in_(OPEN), Job.kind.in_(list(kinds)), _is_free(session, owner))
        .group_by(Job.workspace_id)
    )
    found = session.execute(query).all()
    for workspace_id, job_id in sorted(found, key=lambda row: (served.get(row[0], 0), row[1])):
        claim = claim_one(session, owner, workspace_id, job_id, now)
        if claim is not None:
            return claim
    return None


def claim_one(session: Session, owner: str, workspace_id: str, job_id: str, now: datetime) -> JobClaim | None:
    """Claims this job; None when it has ended or a living engine has it."""
    query = (
        select(Job)
        .where(Job.workspace_id == workspace_id, Job.id == job_id, Job.state.in_(OPEN), _is_free(session, owner))
        .with_for_update(skip_locked=True)
    )
    job = session.scalar(query)
    if job is None:
        return None
    job.state = "running"
    job.lease_owner = owner
    job.fence += 1
    job.updated_at = now
    return JobClaim(workspace_id, job_id, owner, job.fence)


def claimed_job(session: Session, claim: JobClaim) -> Job | None:
    """The job, locked, if the claim still holds and nobody has cancelled it."""
    query = select(Job).where(
        Job.workspace_id == claim.workspace_id,
        Job.id == claim.job_id,
        Job.state == "running",
        Job.lease_owner == claim.owner,
        Job.fence == claim.fence,
    )
    return session.scalar(query.with_for_update())


def release_job(session: Session, claim: JobClaim) -> None:
    """Ends the turn: any engine may go on with the job."""
    job = claimed_job(session, claim)
    if job is not None:
        job.lease_owner = None


def _is_free(session: Session, owner: str) -> ColumnElement[bool]:
    now = wall_ms(session.get_bind().dialect.name)
    alive = select(EngineLease.owner).where(EngineLease.owner == Job.lease_owner, EngineLease.expires_ms > now).exists()
    return or_(Job.lease_owner.is_(None), Job.lease_owner == owner, ~alive)
