"""Arguments of /v1: from the path, the query and the body, each typed by the operation's input."""

import json
from typing import Any

import httpx

from tests.contract.rest_world import error


def heard(response: httpx.Response) -> Any:
    """What list_things says that it was given."""
    assert response.status_code == 200, response.text
    return json.loads(response.json()["data"][0]["heard"])


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
