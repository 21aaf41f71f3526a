"""What the MCP door promises of the whole catalogue: schemas, annotations, words, resources, budgets."""

import json
from dataclasses import replace
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it ships no types
from mcp.client import Client
from mcp.shared.exceptions import MCPError
from mcp_types import TextResourceContents
from pydantic import Field, RootModel
from starlette.datastructures import Headers

from postrider.app import App
from postrider.catalogue import Catalogue, load_catalogue
from postrider.dispatch import Dispatcher
from postrider.doors.mcp import answers
from postrider.doors.mcp.http import transport_security
from postrider.doors.mcp.projection import Projection
from postrider.doors.mcp.resources import ADDRESSES, served_addresses
from postrider.doors.mcp.schema import input_schema, output_schema
from postrider.doors.mcp.server import INSTRUCTIONS, build_server
from postrider.doors.mcp.surface import FULL, MAIN, SURFACES, listed_operations
from postrider.doors.mcp.text import MAX_TEXT, error_text, result_text
from postrider.doors.mcp.tools import describe_tool
from postrider.doors.mcp.words import MAX_LINE
from postrider.doors.rest.credentials import presented_key
from postrider.kernel.context import Context
from postrider.kernel.errors import Conflict, InvalidInput, NotFound, Unauthenticated
from postrider.kernel.operation import ATTRIBUTE, Effect, Input, Operation, Output, Rest, operation
from tests.conftest import Installation

CATALOGUE = load_catalogue()
EVERY_OPERATION = pytest.mark.parametrize("declared", list(CATALOGUE), ids=lambda declared: declared.name)


@EVERY_OPERATION
def test_every_tool_says_everything_a_client_asks_for(declared: Operation) -> None:
    tool = describe_tool(declared)
    assert tool.description and len(tool.description) <= 1_000
    assert tool.title and tool.annotations is not None and tool.annotations.title == tool.title
    hints = tool.annotations
    assert None not in (hints.read_only_hint, hints.destructive_hint, hints.idempotent_hint, hints.open_world_hint)
    assert not (hints.read_only_hint and hints.destructive_hint)


@EVERY_OPERATION
def test_every_schema_is_a_valid_object_schema(declared: Operation) -> None:
    tool = describe_tool(declared)
    assert tool.output_schema is not None
    for schema in (tool.input_schema, tool.output_schema):
        Draft202012Validator.check_schema(schema)
        assert schema["type"] == "object" and "properties" in schema
        assert not {"anyOf", "oneOf", "allOf"} & schema.keys()
        assert {reference.removeprefix("#/$defs/") for reference in _references(schema)} == schema.get(
            "$defs", {}
        ).keys()
    # Only lead objects take further keys: they become custom fields.
    assert tool.input_schema["additionalProperties"] is (tool.name in ("create_lead", "update_lead"))
    assert tool.output_schema["required"] == list(tool.output_schema["properties"])


def _references(schema: object) -> list[str]:
    if isinstance(schema, list):
        return [reference for part in schema for reference in _references(part)]
    if not isinstance(schema, dict):
        return []
    own = [schema["$ref"]] if isinstance(schema.get("$ref"), str) else []
    return own + [reference for part in schema.values() for reference in _references(part)]


@pytest.mark.parametrize("surface", SURFACES, ids=lambda surface: surface.path)
def test_tools_are_listed_once_core_first_in_a_fixed_order(surface: Any) -> None:
    listed = listed_operations(surface, CATALOGUE)
    assert len({declared.name for declared in listed}) == len(listed)
    assert [declared.core for declared in listed] == sorted((declared.core for declared in listed), reverse=True)
    assert listed == listed_operations(surface, load_catalogue())


def test_the_main_surface_reaches_every_operation_by_name() -> None:
    assert all(MAIN.calls(declared) for declared in CATALOGUE)


def test_every_resource_fills_in_what_its_operation_needs() -> None:
    for address in served_addresses(FULL, CATALOGUE):
        declared = CATALOGUE.find(address.operation)
        assert declared is not None and declared.effect is Effect.READ
        concrete = address.template.split("{?")[0].replace("{id}", "camp_1")
        arguments = address.arguments(concrete, "ws_1")
        schema = input_schema(declared.input)
        assert arguments is not None and arguments.keys() <= schema["properties"].keys(), address.template
        assert set(schema.get("required", [])) <= arguments.keys(), address.template


