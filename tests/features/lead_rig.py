"""Leads, campaigns and jobs made by the shortest way, for the tests of all three."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import select, update

from postrider.access.queries import NewOwner
from postrider.campaigns.tables import Campaign, Enrollment
from postrider.dispatch import Call
from postrider.engine.jobs import run_pending
from postrider.kernel.context import UploadedFile
from tests.conftest import Installation

Json = dict[str, Any]
SEQUENCE = [
    {"type": "email", "subject": "Hi", "body": "First"},
    {"type": "wait", "waitDays": 3},
    {"type": "email", "subject": "", "body": "Second"},
]


async def run_job(installation: Installation, job_id: str, owner: NewOwner | None = None) -> Json:
    """The job after it has been run to its end."""
    app, workspace_id = installation.app, (owner or installation.ann).workspace_id
    await run_pending(app.database, app.clock, app.signals, workspace_id, job_id)
    job: Json = await installation.call("get_job", owner=owner, id=job_id)
    return job


async def import_csv(installation: Installation, operation: str, csv: str, **arguments: Any) -> Json:
    """The result of a finished import."""
    started = await installation.call(operation, csv=csv, **arguments)
    job = await run_job(installation, started["jobId"])
    assert job["state"] == "finished", job["error"]
    result: Json = job["result"]
    return result


async def call_with_file(installation: Installation, operation: str, path: Path, **arguments: Any) -> Json:
    """The output of a call that a file came with."""
    file = UploadedFile(path, "leads.csv", path.stat().st_size)
    call = Call(operation, arguments, installation.actor(), files={"file": file})
    output: Json = (await installation.app.dispatcher.call(call)).output.model_dump(mode="json", by_alias=True)
    return output


async def call_locally(installation: Installation, operation: str, **arguments: Any) -> Json:
    """The output of a call by the owner of the machine."""
    call = Call(operation, arguments, replace(installation.actor(), kind="local"))
    output: Json = (await installation.app.dispatcher.call(call)).output.model_dump(mode="json", by_alias=True)
    return output


async def make_campaign(installation: Installation, status: str = "draft", owner: NewOwner | None = None) -> str:
    """The id of a campaign of two emails in ``status``."""
    campaign_id: str = (await installation.call("create_campaign", owner=owner, name="C", sequence=SEQUENCE))["id"]
    await change(installation, update(Campaign).where(Campaign.id == campaign_id).values(status=status))
    return campaign_id


async def change(installation: Installation, statement: Any) -> None:
    """Runs one statement."""
    await installation.app.database.write(lambda s: s.execute(statement) and None)


async def enrollments(installation: Installation, campaign_id: str) -> list[Enrollment]:
    """The campaign's enrollments in the order of their ids."""
    query = select(Enrollment).where(Enrollment.campaign_id == campaign_id).order_by(Enrollment.id)
    return await installation.app.database.read(lambda s: list(s.scalars(query)))


async def campaign_row(installation: Installation, campaign_id: str) -> Campaign:
    """The campaign as it is stored."""
    query = select(Campaign).where(Campaign.id == campaign_id)
    return await installation.app.database.read(lambda s: s.scalars(query).one())
