"""The list of connected apps, and taking one back."""

import pytest
from sqlalchemy import select, update

from postrider.access.tables import Membership
from postrider.audit.tables import AuditEvent
from postrider.grants.tables import Grant, Token
from postrider.kernel.errors import NotFound
from tests.oauth.rig import REDIRECT, OAuthRig, tokens_in


async def test_a_workspace_sees_its_apps_with_all_that_was_chosen(oauth: OAuthRig) -> None:
    ann, installation = oauth.installation.ann, oauth.installation
    first = await oauth.connected(scope="read")
    second = await oauth.connected(scope="read send", daily_sends=["5"], toolset=["tags"], autonomy=["free"])
    await oauth.mcp(second.access)
    newer, older = (await installation.call("list_connected_apps"))["items"]
    assert (older["clientId"], newer["clientId"]) == (first.client_id, second.client_id)
    assert newer | {"id": "", "connectedAt": ""} == {
        "id": "",
        "name": "Test app",
        "clientId": second.client_id,
        "redirectUri": REDIRECT,
        "userId": ann.user_id,
        "userEmail": "ann@ann.test",
        "scopes": ["read", "send"],
        "toolsets": ["tags"],
        "autonomy": "free",
        "dailySends": 5,
        "connectedAt": "",
        "lastUsedAt": "2026-03-02T08:00:00.000Z",
    }
    assert (await installation.call("list_connected_apps", owner=installation.bob))["items"] == []


async def test_an_app_of_a_colleague_can_be_taken_back_and_one_of_strangers_not(oauth: OAuthRig) -> None:
    installation = oauth.installation
    ann, bob = installation.ann, installation.bob

    def join(session: object) -> None:
        row = Membership(
            workspace_id=ann.workspace_id, user_id=bob.user_id, role="admin", created_at=installation.clock.now()
        )
        session.add(row)  # type: ignore[attr-defined]

    await installation.app.database.write(join)
    await oauth.sign_in(bob)
    tokens = await oauth.connected(workspace=[ann.workspace_id])
    (app,) = (await installation.call("list_connected_apps"))["items"]
    assert app["userEmail"] == "bob@bob.test"
    with pytest.raises(NotFound):
        await installation.call("revoke_connected_app", owner=bob, id=app["id"])
    assert await installation.call("revoke_connected_app", id=app["id"]) == {
        "id": app["id"],
        "name": "Test app",
        "revoked": True,
    }
    assert (await oauth.refresh(tokens)).json()["error"] == "invalid_grant"
    assert (await installation.call("list_connected_apps"))["items"] == []


async def test_taking_back_what_is_taken_back_changes_nothing(oauth: OAuthRig) -> None:
    await oauth.connected()
    (grant,) = await oauth.grants()
    for _ in range(2):
        assert (await oauth.installation.call("revoke_connected_app", id=grant.id))["revoked"] is True
    (again,) = await oauth.grants()
    assert again.revoked_reason == "taken back" and await oauth.count(Token) == 0
    events = await oauth.installation.app.database.read(
        lambda s: list(s.scalars(select(AuditEvent.operation).order_by(AuditEvent.id)))
    )
    assert events == ["connect_app", "revoke_connected_app", "revoke_connected_app"]


async def test_one_whose_tokens_have_run_out_is_no_app_any_more(oauth: OAuthRig) -> None:
    tokens = await oauth.connected()
    tokens_in(tokens.client_id, await oauth.refresh(tokens))
    assert len((await oauth.installation.call("list_connected_apps"))["items"]) == 1
    month = update(Token).values(expires_ms=Token.expires_ms - 30 * 86_400_000)
    await oauth.installation.app.database.write(lambda s: s.execute(month) and None)
    assert (await oauth.installation.call("list_connected_apps"))["items"] == []
    assert await oauth.count(Grant) == 1
