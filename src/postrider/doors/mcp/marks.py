"""Which parts of an output hold strangers' words, as its schema marks them."""

from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache
from typing import Any, Final

from pydantic import BaseModel

JsonSchema = Mapping[str, Any]


class Marks:
    """The marks of one place in an output. ``untrusted``: everything here was written by other people or servers."""

    def __init__(self, schema: JsonSchema, definitions: JsonSchema, *, inherited: bool = False) -> None:
        beside = schema
        schema = _resolved(schema, definitions)
        self.untrusted = inherited or beside.get("untrusted") is True or schema.get("untrusted") is True
        self.schema = schema
        self._definitions = definitions
        self._fields: dict[str, Marks] = {}

    def of(self, name: str) -> "Marks":
        """The marks of a field."""
        found = self._fields.get(name)
        if found is None:
            properties = self.schema.get("properties", {})
            if name not in properties:
                return self.others
            found = self._fields[name] = self._inner(properties[name])
        return found

    @cached_property
    def each(self) -> "Marks":
        """The marks of every entry of a list."""
        return self._inner(self.schema.get("items"))

    @cached_property
    def names_too(self) -> bool:
        """Whether the names of the fields are strangers' too: those of a map are made like its values."""
        return self.untrusted or ("properties" not in self.schema and self.others.untrusted)

    @cached_property
    def others(self) -> "Marks":
        return self._inner(self.schema.get("additionalProperties"))

    def _inner(self, schema: Any) -> "Marks":
        known = schema if isinstance(schema, dict) else {}
        if not self.untrusted and not _holds_mark(known, self._definitions, set()):
            return NO_MARKS
        return Marks(known, self._definitions, inherited=self.untrusted)


def _resolved(schema: JsonSchema, definitions: JsonSchema) -> JsonSchema:
    """``schema`` without a reference, and without the choice of null, at its root."""
    while True:
        if "$ref" in schema:
            schema = definitions[str(schema["$ref"]).rsplit("/", 1)[1]]
            continue
        choices = [choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"]
        if len(choices) != 1:
            return schema
        marked = {"untrusted": True} if schema.get("untrusted") is True else {}
        schema = {**choices[0], **marked}


def _holds_mark(schema: Any, definitions: JsonSchema, above: set[str]) -> bool:
    """Whether anything in it is marked."""
    if isinstance(schema, list):
        return any(_holds_mark(inner, definitions, above) for inner in schema)
    if not isinstance(schema, dict):
        return False
    name = str(schema.get("$ref", "")).rsplit("/", 1)[-1]
    if name and name not in above:
        above.add(name)
        if _holds_mark(definitions[name], definitions, above):
            return True
    return schema.get("untrusted") is True or any(
        _holds_mark(inner, definitions, above) for inner in schema.values() if isinstance(inner, dict | list)
    )


def untrusted_paths(model: type[BaseModel]) -> tuple[str, ...]:
    """Where strangers' words stand in an output: messages[].text, lead.customFields. Inside them all is theirs."""
    return tuple(dict.fromkeys(_paths(marks_of(model), "", frozenset())))


def _paths(marks: Marks, path: str, above: frozenset[int]) -> Iterator[str]:
    if marks.untrusted:
        yield path
    elif id(marks.schema) not in above:
        above |= {id(marks.schema)}
        for name in marks.schema.get("properties", {}):
            yield from _paths(marks.of(name), f"{path}.{name}" if path else name, above)
        if "items" in marks.schema:
            yield from _paths(marks.each, f"{path}[]", above)
        if isinstance(marks.schema.get("additionalProperties"), dict):
            yield from _paths(marks.others, f"{path}.*", above)


class _NoMarks(Marks):
    """The same at every place, found without a look."""

    def of(self, name: str) -> Marks:
        """See Marks.of."""
        return self


NO_MARKS: Final = _NoMarks({}, {})
"""Of what nobody but us has written."""


@lru_cache(maxsize=500)
def marks_of(model: type[BaseModel]) -> Marks:
    """The marks of an output."""
    schema = model.model_json_schema(mode="serialization")
    definitions = schema.get("$defs", {})
    return Marks(schema, definitions) if _holds_mark(schema, definitions, set()) else NO_MARKS
