"""From path, query, form and body to the arguments of an operation."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, Literal

from pydantic import BaseModel

from postrider.doors.rest.body import check_text, parse_json
from postrider.kernel.errors import InvalidInput

Kind = Literal["text", "list", "object"]
_MAX_VALUES: Final = 1_000


@lru_cache(maxsize=1_000)
def field_kinds(model: type[BaseModel]) -> Mapping[str, Kind]:
    """How each field of ``model``, by its wire name, is written in a query or a form."""
    schema = model.model_json_schema(by_alias=True, mode="validation")
    definitions = schema.get("$defs", {})
    return {name: _kind(part, definitions) for name, part in schema.get("properties", {}).items()}


def _kind(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Kind:
    types = set(_types(schema, definitions))
    if "array" in types:
        return "list"
    return "object" if "object" in types else "text"


def _types(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterable[str]:
    if "$ref" in schema:
        yield from _types(definitions[schema["$ref"].rsplit("/", 1)[1]], definitions)
    for part in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        yield from _types(part, definitions)
    if isinstance(schema.get("type"), str):
        yield schema["type"]


def read_pairs(model: type[BaseModel], pairs: Iterable[tuple[str, str]], where: str) -> dict[str, Any]:
    """Arguments from the pairs of a query or a form. An empty value counts as absent.

    Lists are written with commas or by repeating the name; lists and objects may also be JSON.
    Raises: InvalidInput.
    """
    kinds, texts = field_kinds(model), dict[str, list[str]]()
    for name, value in pairs:
        check_text(name, where)
        check_text(value, where)
        if value:
            texts.setdefault(name, []).append(value)
    return {name: _read(name, kinds.get(name, "text"), values) for name, values in texts.items()}


def _read(name: str, kind: Kind, values: list[str]) -> Any:
    if kind == "list":
        return _read_list(name, values)
    if len(values) > 1:
        raise InvalidInput(f"{name} is given {len(values)} times.", field=name, hint="Give it once.")
    return _json(name, values[0]) if kind == "object" else values[0]


def _read_list(name: str, values: list[str]) -> Any:
    if len(values) == 1 and values[0].lstrip().startswith("["):
        return _json(name, values[0])
    items = [item.strip() for value in values for item in value.split(",")]
    if len(items) > _MAX_VALUES:
        raise InvalidInput(f"{name} has more than {_MAX_VALUES} values.", field=name, hint="Send fewer at once.")
    return [item for item in items if item]


def _json(name: str, text: str) -> Any:
    try:
        return parse_json(text.encode())
    except InvalidInput as error:
        raise InvalidInput(
            f"{name} is not JSON that can be taken.", field=name, hint=f"Write {name} as JSON. {error.message}"
        ) from None


def merge(*sources: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The arguments of all sources, the first one that has a name winning; and the names that lost."""
    merged: dict[str, Any] = {}
    lost: list[str] = []
    for source in sources:
        for name, value in source.items():
            if name not in merged:
                merged[name] = value
            elif merged[name] != value:
                lost.append(name)
    return merged, lost
