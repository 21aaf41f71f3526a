"""What docs/connect.md tells people to paste is JSON of the shape that the client reads, and starts what there is."""

import json
import re
from typing import Any, Final

import pytest
from scripts.generated import ROOT

from postrider.doors.cli import app

PAGES: Final = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
CONNECT: Final = (ROOT / "docs/connect.md").read_text(encoding="utf-8")
SECTIONS: Final = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", CONNECT, re.MULTILINE | re.DOTALL))
KEYS: Final = {
    "Claude Desktop": "mcpServers",
    "Claude Code": "mcpServers",
    "Cursor": "mcpServers",
    "VS Code": "servers",
}
ADDRESS: Final = re.compile(r"https?://[^\s`\"')]+/mcp\b")


def shown(text: str) -> list[str]:
    return re.findall(r"^ *```json\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_json_on_a_page_is_json(page: Any) -> None:
    for block in shown(page.read_text(encoding="utf-8")):
        json.loads(block)


@pytest.mark.parametrize("client", KEYS)
def test_a_client_is_told_a_server_under_the_key_that_it_reads(client: str) -> None:
    blocks = [json.loads(block) for block in shown(SECTIONS[client])]
    assert blocks
    for block in blocks:
        server = block[KEYS[client]]["postrider"]
        if "url" in server:
            assert ADDRESS.fullmatch(server["url"])
        else:
            assert server["command"].endswith("/postrider") and server["args"] == ["stdio"]


def test_vs_code_is_told_the_kind_of_each_server() -> None:
    kinds = {json.loads(block)["servers"]["postrider"]["type"] for block in shown(SECTIONS["VS Code"])}
    assert kinds == {"http", "stdio"}


def test_a_key_that_vs_code_puts_in_is_one_that_it_asks_for() -> None:
    block = next(json.loads(block) for block in shown(SECTIONS["VS Code"]) if "inputs" in block)
    asked = {entry["id"] for entry in block["inputs"]}
    assert set(re.findall(r"\$\{input:([^}]+)\}", json.dumps(block["servers"]))) == asked


def test_no_key_stands_on_the_page() -> None:
    assert re.findall(r"Bearer (?!\$|sk_…)\S+", CONNECT) == []


def test_the_commands_on_the_page_are_commands() -> None:
    known = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    assert set(re.findall(r"postrider (serve|stdio|engine|init)\b", CONNECT)) <= known


def test_every_client_of_the_table_has_its_section() -> None:
    named = set(re.findall(r"^\| \[([^\]]+)\]\(#", CONNECT, re.MULTILINE))
    assert named == set(SECTIONS) - {"What an address shows", "Anything else"}


def test_the_page_says_what_was_not_tried() -> None:
    assert "None of the products on this page was tried against its vendor's own service" in " ".join(CONNECT.split())
    deploy = " ".join((ROOT / "docs/deploy.md").read_text(encoding="utf-8").split())
    assert "The image itself is not built in CI" in deploy
