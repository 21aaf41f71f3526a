"""Files that are written from the code: brought up to date, or compared with what is checked in."""

import argparse
import difflib
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
_MOST_DIFF_LINES: Final = 200

Texts = Mapping[str, str]
"""The wanted text of each file, by its path relative to the repository."""


def write_files(texts: Texts, folder: Path | None, root: Path = ROOT) -> list[str]:
    """Writes what differs and removes what ``folder`` holds besides; the paths that were touched."""
    touched = []
    for name, text in texts.items():
        path = root / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            touched.append(name)
    for name in _strangers(texts, folder, root):
        (root / name).unlink()
        touched.append(name)
    return touched


def differences(texts: Texts, folder: Path | None, root: Path = ROOT) -> Iterator[str]:
    """A unified diff, line by line, from what is checked in to what the code says; nothing when they agree."""
    for name, text in texts.items():
        path = root / name
        present = path.read_text(encoding="utf-8") if path.is_file() else ""
        if present != text:
            yield from difflib.unified_diff(
                present.splitlines(), text.splitlines(), f"checked in: {name}", f"the code: {name}", lineterm="", n=2
            )
    for name in _strangers(texts, folder, root):
        yield f"--- checked in: {name}"
        yield "+++ the code knows nothing of it"


def main(texts: Callable[[], Texts], folder: Path | None, command: str, arguments: list[str]) -> int:
    """Writes, or with ``--check`` compares; the exit status is 1 when something is out of date."""
    parser = argparse.ArgumentParser(prog=command, description="Writes what is generated from the code.")
    parser.add_argument("--check", action="store_true", help="change nothing; say what is out of date")
    if not parser.parse_args(arguments).check:
        for name in write_files(texts(), folder):
            sys.stdout.write(f"{name}\n")
        return 0
    diff = list(differences(texts(), folder))
    for line in diff[:_MOST_DIFF_LINES]:
        sys.stdout.write(f"{line}\n")
    if len(diff) > _MOST_DIFF_LINES:
        sys.stdout.write(f"… and {len(diff) - _MOST_DIFF_LINES} lines more\n")
    if diff:
        sys.stdout.write(f"Out of date. If the change is meant, refresh with: {command}\n")
    return 1 if diff else 0


def _strangers(texts: Texts, folder: Path | None, root: Path) -> list[str]:
    """Files in ``folder`` that nothing writes any more."""
    if folder is None:
        return []
    present = (path.relative_to(root).as_posix() for path in (root / folder).rglob("*") if path.is_file())
    return sorted(set(present) - set(texts))