def test_resource_names_and_addresses_are_unique() -> None:
    assert len({address.name for address in ADDRESSES}) == len({address.template for address in ADDRESSES})


@pytest.mark.parametrize(
    ("uri", "operation_name", "arguments"),
    [
        ("postrider://workspace", "get_workspace", {"id": "ws_1"}),
        ("postrider://campaigns/camp_1", "get_campaign", {"id": "camp_1"}),
        ("postrider://campaigns/camp_1/analytics", "get_campaign_analytics", {"id": "camp_1"}),
        ("postrider://analytics/campaigns/camp_1", "get_campaign_performance", {"id": "camp_1"}),
        ("postrider://analytics/daily", "get_daily_analytics", {}),
        ("postrider://analytics/daily?from=2026-01-01", "get_daily_analytics", {"from": "2026-01-01"}),
        ("postrider://inbox", "list_conversations", {}),
        ("postrider://inbox/a%2Fb", "get_conversation", {"id": "a/b"}),
        ("postrider://campaigns/camp_1?workspaceId=ws_2", None, None),
        ("postrider://campaigns/camp_1/leads", None, None),
        ("postrider://workspace/ws_2", None, None),
        ("file:///etc/passwd", None, None),
    ],
)
def test_an_address_means_one_operation_or_none(
    uri: str, operation_name: str | None, arguments: dict[str, str] | None
) -> None:
    found = [(a.operation, filled) for a in ADDRESSES if (filled := a.arguments(uri, "ws_1")) is not None]
    assert found == ([(operation_name, arguments)] if operation_name else [])


class Colour(StrEnum):
    """Two colours."""

    RED = "red"
    BLUE = "blue"


class Branch(Output):
    """Contains itself."""

    title: str
    branches: list["Branch"]


class Everything(Output):
    """Every shape that an output has."""

    colour: Colour | None
    kind: Literal["a"] | None
    branch: Branch | None
    twice: list[Colour]
    numbers: dict[str, int]
    size_bytes: int = 3


def test_output_schemas_hold_for_nulls_enums_and_what_contains_itself() -> None:
    schema = output_schema(Everything)
    empty = Everything(colour=None, kind=None, branch=None, twice=[], numbers={})
    leaf = Branch(title="leaf", branches=[])
    full = Everything(
        colour=Colour.RED,
        kind="a",
        branch=Branch(title="root", branches=[leaf]),
        twice=[Colour.BLUE],
        numbers={"title": 1},
    )
    validator = Draft202012Validator(schema)
    for output in (empty, full):
        validator.validate(answers.structured(output))
    assert "sizeBytes" in schema["required"], "a field with a default is sent as well"
    assert not validator.is_valid({**answers.structured(empty), "colour": "green"})
    assert schema["$defs"].keys() == {"Branch", "Colour"}, "what contains itself, and what occurs twice"
    Draft202012Validator(output_schema(Branch)).validate(answers.structured(leaf))


class Part(Input):
    """Part of an input."""

    name: str


class Choice(Input):
    """Nested objects and an optional field called like a keyword of JSON Schema."""

    title: Annotated[str | None, Field(max_length=5)] = None
    first: Part
    second: Part


def test_a_field_called_title_is_kept_where_generated_titles_are_dropped() -> None:
    schema = input_schema(Choice)
    assert schema["properties"]["title"] == {"anyOf": [{"maxLength": 5, "type": "string"}, {"type": "null"}]}
    assert "description" not in schema and schema["required"] == ["first", "second"]
    part = {
        "type": "object",
        "description": "Part of an input.",
        "properties": {"name": {"type": "string"}},
        "required": ["name"],
        "additionalProperties": False,
    }
    assert schema["properties"]["first"] == schema["properties"]["second"] == part
    assert not _references(schema), "inputs have no references"


