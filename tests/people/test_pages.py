"""The pages behind the sign-in: keys, apps, approvals and workspaces, and who sees and does what."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Final

import pytest
from sqlalchemy import select

from postrider.access.people import add_member, add_person
from postrider.access.queries import create_workspace
from postrider.access.tables import ApiKey, User
from postrider.audit.tables import AuditEvent
from postrider.confirmations.approvals import ask_person
from postrider.confirmations.tables import Approval
from postrider.grants.tables import Grant, Token
from postrider.kernel.context import ALL_SCOPES, Actor
from postrider.kernel.ids import new_id
from postrider.kernel.policy import Facts
from postrider.storage.leases import wall_ms_now
from tests.conftest import Installation
from tests.people.rig import Person, give_password, hidden_fields, person_at

KEY: dict[str, Any] = {
    "name": "Nightly",
    "scope": ["read", "prepare"],
    "autonomy": "draft",
    "lifetime": "30",
    "daily_sends": "7",
}


@pytest.fixture
async def member(house: Installation) -> AsyncIterator[Person]:
    """Mia, a member of Ann's workspace, signed in."""
    now = house.clock.now()

    def write(session):  # type: ignore[no-untyped-def]
        mia = add_person(session, "mia@ann.test", "Mia", now)
        add_member(session, house.ann.workspace_id, mia.id, "member", now)

    await house.app.database.write(write)
    await give_password(house.app, "mia@ann.test")
    async with person_at(house.app) as person:
        assert (await person.sign_in("mia@ann.test")).status_code == 303
        yield person


async def connect(house: Installation, user_id: str, name: str = "Claude", workspace_id: str | None = None) -> str:
    """An app that a person has let in; its id."""
    grant_id, now, place = new_id("grt"), house.clock.now(), workspace_id or house.ann.workspace_id

    def write(session):  # type: ignore[no-untyped-def]
        session.add(
            Grant(
                workspace_id=place,
                id=grant_id,
                client_id="https://claude.example/client.json",
                client_name=name,
                user_id=user_id,
                redirect_uri="https://claude.example/callback",
                scopes=["read", "send"],
                toolsets=None,
                autonomy="confirm",
                daily_sends=50,
                first_day_sends=100,
                created_at=now,
                last_used_at=now,
                revoked_at=None,
                revoked_reason=None,
            )
        )
        session.add(
            Token(
                digest=new_id("evt").encode()[:32].ljust(32, b"."),
                kind="refresh",
                workspace_id=place,
                grant_id=grant_id,
                scopes=["read", "send"],
                resource="http://127.0.0.1:8025/mcp",
                expires_ms=wall_ms_now() + 86_400_000,
                used_ms=None,
            )
        )

    await house.app.database.write(write)
    return grant_id


DETAILS: Final = (
    'Campaign "Spring"',
    'From "ann@ann.test"',
    'To "Lea Example lea@acme.test", "Ben Baker ben@acme.test" and 1,198 more',
    'Email 1: subject "Hello {{firstName|there}}", text "We make <b>good</b> boxes."',
)


async def ask(
    house: Installation,
    operation: str = "start_campaign",
    credential: str | None = None,
    summary: str = "Starting it lets it write to 1,200 people.",
    people: int = 1_200,
    details: tuple[str, ...] = DETAILS,
) -> str:
    """A call that waits for a person of Ann's workspace; the approval's id."""
    actor = Actor(
        "oauth_grant",
        credential or new_id("grt"),
        house.ann.user_id,
        house.ann.workspace_id,
        ALL_SCOPES,
        "confirm",
        "mcp",
    )
    facts = Facts(summary, "camp_x", "1", "send", people, details=details)
    now = house.clock.now()
    return await house.app.database.write(
        lambda session: ask_person(session, actor, operation, new_id("evt"), facts, now).id
    )


async def approval(house: Installation, approval_id: str) -> Approval:
    return await house.app.database.read(
        lambda session: session.get_one(Approval, (house.ann.workspace_id, approval_id))
    )


async def audited(house: Installation) -> list[tuple[str, str, str, str | None]]:
    """What Ann's audit log says: operation, who, door, of what."""

    def look(session):  # type: ignore[no-untyped-def]
        rows = session.scalars(select(AuditEvent).where(AuditEvent.workspace_id == house.ann.workspace_id))
        return [(row.operation, row.actor_kind, row.door, row.target_id) for row in rows]

    return await house.app.database.read(look)


