"""Cuts a thread to what one answer can hold: the newest messages whole, older ones shortened (pure)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

LEAST_TEXT_BYTES: Final = 300
"""What every message that is shown at all may keep of its text."""

CUT: Final = "…"


@dataclass(frozen=True, slots=True)
class Sized:
    """One message to fit: what it takes without its texts, and the texts."""

    fixed_bytes: int
    text: str
    html: str | None


@dataclass(frozen=True, slots=True)
class Fitted:
    """What is left of a message. ``html`` None: there was none, or no room for it."""

    text: str
    html: str | None
    truncated: bool


def json_bytes(value: object) -> int:
    """The octets of ``value`` as compact JSON in UTF-8."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str).encode())


def fit_thread(messages: Sequence[Sized], budget_bytes: int) -> list[Fitted]:
    """What fits of ``messages`` (oldest first), in their order; those left out are the oldest.

    Room goes first to the newest message, then to a start of every other text, then to the rest of the texts, then to
    HTML, newest first each time.
    """
    room = budget_bytes
    kept: list[tuple[Sized, int]] = []
    for message in reversed(messages):
        own = json_bytes(message.text)
        least = min(own, LEAST_TEXT_BYTES) if kept else min(own, max(room - message.fixed_bytes, LEAST_TEXT_BYTES))
        if kept and message.fixed_bytes + least > room:
            break
        kept.append((message, least))
        room -= message.fixed_bytes + least
    fitted: list[Fitted] = []
    for message, least in kept:
        text = cut_text(message.text, least + max(room, 0))
        room -= max(0, json_bytes(text) - least)
        fitted.append(Fitted(text, None, text != message.text))
    for number, (message, _) in enumerate(kept):
        size = json_bytes(message.html) if message.html is not None else 0
        if message.html is not None and size <= room and not fitted[number].truncated:
            room -= size
            fitted[number] = Fitted(message.text, message.html, False)
    return fitted[::-1]


def cut_text(text: str, most_bytes: int) -> str:
    """``text``, or as much of its beginning as takes ``most_bytes`` of JSON, with an ellipsis."""
    if json_bytes(text) <= most_bytes:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if json_bytes(text[:middle] + CUT) <= most_bytes:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + CUT
