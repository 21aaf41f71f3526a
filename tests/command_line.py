"""The command line in this process, on a data directory of its own. Import the fixtures that a module uses."""

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from postrider.doors.cli import app
from postrider.logs import configure_logs

Run = Callable[..., Result]
INIT = ("init", "--email", "ann@ann.test", "--name", "Ann", "--workspace", "Ann's")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data directory, which is not there yet."""
    for name in [name for name in os.environ if name.startswith("POSTRIDER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("POSTRIDER_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def run(data: Path) -> Iterator[Run]:
    """Runs a command, and puts logging back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield lambda *arguments, **options: CliRunner().invoke(app, arguments, **options)
    configure_logs("WARNING", as_json=False)
    root.handlers, root.level = handlers, level


@pytest.fixture
def owned(run: Run) -> None:
    """There are an owner and a workspace already."""
    made = run(*INIT)
    assert made.exit_code == 0, made.output
