"""The fixture pack of the conformance suite, put beside what the product answers, in the product's own server."""

from functools import partial
from typing import Any, Final

from mcp.server.lowlevel.server import Server
from mcp.server.request_state import RequestStateBoundary
from mcp.server.subscriptions import ListenHandler
from mcp_types import (
    CallToolRequestParams,
    CompleteRequestParams,
    CompleteResult,
    Completion,
    EmptyResult,
    GetPromptRequestParams,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    PromptReference,
    ReadResourceRequestParams,
    SetLevelRequestParams,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    UnsubscribeRequestParams,
)

from postrider.doors.mcp.server import Handlers, RequestContext, build_server
from tests.clients import fixture_texts
from tests.clients.fixture_tools import BUS, TOOLS

_TOOLS: Final = {tool.name: tool for tool in TOOLS}
_SHARED: Final = (
    "tools/list",
    "tools/call",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "prompts/list",
    "prompts/get",
    "completion/complete",
)


def build_fixture_server(handlers: Handlers, state: RequestStateBoundary) -> Server[Any]:
    """The product's server, with the pack's handlers before its own."""
    server = build_server(handlers, state)
    # The suite has tools that change the lists: here the SDK's own word holds, that they may.
    server.get_capabilities = partial(Server.get_capabilities, server)  # type: ignore[method-assign]
    Pack(server).mount()
    return server


class Pack:
    """Handlers that know the suite's names and leave every other to the product."""

    def __init__(self, server: Server[Any]) -> None:
        self._server = server
        self._product = {method: server.get_request_handler(method) for method in _SHARED}

    def mount(self) -> None:
        """Puts the handlers into the server."""
        add = self._server.add_request_handler
        add("tools/list", PaginatedRequestParams, self.list_tools)
        add("tools/call", CallToolRequestParams, self.call_tool)
        add("resources/list", PaginatedRequestParams, self.list_resources)
        add("resources/templates/list", PaginatedRequestParams, self.list_templates)
        add("resources/read", ReadResourceRequestParams, self.read_resource)
        add("prompts/list", PaginatedRequestParams, self.list_prompts)
        add("prompts/get", GetPromptRequestParams, self.get_prompt)
        add("completion/complete", CompleteRequestParams, self.complete)
        add("resources/subscribe", SubscribeRequestParams, self.accept)
        add("resources/unsubscribe", UnsubscribeRequestParams, self.accept)
        add("logging/setLevel", SetLevelRequestParams, self.accept)
        add("subscriptions/listen", SubscriptionsListenRequestParams, ListenHandler(BUS))

    async def list_tools(self, ctx: RequestContext, params: PaginatedRequestParams) -> Any:
        own = await self._ask_product("tools/list", ctx, params)
        return ListToolsResult(tools=[*own.tools, *(tool.listed for tool in TOOLS)])

    async def call_tool(self, ctx: RequestContext, params: CallToolRequestParams) -> Any:
        tool = _TOOLS.get(params.name)
        return await (tool.run(ctx, params) if tool else self._ask_product("tools/call", ctx, params))

    async def list_resources(self, ctx: RequestContext, params: PaginatedRequestParams) -> Any:
        own = await self._ask_product("resources/list", ctx, params)
        return ListResourcesResult(resources=[*own.resources, *fixture_texts.RESOURCES])

    async def list_templates(self, ctx: RequestContext, params: PaginatedRequestParams) -> Any:
        own = await self._ask_product("resources/templates/list", ctx, params)
        return ListResourceTemplatesResult(resource_templates=[*own.resource_templates, *fixture_texts.TEMPLATES])

    async def read_resource(self, ctx: RequestContext, params: ReadResourceRequestParams) -> Any:
        found = fixture_texts.resource(params.uri)
        return found or await self._ask_product("resources/read", ctx, params)

    async def list_prompts(self, ctx: RequestContext, params: PaginatedRequestParams) -> Any:
        own = await self._ask_product("prompts/list", ctx, params)
        return ListPromptsResult(prompts=[*own.prompts, *fixture_texts.PROMPTS])

    async def get_prompt(self, ctx: RequestContext, params: GetPromptRequestParams) -> Any:
        found = fixture_texts.prompt(params)
        return found or await self._ask_product("prompts/get", ctx, params)

    async def complete(self, ctx: RequestContext, params: CompleteRequestParams) -> Any:
        if isinstance(params.ref, PromptReference) and params.ref.name.startswith("test_"):
            words = [word for word in ("test one", "test two") if word.startswith(params.argument.value)]
            return CompleteResult(completion=Completion(values=words, total=len(words), has_more=False))
        return await self._ask_product("completion/complete", ctx, params)

    async def accept(self, ctx: RequestContext, params: Any) -> EmptyResult:
        return EmptyResult()

    async def _ask_product(self, method: str, ctx: RequestContext, params: Any) -> Any:
        entry = self._product[method]
        assert entry is not None, method
        return await entry.handler(ctx, params)
