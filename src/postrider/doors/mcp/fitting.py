"""Making an output small enough for one answer: long texts are cut first, then the ends of long lists."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from pydantic_core import to_json

_CUTS: Final = (4_000, 2_000, 1_000, 500, 250)
"""Lengths that long texts are cut to, one after the other, until the output fits."""

_MOST_LISTS: Final = 40
"""Lists that are shortened in one output; each time the longest."""

Path = tuple[str | int, ...]


class Fitted(NamedTuple):
    """The output as it fits. ``notes``: what was left out, a sentence each."""

    output: dict[str, Any]
    notes: tuple[str, ...]


def size_of(value: Any) -> int:
    """Octets of the value as JSON."""
    return len(to_json(value))


def fit(output: dict[str, Any], most_bytes: int) -> Fitted:
    """``output`` within ``most_bytes``, if it has texts and lists enough to cut. Every declared field stays.

    Only text with spaces is cut: a cursor, token or address is whole or worthless.
    """
    kept = output
    for length in _CUTS:
        if size_of(kept) <= most_bytes:
            break
        kept = _with_short_texts(output, length)
    notes = (
        ["Long texts were cut to fit; ask for one object at a time, or read them over REST."] if kept != output else []
    )
    shortened: dict[str, tuple[int, int]] = {}
    for _ in range(_MOST_LISTS):
        size = size_of(kept)
        if size <= most_bytes or (path := _largest_list(kept)) is None:
            break
        rows = _at(kept, path)
        left = max(1, min(len(rows) - 1, len(rows) * most_bytes * 9 // (size * 10)))
        kept = _with(kept, path, rows[:left])
        name = _name(path)
        shortened[name] = (left, shortened.get(name, (0, len(rows)))[1])
    notes += [f"Of {name} only the first {left:,} of {all_:,} are here." for name, (left, all_) in shortened.items()]
    if shortened:
        notes.append("Narrow the call (dates, filters, fewer things at a time) or read it over REST.")
    return Fitted(kept, tuple(notes))


def _with_short_texts(value: Any, length: int) -> Any:
    if isinstance(value, str):
        if len(value) <= length or not any(map(str.isspace, value)):
            return value
        return f"{value[:length]}… [{len(value) - length} more characters]"
    if isinstance(value, dict):
        return {key: _with_short_texts(inner, length) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_short_texts(inner, length) for inner in value]
    return value


def _largest_list(output: dict[str, Any]) -> Path | None:
    """Where the list stands that takes the most room; of those inside each other the inner one."""
    found = [(size_of(rows), path) for path, rows in _lists(output, ()) if len(rows) > 1]
    if not found:
        return None
    largest, outer = max(found, key=lambda each: each[0])
    inner = [each for each in found if each[1][: len(outer)] == outer and each[0] * 2 > largest]
    return max(inner, key=lambda each: len(each[1]))[1]


def _lists(value: Any, path: Path) -> Iterator[tuple[Path, list[Any]]]:
    if isinstance(value, list):
        yield path, value
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in inside:
        yield from _lists(inner, (*path, key))


def _at(value: Any, path: Path) -> Any:
    for key in path:
        value = value[key]
    return value


def _with(value: Any, path: Path, changed: Any) -> Any:
    """``value`` with something else at ``path``; the original stays as it is."""
    if not path:
        return changed
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _with(value[path[0]], path[1:], changed)  # type: ignore[index]  # a path of this very value
    return copy


def _name(path: Path) -> str:
    """The list as a caller would name it: steps[].variants"""
    return "".join("[]" if isinstance(key, int) else f".{key}" for key in path).lstrip(".")
