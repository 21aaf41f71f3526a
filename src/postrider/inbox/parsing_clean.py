"""Text without characters that a reader cannot see: they hide orders to an agent and turn file names around (pure)."""

import re

_INVISIBLE = re.compile(
    "["
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # controls, except tab and line ends
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5"  # soft hyphen, joiners and fillers
    "\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2"  # Arabic and Syriac format marks
    "\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"  # zero width, bidirectional
    "\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"  # blanks, variation selectors, annotations
    "\ufffe\uffff\ud800-\udfff"  # not characters
    "\U000110bd\U000110cd\U00013430-\U0001345f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # format marks beyond the BMP
    "\U000e0000-\U000e0fff"  # tags, more variation selectors
    "]+"
)
_LINE_END = re.compile("\r\n?|\u2028|\u2029|\x85")
_BLANKS = re.compile(r"\s+")
_PASSES = 2


def visible_text(text: str) -> str:
    """The text without invisible, bidirectional and control characters, line ends as ``\\n``; stable when repeated."""
    for _ in range(_PASSES):
        cleaned = _INVISIBLE.sub("", _LINE_END.sub("\n", text))
        if cleaned == text:
            break
        text = cleaned
    return text


def visible_line(text: str, max_chars: int) -> str:
    """One line of visible text with single blanks, cut at ``max_chars``: for subjects, names and file names."""
    return _BLANKS.sub(" ", visible_text(text[: max_chars * 4])).strip()[:max_chars].rstrip()
