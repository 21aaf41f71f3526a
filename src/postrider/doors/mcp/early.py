"""The handlers of a process that is still opening its installation: clients get the list of tools without waiting."""

from collections.abc import Awaitable, Callable
from importlib.resources import files

from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
)

from postrider.doors.mcp.server import Handlers, RequestContext


def known_tools() -> ListToolsResult:
    """What ``tools/list`` shows on the main surface, from the snapshot of it that is part of this program.

    To make it from the catalogue takes longer than everything else before the first answer. A test holds the two equal.
    """
    return ListToolsResult.model_validate_json(files(__package__).joinpath("tools.json").read_bytes())


class EarlyHandlers:
    """Knows the tools; everything else waits for the installation to be open. See Handlers."""

    def __init__(
        self, tools: ListToolsResult, opened: Callable[[], Awaitable[Handlers]], listed: Callable[[], object]
    ) -> None:
        """``opened``: the installation's own handlers, once they are there. ``listed``: called as the list goes out."""
        self.tools = tools
        self._opened = opened
        self._listed = listed

    async def list_tools(self, ctx: RequestContext, params: PaginatedRequestParams | None) -> ListToolsResult:
        self._listed()
        return self.tools

    async def call_tool(self, ctx: RequestContext, params: CallToolRequestParams) -> CallToolResult:
        return await (await self._opened()).call_tool(ctx, params)

    async def list_resources(self, ctx: RequestContext, params: PaginatedRequestParams | None) -> ListResourcesResult:
        return await (await self._opened()).list_resources(ctx, params)

    async def list_families(
        self, ctx: RequestContext, params: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        return await (await self._opened()).list_families(ctx, params)

    async def read_resource(self, ctx: RequestContext, params: ReadResourceRequestParams) -> ReadResourceResult:
        return await (await self._opened()).read_resource(ctx, params)
