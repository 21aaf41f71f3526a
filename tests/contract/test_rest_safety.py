"""/v1 and acting safely: the confirm token, idempotency keys, undo ids and request ids, on both databases."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import anyio.lowlevel
import httpx
import pytest
from sqlalchemy import select, update

from postrider.access.tables import ApiKey
from postrider.audit.tables import AuditEvent
from postrider.campaigns.tables import Campaign
from postrider.catalogue import Catalogue, load_catalogue
from postrider.dispatch import Dispatcher
from postrider.doors.http import http_app
from postrider.doors.rest.headers import IGNORED_HEADER
from postrider.doors.rest.openapi import write_openapi
from postrider.jobs.tables import Job
from postrider.kernel.context import Context
from postrider.kernel.operation import ATTRIBUTE, Effect, Input, Output, Rest, operation
from postrider.kernel.policy import Facts
from postrider.kernel.undoing import Undone, UndoRecord
from postrider.sending.tables import OutgoingReply
from tests.conftest import Installation
from tests.features.campaign_rig import SEQUENCE, running_campaign
from tests.features.inbox_world import inbox
from tests.features.safety_rig import count


class Thing(Input):
    id: str
    thoroughly: bool = False


class Gone(Output):
    id: str


def thing_facts(ctx: Context, request: Thing) -> Facts:
    """What is lost."""
    return Facts(f"{request.id} is lost.", request.id, "1", "destroy", 1)


def bring_back(ctx: Context, payload: dict[str, Any]) -> Undone:
    """Brings it back."""
    return Undone(restored=1, kept={})


@operation(
    title="Destroy",
    effect=Effect.DESTRUCTIVE,
    rest=Rest("DELETE", "/v1/destroyed/{id}"),
    confirm=thing_facts,
    undo=bring_back,
)
def destroy(ctx: Context, request: Thing) -> Gone:
    """Destroys a thing, until it is brought back."""
    ctx.undoable(UndoRecord({"id": request.id}, f"{request.id} comes back", 1))
    return Gone(id=request.id)


@pytest.fixture
async def world(installation: Installation) -> Installation:
    """The installation with the operation above."""
    app = installation.app
    catalogue = Catalogue([*load_catalogue(), getattr(destroy, ATTRIBUTE)])
    dispatcher = Dispatcher(catalogue, app.database, app.settings, app.vault, app.clock, app.signals, app.ports)
    return replace(installation, app=replace(app, dispatcher=dispatcher))


@pytest.fixture
async def client(world: Installation) -> AsyncIterator[httpx.AsyncClient]:
    """Ann's workspace key; free, as `init` makes it."""
    transport = httpx.ASGITransport(http_app(world.app))
    headers = {"X-Api-Key": world.ann.workspace_key.reveal()}
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8025", headers=headers) as client:
        yield client


@pytest.fixture
async def confirming(world: Installation, client: httpx.AsyncClient) -> httpx.AsyncClient:
    """The same, with a key that has to confirm."""
    await world.app.database.write(lambda session: session.execute(update(ApiKey).values(autonomy="confirm")))
    return client


def token_of(answer: httpx.Response) -> str:
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (409, "CONFIRMATION_NEEDED"), answer.text
    assert error["details"]["facts"]["summary"] in error["message"]
    return str(error["details"]["confirmToken"])


async def test_a_token_in_the_body_is_the_yes(world: Installation, confirming: httpx.AsyncClient) -> None:
    _, [conversation_id] = await inbox(world)
    path, reply = f"/v1/inbox/{conversation_id}/reply", {"body": "Hello"}
    token = token_of(await confirming.post(path, json=reply))
    sent = await confirming.post(path, json={**reply, "confirmToken": token})
    assert sent.status_code == 200 and IGNORED_HEADER not in sent.headers
    again = token_of(await confirming.post(path, json={**reply, "confirmToken": token}))
    swapped = await confirming.post(path, json={"body": "Other", "confirmToken": again})
    assert token_of(swapped) != again
    assert await count(world, OutgoingReply) == 1


async def test_a_delete_takes_it_in_the_body_or_the_query(confirming: httpx.AsyncClient) -> None:
    path = "/v1/destroyed/thing_1"
    token = token_of(await confirming.delete(path))
    gone = await confirming.request("DELETE", path, json={"confirmToken": token})
    assert (gone.status_code, gone.headers.get(IGNORED_HEADER)) == (200, None)
    token = token_of(await confirming.delete(path, params={"thoroughly": "true"}))
    assert token_of(await confirming.delete(path, params={"confirmToken": token})) != token, "to another call"
    gone = await confirming.delete(path, params={"thoroughly": "true", "confirmToken": token})
    assert (gone.status_code, gone.headers.get(IGNORED_HEADER)) == (200, None)
    assert token_of(await confirming.delete(path, params={"confirmToken": ""}))