def test_what_is_not_an_object_cannot_become_a_tool() -> None:
    with pytest.raises(TypeError, match="objects"):
        output_schema(RootModel[list[int]])


def test_the_text_names_what_matters_and_leaves_out_what_is_empty() -> None:
    text = result_text({"createdAt": "2026", "note": None, "tags": [], "name": "Spring", "id": "camp_1", "sent": 0})
    assert text.splitlines() == ["id: camp_1", "name: Spring", "createdAt: 2026", "sent: 0"]


def test_a_list_is_one_line_a_row_and_says_how_to_get_more() -> None:
    page = {"items": [{"id": "lead_1", "email": "a@b.test", "tags": ["x"]}], "total": 9, "nextCursor": "abc"}
    assert result_text(page).splitlines() == [
        "1 of 9.",
        'More: call again with the same filters and cursor="abc"',
        "- lead_1 · email: a@b.test · tags: x",
    ]
    assert result_text({"items": [], "total": 0}) == "Nothing found."


def test_a_name_cannot_forge_a_line_or_turn_the_text_around() -> None:
    text = result_text({"items": [{"id": "lead_1", "name": "Ann\r\n- lead_2 · \u202eevil\u200b\x1b[2J"}]})
    assert len(text.splitlines()) == 2
    assert not any(hidden in text for hidden in "\u202e\u200b\x1b")


def test_the_text_stays_short_however_much_there_is() -> None:
    rows = [{"id": f"lead_{number}", "name": "n" * 500, "note": "x" * 5_000} for number in range(500)]
    text = result_text({"items": rows, "total": 500})
    assert len(text) <= MAX_TEXT + MAX_LINE and "more lines" in text
    assert max(map(len, text.splitlines())) <= MAX_LINE


class Letter(Output):
    """A long one."""

    body: str


class Thread(Output):
    """Long ones, and something that must stay whole."""

    token: str
    messages: list[Letter]


def test_long_texts_are_cut_to_the_budget_and_tokens_never() -> None:
    output = Thread(token="t" * 3_000, messages=[Letter(body="word " * 4_000) for _ in range(10)])
    sent = answers.result(answers.draft(output))
    assert len(sent.model_dump_json(by_alias=True).encode()) <= answers.MAX_RESULT_BYTES
    assert sent.structured_content is not None and sent.structured_content["token"] == output.token
    assert "more characters]" in sent.structured_content["messages"][0]["body"]


def test_an_error_carries_message_facts_and_next_step() -> None:
    error = Conflict("The campaign is active.", hint="Call pause_campaign.", details={"status": "active"})
    assert error_text(error).splitlines() == [
        "CONFLICT: The campaign is active.",
        "status: active",
        "Next: Call pause_campaign.",
    ]
    sent = answers.error(error)
    assert sent.is_error and sent.structured_content is None
    assert sent.meta == {
        "postrider/error": {
            "code": "CONFLICT",
            "message": "The campaign is active.",
            "hint": "Call pause_campaign.",
            "details": {"status": "active"},
        }
    }


def test_one_key_may_be_presented_twice_and_two_keys_never() -> None:
    assert presented_key(Headers({"x-api-key": " sk_1 "})) == "sk_1"
    assert presented_key(Headers({"authorization": "BEARER sk_1", "x-api-key": "sk_1"})) == "sk_1"
    assert presented_key(Headers({"authorization": "Basic sk_1"})) is None
    with pytest.raises(Unauthenticated):
        presented_key(Headers(raw=[(b"x-api-key", b"sk_1"), (b"x-api-key", b"sk_2")]))


@pytest.mark.parametrize(
    ("public_url", "port", "hosts"),
    [
        (None, 8000, {"127.0.0.1:8000", "localhost:8000", "[::1]:8000"}),
        ("https://Post.test", 8000, {"post.test", "post.test:443"}),
        ("https://post.test:443", 8000, {"post.test", "post.test:443"}),
        ("http://post.test:8080/path", 8000, {"post.test:8080"}),
        (None, 80, {"127.0.0.1", "localhost", "[::1]", "127.0.0.1:80"}),
        (None, None, {"127.0.0.1:*", "localhost"}),
    ],
)
def test_only_our_own_names_are_answered(public_url: str | None, port: int | None, hosts: set[str]) -> None:
    security = transport_security(public_url, port)
    assert security.enable_dns_rebinding_protection
    assert hosts <= set(security.allowed_hosts)
    assert len(security.allowed_hosts) == len(security.allowed_origins)
    assert "*" not in security.allowed_hosts


