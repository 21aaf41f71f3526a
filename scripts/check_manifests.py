"""Checks everything in manifests/ by its own schema, and that all of it tells the same; prints what is wrong, exits 1.

python -m scripts.check_manifests [FOLDER]

The schemas are checked in, so that no network is needed. ``manifests/tools.json`` is held to the code by
``scripts.snapshots``. The validator that comes with the bundle format runs in tests/clients, where Node is.
"""

import json
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import yaml
from jsonschema import Draft7Validator, Draft202012Validator  # type: ignore[import-untyped]  # it ships no types

from postrider.catalogue import Catalogue, load_catalogue
from postrider.doors.mcp.running import DOOR_TOOLS
from postrider.doors.mcp.tools import describe_tool
from postrider.tags.rules import SEED_TAGS

SCHEMAS: Final = {
    "manifests/server.json": "server-2025-12-11.schema.json",
    "manifests/mcpb/manifest.json": "mcpb-0.4.schema.json",
    "manifests/claude-plugin/.claude-plugin/plugin.json": "claude-plugin.schema.json",
    "manifests/claude-plugin/.claude-plugin/marketplace.json": "claude-marketplace.schema.json",
    "manifests/claude-plugin/.mcp.json": "claude-mcp.schema.json",
}
"""Each manifest with its schema in manifests/schemas."""

_SKILLS: Final = "manifests/claude-plugin/skills"
_SKILL_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_FRONT: Final = re.compile(r"---\n(.*?)\n---\n(.+)", re.DOTALL)
_TOOL: Final = re.compile(r"`([a-z]+(?:_[a-z]+)+)`")
_WORD: Final = re.compile(r"`([a-z]+(?:[A-Z][a-z]*)*)(?:: [^`]+)?`")
_TAKES: Final = re.compile(r"`([a-z]+(?:_[a-z]+)+)`\s+\(?(?:with|takes)\s+`([A-Za-z]+)(?:: ([^`]+))?`")
_IMAGE_NAME: Final = re.compile(r'io\.modelcontextprotocol\.server\.name="([^"]*)"')
_SERVER_NAME: Final = re.compile(r"<!--\s*mcp-name:\s*(\S+)\s*-->")


def schema_problems(root: Path) -> Iterator[str]:
    """Where a manifest does not fit its schema."""
    for name, schema in SCHEMAS.items():
        rules = _json(root, f"manifests/schemas/{schema}")
        Draft7Validator.check_schema(rules)
        for error in sorted(Draft7Validator(rules).iter_errors(_json(root, name)), key=lambda error: error.json_path):
            yield f"{name}: {error.json_path}: {error.message}"


def version_problems(root: Path) -> Iterator[str]:
    """Versions other than the package's own."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for place, version in _versions(root):
        if version != project["version"]:
            yield f"{place} is {version}, pyproject.toml says {project['version']}"


def _versions(root: Path) -> Iterator[tuple[str, str]]:
    server = _json(root, "manifests/server.json")
    yield "manifests/server.json: version", server["version"]
    for package in server["packages"]:
        tagged = package["identifier"].rpartition(":")[2]
        yield f"manifests/server.json: {package['registryType']}", package.get("version", tagged)
    for name in ("mcpb/manifest.json", "claude-plugin/.claude-plugin/plugin.json"):
        yield f"manifests/{name}: version", _json(root, f"manifests/{name}")["version"]
    for plugin in _json(root, "manifests/claude-plugin/.claude-plugin/marketplace.json")["plugins"]:
        yield f"marketplace.json: {plugin['name']}", plugin["version"]
    compose = yaml.safe_load((root / "deploy/compose.yaml").read_text(encoding="utf-8"))
    yield "deploy/compose.yaml: image", compose["services"]["postrider"]["image"].rpartition(":")[2]


def name_problems(root: Path) -> Iterator[str]:
    """Places where a registry looks for the server's name, and does not find this one."""
    name = _json(root, "manifests/server.json")["name"]
    for file, pattern in (("README.md", _SERVER_NAME), ("Dockerfile", _IMAGE_NAME)):
        if pattern.findall((root / file).read_text(encoding="utf-8")) != [name]:
            yield f"{file}: does not say once that it belongs to {name}"
    entry = _json(root, "manifests/mcpb/manifest.json")["server"]["entry_point"]
    if not (root / entry).is_file():
        yield f"manifests/mcpb/manifest.json: there is no {entry}"