async def test_a_key_is_made_on_its_page_shown_once_and_revoked(house: Installation, ann: Person) -> None:
    made = await ann.send("/keys", form=0 if "Revoke" not in (await ann.get("/keys")).text else -1, **KEY)
    [key] = re.findall(r"sk_[0-9a-z]{10}_[0-9a-z]{32}", made.text)
    assert made.status_code == 200 and "cannot be shown again" in made.text
    assert key not in (await ann.get("/keys")).text
    row = await house.app.database.read(lambda s: s.scalars(select(ApiKey).where(ApiKey.name == "Nightly")).one())
    assert (row.scopes, row.autonomy, row.daily_sends, row.first_day_sends) == (["prepare", "read"], "draft", 7, 100)
    assert row.expires_at == house.clock.now() + timedelta(days=30)
    own = {"X-Api-Key": key}
    assert (await ann.client.get("/v1/tags", headers=own)).status_code == 200
    revoked = await ann.send(f"/keys/{row.id}/revoke", at="/keys")
    assert revoked.status_code == 303 and "The key is revoked" in (await ann.get(revoked.headers["location"])).text
    assert (await ann.client.get("/v1/tags", headers=own)).status_code == 401
    assert await audited(house) == [
        ("create_api_key", "person", "web", None),
        ("revoke_api_key", "person", "web", row.id),
    ]


async def test_the_form_sent_twice_makes_one_key(ann: Person) -> None:
    page = (await ann.get("/keys")).text
    fields = {**hidden_fields(page, -1), **KEY}
    assert (await ann.client.post("/keys", data=fields)).status_code == 200
    again = await ann.client.post("/keys", data=fields)
    assert again.status_code == 409 and not re.search(r"sk_[0-9a-z]{10}_[0-9a-z]{32}", again.text)
    assert "has made its key already" in again.text and "revoke it" in again.text and "idempotency" not in again.text
    later = await ann.client.post("/keys", data={**fields, "name": "Another"})
    assert later.status_code == 409 and "Another</h2>" not in (await ann.get("/keys")).text
    assert (await ann.get("/keys")).text.count("Nightly</h2>") == 1


WRONG_KEYS: dict[str, dict[str, Any]] = {
    "no scope": {"scope": []},
    "another scope": {"scope": ["everything"]},
    "another autonomy": {"autonomy": "boundless"},
    "no name": {"name": " "},
    "a limit in words": {"daily_sends": "many"},
    "a limit below nothing": {"daily_sends": "-1"},
    "another lifetime": {"lifetime": "1000"},
    "no such area": {"toolset": ["leads", "root"]},
}


@pytest.mark.parametrize("what", WRONG_KEYS)
async def test_a_key_that_does_not_fit_is_said_on_the_page(ann: Person, what: str) -> None:
    answer = await ann.send("/keys", form=-1, **(KEY | WRONG_KEYS[what]))
    assert answer.status_code == 400 and 'role="alert"' in answer.text and "Copy the key now" not in answer.text


async def test_a_member_has_no_keys_page(member: Person) -> None:
    assert (await member.get("/keys")).status_code == 403
    home = await member.get("/")
    assert "you are a member" in home.text and 'href="/keys"' not in home.text
    csrf = hidden_fields((await member.get("/password")).text)["csrf"]
    assert (await member.client.post("/keys", data={**KEY, "csrf": csrf})).status_code == 403


async def test_an_app_is_listed_with_what_it_may_do_and_is_put_out(house: Installation, ann: Person) -> None:
    assert "No app is connected" in (await ann.get("/apps")).text
    grant_id = await connect(house, house.ann.user_id)
    page = (await ann.get("/apps")).text
    for words in ("Claude", "claude.example", "Ask first", "at most 50 messages a day", "ann@ann.test", "Last used"):
        assert words in page
    revoked = await ann.send(f"/apps/{grant_id}/revoke", at="/apps")
    assert revoked.status_code == 303 and "No app is connected" in (await ann.get("/apps")).text
    assert ("revoke_connected_app", "person", "web", grant_id) in await audited(house)
    tokens = await house.app.database.read(lambda s: list(s.scalars(select(Token))))
    assert tokens == []