def test_the_instructions_are_short() -> None:
    assert len(INSTRUCTIONS) <= 1_000


class ById(Input):
    """Takes an id."""

    id: str


class Seen(Output):
    """What the operation was given."""

    id: str
    workspace: str
    note: str | None


@operation(title="Get a campaign", effect=Effect.READ, rest=Rest("GET", "/v1/campaigns/{id}"))
def get_campaign(ctx: Context, request: ById) -> Seen:
    """Get one campaign."""
    if request.id == "camp_absent":
        raise NotFound("Campaign not found.", hint="See list_campaigns.")
    if request.id == "camp_broken":
        raise ZeroDivisionError("secret detail")
    return Seen(id=request.id, workspace=ctx.workspace_id, note=None)


@operation(title="Get a workspace", effect=Effect.READ, rest=Rest("GET", "/v1/workspaces/{id}"))
def get_workspace(ctx: Context, request: ById) -> Seen:
    """Get one workspace."""
    return Seen(id=request.id, workspace=ctx.workspace_id, note=None)


@pytest.fixture
def two_operations(installation: Installation) -> App:
    app = installation.app
    catalogue = Catalogue([getattr(function, ATTRIBUTE) for function in (get_campaign, get_workspace)])
    dispatcher = Dispatcher(catalogue, app.database, app.settings, app.vault, app.clock, app.signals, app.ports)
    return replace(app, dispatcher=dispatcher)


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_resources_are_read_with_the_callers_authority(
    mode: Any, two_operations: App, installation: Installation
) -> None:
    actor = installation.actor()
    async with Client(build_server(Projection(two_operations, MAIN, lambda ctx: actor)), mode=mode) as client:
        resources = (await client.list_resources()).resources
        listed = [resource.uri for resource in resources if resource.uri.startswith("postrider:")]
        families = [each.uri_template for each in (await client.list_resource_templates()).resource_templates]
        (workspace,) = (await client.read_resource("postrider://workspace")).contents
        (campaign,) = (await client.read_resource("postrider://campaigns/camp_1")).contents
    assert (listed, families) == (["postrider://workspace"], ["postrider://campaigns/{id}"])
    assert isinstance(workspace, TextResourceContents) and isinstance(campaign, TextResourceContents)
    assert json.loads(workspace.text)["id"] == actor.workspace_id
    assert json.loads(campaign.text) == {"id": "camp_1", "workspace": actor.workspace_id, "note": None}
    assert campaign.mime_type == "application/json"


async def test_a_resource_that_cannot_be_read_says_why(two_operations: App, installation: Installation) -> None:
    async with Client(build_server(Projection(two_operations, MAIN, lambda ctx: installation.actor()))) as client:
        with pytest.raises(MCPError, match="Campaign not found") as absent:
            await client.read_resource("postrider://campaigns/camp_absent")
        with pytest.raises(MCPError, match="Incident") as broken:
            await client.read_resource("postrider://campaigns/camp_broken")
        with pytest.raises(MCPError, match="postrider://campaigns"):
            await client.read_resource("postrider://nothing")
    assert absent.value.error.data["hint"] == "See list_campaigns."
    assert "secret detail" not in str(broken.value.error)


async def test_structured_results_carry_every_declared_field(two_operations: App, installation: Installation) -> None:
    async with Client(build_server(Projection(two_operations, MAIN, lambda ctx: installation.actor()))) as client:
        result = await client.call_tool("get_campaign", {"id": "camp_1"})
        refused = await client.call_tool("get_campaign", {"identifier": "camp_1"})
    assert result.structured_content == {"id": "camp_1", "workspace": installation.ann.workspace_id, "note": None}
    assert refused.is_error and InvalidInput.code in str(refused.content)
