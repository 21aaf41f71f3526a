"""API keys as operations, on both databases: nothing does more than its maker, and what is revoked is refused."""

import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from postrider.access.queries import authenticate_key
from postrider.access.tables import ApiKey
from postrider.audit.tables import AuditEvent
from postrider.dispatch import Call
from postrider.doors.http import http_app
from postrider.kernel.context import ALL_SCOPES, Actor
from postrider.kernel.errors import ConfirmationNeeded, Conflict, Forbidden, InvalidInput, NotFound, Unauthenticated
from postrider.kernel.policy import Caps
from postrider.settings import Settings, load_settings
from tests.conftest import Installation
from tests.people.rig import BASE

READER = {"name": "Reader", "scopes": ["read"]}


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Both databases, as everywhere but in this folder."""
    environment = {"POSTRIDER_DATA_DIR": str(tmp_path / "data")}
    if request.param == "postgresql":
        environment["POSTRIDER_DATABASE_URL"] = request.getfixturevalue("empty_postgres")
        return load_settings(environment)
    loaded = load_settings(environment)
    loaded.data_dir.mkdir(mode=0o700)
    shutil.copy2(request.getfixturevalue("prepared_sqlite"), loaded.sqlite_path)
    return loaded


async def call(installation: Installation, actor: Actor, operation: str, key: Any = None, **arguments: Any) -> Any:
    answer = await installation.app.dispatcher.call(Call(operation, arguments, actor, idempotency_key=key))
    return answer.output.model_dump(mode="json", by_alias=True)


async def known(installation: Installation, secret: str) -> Actor:
    """Who calls with a key."""
    pepper, now = installation.app.vault.derive("api-keys"), installation.clock.now()
    return await installation.app.database.read(
        lambda session: authenticate_key(session, pepper, secret, None, "v1", now)
    )


async def test_a_key_is_shown_once_and_does_what_it_was_made_for(installation: Installation) -> None:
    made = await installation.call(
        "create_api_key", **READER, autonomy="readonly", toolsets=["leads", "tags"], dailySends=5, firstDaySends=2
    )
    actor = await known(installation, made["key"])
    assert (actor.kind, actor.workspace_id) == ("workspace_key", installation.ann.workspace_id)
    assert (actor.scopes, actor.autonomy) == (frozenset({"read"}), "readonly")
    assert actor.toolsets == frozenset({"leads", "tags"})
    assert (actor.caps.daily_sends, actor.caps.first_day_sends) == (5, 2)
    listed = await installation.call("list_api_keys")
    assert made["key"] not in str(listed) and made["id"] == listed["items"][0]["id"]
    assert made["key"].startswith(listed["items"][0]["begins"])
    rows = await installation.app.database.read(lambda s: list(s.scalars(select(ApiKey))))
    assert all(made["key"].rpartition("_")[2] not in f"{row.lookup}{row.digest!r}{row.name}" for row in rows)


async def test_left_out_a_key_asks_first_and_begins_slowly(installation: Installation) -> None:
    made = await installation.call("create_api_key", name="Plain", scopes=["send"])
    assert (made["autonomy"], made["toolsets"], made["dailySends"], made["firstDaySends"]) == (
        "confirm",
        None,
        None,
        100,
    )
    assert (made["expiresAt"], made["status"]) == (None, "active")


async def test_a_key_runs_out(installation: Installation) -> None:
    ends = installation.clock.now() + timedelta(days=1)
    made = await installation.call("create_api_key", **READER, expiresAt=ends.isoformat())
    installation.clock.advance(timedelta(hours=23))
    assert (await known(installation, made["key"])).scopes == {"read"}
    installation.clock.advance(timedelta(hours=1))
    with pytest.raises(Unauthenticated):
        await known(installation, made["key"])
    assert (await installation.call("list_api_keys"))["items"][0]["status"] == "expired"


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "two\nlines"},
        {"name": "x" * 101},
        {"scopes": []},
        {"scopes": ["everything"]},
        {"autonomy": "boundless"},
        {"toolsets": []},
        {"toolsets": ["../x"]},
        {"toolsets": ["leads", "campaign"]},
        {"dailySends": -1},
        {"firstDaySends": 10_000_000},
        {"expiresAt": "2001-01-01T00:00:00Z"},
        {"expiresAt": "2027-01-01T00:00:00"},
        {"workspaceId": "ws_1"},
    ],
)
async def test_what_does_not_fit_makes_no_key(installation: Installation, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        await installation.call("create_api_key", **(READER | wrong))
    assert len((await installation.call("list_api_keys"))["items"]) == 1


STRONGER: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a scope that it lacks": ({"scopes": frozenset({"read", "prepare", "administer"})}, {"scopes": ["send"]}),
    "another one": ({"scopes": frozenset({"read", "prepare", "administer"})}, {"scopes": ["read", "delete"]}),
    "freedom that it lacks": ({"autonomy": "confirm"}, {"autonomy": "free"}),
    "a toolset that it lacks": ({"toolsets": frozenset({"access"})}, {"toolsets": ["access", "leads"]}),
    "a second allowance": ({"caps": Caps(daily_sends=10)}, {"scopes": ["send"], "dailySends": 10}),
    "an allowance without end": ({"caps": Caps(daily_sends=10)}, {"scopes": ["send"]}),
}


@pytest.mark.parametrize("what", STRONGER)
async def test_nobody_makes_a_key_that_may_do_more_than_they(installation: Installation, what: str) -> None:
    less, asked = STRONGER[what]
    actor = replace(installation.actor(), **less)
    with pytest.raises(Forbidden) as refused:
        await call(installation, actor, "create_api_key", **(READER | asked))
    assert refused.value.error_code == "KEY_TOO_STRONG"


async def test_a_narrowed_credential_makes_narrowed_keys(installation: Installation) -> None:
    actor = replace(installation.actor(), toolsets=frozenset({"access", "leads"}))
    made = await call(installation, actor, "create_api_key", **READER)
    assert made["toolsets"] == ["access", "leads"]


@pytest.mark.parametrize("scope", sorted(ALL_SCOPES - {"administer"}))
async def test_without_administer_keys_are_neither_seen_nor_made_nor_revoked(
    installation: Installation, scope: str
) -> None:
    actor = replace(installation.actor(), scopes=ALL_SCOPES - {"administer"} if scope == "send" else frozenset({scope}))
    key_id = (await installation.call("list_api_keys"))["items"][0]["id"]
    for operation, arguments in (
        ("list_api_keys", {}),
        ("create_api_key", READER),
        ("revoke_api_key", {"id": key_id}),
    ):
        with pytest.raises(Forbidden) as refused:
            await call(installation, actor, operation, **arguments)
        assert refused.value.error_code == "INSUFFICIENT_SCOPE"


async def test_an_agent_that_asks_first_needs_a_yes_to_make_a_key(installation: Installation) -> None:
    actor = replace(installation.actor(), autonomy="confirm", door="mcp")
    with pytest.raises(ConfirmationNeeded) as wanted:
        await call(installation, actor, "create_api_key", **READER)
    assert wanted.value.details["facts"]["cause"] == "connect"
    token = wanted.value.details["confirmToken"]
    made = await call(installation, actor, "create_api_key", **READER, confirmToken=token)
    with pytest.raises(ConfirmationNeeded):
        await call(installation, actor, "create_api_key", **READER, confirmToken=token)
    assert made["key"]


async def test_an_idempotency_key_makes_one_key_and_keeps_no_secret(installation: Installation) -> None:
    made = await call(installation, installation.actor(), "create_api_key", "once", **READER)
    with pytest.raises(Conflict) as again:
        await call(installation, installation.actor(), "create_api_key", "once", **READER)
    assert again.value.error_code == "IDEMPOTENT_ANSWER_NOT_KEPT"
    items = (await installation.call("list_api_keys"))["items"]
    assert [item["id"] for item in items].count(made["id"]) == 1 and len(items) == 2


async def test_keys_of_another_workspace_are_not_there(installation: Installation) -> None:
    made = await installation.call("create_api_key", **READER)
    with pytest.raises(NotFound):
        await installation.call("revoke_api_key", owner=installation.bob, id=made["id"])
    assert made["id"] not in str(await installation.call("list_api_keys", owner=installation.bob))
    assert (await known(installation, made["key"])).workspace_id == installation.ann.workspace_id


async def test_making_and_revoking_are_written_down_without_the_key(installation: Installation) -> None:
    made = await installation.call("create_api_key", **READER)
    await installation.call("revoke_api_key", id=made["id"])
    rows = await installation.app.database.read(
        lambda s: list(s.scalars(select(AuditEvent).where(AuditEvent.workspace_id == installation.ann.workspace_id)))
    )
    assert [(row.operation, row.outcome) for row in rows] == [("create_api_key", "done"), ("revoke_api_key", "done")]
    assert made["key"] not in str([vars(row) for row in rows])


@pytest.fixture
async def client(installation: Installation) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(http_app(installation.app))
    headers = {"X-Api-Key": installation.ann.workspace_key.reveal()}
    async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers) as opened:
        yield opened


async def test_at_v1_a_key_is_made_used_and_refused_at_once_when_it_is_revoked(client: httpx.AsyncClient) -> None:
    made = await client.post("/v1/api-keys", json=READER)
    assert made.status_code == 201
    key = made.json()["data"]
    own = {"X-Api-Key": key["key"]}
    assert (await client.get("/v1/tags", headers=own)).status_code == 200
    assert (await client.post("/v1/tags", json={"name": "x"}, headers=own)).status_code == 403
    listed = (await client.get("/v1/api-keys")).json()["data"]
    assert listed[0]["name"] == "Reader" and "key" not in listed[0]
    for _ in range(2):
        revoked = await client.delete(f"/v1/api-keys/{key['id']}")
        assert revoked.status_code == 200 and revoked.json()["data"]["status"] == "revoked"
    assert (await client.get("/v1/tags", headers=own)).status_code == 401
