"""What is generated from the code is checked in and fresh: snapshots, the operations reference, the migration head."""

from pathlib import Path

import pytest
from scripts import operations_reference, snapshots
from scripts.check_migrations import problems
from scripts.generated import differences, main, write_files


def test_the_snapshots_say_what_the_code_says() -> None:
    diff = "\n".join(differences(snapshots.snapshot_texts(), snapshots.FOLDER))
    assert not diff, f"{diff}\nrefresh with: {snapshots.COMMAND}"


def test_the_operations_reference_says_what_the_code_says() -> None:
    diff = "\n".join(differences(operations_reference.reference_texts(), None))
    assert not diff, f"{diff}\nrefresh with: {operations_reference.COMMAND}"


def test_generating_twice_gives_the_same_octets() -> None:
    assert snapshots.snapshot_texts() == snapshots.snapshot_texts()
    assert operations_reference.reference_texts() == operations_reference.reference_texts()


def test_the_head_constant_names_the_newest_migration() -> None:
    assert list(problems()) == []


def test_a_difference_is_shown_line_by_line(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{\n  "type": "text"\n}\n')
    diff = list(differences({"a.json": '{\n  "type": "number"\n}\n'}, None, tmp_path))
    assert '-  "type": "text"' in diff and '+  "type": "number"' in diff


def test_a_file_that_nothing_writes_any_more_is_named_and_removed(tmp_path: Path) -> None:
    folder = Path("kept")
    texts = {"kept/a.json": "1\n"}
    write_files({**texts, "kept/gone.json": "2\n"}, folder, tmp_path)
    assert any("kept/gone.json" in line for line in differences(texts, folder, tmp_path))
    assert write_files(texts, folder, tmp_path) == ["kept/gone.json"]
    assert list(differences(texts, folder, tmp_path)) == []


def test_a_check_that_fails_says_how_to_refresh(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(lambda: {"no/such/file.json": "1\n"}, None, "python -m scripts.some", ["--check"])
    assert status == 1
    assert "refresh with: python -m scripts.some" in capsys.readouterr().out


def test_every_setting_has_a_line_in_the_snapshot() -> None:
    variables = [setting["variable"] for setting in snapshots.setting_defaults()]
    assert len(variables) == len(set(variables)) and "POSTRIDER_PUBLIC_URL" in variables
