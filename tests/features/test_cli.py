"""The command line, against a data directory of its own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool
from typer.testing import Result

from postrider.access.queries import authenticate_key
from postrider.catalogue import load_catalogue
from postrider.kernel.vault import Vault, load_or_create_key
from postrider.storage.schema import HEAD
from postrider.storage.tables import Meta
from tests.command_line import INIT, Run, data, run
from tests.conftest import START

__all__ = ["data", "run"]


def words(text: str) -> str:
    return " ".join(text.split())


def said(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "postrider", "--help"]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    loaded = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert "typer" in loaded
    assert not loaded & {"sqlalchemy", "pydantic", "mcp", "uvicorn", "starlette", "structlog", "postrider.app"}
    for name in ("init", "serve", "stdio", "engine", "call", "operations", "doctor", "db", "demo"):
        assert name in result.stdout


def test_init_makes_keys_that_work(run: Run, data: Path) -> None:
    keys = said(run(*INIT, "--json"))
    assert set(keys) == {"userId", "workspaceId", "platformKey", "workspaceKey"}
    pepper = Vault(load_or_create_key(None, data / "secret.key")).derive("api-keys")
    engine = create_engine(f"sqlite:///{data / 'postrider.sqlite3'}", poolclass=NullPool)
    with Session(engine) as session:
        own = authenticate_key(session, pepper, keys["workspaceKey"], None, "v1", START)
        platform = authenticate_key(session, pepper, keys["platformKey"], keys["workspaceId"], "v1", START)
    assert own.workspace_id == platform.workspace_id == keys["workspaceId"]
    assert platform.user_id == keys["userId"]


def test_a_second_init_adds_a_workspace_to_the_same_owner(run: Run) -> None:
    first = said(run(*INIT, "--json"))
    second = said(run("init", "--email", "ANN@ann.test", "--name", "Ann", "--workspace", "More", "--json"))
    assert first["userId"] == second["userId"] and first["workspaceId"] != second["workspaceId"]


def test_init_for_people_says_that_keys_are_shown_once(run: Run) -> None:
    result = run(*INIT)
    assert result.exit_code == 0 and "sk_user_" in result.stdout and "cannot be shown again" in result.stdout
    assert "X-Workspace-Id" in result.stdout and "manage" not in result.stdout


def test_init_refuses_what_is_no_address(run: Run, data: Path) -> None:
    result = run("init", "--email", "ann", "--name", "Ann", "--workspace", "W")
    assert result.exit_code == 1 and "--email is not an address" in result.stderr and not data.exists()


def test_operations_lists_the_catalogue(run: Run) -> None:
    listed = said(run("operations", "--json"))
    assert [row["name"] for row in listed] == [operation.name for operation in load_catalogue()]
    assert "create_tag" in run("operations").stdout


def test_call_prints_the_output_and_changes_data(run: Run) -> None:
    run(*INIT)
    created = said(run("call", "create_tag", "--json", '{"name": "Größe"}'))
    assert created["name"] == "Größe"
    assert created in said(run("call", "list_tags"))["items"]


def test_call_asks_which_workspace_where_there_are_several(run: Run) -> None:
    first = said(run(*INIT, "--json"))["workspaceId"]
    second = said(run(*INIT[:-1], "Second", "--json"))["workspaceId"]
    asked = run("call", "create_tag", "--json", '{"name": "x"}')
    assert asked.exit_code == 1
    assert f"Ann's ({first})" in asked.stderr and f"Second ({second})" in asked.stderr
    assert "--workspace" in words(asked.stderr)
    said(run("call", "create_tag", "--json", '{"name": "x"}', "--workspace", "Second"))
    names = [{row["name"] for row in said(run("call", "list_tags", "-w", each))["items"]} for each in (first, second)]
    assert ["x" in found for found in names] == [False, True]


def test_a_name_that_two_workspaces_share_does_not_choose_one(run: Run) -> None:
    one = said(run(*INIT, "--json"))["workspaceId"]
    said(run(*INIT, "--json"))
    asked = run("call", "list_tags", "--workspace", "Ann's")
    assert asked.exit_code == 1 and one in asked.stderr
    assert run("call", "list_tags", "--workspace", one).exit_code == 0


def test_the_workspace_s_lines_and_headers_are_set_and_shown(run: Run) -> None:
    run(*INIT)
    unset = {"postalAddress": "", "optOutLine": "", "unsubscribeHeaders": True, "pausedAt": None}
    assert unset.items() <= said(run("workspace", "show", "--json")).items()
    given = ("--postal-address", " Acme Ltd, 12 High Street ", "--opt-out-line", "Say stop.")
    said(run("workspace", "set", *given, "--json"))
    changed = said(run("workspace", "set", "--no-unsubscribe-headers", "--json"))
    wanted = {"postalAddress": "Acme Ltd, 12 High Street", "optOutLine": "Say stop.", "unsubscribeHeaders": False}
    assert wanted.items() <= changed.items()
    assert "12 High Street" in run("workspace", "show").stdout and "not sent" in run("workspace", "show").stdout
    assert said(run("workspace", "set", "--opt-out-line", "", "--json"))["optOutLine"] == ""


@pytest.mark.parametrize("arguments", [(), ("--opt-out-line", "a\nb"), ("--postal-address", "x" * 301)])
def test_lines_that_are_none_are_refused(run: Run, arguments: tuple[str, ...]) -> None:
    run(*INIT)
    refused = run("workspace", "set", *arguments)
    assert refused.exit_code == 1 and (arguments or ("--postal-address",))[0] in words(refused.stderr)


def test_call_reads_arguments_from_standard_input(run: Run) -> None:
    run(*INIT)
    assert said(run("call", "create_tag", "--json", "-", input='{"name": "From a pipe"}'))["name"] == "From a pipe"


def test_call_takes_the_named_workspace(run: Run) -> None:
    run(*INIT)
    other = said(run("init", "--email", "ann@ann.test", "--name", "Ann", "--workspace", "Other", "--json"))
    run("call", "create_tag", "--json", '{"name": "There"}', "--workspace", "Other")
    by_id = said(run("call", "list_tags", "--workspace", other["workspaceId"]))["items"]
    assert "There" in [tag["name"] for tag in by_id]
    assert "There" not in [tag["name"] for tag in said(run("call", "list_tags", "--workspace", "Ann's"))["items"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("create_tag", "--json", '{"name": "X", "colour": "#fff"}'), "did you mean color"),
        (("create_tag", "--json", '{"name": "interested"}'), "exists already. What to do: Use it"),
        (("create_tag", "--json", "{"), "--json is not JSON"),
        (("create_tag", "--json", "[]"), "--json is not an object"),
        (("list_leads", "--json", '{"limit": ' + "9" * 5_000 + "}"), "a number with too many digits"),
        (("list_tag",), "Did you mean list_tags?"),
        (("list_tags", "--workspace", "Nowhere"), "no workspace 'Nowhere'"),
        (("list_tags", "--file", __file__), "list_tags takes no file"),
    ],
)
def test_call_explains_what_went_wrong(run: Run, arguments: tuple[str, ...], message: str) -> None:
    run(*INIT)
    result = run("call", *arguments)
    assert result.exit_code == 1 and result.stdout == ""
    assert message in words(result.stderr) and "Traceback" not in result.stderr


def test_call_without_a_workspace_says_how_to_make_one(run: Run) -> None:
    result = run("call", "list_tags")
    assert result.exit_code == 1 and "postrider init" in words(result.stderr)


def test_an_empty_database_is_shown_and_upgraded(run: Run) -> None:
    before = run("db", "status")
    assert before.exit_code == 1 and f"{HEAD} is needed" in before.stdout
    assert "Upgraded from nothing" in run("db", "upgrade").stdout
    assert run("db", "status").exit_code == 0
    assert "already" in run("db", "upgrade").stdout


def test_the_hold_after_a_restored_backup_is_shown_and_released(run: Run, data: Path) -> None:
    run(*INIT)
    assert "Nothing was held" in run("db", "release-hold").stdout
    (data / "engine.beats").write_text("99")
    released = run("db", "release-hold")
    assert "restored backup" in released.stdout and "Released" in released.stdout
    assert "Nothing was held" in run("db", "release-hold").stdout
    assert (data / "engine.beats").read_text() == beats(data)


def beats(data: Path) -> str:
    engine = create_engine(f"sqlite:///{data / 'postrider.sqlite3'}", poolclass=NullPool)
    with Session(engine) as session:
        return session.scalar(select(Meta.value).where(Meta.key == "engine_beats")) or "0"


def broken(result: Result, message: str) -> None:
    assert result.exit_code == 1, result.output
    assert message in words(result.output) and "Traceback" not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)


def test_settings_that_cannot_be_used_are_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTRIDER_PUBLIC_URL", "ftp://x")
    for command in (("call", "list_tags"), ("serve",), ("engine",), ("db", "status")):
        result = run(*command)
        broken(result, "POSTRIDER_PUBLIC_URL")
        assert len(result.stderr.splitlines()) == 1


def test_a_key_that_others_can_read_is_one_line(run: Run, data: Path) -> None:
    run(*INIT)
    (data / "secret.key").chmod(0o644)
    broken(run("call", "list_tags"), "chmod 600")


def test_a_database_of_a_newer_program_is_one_line(run: Run, data: Path) -> None:
    run(*INIT)
    engine = create_engine(f"sqlite:///{data / 'postrider.sqlite3'}", poolclass=NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    broken(run("call", "list_tags"), "newer Postrider")


def test_a_file_that_is_no_database_is_one_line(run: Run, data: Path) -> None:
    data.mkdir(mode=0o700)
    (data / "postrider.sqlite3").write_bytes(b"not a database at all" * 100)
    broken(run("call", "list_tags"), "not a database")
    broken(run("doctor"), "BROKEN database")


def test_a_server_that_does_not_answer_is_named_without_its_password(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTRIDER_DATABASE_URL", "postgresql://ann:swordfish@127.0.0.1:1/x")
    for result in (run("call", "list_tags"), run("db", "status"), run("doctor")):
        broken(result, "127.0.0.1")
        assert "swordfish" not in result.output


def test_the_doctor_finds_nothing_broken_before_and_after_the_first_run(run: Run, data: Path) -> None:
    assert run("doctor", "--port", "0").exit_code == 0 and not data.exists()
    run(*INIT)
    result = run("doctor", "--port", "0")
    assert result.exit_code == 0 and f"SQLite at {HEAD}" in result.output
    assert "None is running" in result.output and "Nothing is broken" in result.output


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("POSTRIDER_LOG_LEVEL", "LOUD", "BROKEN settings"),
        ("POSTRIDER_SECRET_KEY", "short", "BROKEN key"),
        ("POSTRIDER_PUBLIC_URL", "http://out.example.com", "BROKEN public address"),
    ],
)
def test_the_doctor_says_which_setting_to_mend(
    run: Run, monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)
    broken(run("doctor"), message)


def test_another_key_than_the_data_was_sealed_with_is_refused(run: Run, data: Path) -> None:
    run(*INIT)
    (data / "secret.key").unlink()
    broken(run("doctor"), "The data was sealed with another key")
    broken(run("call", "list_tags"), "restore secret.key or POSTRIDER_SECRET_KEY")
    broken(run("doctor"), "BROKEN key: The data was sealed with another key")


def test_settling_an_unknown_message_that_is_none_is_refused(run: Run) -> None:
    run(*INIT)
    broken(run("settle-unknown", "--campaign", "camp_x", "--lead", "lead_x", "--as", "sent"), "unknown outcome")


def test_the_doctor_says_how_to_close_the_data_directory(run: Run, data: Path) -> None:
    run(*INIT)
    data.chmod(0o755)
    (data / "secret.key").chmod(0o644)
    result = run("doctor")
    broken(result, f"chmod 700 {data}")
    assert "2 broken" in result.output


def test_the_doctor_names_a_port_that_is_taken(run: Run) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert "cannot be bound" in run("doctor", "--port", str(taken.getsockname()[1])).output
