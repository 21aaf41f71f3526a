"""From raw arguments to a checked input, with errors that teach: which field, what is allowed, what to do."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from postrider.kernel.blanks import is_blank
from postrider.kernel.errors import InvalidInput
from postrider.kernel.misfits import misfit, model_at, path_of
from postrider.kernel.operation import Input, Selection

M = TypeVar("M", bound=BaseModel)
MAX_REPORTED = 10
MAX_VALUES: Final = 2_000_000
"""Values in one input: far more than the largest one of use has."""
MAX_MEMBERS: Final = 1_000
"""Fields of one object. A field that does not belong costs far more than one that does."""
_SHOWN_DEPTH: Final = 20
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")


def parse_strict(model: type[M], arguments: Mapping[str, Any]) -> M:
    """The input, or InvalidInput naming every field that does not fit; unknown fields are refused.

    So are blank values in what chooses: see Selection.
    """
    check_texts(arguments)
    try:
        return _choosing(model.model_validate(arguments))
    except ValidationError as error:
        raise _invalid(model, arguments, error.errors(include_url=False)) from None


def parse_lenient(model: type[M], arguments: Mapping[str, Any]) -> tuple[M, list[str]]:
    """The input and the paths of unknown fields, which are dropped (never assigned). Other misfits: InvalidInput.

    So are unknown fields where dropping them would let the call act on more: see Selection and Input.takes_all.
    """
    check_texts(arguments)
    try:
        return _choosing(model.model_validate(arguments)), []
    except ValidationError as error:
        errors = error.errors(include_url=False)
    unknown = [detail for detail in errors if detail["type"] == "extra_forbidden"]
    widening = [detail for detail in unknown if _is_in_selection(model, detail["loc"])]
    if widening or not unknown:
        raise _invalid(model, arguments, widening or errors)
    remaining = deepcopy(dict(arguments))
    for detail in unknown:
        _drop(remaining, detail["loc"])
    checked = parse_strict(model, remaining)
    if isinstance(checked, Input) and checked.takes_all:
        raise _invalid(model, arguments, unknown)
    return checked, [path_of(detail["loc"]) for detail in unknown]


def _is_in_selection(model: type[BaseModel], location: Sequence[int | str]) -> bool:
    """Whether the field stands inside of a Selection; a list that is one itself only shows more."""
    place = model_at(model, location[:-1])
    return len(location) > 1 and place is not None and issubclass(place, Selection)


def _choosing(checked: M) -> M:
    """The input itself. Raises: InvalidInput naming each blank value of what chooses, and in a call that takes all."""
    blank = list(_blank_choices(checked, ()))
    if not blank:
        return checked
    problems = [{"field": path_of(place), "message": f"{path_of(place)} is blank"} for place in blank[:MAX_REPORTED]]
    raise InvalidInput(
        "; ".join(problem["message"] for problem in problems) + ".",
        field=problems[0]["field"],
        hint="A blank filter would choose everything: give a value, or leave the field out. Nothing was changed.",
        details={"problems": problems},
    )


def _blank_choices(part: BaseModel, place: tuple[int | str, ...]) -> Iterator[tuple[int | str, ...]]:
    """Where something blank stands. A Selection at the outside is a list that only shows more: it may."""
    inside = bool(place) and isinstance(part, Selection)
    takes_all = isinstance(part, Input) and part.takes_all
    for name in part.model_fields_set & type(part).model_fields.keys():
        value, here = getattr(part, name), (*place, type(part).model_fields[name].alias or name)
        if isinstance(value, BaseModel):
            yield from _blank_choices(value, here)
        elif (inside or takes_all) and isinstance(value, str) and is_blank(value):
            yield here
        elif (inside or takes_all) and isinstance(value, list):
            if inside and not value:
                yield here
            yield from ((*here, at) for at, each in enumerate(value) if isinstance(each, str) and is_blank(each))


def check_texts(arguments: Mapping[str, Any]) -> None:
    """Accepts arguments whose texts, names of fields included, every database stores.

    Raises: InvalidInput naming each text with a NUL or half a surrogate pair; for more than MAX_VALUES values, or
    MAX_MEMBERS in one object.
    """
    problems = []
    for place, text in _texts(arguments):
        found = _UNSTORABLE.search(text)
        if found:
            kind = "a NUL character" if found[0] == "\x00" else "half a surrogate pair"
            field = path_of(place.location()) if place else "(the name of a field)"
            problems.append({"field": field, "message": f"{field} contains {kind}"})
            if len(problems) == MAX_REPORTED:
                break
    if problems:
        raise InvalidInput(
            "; ".join(problem["message"] for problem in problems) + ".",
            field=problems[0]["field"],
            hint="Send whole characters and no NUL: take them out and call again; nothing was changed.",
            details={"problems": problems},
        )


class _Place:
    """Where a value stands, linked to what it stands in: deep inputs cost no more than flat ones."""

    __slots__ = ("_outer", "_part")

    def __init__(self, part: int | str, outer: "_Place | None") -> None:
        self._part = _UNSTORABLE.sub("\ufffd", part[:100]) if isinstance(part, str) else part
        self._outer = outer

    def location(self) -> list[int | str]:
        """The way here from the outside, fit to be shown."""
        parts: list[int | str] = []
        place: _Place | None = self
        while place is not None and len(parts) < _SHOWN_DEPTH:
            parts.append(place._part)
            place = place._outer
        return parts[::-1]


def _texts(arguments: Mapping[str, Any]) -> Iterator[tuple[_Place | None, str]]:
    """Every text and every name with its place, in order.

    Raises: InvalidInput for more than MAX_VALUES values, or MAX_MEMBERS in one object.
    """
    waiting: list[tuple[_Place | None, Any]] = [(None, arguments)]
    seen = 0
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, str):
            yield place, value
            continue
        inner: list[tuple[_Place | None, Any]] = []
        if isinstance(value, Mapping):
            if len(value) > MAX_MEMBERS:
                raise _too_wide(place, len(value))
            for name, item in value.items():
                if isinstance(name, str):
                    yield place, name
                inner.append((_Place(str(name), place), item))
        elif isinstance(value, list | tuple):
            inner = [(_Place(number, place), item) for number, item in enumerate(value)]
        seen += len(inner)
        if seen > MAX_VALUES:
            raise InvalidInput(f"The input has more than {MAX_VALUES:,} values.", hint="Send less at once.")
        waiting.extend(reversed(inner))


def _too_wide(place: _Place | None, count: int) -> InvalidInput:
    field = path_of(place.location()) if place else "The input"
    return InvalidInput(
        f"{field} has {count:,} fields; an object may have {MAX_MEMBERS:,}.",
        field=field if place else None,
        hint="Send fewer fields; many objects go in as a list, long lists as a CSV file.",
    )


def _drop(data: Any, location: Sequence[int | str]) -> None:
    for part in location[:-1]:
        data = data[part]
    del data[location[-1]]


def _invalid(model: type[BaseModel], arguments: Mapping[str, Any], errors: Sequence[ErrorDetails]) -> InvalidInput:
    problems = [_problem(model, arguments, detail) for detail in errors[:MAX_REPORTED]]
    message = "; ".join(problem["message"] for problem in problems)
    if len(errors) > MAX_REPORTED:
        message += f"; and {len(errors) - MAX_REPORTED} more"
    return InvalidInput(
        message + ".",
        field=problems[0]["field"],
        hint="Correct the named fields and call again; nothing was changed.",
        details={"problems": problems},
    )


def _problem(model: type[BaseModel], arguments: Mapping[str, Any], detail: ErrorDetails) -> dict[str, str]:
    if detail["type"] != "extra_forbidden":
        return misfit(model, arguments, detail)
    field = path_of(detail["loc"])
    return {"field": field, "message": f"{field} is not a field here{_allowed(model, detail['loc'])}"}


def _allowed(model: type[BaseModel], location: Sequence[int | str]) -> str:
    """Names near the unknown one, or all that are allowed, where the model at that place is known."""
    place = model_at(model, location[:-1])
    if place is None:
        return ""
    names = [field.alias or name for name, field in place.model_fields.items()]
    near = difflib.get_close_matches(str(location[-1]), names, n=1, cutoff=0.7)
    if near:
        return f" (did you mean {near[0]}?)"
    return f" (allowed: {', '.join(names)})" if names else " (it takes none)"
