"""Tells subscribers that an address has new content: in sessions of 2025-11-25, and on streams of 2026-07-28.

Engine and server may be different processes, so the database is asked: once a second, for all subscribers together,
and only while there are any.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import structlog
from mcp.server.subscriptions import ListenHandler, ResourceUpdated, ServerEvent
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, SubscriptionFilter, SubscriptionsListenRequestParams, SubscriptionsListenResult
from sqlalchemy.orm import Session

from postrider.analytics.pulses import Pulse, Topic, pulses
from postrider.doors.mcp.server import RequestContext
from postrider.storage.database import Database

MOST_OF_ONE_CLIENT: Final = 50
"""Addresses that one session or one stream may watch."""

MOST_OF_ONE_WORKSPACE: Final = 1_000
_LOOK_SECONDS: Final = 1.0
_TELL_SECONDS: Final = 2.0

_log: Final = structlog.get_logger("postrider.mcp")
Tell = Callable[[], Awaitable[None]]


@dataclass(frozen=True, eq=False, slots=True)
class Watched:
    """One address that somebody is told about."""

    workspace_id: str
    topic: Topic
    uri: str
    tell: Tell


class Watch:
    """Looks for changes on behalf of all subscribers of this process."""

    def __init__(self, database: Database, look_seconds: float = _LOOK_SECONDS) -> None:
        self._database = database
        self._look_seconds = look_seconds
        self._watched: set[Watched] = set()
        self._seen: dict[tuple[str, Topic], Pulse] = {}
        self._loop: asyncio.Task[None] | None = None

    @property
    def count(self) -> int:
        """How many addresses are watched."""
        return len(self._watched)

    async def add(self, wanted: Iterable[Watched]) -> None:
        """Watches from the present state on. Raises: MCPError when a workspace has too many."""
        new = list(wanted)
        for workspace_id in {each.workspace_id for each in new}:
            if sum(each.workspace_id == workspace_id for each in [*self._watched, *new]) > MOST_OF_ONE_WORKSPACE:
                raise MCPError(INVALID_PARAMS, f"A workspace may have {MOST_OF_ONE_WORKSPACE} subscriptions at once.")
        # Watched before the first look: a change between the two is told once too often rather than never.
        self._watched.update(new)
        try:
            unseen = {(each.workspace_id, each.topic) for each in new} - self._seen.keys()
            for key, pulse in (await self._look(unseen)).items():
                self._seen.setdefault(key, pulse)
        except BaseException:
            self.remove(new)
            raise
        if self._loop is None or self._loop.done():
            self._loop = asyncio.create_task(self._keep_looking())

    def remove(self, gone: Iterable[Watched]) -> None:
        """Watches no longer; what nobody watches is forgotten."""
        self._watched.difference_update(gone)
        left = {(each.workspace_id, each.topic) for each in self._watched}
        self._seen = {key: pulse for key, pulse in self._seen.items() if key in left}

    async def _keep_looking(self) -> None:
        while self._watched:
            await asyncio.sleep(self._look_seconds)
            try:
                await self._tell_changes()
            except Exception:
                # The database may be away for a while; the next look finds what has changed meanwhile.
                _log.warning("subscriptions_not_looked_at", exc_info=True)

    async def _tell_changes(self) -> None:
        now = await self._look({(each.workspace_id, each.topic) for each in self._watched})
        changed = {key for key, pulse in now.items() if self._seen.get(key, pulse) != pulse}
        self._seen.update(now)
        await asyncio.gather(*(_told(each) for each in self._watched if (each.workspace_id, each.topic) in changed))

    async def _look(self, keys: Iterable[tuple[str, Topic]]) -> dict[tuple[str, Topic], Pulse]:
        by_workspace: dict[str, set[Topic]] = defaultdict(set)
        for workspace_id, topic in keys:
            by_workspace[workspace_id].add(topic)
        if not by_workspace:
            return {}

        def read(session: Session) -> dict[tuple[str, Topic], Pulse]:
            return {
                (workspace_id, topic): pulse
                for workspace_id, topics in by_workspace.items()
                for topic, pulse in pulses(session, workspace_id, topics).items()
            }

        return await self._database.read(read)


async def _told(watched: Watched) -> None:
    """Whoever cannot be told, or does not take it, has gone or soon will: the end of its session removes it."""
    with contextlib.suppress(Exception):
        await asyncio.wait_for(watched.tell(), _TELL_SECONDS)


class SessionSubscriptions:
    """What the sessions of 2025-11-25 have subscribed to. A session's subscriptions end with it."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._of_session: dict[int, dict[str, Watched]] = {}

    async def add(self, ctx: RequestContext, workspace_id: str, topic: Topic, uri: str) -> None:
        """Tells the session when ``uri`` changes. Raises: MCPError when it has too many."""
        connection = _connection(ctx)
        own = self._of_session.get(id(connection))
        if own is None:
            own = self._of_session[id(connection)] = {}
            connection.exit_stack.callback(self._end, id(connection))
        if uri in own:
            return
        if len(own) >= MOST_OF_ONE_CLIENT:
            raise MCPError(INVALID_PARAMS, f"A session may watch {MOST_OF_ONE_CLIENT} addresses; unsubscribe from one.")
        session = ctx.session
        own[uri] = Watched(workspace_id, topic, uri, lambda: session.send_resource_updated(uri))
        try:
            await self._watch.add([own[uri]])
        except BaseException:
            own.pop(uri, None)
            raise

    def remove(self, ctx: RequestContext, uri: str) -> None:
        """Nothing more about ``uri``; no error when it was not watched."""
        gone = self._of_session.get(id(_connection(ctx)), {}).pop(uri, None)
        if gone is not None:
            self._watch.remove([gone])

    def _end(self, session: int) -> None:
        self._watch.remove(self._of_session.pop(session, {}).values())


def _connection(ctx: RequestContext) -> Any:
    # The only object that lives as long as the session, with the stack that is unwound at its end; the SDK gives
    # handlers no public way to it.
    return ctx.session._connection


class _Changes:
    """The changes of one stream's addresses, as the SDK's handler takes them."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[ServerEvent], None]] = []

    async def publish(self, event: ServerEvent) -> None:
        for listener in self._listeners:
            listener(event)

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        self._listeners.append(listener)
        return self._listeners.clear


async def listen(
    ctx: RequestContext, params: SubscriptionsListenRequestParams, watch: Watch, addresses: list[tuple[str, Topic, str]]
) -> SubscriptionsListenResult:
    """Serves one stream of 2026-07-28 until its client hangs up. ``addresses``: workspace, topic and address of each.

    The lists of tools, prompts and resources never change while a process lives: they are not acknowledged.
    """
    changes = _Changes()
    watched = [
        Watched(workspace_id, topic, uri, partial(changes.publish, ResourceUpdated(uri)))
        for workspace_id, topic, uri in addresses
    ]
    honored = SubscriptionFilter(resource_subscriptions=[uri for *_, uri in addresses] or None)
    await watch.add(watched)
    try:
        return await ListenHandler(changes)(ctx, params.model_copy(update={"notifications": honored}))
    finally:
        watch.remove(watched)
