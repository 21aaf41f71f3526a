"""The demo's agent: the MCP client of the SDK over HTTP, nothing else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp_types import TextContent

Facts = dict[str, Any]
"""A tool's structured result: JSON by the field names of the contract."""


class ToolFailed(Exception):
    """A tool answered with an error; the text is what an agent would read."""


class Agent:
    """Calls tools by name and gives back their structured results."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.calls = 0

    async def call(self, tool: str, **arguments: object) -> Facts:
        """The structured result. Raises: ToolFailed."""
        self.calls += 1
        result = await self._client.call_tool(tool, dict(arguments))
        if result.is_error or result.structured_content is None:
            words = " ".join(part.text for part in result.content if isinstance(part, TextContent))
            raise ToolFailed(f"{tool}: {words}")
        facts: Facts = result.structured_content
        return facts

    async def all_items(self, tool: str, **arguments: object) -> list[Facts]:
        """The items of every page."""
        items: list[Facts] = []
        cursor: str | None = None
        while True:
            page = await self.call(tool, limit=100, **arguments, **({"cursor": cursor} if cursor else {}))
            items += page["items"]
            cursor = page["nextCursor"]
            if cursor is None:
                return items

    async def tools(self) -> list[str]:
        """The names that tools/list shows."""
        return [tool.name for tool in (await self._client.list_tools()).tools]


@asynccontextmanager
async def connected_agent(url: str, key: str) -> AsyncIterator[Agent]:
    """An agent signed in with an API key."""
    async with (
        create_mcp_http_client(headers={"X-Api-Key": key}) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        yield Agent(client)
