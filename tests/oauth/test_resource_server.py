"""What a connected app may do at the MCP door, how it learns that it needs more, and how soon it is out (T3)."""

from datetime import timedelta
from functools import partial
from time import monotonic
from typing import Any

import anyio
import httpx
import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from postrider.access.tables import ApiKey, Membership, Workspace
from postrider.audit.tables import AuditEvent
from postrider.doors.mcp.credentials import REMEMBERED_SECONDS
from postrider.grants.queries import authenticate_token
from postrider.grants.tables import Grant
from postrider.grants.tokens import PURPOSE
from postrider.kernel.context import Actor
from postrider.storage.leases import wall_ms_now
from tests.conftest import Installation
from tests.oauth.conftest import on_one_database, rig_of
from tests.oauth.rig import ORIGIN, RESOURCE, OAuthRig, Tokens, tokens_in, verifier_and_challenge


async def actor_behind(oauth: OAuthRig, tokens: Tokens) -> Actor:
    app = oauth.installation.app
    key = app.vault.derive(PURPOSE)
    return await app.database.read(
        lambda s: authenticate_token(s, key, tokens.access, RESOURCE, None, "mcp", wall_ms_now())
    )


async def test_a_grant_is_a_credential_with_all_that_the_person_chose(oauth: OAuthRig) -> None:
    tokens = await oauth.connected(scope="read send", daily_sends=["7"], toolset=["tags", "leads"])
    (grant,) = await oauth.grants()
    actor = await actor_behind(oauth, tokens)
    assert (actor.kind, actor.credential_id, actor.client_id) == ("oauth_grant", grant.id, tokens.client_id)
    assert (actor.workspace_id, actor.user_id) == (oauth.installation.ann.workspace_id, oauth.installation.ann.user_id)
    assert (actor.scopes, actor.toolsets) == (frozenset({"read", "prepare", "send"}), frozenset({"tags", "leads"}))
    assert (actor.autonomy, actor.door) == ("confirm", "mcp")
    now = oauth.installation.clock.now()
    assert (actor.caps.at(now), actor.caps.at(now + timedelta(days=2))) == (7, 7)
    assert (actor.caps.first_day_sends, actor.caps.first_day_until) == (100, grant.created_at + timedelta(days=1))


async def test_the_first_day_of_an_app_is_what_the_workspace_says(oauth: OAuthRig) -> None:
    ann, app = oauth.installation.ann, oauth.installation.app
    first_day = update(Workspace).where(Workspace.id == ann.workspace_id).values(settings={"firstDaySends": 3})
    await app.database.write(lambda s: s.execute(first_day) and None)
    actor = await actor_behind(oauth, await oauth.connected())
    now = oauth.installation.clock.now()
    assert (actor.caps.at(now), actor.caps.at(now + timedelta(days=1))) == (3, None)


MATRIX = {
    "read": {"list_tags": 200, "create_tag": 403, "revoke_connected_app": 403, "list_connected_apps": 403},
    "prepare": {"list_tags": 200, "create_tag": 200, "delete_campaign": 403, "list_connected_apps": 403},
    "send": {"list_tags": 200, "create_tag": 200, "delete_campaign": 403, "list_connected_apps": 403},
    "delete": {"list_tags": 200, "create_tag": 200, "delete_campaign": 200, "list_connected_apps": 403},
    "administer": {"list_tags": 200, "create_tag": 200, "delete_campaign": 403, "list_connected_apps": 200},
}


@on_one_database
@pytest.mark.parametrize("scope", MATRIX)
async def test_each_scope_opens_what_it_includes_and_nothing_else(oauth: OAuthRig, scope: str) -> None:
    tokens = await oauth.connected(scope=scope)
    for tool, status in MATRIX[scope].items():
        assert (await oauth.mcp(tokens.access, tool, path="/mcp/full")).status_code == status, tool


async def test_a_call_without_the_scope_is_told_all_that_it_needs_and_is_written_down(oauth: OAuthRig) -> None:
    tokens = await oauth.connected(scope="delete")
    answer = await oauth.mcp(tokens.access, "start_campaign", path="/mcp/full")
    assert answer.status_code == 403
    assert answer.headers["www-authenticate"] == (
        'Bearer error="insufficient_scope", '
        f'resource_metadata="{ORIGIN}/.well-known/oauth-protected-resource/mcp/full", '
        'scope="read prepare send delete"'
    )
    assert "send" in answer.json()["error"]["message"]
    events = await oauth.installation.app.database.read(
        lambda s: list(s.scalars(select(AuditEvent).where(AuditEvent.operation == "start_campaign")))
    )
    (grant,) = await oauth.grants()
    assert [(each.outcome, each.error_code, each.credential_id) for each in events] == [
        ("refused", "INSUFFICIENT_SCOPE", grant.id)
    ]


@on_one_database
async def test_a_call_outside_its_toolsets_is_told_the_toolset_too(oauth: OAuthRig) -> None:
    tokens = await oauth.connected(scope="read prepare toolset:leads")
    answer = await oauth.mcp(tokens.access, "list_tags")
    assert answer.status_code == 403
    assert 'scope="read prepare toolset:leads toolset:tags"' in answer.headers["www-authenticate"]


