"""What each surface lists, and what can be called there: by name, and through the tools that run what is not listed."""

import json
from dataclasses import replace
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it ships no types
from mcp.client import Client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, TextContent, Tool

from postrider.catalogue import load_catalogue
from postrider.doors.mcp.answers import MAX_RESULT_BYTES
from postrider.doors.mcp.brief import Brief, argument_words
from postrider.doors.mcp.projection import Projection, describe_tools
from postrider.doors.mcp.running import DOOR_TOOLS, RUN_TOOLS
from postrider.doors.mcp.server import build_server
from postrider.doors.mcp.surface import FULL, MAIN, READONLY, SURFACES, Surface, surface_at, surface_named, toolsets
from postrider.doors.mcp.tools import describe_tool
from postrider.kernel.context import Actor
from postrider.kernel.errors import NotFound
from postrider.kernel.operation import Effect, Operation
from tests.conftest import Installation
from tests.contract.tenancy_rows import ROWS

CATALOGUE = load_catalogue()
CORE = [operation for operation in CATALOGUE if operation.core]
MOST_BYTES = 32_000
DAILY = {
    *("create_campaign", "add_leads_to_campaign", "preview_email", "plan_campaign", "start_campaign", "pause_campaign"),
    *("list_leads", "list_conversations", "get_conversation", "generate_reply", "send_reply", "tag_conversation"),
    *("get_campaign_analytics", "explain_lead"),
}


def listed(surface: Surface) -> list[Tool]:
    return describe_tools(surface, CATALOGUE).tools


def text_of(result: CallToolResult) -> str:
    (part,) = result.content
    assert isinstance(part, TextContent)
    return part.text


def connect(installation: Installation, surface: Surface, actor: Actor | None = None, mode: Any = "auto") -> Client:
    who = actor or installation.actor()
    return Client(build_server(Projection(installation.app, surface, lambda ctx: who)), mode=mode)


def test_the_core_list_keeps_its_budget() -> None:
    sent = describe_tools(MAIN, CATALOGUE).model_dump(mode="json", by_alias=True, exclude_none=True)
    assert len(json.dumps(sent, separators=(",", ":"), ensure_ascii=False).encode()) <= MOST_BYTES


def test_the_core_is_the_daily_work_and_four_ways_to_the_rest() -> None:
    assert 20 <= len(CORE) <= 28
    assert {operation.name for operation in CORE} >= DAILY
    assert [tool.name for tool in listed(MAIN)] == [*(operation.name for operation in CORE), *DOOR_TOOLS]


@pytest.mark.parametrize("surface", SURFACES, ids=lambda surface: surface.path)
def test_every_listed_tool_is_annotated_in_full_and_described_in_brief(surface: Surface) -> None:
    first = listed(surface)
    for tool in first:
        assert tool.title and tool.description and len(tool.description) <= 1_000, tool.name
        assert tool.annotations is not None and tool.annotations.title == tool.title
        assert None not in tool.annotations.model_dump().values(), tool.name
        Draft202012Validator.check_schema(tool.input_schema)
    describe_tool.cache_clear()
    assert listed(surface) == first, "made anew, it is the same"


def test_the_run_tools_say_what_they_may_do() -> None:
    hints = {tool.name: tool.annotations for tool in listed(MAIN)}
    for effect, name in RUN_TOOLS.items():
        found = hints[name]
        assert found is not None
        assert found.read_only_hint is (effect is Effect.READ)
        assert found.destructive_hint is (effect is Effect.DESTRUCTIVE)


def test_full_lists_every_operation_and_readonly_every_read() -> None:
    assert {tool.name for tool in listed(FULL)} == {operation.name for operation in CATALOGUE}
    reads = {operation.name for operation in CATALOGUE if operation.effect is Effect.READ}
    assert {tool.name for tool in listed(READONLY)} == reads


@pytest.mark.parametrize("operation", CORE, ids=lambda operation: operation.name)
def test_what_an_operation_takes_fits_its_schema_in_brief(operation: Operation) -> None:
    whole = describe_tool(operation).input_schema
    brief = Brief().of(operation.name, whole)
    for row in ROWS[operation.name]:
        Draft202012Validator(whole).validate(row)
        Draft202012Validator(brief).validate(row)
    assert brief.get("required") == whole.get("required")
    assert brief["properties"].keys() == whole["properties"].keys()


