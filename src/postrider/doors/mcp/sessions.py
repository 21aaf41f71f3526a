"""The sessions of 2025-11-25 clients: only so many stay open, and nobody's take the room of others.

The transport keeps what a client opens and never closes, and at its own limit refuses everybody. So whoever opens one
too many loses the one that they have not used for longest; its client hears 404 there and opens another.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser, authorization_context
from mcp.server.streamable_http import MCP_SESSION_ID_HEADER
from mcp.server.streamable_http_manager import DEFAULT_SESSION_IDLE_TIMEOUT
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from postrider.doors.mcp.credentials import actor_in

MOST_OF_ONE_CREDENTIAL: Final = 50
MOST_IN_ALL: Final = 2_000
"""Far below where the transport stops: it holds some 40 kB for each."""

_HEADER: Final = MCP_SESSION_ID_HEADER.encode()


@dataclass(slots=True)
class _Open:
    """A session. ``user``: whom the transport bound it to. ``requests``: on their way now."""

    user: AuthenticatedUser
    credential_id: str
    workspace_id: str
    used_at: float
    requests: int = 1

    def belongs_to(self, user: AuthenticatedUser) -> bool:
        """Whether the transport takes ``user`` for the one who opened it."""
        return authorization_context(self.user) == authorization_context(user)


class BoundedSessions:
    """The transport's endpoint, with a bound on the sessions of each credential and of all."""

    def __init__(
        self,
        endpoint: ASGIApp,
        of_one: int = MOST_OF_ONE_CREDENTIAL,
        in_all: int = MOST_IN_ALL,
        now: Callable[[], float] = monotonic,
    ) -> None:
        """``endpoint``: ends a session that has not been used for DEFAULT_SESSION_IDLE_TIMEOUT by itself."""
        self._endpoint = endpoint
        self._of_one = of_one
        self._in_all = in_all
        self._now = now
        self._sessions: dict[str, _Open] = {}
        """The longest unused first."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request of a known actor."""
        session_id = Headers(scope=scope).get(MCP_SESSION_ID_HEADER)
        if session_id is None:
            await self._outside(scope, receive, send)
        elif (session := self._sessions.get(session_id)) is not None and session.belongs_to(scope["user"]):
            await self._inside(session_id, session, scope, receive, send)
        else:
            await self._endpoint(scope, receive, send)

    async def _outside(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A request without a session may open one: its answer says so."""
        session: _Open | None = None

        async def watched(message: Message) -> None:
            nonlocal session
            if message["type"] == "http.response.start" and (session_id := _opened(message)) is not None:
                session = self._add(session_id, scope)
                await self._make_room(session, scope)
            await send(message)

        try:
            await self._endpoint(scope, receive, watched)
        finally:
            if session is not None:
                session.requests -= 1

    async def _inside(self, session_id: str, session: _Open, scope: Scope, receive: Receive, send: Send) -> None:
        ended = False

        async def watched(message: Message) -> None:
            nonlocal ended
            if message["type"] == "http.response.start":
                ended = message["status"] == 404 or (scope["method"] == "DELETE" and message["status"] < 400)
            await send(message)

        session.requests += 1
        try:
            await self._endpoint(scope, receive, watched)
        finally:
            session.requests -= 1
            if self._sessions.pop(session_id, None) is not None and not ended:
                session.used_at = self._now()
                self._sessions[session_id] = session

    def _add(self, session_id: str, scope: Scope) -> _Open:
        actor = actor_in(scope)
        session = _Open(scope["user"], actor.credential_id, actor.workspace_id, self._now())
        self._sessions[session_id] = session
        return session

    async def _make_room(self, new: _Open, scope: Scope) -> None:
        """Ends what ``new`` is too much: of its credential, then of the workspace that has most."""
        self._forget_idle()
        own = [each for each, session in self._sessions.items() if session.credential_id == new.credential_id]
        if len(own) > self._of_one:
            await self._end(self._least_used(own), scope)
        if len(self._sessions) > self._in_all:
            ((most, _),) = Counter(session.workspace_id for session in self._sessions.values()).most_common(1)
            theirs = [each for each, session in self._sessions.items() if session.workspace_id == most]
            await self._end(self._least_used(theirs), scope)

    def _forget_idle(self) -> None:
        """Those that the transport has ended by itself."""
        since = self._now() - DEFAULT_SESSION_IDLE_TIMEOUT
        self._sessions = {
            each: session for each, session in self._sessions.items() if session.requests or session.used_at > since
        }

    def _least_used(self, session_ids: list[str]) -> str:
        """The longest unused one; of those with a call or stream under way only where all have one."""
        return next((each for each in session_ids if not self._sessions[each].requests), session_ids[0])

    async def _end(self, session_id: str, scope: Scope) -> None:
        """Ends a session as its client would: the transport has no other way in."""
        session = self._sessions.pop(session_id)
        host = [(name, value) for name, value in scope["headers"] if name == b"host"]
        ending = {**scope, "method": "DELETE", "user": session.user, "headers": [*host, (_HEADER, session_id.encode())]}

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def unheard(message: Message) -> None:
            """Whether it was still there makes no difference."""

        await self._endpoint(ending, receive, unheard)


def _opened(message: Message) -> str | None:
    """The session that the head of an answer names, unless it refuses."""
    if message["status"] >= 400:
        return None
    return next((value.decode("ascii") for name, value in message["headers"] if name.lower() == _HEADER), None)
