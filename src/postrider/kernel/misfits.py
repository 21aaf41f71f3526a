"""What a checked value is found wrong for, in words for people: what is allowed, with an example.

The library that checks speaks of classes, patterns and parsers. None of its words may reach a caller.
"""

import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal, NamedTuple, Union, get_args, get_origin

from annotated_types import Ge, Le
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

_KEY: Final = "[key]"
"""How the library points at the name of an entry instead of its value."""
_LONGEST_PART: Final = 60
_EXAMPLES: Final[dict[Any, str]] = {
    bool: "true",
    int: "1",
    float: "1.5",
    str: '"abc"',
    date: '"2026-03-05"',
    datetime: '"2026-03-05T09:00:00Z"',
}


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a field with a pattern may hold, to go on after "has to be": ``one letter from A to Z, such as B``.

    Stands beside the pattern in the field's Annotated.
    """

    words: str


class _Place(NamedTuple):
    """What the model says of a place: its type without None, and what its Annotated holds."""

    kind: Any
    notes: Sequence[Any]


def misfit(model: type[BaseModel], arguments: Mapping[str, Any], detail: ErrorDetails) -> dict[str, str]:
    """One thing that does not fit: the ``field`` as a person would point at it, and the ``message`` naming it."""
    parts = _real_parts(arguments, detail["loc"])
    field = path_of(parts) or "(the whole input)"
    words = _words(detail, _place(model, parts))
    if detail["type"] == "invalid_key":
        return {"field": field, "message": f"the name of {field} has to be text"}
    if detail["loc"] and detail["loc"][-1] == _KEY:
        return {"field": field, "message": f"the name of {field} {words}"}
    return {"field": field, "message": f"{field}{'' if words.startswith(':') else ' '}{words}"}


def model_at(model: type[BaseModel], parts: Sequence[int | str]) -> type[BaseModel] | None:
    """What the model declares for an object at that place; None where it declares none."""
    kind = _place(model, parts).kind
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def path_of(parts: Sequence[int | str]) -> str:
    """``leads[3].email``: how a person would point at the field."""
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            shown = part if len(part) <= _LONGEST_PART else f"{part[:_LONGEST_PART]}…"
            text += f".{shown}" if text else shown
    return text


def _real_parts(arguments: Any, location: Sequence[int | str]) -> list[int | str]:
    """The location without what is no name of the caller's: kinds of a union, and the mark of a key."""
    found: list[int | str] = []
    value = arguments
    for number, part in enumerate(location):
        if part == _KEY:
            continue
        is_last = number == len(location) - 1
        if isinstance(value, Mapping) and (part in value or is_last):
            value = value.get(part)
        elif isinstance(value, list | tuple) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            continue
        found.append(part)
    return found


def _place(model: type[BaseModel], parts: Sequence[int | str]) -> _Place:
    """What the model declares for the place; as far as it is known, for free-form values end nowhere."""
    place = _Place(model, ())
    for part in parts:
        kind = place.kind
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            place = _of_field(_field(kind, str(part)))
        elif get_origin(kind) is list:
            place = _unwrapped(get_args(kind)[0], ())
        elif get_origin(kind) is dict:
            place = _unwrapped(get_args(kind)[1], ())
        else:
            return _Place(None, ())
    return place


def _field(model: type[BaseModel], name: str) -> FieldInfo | None:
    return next((info for own, info in model.model_fields.items() if name in (info.alias, own)), None)


def _of_field(info: FieldInfo | None) -> _Place:
    return _Place(None, ()) if info is None else _unwrapped(info.annotation, info.metadata)


def _unwrapped(kind: Any, notes: Sequence[Any]) -> _Place:
    """``kind`` without Annotated and None around it, with all notes met on the way."""
    while True:
        if get_origin(kind) is Annotated:
            kind, *more = get_args(kind)
            notes = (*notes, *(note for one in more for note in (getattr(one, "metadata", None) or [one])))
        elif get_origin(kind) in (Union, types.UnionType):
            choices = [one for one in get_args(kind) if one is not type(None)]
            if len(choices) != 1:
                return _Place(None, notes)
            kind = choices[0]
        else:
            return _Place(kind, notes)


