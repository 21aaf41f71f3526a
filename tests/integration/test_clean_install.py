"""What the Dockerfile does, without Docker: another user, an empty environment, the same script."""

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from scripts.generated import ROOT

SECONDS: Final = 400
"""Everything is downloaded anew: a minute, as a rule; several where the machine has much else to do."""


def users() -> str:
    return Path("/etc/passwd").read_text(encoding="utf-8")


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A folder that another user may look into, as pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.timeout(SECONDS + 20)
def test_a_clean_install_serves_and_ends_when_asked_and_leaves_nothing(open_place: Path) -> None:
    before = users()
    script = ["env", f"TMPDIR={open_place}", "bash", "scripts/clean_install.sh"]
    ended = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    said = ended.stdout.splitlines()
    assert said[0].startswith(("Installing as another user", "Not root: installing as"))
    assert said[-3:] == [
        "The server listens.",
        "The server is ready.",
        "Asked to stop, it finished its work and ended with 0.",
    ]
    assert list(open_place.iterdir()) == []
    assert users() == before