@on_one_database
async def test_what_is_no_matter_of_scopes_is_told_in_the_result(oauth: OAuthRig) -> None:
    reader = await oauth.connected(autonomy=["readonly"])
    answer = await oauth.mcp(reader.access, "create_tag")
    assert answer.status_code == 200 and "AUTONOMY_READONLY" in answer.text
    few = await oauth.connected(scope="read")
    for arguments in ({}, {"operation": "no_such"}, {"operation": 5}, {"operation": "list_connected_apps"}):
        through = await oauth.mcp_with(few.access, "run_write_operation", arguments)
        assert (through.status_code, "www-authenticate" in through.headers) == (200, False), arguments
        assert "VALIDATION_ERROR" in through.text, arguments
    absent = await oauth.mcp(few.access, "no_such_tool")
    assert absent.status_code in (200, 400) and "Unknown tool" in absent.text


async def old_call(oauth: OAuthRig, token: str, tool: str, arguments: dict[str, Any]) -> httpx.Response:
    """A 2025-11-25 tools/call in a session of its own: no header says which tool it is."""
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json, text/event-stream"}
    headers["MCP-Protocol-Version"] = "2025-11-25"
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "old", "version": "1"}}
    opened = await oauth.http.post(
        "/mcp", headers=headers, json={"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
    )
    assert opened.status_code == 200, opened.text
    return await oauth.http.post(
        "/mcp",
        headers={**headers, "Mcp-Session-Id": opened.headers["mcp-session-id"]},
        json={"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": tool, "arguments": arguments}},
    )


@on_one_database
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("create_mailbox", {}),
        ("run_write_operation", {"operation": "create_mailbox", "arguments": {"email": "ann@ann.test"}}),
        ("run_write_operation", {"operation": "create_mailbox", "arguments": "of the wrong kind"}),
    ],
)
@pytest.mark.parametrize("era", ["2025-11-25", "2026-07-28"])
async def test_what_is_called_by_name_or_through_a_run_tool_is_asked_for_alike(
    oauth: OAuthRig, era: str, tool: str, arguments: dict[str, Any]
) -> None:
    tokens = await oauth.connected(scope="read prepare")
    modern = era == "2026-07-28"
    answer = await (oauth.mcp_with if modern else partial(old_call, oauth))(tokens.access, tool, arguments)
    assert answer.status_code == 403, answer.text
    assert answer.headers["www-authenticate"] == (
        'Bearer error="insufficient_scope", '
        f'resource_metadata="{ORIGIN}/.well-known/oauth-protected-resource/mcp", '
        'scope="read prepare administer"'
    )
    events = await oauth.installation.app.database.read(
        lambda s: list(s.scalars(select(AuditEvent.error_code).where(AuditEvent.operation == "create_mailbox")))
    )
    assert events == ["INSUFFICIENT_SCOPE"]


@on_one_database
async def test_an_old_client_may_do_what_it_has_the_scopes_for(oauth: OAuthRig) -> None:
    tokens = await oauth.connected(scope="read prepare")
    answer = await old_call(oauth, tokens.access, "run_write_operation", {"operation": "create_tag", "arguments": {}})
    assert answer.status_code == 200 and "VALIDATION_ERROR" in answer.text and '"isError":true' in answer.text


@on_one_database
async def test_headers_that_name_another_tool_than_the_body_are_refused_as_such(oauth: OAuthRig) -> None:
    tokens = await oauth.connected(scope="read")
    for header, tool in (("list_tags", "create_mailbox"), ("create_mailbox", "list_tags")):
        answer = await oauth.mcp(tokens.access, tool, **{"Mcp-Name": header})
        assert answer.status_code == 400 and "www-authenticate" not in answer.headers


@on_one_database
async def test_the_readonly_endpoint_asks_for_reading_alone(oauth: OAuthRig) -> None:
    answer = await oauth.mcp(None, path="/mcp/readonly")
    assert answer.headers["www-authenticate"] == (
        f'Bearer resource_metadata="{ORIGIN}/.well-known/oauth-protected-resource/mcp/readonly", scope="read"'
    )


async def test_with_more_scopes_an_app_gets_a_second_grant_and_the_first_one_stays(oauth: OAuthRig) -> None:
    first = await oauth.connected(scope="read")
    more = await oauth.connected(scope="read send")
    assert (await oauth.mcp(first.access)).status_code == 200
    assert (await oauth.mcp(more.access, "create_tag")).status_code == 200
    assert len(await oauth.grants()) == 2


async def until_refused(oauth: OAuthRig, token: str) -> float:
    """How many seconds it takes until a token is refused."""
    start = monotonic()
    while (await oauth.mcp(token)).status_code == 200:
        assert monotonic() - start < 5
    return monotonic() - start


async def test_a_revoked_app_is_out_within_a_second_in_every_process(
    oauth: OAuthRig, installation: Installation
) -> None:
    tokens = await oauth.connected()
    async with rig_of(installation) as other:
        for process in (oauth, other):
            assert (await process.mcp(tokens.access)).status_code == 200
        (grant,) = await oauth.grants()
        await installation.call("revoke_connected_app", id=grant.id)
        assert await until_refused(other, tokens.access) <= REMEMBERED_SECONDS + 0.7
        assert (await oauth.refresh(tokens)).json()["error"] == "invalid_grant"