def skill_problems(root: Path) -> Iterator[str]:
    """Skills that a client would not load, or that name a tool, an argument or a field which does not exist.

    Names stand as code; a value of a field whose schema lists no values stands in quotes and is not looked at.
    """
    catalogue = load_catalogue()
    for folder in sorted((root / _SKILLS).iterdir()):
        yield from _front_problems(folder)
        pages = {page: page.read_text(encoding="utf-8") for page in sorted(folder.rglob("*.md"))}
        words = set(_words_of(catalogue, set(_TOOL.findall("".join(pages.values())))))
        for page, text in pages.items():
            for problem in (*_unknown_names(catalogue, text, words), *_unfit_arguments(catalogue, text)):
                yield f"{page.relative_to(root).as_posix()}: {problem}"


def _unknown_names(catalogue: Catalogue, text: str, words: set[str]) -> Iterator[str]:
    """``words``: the fields, and the values of fields, of all tools that the skill names."""
    known = {*DOOR_TOOLS, *(tag.name for tag in SEED_TAGS)}
    for name in sorted(set(_TOOL.findall(text)) - known):
        if catalogue.find(name) is None:
            yield f"{name} is no tool"
    for name in sorted(set(_WORD.findall(text)) - known - words):
        yield f"{name} is no field of the tools that are named"


def _words_of(catalogue: Catalogue, tools: set[str]) -> Iterator[str]:
    for operation in filter(None, map(catalogue.find, tools)):
        tool = describe_tool(operation)
        yield from _vocabulary(tool.input_schema)
        yield from _vocabulary(tool.output_schema)


def _vocabulary(part: Any) -> Iterator[str]:
    """Names of fields, the words that they may have, and marks on them, at every depth of a schema."""
    if isinstance(part, list):
        for inner in part:
            yield from _vocabulary(inner)
    elif isinstance(part, dict):
        yield from part.get("properties", ())
        yield from {"untrusted"} & part.keys()
        yield from filter(lambda value: isinstance(value, str), [*part.get("enum", ()), part.get("const")])
        for inner in part.values():
            yield from _vocabulary(inner)


def _unfit_arguments(catalogue: Catalogue, text: str) -> Iterator[str]:
    """Where a tool is told to be called with what it does not take."""
    for name, argument, value in _TAKES.findall(text):
        operation = catalogue.find(name)
        fields = describe_tool(operation).input_schema["properties"] if operation is not None else {}
        if argument not in fields:
            yield f"{name} does not take {argument}"
        elif value and not Draft202012Validator(fields[argument]).is_valid(yaml.safe_load(value)):
            yield f"{name} does not take {argument}: {value}"


def _front_problems(folder: Path) -> Iterator[str]:
    """Source: agentskills.io/specification, read in November 2026."""
    place = f"{_SKILLS}/{folder.name}/SKILL.md"
    parts = _FRONT.fullmatch((folder / "SKILL.md").read_text(encoding="utf-8"))
    front = yaml.safe_load(parts[1]) if parts else None
    if not isinstance(front, dict) or set(front) != {"name", "description"}:
        yield f"{place}: has to begin with a name and a description"
        return
    if front["name"] != folder.name or not _SKILL_NAME.fullmatch(folder.name) or len(folder.name) > 64:
        yield f"{place}: the name is the folder's, in small letters and hyphens, at most 64"
    if not 1 <= len(front["description"]) <= 1_024:
        yield f"{place}: the description has 1 to 1,024 characters"


def _json(root: Path, name: str) -> Any:
    return json.loads((root / name).read_text(encoding="utf-8"))


CHECKS: Final[tuple[Callable[[Path], Iterator[str]], ...]] = (
    schema_problems,
    version_problems,
    name_problems,
    skill_problems,
)


def main(arguments: list[str]) -> int:
    """Prints the problems; the exit status is 1 when there are any."""
    root = Path(arguments[0] if arguments else ".").resolve()
    problems = [problem for check in CHECKS for problem in check(root)]
    for problem in problems:
        sys.stdout.write(f"{problem}\n")
    sys.stdout.write(f"{len(SCHEMAS)} manifests, {len(problems)} problems\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
