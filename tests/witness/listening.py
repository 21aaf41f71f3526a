"""What the witness hears: the product's log at DEBUG in this process, and the stderr of processes that tests start."""

import io
import json
import logging
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from postrider.logs import configure_logs

_ROOT: Final = Path(__file__).parents[2]
_SHORTEST: Final = 8
"""Shorter passwords of tests are words that stand in logs for other reasons."""
_SHAPES: Final = re.compile(
    r"\b(?:sk_(?:user_)?[0-9a-z]{10}_[0-9a-z]{32}|pr_(?:ac|at|rt|cs)_[0-9a-z]{8,}"
    r"|ct_[0-9a-z]{26}_[0-9]{13}_[0-9a-f]{64}|ws_[0-9a-z]{26}\.file_[0-9a-z]{26}\.[0-9]{13}\.[0-9a-f]{64})"
    r"|/(?:set-up|reset)/[0-9a-z]{40}"
)
"""Keys, tokens of apps, confirm tokens, links to set a password, links to files."""


@dataclass(frozen=True)
class Ear:
    """At a process that must be given ``environment``: ``log`` becomes its stderr, ``secrets`` what it tells."""

    environment: dict[str, str]
    log: Path
    secrets: Path

    def heard(self) -> str:
        """What it has written to stderr."""
        return _text(self.log)

    def told(self) -> Iterator[str]:
        """The secrets that it had."""
        # A process that is killed may leave half a line.
        yield from (json.loads(line) for line in self.secrets.read_text().splitlines() if line.endswith('"'))


@dataclass
class Witness:
    """Remembers secrets and logs; those of ``lasting`` for good, the others until the module's end."""

    lasting: set[str] = field(default_factory=set)
    secrets: set[str] = field(default_factory=set)
    log: io.StringIO = field(default_factory=io.StringIO)
    ears: list[Ear] = field(default_factory=list)
    logs: list[Path] = field(default_factory=list)
    _folder: "tempfile.TemporaryDirectory[str] | None" = None

    def listen(self) -> None:
        """Puts the log of this process at DEBUG and listens to it, if that is not so already."""
        root = logging.getLogger()
        if not any(getattr(handler, "stream", None) is self.log for handler in root.handlers):
            configure_logs("DEBUG", as_json=True, stream=self.log)

    def at(self, environment: Mapping[str, str]) -> Ear:
        """A new ear for one process, or for several that are started with the same environment."""
        self._folder = self._folder or tempfile.TemporaryDirectory(prefix="witness-")
        number = len(os.listdir(self._folder.name))
        log, secrets = (Path(self._folder.name, f"{number:04}.{kind}") for kind in ("log", "secrets"))
        path = [str(_ROOT / "tests/witness/child"), str(_ROOT), *filter(None, [environment.get("PYTHONPATH")])]
        own = {"PYTHONPATH": os.pathsep.join(path), "WITNESS_LOG": str(log), "WITNESS_SECRETS": str(secrets)}
        ear = Ear({"POSTRIDER_LOG_LEVEL": "DEBUG", **environment, **own}, log, secrets)
        self.ears.append(ear)
        self.read(log)
        secrets.touch(0o600)
        return ear

    def read(self, log: Path) -> None:
        """Watches the file to which a process writes its log; its secrets are those of this process."""
        log.touch(0o600)
        self.logs.append(log)

    def leaks(self) -> list[str]:
        """The lines heard that hold a secret. What was heard in this process is forgotten."""
        places = {"this process": self.log.getvalue()}
        places |= {str(log): _text(log) for log in self.logs}
        self.log.seek(0)
        self.log.truncate()
        secrets = self.lasting.union(self.secrets, *(ear.told() for ear in self.ears))
        forms = {form for secret in secrets for form in _forms(secret)}
        return [f"{place}: {line}" for place, text in places.items() for line in leaking_lines(text, forms)]

    def forget(self) -> None:
        """The module is over: so are its secrets and its processes."""
        self.secrets.clear()
        self.ears.clear()
        self.logs.clear()

    def end(self) -> None:
        """Takes away what processes have written."""
        if self._folder is not None:
            self._folder.cleanup()


def _text(log: Path) -> str:
    return log.read_text(errors="replace")


def leaking_lines(text: str, forms: set[str]) -> list[str]:
    """The lines of a log that hold one of the secrets, or what has the look of one."""
    if not _SHAPES.search(text) and not any(form in text for form in forms):
        return []
    return [line for line in text.splitlines() if _SHAPES.search(line) or any(form in line for form in forms)]


def _forms(secret: str) -> Iterator[str]:
    if len(secret) >= _SHORTEST:
        yield from (secret, json.dumps(secret)[1:-1], quote(secret, safe=""))


WITNESS: Final = Witness()


def start(command: Sequence[str], environment: Mapping[str, str], **more: Any) -> "subprocess.Popen[str]":
    """A process that is listened to, with pipes for stdin and stdout. Its ``stderr`` can be read once it has ended."""
    ear, pipe = WITNESS.at(environment), subprocess.PIPE
    with ear.log.open("a") as log:
        running = subprocess.Popen(command, env=ear.environment, text=True, stdin=pipe, stdout=pipe, stderr=log, **more)
    running.stderr = ear.log.open()
    return running


def listened_to(environment: Mapping[str, str]) -> dict[str, str]:
    """``environment`` for a process that somebody else starts, with an ear at it."""
    return WITNESS.at(environment).environment
