"""Signed-in connections kept for the next message, per mailbox."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from postrider.adapters.smtp_data import StaleConnection
from postrider.adapters.smtp_wire import SmtpWire, WireError
from postrider.mailboxes.ports import MailAccount, ServerAccess
from postrider.sending.outcomes import Deferred, Delivered, Outcome
from postrider.sending.ports import CONNECTIONS_PER_MAILBOX
from postrider.sending.retries import BEFORE_RECIPIENT

_PROBE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """How many connections a mailbox may hold, and how long each may serve.

    ``probe_after_seconds``: a connection that rested longer is asked with RSET before it is trusted with a message.
    """

    connections_per_account: int = CONNECTIONS_PER_MAILBOX
    messages_per_connection: int = 100
    idle_seconds: float = 60.0
    probe_after_seconds: float = 5.0


@dataclass(slots=True)
class SmtpSession:
    """One signed-in connection: to which access it belongs, what the server offers, how often it served."""

    access: ServerAccess
    wire: SmtpWire
    extensions: frozenset[str]
    messages: int = 0
    rested_since: float = 0.0
    expiry: asyncio.TimerHandle | None = None


@dataclass(frozen=True, slots=True)
class _TurnedAway:
    """When a server refused a mailbox itself (a dial that failed, "slow down"), to which access, and what it gave."""

    at: float
    access: ServerAccess
    answer: Outcome | Exception


@dataclass(slots=True)
class _Lane:
    """``turned_away``: the answer also for whoever was waiting for a session then. 60 more tries would help nobody."""

    slots: asyncio.Semaphore
    idle: list[SmtpSession] = field(default_factory=list)
    users: int = 0
    turned_away: "_TurnedAway | None" = None


LaneKey = tuple[str, str]
Dial = Callable[[MailAccount, ServerAccess], Awaitable[SmtpSession]]
Use = Callable[[SmtpSession], Awaitable[Outcome]]


class SmtpPool:
    """Lends sessions, one user at a time; opens them with ``dial`` when none rests."""

    def __init__(self, dial: Dial, limits: PoolLimits) -> None:
        self._dial = dial
        self._limits = limits
        self._lanes: dict[LaneKey, _Lane] = {}
        self._closed = False
        self._lent: set[SmtpWire] = set()

    async def run(self, account: MailAccount, access: ServerAccess, use: Use) -> Outcome:
        """What ``use`` made of a session. A resting one that proves stale is replaced by a new one, once.

        Raises: whatever ``dial`` and ``use`` raise, but for StaleConnection.
        """
        key = (account.workspace_id, account.mailbox_id)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = _Lane(asyncio.Semaphore(self._limits.connections_per_account))
        lane.users += 1
        asked_at = asyncio.get_running_loop().time()
        try:
            async with lane.slots:
                away = lane.turned_away
                if away is not None and away.at >= asked_at and away.access == access:
                    return _again(away.answer)
                return await self._serve(key, lane, account, access, use)
        finally:
            lane.users -= 1
            self._forget_if_unused(key, lane)

    async def _serve(self, key: LaneKey, lane: _Lane, account: MailAccount, access: ServerAccess, use: Use) -> Outcome:
        if session := await self._rested(lane, access):
            try:
                return await self._lend(key, lane, session, use)
            except StaleConnection:
                pass
        try:
            session = await self._dial(account, access)
        except Exception as error:
            lane.turned_away = _TurnedAway(asyncio.get_running_loop().time(), access, error)
            raise
        return await self._lend(key, lane, session, use)

    def hang_up(self) -> None:
        """Breaks off the sessions that are lent."""
        for wire in list(self._lent):
            wire.abort()

    def close(self) -> None:
        """Ends resting sessions now, and lent ones when they come back."""
        self._closed = True
        for key, lane in list(self._lanes.items()):
            while lane.idle:
                self._end(lane.idle.pop())
            self._forget_if_unused(key, lane)

    async def _rested(self, lane: _Lane, access: ServerAccess) -> SmtpSession | None:
        """A resting session fit for use, the one used last first; those unfit on the way are ended."""
        while lane.idle:
            session = lane.idle.pop()
            if session.expiry is not None:
                session.expiry.cancel()
            # Changed credentials must not go on using a session that the old ones opened.
            if session.access == access and await self._is_alive(session):
                return session
            self._end(session)
        return None

    async def _is_alive(self, session: SmtpSession) -> bool:
        if session.wire.has_news:
            return False
        rest_seconds = asyncio.get_running_loop().time() - session.rested_since
        if rest_seconds < self._limits.probe_after_seconds:
            return True
        try:
            return (await session.wire.command(b"RSET", _PROBE_SECONDS)).ok
        except WireError:
            return False
        except BaseException:
            session.wire.abort()
            raise

    async def _lend(self, key: LaneKey, lane: _Lane, session: SmtpSession, use: Use) -> Outcome:
        self._lent.add(session.wire)
        try:
            outcome = await use(session)
            if isinstance(outcome, Deferred) and outcome.stage in BEFORE_RECIPIENT and outcome.kind != "transient":
                lane.turned_away = _TurnedAway(asyncio.get_running_loop().time(), session.access, outcome)
            elif isinstance(outcome, Delivered):
                lane.turned_away = None
            return outcome
        finally:
            self._lent.discard(session.wire)
            session.messages += 1
            if self._closed or session.wire.has_news or session.messages >= self._limits.messages_per_connection:
                self._end(session)
            else:
                self._rest(key, lane, session)

    def _rest(self, key: LaneKey, lane: _Lane, session: SmtpSession) -> None:
        loop = asyncio.get_running_loop()
        session.rested_since = loop.time()
        session.expiry = loop.call_later(self._limits.idle_seconds, self._expire, key, lane, session)
        lane.idle.append(session)

    def _expire(self, key: LaneKey, lane: _Lane, session: SmtpSession) -> None:
        lane.idle.remove(session)
        self._end(session)
        self._forget_if_unused(key, lane)

    def _forget_if_unused(self, key: LaneKey, lane: _Lane) -> None:
        if not lane.users and not lane.idle:
            self._lanes.pop(key, None)

    @staticmethod
    def _end(session: SmtpSession) -> None:
        if session.expiry is not None:
            session.expiry.cancel()
        session.wire.close()


def _again(answer: Outcome | Exception) -> Outcome:
    if isinstance(answer, Exception):
        raise answer.with_traceback(None)
    return answer
