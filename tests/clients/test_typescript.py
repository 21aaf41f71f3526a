"""The TypeScript client and the one of the old SDK against a server as in production, over HTTP and stdio."""

import sys
from dataclasses import dataclass
from typing import Any

import pytest

from tests.clients.conftest import Installed, Serving
from tests.clients.nodejs import FOLDER, Node


@dataclass(frozen=True)
class Kind:
    """A client program, what it is told of versions, and the revision that it then speaks."""

    name: str
    program: str
    task: dict[str, Any]
    revision: str


CLIENTS = (
    Kind("auto", "typescript_client.mjs", {"mode": "auto"}, "2026-07-28"),
    Kind("pinned", "typescript_client.mjs", {"mode": {"pin": "2026-07-28"}}, "2026-07-28"),
    Kind("legacy", "typescript_client.mjs", {"mode": "legacy"}, "2025-11-25"),
    Kind("old SDK", "old_sdk_client.mjs", {}, "2025-11-25"),
)
every_client = pytest.mark.parametrize("kind", CLIENTS, ids=lambda kind: kind.name)


def creating(campaign: str) -> dict[str, Any]:
    return {"tool": "create_campaign", "arguments": {"name": campaign}}


def assert_understood(learnt: dict[str, Any], kind: Kind, campaign: str) -> None:
    assert learnt["server"]["name"] == "postrider" and learnt["era"] == kind.revision
    assert {"create_campaign", "list_campaigns", "start_campaign"} <= set(learnt["tools"])
    lists = [learnt["capabilities"][name] for name in ("tools", "prompts", "resources")]
    assert not any(listed.get("listChanged") for listed in lists) and lists[2]["subscribe"] is True
    assert "postrider://analytics/overview" in learnt["resources"]
    assert learnt["result"].get("isError") is not True
    assert learnt["result"]["structuredContent"]["name"] == campaign


@every_client
async def test_with_a_key_it_lists_and_calls_tools_over_http(kind: Kind, serving: Serving, node: Node) -> None:
    name = f"From {kind.name}"
    access = {"url": serving.url, "headers": {"X-Api-Key": serving.key}}
    learnt = await node.converse(kind.program, {**access, **kind.task, **creating(name)})
    assert_understood(learnt, kind, name)


@every_client
async def test_it_lists_and_calls_tools_over_stdio(kind: Kind, installed: Installed, node: Node) -> None:
    name = f"By stdio from {kind.name}"
    process = {"command": sys.executable, "args": ["-m", "postrider", "stdio"], "env": installed.environment}
    learnt = await node.converse(kind.program, {**process, **kind.task, **creating(name)})
    assert_understood(learnt, kind, name)


async def test_an_error_reaches_the_client_with_what_to_do_next(serving: Serving, node: Node) -> None:
    access = {"url": serving.url, "headers": {"X-Api-Key": serving.key}, "mode": "auto"}
    wrong = {"tool": "get_campaign", "arguments": {"id": "camp_00000000000000000000000000"}}
    learnt = await node.converse("typescript_client.mjs", {**access, **wrong})
    assert learnt["result"]["isError"] is True
    assert "NOT_FOUND" in learnt["result"]["content"][0]["text"]


async def test_whatever_reaches_beyond_loopback_is_refused_and_seen(node: Node) -> None:
    ended = await node.run(FOLDER / "stranger.mjs")
    assert ended.stdout == "refused\nrefused\nrefused", str(ended)
    assert node.refused() == ["example.org", "192.0.2.1", "example.org"]
    node.forget()
