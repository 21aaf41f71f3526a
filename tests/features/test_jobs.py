"""Jobs: cancelling, failing, being killed, taking turns, on both databases."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import pytest
from anyio import fail_after
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from postrider.access.queries import NewOwner
from postrider.engine.jobs import HANDLERS, Handler, JobLoop, Runner
from postrider.engine.rest import Rest
from postrider.jobs.claims import JobClaim, claim_job, claim_one
from postrider.jobs.queries import create_job, new_job_id, store_chunks, sweep_chunks
from postrider.jobs.tables import Job, JobChunk
from postrider.kernel.errors import Conflict, InvalidInput, NotFound
from postrider.leads.imports import BATCH_ROWS
from postrider.leads.tables import Lead
from postrider.storage.leases import take_lease
from postrider.storage.tables import EngineLease
from tests.conftest import START, Installation
from tests.features.lead_rig import Json, enrollments, make_campaign, run_job

ROWS = BATCH_ROWS * 2 + 500
CSV = "email\n" + "".join(f"p{number}@b.test\n" for number in range(ROWS)) + "bad\n"


def runner(installation: Installation) -> Runner:
    app = installation.app
    return Runner(app.database, app.clock, app.signals, HANDLERS)


async def start(installation: Installation, owner: NewOwner | None = None, csv: str = CSV) -> str:
    job_id: str = (await installation.call("import_leads_csv", owner=owner, csv=csv))["jobId"]
    return job_id


async def lease(installation: Installation, owner: str) -> None:
    await installation.app.database.hot(lambda c: take_lease(c, owner, 600))


async def lose_lease(installation: Installation, owner: str) -> None:
    gone = delete(EngineLease).where(EngineLease.owner == owner)
    await installation.app.database.write(lambda s: s.execute(gone) and None)


async def claim(installation: Installation, owner: str, job_id: str) -> JobClaim | None:
    workspace_id = installation.ann.workspace_id
    return await installation.app.database.write(lambda s: claim_one(s, owner, workspace_id, job_id, START))


async def claimed(installation: Installation, owner: str, job_id: str) -> JobClaim:
    found = await claim(installation, owner, job_id)
    assert found is not None
    return found


async def chunks(installation: Installation) -> int:
    query = select(func.count()).select_from(JobChunk)
    return await installation.app.database.read(lambda s: s.scalar(query) or 0)


async def lead_count(installation: Installation) -> int:
    query = select(func.count()).select_from(Lead)
    return await installation.app.database.read(lambda s: s.scalar(query) or 0)


@asynccontextmanager
async def running(installation: Installation, owner: str = "engine-a", **handlers: Handler) -> AsyncIterator[None]:
    """A job loop in the background, under a lease of its own."""
    app, stop = installation.app, asyncio.Event()
    await lease(installation, owner)
    loop = JobLoop(app.database, app.clock, app.signals, owner, Rest(), {**HANDLERS, **handlers})
    task = asyncio.create_task(loop.run(stop))
    try:
        yield
    finally:
        stop.set()
        with fail_after(10):
            await task


async def ended(installation: Installation, job_id: str, owner: NewOwner | None = None) -> Json:
    """The job once it has ended."""
    with fail_after(20):
        while True:
            job: Json = await installation.call("get_job", owner=owner, id=job_id)
            if job["state"] not in ("waiting", "running"):
                return job
            await asyncio.sleep(0.01)


async def test_a_job_shows_how_far_it_has_come(installation: Installation) -> None:
    job_id = await start(installation)
    waiting = await installation.call("get_job", id=job_id)
    assert (waiting["state"], waiting["total"], waiting["done"], waiting["percent"]) == ("waiting", ROWS + 1, 0, 0)
    await lease(installation, "a")
    assert await runner(installation).batch(await claimed(installation, "a", job_id))
    half = await installation.call("get_job", id=job_id)
    assert (half["state"], half["done"], half["percent"]) == ("running", BATCH_ROWS, 39)
    assert half["result"]["imported"] == await lead_count(installation) == BATCH_ROWS
    await lose_lease(installation, "a")
    done = await run_job(installation, job_id)
    assert (done["state"], done["percent"], done["finishedAt"]) == ("finished", 100, "2026-03-02T08:00:00.000Z")


async def test_cancelling_keeps_and_reports_the_finished_batches(installation: Installation) -> None:
    job_id = await start(installation)
    await lease(installation, "a")
    mine = await claimed(installation, "a", job_id)
    await runner(installation).batch(mine)
    cancelled = await installation.call("cancel_job", id=job_id)
    assert (cancelled["state"], cancelled["done"], cancelled["result"]["imported"]) == (
        "cancelled",
        BATCH_ROWS,
        BATCH_ROWS,
    )
    assert await runner(installation).batch(mine) is False
    assert await lead_count(installation) == BATCH_ROWS
    with pytest.raises(Conflict, match="cancelled already"):
        await installation.call("cancel_job", id=job_id)
    assert await chunks(installation) > 0
    async with running(installation, "b"):
        with fail_after(10):
            while await chunks(installation):
                await asyncio.sleep(0.01)


async def test_a_finished_job_cannot_be_cancelled(installation: Installation) -> None:
    job_id = await start(installation, csv="email\na@b.test\n")
    await run_job(installation, job_id)
    with pytest.raises(Conflict, match="finished already"):
        await installation.call("cancel_job", id=job_id)


@pytest.mark.parametrize("batches", [0, 1, 2])
async def test_after_a_kill_another_engine_goes_on_and_counts_no_row_twice(
    installation: Installation, batches: int
) -> None:
    campaign_id = await make_campaign(installation, "active")
    job_id = (await installation.call("import_campaign_leads_csv", id=campaign_id, csv=CSV))["jobId"]
    await lease(installation, "dead")
    lost = await claimed(installation, "dead", job_id)
    for _ in range(batches):
        assert await runner(installation).batch(lost)
    await lease(installation, "b")
    assert await claim(installation, "b", job_id) is None
    await lose_lease(installation, "dead")
    async with running(installation, "b"):
        installation.app.signals.wake("jobs")
        job = await ended(installation, job_id)
    assert job["state"] == "finished"
    assert job["result"]["leads"] == {"created": ROWS, "existing": 0, "failed": 1}
    assert job["result"]["campaign"] == {"added": ROWS, "skipped": 0}
    assert len(await enrollments(installation, campaign_id)) == await lead_count(installation) == ROWS


async def test_an_engine_that_comes_back_late_writes_nothing(installation: Installation) -> None:
    job_id = await start(installation)
    await lease(installation, "late")
    late = await claimed(installation, "late", job_id)
    await lose_lease(installation, "late")
    await lease(installation, "b")
    newer = await claimed(installation, "b", job_id)
    assert newer.fence == late.fence + 1
    assert await runner(installation).batch(late) is False
    assert await lead_count(installation) == 0
    assert await runner(installation).batch(newer) is True
    assert await lead_count(installation) == BATCH_ROWS


async def test_a_batch_and_its_count_are_one_transaction(installation: Installation) -> None:
    def breaks_at_the_end(session: Session, job: Job, now: datetime) -> bool:
        HANDLERS[job.kind].step(session, job, now)
        raise RuntimeError("secret detail")

    job_id = await start(installation)
    await lease(installation, "a")
    app = installation.app
    broken = Runner(app.database, app.clock, app.signals, {"import_leads_csv": Handler(breaks_at_the_end)})
    assert await broken.batch(await claimed(installation, "a", job_id)) is False
    job = await installation.call("get_job", id=job_id)
    assert (job["state"], job["done"], job["result"]["imported"]) == ("failed", 0, 0)
    assert await lead_count(installation) == 0
    assert "incident" in job["error"]
    assert "secret" not in job["error"]


async def test_the_loop_serves_workspaces_in_turn(installation: Installation) -> None:
    first = await start(installation)
    second = await start(installation)
    bobs = await start(installation, installation.bob, "email\nx@bob.test\n")
    served: dict[str, int] = {}
    order: list[str] = []
    for turn in (1, 2, 3):
        found = await installation.app.database.write(lambda s: claim_job(s, "a", HANDLERS, served, START))
        assert found is not None
        order.append(found.job_id)
        served[found.workspace_id] = turn
    ann = [job_id for job_id in order if job_id != bobs]
    assert sorted(order[:2]) == sorted([bobs, ann[0]])
    assert set(ann) <= {first, second}
    async with running(installation):
        for job_id, owner in ((first, None), (second, None), (bobs, installation.bob)):
            assert (await ended(installation, job_id, owner))["state"] == "finished"


async def test_a_committed_job_wakes_the_loop_at_once(installation: Installation) -> None:
    async with running(installation):
        with fail_after(4):
            job = await ended(installation, await start(installation, csv="email\na@b.test\n"))
    assert job["result"]["imported"] == 1


async def test_a_job_of_a_kind_that_this_engine_does_not_know_is_left_alone(installation: Installation) -> None:
    job_id = new_job_id(START)
    await installation.app.database.write(lambda s: _create(s, installation, job_id))
    found = await installation.app.database.write(lambda s: claim_job(s, "a", HANDLERS, {}, START))
    assert found is None


def _create(session: Session, installation: Installation, job_id: str) -> None:
    create_job(
        session,
        workspace_id=installation.ann.workspace_id,
        job_id=job_id,
        kind="of_a_newer_version",
        arguments={},
        result={},
        total=None,
        created_by="key_test",
        now=START,
    )


async def test_pieces_of_a_file_that_never_became_a_job_are_swept_after_a_day(installation: Installation) -> None:
    database, workspace_id = installation.app.database, installation.ann.workspace_id
    fresh, old = new_job_id(START), new_job_id(START - timedelta(days=2))
    waiting = await start(installation, csv="email\na@b.test\n")
    for job_id in (fresh, old):
        await database.write(lambda s, job_id=job_id: store_chunks(s, workspace_id, job_id, 0, [b"x"]))  # type: ignore[misc]
    assert await database.write(lambda s: sweep_chunks(s, START)) == 1
    left = await database.read(lambda s: set(s.scalars(select(JobChunk.job_id))))
    assert left == {fresh, waiting}


@pytest.mark.parametrize("operation", ["get_job", "cancel_job"])
async def test_another_workspaces_job_is_absent(installation: Installation, operation: str) -> None:
    job_id = await start(installation)
    errors = []
    for wanted in (job_id, f"job_{'0' * 26}"):
        with pytest.raises(NotFound) as caught:
            await installation.call(operation, owner=installation.bob, id=wanted)
        errors.append((caught.value.message, caught.value.details))
    assert errors[0] == errors[1]
    assert (await installation.call("get_job", id=job_id))["state"] == "waiting"
    with pytest.raises(InvalidInput, match="not an id"):
        await installation.call(operation, id="1")
