"""Files that come with a request, and jobs whose end the door waits for."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from postrider.jobs.tables import Job
from postrider.kernel.context import Actor
from postrider.settings import Settings
from tests.conftest import Installation
from tests.contract.rest_world import error, rest_client


@pytest.mark.parametrize("path", ["/v1/things/import/csv", "/v1/things/import-csv"])
async def test_a_file_comes_with_typed_fields_and_is_deleted_afterwards(
    client: httpx.AsyncClient, settings: Settings, path: str
) -> None:
    content = b"email,name\r\n" + b"a@b.test,\xff\x00\r\n" * 50_000
    response = await client.post(
        path,
        files={"file": ("../../etc/pass.csv", content, "text/csv")},
        data={"label": "spring", "skipDuplicates": "true", "mapping": '{"Mail": "email"}', "tags": "a,b"},
    )
    got = response.json()["data"]
    assert got["digest"] == hashlib.sha256(content).hexdigest() and got["sizeBytes"] == len(content)
    assert Path(got["path"]).parent == settings.data_dir / "uploads" and not Path(got["path"]).exists()
    assert json.loads(got["arguments"]) == {
        "label": "spring", "skip_duplicates": True, "mapping": {"Mail": "email"}, "tags": ["a", "b"]
    }  # fmt: skip
    assert got["name"] == "../../etc/pass.csv"


async def test_the_same_path_takes_json_without_a_file(client: httpx.AsyncClient) -> None:
    got = (await client.post("/v1/things/import/csv", json={"label": "x"})).json()["data"]
    assert got["digest"] is None and json.loads(got["arguments"])["label"] == "x"


async def test_a_file_under_another_name_or_twice_is_refused(client: httpx.AsyncClient, settings: Settings) -> None:
    other = await client.post("/v1/things/import/csv", files={"csv": ("a.csv", b"x")})
    assert error(other, 400)["details"]["field"] == "file"
    twice = await client.post("/v1/things/import/csv", files=[("file", ("a.csv", b"x")), ("file", ("b.csv", b"y"))])
    error(twice, 400)
    assert list((settings.data_dir / "uploads").iterdir()) == []


async def test_a_broken_multipart_body_leaves_nothing_behind(client: httpx.AsyncClient, settings: Settings) -> None:
    start = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nhalf a fi'
    for sent in (start, b"nonsense", b""):
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        assert (
            "multipart"
            in error(await client.post("/v1/things/import/csv", content=sent, headers=headers), 400)["message"]
        )
    assert list((settings.data_dir / "uploads").iterdir()) == []


async def test_a_file_over_50_mib_is_refused_on_the_way(client: httpx.AsyncClient, settings: Settings) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        while True:
            yield b"x" * 1_048_576

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    response = await client.post("/v1/things/import/csv", content=endless(), headers=headers)
    assert error(response, 413)["details"]["limitBytes"] == 50 * 1024 * 1024
    assert list((settings.data_dir / "uploads").iterdir()) == []


async def test_multipart_is_refused_where_no_file_is_taken(client: httpx.AsyncClient) -> None:
    error(await client.post("/v1/things", files={"file": ("a", b"x")}), 400)


async def finish(installation: Installation, job_id: str, state: str) -> None:
    def work(session: Any) -> None:
        job = session.get_one(Job, (installation.ann.workspace_id, job_id))
        job.state, job.done, job.result = state, 2, {"imported": 2}
        job.error = "The file has no email column." if state == "failed" else None

    await installation.app.database.write(work)


async def test_the_door_waits_for_a_job_and_answers_its_result(installation: Installation) -> None:
    async def run(actor: Actor, job_id: str) -> None:
        await finish(installation, job_id, "finished")

    async with rest_client(installation, run) as client:
        response = await client.post("/v1/things/long")
    assert response.status_code == 200 and response.json() == {"success": True, "data": {"imported": 2}}


async def test_an_engine_elsewhere_may_run_the_job(installation: Installation) -> None:
    async with rest_client(installation) as client:
        asking = asyncio.create_task(client.post("/v1/things/long"))
        job_id = None
        while job_id is None:
            job_id = await installation.app.database.read(lambda s: s.query(Job.id).scalar())
        await finish(installation, job_id, "finished")
        assert (await asking).json()["data"] == {"imported": 2}


async def test_a_failed_job_is_a_conflict_that_says_what_was_kept(installation: Installation) -> None:
    async def run(actor: Actor, job_id: str) -> None:
        await finish(installation, job_id, "failed")

    async with rest_client(installation, run) as client:
        found = error(await client.post("/v1/things/long"), 409)
    assert found["code"] == "JOB_FAILED" and found["message"] == "The file has no email column."
    assert found["details"]["result"] == {"imported": 2}


async def test_a_runner_that_breaks_is_an_incident_and_not_an_endless_wait(installation: Installation) -> None:
    async def run(actor: Actor, job_id: str) -> None:
        raise RuntimeError("no")

    async with rest_client(installation, run) as client:
        error(await client.post("/v1/things/long"), 500)
