"""How ``postrider stdio`` starts: the tools first, then the installation, and clear words when that fails."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from postrider.catalogue import load_catalogue
from postrider.doors.mcp.projection import describe_tools
from postrider.doors.mcp.surface import MAIN
from tests.witness.listening import start

SECONDS = 60
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
OPENING = (
    {"id": 1, "method": "initialize", "params": HELLO},
    {"method": "notifications/initialized"},
    {"id": 2, "method": "tools/list"},
)
BEFORE_THE_LIST = "import sys, postrider.doors.cli.stdio; print(*sys.modules)"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("POSTRIDER_")}
    return own | {"POSTRIDER_DATA_DIR": str(tmp_path), "HOME": str(tmp_path)}


def stdio(environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    return start([sys.executable, "-m", "postrider", "stdio", *arguments], environment)


def say(running: subprocess.Popen[str], *messages: dict[str, Any]) -> None:
    assert running.stdin is not None
    running.stdin.write("".join(json.dumps({"jsonrpc": "2.0", **message}) + "\n" for message in messages))
    running.stdin.flush()


def answers(running: subprocess.Popen[str], count: int) -> dict[int, dict[str, Any]]:
    assert running.stdout is not None
    lines = [json.loads(running.stdout.readline()) for _ in range(count)]
    return {line["id"]: line["result"] for line in lines}


def test_the_first_list_is_the_catalogues_and_a_call_waits_for_the_installation(environment: dict[str, str]) -> None:
    call = {"id": 3, "method": "tools/call", "params": {"name": "list_tags", "arguments": {}}}
    with stdio(environment) as running:
        say(running, *OPENING, call)
        found = answers(running, 3)
        running.communicate(timeout=SECONDS)
    wanted = describe_tools(MAIN, load_catalogue()).model_dump(mode="json", by_alias=True, exclude_none=True)
    assert found[2]["tools"] == wanted["tools"]
    assert len(found[3]["structuredContent"]["items"]) == 11
    assert running.returncode == 0


def test_an_installation_that_cannot_be_opened_ends_the_process_in_words(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with sqlite3.connect(tmp_path / "postrider.sqlite3") as database:
        database.execute("CREATE TABLE alembic_version (version_num TEXT)")
        database.execute("INSERT INTO alembic_version VALUES ('9999')")
    with stdio(environment) as running:
        # Nothing more is said, and standard input stays open: the process has to end by itself.
        say(running, *OPENING)
        assert len(answers(running, 2)[2]["tools"]) > 20
        assert running.wait(SECONDS) == 1
        assert running.stderr is not None and "newer Postrider" in running.stderr.read()


def test_an_unknown_workspace_ends_the_process_in_words(environment: dict[str, str]) -> None:
    with stdio(environment) as running:
        running.communicate(timeout=SECONDS)
    with stdio(environment, "--workspace", "Elsewhere") as running:
        assert running.wait(SECONDS) == 1
        assert running.stderr is not None and "no workspace 'Elsewhere'" in running.stderr.read()


def test_nothing_of_the_installation_is_imported_before_the_first_list() -> None:
    shown = subprocess.run([sys.executable, "-c", BEFORE_THE_LIST], capture_output=True, text=True, check=True)
    imported = set(shown.stdout.split())
    assert "postrider.doors.mcp.early" in imported
    slow = {"sqlalchemy", "postrider.app", "postrider.catalogue", "postrider.dispatch", "postrider.storage"}
    assert not imported & slow
