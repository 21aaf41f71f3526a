"""Whose request it is: keys, guesses at keys, and the names that the server answers to."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from postrider.doors.http import Binding
from postrider.settings import load_settings
from tests.conftest import Installation
from tests.contract.rest_world import BASE, error, rest_client


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
