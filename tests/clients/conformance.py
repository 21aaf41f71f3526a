"""The MCP conformance suite: its verdict on a server, scenario by scenario."""

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tests.clients.nodejs import CONFORMANCE, PACKAGES, Browser, Ended, Node

REVISIONS: Final = {"2026-07-28": 37, "2025-11-25": 30}
"""The revisions that we claim, and how many scenarios the suite demands of a server for each."""

BEYOND: Final = {"2026-07-28": ["http-header-validation"], "2025-11-25": ["server-session-lifecycle"]}
"""What the suite runs without demanding it, and we pass as well."""

_TIME: Final = re.compile(r"-\d{4}-\d\d-\d\dT[\d-]+Z$")
_GOOD: Final = {"SUCCESS", "INFO"}


@dataclass(frozen=True)
class Verdict:
    """What the suite said. ``checks``: how many ended in which way, for each demanded scenario."""

    ended: Ended
    checks: dict[str, Counter[str]]

    def __str__(self) -> str:
        return "".join(self.ended.stdout.partition("=== SUMMARY")[1:]) + self.ended.stderr

    @property
    def passed(self) -> list[str]:
        """The scenarios in which something succeeded and nothing failed, warned or was left out."""
        return [name for name, ends in self.checks.items() if ends["SUCCESS"] and ends.keys() <= _GOOD]


def demanded(revision: str) -> list[str]:
    """The scenarios that a server must pass for ``revision``."""
    text = (PACKAGES / "conformance" / "requirements" / f"{revision}.yaml").read_text(encoding="utf-8")
    scenarios: list[str] = yaml.safe_load(text)["server"]
    return scenarios


async def judge(node: Node, url: str, revision: str, results: Path, *options: str) -> Verdict:
    """The verdict on the server at ``url``; the suite leaves its results in ``results``."""
    arguments = ("server", "--url", url, "--requirements", revision, "--output-dir", str(results), *options)
    ended = await node.run(CONFORMANCE, *arguments)
    names = [*demanded(revision), *BEYOND[revision]]
    return Verdict(ended, {name: _ends(results, f"server-{name}") for name in names})


def _ends(results: Path, folder: str) -> Counter[str]:
    """How the checks of one scenario ended; its folder's name ends with the time."""
    found = [path for path in results.iterdir() if _TIME.sub("", path.name) == folder]
    checks: list[dict[str, Any]] = json.loads((found[0] / "checks.json").read_text()) if len(found) == 1 else []
    return Counter(check["status"] for check in checks)


AUTHORIZATION: Final = ("authorization-server-metadata-endpoint", "authorization-code-grant")
"""The scenarios for an authorization server."""


@dataclass(frozen=True)
class Registered:
    """A client at an authorization server, as the suite is told of it. ``resource``: what the token is to be for."""

    issuer: str
    client_id: str
    resource: str
    callback_port: int

    @property
    def options(self) -> tuple[str, ...]:
        """What the suite is started with."""
        port = str(self.callback_port)
        who = ("--url", self.issuer, "--client-id", self.client_id)
        return ("authorization", *who, "--resource", self.resource, "--port", port)


async def judge_authorization(node: Node, client: Registered, results: Path, opened: Browser) -> Verdict:
    """The verdict on an authorization server. ``opened`` is the person: it signs in and agrees at an address.

    The client must be registered for http://127.0.0.1:PORT/callback, where the suite listens.
    """
    ended = await node.attend(CONFORMANCE, *client.options, "--output-dir", str(results), opened=opened)
    return Verdict(ended, {name: _ends(results, f"authorization-server-{name}") for name in AUTHORIZATION})