def test_in_brief_an_object_is_shown_once_and_named_afterwards() -> None:
    tools = {tool.name: tool for tool in listed(MAIN)}
    created = tools["create_campaign"].input_schema["properties"]
    updated = tools["update_campaign"].input_schema["properties"]
    assert {"subject", "body", "waitDays"} <= created["sequence"]["items"]["properties"].keys()
    assert "trackOpens" in created["settings"]["description"], "too many fields: they are named"
    assert updated["schedule"] == {"type": "object", "description": "As in create_campaign."}
    assert tools["tag_conversation"].input_schema["properties"]["aiTag"]["anyOf"][-1] == {"type": "null"}


def test_in_brief_a_field_is_explained_by_the_first_tool_that_has_it() -> None:
    tools = {tool.name: tool.input_schema["properties"] for tool in listed(MAIN)}
    assert "page before" in tools["list_campaigns"]["cursor"]["description"]
    assert tools["list_leads"]["cursor"] == {"type": "string"}
    assert tools["start_campaign"]["id"] == tools["pause_campaign"]["id"], "a short word is no saving"


def test_a_null_that_is_required_to_be_possible_stays() -> None:
    schema = {"type": "object", "properties": {"tag": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}
    assert Brief().of("a", {**schema, "required": ["tag"]})["properties"]["tag"]["anyOf"][-1] == {"type": "null"}
    assert Brief().of("a", schema)["properties"]["tag"] == {"type": "string"}


@pytest.mark.parametrize("path", ["/mcp/x/leads,inbox", "/mcp/x/inbox,leads/", "/mcp/x/leads, inbox,leads"])
def test_toolsets_are_the_same_in_any_order(path: str) -> None:
    surface = surface_at(path, CATALOGUE)
    assert surface.path == "/mcp/x/leads,inbox"
    assert {operation.toolset for operation in CATALOGUE if surface.calls(operation)} == {"leads", "inbox"}
    assert [tool.name for tool in listed(surface)] == [tool.name for tool in listed(surface)]
    assert surface_named("inbox,leads", CATALOGUE).path == surface.path


@pytest.mark.parametrize("path", ["/mcp/x/leads,moon", "/mcp/x/", "/mcp/x", "/mcp/everything", "/mcp/X/leads"])
def test_an_address_that_means_nothing_says_what_there_is(path: str) -> None:
    with pytest.raises(NotFound) as refused:
        surface_at(path, CATALOGUE)
    assert refused.value.hint is not None
    if path.startswith("/mcp/x"):
        assert all(name in refused.value.hint for name in toolsets(CATALOGUE))


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_on_readonly_nothing_else_can_be_called(mode: Any, installation: Installation) -> None:
    async with connect(installation, READONLY, mode=mode) as client:
        assert not (await client.call_tool("list_tags", {})).is_error
        for operation in CATALOGUE:
            if operation.effect is not Effect.READ:
                for name in (operation.name, *operation.aliases):
                    with pytest.raises(MCPError, match="Unknown tool"):
                        await client.call_tool(name, {})
        for name in DOOR_TOOLS:
            with pytest.raises(MCPError, match="Unknown tool"):
                await client.call_tool(name, {"operation": "create_tag", "arguments": {"name": "Sneaked"}})
        assert "Sneaked" not in text_of(await client.call_tool("list_tags", {}))


async def test_a_toolset_reaches_its_own_operations_resources_and_prompts(installation: Installation) -> None:
    async with connect(installation, surface_at("/mcp/x/tags,inbox", CATALOGUE)) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
        families = [each.uri_template for each in (await client.list_resource_templates()).resource_templates]
        prompts = (await client.list_prompts()).prompts
        with pytest.raises(MCPError, match="Unknown tool"):
            await client.call_tool("list_campaigns", {})
        with pytest.raises(MCPError, match="no resource"):
            await client.read_resource("postrider://analytics/overview")
    assert "create_tag" in tools and "list_campaigns" not in tools
    assert families == ["postrider://inbox/{id}"] and prompts == []


async def test_whatever_is_not_listed_can_be_called_by_name_and_run(installation: Installation) -> None:
    async with connect(installation, MAIN) as client:
        by_name = await client.call_tool("create_tag", {"name": "One"})
        run = await client.call_tool("run_write_operation", {"operation": "create_tag", "arguments": {"name": "Two"}})
        read = await client.call_tool("run_read_operation", {"operation": "list_tags"})
    assert by_name.structured_content is not None and run.structured_content is not None
    assert by_name.structured_content.keys() == run.structured_content.keys()
    assert "One" in text_of(read) and "Two" in text_of(read)


async def test_a_run_tool_of_another_effect_names_the_right_one(installation: Installation) -> None:
    async with connect(installation, MAIN) as client:
        for operation in CATALOGUE:
            for effect, tool in RUN_TOOLS.items():
                if effect is not operation.effect:
                    refused = await client.call_tool(tool, {"operation": operation.name})
                    assert refused.is_error and f"Call {RUN_TOOLS[operation.effect]}" in text_of(refused)
        misspelt = await client.call_tool("run_read_operation", {"operation": "list_tagz"})
        nested = await client.call_tool("run_read_operation", {"operation": "run_read_operation"})
        bare = await client.call_tool("run_read_operation", {})
    assert misspelt.is_error and "Did you mean list_tags" in text_of(misspelt)
    assert nested.is_error and "no operation" in text_of(nested)
    assert bare.is_error and "operation" in text_of(bare)


async def test_a_run_tool_applies_the_targets_schema_and_scope(installation: Installation) -> None:
    reader = replace(installation.actor(), scopes=frozenset({"read"}))
    wanted = {"operation": "create_tag", "arguments": {"name": "Hot", "colour": "#ffffff"}}
    async with connect(installation, MAIN) as client:
        misspelt = await client.call_tool("run_write_operation", wanted)
        wrong_kind = await client.call_tool(
            "run_read_operation", {"operation": "get_lead", "arguments": {"id": "camp_00000000000000000000000000"}}
        )
    async with connect(installation, MAIN, reader) as client:
        refused = await client.call_tool("run_write_operation", wanted)
        allowed = await client.call_tool("run_read_operation", {"operation": "list_tags"})
    assert "did you mean color?" in text_of(misspelt)
    assert "is the id of a campaign" in text_of(wrong_kind)
    assert refused.is_error and "scope" in text_of(refused) and not allowed.is_error


async def test_search_gives_what_a_call_needs_within_the_budget(installation: Installation) -> None:
    async with connect(installation, MAIN) as client:
        (tool,) = [tool for tool in (await client.list_tools()).tools if tool.name == "search_operations"]
        assert tool.output_schema is not None
        for operation in CATALOGUE:
            found = await client.call_tool("search_operations", {"query": operation.name, "limit": 10})
            assert found.structured_content is not None
            Draft202012Validator(tool.output_schema).validate(found.structured_content)
            assert len(found.model_dump_json(by_alias=True).encode()) <= MAX_RESULT_BYTES
            best = found.structured_content["items"][0]
            assert best["name"] == operation.name and best["runWith"] == RUN_TOOLS[operation.effect]
            assert best["inputSchema"] == describe_tool(operation).input_schema
            assert operation.name in text_of(found) and best["runWith"] in text_of(found)


async def test_search_can_be_narrowed_and_says_when_there_is_nothing(installation: Installation) -> None:
    async with connect(installation, MAIN) as client:
        narrowed = await client.call_tool("search_operations", {"query": "list", "toolset": "tags"})
        unknown = await client.call_tool("search_operations", {"query": "list", "toolset": "moon"})
        nothing = await client.call_tool("search_operations", {"query": "xylophone zzz"})
        blank = await client.call_tool("search_operations", {"query": ""})
    assert narrowed.structured_content is not None and nothing.structured_content is not None
    assert {row["toolset"] for row in narrowed.structured_content["items"]} == {"tags"}
    assert unknown.is_error and "mailboxes" in text_of(unknown)
    assert nothing.structured_content["items"] == [] and "other words" in text_of(nothing)
    assert blank.is_error


def test_arguments_are_named_on_one_line() -> None:
    filters = {"type": "object", "properties": {"unread": {"anyOf": [{"type": "boolean"}, {"type": "null"}]}}}
    schema = {
        "type": "object",
        "required": ["id"],
        "properties": {
            "id": {"type": "string"},
            "kind": {"enum": ["a", "b"], "type": "string"},
            "ids": {"type": "array", "items": {"type": "string"}},
            "filters": filters,
        },
    }
    assert argument_words(schema) == "id*: string, kind: a|b, ids: list of string, filters: {unread: boolean}"
