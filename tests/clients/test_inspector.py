"""The MCP Inspector against a server as in production, in both eras, over HTTP and stdio."""

import json
import sys
from typing import Any

import pytest

from postrider.catalogue import load_catalogue
from postrider.doors.mcp.projection import describe_tools
from postrider.doors.mcp.surface import MAIN
from tests.clients.conftest import Installed, Serving
from tests.clients.nodejs import INSPECTOR, Ended, Node

ERAS = ("modern", "legacy")
_TOLD = ("PATH", "HOME", "PYTHONPATH", "POSTRIDER_DATA_DIR")
SHOWN = [tool.name for tool in describe_tools(MAIN, load_catalogue()).tools]


async def over_http(node: Node, serving: Serving, era: str, *arguments: str) -> Ended:
    key = f"X-Api-Key: {serving.key}"
    where = ("--cli", serving.url, "--transport", "http", "--protocol-era", era, "--header", key)
    return await node.run(INSPECTOR, *where, "--format", "json", *arguments)


async def over_stdio(node: Node, installed: Installed, era: str, *arguments: str) -> Ended:
    told = [f"{name}={installed.environment[name]}" for name in _TOLD if name in installed.environment]
    where = ("--cli", sys.executable, "-m", "postrider", "stdio", "--transport", "stdio", "--protocol-era", era)
    variables = [part for pair in told for part in ("-e", pair)]
    return await node.run(INSPECTOR, *where, *variables, "--format", "json", *arguments)


def result(ended: Ended) -> Any:
    assert ended.status == 0, str(ended)
    return json.loads(ended.stdout)["result"]


@pytest.mark.parametrize("era", ERAS)
async def test_every_tool_that_is_shown_has_a_schema_that_strict_clients_take(
    era: str, serving: Serving, node: Node
) -> None:
    listed = await over_http(node, serving, era, "--method", "tools/list", "--strict")
    assert [tool["name"] for tool in result(listed)["tools"]] == SHOWN


@pytest.mark.parametrize("era", ERAS)
async def test_a_tool_changes_what_the_next_call_reads(era: str, serving: Serving, node: Node) -> None:
    arguments = ("--method", "tools/call", "--tool-name", "create_campaign", "--tool-arg", f"name=Inspected {era}")
    created = result(await over_http(node, serving, era, *arguments))["structuredContent"]
    assert created["name"] == f"Inspected {era}" and created["status"] == "draft"
    read = result(await over_http(node, serving, era, "--method", "resources/read", "--uri", uri(created["id"])))
    assert json.loads(read["contents"][0]["text"])["name"] == f"Inspected {era}"


def uri(campaign_id: str) -> str:
    return f"postrider://campaigns/{campaign_id}"


async def test_a_call_without_a_key_is_told_what_is_missing(serving: Serving, node: Node) -> None:
    where = ("--cli", serving.url, "--transport", "http", "--protocol-era", "legacy", "--stored-auth-only")
    ended = await node.run(INSPECTOR, *where, "--method", "tools/list", "--format", "json")
    assert ended.status != 0 and json.loads(ended.stderr)["error"]["code"] == "auth_required", str(ended)


@pytest.mark.parametrize("era", ERAS)
async def test_over_stdio_it_lists_and_calls_tools(era: str, installed: Installed, node: Node) -> None:
    listed = await over_stdio(node, installed, era, "--method", "tools/list", "--strict")
    assert [tool["name"] for tool in result(listed)["tools"]] == SHOWN
    call = ("--method", "tools/call", "--tool-name", "create_campaign", "--tool-arg", f"name=By stdio {era}")
    created = result(await over_stdio(node, installed, era, *call))["structuredContent"]
    assert created["name"] == f"By stdio {era}" and created["status"] == "draft"
