"""What the command line tells to do next can be typed as it stands."""

import json
import shlex
from pathlib import Path

import pytest
import typer
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from typer.testing import Result

from postrider.doors.cli.words import explained
from tests.command_line import INIT, Run, data, run
from tests.features.test_cli import said, words

__all__ = ["data", "run"]

CSV = json.dumps({"csv": "email\na@b.test\n"})


def follow(run: Run, answer: Result) -> object:
    """Types the last command that ``answer`` names."""
    command = shlex.split(answer.stderr.strip().splitlines()[-1].partition("postrider ")[2])
    return said(run(*command))


def test_the_way_to_a_jobs_state_can_be_typed_where_there_are_several_workspaces(run: Run) -> None:
    run(*INIT)
    assert follow(run, run("call", "import_leads_csv", "--json", CSV))
    run("init", "--email", "b@b.test", "--name", "B", "--workspace", "The other one")
    answer = run("call", "import_leads_csv", "--workspace", "The other one", "--json", CSV)
    assert "--workspace 'The other one'" in answer.stderr
    assert follow(run, answer)


def test_a_misspelt_variable_is_named_by_the_doctor_and_in_the_log(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run(*INIT)
    monkeypatch.setenv("POSTRIDER_DATABSE_URL", "postgresql://x")
    examined = run("doctor", "--port", "0")
    assert examined.exit_code == 0
    assert "POSTRIDER_DATABSE_URL is no setting" in words(examined.output)
    assert "Did you mean POSTRIDER_DATABASE_URL?" in words(examined.output)
    logged = run("call", "list_tags").stderr
    assert "unknown_setting" in logged and "POSTRIDER_DATABSE_URL" in logged and "POSTRIDER_DATABASE_URL" in logged


def test_a_key_that_is_too_short_is_no_reason_to_look_for_a_backup(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTRIDER_SECRET_KEY", "short")
    found = words(run("doctor", "--port", "0").output)
    assert "use at least 32 random characters" in found and "backup" not in found.partition("key: ")[2][:200]


def test_a_key_file_that_holds_anything_else_is_told_so(run: Run, data: Path) -> None:
    run(*INIT)
    (data / "secret.key").write_text("no key %%")
    found = run("doctor", "--port", "0")
    assert found.exit_code == 1 and "does not hold a Postrider key" in words(found.output)


LOST = Exception("terminating connection")


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("SELECT 1", {}, LOST),
        InterfaceError("SELECT 1", {}, LOST),
        DBAPIError("SELECT 1", {}, LOST, connection_invalidated=True),
    ],
)
def test_a_database_that_is_away_is_told_in_words(error: DBAPIError, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), explained():
        raise error
    assert "The database cannot be reached: terminating connection" in words(capsys.readouterr().err)


def test_any_other_error_of_the_database_stays_a_bug() -> None:
    with pytest.raises(IntegrityError), explained():
        raise IntegrityError("INSERT", {}, Exception("duplicate key"))
