"""Waiting for a job to end, for callers that want its result and not its id."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from postrider.dispatch import Call, Dispatcher
from postrider.doors.installation import RunJob
from postrider.jobs.states import ENDED
from postrider.kernel.context import Actor
from postrider.kernel.errors import Conflict

LONGEST_SECONDS: Final = 600.0
_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 1.0

Watch = Callable[["JobView"], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as get_job shows it; ``fields`` is all of that."""

    state: str
    done: int
    total: int | None
    fields: dict[str, Any]

    @property
    def ended(self) -> bool:
        """Whether it will not change any more."""
        return self.state in ENDED

    def result(self) -> dict[str, Any]:
        """What the finished job gave. Raises: Conflict when it failed or was cancelled."""
        result: dict[str, Any] = self.fields["result"]
        if self.state == "finished":
            return result
        message = self.fields["error"] or f"The job was {self.state}."
        raise Conflict(
            message,
            code=f"JOB_{self.state.upper()}",
            hint="What was committed before stays; details.result says what that is.",
            details={"jobId": self.fields["id"], "result": result},
        )


async def keep_waiting(_: JobView) -> bool:
    """The watch of a caller who waits as long as it takes."""
    return True


async def wait_for_job(
    dispatcher: Dispatcher,
    actor: Actor,
    job_id: str,
    *,
    run_job: RunJob | None = None,
    watch: Watch = keep_waiting,
    longest_seconds: float = LONGEST_SECONDS,
) -> JobView:
    """The job once it has ended; or as it was when time ran out or ``watch`` (called at each look) answered False.

    ``run_job``: runs it meanwhile in this process, unless an engine has it; else an engine does, here or elsewhere.
    """
    runner = None if run_job is None else asyncio.ensure_future(run_job(actor, job_id))
    end, pause = time.monotonic() + longest_seconds, _FIRST_PAUSE
    try:
        while True:
            view = await _look(dispatcher, actor, job_id)
            if view.ended or not await watch(view) or time.monotonic() >= end:
                return view
            if run_job is not None and runner is not None and runner.done():
                # An engine had it, and may have died since.
                runner.result()
                runner = asyncio.ensure_future(run_job(actor, job_id))
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)
    finally:
        if runner is not None:
            # Waited for, so that it gives back what it had claimed before the caller closes the database.
            runner.cancel()
            await asyncio.wait({runner})


def job_id_of(output: BaseModel) -> str:
    """The id of the job that an operation started."""
    job_id = getattr(output, "job_id", None)
    if not isinstance(job_id, str):
        raise TypeError(f"{type(output).__name__} has no job_id to wait for")
    return job_id


async def _look(dispatcher: Dispatcher, actor: Actor, job_id: str) -> JobView:
    answer = await dispatcher.call(Call("get_job", {"id": job_id}, actor))
    fields = answer.output.model_dump(mode="json", by_alias=True)
    return JobView(fields["state"], fields["done"], fields["total"], fields)
