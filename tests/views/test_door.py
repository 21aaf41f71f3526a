"""The views through the MCP door, over HTTP, in both eras."""

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from mcp.client.client import ConnectMode
from mcp_types import TextResourceContents

from postrider.doors.mcp.views.registry import EXTENSION, MIME_TYPE, SCHEME, VIEWS, document
from postrider.settings import Settings, load_settings
from tests.conftest import Installation
from tests.e2e.mcp_rig import ERAS, Served, served

BOTH_ERAS = pytest.mark.parametrize("era", ERAS)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The door is the same on every database: here on SQLite."""
    return load_settings({"POSTRIDER_DATA_DIR": str(tmp_path)})


@pytest.fixture
async def server(installation: Installation) -> AsyncIterator[Served]:
    with anyio.fail_after(60):
        async with served(installation.app) as running:
            yield running


@BOTH_ERAS
async def test_a_client_finds_the_view_of_a_tool_and_reads_it(
    era: ConnectMode, server: Served, installation: Installation
) -> None:
    async with server.client(installation.ann.workspace_key.reveal(), era) as client:
        tools = (await client.list_tools()).tools
        listed = {resource.uri: resource for resource in (await client.list_resources()).resources}
        uris = {(tool.meta or {}).get("ui", {}).get("resourceUri") for tool in tools} - {None}
        read = {uri: (await client.read_resource(uri)).contents for uri in uris}
    assert uris == {view.uri for view in VIEWS}
    for view in VIEWS:
        [content] = read[view.uri]
        assert isinstance(content, TextResourceContents)
        assert (content.text, content.mime_type) == (document(view), MIME_TYPE)
        assert (listed[view.uri].title, listed[view.uri].mime_type) == (view.title, MIME_TYPE)
        assert content.meta == listed[view.uri].meta


async def test_the_server_says_that_it_has_views(server: Served, installation: Installation) -> None:
    """To clients that ask; the older revision has no place to say it."""
    async with server.client(installation.ann.workspace_key.reveal(), "auto") as client:
        extensions = client.server_capabilities.extensions
    assert extensions is not None and EXTENSION in extensions


@BOTH_ERAS
async def test_only_tools_with_a_view_say_so_and_all_give_text_beside_it(
    era: ConnectMode, server: Served, installation: Installation
) -> None:
    async with server.client(installation.ann.workspace_key.reveal(), era) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        made = await client.call_tool("create_campaign", {"name": "Spring"})
        assert made.structured_content is not None
        plan = await client.call_tool("plan_campaign", {"id": made.structured_content["id"]})
    drawn = {operation for view in VIEWS for operation in view.operations}
    assert {name for name, tool in tools.items() if tool.meta and "ui" in tool.meta} == drawn
    assert plan.content and plan.structured_content


@BOTH_ERAS
async def test_a_view_that_does_not_exist_is_not_found(
    era: ConnectMode, server: Served, installation: Installation
) -> None:
    async with server.client(installation.ann.workspace_key.reveal(), era) as client:
        with pytest.raises(Exception, match="There is no resource"):
            await client.read_resource(f"{SCHEME}postrider/nothing")
