"""The tools that the conformance suite asks for by name, and what each of them does."""

import warnings
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import anyio
from mcp.server.subscriptions import InMemorySubscriptionBus, PromptsListChanged, ToolsListChanged
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError
from mcp.shared.message import ServerMessageMetadata
from mcp_types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    AudioContent,
    CallToolRequestParams,
    CallToolResult,
    ClientCapabilities,
    ContentBlock,
    CreateMessageResult,
    ElicitResult,
    EmbeddedResource,
    ImageContent,
    InputRequiredResult,
    LoggingLevel,
    SamplingCapability,
    TextContent,
    TextResourceContents,
    Tool,
)

from postrider.doors.mcp.server import RequestContext
from tests.clients import fixture_rounds
from tests.clients.fixture_questions import DEFAULTS_SCHEMA, ENUMS_SCHEMA, PERSON_SCHEMA, form, sampling

PNG: Final = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
"""One red pixel."""

WAV: Final = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA="
"""No sound at all, in a valid file."""

BUS: Final = InMemorySubscriptionBus()
"""What the listening streams of the fixture server hear."""

_STEP_SECONDS: Final = 0.05

ToolResult = CallToolResult | InputRequiredResult
Run = Callable[[RequestContext, CallToolRequestParams], Awaitable[ToolResult]]


@dataclass(frozen=True)
class FixtureTool:
    """One tool. ``arguments``: the names of its required text arguments."""

    name: str
    run: Run
    arguments: tuple[str, ...] = ()

    @property
    def listed(self) -> Tool:
        """The entry of ``tools/list``."""
        properties = {name: {"type": "string", "description": "A text."} for name in self.arguments}
        schema: dict[str, Any] = {"type": "object", "properties": properties, "required": list(self.arguments)}
        return Tool(name=self.name, description=f"The suite's {self.name}.", input_schema=schema)


def said(text: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=text)])


def giving(*content: ContentBlock) -> Run:
    """A tool that always answers ``content``."""

    async def run(ctx: RequestContext, params: CallToolRequestParams) -> ToolResult:
        return CallToolResult(content=list(content))

    return run


async def fail(ctx: RequestContext, params: CallToolRequestParams) -> ToolResult:
    text = "This tool intentionally returns an error for testing"
    return CallToolResult(content=[TextContent(text=text)], is_error=True)


async def _log(ctx: RequestContext, level: LoggingLevel, text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MCPDeprecationWarning)
        sending = ctx.session.send_log_message(level, text, related_request_id=ctx.request_id)
    await sending


async def log(ctx: RequestContext, params: CallToolRequestParams) -> ToolResult:
    for text in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await _log(ctx, "info", text)
        await anyio.sleep(_STEP_SECONDS)
    return said("Logged three messages.")


async def progress(ctx: RequestContext, params: CallToolRequestParams) -> ToolResult:
    for done in (0, 50, 100):
        await ctx.session.report_progress(done, 100)
        await anyio.sleep(_STEP_SECONDS)
    return said("Reported three steps.")


async def sample(ctx: RequestContext, params: CallToolRequestParams) -> ToolResult:
    """Asks the client's model, as servers did before 2026-07-28: by a request of their own."""
    asked = sampling((params.arguments or {})["prompt"], 100)
    answer = await _ask(ctx, asked, CreateMessageResult)
    text = answer.content.text if isinstance(answer.content, TextContent) else ""
    return said(f"LLM response: {text}")


def eliciting(schema: dict[str, Any], intro: str, between: str) -> Run:
    """A tool that asks the person a form, as servers did before 2026-07-28."""

    async def run(ctx: RequestContext, params: CallToolRequestParams) -> ToolResult:
        message = (params.arguments or {}).get("message", "Please fill in the form.")
        answer = await _ask(ctx, form(message, schema), ElicitResult)
        return said(f"{intro}: {between}{answer.action}, content={answer.model_dump_json(include={'content'})}")

    return run


async def _ask(ctx: RequestContext, request: Any, answer: type[Any]) -> Any:
    """The client's answer, on the stream of the request at hand."""
    metadata = ServerMessageMetadata(related_request_id=ctx.request_id)
    return await ctx.session.send_request(request, answer, metadata=metadata)


async def need_sampling(ctx: RequestContext, params: CallToolRequestParams) -> ToolResult:
    """Refuses a client that has not said that it can sample."""
    needed = ClientCapabilities(sampling=SamplingCapability())
    if not ctx.session.check_client_capability(needed):
        data: dict[str, Any] = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, "This tool needs a client that can sample.", data)
    return said("The client can sample.")


async def stream(ctx: RequestContext, params: CallToolRequestParams) -> ToolResult:
    """Asks by its result, with notifications before it and no request of its own."""
    await ctx.session.report_progress(1, 2)
    return InputRequiredResult(input_requests={"confirm": form("Go on?", PERSON_SCHEMA)})


async def change_tools(ctx: RequestContext, params: CallToolRequestParams) -> ToolResult:
    await BUS.publish(ToolsListChanged())
    return said("Told who listens.")


async def change_prompts(ctx: RequestContext, params: CallToolRequestParams) -> ToolResult:
    await BUS.publish(PromptsListChanged())
    return said("Told who listens.")


def _resource(uri: str, mime_type: str, text: str) -> EmbeddedResource:
    return EmbeddedResource(resource=TextResourceContents(uri=uri, mime_type=mime_type, text=text))


_IMAGE: Final = ImageContent(data=PNG, mime_type="image/png")
_EMBEDDED: Final = _resource("test://embedded-resource", "text/plain", "This is an embedded resource content.")
_MIXED: Final = _resource("test://mixed-content-resource", "application/json", '{"test":"data","value":123}')

TOOLS: Final = (
    FixtureTool("test_simple_text", giving(TextContent(text="This is a simple text response for testing."))),
    FixtureTool("test_image_content", giving(_IMAGE)),
    FixtureTool("test_audio_content", giving(AudioContent(data=WAV, mime_type="audio/wav"))),
    FixtureTool("test_embedded_resource", giving(_EMBEDDED)),
    FixtureTool(
        "test_multiple_content_types", giving(TextContent(text="Multiple content types test:"), _IMAGE, _MIXED)
    ),
    FixtureTool("test_error_handling", fail),
    FixtureTool("test_tool_with_logging", log),
    FixtureTool("test_logging_tool", log),
    FixtureTool("test_tool_with_progress", progress),
    FixtureTool("test_sampling", sample, ("prompt",)),
    FixtureTool("test_elicitation", eliciting(PERSON_SCHEMA, "User response", "action="), ("message",)),
    FixtureTool("test_elicitation_sep1034_defaults", eliciting(DEFAULTS_SCHEMA, "Elicitation completed", "action=")),
    FixtureTool("test_elicitation_sep1330_enums", eliciting(ENUMS_SCHEMA, "Elicitation completed", "action=")),
    FixtureTool("test_missing_capability", need_sampling),
    FixtureTool("test_streaming_elicitation", stream),
    FixtureTool("test_trigger_tool_change", change_tools),
    FixtureTool("test_trigger_prompt_change", change_prompts),
    *(FixtureTool(name, run) for name, run in fixture_rounds.TOOLS.items()),
)
"""All of them."""