def _words(detail: ErrorDetails, place: _Place) -> str:
    """What to say after the name of the field."""
    kind, limits = detail["type"], detail.get("ctx", {})
    if kind == "missing":
        return "is required"
    if kind == "value_error":
        return f": {limits.get('error')}"
    if kind == "string_pattern_mismatch":
        return f"has to be {_allowed(place)}"
    if kind == "literal_error":
        return f"has to be one of: {_choices(str(limits['expected']))}"
    if kind.startswith("string_too_"):
        return _length("character", limits, len(str(detail["input"])))
    if kind in ("too_long", "too_short"):
        return _length("item", limits, limits.get("actual_length"))
    return f"has to be {_form(kind, place)}"


def _form(kind: str, place: _Place) -> str:
    """The form that a value has to have, by the first word of the error's kind."""
    family = kind.partition("_")[0]
    if family in ("int", "greater", "less", "finite") and place.kind is not float:
        return f"a whole number{_bounds(place)}"
    if family in ("float", "greater", "less", "finite"):
        return f"a number{_bounds(place) or ', such as 1.5'}"
    if family in ("dict", "model", "mapping"):
        return f"an object, such as {_example(place.kind)}"
    if family == "list":
        return f"a list, such as {_example(place.kind)}"
    return {
        "string": 'text, such as "abc"',
        "bool": "true or false",
        "datetime": "a date and a time with its zone, such as 2026-03-05T09:00:00Z",
        "timezone": "a date and a time with its zone, such as 2026-03-05T09:00:00Z",
        "date": "a date, such as 2026-03-05",
        "none": "null",
    }.get(family, "text, a number, true, false, null, a list or an object, not nested too deep")


def _allowed(place: _Place) -> str:
    return next((note.words for note in place.notes if isinstance(note, Allowed)), "of another form")


def _choices(expected: str) -> str:
    """The library writes ``'a', 'b' or 'c'``."""
    return expected.replace("'", "").replace(" or ", ", ")


def _length(unit: str, limits: Mapping[str, Any], actual: object) -> str:
    if "max_length" in limits:
        most = limits["max_length"]
        has = f", and has {actual:,}" if isinstance(actual, int) else ""
        return f"may have at most {most:,} {unit}{'' if most == 1 else 's'}{has}"
    least = limits["min_length"]
    return "may not be empty" if least == 1 else f"needs at least {least:,} {unit}s"


def _bounds(place: _Place) -> str:
    """`` from 1 to 100, such as 1``; with no bounds, just an example for whole numbers."""
    low = next((note.ge for note in place.notes if isinstance(note, Ge)), None)
    high = next((note.le for note in place.notes if isinstance(note, Le)), None)
    if low is not None and high is not None:
        return f" from {low:,} to {high:,}"
    if low is not None:
        return f", {low:,} or more"
    if high is not None:
        return f", {high:,} or less"
    return "" if place.kind is float else ", such as 1"


def _example(kind: Any, depth: int = 2) -> str:
    """A small value of this kind, in JSON."""
    if depth == 0:
        return "…"
    if get_origin(kind) is Literal:
        return f'"{get_args(kind)[0]}"'
    if get_origin(kind) is list:
        return f"[{_example(_unwrapped(get_args(kind)[0], ()).kind, depth - 1)}]"
    if get_origin(kind) is dict:
        return '{"name": "value"}'
    if isinstance(kind, type) and issubclass(kind, BaseModel) and kind.model_fields:
        own, info = next(iter(sorted(kind.model_fields.items(), key=lambda item: not item[1].is_required())))
        return f'{{"{info.alias or own}": {_example(_of_field(info).kind, depth - 1)}}}'
    return _EXAMPLES.get(kind, '"…"')
