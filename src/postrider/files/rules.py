"""What a file may be called, and how cells and names are written so that no program acts on them. Pure."""

import re
import unicodedata
from typing import Final

MAX_NAME_BYTES: Final = 120
_RESERVED: Final = re.compile(r"(?i)(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?:\.|$)")
_FORBIDDEN: Final = re.compile(r'[<>:"|?*%\x00-\x1f\x7f]')
_TRIGGERS: Final = ("=", "+", "-", "@", "\t", "\r")


def display_name(given: str, otherwise: str) -> str:
    """A name that is safe to show and to save under: no path, nothing invisible, no device of Windows, 120 bytes.

    It never says where a file is kept: that is told by the file's id alone.
    """
    text = unicodedata.normalize("NFC", given.encode("utf-8", "replace").decode())
    # Percent signs too: what is decoded once more somewhere must not become a path.
    last = re.split(r"[/\\]|%2[fF]|%5[cC]", text)[-1]
    visible = "".join(
        each for each in last if unicodedata.category(each) not in ("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp")
    )
    name = _FORBIDDEN.sub("_", visible).strip(" .")
    if not name:
        return otherwise
    name = f"_{name}" if _RESERVED.match(name) else name
    return _shortened(name)


def guarded_cell(text: str) -> str:
    """A cell of an exported CSV file; what a spreadsheet would take for a formula begins with an apostrophe more."""
    return f"'{text}" if _is_formula(text) else text


def unguarded_cell(text: str) -> str:
    """What ``guarded_cell`` was given."""
    return text[1:] if text.startswith("'") and _is_formula(text) else text


def _is_formula(text: str) -> bool:
    # Whatever apostrophes it has already: so there is one way back.
    return text.lstrip("'").startswith(_TRIGGERS)


def _shortened(name: str) -> str:
    if len(name.encode()) <= MAX_NAME_BYTES:
        return name
    stem, dot, ending = name.rpartition(".")
    ending = f".{ending}" if dot and len(ending.encode()) <= 10 else ""
    room = MAX_NAME_BYTES - len(ending.encode())
    return (stem if ending else name).encode()[:room].decode(errors="ignore").rstrip(" .") + ending
