"""Input schemas in brief, for a list that every conversation begins with.

What is left out is checked all the same when the tool is called; the whole schema is what ``search_operations`` gives.
"""

import json
from typing import Any, Final

JsonSchema = dict[str, Any]
DEEPEST: Final = 1
"""Levels of objects whose fields are shown below the tool's own."""

MOST_FIELDS: Final = 12
"""Of an object inside with more of them, the names are shown."""

LONG_WORDS: Final = 25
"""Characters of a field's description beyond which it is said once in a list, by the first tool that has the field."""

_BOUNDS: Final = frozenset(
    {
        "maxLength",
        "minLength",
        "maxItems",
        "minItems",
        "maximum",
        "minimum",
        "pattern",
        "format",
        "additionalProperties",
    }
)
_NULL: Final = {"type": "null"}


class Brief:
    """Shortens schemas one after the other: an object that an earlier tool has shown is named by that tool."""

    def __init__(self) -> None:
        self._shown: dict[str, str] = {}
        self._said: set[tuple[str, str]] = set()

    def of(self, tool: str, schema: JsonSchema) -> JsonSchema:
        """The schema of ``tool``. Whatever fits the whole schema fits this one, null for an optional field aside."""
        fields = self._fields(schema, tool, 0)
        return {**_words(schema), "properties": {name: self._once(name, field) for name, field in fields.items()}}

    def _once(self, name: str, field: JsonSchema) -> JsonSchema:
        """``field`` without its words, if a field of that name was explained by the same ones before."""
        said = (name, field.get("description", ""))
        if len(said[1]) <= LONG_WORDS:
            return field
        if said in self._said:
            return {key: value for key, value in field.items() if key != "description"}
        self._said.add(said)
        return field

    def _shorten(self, schema: JsonSchema, tool: str, depth: int) -> JsonSchema:
        if "properties" in schema:
            return self._object(schema, tool, depth)
        short = _words(schema)
        for key in ("items", "additionalProperties"):
            if isinstance(schema.get(key), dict) and schema[key]:
                short[key] = self._shorten(schema[key], tool, depth)
        if "anyOf" in schema:
            short["anyOf"] = [self._shorten(choice, tool, depth) for choice in schema["anyOf"]]
        return short

    def _object(self, schema: JsonSchema, tool: str, depth: int) -> JsonSchema:
        same = json.dumps(schema["properties"], sort_keys=True)
        earlier = self._shown.setdefault(same, tool) if depth <= DEEPEST else tool
        if earlier != tool:
            return {"type": "object", "description": f"As in {earlier}."}
        if depth > DEEPEST:
            return {"type": "object"}
        short, fields = _words(schema), schema["properties"]
        if len(fields) > MOST_FIELDS:
            return {**short, "description": f"{short.get('description', '')} Fields: {', '.join(fields)}.".lstrip()}
        return {**short, "properties": self._fields(schema, tool, depth)}

    def _fields(self, schema: JsonSchema, tool: str, depth: int) -> JsonSchema:
        required = schema.get("required", ())
        return {
            name: self._shorten(field if name in required else _without_null(field), tool, depth + 1)
            for name, field in schema["properties"].items()
        }


def _without_null(schema: JsonSchema) -> JsonSchema:
    """An optional field is left out instead; where null means something, the words of the tool say so."""
    choices = [choice for choice in schema.get("anyOf", ()) if choice != _NULL]
    if len(choices) != 1:
        return schema
    return {**choices[0], **{key: value for key, value in schema.items() if key != "anyOf"}}


def _words(schema: JsonSchema) -> JsonSchema:
    """What a model reads of a schema, without the parts inside and without defaults that say nothing."""
    inside = {"properties", "items", "anyOf"}
    kept = {key: value for key, value in schema.items() if key not in _BOUNDS | inside}
    if not kept.get("default", True):
        del kept["default"]
    if "enum" in kept:
        kept.pop("type", None)
    if "description" in kept:
        kept["description"] = kept["description"].split("\n\n")[0]
    return kept


def argument_words(schema: JsonSchema, depth: int = 1) -> str:
    """The fields of an object on one line: ``id*: string, filters: {unread: boolean}``; a star: it is required."""
    required = schema.get("required", ())
    return ", ".join(
        f"{name}{'*' if name in required else ''}: {_kind(_without_null(field), depth)}"
        for name, field in schema.get("properties", {}).items()
    )


def _kind(schema: JsonSchema, depth: int) -> str:
    if "properties" in schema:
        return "{" + argument_words(schema, depth - 1) + "}" if depth else "object"
    if isinstance(schema.get("items"), dict):
        return f"list of {_kind(schema['items'], depth)}"
    if "enum" in schema:
        return "|".join(map(str, schema["enum"]))
    return str(schema.get("type", "any"))
