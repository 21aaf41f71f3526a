"""Python runs this first in a process that a test listens to: its stderr goes to one file, its secrets to another."""

import json
import os
import sys

from tests.witness.telling import tell

_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND
_log = os.open(os.environ["WITNESS_LOG"], _APPEND, 0o600)
_secrets = os.open(os.environ["WITNESS_SECRETS"], _APPEND, 0o600)
_told: set[str] = set()


def _hear(secret: str) -> None:
    if secret not in _told:
        _told.add(secret)
        os.write(_secrets, f"{json.dumps(secret)}\n".encode())


os.dup2(_log, sys.stderr.fileno())
tell(_hear)
