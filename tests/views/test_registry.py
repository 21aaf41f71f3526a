"""The documents of the views as a client reads them: complete in themselves, and held to it by their own policy."""

import hashlib
import json
import re
import tomllib
from base64 import b64encode
from pathlib import Path

import pytest

from postrider.catalogue import load_catalogue
from postrider.doors.mcp.views.registry import (
    MIME_TYPE,
    VIEWS,
    View,
    document,
    read_view,
    tool_meta,
    view_of,
    view_resources,
)

SOURCES = Path(__file__).parents[2] / "src" / "postrider" / "doors" / "mcp" / "views"
NAMES_ONLY = {"http://www.w3.org/2000/svg"}
"""Addresses that are names of something, and are never fetched."""

each_view = pytest.mark.parametrize("view", VIEWS, ids=[view.name for view in VIEWS])


def test_every_view_draws_results_of_operations_that_exist() -> None:
    catalogue = load_catalogue()
    for view in VIEWS:
        for operation in view.operations:
            assert catalogue.find(operation) is not None
            assert view_of(operation) == view


def test_a_tool_says_where_its_view_is_and_nothing_more() -> None:
    assert tool_meta("plan_campaign") == {"ui": {"resourceUri": "ui://postrider/campaign-plan"}}
    assert tool_meta("generate_reply") == tool_meta("get_conversation")
    assert tool_meta("list_leads") is None


def test_what_is_listed_can_be_read_and_asks_for_no_origin() -> None:
    for resource in view_resources(lambda name: True):
        listed = resource.model_dump(mode="json", by_alias=True, exclude_none=True)
        read = read_view(resource.uri)
        assert read is not None
        [content] = read.model_dump(mode="json", by_alias=True)["contents"]
        assert (listed["mimeType"], content["mimeType"]) == (MIME_TYPE, MIME_TYPE)
        assert listed["_meta"] == content["_meta"]
        assert set(map(tuple, content["_meta"]["ui"]["csp"].values())) == {()}
        assert content["text"].startswith("<!doctype html>")


def test_views_of_tools_that_cannot_be_called_are_not_listed() -> None:
    assert [resource.name for resource in view_resources(lambda name: name == "generate_reply")] == ["conversation"]


def test_an_address_that_is_no_view_is_not_read() -> None:
    assert read_view("ui://postrider/campaign-plan/") is None
    assert read_view("ui://postrider/../registry.py") is None


@each_view
def test_a_document_names_no_place_to_load_from(view: View) -> None:
    page = document(view)
    assert set(re.findall(r"(?:https?|wss?|ftp):[^\s\"'`)]+", page)) <= NAMES_ONLY
    assert not re.findall(r"<(?:link|img|iframe|object|embed|base)\b", page.split("<script")[0])
    assert "@import" not in page and "url(" not in page


@each_view
def test_the_policy_of_a_document_lets_run_its_own_script_only(view: View) -> None:
    page = document(view)
    [script] = re.findall(r"<script type=\"module\">(.*?)</script>", page, re.DOTALL)
    assert page.count("<script") == 1
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy[1].split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == f"'sha256-{digest}'"
    assert {"connect-src", "frame-src", "font-src"}.isdisjoint(rules)


@each_view
def test_a_document_is_small_enough_to_be_sent_each_time(view: View) -> None:
    assert len(document(view).encode()) < 48_000


@pytest.mark.parametrize("file", sorted(SOURCES.glob("*.js")), ids=lambda file: file.name)
def test_scripts_have_no_way_from_text_to_markup_or_code(file: Path) -> None:
    source = file.read_text(encoding="utf-8")
    assert not re.findall(r"\.(?:innerHTML|outerHTML)\s*=|insertAdjacentHTML|createContextualFragment", source)
    assert not re.findall(r"document\.write|\beval\(|new Function", source)
    assert not re.findall(r"\b(?:fetch|XMLHttpRequest|WebSocket|EventSource|sendBeacon|localStorage)\b", source)
    assert "</" not in re.sub(r"</(?:style|head|body|html)>", "", source)
    assert source.count("srcdoc") == (1 if file.name == "email_preview.js" else 0)


def test_every_file_of_the_views_is_packed() -> None:
    project = tomllib.loads((SOURCES.parents[4] / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["postrider"]
    kinds = {file.suffix for file in SOURCES.iterdir() if file.is_file()} - {".py"}
    assert {f"**/*{kind}" for kind in kinds} <= set(patterns)


def test_views_cost_the_tool_list_little() -> None:
    metas = [tool_meta(operation) for view in VIEWS for operation in view.operations]
    assert sum(len(json.dumps({"_meta": meta}, separators=(",", ":"))) for meta in metas) < 500
