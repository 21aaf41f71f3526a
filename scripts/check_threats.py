"""Holds docs/threats.md against the tests that it names; prints what is wrong and exits with 1.

python -m scripts.check_threats

Every threat has one row with the tests that would fail if it came true, or says that it is open, and why.
"""

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

PAGE: Final = Path("docs/threats.md")
THREATS: Final[dict[str, int]] = {
    "T": 4,
    "O": 10,
    "M": 4,
    "P": 4,
    "S": 4,
    "H": 3,
    "C": 2,
    "F": 2,
    "L": 3,
    "B": 2,
    "E": 2,
    "D": 1,
    "R": 1,
    "A": 1,
    "X": 2,
}
"""How many threats of each kind there are, numbered from 1."""

_ROW: Final = re.compile(r"^\| ([A-Z]\d+) \| (.+?) \| (.+) \|$", re.MULTILINE)
_TEST: Final = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
_OPEN: Final = re.compile(r"^\*\*open\*\*: \S+")


def problems(text: str, root: Path) -> Iterator[str]:
    """What is wrong with the page ``text`` of the repository at ``root``."""
    rows = [(match.group(1), match.group(3)) for match in _ROW.finditer(text)]
    named = [row for row, _ in rows]
    wanted = [f"{kind}{number}" for kind, count in THREATS.items() for number in range(1, count + 1)]
    yield from (f"{each}: has no row" for each in wanted if each not in named)
    yield from (f"{each}: is no threat that we know" for each in named if each not in wanted)
    yield from (f"{each}: has {named.count(each)} rows" for each in sorted(set(named)) if named.count(each) > 1)
    for row, cell in rows:
        tests = _TEST.findall(cell)
        if not tests and not _OPEN.match(cell):
            yield f"{row}: names no test, and does not say '**open**: why'"
        for path, name in tests:
            if not (root / path).is_file():
                yield f"{row}: there is no {path}"
            elif name and name not in _tests_of(root / path):
                yield f"{row}: {path} has no test {name}"


@cache
def _tests_of(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text())
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(function.name for function in functions if function.name.startswith("test_"))


def main() -> int:
    """Prints the problems; the exit status is 1 when there are any."""
    found = [f"{PAGE}: {problem}" for problem in problems(PAGE.read_text(), Path())]
    for problem in found:
        sys.stdout.write(f"{problem}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
