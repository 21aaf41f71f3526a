"""Who calls at /v1: the key in the headers, recognised before the body is read."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request

from postrider.access.keys import read_lookup
from postrider.access.queries import authenticate_key
from postrider.doors.installation import Installation
from postrider.doors.last_use import LastUse
from postrider.kernel.context import Actor
from postrider.kernel.errors import LimitReached, Unauthenticated

WINDOW_SECONDS: Final = 60
MOST_FAILURES: Final = 20
_REMEMBERED: Final = 10_000


def presented_key(headers: Headers) -> str | None:
    """The one key in X-Api-Key or Authorization: Bearer. Raises: Unauthenticated when they name different ones."""
    keys = {value.strip() for value in headers.getlist("x-api-key")}
    for value in headers.getlist("authorization"):
        scheme, _, credential = value.partition(" ")
        if scheme.lower() == "bearer":
            keys.add(credential.strip())
    if len(keys) > 1:
        raise Unauthenticated(
            "The request carries more than one key, and they differ.",
            hint="Send one key, in one X-Api-Key or one Authorization: Bearer header.",
        )
    return keys.pop() if keys else None


class Authenticator:
    """Turns a request into its actor, and slows down whoever guesses."""

    def __init__(self, installation: Installation, monotonic: Callable[[], float]) -> None:
        self._database = installation.database
        self._clock = installation.clock
        self._pepper = installation.vault.derive("api-keys")
        self._failures = FailureLimit(monotonic)
        self._last_use = LastUse(installation.database, installation.clock, monotonic)

    async def actor(self, request: Request) -> Actor:
        """The actor behind the request's key. The tokens of connected apps are for the MCP endpoint alone.

        Raises: Unauthenticated (one answer for every bad key, one for keys that differ), LimitReached, InvalidInput,
        NotFound.
        """
        presented = presented_key(request.headers)
        guesser = (request.client.host if request.client else "", read_lookup(presented or "") or "")
        workspace_id = request.headers.get("x-workspace-id") or None
        try:
            actor = await self._database.read(
                lambda session: authenticate_key(
                    session, self._pepper, presented, workspace_id, "v1", self._clock.now()
                ),
                short=True,
            )
        except Unauthenticated:
            # A good key is never kept waiting by somebody's guesses at it: only failures are counted, and slowed down.
            self._failures.check(guesser)
            self._failures.add(guesser)
            raise
        await self._last_use.note(actor)
        return actor


@dataclass(slots=True)
class _Count:
    since: float
    failures: int


class FailureLimit:
    """Counts failures per address and key id. Asked only about a call that has failed: a good key always passes."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._now = monotonic
        self._counts: OrderedDict[tuple[str, str], _Count] = OrderedDict()

    def check(self, guesser: tuple[str, str]) -> None:
        """Raises: LimitReached after MOST_FAILURES within WINDOW_SECONDS."""
        count = self._counts.get(guesser)
        if count is None or count.failures < MOST_FAILURES:
            return
        left = WINDOW_SECONDS - (self._now() - count.since)
        if left <= 0:
            del self._counts[guesser]
            return
        raise LimitReached(
            "Too many calls with a key that is not valid.",
            retry_after_seconds=int(left) + 1,
            hint="Wait, then call with a key that is valid.",
        )

    def add(self, guesser: tuple[str, str]) -> None:
        """Counts one failure; the longest unused entries are forgotten first."""
        count = self._counts.get(guesser)
        if count is None or self._now() - count.since > WINDOW_SECONDS:
            count = self._counts[guesser] = _Count(self._now(), 0)
        count.failures += 1
        self._counts.move_to_end(guesser)
        if len(self._counts) > _REMEMBERED:
            self._counts.popitem(last=False)
