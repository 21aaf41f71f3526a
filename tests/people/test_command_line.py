"""People, keys, apps and approvals on the command line."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from typer.testing import Result

from postrider.access.passwords import password_fits
from postrider.access.queries import NewOwner
from postrider.app import build
from postrider.doors.cli.serving import set_up_link
from postrider.doors.http import http_app
from postrider.kernel.secret import Secret
from postrider.settings import load_settings
from tests.command_line import Run, data, owned, run
from tests.conftest import Installation
from tests.people.rig import BASE, PASSWORD
from tests.people.test_pages import ask, connect

__all__ = ["data", "owned", "run"]
pytestmark = pytest.mark.usefixtures("owned")


def said(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.stdout


def column(data: Path, query: str) -> list[Any]:
    with sqlite3.connect(data / "postrider.sqlite3") as connection:
        return [row[0] for row in connection.execute(query)]


def test_people_are_listed_and_let_in_with_a_link(run: Run) -> None:
    assert "ann@ann.test  Ann; signs in with nothing yet; Ann's (owner)" in said(run("people", "list"))
    link = said(run("people", "add", "Mia@ann.test", "--name", "Mia", "--role", "admin")).splitlines()[-1]
    assert link.startswith("http://127.0.0.1:8025/reset/")
    people = json.loads(said(run("people", "list", "--json")))
    assert [(each["email"], each["workspaces"][0]["role"]) for each in people] == [
        ("ann@ann.test", "owner"),
        ("mia@ann.test", "admin"),
    ]
    said(run("people", "add", "mia@ann.test", "--name", "Mia", "--role", "member"))
    assert json.loads(said(run("people", "list", "--json")))[1]["workspaces"][0]["role"] == "member"


def test_what_became_of_a_role_is_said_and_an_owner_stays_one(run: Run) -> None:
    def add(role: str) -> str:
        return said(run("people", "add", "mia@ann.test", "--name", "Mia", "--role", role)).splitlines()[0]

    assert add("member").startswith("mia@ann.test is in as member.")
    assert add("admin").startswith("mia@ann.test was member, is admin now.")
    assert add("admin").startswith("mia@ann.test is admin, as before.")
    refused = run("people", "add", "ann@ann.test", "--name", "Ann", "--role", "member")
    assert refused.exit_code == 1 and "owns the workspace" in refused.stderr and "reset-link" in refused.stderr
    assert "/reset/" not in refused.stdout
    assert json.loads(said(run("people", "list", "--json")))[0]["workspaces"][0]["role"] == "owner"


def test_links_begin_with_the_address_that_is_given(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = run("people", "reset-link", "ann@ann.test")
    assert "--url" in usual.stderr and "POSTRIDER_PUBLIC_URL" in usual.stderr
    monkeypatch.setenv("POSTRIDER_PUBLIC_URL", "https://mail.example.com")
    other = run("people", "reset-link", "ann@ann.test", "--url", "http://127.0.0.1:8742/")
    assert said(other).startswith("http://127.0.0.1:8742/reset/") and "--url" not in other.stderr
    added = said(run("people", "add", "mia@ann.test", "--name", "Mia", "--url", "http://localhost:9000"))
    assert added.splitlines()[-1].startswith("http://localhost:9000/reset/")
    for wrong in ("127.0.0.1:8742", "ftp://x", "http://[", ""):
        refused = run("people", "reset-link", "ann@ann.test", "--url", wrong)
        assert refused.exit_code == 1 and "--url is not a plain http(s) address" in refused.stderr


def test_a_key_is_not_narrowed_to_an_area_that_is_not_there(run: Run) -> None:
    refused = run("keys", "create", "--name", "CI", "--scope", "read", "--toolset", "campaign")
    assert refused.exit_code == 1 and "no toolset 'campaign'" in refused.stderr and "campaigns" in refused.stderr
    assert "CI" not in said(run("keys", "list"))


def test_a_password_is_asked_for_and_never_an_argument(run: Run, data: Path) -> None:
    done = run("people", "set-password", "ann@ann.test", input=f"{PASSWORD}\n{PASSWORD}\n")
    assert "is set" in said(done) and PASSWORD not in done.output
    [stored] = column(data, "SELECT password_hash FROM users")
    assert stored.startswith("$argon2id$") and password_fits(Secret(PASSWORD), stored)
    weak = run("people", "set-password", "ann@ann.test", input="short\nshort\n")
    assert weak.exit_code == 1 and "at least 12 characters" in weak.stderr
    assert run("people", "set-password", "nobody@ann.test", input="x\nx\n").exit_code == 1


def test_a_reset_link_is_printed_alone_and_stored_as_a_hash(
    run: Run, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSTRIDER_PUBLIC_URL", "https://mail.example.com")
    out = said(run("people", "reset-link", "ANN@ann.test"))
    link = out.strip()
    assert link.startswith("https://mail.example.com/reset/") and len(out.splitlines()) == 1
    assert link.rpartition("/")[2].encode() not in (data / "postrider.sqlite3").read_bytes()
    assert "Nobody here" in run("people", "reset-link", "nobody@ann.test").stderr


def test_keys_are_made_listed_and_revoked_also_platform_keys(run: Run, data: Path) -> None:
    made = json.loads(
        said(
            run(
                "keys",
                "create",
                "--name",
                "CI",
                "--scope",
                "read",
                "--scope",
                "prepare",
                "--daily-sends",
                "5",
                "--json",
            )
        )
    )
    assert made["key"].startswith("sk_") and made["scopes"] == ["prepare", "read"] and made["dailySends"] == 5
    listed = json.loads(said(run("keys", "list", "--json")))
    assert [key["name"] for key in listed["workspace"]] == ["CI", "Ann's: workspace"]
    [platform] = listed["platform"]
    assert made["key"] not in str(listed) and platform["begins"].startswith("sk_user_")
    for key_id in (made["id"], platform["id"]):
        assert "is revoked" in said(run("keys", "revoke", key_id))
    assert "CI: prepare, read; autonomy confirm; 5 messages a day; revoked" in said(run("keys", "list"))
    assert column(data, "SELECT count(*) FROM api_keys WHERE revoked_at IS NOT NULL") == [2]
    unknown = run("keys", "revoke", "key_00000000000000000000000000")
    assert unknown.exit_code == 1 and "API key not found" in unknown.stderr


def in_house(data: Path, work: Callable[[Installation], Any]) -> Any:
    """Does something in the data directory of the commands, as another process would."""

    async def inside() -> Any:
        app = build(load_settings({"POSTRIDER_DATA_DIR": str(data)}))
        try:
            [workspace_id] = column(data, "SELECT id FROM workspaces")
            [user_id] = column(data, "SELECT id FROM users")
            ann = NewOwner(user_id, workspace_id, Secret(""), Secret(""))
            return await work(Installation(app, app.clock, ann, ann))  # type: ignore[arg-type]  # the machine's clock
        finally:
            await app.close()

    return anyio.run(inside)


def test_apps_are_listed_and_put_out(run: Run, data: Path) -> None:
    assert "No app is connected" in said(run("apps", "list"))
    grant_id = in_house(data, lambda house: connect(house, house.ann.user_id))
    assert f"{grant_id}  'Claude' of ann@ann.test: read, send; autonomy confirm" in said(run("apps", "list"))
    assert json.loads(said(run("apps", "list", "--json")))[0]["id"] == grant_id
    again = in_house(data, lambda house: connect(house, house.ann.user_id))
    [line] = said(run("apps", "list")).splitlines()
    assert line.startswith(f"{again}  'Claude'") and line.endswith("; asked 2 times")
    assert "is revoked" in said(run("apps", "revoke", grant_id))
    assert "No app is connected" in said(run("apps", "list"))
    anew = in_house(data, lambda house: connect(house, house.ann.user_id))
    told = said(run("apps", "revoke", grant_id))
    assert "was revoked before" in told and "still connected" in told and f"postrider apps revoke {anew}" in told
    assert f"{anew} is revoked" in said(run("apps", "revoke", anew))
    assert f"{grant_id} is revoked" in said(run("apps", "revoke", grant_id))


@pytest.mark.parametrize(("word", "status"), [("grant", "granted"), ("deny", "denied")])
def test_approvals_are_listed_and_answered(run: Run, data: Path, word: str, status: str) -> None:
    assert "Nothing waits" in said(run("approvals", "list"))
    waits = in_house(data, ask)
    listed = said(run("approvals", "list"))
    assert waits in listed and "Starting it lets it write to 1,200 people." in listed
    assert '    Campaign "Spring"\n    From "ann@ann.test"\n' in listed
    assert json.loads(said(run("approvals", "list", "--json")))[0]["people"] == 1_200
    assert "1,200 people" in said(run("approvals", word, waits))
    assert column(data, "SELECT status FROM approvals") == [status]
    assert column(data, "SELECT operation || ' ' || door FROM audit_events") == [f"{word}_approval cli"]
    again = run("approvals", word, waits)
    assert again.exit_code == 1 and "does not wait for an answer" in again.stderr


def test_serve_prints_a_link_until_somebody_can_sign_in(run: Run, data: Path) -> None:
    async def look(house: Installation) -> tuple[str | None, int]:
        link = await set_up_link(house.app, BASE)
        assert link is not None
        transport = httpx.ASGITransport(http_app(house.app))
        async with httpx.AsyncClient(transport=transport) as client:
            return link, (await client.get(link)).status_code

    link, status = in_house(data, look)
    assert link.startswith(f"{BASE}/set-up/") and status == 200
    said(run("people", "set-password", "ann@ann.test", input=f"{PASSWORD}\n{PASSWORD}\n"))
    assert in_house(data, lambda house: set_up_link(house.app, BASE)) is None
