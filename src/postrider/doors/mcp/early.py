"""The handlers of a process that is still opening its installation: clients get the list of tools without waiting."""

from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Final

from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    CompleteRequestParams,
    CompleteResult,
    EmptyResult,
    GetPromptRequestParams,
    GetPromptResult,
    InputRequiredResult,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
    UnsubscribeRequestParams,
)

from postrider.doors.mcp.server import Handlers, RequestContext

CORE: Final = "core"
"""The name of the main surface, the only one whose list is part of this program."""


def known_tools() -> ListToolsResult:
    """What ``tools/list`` shows on the main surface, from the snapshot of it that is part of this program.

    To make it from the catalogue takes longer than everything else before the first answer. A test holds the two equal.
    """
    return ListToolsResult.model_validate_json(files(__package__).joinpath("tools.json").read_bytes())


class EarlyHandlers:
    """Knows the tools; everything else waits for the installation to be open. See Handlers."""

    def __init__(
        self, tools: ListToolsResult | None, opened: Callable[[], Awaitable[Handlers]], listed: Callable[[], object]
    ) -> None:
        """``tools``: None where they have to wait as well. ``opened``: the installation's own handlers, once they are
        there. ``listed``: called as the list goes out."""
        self._tools = tools
        self._opened = opened
        self._listed = listed

    async def list_tools(self, ctx: RequestContext, params: PaginatedRequestParams | None) -> ListToolsResult:
        if self._tools is None:
            return await (await self._opened()).list_tools(ctx, params)
        self._listed()
        return self._tools

    async def call_tool(
        self, ctx: RequestContext, params: CallToolRequestParams
    ) -> CallToolResult | InputRequiredResult:
        return await (await self._opened()).call_tool(ctx, params)

    async def list_resources(self, ctx: RequestContext, params: PaginatedRequestParams | None) -> ListResourcesResult:
        return await (await self._opened()).list_resources(ctx, params)

    async def list_families(
        self, ctx: RequestContext, params: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        return await (await self._opened()).list_families(ctx, params)

    async def read_resource(self, ctx: RequestContext, params: ReadResourceRequestParams) -> ReadResourceResult:
        return await (await self._opened()).read_resource(ctx, params)

    async def list_prompts(self, ctx: RequestContext, params: PaginatedRequestParams | None) -> ListPromptsResult:
        return await (await self._opened()).list_prompts(ctx, params)

    async def get_prompt(self, ctx: RequestContext, params: GetPromptRequestParams) -> GetPromptResult:
        return await (await self._opened()).get_prompt(ctx, params)

    async def complete(self, ctx: RequestContext, params: CompleteRequestParams) -> CompleteResult:
        return await (await self._opened()).complete(ctx, params)

    async def subscribe(self, ctx: RequestContext, params: SubscribeRequestParams) -> EmptyResult:
        return await (await self._opened()).subscribe(ctx, params)

    async def unsubscribe(self, ctx: RequestContext, params: UnsubscribeRequestParams) -> EmptyResult:
        return await (await self._opened()).unsubscribe(ctx, params)

    async def listen(self, ctx: RequestContext, params: SubscriptionsListenRequestParams) -> SubscriptionsListenResult:
        return await (await self._opened()).listen(ctx, params)
