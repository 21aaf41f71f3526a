"""docs/operations.md: every operation with its words, its place, what it takes and what it gives.

python -m scripts.operations_reference          writes it
python -m scripts.operations_reference --check  changes nothing; prints what differs and exits with 1
"""

import json
import sys
from collections.abc import Iterator
from itertools import groupby
from typing import Any, Final

from postrider.catalogue import load_catalogue
from postrider.doors.mcp.schema import input_schema, output_schema
from postrider.kernel.operation import Operation
from scripts.generated import Texts, main

PAGE: Final = "docs/operations.md"
COMMAND: Final = "python -m scripts.operations_reference"
_DEEPEST: Final = 3
_HEAD: Final = """\
# Operations

Written from the code by `python -m scripts.operations_reference`; do not edit it by hand. Each operation is the same at
every door: an MCP tool and a `postrider call` of its name, and its path under `/v1`. *Scope* is what a credential
needs. How results and errors look is in [agents and MCP](agents-and-mcp.md) and in [REST](rest.md).
"""

Schema = dict[str, Any]


def reference_texts() -> Texts:
    """The page, by its path."""
    return {PAGE: "\n".join([_HEAD, *_contents(), *_sections()])}


def _features() -> list[tuple[str, list[Operation]]]:
    ordered = sorted(load_catalogue(), key=lambda operation: operation.feature)
    return [(feature, list(group)) for feature, group in groupby(ordered, key=lambda operation: operation.feature)]


def _contents() -> Iterator[str]:
    for feature, operations in _features():
        yield f"- [{feature}](#{feature}): " + ", ".join(f"[{each.name}](#{each.name})" for each in operations)
    yield ""


def _sections() -> Iterator[str]:
    for feature, operations in _features():
        yield f"## {feature}\n"
        for operation in operations:
            yield from _operation(operation)


def _operation(operation: Operation) -> Iterator[str]:
    yield f"### {operation.name}\n"
    yield f"**{operation.title}** · {' · '.join(_facts(operation))}\n"
    yield f"{_plain(operation.description)}\n"
    given = input_schema(operation.input)
    rows = list(_fields(given, given.get("$defs", {}), "", 1))
    if rows:
        yield "| takes | type | |\n|---|---|---|"
        yield from rows
        yield ""
    else:
        yield "Takes nothing.\n"
    result = output_schema(operation.output)
    yield f"Gives {_summary(result, result.get('$defs', {}), 1)}.\n"


def _facts(operation: Operation) -> Iterator[str]:
    rest = operation.rest
    yield f"`{rest.method} {rest.path}`"
    for alias in rest.aliases:
        yield f"also `{alias}`"
    yield operation.effect.value
    yield f"scope `{operation.scope}`"
    if operation.key == "platform":
        yield "platform key only"
    if operation.aliases:
        yield "also called " + ", ".join(f"`{alias}`" for alias in operation.aliases)
    if rest.file_field:
        yield f"file in the form field `{rest.file_field}`"


def _fields(schema: Schema, definitions: Schema, prefix: str, depth: int) -> Iterator[str]:
    """A row for each property, those of nested objects after it."""
    required = schema.get("required", [])
    for name, given in schema.get("properties", {}).items():
        part = _resolved(given, definitions)
        notes = [] if name not in required else ["required"]
        if part.get("default") not in (None, [], {}, ""):
            notes.append(f"default `{json.dumps(part['default'], ensure_ascii=False)}`")
        if part.get("description"):
            notes.append(part["description"])
        yield f"| `{prefix}{name}` | {_type(part, definitions)} | {_cell('; '.join(notes))} |"
        inner, suffix = _inner(part, definitions)
        if inner.get("properties") and depth < _DEEPEST:
            yield from _fields(inner, definitions, f"{prefix}{name}{suffix}.", depth + 1)


def _inner(part: Schema, definitions: Schema) -> tuple[Schema, str]:
    """The object inside a property, and how its fields are reached: ``[]`` through a list."""
    for choice in _choices(part, definitions):
        if "items" in choice:
            inner, suffix = _inner(_resolved(choice["items"], definitions), definitions)
            return inner, "[]" + suffix
        if "properties" in choice:
            return choice, ""
    return {}, ""


def _choices(part: Schema, definitions: Schema) -> list[Schema]:
    return [_resolved(choice, definitions) for choice in part.get("anyOf", [part])]


def _resolved(part: Schema, definitions: Schema) -> Schema:
    if "$ref" not in part:
        return part
    beside = {key: value for key, value in part.items() if key != "$ref"}
    return {**definitions[part["$ref"].rsplit("/", 1)[1]], **beside}


def _type(part: Schema, definitions: Schema) -> str:
    names = [_type_name(choice, definitions) for choice in _choices(part, definitions)]
    return " or ".join(dict.fromkeys(name for name in names if name != "null")) or "null"


def _type_name(part: Schema, definitions: Schema) -> str:
    if "enum" in part:
        return ", ".join(f"`{value}`" for value in part["enum"] if value is not None)
    if "const" in part:
        return f"`{part['const']}`"
    kinds = part.get("type", "any")
    kind = next((each for each in kinds if each != "null"), "null") if isinstance(kinds, list) else kinds
    if kind == "array":
        items = [_type_name(choice, definitions) for choice in _choices(part.get("items", {}), definitions)]
        return f"list of {items[0].partition(',')[0] if items[0].startswith('text') else items[0]}"
    words = {"string": "text", "integer": "whole number", "boolean": "true or false", "date-time": "instant"}
    return words.get(part.get("format", ""), words.get(kind, kind)) + _bounds(part)


def _bounds(part: Schema) -> str:
    low, high = part.get("minimum"), part.get("maximum")
    if low is not None and high is not None:
        return f" {low} to {high}"
    if "maxLength" in part:
        return f", at most {part['maxLength']:,}"
    return f" from {low}" if low is not None else ""


def _summary(schema: Schema, definitions: Schema, depth: int) -> str:
    """The names of the fields, nested ones in brackets."""
    words = []
    for name, given in schema.get("properties", {}).items():
        inner, suffix = _inner(_resolved(given, definitions), definitions)
        nested = f" ({_summary(inner, definitions, depth + 1)})" if inner.get("properties") and depth < _DEEPEST else ""
        words.append(f"`{name}{suffix}`{nested}")
    return ", ".join(words) or "an empty object"


def _cell(text: str) -> str:
    return " ".join(_plain(text).split()).replace("|", "\\|")


def _plain(text: str) -> str:
    """Double backticks of docstrings as Markdown writes them; braces of the template language as code already are."""
    return text.replace("``", "`")


if __name__ == "__main__":
    sys.exit(main(reference_texts, None, COMMAND, sys.argv[1:]))