async def test_a_member_sees_and_revokes_their_own_apps_only(house: Installation, member: Person, ann: Person) -> None:
    anns = await connect(house, house.ann.user_id, "Ann's app")
    mias_id = await house.app.database.read(lambda s: s.scalar(select(User.id).where(User.email == "mia@ann.test")))
    assert mias_id is not None
    mias = await connect(house, mias_id, "Mia's app")
    page = (await member.get("/apps")).text
    assert "Mia&#39;s app" in page and "Ann&#39;s app" not in page
    csrf = {"csrf": hidden_fields(page)["csrf"]}
    assert (await member.client.post(f"/apps/{anns}/revoke", data=csrf)).status_code == 404
    assert (await member.client.post(f"/apps/{mias}/revoke", data=csrf)).status_code == 303
    left = (await ann.get("/apps")).text
    assert "Ann&#39;s app" in left and "Mia&#39;s app" not in left


async def test_a_member_sees_their_own_app_behind_any_number_of_others(house: Installation, member: Person) -> None:
    mias_id = await house.app.database.read(lambda s: s.scalar(select(User.id).where(User.email == "mia@ann.test")))
    assert mias_id is not None
    mias = await connect(house, mias_id, "Mia's app")

    def crowd(session):  # type: ignore[no-untyped-def]
        return [add_person(session, f"{n}@ann.test", "Other", house.clock.now()).id for n in range(200)]

    for other in await house.app.database.write(crowd):
        await connect(house, other)
    assert len((await house.call("list_connected_apps"))["items"]) == 200
    page = (await member.get("/apps")).text
    assert page.count("Mia&#39;s app</h2>") == page.count('class="item"') == 1
    csrf = {"csrf": hidden_fields(page)["csrf"]}
    assert (await member.client.post(f"/apps/{mias}/revoke", data=csrf)).status_code == 303
    assert "No app is connected" in (await member.get("/apps")).text


async def test_an_app_that_asked_for_more_is_one_line_and_is_put_out_whole(house: Installation, ann: Person) -> None:
    older = await connect(house, house.ann.user_id)
    stale = hidden_fields((await ann.get("/apps")).text)
    await connect(house, house.ann.user_id)
    page = (await ann.get("/apps")).text
    assert page.count("Claude</h2>") == page.count('aria-label="Revoke Claude"') == 1
    assert "asked 2 times" in page and "at most 100 messages a day" in page
    assert (await ann.client.post(f"/apps/{older}/revoke", data=stale)).status_code == 303
    assert "No app is connected" in (await ann.get("/apps")).text
    assert await house.app.database.read(lambda s: list(s.scalars(select(Token)))) == []


async def test_the_name_of_an_app_is_text_and_nothing_else(house: Installation, ann: Person) -> None:
    await connect(house, house.ann.user_id, '<script>alert(1)</script>"><b>')
    page = (await ann.get("/apps")).text
    assert "<script" not in page and "&lt;script&gt;" in page


async def test_an_approval_shows_its_facts_and_is_granted_once(house: Installation, ann: Person) -> None:
    grant_id = await connect(house, house.ann.user_id)
    waits = await ask(house, credential=grant_id)
    assert "1 call waits" in (await ann.get("/")).text
    page = (await ann.get("/approvals")).text
    for words in (
        "Start a campaign",
        "Starting it lets it write to 1,200 people.",
        "Claude, for ann@ann.test",
        "Runs out",
        "Campaign &#34;Spring&#34;",
        "ben@acme.test&#34; and 1,198 more",
        "We make &lt;b&gt;good&lt;/b&gt; boxes.",
    ):
        assert words in page
    granted = await ann.send(f"/approvals/{waits}", at="/approvals", answer="grant")
    assert granted.status_code == 303 and "Granted" in (await ann.get(granted.headers["location"])).text
    row = await approval(house, waits)
    assert (row.status, row.decided_by, row.decided_at) == ("granted", house.ann.user_id, house.clock.now())
    csrf = re.findall(r'name="csrf" value="([0-9a-f]{64})"', page)[0]
    fields = {"csrf": csrf, "workspace": house.ann.workspace_id, "answer": "deny"}
    assert (await ann.client.post(f"/approvals/{waits}", data=fields)).status_code == 409
    assert (await approval(house, waits)).status == "granted"
    assert await audited(house) == [("grant_approval", "person", "web", waits)]


