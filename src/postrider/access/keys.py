"""API keys: how they look, how they are stored, how a presented one is recognised.

A key is ``sk_`` or ``sk_user_`` + 10 look-up characters + ``_`` + 32 secret characters (160 random bits). Stored: the
look-up part and a keyed hash of the whole.
"""

import hmac
import os
import re
from typing import Final, Literal, NamedTuple

from postrider.kernel.ids import encode_bits
from postrider.kernel.keyed import keyed_digest
from postrider.kernel.secret import Secret

KeyKind = Literal["platform_key", "workspace_key"]
_PATTERN: Final = re.compile(r"(sk_user_|sk_)([0-9a-z]{10})_([0-9a-z]{32})")
_PREFIX: Final[dict[KeyKind, str]] = {"platform_key": "sk_user_", "workspace_key": "sk_"}


class NewKey(NamedTuple):
    """A key just made: ``secret`` is shown once, ``lookup`` and ``digest`` are stored."""

    secret: Secret
    lookup: str
    digest: bytes


def make_key(kind: KeyKind, pepper: bytes) -> NewKey:
    """A fresh random key of ``kind``; ``pepper`` is the installation's key for hashing keys."""
    lookup = encode_bits(int.from_bytes(os.urandom(7), "big"), 10)
    secret = encode_bits(int.from_bytes(os.urandom(20), "big"), 32)
    text = f"{_PREFIX[kind]}{lookup}_{secret}"
    return NewKey(Secret(text), _stored_lookup(kind, lookup), hash_key(text, pepper))


def hash_key(text: str, pepper: bytes) -> bytes:
    """The 32 bytes stored for a key."""
    return keyed_digest(pepper, text.encode())


def read_lookup(text: str) -> str | None:
    """The stored look-up of a well-formed key (longest prefix first: sk_user_ starts with sk_ too), else None."""
    match = _PATTERN.fullmatch(text)
    if match is None:
        return None
    return _stored_lookup("platform_key" if match.group(1) == "sk_user_" else "workspace_key", match.group(2))


def same_digest(stored: bytes, presented: bytes) -> bool:
    """Whether two digests agree, in constant time."""
    return hmac.compare_digest(stored, presented)


def _stored_lookup(kind: KeyKind, lookup: str) -> str:
    return f"{_PREFIX[kind]}{lookup}"
