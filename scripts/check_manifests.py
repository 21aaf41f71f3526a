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
from jsonschema import Draft7Validator  # type: ignore[import-untyped]  # it ships no types

from postrider.catalogue import load_catalogue
from postrider.tags.rules import SEED_TAGS

SCHEMAS: Final = {
    "manifests/server.json": "server-2025-12-11.schema.json",
    "manifests/mcpb/manifest.json": "mcpb-0.4.schema.json",
    "manifests/claude-plugin/.claude-plugin/plugin.json": "claude-plugin.schema.json",
    "manifests/claude-plugin/.claude-plugin/marketplace.json": "claude-marketplace.schema.json",
    "manifests/claude-plugin/.mcp.json": "claude-mcp.schema.json",
}
"""Each manifest with its schema in manifests/schemas."""

RUN_TOOLS: Final = {"search_operations", "run_read_operation", "run_write_operation", "run_destructive_operation"}
"""Tools that are no operations: they find the others and call them."""

_SKILLS: Final = "manifests/claude-plugin/skills"
_SKILL_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_FRONT: Final = re.compile(r"---\n(.*?)\n---\n(.+)", re.DOTALL)
_TOOL: Final = re.compile(r"`([a-z]+(?:_[a-z]+)+)`")
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
    """Skills that a client would not load, or that name a tool which does not exist."""
    known = {name for operation in load_catalogue() for name in (operation.name, *operation.aliases)} | RUN_TOOLS
    known |= {tag.name for tag in SEED_TAGS}
    for folder in sorted((root / _SKILLS).iterdir()):
        yield from _front_problems(folder)
        for page in sorted(folder.rglob("*.md")):
            for word in sorted(set(_TOOL.findall(page.read_text(encoding="utf-8"))) - known):
                yield f"{page.relative_to(root).as_posix()}: {word} is no tool"


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
