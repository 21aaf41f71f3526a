"""How codes and tokens look and are stored, and for how long they are good. Times are wall time in milliseconds."""

from typing import Final, Literal

from postrider.kernel.ids import random_text
from postrider.kernel.keyed import keyed_digest
from postrider.kernel.secret import Secret

PURPOSE: Final = "oauth-tokens"
"""What the key for hashing them is derived for."""

CODE_MS: Final = 60_000
ACCESS_MS: Final = 3_600_000
REFRESH_MS: Final = 30 * 86_400_000
"""From each rotation on: an app that is used at least once a month stays connected."""

KEPT_MS: Final = 86_400_000
"""How long a code that was used is remembered, so that its replay is noticed."""

TokenKind = Literal["code", "access", "refresh"]
PREFIXES: Final[dict[TokenKind, str]] = {"code": "pr_ac_", "access": "pr_at_", "refresh": "pr_rt_"}
_CHARACTERS: Final = 32
_LONGEST: Final = 200


def make_token(kind: TokenKind) -> Secret:
    """A fresh one: a prefix that says what it is, and 160 random bits."""
    return Secret(PREFIXES[kind] + random_text(_CHARACTERS))


def is_token(text: str | None, kind: TokenKind) -> bool:
    """Whether ``text`` looks like one of ours."""
    return text is not None and text.startswith(PREFIXES[kind]) and len(text) <= _LONGEST


def digest_of(text: str, key: bytes) -> bytes:
    """The 32 octets that are stored. Looked up by an index: with so many random bits, timing tells nothing of use."""
    return keyed_digest(key, text[:_LONGEST].encode(errors="replace"))
