"""What callers are told of input that does not fit: in words for people, never in those of the library that checks."""

import math
import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from postrider.catalogue import load_catalogue
from postrider.kernel.errors import InvalidInput
from postrider.kernel.misfits import Allowed, path_of
from postrider.kernel.operation import Operation
from postrider.kernel.validation import parse_lenient, parse_strict

OPERATIONS = list(load_catalogue())
FOREIGN_WORDS = re.compile(
    r"(?i:pydantic|input should|valid (?:string|integer|number|boolean|list|dict|date)|dictionary|instance of|pattern|"
    r"function|validat|parse|4300|unix|timestamp|surrogat|of another form|traceback)|"
    r"[A-Z]\w*Error\b|\bNone\b|\bTrue\b|\bFalse\b|\bstr\b|\bint\b|\bdict\b|NoneType|datetime|\[key\]|\^\["
)
BAD_VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    10**30,
    int("9" * 4_000),
    1.5,
    math.inf,
    math.nan,
    "",
    "x",
    "x" * 500_000,
    "9" * 5_000,
    "1.5",
    "2026-02-30",
    "2026-02-30T25:00:00Z",
    "\u202e",
    "a/b\n",
    [],
    ["x"] * 1_000,
    [[["deep"]]],
    [None],
    [{"nothing": "here"} for _ in range(30)],
    {},
    {"x": object()},
    {"x": {"y": {"z": 1}}},
    {5: 1},
    object(),
)


def _class_names() -> set[str]:
    """The names of every input model there is."""
    found: set[str] = set()
    waiting: list[type[BaseModel]] = [BaseModel]
    while waiting:
        for kind in waiting.pop().__subclasses__():
            found.add(kind.__name__)
            waiting.append(kind)
    return {name for name in found if len(name) > 6 and name[1:] != name[1:].lower()}


CLASS_NAMES = _class_names()


def _paths(model: type[BaseModel], depth: int = 3) -> Iterator[list[str | int]]:
    """The way to every field, also inside lists and objects."""
    for own, info in model.model_fields.items():
        name = info.alias or own
        yield [name]
        inner, is_list = _inner(info.annotation)
        if inner is not None and depth:
            for path in _paths(inner, depth - 1):
                yield [name, *([0] if is_list else []), *path]


def _inner(kind: Any) -> tuple[type[BaseModel] | None, bool]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind, False
    for part in getattr(kind, "__args__", ()):
        found, is_list = _inner(part)
        if found is not None:
            return found, is_list or getattr(kind, "__origin__", None) is list
    return None, False


def _nested(path: list[str | int], value: Any) -> Any:
    for part in reversed(path):
        value = [value] if isinstance(part, int) else {part: value}
    return value


def _refusals(operation: Operation) -> Iterator[tuple[str, InvalidInput]]:
    for path in _paths(operation.input):
        for value in BAD_VALUES:
            arguments = _nested(path, value)
            for parse in (parse_strict, parse_lenient):
                try:
                    parse(operation.input, arguments)
                except InvalidInput as refused:
                    yield path_of(path), refused


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_no_refusal_speaks_of_python_or_of_the_library(operation: Operation) -> None:
    refused = 0
    for path, refusal in _refusals(operation):
        told = [refusal.message, str(refusal.hint), *(str(problem) for problem in refusal.details.get("problems", []))]
        for text in told:
            unquoted = re.sub(r"x{50,}|9{50,}", "", text)
            found = FOREIGN_WORDS.search(unquoted) or next((n for n in CLASS_NAMES if n in unquoted), None)
            assert not found, f"{operation.name} {path}: {text[:300]}"
            assert len(text) < 3_000, f"{operation.name} {path} repeats too much: {len(text)} characters"
        assert refusal.field and refusal.hint
        refused += 1
    assert refused or not operation.input.model_fields


def _patterns(model: type[BaseModel]) -> Iterator[tuple[str, Any]]:
    for own, info in model.model_fields.items():
        if any(getattr(note, "pattern", None) for note in info.metadata):
            yield own, info
        inner, _ = _inner(info.annotation)
        if inner is not None:
            yield from _patterns(inner)


def test_every_pattern_is_told_in_words_with_an_example() -> None:
    seen = 0
    for operation in OPERATIONS:
        for name, info in _patterns(operation.input):
            words = [note.words for note in info.metadata if isinstance(note, Allowed)]
            assert words and "such as" in words[0], f"{operation.name}.{name}"
            seen += 1
    assert seen >= 5


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("list_leads", {"limit": 0}, "limit has to be a whole number from 1 to 100"),
        ("list_leads", {"limit": "9" * 5_000}, "limit has to be a whole number from 1 to 100"),
        ("create_tag", {"name": "x", "color": "red"}, "color has to be a color as #rrggbb, such as #16a34a"),
        ("create_tag", {"name": "x" * 61}, "name may have at most 60 characters, and has 61"),
        ("create_agent", {"name": "\x01"}, "name has to be one line with at least one visible character"),
        ("create_mailbox", {"email": "a@b.test", "smtp": "x"}, 'smtp has to be an object, such as {"host": "abc"}'),
        ("get_daily_analytics", {"from": "soon"}, "from has to be a date, such as 2026-03-05"),
        (
            "send_reply",
            {"id": "conv_x", "body": "x", "scheduledFor": "soon"},
            "scheduledFor has to be a date and a time with its zone, such as 2026-03-05T09:00:00Z",
        ),
        (
            "create_campaign",
            {"name": "x", "sequence": [{"type": "sms"}]},
            "sequence[0].type has to be one of: email, wait",
        ),
        (
            "create_campaign",
            {"name": "x", "schedule": {"startTime": "9", "workingDays": [7]}},
            "schedule.startTime has to be a time as HH:MM, such as 08:30; "
            "schedule.workingDays[0] has to be a whole number from 0 to 6",
        ),
        (
            "create_campaign",
            {"name": "x", "settings": {"trackOpens": "maybe"}},
            "settings.trackOpens has to be true or",
        ),
        ("create_campaign", {"name": "x", "sequence": {}}, 'sequence has to be a list, such as [{"type": …}]'),
        (
            "send_test_email",
            {"id": "x", "sequenceStep": 0, "mailboxId": "m", "customVariables": {"y" * 101: "z"}},
            f"the name of customVariables.{'y' * 60}… may have at most 100 characters, and has 101",
        ),
    ],
)
def test_a_refusal_says_what_is_allowed(name: str, arguments: dict[str, Any], told: str) -> None:
    operation = load_catalogue().find(name)
    assert operation is not None
    with pytest.raises(InvalidInput) as refused:
        parse_strict(operation.input, arguments)
    assert refused.value.message.startswith(told)
