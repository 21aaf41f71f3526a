"""JSON Schemas of inputs and outputs as MCP clients take them: small, without noise, nothing left undeclared."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel

from postrider.kernel.operation import CONFIRM_TOKEN, CONFIRM_TOKEN_SCHEMA, Operation

JsonSchema = dict[str, Any]
_MAPS_OF_SCHEMAS: Final = ("properties", "patternProperties")
_LISTS_OF_SCHEMAS: Final = ("anyOf", "allOf", "oneOf", "prefixItems")
_SCHEMAS: Final = ("items", "additionalProperties", "propertyNames", "not")
_NOISE: Final = ("title", "discriminator", "$defs")
"""Generated titles repeat the names; ``discriminator`` is OpenAPI's and points at definitions that are inlined here."""


def input_schema(model: type[BaseModel]) -> JsonSchema:
    """What a tool takes. No references: clients turn inputs into other dialects, and not all of those have them.

    Optional fields keep the ``anyOf`` with null, the form that clients have met most.
    """
    return _compact(model.model_json_schema(mode="validation"), _drop_null_default, frozenset())


def operation_input(operation: Operation) -> JsonSchema:
    """What the tool of an operation takes: its input, and the yes where it may want one."""
    schema = input_schema(operation.input)
    if operation.confirm is None:
        return schema
    return {**schema, "properties": {**schema.get("properties", {}), CONFIRM_TOKEN: CONFIRM_TOKEN_SCHEMA}}


def output_schema(model: type[BaseModel]) -> JsonSchema:
    """What a tool gives: every property is required, because every field is always sent.

    What occurs more than once stays a definition: outputs are only validated, and every validator follows references.
    """
    schema = model.model_json_schema(mode="serialization")
    uses = Counter(_references(schema))
    return _compact(schema, _close_output, frozenset(name for name, count in uses.items() if count > 1))


def _references(part: object) -> Iterator[str]:
    """The name of every definition that is referred to, as often as it is."""
    if isinstance(part, dict):
        if "$ref" in part:
            yield _name(part)
        for inner in part.values():
            yield from _references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _references(inner)


def _compact(schema: JsonSchema, finish: Callable[[JsonSchema], JsonSchema], shared: frozenset[str]) -> JsonSchema:
    definitions = schema.get("$defs", {})
    # A model that contains itself is nothing but a reference at its root.
    root = definitions[_name(schema)] if "$ref" in schema else schema
    if root.get("type") != "object":
        raise TypeError(f"{schema.get('title')}: tools take and give objects")
    walk = _Inliner(definitions, finish)
    compact = walk.inline(root, shared)
    # The model's docstring is written for readers of the code; the tool's own description stands beside the schema.
    compact.pop("description", None)
    kept: dict[str, JsonSchema] = {}
    while missing := sorted(walk.referred - kept.keys()):
        kept |= {name: walk.inline(definitions[name], shared | {name}) for name in missing}
    return {**compact, "$defs": kept} if kept else compact


class _Inliner:
    """Puts definitions where they are referred to, except those that are to stay and those that contain themselves."""

    def __init__(self, definitions: Mapping[str, JsonSchema], finish: Callable[[JsonSchema], JsonSchema]) -> None:
        self._definitions = definitions
        self.referred: set[str] = set()
        self._finish = finish

    def inline(self, schema: JsonSchema, stay: frozenset[str]) -> JsonSchema:
        """``schema`` without references, except to the definitions named in ``stay``."""
        if "$ref" in schema:
            name = _name(schema)
            beside = {key: value for key, value in schema.items() if key != "$ref"}
            if name not in stay:
                return self.inline({**self._definitions[name], **beside}, stay | {name})
            self.referred.add(name)
            return {"$ref": schema["$ref"]}
        return self._finish({key: self._part(key, value, stay) for key, value in schema.items() if key not in _NOISE})

    def _part(self, key: str, value: Any, stay: frozenset[str]) -> Any:
        if key in _MAPS_OF_SCHEMAS:
            return {name: self.inline(schema, stay) for name, schema in value.items()}
        if key in _LISTS_OF_SCHEMAS:
            return [self.inline(schema, stay) for schema in value]
        if key in _SCHEMAS and isinstance(value, dict):
            return self.inline(value, stay)
        return value


def _name(schema: JsonSchema) -> str:
    return str(schema["$ref"]).rsplit("/", 1)[1]


def _drop_null_default(schema: JsonSchema) -> JsonSchema:
    if schema.get("default", 0) is None:
        del schema["default"]
    return schema


def _close_output(schema: JsonSchema) -> JsonSchema:
    """Requires every property, and writes "or null" as a second type: half the bytes of an ``anyOf``."""
    schema.pop("default", None)
    if "properties" in schema:
        schema["required"] = list(schema["properties"])
        schema.pop("description", None)
    choices = schema.get("anyOf")
    if not isinstance(choices, list) or len(choices) != 2 or {"type": "null"} not in choices:
        return schema
    value = next(choice for choice in choices if choice != {"type": "null"})
    if not isinstance(value.get("type"), str) or "const" in value:
        return schema
    merged = {**value, "type": [value["type"], "null"], **{k: v for k, v in schema.items() if k != "anyOf"}}
    if "enum" in merged:
        merged["enum"] = [*merged["enum"], None]
    return merged
