"""Long work: how far a job has come, and stopping it."""

from datetime import datetime
from typing import Annotated, cast

from pydantic import Field

from postrider.jobs.queries import end_job, find_job
from postrider.jobs.states import OPEN, JobState
from postrider.jobs.tables import Job
from postrider.kernel.context import Context
from postrider.kernel.errors import Conflict
from postrider.kernel.operation import Effect, Input, Output, Rest, UntrustedJson, UntrustedText, operation


class JobInput(Input):
    """Names one job."""

    id: Annotated[str, Field(max_length=40, description="jobId of the answer that started the job (job_…).")]


class JobOut(Output):
    """One job. ``done`` of ``total`` rows are committed; ``result`` grows with them and stays after a cancel."""

    id: str
    kind: str
    state: JobState
    total: int | None
    done: int
    percent: int | None
    result: UntrustedJson
    error: UntrustedText | None
    created_at: datetime
    finished_at: datetime | None


class JobStarted(Output):
    """A job that goes on in the background. ``total``: rows to work through."""

    job_id: str
    state: JobState
    total: int | None


def job_out(job: Job) -> JobOut:
    """The job as callers see it."""
    return JobOut(
        id=job.id,
        kind=job.kind,
        state=cast("JobState", job.state),
        total=job.total,
        done=job.done,
        percent=_percent(job),
        result=job.result,
        error=job.error,
        created_at=job.created_at,
        finished_at=job.finished_at,
    )


def _percent(job: Job) -> int | None:
    if job.state == "finished":
        return 100
    return None if job.total is None else job.done * 100 // max(job.total, 1)


@operation(
    title="Get a job",
    keywords="finished ready loading percent rows failed errors background result broken",
    effect=Effect.READ,
    short=True,
    rest=Rest("GET", "/v1/jobs/{id}"),
    core=True,
)
def get_job(ctx: Context, request: JobInput) -> JobOut:
    """Look at an import or other long work: its state, how many rows are done, and what has come of them so far.

    States: waiting, running, finished, failed, cancelled. While it is waiting or running, ask again after a few
    seconds. When it is finished, result holds the counts and the rows that were refused; when it failed, error says
    why, and what result counts has been kept.
    """
    return job_out(find_job(ctx.session, ctx.workspace_id, request.id))


@operation(
    title="Cancel a job",
    keywords="wrong file loading background running process working interrupt midway",
    effect=Effect.WRITE,
    rest=Rest("POST", "/v1/jobs/{id}/cancel"),
)
def cancel_job(ctx: Context, request: JobInput) -> JobOut:
    """Stop an import or other long work. It stops at once, between two batches.

    Batches that are finished stay, and result counts them; nothing is undone. To get the rest later, start the same
    import again: rows that are there already are skipped. A job that has ended cannot be cancelled (conflict).
    """
    job = find_job(ctx.session, ctx.workspace_id, request.id, to_change=True)
    if job.state not in OPEN:
        raise Conflict(
            f"The job is {job.state} already.", hint="Look at its result with get_job.", details={"state": job.state}
        )
    end_job(job, "cancelled", ctx.now)
    # The loop also sweeps up what is left of the job's file.
    ctx.wake("jobs")
    return job_out(job)
