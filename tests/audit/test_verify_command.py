"""``postrider audit verify``, as somebody at the server runs it."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, select, text, update
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from postrider.audit.rules import KEY_PURPOSE
from postrider.audit.sealing import seal_batch
from postrider.audit.tables import AuditEvent
from postrider.kernel.vault import Vault, load_or_create_key
from postrider.storage.leases import take_lease
from tests.command_line import Run, data, owned, run
from tests.conftest import START

__all__ = ["data", "owned", "run"]
pytestmark = pytest.mark.usefixtures("owned")


def in_database(data: Path, work: Callable[[Session], Any]) -> Any:
    engine = create_engine(f"sqlite:///{data / 'postrider.sqlite3'}", poolclass=NullPool)
    with Session(engine) as session, session.begin():
        return work(session)


def seal_all(data: Path) -> None:
    key = Vault(load_or_create_key(None, data / "secret.key")).derive(KEY_PURPOSE)

    def work(session: Session) -> None:
        for workspace_id in session.scalars(select(AuditEvent.workspace_id).distinct()).all():
            seal_batch(session, key, workspace_id, START)

    in_database(data, work)


def test_before_anything_happened_there_is_nothing_to_verify(run: Run) -> None:
    found = run("audit", "verify")
    assert (found.exit_code, found.stdout) == (0, "Nothing has been recorded yet.\n")


def test_a_whole_chain_and_its_unsealed_tail_are_told(run: Run, data: Path) -> None:
    for name in "ab":
        assert run("call", "create_tag", "--json", json.dumps({"name": name})).exit_code == 0
    found = json.loads(run("audit", "verify", "--json").stdout)
    [facts] = found["workspaces"]
    assert (found["ok"], facts["sealed"], facts["unsealed"], facts["sealingIsLate"]) == (True, 0, 2, False)
    assert facts["oldestUnsealedAt"].endswith("Z")
    assert "    2 are not sealed yet" in run("audit", "verify").stdout
    seal_all(data)
    told = run("audit", "verify")
    assert (told.exit_code, told.stdout.count("\n")) == (0, 1)
    assert "whole: 2 events are sealed" in told.stdout


def test_one_event_is_told_as_one(run: Run, data: Path) -> None:
    assert run("call", "create_tag", "--json", '{"name": "a"}').exit_code == 0
    assert "    1 is not sealed yet, the oldest since" in run("audit", "verify").stdout
    seal_all(data)
    assert "whole: 1 event is sealed." in run("audit", "verify").stdout


def test_a_changed_row_is_named_and_the_exit_status_is_1(run: Run, data: Path) -> None:
    for name in "abc":
        run("call", "create_tag", "--json", json.dumps({"name": name}))
    seal_all(data)
    in_database(data, lambda session: session.execute(text("UPDATE audit_events SET door='v1' WHERE number = 2")))
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
    run: Run, data: Path, engine: bool
) -> None:
    run("call", "create_tag", "--json", '{"name": "a"}')
    if engine:
        in_database(data, lambda session: take_lease(session.connection(), "somebody", 60))

    def age(session: Session) -> None:
        at = session.scalars(select(AuditEvent.at)).one()
        assert isinstance(at, datetime)
        session.execute(update(AuditEvent).values(at=at - timedelta(seconds=11)))

    in_database(data, age)
    told = run("audit", "verify")
    assert told.exit_code == 0
    assert ("should have sealed them" in told.stdout) is engine


def test_what_began_and_has_no_end_is_named(run: Run) -> None:
    run("call", "import_leads_csv", "--json", json.dumps({"csv": "email\na@b.test\n"}))
    told = run("audit", "verify")
    assert told.exit_code == 0
    assert "1 began and have no end yet: aud_" in told.stdout


def test_events_are_exported_to_where_one_wants_them_and_nothing_is_left_behind(
    run: Run, data: Path, tmp_path: Path
) -> None:
    for name in "ab":
        run("call", "create_tag", "--json", json.dumps({"name": name}))
    out = tmp_path / "events.jsonl"
    told = run("audit", "export", "--format", "jsonl", "--out", str(out))
    assert (told.exit_code, told.stdout.strip()) == (0, str(out))
    assert [json.loads(line)["operation"] for line in out.read_text().splitlines()] == ["create_tag", "create_tag"]
    assert [path for path in (data / "files").rglob("*") if path.is_file()] == []
    told = run("audit", "export", "--from", "2020-01-01T00:00:00Z", "--to", "2021-01-01T00:00:00Z")
    assert Path(told.stdout.strip()).read_text().startswith("id,at,operation,")
    assert run("audit", "export", "--from", "yesterday").exit_code == 1
