"""The list of connected apps, and taking one back."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from anyio import fail_after
from sqlalchemy import create_engine, select, text, update
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from postrider.access.people import add_member
from postrider.audit.tables import AuditEvent
from postrider.grants.apps import end_app
from postrider.grants.codes import Presented, redeem_code
from postrider.grants.queries import Issued, Refusal
from postrider.grants.tables import Grant, Token
from postrider.grants.tokens import PURPOSE
from postrider.kernel.errors import NotFound
from postrider.storage.leases import wall_ms_now
from tests.oauth.rig import REDIRECT, OAuthRig, answer_in, tokens_in, verifier_and_challenge


async def test_a_workspace_sees_its_apps_with_all_that_was_chosen(oauth: OAuthRig) -> None:
    ann, installation = oauth.installation.ann, oauth.installation
    first = await oauth.connected(scope="read")
    second = await oauth.connected(scope="read send", daily_sends=["5"], toolset=["tags"], autonomy=["free"])
    await oauth.mcp(second.access)
    newer, older = (await installation.call("list_connected_apps"))["items"]
    assert (older["clientId"], newer["clientId"]) == (first.client_id, second.client_id)
    assert newer["grantIds"] == [newer["id"]]
    assert newer | {"id": "", "grantIds": [], "connectedAt": ""} == {
        "id": "",
        "grantIds": [],
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
    now = installation.clock.now()
    await installation.app.database.write(lambda s: add_member(s, ann.workspace_id, bob.user_id, "admin", now))
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
        "stillConnected": None,
    }
    assert (await oauth.refresh(tokens)).json()["error"] == "invalid_grant"
    assert (await installation.call("list_connected_apps"))["items"] == []


async def test_an_app_that_asked_for_more_stands_there_once_with_all_that_it_may_do(oauth: OAuthRig) -> None:
    installation = oauth.installation
    first = await oauth.connected(scope="read", toolset=["leads"])
    await oauth.mcp(first.access)
    installation.clock.advance(timedelta(hours=1))
    more: dict[str, Any] = {"toolset": ["tags"], "daily_sends": ["5"], "autonomy": ["free"]}
    second = await oauth.connected(scope="send", client_id=first.client_id, **more)
    await oauth.connected(scope="read delete", client_id=first.client_id, toolset=["tags"])
    other = await oauth.connected(scope="read")
    apart, app = (await installation.call("list_connected_apps"))["items"]
    assert (apart["clientId"], apart["scopes"]) == (other.client_id, ["read"])
    assert app["grantIds"] == [
        grant.id for grant in reversed(await oauth.grants()) if grant.client_id == app["clientId"]
    ]
    assert app["id"] == app["grantIds"][0] and len(app["grantIds"]) == 3
    assert (app["scopes"], app["toolsets"]) == (["delete", "read", "send"], ["leads", "tags"])
    assert (app["autonomy"], app["dailySends"]) == ("free", 5)
    assert (app["connectedAt"], app["lastUsedAt"]) == ("2026-03-02T08:00:00.000Z", "2026-03-02T08:00:00.000Z")
    await oauth.mcp(second.access)
    apart, app = (await installation.call("list_connected_apps"))["items"]
    assert app["lastUsedAt"] == "2026-03-02T09:00:00.000Z"


async def test_limits_of_an_app_add_up_and_one_without_lifts_them(oauth: OAuthRig) -> None:
    first = await oauth.connected(scope="send", daily_sends=["5"])
    for daily, together in ((["7"], 12), ([""], None)):
        await oauth.connected(scope="send", client_id=first.client_id, daily_sends=daily)
        (app,) = (await oauth.installation.call("list_connected_apps"))["items"]
        assert app["dailySends"] == together and app["toolsets"] is None


async def test_taking_an_app_back_takes_back_all_that_its_person_allowed_and_no_more(oauth: OAuthRig) -> None:
    installation = oauth.installation
    ann, bob, now = installation.ann, installation.bob, installation.clock.now()
    await installation.app.database.write(lambda s: add_member(s, ann.workspace_id, bob.user_id, "admin", now))
    client_id = (await oauth.register(REDIRECT, "https://other.test/callback"))["client_id"]
    await oauth.sign_in(bob)
    bobs = await oauth.connected(client_id=client_id, workspace=[ann.workspace_id])
    await oauth.sign_in(ann)
    elsewhere = await oauth.connected(client_id=client_id, redirect_uri="https://other.test/callback")
    anns = [await oauth.connected(client_id=client_id, scope=scope) for scope in ("read", "read prepare", "send")]
    assert [len(app["grantIds"]) for app in (await installation.call("list_connected_apps"))["items"]] == [3, 1, 1]
    older = (await oauth.grants())[-2].id
    assert (await installation.call("revoke_connected_app", id=older))["id"] == older
    for tokens in anns:
        assert (await oauth.mcp(tokens.access)).status_code == 401
        assert (await oauth.refresh(tokens)).json()["error"] == "invalid_grant"
    for tokens in (bobs, elsewhere):
        assert (await oauth.mcp(tokens.access)).status_code == 200
    again = await oauth.connected(client_id=client_id)
    living = (await oauth.grants())[-1].id
    told = await installation.call("revoke_connected_app", id=older)
    assert (told["id"], told["revoked"], told["stillConnected"]) == (older, True, living)
    assert (await oauth.mcp(again.access)).status_code == 200, "what was taken back before says nothing about a new yes"
    assert (await installation.call("revoke_connected_app", id=living))["stillConnected"] is None
    assert (await installation.call("revoke_connected_app", id=older))["stillConnected"] is None


async def test_a_code_on_its_way_goes_with_the_app_and_with_no_other(oauth: OAuthRig) -> None:
    installation = oauth.installation
    ann, bob, now = installation.ann, installation.bob, installation.clock.now()
    await installation.app.database.write(lambda s: add_member(s, ann.workspace_id, bob.user_id, "admin", now))
    elsewhere = "https://other.test/callback"
    client_id, other_id = [(await oauth.register(REDIRECT, elsewhere))["client_id"] for _ in range(2)]
    await oauth.connected(client_id=client_id, scope="read")
    (grant,) = await oauth.grants()
    verifier, challenge = verifier_and_challenge()
    code = await oauth.code(client_id, challenge)
    others = [
        (other_id, await oauth.code(other_id, challenge), REDIRECT),
        (client_id, await oauth.code(client_id, challenge, redirect_uri=elsewhere), elsewhere),
    ]
    await oauth.sign_in(bob)
    for place in (ann.workspace_id, bob.workspace_id):
        answer = await oauth.consent(oauth.request(client_id, challenge), workspace=[place])
        others.append((client_id, answer_in(answer.headers["location"])["code"], REDIRECT))
    assert (await installation.call("revoke_connected_app", id=grant.id))["stillConnected"] is None
    assert (await oauth.redeem(client_id, code, verifier)).json()["error"] == "invalid_grant"
    for client, each, uri in others:
        assert (await oauth.redeem(client, each, verifier, redirect_uri=uri)).status_code == 200
    await oauth.sign_in(ann)
    again = await oauth.connected(client_id=client_id, scope="read")
    assert (await oauth.mcp(again.access)).status_code == 200, "a new yes is a new yes"


@dataclass
class Redemption:
    """A code of an app that is connected already, as its redemption is called in a session."""

    grant_id: str
    key: bytes
    presented: Presented
    now: datetime

    def redeem(self, session: Session) -> Issued | Refusal:
        return redeem_code(session, self.key, self.presented, self.now, wall_ms_now())


async def step_up(oauth: OAuthRig) -> Redemption:
    """An app that has asked for more, and been let."""
    app = oauth.installation.app
    client_id = (await oauth.register())["client_id"]
    await oauth.connected(client_id=client_id, scope="read")
    verifier, challenge = verifier_and_challenge()
    presented = Presented(await oauth.code(client_id, challenge), client_id, REDIRECT, verifier)
    (grant,) = await oauth.grants()
    return Redemption(grant.id, app.vault.derive(PURPOSE), presented, app.clock.now())


@contextmanager
def beside(oauth: OAuthRig) -> Iterator[tuple[Session, Callable[[asyncio.Task[Any]], Awaitable[None]]]]:
    """A transaction of its own, and what waits until a task waits for its locks, or has ended."""
    url = oauth.installation.app.settings.database_url
    assert url is not None
    engine = create_engine(url, poolclass=NullPool)
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    with Session(engine) as session, engine.connect() as watcher:

        async def waits(task: asyncio.Task[Any]) -> None:
            while not task.done() and not watcher.execute(waiting).scalar():
                watcher.rollback()
                await asyncio.sleep(0)

        yield session, waits


@pytest.mark.parametrize("settings", ["postgresql"], indirect=True)
async def test_a_redemption_under_way_is_waited_for_and_its_grant_ends_too(oauth: OAuthRig) -> None:
    redemption = await step_up(oauth)
    with beside(oauth) as (redeeming, waits), fail_after(30):
        assert isinstance(redemption.redeem(redeeming), Issued)
        call = oauth.installation.call("revoke_connected_app", id=redemption.grant_id)
        revoking = asyncio.create_task(call)
        await waits(revoking)
        redeeming.commit()
        assert (await revoking)["stillConnected"] is None
    assert [grant.revoked_reason for grant in await oauth.grants()] == ["taken back"] * 2
    assert await oauth.count(Token) == 0


@pytest.mark.parametrize("settings", ["postgresql"], indirect=True)
async def test_a_redemption_waits_for_a_revocation_under_way_and_gets_nothing(oauth: OAuthRig) -> None:
    redemption = await step_up(oauth)
    (grant,) = await oauth.grants()
    with beside(oauth) as (revoking, waits), fail_after(30):
        end_app(revoking, revoking.get_one(Grant, (grant.workspace_id, grant.id)), redemption.now)
        redeeming = asyncio.create_task(oauth.installation.app.database.write(redemption.redeem))
        await waits(redeeming)
        revoking.commit()
        assert isinstance(await redeeming, Refusal)
    assert [each.revoked_reason for each in await oauth.grants()] == ["taken back"]
    assert await oauth.count(Token) == 0


async def test_on_a_machine_of_its_own_an_app_is_one_at_every_port(oauth: OAuthRig) -> None:
    client_id = (await oauth.register("http://127.0.0.1/callback"))["client_id"]
    for port in (50_001, 50_002):
        await oauth.connected(client_id=client_id, redirect_uri=f"http://127.0.0.1:{port}/callback")
    (app,) = (await oauth.installation.call("list_connected_apps"))["items"]
    assert len(app["grantIds"]) == 2


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
