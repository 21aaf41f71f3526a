"""Strangers' text as it is shown: without what a reader cannot see, which may hold orders to an agent (pure).

The second pass over it. The first is made where the text comes in: there mail is cleaned, and fields are refused.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, Final

# Controls but tab and line ends, line separators, lone surrogates; direction marks, overrides and isolates; zero-width,
# filler, blank and tag characters; the variation selectors that stand in no emoji. The two joiners and U+FE0F stay,
# because names and emoji are not written without them, but no more in a row than those need.
_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
    "\ufe00-\ufe0e\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff]+"
    "|[\u200c\u200d\ufe0f]{3,}"
)


def shown_text(text: str) -> str:
    """``text`` without the characters that turn its direction, cannot be seen, or are none."""
    if text.isascii() and text.isprintable():
        return text
    # What was taken out may have kept a row of joiners apart.
    return _UNSEEN.sub("", _UNSEEN.sub("", text))


def in_quotes(text: str, most: int = 100) -> str:
    """``text`` as it may stand within a line of our own: in quotes that it cannot close, on one line, at most so many
    characters of it, none of which is unseen."""
    line = "".join(filter(str.isprintable, " ".join(shown_text(text).split())))
    return json.dumps(line if len(line) <= most else f"{line[: most - 1]}…", ensure_ascii=False)


def first_few(texts: Sequence[str], most: int, more: int = 0) -> str:
    """The first of ``texts``, and how many follow them; ``more``: how many that are not given."""
    left = max(0, len(texts) - most) + more
    return ", ".join(texts[:most]) + (f" and {left:,} more" if left else "")


def shown_value(value: Any) -> Any:
    """The same of every text in a JSON value, the names of fields too."""
    if isinstance(value, str):
        return shown_text(value)
    if isinstance(value, dict):
        return {shown_text(name): shown_value(inner) for name, inner in value.items()}
    return [shown_value(inner) for inner in value] if isinstance(value, list) else value
