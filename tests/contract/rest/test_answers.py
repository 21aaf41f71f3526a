"""What /v1 answers: envelopes, pages, errors with their statuses, health and figures."""

import httpx
import pytest

from postrider.agents.operations import AgentList
from postrider.doors.http import Binding
from postrider.doors.rest.pages import envelope
from tests.conftest import Installation
from tests.contract.rest_world import error, rest_client


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


BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


async def test_a_browser_at_an_address_without_a_page_is_shown_one(client: httpx.AsyncClient) -> None:
    for path, status in (("/nonsense", 404), ("/people", 404), ("/sign-out", 405), ("/x?y=<b>", 404)):
        shown = await client.get(path, headers=BROWSER)
        assert (shown.status_code, shown.headers["content-type"]) == (status, "text/html; charset=utf-8"), path
        assert '<a class="button" href="/">' in shown.text and "script" not in shown.text
        assert "default-src 'none'" in shown.headers["content-security-policy"]
    assert (await client.get("/sign-out", headers=BROWSER)).headers["allow"] == "POST"
    for accept in ("*/*", "application/json"):
        assert error(await client.get("/sign-out", headers={"Accept": accept}), 405)
    assert error(await client.get("/v1/nowhere", headers=BROWSER), 404)["code"] == "NOT_FOUND"


async def test_unknown_paths_and_methods_answer_in_the_envelope(client: httpx.AsyncClient) -> None:
    assert error(await client.get("/v1/nowhere"), 404)["code"] == "NOT_FOUND"
    assert error(await client.get("/elsewhere"), 404)["code"] == "NOT_FOUND"
    refused = await client.delete("/v1/things/count")
    assert error(refused, 405)["code"] == "METHOD_NOT_ALLOWED" and "GET" in refused.headers["Allow"]
    assert error(await client.post("/healthz"), 405)["details"]["allowed"] == ["GET", "HEAD"]
    refused = await client.put("/u/x")
    assert error(refused, 405)["hint"] == "Use GET, HEAD, POST." and refused.headers["Allow"] == "GET, HEAD, POST"


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