async def test_an_approval_is_denied(house: Installation, ann: Person) -> None:
    waits = await ask(house)
    assert (await ann.send(f"/approvals/{waits}", at="/approvals", answer="deny")).status_code == 303
    assert (await approval(house, waits)).status == "denied"
    assert await audited(house) == [("deny_approval", "person", "web", waits)]


async def test_an_approval_that_has_run_out_cannot_be_granted(house: Installation, ann: Person) -> None:
    waits = await ask(house)
    fields = hidden_fields((await ann.get("/approvals")).text)
    house.clock.advance(timedelta(hours=24))
    assert (await ann.client.post(f"/approvals/{waits}", data={**fields, "answer": "grant"})).status_code == 409
    assert "Nothing waits" in (await ann.get("/approvals")).text
    assert (await approval(house, waits)).status == "pending"


async def test_people_of_another_workspace_neither_see_nor_answer_it(house: Installation) -> None:
    waits = await ask(house)
    async with person_at(house.app) as bob:
        await bob.sign_in("bob@bob.test")
        page = (await bob.get("/approvals")).text
        assert waits not in page and "Nothing waits" in page
        csrf = re.findall(r'name="csrf" value="([0-9a-f]{64})"', page)[0]
        for place in (house.ann.workspace_id, house.bob.workspace_id):
            fields = {"csrf": csrf, "workspace": place, "answer": "grant"}
            assert (await bob.client.post(f"/approvals/{waits}", data=fields)).status_code == 404
        for path in ("/", "/apps", "/keys", "/approvals"):
            assert (await bob.get(f"{path}?workspace={house.ann.workspace_id}")).status_code == 404
    assert (await approval(house, waits)).status == "pending"


async def test_a_member_grants_what_their_role_may_do_and_denies_anything(house: Installation, member: Person) -> None:
    sends, administers = await ask(house), await ask(house, "create_api_key")
    page = (await member.get("/approvals")).text
    assert "Only owners and admins may grant it." in page
    csrf = re.findall(r'name="csrf" value="([0-9a-f]{64})"', page)[0]
    fields = {"csrf": csrf, "workspace": house.ann.workspace_id}
    assert (await member.client.post(f"/approvals/{sends}", data={**fields, "answer": "grant"})).status_code == 303
    assert (
        await member.client.post(f"/approvals/{administers}", data={**fields, "answer": "grant"})
    ).status_code == 403
    assert (
        await member.client.post(f"/approvals/{administers}", data={**fields, "answer": "maybe"})
    ).status_code == 400
    assert (await member.client.post(f"/approvals/{administers}", data={**fields, "answer": "deny"})).status_code == 303


async def test_of_several_workspaces_one_is_looked_at(house: Installation, ann: Person) -> None:
    now = house.clock.now()
    second = await house.app.database.write(
        lambda session: create_workspace(session, house.ann.user_id, "Second", now).id
    )
    page = (await ann.get("/keys")).text
    assert 'aria-current="true">Ann&#39;s</a>' in page and f'href="/keys?workspace={second}">Second</a>' in page
    made = await ann.send(f"/keys?workspace={second}", form=-1, **KEY)
    assert made.status_code == 200
    row = await house.app.database.read(lambda s: s.scalars(select(ApiKey).where(ApiKey.name == "Nightly")).one())
    assert row.workspace_id == second
    other = (await ann.get(f"/?workspace={second}")).text
    assert f'href="/apps?workspace={second}"' in other and "<h1>Second</h1>" in other


async def test_somebody_without_a_workspace_is_told_so(house: Installation) -> None:
    now = house.clock.now()
    await house.app.database.write(lambda session: add_person(session, "zoe@ann.test", "Zoe", now) and None)
    await give_password(house.app, "zoe@ann.test")
    async with person_at(house.app) as zoe:
        await zoe.sign_in("zoe@ann.test")
        assert "You belong to no workspace" in (await zoe.get("/")).text
        assert (await zoe.get("/apps")).status_code == 404
        assert "Nothing waits" in (await zoe.get("/approvals")).text