async def test_an_open_stream_ends_with_the_app_that_opened_it(oauth: OAuthRig, installation: Installation) -> None:
    tokens, headers = await oauth.connected(), {"Accept": "application/json, text/event-stream"}
    headers |= {"Authorization": f"Bearer {tokens.access}", "MCP-Protocol-Version": "2025-11-25"}
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "old", "version": "1"}}
    opened = await oauth.http.post(
        "/mcp", headers=headers, json={"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
    )
    headers["Mcp-Session-Id"] = opened.headers["mcp-session-id"]
    ended: list[float] = []

    async def listen() -> None:
        answer = await oauth.http.get("/mcp", headers=headers)
        assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/event-stream")
        ended.append(monotonic())

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listen)
            begun = monotonic()
            while monotonic() - begun < 1.2:
                assert (await oauth.mcp(tokens.access)).status_code == 200
            assert not ended, "it stays open while the credential is good"
            (grant,) = await oauth.grants()
            await installation.call("revoke_connected_app", id=grant.id)
            start = monotonic()
    assert ended[0] - start < 1.7


async def test_somebody_who_left_takes_their_apps_along(oauth: OAuthRig) -> None:
    tokens, ann = await oauth.connected(), oauth.installation.ann

    def left(session: Session) -> None:
        session.delete(session.get_one(Membership, (ann.workspace_id, ann.user_id)))

    await oauth.installation.app.database.write(left)
    assert (await oauth.mcp(tokens.access)).status_code == 401
    assert (await oauth.refresh(tokens)).json()["error"] == "invalid_grant"


async def test_a_closed_workspace_is_closed_to_its_apps(oauth: OAuthRig) -> None:
    tokens = await oauth.connected()
    closed = update(Workspace).values(status="deleted")
    await oauth.installation.app.database.write(lambda s: s.execute(closed) and None)
    assert (await oauth.mcp(tokens.access)).status_code == 401


async def test_an_app_gives_its_tokens_up_without_a_secret(oauth: OAuthRig) -> None:
    tokens = await oauth.connected()
    again = tokens_in(tokens.client_id, await oauth.refresh(tokens))

    async def revoked(token: str, client_id: str = tokens.client_id) -> tuple[int, str]:
        answer = await oauth.http.post("/oauth/revoke", data={"token": token, "client_id": client_id})
        return answer.status_code, answer.text

    other = (await oauth.register())["client_id"]
    assert (await revoked(again.refresh, other))[0] == 400
    assert (await revoked("pr_at_" + "0" * 32)) == (200, "")
    assert (await revoked(tokens.access)) == (200, "")
    assert (await oauth.mcp(tokens.access)).status_code == 401
    assert (await oauth.mcp(again.access)).status_code == 200
    assert (await revoked(again.refresh)) == (200, "")
    assert (await oauth.refresh(again)).json()["error"] == "invalid_grant"
    (grant,) = await oauth.grants()
    assert grant.revoked_reason == "the app gave it up"
    assert (await revoked(again.refresh, "pr_app_unknown"))[0] == 401
    nothing = await oauth.http.post("/oauth/revoke", data={"client_id": tokens.client_id})
    assert nothing.json()["error"] == "invalid_request"


async def test_the_last_use_is_written_down_to_the_minute(oauth: OAuthRig, installation: Installation) -> None:
    tokens, start = await oauth.connected(), installation.clock.now()
    key = installation.ann.workspace_key.reveal()

    async def seen() -> list[object]:
        def read(session: Session) -> list[object]:
            grant = session.scalars(select(Grant.last_used_at)).one()
            lookup = key.rpartition("_")[0]
            return [grant, session.scalars(select(ApiKey.last_used_at).where(ApiKey.lookup == lookup)).one()]

        return await installation.app.database.read(read)

    assert await seen() == [None, None]
    await oauth.mcp(tokens.access)
    assert (await oauth.http.get("/v1/tags", headers={"X-Api-Key": key})).status_code == 200
    assert await seen() == [start, start]
    installation.clock.advance(timedelta(seconds=59))
    async with rig_of(installation) as other:
        await other.mcp(tokens.access)
        await other.mcp(key)
        assert await seen() == [start, start], "within the minute nothing is written, by any process"
    installation.clock.advance(timedelta(seconds=1))
    async with rig_of(installation) as other:
        await other.mcp(tokens.access)
        await other.mcp(key)
    assert await seen() == [start + timedelta(minutes=1)] * 2


async def test_two_processes_share_codes_and_tokens(oauth: OAuthRig, installation: Installation) -> None:
    async with rig_of(installation) as other:
        client_id = (await oauth.register())["client_id"]
        verifier, challenge = verifier_and_challenge()
        code = await oauth.code(client_id, challenge)
        tokens = tokens_in(client_id, await other.redeem(client_id, code, verifier))
        assert (await oauth.mcp(tokens.access)).status_code == 200
