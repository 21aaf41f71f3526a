"""Texts in which there is nothing to see, however many characters they have."""

import unicodedata
from typing import Final

_UNSEEN: Final = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})
"""Unicode's categories of controls, format marks and white space."""
_FILLERS: Final = frozenset(
    chr(code)
    for first, last in (
        (0x034F, 0x034F),
        (0x115F, 0x1160),
        (0x17B4, 0x17B5),
        (0x180B, 0x180F),
        (0x2065, 0x2065),
        (0x2800, 0x2800),
        (0x3164, 0x3164),
        (0xFE00, 0xFE0F),
        (0xFFA0, 0xFFA0),
        (0xE0000, 0xE0FFF),
    )
    for code in range(first, last + 1)
)
"""What is a letter or a mark by its category, and yet draws nothing."""


def is_blank(text: str) -> bool:
    """Whether a reader sees nothing: no character, or only white space and invisible ones."""
    return all(char in _FILLERS or unicodedata.category(char) in _UNSEEN for char in text)
