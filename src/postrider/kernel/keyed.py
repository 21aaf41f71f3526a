"""HMAC-SHA256 under one key for many short texts."""

import hashlib
from functools import lru_cache
from typing import Final

_BLOCK_BYTES: Final = 64
_INNER: Final = bytes(octet ^ 0x36 for octet in range(256))
_OUTER: Final = bytes(octet ^ 0x5C for octet in range(256))


class KeyedHash:
    """HMAC-SHA256 (RFC 2104) with the key's half of the work done once.

    ``hmac.digest`` gives the interpreter's lock up for each text: where several threads work, getting it back takes a
    hundred times as long as the hash. Hashing a short text in place does not.
    """

    def __init__(self, key: bytes) -> None:
        short = hashlib.sha256(key).digest() if len(key) > _BLOCK_BYTES else key
        padded = short.ljust(_BLOCK_BYTES, b"\0")
        self._inner = hashlib.sha256(padded.translate(_INNER))
        self._outer = hashlib.sha256(padded.translate(_OUTER))

    def digest(self, text: bytes) -> bytes:
        """The 32 octets for ``text``."""
        inner = self._inner.copy()
        inner.update(text)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()


@lru_cache(maxsize=256)
def _keyed(key: bytes) -> KeyedHash:
    return KeyedHash(key)


def keyed_digest(key: bytes, text: bytes) -> bytes:
    """HMAC-SHA256 of ``text`` under ``key``, which is remembered: for the few keys of an installation."""
    return _keyed(key).digest(text)
