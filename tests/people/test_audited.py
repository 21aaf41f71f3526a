"""What people do beside operations leaves a row, in every workspace that it opens, with no secret in it."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from postrider.access.people import add_member
from postrider.app import build
from postrider.audit.tables import AuditEvent
from postrider.doors.cli.serving import set_up_link
from postrider.settings import Settings
from tests.audit.audit_rig import audit_rows, first_break, seal
from tests.command_line import Run, data, owned, run
from tests.conftest import Installation
from tests.people.rig import BASE, PASSWORD, Person, link_token, person_at

__all__ = ["data", "owned", "run"]

NEW = {"password": "another tandem kettle", "again": "another tandem kettle"}


def told(row: AuditEvent) -> tuple[str, str, str, str, str, str | None]:
    return (row.operation, row.effect, row.outcome, row.actor_kind, row.door, row.target_id)


def everything(rows: Any) -> str:
    return repr([[getattr(row, column.name) for column in AuditEvent.__table__.c] for row in rows])


async def test_a_password_that_is_changed_on_its_page_is_written_down_once_and_sealed(
    house: Installation, ann: Person
) -> None:
    wrong = await ann.send("/password", current="not her password", **NEW)
    assert wrong.status_code == 400 and await audit_rows(house) == []
    assert (await ann.send("/password", current=PASSWORD, **NEW)).status_code == 303
    [row] = rows = await audit_rows(house)
    user_id = house.ann.user_id
    assert told(row) == ("change_password", "write", "done", "person", "web", user_id)
    assert (row.credential_id, row.user_id) == (user_id, user_id)
    assert NEW["password"] not in everything(rows) and PASSWORD not in everything(rows)
    assert await audit_rows(house, house.bob.workspace_id) == []
    assert await seal(house) == 1 and await first_break(house) is None
    [listed] = (await house.call("list_audit_events"))["items"]
    assert (listed["operation"], listed["targetId"], listed["number"]) == ("change_password", user_id, 1)


async def test_a_link_from_the_mail_is_written_down_once_it_is_used_in_every_workspace_it_opens(
    house: Installation,
) -> None:
    now, user_id = house.clock.now(), house.ann.user_id
    await house.app.database.write(lambda s: add_member(s, house.bob.workspace_id, user_id, "member", now))
    token = await link_token(house.app, "reset", "ann@ann.test")
    async with person_at(house.app) as person:
        short = {"password": "short", "again": "short"}
        assert (await person.send(f"/reset/{token}", **short)).status_code == 400
        assert await audit_rows(house) == []
        assert (await person.send(f"/reset/{token}", **NEW)).status_code == 303
    for place in (house.ann.workspace_id, house.bob.workspace_id):
        [row] = rows = await audit_rows(house, place)
        assert told(row) == ("reset_password", "write", "done", "person", "web", user_id)
        assert token not in everything(rows) and NEW["password"] not in everything(rows)


async def test_the_first_person_is_written_down(settings: Settings) -> None:
    app = build(settings)
    link = await set_up_link(app, BASE)
    assert link is not None
    path = link.removeprefix(BASE)
    first = {"name": "Ann", "email": "ann@ann.test", "place": "Acme", "password": PASSWORD, "again": PASSWORD}
    async with person_at(app) as person:
        assert (await person.send(path, **first)).status_code == 303
    [row] = rows = await app.database.read(lambda s: list(s.scalars(select(AuditEvent))))
    assert told(row) == ("set_up", "write", "done", "person", "web", row.user_id)
    assert path.rpartition("/")[2] not in everything(rows) and PASSWORD not in everything(rows)
    await app.close()


def rows_in(data: Path) -> list[dict[str, Any]]:
    with sqlite3.connect(data / "postrider.sqlite3") as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute("SELECT * FROM audit_events ORDER BY id")]


def said(run: Run, *line: str, **options: Any) -> str:
    result = run(*line, **options)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.usefixtures("owned")
def test_at_the_command_line_people_links_passwords_and_platform_keys_are_written_down(run: Run, data: Path) -> None:
    added = said(run, "people", "add", "mia@ann.test", "--name", "Mia").splitlines()[-1]
    link = said(run, "people", "reset-link", "mia@ann.test").strip()
    said(run, "people", "set-password", "mia@ann.test", input=f"{PASSWORD}\n{PASSWORD}\n")
    [platform] = json.loads(said(run, "keys", "list", "--json"))["platform"]
    for _ in range(2):
        said(run, "keys", "revoke", platform["id"])
    everybody = {each["email"]: each["userId"] for each in json.loads(said(run, "people", "list", "--json"))}
    mia = everybody["mia@ann.test"]
    rows = rows_in(data)
    assert [(row["operation"], row["effect"], row["target_id"]) for row in rows] == [
        ("let_in", "write", mia),
        ("make_reset_link", "write", mia),
        ("set_password", "write", mia),
        ("revoke_api_key", "destructive", platform["id"]),
    ]
    assert {(row["actor_kind"], row["door"], row["user_id"]) for row in rows} == {
        ("local", "cli", everybody["ann@ann.test"])
    }
    assert not [secret for secret in (added, link, PASSWORD) if secret.rpartition("/")[2] in repr(rows)]
    assert "whole: 0 events" in said(run, "audit", "verify")


@pytest.mark.usefixtures("owned")
def test_a_link_for_somebody_of_another_workspace_is_written_down_there_too(run: Run, data: Path) -> None:
    made = json.loads(said(run, "init", "--email", "bob@bob.test", "--name", "Bob", "--workspace", "Bob's", "--json"))
    said(run, "people", "add", "bob@bob.test", "--name", "Bob", "--workspace", "Ann's")
    here, there = rows_in(data)
    assert (here["operation"], there["operation"]) == ("let_in", "make_reset_link")
    assert there["workspace_id"] == made["workspaceId"] != here["workspace_id"]
    assert there["target_id"] == here["target_id"] == made["userId"]


@pytest.mark.usefixtures("owned")
def test_what_is_refused_at_the_command_line_is_not_written_down_as_done(run: Run, data: Path) -> None:
    for line in (("reset-link", "nobody@ann.test"), ("set-password", "nobody@ann.test")):
        assert run("people", *line, input=f"{PASSWORD}\n{PASSWORD}\n").exit_code == 1
    assert rows_in(data) == []
