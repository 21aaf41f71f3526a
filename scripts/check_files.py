"""Checks every file that is (or would be) in the repository; prints what is wrong and exits with 1.

python -m scripts.check_files [FOLDER]
"""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import unquote

SOFT_LINES: Final = 400
HARD_LINES: Final = 600
README_LINES: Final = 150

LONG_FILES: Final[dict[str, str]] = {}
"""Python files that may pass HARD_LINES: path, and the reason why splitting would make them worse."""

_BY_PRODUCT: Final = re.compile(r"\.git|\.venv|\.hypothesis|node_modules|build|dist|__pycache__|.*_cache|.*\.egg-info")
_REGISTRY: Final = re.compile(
    r"\b(?:pypi\.org|pythonhosted\.org|registry\.npmjs|(?:deb|security)\.debian\.org|crates\.io)\b"
)
_MACHINE_PATH: Final = re.compile(r"(?<![\w.-])(?:/(?:home|Users)/\w+|/(?:root|work)/|[A-Z]:\\Users\\)")
_FENCE: Final = re.compile(r"^ {0,3}(```+|~~~+).*?^ {0,3}\1[`~]* *$", re.MULTILINE | re.DOTALL)
_CODE: Final = re.compile(r"(`+)[^`].*?\1")
_LINK: Final = re.compile(r"""\]\(<?([^)\s>]+)>?(?:\s+["'][^)]*)?\)|^\s*\[[^\]]+\]:\s*<?(\S+?)>?\s*$""", re.MULTILINE)
_HEADING: Final = re.compile(r"^#{1,6}\s+(.*?)\s*#*\s*$", re.MULTILINE)


def repository_files(root: Path) -> list[str]:
    """Paths relative to ``root``: what git tracks or would track; without git, all but the usual by-products."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listing = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
        names = set(listing.split("\0")) - {""}
    except (FileNotFoundError, subprocess.CalledProcessError):
        paths = (path.relative_to(root) for path in root.rglob("*"))
        names = {path.as_posix() for path in paths if not any(_BY_PRODUCT.fullmatch(part) for part in path.parts)}
    return sorted(name for name in names if (root / name).is_file())


def readable(root: Path, names: Iterable[str]) -> dict[str, str]:
    """The text of every file that is text."""
    texts = {}
    for name in names:
        try:
            texts[name] = (root / name).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
    return texts


def length_problems(texts: dict[str, str]) -> Iterator[str]:
    """Files over their budget, and entries of LONG_FILES that are no longer needed."""
    for name, text in texts.items():
        lines = text.count("\n")
        if name.endswith(".py") and lines > HARD_LINES and name not in LONG_FILES:
            yield f"{name}: {lines} lines, {HARD_LINES} at most: split it by idea, or give LONG_FILES a reason"
        if name == "README.md" and lines > README_LINES:
            yield f"{name}: {lines} lines, {README_LINES} at most: the rest belongs in docs/"
    for name in LONG_FILES:
        if texts.get(name, "").count("\n") <= HARD_LINES:
            yield f"{name}: not over {HARD_LINES} lines any more: take it out of LONG_FILES"


def length_warnings(texts: dict[str, str]) -> Iterator[str]:
    """Python files that are on their way to be too long."""
    for name, text in texts.items():
        lines = text.count("\n")
        if name.endswith(".py") and SOFT_LINES < lines <= HARD_LINES:
            yield f"{name}: {lines} lines, {SOFT_LINES} is the rule"


def place_problems(texts: dict[str, str]) -> Iterator[str]:
    """Lines that tie the repository to a package registry or to somebody's machine."""
    for name, text in texts.items():
        for number, line in enumerate(text.splitlines(), start=1):
            for pattern, meaning in ((_REGISTRY, "names a package registry"), (_MACHINE_PATH, "a path of one machine")):
                if found := pattern.search(line):
                    yield f"{name}:{number}: {found.group()}: {meaning}"


def anchors(text: str) -> set[str]:
    """The fragments that headings of a Markdown text can be linked by, in the form that forges give them."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in _HEADING.findall(_FENCE.sub("", text)):
        slug = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def link_problems(root: Path, texts: dict[str, str]) -> Iterator[str]:
    """Links of Markdown files to files or headings that do not exist. Addresses on the web are not visited."""
    for name in (name for name in texts if name.endswith(".md")):
        prose = _CODE.sub("", _FENCE.sub("", texts[name]))
        for target in ("".join(groups) for groups in _LINK.findall(prose)):
            if re.match(r"[a-z][a-z+.-]*:|//", target):
                continue
            path, _, fragment = unquote(target).partition("#")
            aim = root / path.lstrip("/") if path.startswith("/") else (root / name).parent / path
            aim = aim if path else root / name
            if not aim.exists():
                yield f"{name}: the link {target} leads nowhere"
            elif fragment and aim.suffix == ".md" and fragment not in anchors(aim.read_text(encoding="utf-8")):
                yield f"{name}: the link {target} names no heading of {aim.name}"


def main(arguments: list[str]) -> int:
    """Prints warnings and problems; the exit status is 1 when there are problems."""
    root = Path(arguments[0] if arguments else ".").resolve()
    texts = readable(root, repository_files(root))
    for warning in length_warnings(texts):
        sys.stdout.write(f"warning: {warning}\n")
    problems = [*length_problems(texts), *place_problems(texts), *link_problems(root, texts)]
    for problem in problems:
        sys.stdout.write(f"{problem}\n")
    sys.stdout.write(f"{len(texts)} files, {len(problems)} problems\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
