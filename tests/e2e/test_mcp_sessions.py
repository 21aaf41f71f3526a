"""How many sessions of 2025-11-25 stay open, and whose ends: on the SDK's own transport, and at the whole door."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
from mcp.server.lowlevel.server import Server
from mcp.server.streamable_http_manager import DEFAULT_SESSION_IDLE_TIMEOUT, StreamableHTTPSessionManager
from starlette.types import Receive, Scope, Send

from postrider.doors.mcp.credentials import with_actor
from postrider.doors.mcp.sessions import MOST_OF_ONE_CREDENTIAL, BoundedSessions
from postrider.kernel.context import Actor
from tests.conftest import Installation
from tests.e2e.mcp_rig import served

HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
HEADERS = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}


class Visitor:
    """Raw requests of one caller. ``headers``: say who it is."""

    def __init__(self, http: httpx.AsyncClient, url: str, **headers: str) -> None:
        self._http = http
        self._url = url
        self._headers = HEADERS | {name.replace("_", "-"): value for name, value in headers.items()}

    async def open(self) -> str:
        """A session that is never closed."""
        message = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HELLO}
        answer = await self._http.post(self._url, headers=self._headers, json=message)
        assert answer.status_code == 200, answer.text
        session: str = answer.headers["mcp-session-id"]
        return session

    def _in(self, session: str) -> dict[str, str]:
        return self._headers | {"Mcp-Session-Id": session}

    async def lives(self, session: str) -> bool:
        """Whether it answers; this uses it."""
        message = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
        answer = await self._http.post(self._url, headers=self._in(session), json=message)
        assert answer.status_code in (200, 404), answer.text
        return answer.status_code == 200

    async def close(self, session: str) -> int:
        return (await self._http.delete(self._url, headers=self._in(session))).status_code

    async def listen(self, session: str) -> None:
        """Until the stream ends."""
        await self._http.get(self._url, headers=self._in(session))


class Clock:
    """Shows what it is set to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def actor(name: str) -> Actor:
    """``key.workspace``."""
    key, _, workspace = name.partition(".")
    return Actor("workspace_key", key, "user", workspace, frozenset({"read"}), "confirm", "mcp")


class Hall:
    """The SDK's transport behind a small bound; whoever says a name is let in."""

    def __init__(self, of_one: int, in_all: int) -> None:
        self.manager = StreamableHTTPSessionManager(Server[Any]("test"))
        self.clock = Clock()
        self.sessions = BoundedSessions(self.manager.handle_request, of_one, in_all, self.clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = dict(scope["headers"])[b"x-name"].decode()
        await self.sessions(with_actor(scope, actor(name)), receive, send)


@asynccontextmanager
async def hall_for(of_one: int, in_all: int, *names: str) -> AsyncIterator[tuple[Hall, list[Visitor]]]:
    hall = Hall(of_one, in_all)
    with anyio.fail_after(30):
        async with hall.manager.run(), httpx.AsyncClient(transport=httpx.ASGITransport(hall)) as http:
            yield hall, [Visitor(http, "http://127.0.0.1/mcp", X_Name=name) for name in names]


async def test_one_key_that_never_closes_keeps_its_latest_and_locks_nobody_out(installation: Installation) -> None:
    ann, bob = (owner.workspace_key.reveal() for owner in (installation.ann, installation.bob))
    async with served(installation.app) as server, httpx.AsyncClient() as http:
        flooding, other = Visitor(http, server.url, X_Api_Key=ann), Visitor(http, server.url, X_Api_Key=bob)
        kept = await other.open()
        opened = [await flooding.open() for _ in range(MOST_OF_ONE_CREDENTIAL + 3)]
        assert [await flooding.lives(session) for session in opened] == [False] * 3 + [True] * MOST_OF_ONE_CREDENTIAL
        assert await other.lives(kept) and await other.lives(await other.open())


async def test_the_longest_unused_one_ends() -> None:
    async with hall_for(2, 100, "key.one") as (_, (ann,)):
        first, second = await ann.open(), await ann.open()
        assert await ann.lives(first)
        third = await ann.open()
        assert [await ann.lives(each) for each in (first, second, third)] == [True, False, True]


async def test_many_at_once_stay_within_the_bound() -> None:
    async with hall_for(3, 100, "key.one") as (_, (ann,)):
        opened: list[str] = []

        async def open_one() -> None:
            opened.append(await ann.open())

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(open_one)
        assert sum([await ann.lives(each) for each in opened]) == 3


async def test_one_with_a_stream_outlives_idle_ones_and_ends_when_all_have_one() -> None:
    async with hall_for(2, 100, "key.one") as (_, (ann,)), anyio.create_task_group() as tasks:
        first, second = await ann.open(), await ann.open()
        tasks.start_soon(ann.listen, first)
        await anyio.wait_all_tasks_blocked()
        third = await ann.open()
        assert [await ann.lives(each) for each in (second, first, third)] == [False, True, True]
        tasks.start_soon(ann.listen, third)
        await anyio.wait_all_tasks_blocked()
        fourth = await ann.open()
        assert sum([await ann.lives(each) for each in (first, third)]) == 1
        assert await ann.lives(fourth)
        for each in (first, third):
            await ann.close(each)


async def test_in_all_the_workspace_with_most_gives_way_whatever_its_keys() -> None:
    async with hall_for(2, 4, "key1.one", "key2.one", "key3.two", "key4.three") as (_, (first, second, two, three)):
        of_two = await two.open()
        of_one = [await key.open() for key in (first, second, first)]
        of_three = await three.open()
        assert not await first.lives(of_one[0])
        assert await two.lives(of_two) and await three.lives(of_three)
        assert await second.lives(of_one[1]) and await first.lives(of_one[2])


async def test_a_closed_one_takes_no_room() -> None:
    async with hall_for(2, 100, "key.one") as (_, (ann,)):
        first, second = await ann.open(), await ann.open()
        assert await ann.close(second) == 200
        third = await ann.open()
        assert await ann.lives(first) and await ann.lives(third)


async def test_one_that_the_transport_has_let_expire_takes_no_room() -> None:
    async with hall_for(2, 3, "key1.one", "key2.two", "key3.three") as (hall, (ann, bob, cid)):
        await ann.open()
        await bob.open()
        hall.clock.seconds += DEFAULT_SESSION_IDLE_TIMEOUT
        opened = [await cid.open() for _ in range(2)]
        assert [await cid.lives(each) for each in opened] == [True, True]


async def test_somebody_else_neither_uses_nor_ends_it() -> None:
    async with hall_for(1, 100, "key1.one", "key2.two") as (_, (ann, bob)):
        session = await ann.open()
        assert await bob.close(session) == 404 and not await bob.lives(session)
        assert await ann.lives(session)
        after = await ann.open()
        assert [await ann.lives(each) for each in (session, after)] == [False, True], "it still counted"
