"""How /v1 translates: arguments in, envelopes and statuses out. What operations do is tested elsewhere."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from postrider.agents.operations import AgentList
from postrider.doors.http import Binding
from postrider.doors.rest import body
from postrider.doors.rest.pages import envelope
from postrider.jobs.tables import Job
from postrider.kernel.context import Actor
from postrider.settings import Settings, load_settings
from tests.conftest import Installation
from tests.contract.rest_world import BASE, rest_client


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """SQLite only: the door does not know which database there is."""
    return load_settings({"POSTRIDER_DATA_DIR": str(tmp_path / "data")})


@pytest.fixture
async def client(installation: Installation) -> AsyncIterator[httpx.AsyncClient]:
    async with rest_client(installation) as opened:
        yield opened


def heard(response: httpx.Response) -> Any:
    """What list_things says that it was given."""
    assert response.status_code == 200, response.text
    return json.loads(response.json()["data"][0]["heard"])


def error(response: httpx.Response, status: int) -> Any:
    assert response.status_code == status, response.text
    answer = response.json()
    assert answer["success"] is False
    return answer["error"]


# Arguments


async def test_a_query_is_typed_by_the_input(client: httpx.AsyncClient) -> None:
    got = heard(
        await client.get(
            "/v1/things", params={"limit": "10", "active": "true", "tags": "a, b", "filters": '{"minimum": 3}'}
        )
    )
    assert got["limit"] == 10 and got["active"] is True and got["tags"] == ["a", "b"]
    assert got["filters"] == {"country": None, "minimum": 3}


async def test_a_list_may_also_repeat_its_name_or_be_json(client: httpx.AsyncClient) -> None:
    assert heard(await client.get("/v1/things?tags=a&tags=b,c"))["tags"] == ["a", "b", "c"]
    assert heard(await client.get("/v1/things", params={"tags": '["x,y"]'}))["tags"] == ["x,y"]


async def test_an_empty_query_value_counts_as_absent(client: httpx.AsyncClient) -> None:
    got = heard(await client.get("/v1/things?limit=&search=&active="))
    assert got["limit"] == 25 and got["search"] is None and got["active"] is None


async def test_a_single_value_given_twice_is_refused(client: httpx.AsyncClient) -> None:
    assert error(await client.get("/v1/things?limit=1&limit=2"), 400)["details"]["field"] == "limit"


async def test_a_misfit_names_its_field(client: httpx.AsyncClient) -> None:
    found = error(await client.get("/v1/things?limit=many"), 400)
    assert found["code"] == "VALIDATION_ERROR" and found["details"]["field"] == "limit"


async def test_the_path_wins_over_body_and_query(client: httpx.AsyncClient) -> None:
    response = await client.patch("/v1/things/t1?name=query", json={"id": "other", "name": "body"})
    assert response.json()["data"]["id"] == "t1" and response.json()["data"]["name"] == "body"
    assert response.headers["Postrider-Ignored-Fields"] == "id, name"


async def test_unknown_fields_are_ignored_and_named(client: httpx.AsyncClient) -> None:
    sent = {"name": "n", "workspaceId": "ws_x", "filters": {"minimum": 1, "colour\r\n": 2}}
    response = await client.patch("/v1/things/t1?nonsense=1", json=sent)
    assert response.status_code == 200
    named = set(response.headers["Postrider-Ignored-Fields"].split(", "))
    assert named == {"workspaceId", "filters.colour%0D%0A", "nonsense"}


async def test_literal_paths_win_over_parameters(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/things/count")).json()["data"] == {"heard": "count"}
    assert (await client.get("/v1/things/counts")).json()["data"] == {"heard": "thing counts"}


async def test_an_encoded_slash_stays_inside_its_segment(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/things/a%2Fb%20c")).json()["data"] == {"heard": "thing a/b c"}


async def test_a_path_that_is_no_text_is_refused(client: httpx.AsyncClient) -> None:
    error(await client.get("/v1/things/%ff"), 400)
    error(await client.get("/v1/things/%00"), 400)


# Answers


async def test_an_object_comes_in_the_envelope_with_both_ids(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/things", json={"id": "t1", "customFields": {"id": "theirs"}})
    assert response.status_code == 201
    part = {"id": "part_1", "_id": "part_1", "label": "wheel"}
    assert response.json() == {
        "success": True,
        "data": {
            "id": "t1",
            "_id": "t1",
            "name": "unnamed",
            "parts": [part],
            "mainPart": part,
            "customFields": {"id": "theirs"},
        },
    }


async def test_a_page_comes_with_its_pagination_and_what_else_it_says(client: httpx.AsyncClient) -> None:
    answer = (await client.get("/v1/things?page=2&limit=10")).json()
    assert answer["pagination"] == {
        "page": 2, "limit": 10, "total": 101, "pages": 11, "hasMore": True, "nextCursor": "abc"
    }  # fmt: skip
    assert answer["unread"] == 3 and len(answer["data"]) == 1


async def test_after_a_cursor_there_is_no_page_number(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/things?cursor=abc")).json()["pagination"]["page"] is None


async def test_a_list_of_everything_is_one_page(client: httpx.AsyncClient) -> None:
    answer = (await client.get("/v1/tags")).json()
    assert {tag["name"] for tag in answer["data"]} >= {"interested"}
    assert answer["pagination"] == {
        "page": 1, "limit": 11, "total": 11, "pages": 1, "hasMore": False, "nextCursor": None
    }  # fmt: skip


def test_a_list_without_rows_still_has_a_limit() -> None:
    answer = envelope(AgentList(items=[], total=0), {})
    assert (answer["data"], answer["pagination"]["limit"], answer["pagination"]["pages"]) == ([], 1, 0)


async def test_every_answer_forbids_sniffing_and_storing(client: httpx.AsyncClient) -> None:
    for path in ("/v1/tags", "/v1/nowhere", "/openapi.json", "/healthz"):
        headers = (await client.get(path)).headers
        assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-store"
        assert "Access-Control-Allow-Origin" not in headers


async def test_head_is_get_without_a_body(client: httpx.AsyncClient) -> None:
    response = await client.head("/v1/tags")
    assert response.status_code == 200 and response.content == b""


async def test_options_names_the_methods_without_a_key(client: httpx.AsyncClient) -> None:
    response = await client.options("/v1/things", headers={"X-Api-Key": ""})
    assert response.status_code == 204 and response.headers["Allow"] == "GET, POST, HEAD, OPTIONS"


# Errors


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("input", 400, "VALIDATION_ERROR"),
        ("forbidden", 403, "FORBIDDEN"),
        ("absent", 404, "NOT_FOUND"),
        ("conflict", 409, "PAUSED"),
        ("confirm", 409, "CONFIRMATION_NEEDED"),
        ("limit", 429, "LIMIT_REACHED"),
        ("upstream", 502, "UPSTREAM_ERROR"),
    ],
)
async def test_each_error_has_its_status(client: httpx.AsyncClient, kind: str, status: int, code: str) -> None:
    assert error(await client.get(f"/v1/fail/{kind}"), status)["code"] == code


async def test_an_error_carries_hint_details_and_retry_after(client: httpx.AsyncClient) -> None:
    assert error(await client.get("/v1/fail/input"), 400) == {
        "code": "VALIDATION_ERROR", "message": "Bad name.", "hint": "Shorten it.", "details": {"field": "name"}
    }  # fmt: skip
    limited = await client.get("/v1/fail/limit")
    assert limited.headers["Retry-After"] == "7" and error(limited, 429)["details"] == {"retryAfterSeconds": 7}


async def test_a_bug_is_an_incident_number_and_nothing_else(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/fail/crash")
    found = error(response, 500)
    assert found["code"] == "INTERNAL_ERROR" and found["details"]["incident"] in found["hint"]
    assert "swordfish" not in response.text


async def test_unknown_paths_and_methods_answer_in_the_envelope(client: httpx.AsyncClient) -> None:
    assert error(await client.get("/v1/nowhere"), 404)["code"] == "NOT_FOUND"
    assert error(await client.get("/elsewhere"), 404)["code"] == "NOT_FOUND"
    refused = await client.delete("/v1/things/count")
    assert error(refused, 405)["code"] == "METHOD_NOT_ALLOWED" and "GET" in refused.headers["Allow"]
    assert error(await client.post("/healthz"), 405)["details"]["allowed"] == ["GET", "HEAD"]
    refused = await client.put("/u/x")
    assert error(refused, 405)["hint"] == "Use GET, HEAD, POST." and refused.headers["Allow"] == "GET, HEAD, POST"


# Bodies


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b"{", "not JSON"),
        (b'{"name": "\xff"}', "not UTF-8"),
        (b"[1]", "not an object"),
        (b'{"name": "a", "name": "b"}', "stands twice"),
        (b'{"filters": ' + b"[" * 70 + b"]" * 70 + b"}", "64 deep"),
        (b'{"filters": ' + b"[" * 100_000, "64 deep"),
        (b'{"name": NaN}', "NaN"),
        (b'{"name": 1e999}', "too large"),
        (b'{"name": ' + b"9" * 10_000 + b"}", "too many digits"),
        (b'{"name": "\\u0000"}', "NUL"),
        (b'{"name": "\\ud800"}', "surrogate"),
    ],
)
async def test_a_bad_body_is_refused_in_words(client: httpx.AsyncClient, sent: bytes, words: str) -> None:
    response = await client.post("/v1/things", content=sent, headers={"Content-Type": "application/json"})
    assert words in error(response, 400)["message"]


async def test_a_pair_of_surrogates_is_one_character(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/things", content=b'{"id": "t", "name": "\\ud83d\\ude00"}')
    assert response.json()["data"]["name"] == "😀"


async def test_other_media_types_and_compression_are_refused(client: httpx.AsyncClient) -> None:
    form = await client.post("/v1/things", data={"id": "t"})
    assert "application/x-www-form-urlencoded" in error(form, 400)["message"]
    packed = await client.post("/v1/things", content=b"x", headers={"Content-Encoding": "gzip"})
    assert "Compressed" in error(packed, 400)["message"]


async def test_a_body_over_4_mib_is_refused_announced_or_not(client: httpx.AsyncClient) -> None:
    big = b'{"id": "' + b"x" * 4 * 1024 * 1024 + b'"}'
    assert error(await client.post("/v1/things", content=big), 413)["code"] == "BODY_TOO_LARGE"

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(big), 65_536):
            yield big[start : start + 65_536]

    assert error(await client.post("/v1/things", content=pieces()), 413)["code"] == "BODY_TOO_LARGE"


async def test_a_body_that_stalls_is_given_up(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "IDLE_SECONDS", 0.05)

    async def stalling(start: bytes) -> AsyncIterator[bytes]:
        yield start
        await asyncio.Event().wait()

    for path, content_type, start in (
        ("/v1/things", "application/json", b'{"id": '),
        ("/v1/things/import/csv", "multipart/form-data; boundary=b", b"--b\r\nContent-"),
    ):
        response = await client.post(path, content=stalling(start), headers={"Content-Type": content_type})
        assert error(response, 408)["code"] == "REQUEST_TIMEOUT"


# Credentials and addresses


async def test_the_key_may_come_in_either_header_or_the_same_in_both(
    client: httpx.AsyncClient, installation: Installation
) -> None:
    key = installation.ann.workspace_key.reveal()
    bearer = {"X-Api-Key": "", "Authorization": f"Bearer {key}"}
    del client.headers["X-Api-Key"]
    assert (await client.get("/v1/tags", headers={"Authorization": f"bearer {key}"})).status_code == 200
    assert (await client.get("/v1/tags", headers={**bearer, "X-Api-Key": key})).status_code == 200


async def test_every_bad_credential_gets_the_same_answer_before_the_body_is_read(
    client: httpx.AsyncClient, installation: Installation
) -> None:
    reads = []

    async def noticed() -> AsyncIterator[bytes]:
        reads.append(1)
        yield b"{}"

    good = client.headers.pop("X-Api-Key")
    bodies = set()
    for headers in (
        {},
        {"X-Api-Key": "nonsense"},
        {"X-Api-Key": "sk_0123456789_" + "0" * 32},
        {"X-Api-Key": good[:-1] + ("0" if good[-1] != "0" else "1")},
    ):
        response = await client.post("/v1/things", content=noticed(), headers=headers)
        assert response.status_code == 401 and response.headers["WWW-Authenticate"] == "Bearer"
        bodies.add(response.text)
    assert len(bodies) == 1
    assert reads == []


async def test_two_keys_that_differ_are_told_apart_from_a_bad_one(
    client: httpx.AsyncClient, installation: Installation
) -> None:
    other = {"Authorization": f"Bearer {installation.bob.workspace_key.reveal()}"}
    told = error(await client.get("/v1/tags", headers=other), 401)
    assert "more than one key, and they differ" in told["message"]
    assert "one X-Api-Key or one Authorization: Bearer" in told["hint"]


async def test_two_different_keys_in_one_kind_of_header_are_not_told_of_another_kind(client: httpx.AsyncClient) -> None:
    twice = [("X-Api-Key", "one"), ("X-Api-Key", "two")]
    told = error(await client.get("/v1/tags", headers=twice), 401)
    assert told["message"] == "The request carries more than one key, and they differ."


async def test_a_platform_key_names_its_workspace(client: httpx.AsyncClient, installation: Installation) -> None:
    key = {"X-Api-Key": installation.ann.platform_key.reveal()}
    assert error(await client.get("/v1/tags", headers=key), 400)["details"]["field"] == "X-Workspace-Id"
    own = {**key, "X-Workspace-Id": installation.ann.workspace_id}
    assert (await client.get("/v1/account", headers=own)).json()["data"]["heard"] == installation.ann.user_id
    error(await client.get("/v1/tags", headers={**key, "X-Workspace-Id": installation.bob.workspace_id}), 404)


async def test_a_workspace_key_cannot_do_what_needs_a_platform_key(client: httpx.AsyncClient) -> None:
    assert error(await client.get("/v1/account"), 403)["code"] == "FORBIDDEN"


async def test_guessing_one_key_is_slowed_down_for_that_key_only(client: httpx.AsyncClient) -> None:
    guess = {"X-Api-Key": "sk_0123456789_" + "0" * 32}
    for _ in range(20):
        error(await client.get("/v1/tags", headers=guess), 401)
    limited = await client.get("/v1/tags", headers=guess)
    assert error(limited, 429)["code"] == "LIMIT_REACHED" and int(limited.headers["Retry-After"]) <= 61
    assert (await client.get("/v1/tags")).status_code == 200


async def test_guesses_at_a_key_do_not_lock_it_out(client: httpx.AsyncClient) -> None:
    guess = {"X-Api-Key": client.headers["X-Api-Key"][:-4] + "0000"}
    answers = [(await client.get("/v1/tags", headers=guess)).status_code for _ in range(22)]
    assert answers == [401] * 20 + [429] * 2
    assert (await client.get("/v1/tags")).status_code == 200


@pytest.mark.parametrize("host", ["evil.test", "127.0.0.1.evil.test", "192.168.1.7:8025", "a@127.0.0.1", ""])
async def test_a_foreign_host_is_misdirected_on_loopback(client: httpx.AsyncClient, host: str) -> None:
    assert error(await client.get("/v1/tags", headers={"Host": host}), 421)["code"] == "WRONG_HOST"


@pytest.mark.parametrize("host", ["localhost", "localhost:9", "[::1]:8025", "127.0.0.1"])
async def test_loopback_names_are_ours_on_any_port(client: httpx.AsyncClient, host: str) -> None:
    assert (await client.get("/v1/tags", headers={"Host": host})).status_code == 200


async def test_pages_of_other_sites_may_not_call(client: httpx.AsyncClient) -> None:
    error(await client.get("/v1/tags", headers={"Origin": "https://evil.test"}), 403)
    error(await client.get("/v1/tags", headers={"Origin": "null"}), 403)
    assert (await client.get("/v1/tags", headers={"Origin": BASE})).status_code == 200


async def test_behind_a_proxy_the_public_name_is_ours(tmp_path: Path, installation: Installation) -> None:
    public = load_settings(
        {"POSTRIDER_DATA_DIR": str(tmp_path / "data"), "POSTRIDER_PUBLIC_URL": "https://out.example.com"}
    )
    object.__setattr__(installation.app, "settings", public)
    async with rest_client(installation, binding=Binding("0.0.0.0")) as client:
        for host, status in (("out.example.com", 200), ("10.0.0.7:8025", 200), ("evil.test", 421)):
            response = await client.get("/v1/tags", headers={"Host": host})
            assert response.status_code == status, host
        good = {"Host": "out.example.com", "Origin": "https://out.example.com"}
        assert (await client.get("/v1/tags", headers=good)).status_code == 200


# Files and jobs


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


# Around it


async def test_health_and_readiness(client: httpx.AsyncClient, installation: Installation) -> None:
    anywhere = {"Host": "10.0.0.7"}
    assert (await client.get("/healthz", headers=anywhere)).json()["status"] == "ok"
    ready = await client.get("/readyz", headers=anywhere)
    assert ready.status_code == 200 and ready.json()["database"] == "ok"
    async with rest_client(installation, binding=Binding(engine=True)) as expecting:
        silent = await expecting.get("/readyz")
    assert silent.status_code == 503 and silent.json()["engine"]["alive"] is False


async def test_metrics_count_calls_by_operation_and_outcome(client: httpx.AsyncClient) -> None:
    await client.get("/v1/fail/conflict")
    await client.get("/v1/nowhere/at/all")
    text = (await client.get("/metrics")).text
    assert 'postrider_calls_total{door="v1",operation="fail",outcome="PAUSED"}' in text
    assert 'postrider_calls_total{door="v1",operation="none",outcome="NOT_FOUND"}' in text
    assert "nowhere" not in text
