"""Results and errors in words: a few lines that an agent can act on, beside the structured part."""

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from pydantic_core import to_jsonable_python

from postrider.kernel.errors import PostriderError

MAX_TEXT: Final = 8_000
MAX_LINE: Final = 240
MAX_VALUE: Final = 80
MAX_PROSE: Final = 400
_ROWS_OF_A_NESTED_LIST: Final = 10
_TELLING: Final = ("id", "name", "title", "email", "subject", "status", "label", "type", "message")
"""What says most about a row, most telling first; the other fields follow while the line has room."""

_NOT_IN_ROWS: Final = ("createdAt", "updatedAt")
_PAGING: Final = ("items", "total", "limit", "hasMore", "nextCursor", "page")

Json = Mapping[str, Any]


def result_text(output: Json) -> str:
    """The few lines that stand beside the structured ``output``: ids, names, counts, and how to get more."""
    items = output.get("items")
    lines = _page(output, items) if isinstance(items, list) else _record(output)
    return _join(lines) or "Done."


def error_text(error: PostriderError) -> str:
    """What was wrong, the facts, and the next step."""
    lines = [f"{error.error_code}: {_words(error.message)}"]
    facts = {key: value for key, value in error_facts(error).items() if key not in ("field", "problems")}
    lines += [f"{key}: {_shorten(_words(value), MAX_PROSE)}" for key, value in facts.items() if not _is_empty(value)]
    if error.hint:
        lines.append(f"Next: {_words(error.hint)}")
    return "\n".join(lines)


def error_facts(error: PostriderError) -> dict[str, Any]:
    """The details of an error as JSON values."""
    facts = to_jsonable_python(error.details, fallback=str)
    return facts if isinstance(facts, dict) else {}


def _page(output: Json, items: list[Any]) -> list[str]:
    total = output.get("total", len(items))
    lines = [f"{len(items)} of {total}." if items else "Nothing found."]
    lines += [_row(item) for item in items]
    cursor = output.get("nextCursor")
    if cursor:
        lines.append(f"More: call again with the same filters and cursor={json.dumps(cursor)}")
    rest = {key: value for key, value in output.items() if key not in _PAGING}
    return lines[:1] + _record(rest) + lines[1:]


def _record(output: Json) -> list[str]:
    """One field a line; nested objects on one line, nested lists a line for each row."""
    lines = []
    for key in _telling_order(tuple(output)):
        value = output[key]
        if _is_empty(value):
            continue
        if isinstance(value, list) and any(isinstance(item, dict) for item in value):
            lines.append(f"{key} ({len(value)}):")
            lines += [_row(item) for item in value[:_ROWS_OF_A_NESTED_LIST]]
            if len(value) > _ROWS_OF_A_NESTED_LIST:
                lines.append(f"… and {len(value) - _ROWS_OF_A_NESTED_LIST} more in the structured result")
        else:
            lines.append(f"{key}: {_shorten(_words(value), MAX_PROSE)}")
    return lines


def _row(item: Any) -> str:
    """``- id, name, then field: value`` as far as the line goes."""
    if not isinstance(item, dict):
        return "- " + _shorten(_words(item), MAX_LINE - 2)
    parts, room = [], MAX_LINE
    for key in _telling_order(tuple(item)):
        value = item[key]
        if _is_empty(value) or value is False or key in _NOT_IN_ROWS:
            continue
        word = _shorten(_words(value), MAX_VALUE)
        part = word if key in ("id", "name") else f"{key}: {word}"
        room -= len(part) + 3
        if room < 0:
            break
        parts.append(part)
    return "- " + " · ".join(parts)


@lru_cache(maxsize=512)
def _telling_order(keys: tuple[str, ...]) -> tuple[str, ...]:
    """Telling fields first, then the others as they were declared."""
    telling = [key for key in _TELLING if key in keys]
    return (*telling, *(key for key in keys if key not in _TELLING and key != "_id"))


def _words(value: Any) -> str:
    """A value on one line. Control, invisible and direction characters are left out: they could fake other lines."""
    if isinstance(value, str):
        return value if value.isprintable() else "".join(filter(str.isprintable, " ".join(value.split())))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_words(inner)}" for key, inner in value.items() if not _is_empty(inner))
    if isinstance(value, list):
        return ", ".join(_words(inner) for inner in value)
    return str(value)


def _is_empty(value: Any) -> bool:
    return value is None or (not value and isinstance(value, str | list | dict))


def _shorten(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _join(lines: Iterable[str]) -> str:
    """The lines as far as the text may go, and how many were left out."""
    kept: list[str] = []
    room = MAX_TEXT
    everything = list(lines)
    for line in everything:
        room -= len(line) + 1
        if room < 0:
            kept.append(f"… {len(everything) - len(kept)} more lines are in the structured result only")
            break
        kept.append(line)
    return "\n".join(kept)