async def test_a_form_with_a_file_takes_it_too_and_is_bound_to_the_file(
    world: Installation, confirming: httpx.AsyncClient
) -> None:
    campaign = await running_campaign(world, SEQUENCE)
    path = f"/v1/campaigns/{campaign['id']}/leads/import/csv"

    async def send(text: str, **fields: str) -> httpx.Response:
        return await confirming.post(path, data=fields, files={"file": ("leads.csv", text.encode(), "text/csv")})

    token = token_of(await send("email\na@acme.test\n"))
    assert token_of(await send("email\nz@evil.test\n", confirmToken=token)) != token
    assert await count(world, Job) == 0
    async with asyncio.timeout(30):
        sending = asyncio.create_task(send("email\na@acme.test\n", confirmToken=token))
        while not await count(world, Job) and not sending.done():
            await anyio.lowlevel.checkpoint()
        await world.app.database.write(lambda s: s.execute(update(Job).values(state="finished")))
        done = await sending
    assert done.status_code == 200 and IGNORED_HEADER not in done.headers, done.text


async def test_a_token_where_none_is_taken_is_named_as_not_used(client: httpx.AsyncClient) -> None:
    made = await client.post("/v1/campaigns", json={"name": "Mine", "confirmToken": "ct_x"})
    assert made.headers[IGNORED_HEADER] == "confirmToken"


async def test_a_repeated_request_is_answered_as_the_first(world: Installation, client: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "11f0-once"}
    calls = [client.post("/v1/campaigns", json={"name": "Once"}, headers=headers) for _ in range(5)]
    answers = await asyncio.gather(*calls)
    assert len({json.dumps(each.json(), sort_keys=True) for each in answers}) == 1
    assert sorted(each.headers.get("Idempotent-Replayed", "") for each in answers) == ["", *["true"] * 4]
    other = await client.post("/v1/campaigns", json={"name": "Other"}, headers=headers)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "IDEMPOTENCY_KEY_REUSED")
    bad = await client.post("/v1/campaigns", json={"name": "Other"}, headers={"Idempotency-Key": "a b"})
    assert (bad.status_code, bad.json()["error"]["code"]) == (400, "VALIDATION_ERROR")
    assert await count(world, Campaign) == 1


async def test_a_read_takes_no_notice_of_a_key(client: httpx.AsyncClient) -> None:
    for _ in range(2):
        listed = await client.get("/v1/tags", headers={"Idempotency-Key": "a b"})
        assert listed.status_code == 200 and "Idempotent-Replayed" not in listed.headers


async def test_what_can_be_taken_back_says_how_and_so_does_its_repetition(client: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "gone-1"}
    gone, again = [await client.delete("/v1/destroyed/thing_1", headers=key) for _ in range(2)]
    kept = await client.post("/v1/campaigns", json={"name": "Kept"})
    assert gone.headers["Postrider-Undo-Id"].startswith("und_") and "Idempotent-Replayed" in again.headers
    assert again.headers["Postrider-Undo-Id"] == gone.headers["Postrider-Undo-Id"]
    assert "Postrider-Undo-Id" not in kept.headers


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("11f0-abc/2:x@y", True),
        ("a" * 100, True),
        ("a" * 101, False),
        ("", False),
        ("two words", False),
        ("<script>", False),
        ('"quoted"', False),
    ],
)
async def test_a_request_id_of_the_checked_form_is_kept(
    world: Installation, client: httpx.AsyncClient, given: str, kept: bool
) -> None:
    made = await client.post("/v1/campaigns", json={"name": "Mine"}, headers={"X-Request-Id": given})
    failed = await client.post("/v1/campaigns", json={"name": ""}, headers={"X-Request-Id": given})
    ids = [made.headers["X-Request-Id"], failed.headers["X-Request-Id"]]
    assert (ids == [given, given]) is kept and (kept or all(each.startswith("req_") for each in ids))
    query = select(AuditEvent.request_id).where(AuditEvent.operation == "create_campaign").order_by(AuditEvent.id)
    assert await world.app.database.read(lambda session: list(session.scalars(query))) == ids


def test_the_document_tells_of_token_and_headers() -> None:
    document = write_openapi(Catalogue([*load_catalogue(), getattr(destroy, ATTRIBUTE)]), None)
    parameters = document["components"]["parameters"]
    assert {each["name"] for each in parameters.values()} == {"X-Workspace-Id", "Idempotency-Key", "X-Request-Id"}

    def written(path: str, method: str) -> tuple[set[str], set[str], set[str]]:
        found = document["paths"][path][method]
        body = found.get("requestBody", {}).get("content", {})
        fields = [set(content["schema"]["properties"]) for content in body.values()]
        named = {parameters[each["$ref"].rsplit("/", 1)[1]]["name"] for each in found["parameters"] if "$ref" in each}
        return set.union(set(), *fields), named, set(found["responses"]["200"]["headers"])

    fields, headers, answered = written("/v1/campaigns/{id}/start", "post")
    assert "confirmToken" in fields and {"Idempotency-Key", "X-Request-Id"} <= headers
    assert {"Idempotent-Replayed", "Postrider-Undo-Id"} <= answered
    assert "confirmToken" in written("/v1/destroyed/{id}", "delete")[0]
    assert "confirmToken" in written("/v1/campaigns/{id}/leads/import/csv", "post")[0]
    assert "confirmToken" not in written("/v1/campaigns", "post")[0]
    assert written("/v1/tags", "get")[1:] == ({"X-Workspace-Id"}, {IGNORED_HEADER})
