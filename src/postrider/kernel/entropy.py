"""Random octets from the system, fetched in larger pieces."""

import os
import threading
from typing import Final

_PIECE_BYTES: Final = 4096


class _Entropy:
    """Each system call gives the interpreter's lock up, and getting it back takes longer than the call itself."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._piece = b""
        self._at = 0
        os.register_at_fork(after_in_child=self._forget)

    def take(self, count: int) -> bytes:
        """``count`` octets (at most 4,096) that nobody else has been or will be given."""
        with self._lock:
            if self._at + count > len(self._piece):
                self._piece, self._at = os.urandom(_PIECE_BYTES), 0
            start, self._at = self._at, self._at + count
            return self._piece[start : self._at]

    def _forget(self) -> None:
        # A child would hand out what its parent hands out too.
        self._lock = threading.Lock()
        self._piece, self._at = b"", 0


_entropy: Final = _Entropy()


def random_bytes(count: int) -> bytes:
    """``count`` octets fit for tokens and ids (at most 4,096)."""
    return _entropy.take(count)
