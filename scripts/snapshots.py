"""Snapshots of every contract: one file for each operation, the OpenAPI document, the settings, and the list of tools,
whole (in the program) and in short (in manifests/).

python -m scripts.snapshots          writes them
python -m scripts.snapshots --check  changes nothing; prints what differs and exits with 1

A changed contract is thereby a visible diff. Read it as a client would: a field that went away, or became required,
breaks somebody.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from postrider.catalogue import load_catalogue
from postrider.doors.mcp.projection import describe_tools
from postrider.doors.mcp.surface import MAIN
from postrider.doors.mcp.tools import describe_tool
from postrider.doors.rest.openapi import write_openapi
from postrider.kernel.operation import Operation
from postrider.settings import PREFIX, Settings, load_settings
from scripts.generated import Texts, main

FOLDER: Final = Path("snapshots")
TOOLS: Final = Path("src/postrider/doors/mcp/tools.json")
"""Part of the program: what stdio answers tools/list with before the catalogue is loaded."""
CATALOGUE: Final = Path("manifests/tools.json")
"""For people and directories: what there is, and what each may do."""
COMMAND: Final = "python -m scripts.snapshots"


def snapshot_texts() -> Texts:
    """The wanted text of every snapshot, by path."""
    catalogue = load_catalogue()
    found: dict[str, object] = {f"operations/{operation.name}.json": describe(operation) for operation in catalogue}
    found["openapi.json"] = write_openapi(catalogue, None)
    found["settings.json"] = list(setting_defaults())
    texts = {(FOLDER / name).as_posix(): _dump(content) for name, content in found.items()}
    tools = describe_tools(MAIN, catalogue).model_dump(mode="json", by_alias=True, exclude_none=True)
    return {**texts, TOOLS.as_posix(): _dump(tools), CATALOGUE.as_posix(): catalogue_text(catalogue)}


def catalogue_text(catalogue: Iterable[Operation]) -> str:
    """Every tool in one line of JSON, without its schemas."""
    lines = (json.dumps(_in_short(operation), ensure_ascii=False) for operation in catalogue)
    return "[\n" + ",\n".join(lines) + "\n]\n"


def _in_short(operation: Operation) -> dict[str, Any]:
    annotations = describe_tool(operation).annotations
    assert annotations is not None
    return {
        "name": operation.name,
        "title": operation.title,
        "description": operation.description,
        "effect": operation.effect.value,
        "scope": operation.scope,
        "toolset": operation.toolset,
        "core": operation.core,
        "confirms": operation.confirm is not None,
        "annotations": annotations.model_dump(mode="json", by_alias=True, exclude={"title"}),
    }


def describe(operation: Operation) -> dict[str, Any]:
    """Everything about one operation that a client may rely on."""
    tool = describe_tool(operation)
    assert tool.annotations is not None
    return {
        "name": operation.name,
        "aliases": list(operation.aliases),
        "title": operation.title,
        "description": operation.description,
        "feature": operation.feature,
        "effect": operation.effect.value,
        "scope": operation.scope,
        "key": operation.key,
        "core": operation.core,
        "rest": {
            "method": operation.rest.method,
            "path": operation.rest.path,
            "aliases": list(operation.rest.aliases),
            "status": operation.rest.status,
            "fileField": operation.rest.file_field,
            "waitsForJob": operation.rest.waits_for_job,
        },
        "annotations": tool.annotations.model_dump(mode="json", by_alias=True),
        "inputSchema": tool.input_schema,
        "outputSchema": tool.output_schema,
    }


def setting_defaults() -> Iterator[dict[str, Any]]:
    """Every environment variable with its default, in the order of ``Settings``."""
    defaults = load_settings({})
    for field in fields(Settings):
        value = getattr(defaults, field.name)
        if isinstance(value, Path):
            value = value.as_posix().replace(Path.home().as_posix(), "~")
        yield {"variable": PREFIX + field.name.upper(), "default": value}


def _dump(content: object) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(main(snapshot_texts, FOLDER, COMMAND, sys.argv[1:]))
