"""The link that lets the first person in, and links to set a new password."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import func, select

from postrider.access.people import can_anybody_sign_in, workspaces_of
from postrider.access.tables import ApiKey, OneTimeLink, User, WebSession, Workspace
from postrider.app import App, build
from postrider.doors.cli.serving import set_up_link
from postrider.kernel.vault import load_or_create_key
from postrider.settings import Settings
from tests.conftest import Installation
from tests.people.rig import BASE, PASSWORD, Person, give_password, hidden_fields, link_token, person_at

FIRST = {"name": "Ann Example", "email": "Ann@Example.com", "place": "Acme", "password": PASSWORD, "again": PASSWORD}


async def first_link(app: App) -> str:
    link = await set_up_link(app, BASE)
    assert link is not None and link.startswith(f"{BASE}/set-up/")
    return link.removeprefix(BASE)


async def test_the_first_person_sets_the_installation_up_and_is_signed_in(settings: Settings) -> None:
    app = build(settings)
    path = await first_link(app)
    async with person_at(app) as person:
        assert "postrider serve" in (await person.get("/sign-in")).text
        done = await person.send(path, **FIRST)
        assert (done.status_code, done.headers["location"]) == (303, "/")
        home = (await person.get("/")).text
        assert "Acme" in home and "you are the owner" in home and "ann@example.com" in home
    assert await app.database.read(lambda s: s.scalar(select(func.count()).select_from(ApiKey))) == 0
    assert await set_up_link(app, BASE) is None, "no link is made once somebody can sign in"
    async with person_at(app) as again:
        assert (await again.sign_in("ann@example.com")).status_code == 303
    await app.close()


async def test_the_link_works_once(settings: Settings) -> None:
    app = build(settings)
    path = await first_link(app)
    async with person_at(app) as first, person_at(app) as second:
        other = hidden_fields((await second.get(path)).text)
        assert (await first.send(path, **FIRST)).status_code == 303
        late = await second.client.post(path, data={**other, **FIRST, "email": "mallory@evil.test"})
        assert late.status_code == 404 and "does not any more" in late.text
        assert (await second.get(path)).status_code == 404
    assert await app.database.read(lambda s: s.scalar(select(func.count()).select_from(User))) == 1
    await app.close()


async def test_of_twenty_who_use_the_link_at_once_one_comes_in(settings: Settings) -> None:
    app = build(settings)
    path = await first_link(app)
    async with person_at(app) as person:
        hidden = hidden_fields((await person.get(path)).text)
        answers = await asyncio.gather(
            *(
                person.client.post(path, data={**hidden, **FIRST, "email": f"ann{number}@example.com"})
                for number in range(20)
            )
        )
    assert sorted(answer.status_code for answer in answers) == [303] + [404] * 19
    assert await app.database.read(lambda s: s.scalar(select(func.count()).select_from(User))) == 1
    await app.close()


async def test_each_start_makes_a_new_link_and_the_old_one_works_no_more(settings: Settings) -> None:
    app = build(settings)
    old, new = await first_link(app), await first_link(app)
    async with person_at(app) as person:
        assert [(await person.get(path)).status_code for path in (old, new)] == [404, 200]
    await app.close()


async def test_a_link_that_has_run_out_or_was_never_made_leads_nowhere(settings: Settings) -> None:
    app = build(settings)
    out = await link_token(app, "setup", lifetime_ms=-1)
    async with person_at(app) as person:
        for path in (f"/set-up/{out}", f"/set-up/{'0' * 40}", "/set-up/%00", f"/set-up/{'a' * 500}", "/reset/x"):
            assert (await person.get(path)).status_code == 404
    await app.close()


async def test_guessing_links_is_slowed_down(settings: Settings) -> None:
    app = build(settings)
    async with person_at(app) as person:
        answers = [(await person.get(f"/set-up/{number:040d}")).status_code for number in range(62)]
    assert answers == [404] * 60 + [429] * 2
    await app.close()


async def test_the_owner_that_init_made_chooses_address_and_password(installation: Installation) -> None:
    app = installation.app
    path = await first_link(app)
    async with person_at(app) as person:
        page = (await person.get(path)).text
        assert 'value="Ann"' in page and 'value="ann@ann.test"' in page and 'name="place"' not in page
        taken = await person.send(path, **(FIRST | {"email": "bob@bob.test"}))
        assert taken.status_code == 409 and "Somebody else" in taken.text
        assert (await person.send(path, **FIRST)).status_code == 303, "what was refused has not used the link up"
        assert "Ann&#39;s" in (await person.get("/")).text
    async with person_at(app) as again:
        assert (await again.sign_in("ann@example.com")).status_code == 303
    names = await app.database.read(lambda s: list(s.scalars(select(Workspace.name).order_by(Workspace.name))))
    assert names == ["Ann's", "Bob's"]
    assert len(await app.database.read(lambda s: workspaces_of(s, installation.ann.user_id))) == 1


async def test_the_link_ends_when_somebody_gets_a_password_elsewhere(installation: Installation) -> None:
    path = await first_link(installation.app)
    async with person_at(installation.app) as person:
        hidden = hidden_fields((await person.get(path)).text)
        await give_password(installation.app, "bob@bob.test")
        assert (await person.get(path)).status_code == 404
        assert (await person.client.post(path, data={**hidden, **FIRST})).status_code == 404
    assert await set_up_link(installation.app, BASE) is None


WRONG = {
    "no name": {"name": " "},
    "a name with a control character": {"name": "Ann\x07"},
    "no address": {"email": "ann"},
    "two addresses": {"email": "ann@a.test, bob@b.test"},
    "no workspace": {"place": ""},
    "a short password": {"password": "eleven char", "again": "eleven char"},
    "a common one": {"password": "Password123456!", "again": "Password123456!"},
    "another one again": {"again": "purple tandem kettles"},
    "one too long": {"password": "ab cd ef " * 200, "again": "ab cd ef " * 200},
}


@pytest.mark.parametrize("what", WRONG)
async def test_what_does_not_fit_is_said_beside_its_field_and_never_a_password(settings: Settings, what: str) -> None:
    app = build(settings)
    path = await first_link(app)
    async with person_at(app) as person:
        answer = await person.send(path, **(FIRST | WRONG[what]))
        assert answer.status_code == 400 and 'role="alert"' in answer.text and 'aria-invalid="true"' in answer.text
        assert PASSWORD not in answer.text and "Password123456!" not in answer.text
        assert (await person.get(path)).status_code == 200
    assert not await app.database.read(can_anybody_sign_in)
    await app.close()


async def test_no_link_password_or_session_is_stored_as_it_is(settings: Settings) -> None:
    app = build(settings)
    path = await first_link(app)
    async with person_at(app) as person:
        await person.send(path, **FIRST)
        cookie = person.client.cookies["postrider-session"]
    await app.close()
    for file in Path(settings.data_dir).iterdir():
        content = file.read_bytes()
        for secret in (path.rpartition("/")[2], PASSWORD, cookie):
            assert secret.encode() not in content, f"in {file.name}"
    load_or_create_key(settings.secret_key, settings.data_dir / "secret.key")


async def test_a_reset_link_sets_a_password_once_and_signs_everybody_else_out(house: Installation, ann: Person) -> None:
    app = house.app
    token = await link_token(app, "reset", "ann@ann.test")
    new = {"password": "another tandem kettle", "again": "another tandem kettle"}
    async with person_at(app) as person:
        page = await person.get(f"/reset/{token}")
        assert "ann@ann.test" in page.text
        assert (await person.send(f"/reset/{token}", **new)).status_code == 303
        assert "ann@ann.test" in (await person.get("/")).text
        assert (await person.get(f"/reset/{token}")).status_code == 404
    assert (await ann.get("/")).status_code == 303, "who was signed in with the old password is signed out"
    async with person_at(app) as person:
        assert (await person.sign_in("ann@ann.test")).status_code == 401
        assert (await person.sign_in("ann@ann.test", new["password"])).status_code == 303


async def test_a_newer_reset_link_ends_the_older_one_of_the_same_person_only(house: Installation) -> None:
    old = await link_token(house.app, "reset", "ann@ann.test")
    bobs = await link_token(house.app, "reset", "bob@bob.test")
    new = await link_token(house.app, "reset", "ann@ann.test")
    async with person_at(house.app) as person:
        found = [(await person.get(f"/reset/{token}")).status_code for token in (old, bobs, new)]
        assert found == [404, 200, 200]
        assert (await person.get(f"/set-up/{new}")).status_code == 404, "a link has one purpose"


async def test_changing_the_password_ends_every_other_session(house: Installation, ann: Person) -> None:
    async with person_at(house.app) as elsewhere:
        await elsewhere.sign_in("ann@ann.test")
        new = {"password": "another tandem kettle", "again": "another tandem kettle"}
        wrong = await ann.send("/password", current="not her password", **new)
        assert wrong.status_code == 400 and "not your present password" in wrong.text
        changed = await ann.send("/password", current=PASSWORD, **new)
        assert changed.status_code == 303
        assert "Your password is changed" in (await ann.get(changed.headers["location"])).text
        assert (await elsewhere.get("/")).status_code == 303
    rows = await house.app.database.read(lambda s: s.scalar(select(func.count()).select_from(WebSession)))
    links = await house.app.database.read(lambda s: s.scalar(select(func.count()).select_from(OneTimeLink)))
    assert (rows, links) == (1, 0)
