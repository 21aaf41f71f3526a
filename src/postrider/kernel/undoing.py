"""How an operation tells what would take its effect back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import JsonValue

if TYPE_CHECKING:
    from postrider.kernel.context import Context


@dataclass(frozen=True, slots=True)
class UndoRecord:
    """``payload``: what the operation's undoer needs. ``summary``: what would be taken back, in our own words.
    ``count``: of how many things."""

    payload: dict[str, JsonValue]
    summary: str
    count: int


@dataclass(frozen=True, slots=True)
class Undone:
    """What came of taking something back. ``kept``: things that have changed since and stay as they are, by reason."""

    restored: int
    kept: dict[str, int]


Undoer = Callable[["Context", dict[str, JsonValue]], Undone]
"""Takes the effect of one operation back, from its record, in the given transaction."""
