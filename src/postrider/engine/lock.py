"""On SQLite one engine at a time: an advisory lock on a file, which the system lets go when the process dies."""

import fcntl
import os
from pathlib import Path


class EngineLock:
    """The right to run the engine on one data directory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """True when this process may run the engine; False while another one does."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Lets another process run the engine."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
