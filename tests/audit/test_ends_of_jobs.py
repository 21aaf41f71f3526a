"""The end of a job is a row of its own, in the name of whoever started it."""

from sqlalchemy import update

from postrider.engine.jobs import run_pending
from postrider.jobs.tables import Job
from tests.audit.audit_rig import audit_rows, seal, walked
from tests.conftest import Installation
from tests.features.lead_rig import change, run_job

CSV = "email\na@b.test\n"


async def started(installation: Installation) -> str:
    job_id: str = (await installation.call("import_leads_csv", csv=CSV))["jobId"]
    return job_id


async def test_a_finished_job_has_a_row_that_names_its_start(installation: Installation) -> None:
    job_id = await started(installation)
    assert len((await walked(installation)).open_starts) == 1
    await run_job(installation, job_id)
    start, end = await audit_rows(installation)
    assert (start.outcome, start.job_id, start.started_id) == ("done", job_id, None)
    assert (end.outcome, end.job_id, end.started_id, end.operation) == ("ended", job_id, start.id, "import_leads_csv")
    assert (end.credential_id, end.user_id, end.door) == (start.credential_id, start.user_id, start.door)
    await seal(installation)
    walk = await walked(installation)
    assert (walk.rows, walk.open_starts, walk.first_break) == (2, {}, None)


async def test_a_failed_job_has_a_row_that_says_so(installation: Installation) -> None:
    job_id = await started(installation)
    await change(installation, update(Job).values(cursor={"chunk": 99}))
    app = installation.app
    await run_pending(app.database, app.clock, app.signals, installation.ann.workspace_id, job_id)
    assert (await installation.call("get_job", id=job_id))["state"] == "failed"
    start, end = await audit_rows(installation)
    assert (end.outcome, end.error_code, end.started_id) == ("failed", "JOB_FAILED", start.id)


async def test_the_call_that_cancels_a_job_is_its_end(installation: Installation) -> None:
    job_id = await started(installation)
    await installation.call("cancel_job", id=job_id)
    app = installation.app
    await run_pending(app.database, app.clock, app.signals, installation.ann.workspace_id, job_id)
    start, cancel = await audit_rows(installation)
    assert (cancel.operation, cancel.outcome, cancel.target_id) == ("cancel_job", "done", job_id)
    assert start.job_id == job_id
    assert (await walked(installation)).open_starts == {}
    await seal(installation)
    assert (await walked(installation)).open_starts == {}
