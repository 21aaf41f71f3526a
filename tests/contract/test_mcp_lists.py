"""The lists of the MCP door: whole on their first page, good for a while, and written where nobody waits for them."""

import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import pytest
from mcp.client import Client
from mcp.client.client import ConnectMode
from mcp.server.caching import CACHEABLE_METHODS
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, PaginatedResult

from postrider.doors.mcp.projection import Projection
from postrider.doors.mcp.server import build_server
from postrider.doors.mcp.surface import FULL, MAIN, Surface
from postrider.kernel.operation import Operation
from postrider.settings import Settings, load_settings
from tests.conftest import Installation
from tests.e2e.mcp_rig import ERAS

LISTS: Final[dict[str, Callable[..., Awaitable[PaginatedResult]]]] = {
    "tools/list": Client.list_tools,
    "resources/list": Client.list_resources,
    "resources/templates/list": Client.list_resource_templates,
    "prompts/list": Client.list_prompts,
}
ASKED: Final[dict[str, Callable[[Client], Awaitable[Any]]]] = {
    **LISTS,
    "resources/read": lambda client: client.read_resource("postrider://workspace"),
    "server/discover": lambda client: client.session.discover(),
}
LONG: Final = (300_000, "private")
FRESH: Final = {**dict.fromkeys(ASKED, LONG), "resources/read": (0, "private")}
"""For how many milliseconds an answer may be kept, and for whom."""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """SQLite only: the lists do not know which database there is."""
    return load_settings({"POSTRIDER_DATA_DIR": str(tmp_path / "data")})


def connect(installation: Installation, surface: Surface = MAIN, mode: Any = "auto") -> Client:
    who = installation.actor()
    return Client(build_server(Projection(installation.app, surface, lambda ctx: who)), mode=mode)


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("cursor", ["", "abc", "eyJwYWdlIjoyfQ=="])
@pytest.mark.parametrize("method", LISTS)
async def test_a_cursor_that_was_never_given_is_refused(
    method: str, cursor: str, era: ConnectMode, installation: Installation
) -> None:
    async with connect(installation, mode=era) as client:
        first = await LISTS[method](client)
        with pytest.raises(MCPError, match="whole") as refused:
            await LISTS[method](client, cursor=cursor)
    assert first.next_cursor is None
    assert refused.value.error.code == INVALID_PARAMS


@pytest.mark.parametrize("method", ASKED)
async def test_an_answer_that_may_be_kept_says_for_how_long_and_for_whom(
    method: str, installation: Installation
) -> None:
    async with connect(installation) as client:
        answer = await ASKED[method](client)
    assert (answer.ttl_ms, answer.cache_scope) == FRESH[method]


def test_every_method_whose_answer_may_be_kept_is_asked() -> None:
    assert set(ASKED) == CACHEABLE_METHODS


async def test_a_long_list_is_not_written_in_the_loop(installation: Installation) -> None:
    wrote: set[int] = set()

    def noticed(operation: Operation) -> bool:
        wrote.add(threading.get_ident())
        return FULL.lists(operation)

    watched = Surface("/mcp/watched", lists=noticed, calls=FULL.calls)
    async with connect(installation, watched) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
    assert names == {operation.name for operation in installation.app.dispatcher.catalogue}
    assert wrote and threading.get_ident() not in wrote
