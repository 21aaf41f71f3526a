"""``postrider audit verify``, as somebody at the server runs it."""

import json
import logging
import os
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, select, text, update
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool
from typer.testing import CliRunner, Result

from postrider.audit.rules import KEY_PURPOSE
from postrider.audit.sealing import seal_batch
from postrider.audit.tables import AuditEvent
from postrider.doors.cli import app
from postrider.kernel.vault import Vault, load_or_create_key
from postrider.logs import configure_logs
from postrider.storage.leases import take_lease
from tests.conftest import START

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs the command line on an installation with one workspace, and puts logging back afterwards."""
    for name in [name for name in os.environ if name.startswith("POSTRIDER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("POSTRIDER_DATA_DIR", str(tmp_path))
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(app, arguments)

    assert invoke("init", "--email", "ann@ann.test", "--name", "Ann", "--workspace", "Main").exit_code == 0
    yield invoke
    configure_logs("WARNING", as_json=False)
    root.handlers, root.level = handlers, level


def in_database(tmp_path: Path, work: Callable[[Session], Any]) -> Any:
    engine = create_engine(f"sqlite:///{tmp_path / 'postrider.sqlite3'}", poolclass=NullPool)
    with Session(engine) as session, session.begin():
        return work(session)


def seal_all(tmp_path: Path) -> None:
    key = Vault(load_or_create_key(None, tmp_path / "secret.key")).derive(KEY_PURPOSE)

    def work(session: Session) -> None:
        for workspace_id in session.scalars(select(AuditEvent.workspace_id).distinct()).all():
            seal_batch(session, key, workspace_id, START)

    in_database(tmp_path, work)


def test_before_anything_happened_there_is_nothing_to_verify(run: Run) -> None:
    found = run("audit", "verify")
    assert (found.exit_code, found.stdout) == (0, "Nothing has been recorded yet.\n")


def test_a_whole_chain_and_its_unsealed_tail_are_told(run: Run, tmp_path: Path) -> None:
    for name in "ab":
        assert run("call", "create_tag", "--json", json.dumps({"name": name})).exit_code == 0
    found = json.loads(run("audit", "verify", "--json").stdout)
    [facts] = found["workspaces"]
    assert (found["ok"], facts["sealed"], facts["unsealed"], facts["sealingIsLate"]) == (True, 0, 2, False)
    assert facts["oldestUnsealedAt"].endswith("Z")
    seal_all(tmp_path)
    told = run("audit", "verify")
    assert (told.exit_code, told.stdout.count("\n")) == (0, 1)
    assert "whole: 2 events are sealed" in told.stdout


def test_a_changed_row_is_named_and_the_exit_status_is_1(run: Run, tmp_path: Path) -> None:
    for name in "abc":
        run("call", "create_tag", "--json", json.dumps({"name": name}))
    seal_all(tmp_path)
    in_database(tmp_path, lambda session: session.execute(text("UPDATE audit_events SET door='v1' WHERE number = 2")))
    told = run("audit", "verify")
    assert told.exit_code == 1
    assert "BROKEN at number 2 (aud_" in told.stdout
    assert "The 1 events before it are whole" in told.stdout
    found = run("audit", "verify", "--json")
    assert found.exit_code == 1
    [facts] = json.loads(found.stdout)["workspaces"]
    assert facts["firstBreak"]["kind"] == "row_changed"
    assert facts["firstBreak"]["number"] == 2


@pytest.mark.parametrize("engine", [True, False])
def test_rows_that_wait_longer_than_ten_seconds_are_late_only_while_an_engine_runs(
    run: Run, tmp_path: Path, engine: bool
) -> None:
    run("call", "create_tag", "--json", '{"name": "a"}')
    if engine:
        in_database(tmp_path, lambda session: take_lease(session.connection(), "somebody", 60))

    def age(session: Session) -> None:
        at = session.scalars(select(AuditEvent.at)).one()
        assert isinstance(at, datetime)
        session.execute(update(AuditEvent).values(at=at - timedelta(seconds=11)))

    in_database(tmp_path, age)
    told = run("audit", "verify")
    assert told.exit_code == 0
    assert ("should have sealed them" in told.stdout) is engine


def test_what_began_and_has_no_end_is_named(run: Run, tmp_path: Path) -> None:
    run("call", "import_leads_csv", "--json", json.dumps({"csv": "email\na@b.test\n"}))
    told = run("audit", "verify")
    assert told.exit_code == 0
    assert "1 began and have no end yet: aud_" in told.stdout


def test_events_are_exported_to_where_one_wants_them_and_nothing_is_left_behind(run: Run, tmp_path: Path) -> None:
    for name in "ab":
        run("call", "create_tag", "--json", json.dumps({"name": name}))
    out = tmp_path / "events.jsonl"
    told = run("audit", "export", "--format", "jsonl", "--out", str(out))
    assert (told.exit_code, told.stdout.strip()) == (0, str(out))
    assert [json.loads(line)["operation"] for line in out.read_text().splitlines()] == ["create_tag", "create_tag"]
    assert [path for path in (tmp_path / "files").rglob("*") if path.is_file()] == []
    told = run("audit", "export", "--from", "2020-01-01T00:00:00Z", "--to", "2021-01-01T00:00:00Z")
    assert Path(told.stdout.strip()).read_text().startswith("id,at,operation,")
    assert run("audit", "export", "--from", "yesterday").exit_code == 1
