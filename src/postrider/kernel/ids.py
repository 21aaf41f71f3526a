"""Identifiers: a kind, an underscore, 26 Crockford characters (48 bits of milliseconds, 80 random bits)."""

import re
import time
from functools import lru_cache
from typing import Final

from postrider.kernel.entropy import random_bytes
from postrider.kernel.errors import InvalidInput

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_TO_ALPHABET: Final = bytes(ord(_ALPHABET[octet & 31]) for octet in range(256))
_PATTERN: Final = re.compile(r"([a-z]+)_([0-9a-hjkmnp-tv-z]{26})")

KINDS: Final[dict[str, str]] = {
    "usr": "user",
    "ws": "workspace",
    "key": "API key",
    "lead": "lead",
    "mbx": "mailbox",
    "camp": "campaign",
    "step": "sequence step",
    "subseq": "subsequence",
    "cl": "campaign lead (enrollment)",
    "conv": "conversation",
    "msg": "message",
    "att": "send attempt",
    "evt": "event",
    "rep": "scheduled reply",
    "agent": "AI agent",
    "job": "job",
    "dnc": "DNC entry",
    "tag": "tag",
    "grt": "connected app (grant)",
    "apr": "approval",
    "aud": "audit event",
    "und": "undo entry",
    "file": "file",
}
"""Prefix of every kind of id, with the words an error message uses for it."""


def encode_bits(number: int, length: int) -> str:
    """The lowest ``5 * length`` bits of ``number`` in Crockford's base 32, lower case."""
    characters = [""] * length
    for position in range(length - 1, -1, -1):
        characters[position] = _ALPHABET[number & 31]
        number >>= 5
    return "".join(characters)


def new_id(kind: str, at_ms: int | None = None) -> str:
    """A fresh id of ``kind``; sorts by creation time. ``at_ms``: milliseconds since 1970, the wall clock if absent."""
    return f"{kind}_{_stamp(time.time_ns() // 1_000_000 if at_ms is None else at_ms)}{random_text(16)}"


def random_text(length: int) -> str:
    """``length`` characters of Crockford's base 32, lower case: five random bits each."""
    return random_bytes(length).translate(_TO_ALPHABET).decode()


@lru_cache(maxsize=64)
def _stamp(milliseconds: int) -> str:
    return encode_bits(milliseconds, 10)


def kind_of(value: str) -> str | None:
    """The kind prefix of a well-formed id, else None."""
    match = _PATTERN.fullmatch(value)
    return match.group(1) if match and match.group(1) in KINDS else None


def check_id(value: str, kind: str, field: str) -> str:
    """``value`` itself when it is an id of ``kind``.

    Raises: InvalidInput that says what the id is instead (agents mix ids up).
    """
    found = kind_of(value)
    if found == kind:
        return value
    wanted = KINDS[kind]
    if found is not None:
        raise InvalidInput(
            f"{field} is the id of {_article(KINDS[found])}; {_article(wanted)} id is needed.",
            field=field,
            hint=f"The id of {_article(wanted)} starts with {kind}_.",
        )
    raise InvalidInput(
        f"{field} is not an id of Postrider.",
        field=field,
        hint=f"The id of {_article(wanted)} looks like {kind}_ followed by 26 characters.",
    )


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeioAEIO' else 'a'} {noun}"
