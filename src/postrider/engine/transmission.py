"""What every kind of outgoing message has in common between its first marker and its outcome."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog
from sqlalchemy.exc import DBAPIError

from postrider.mailboxes.ports import MailAccount
from postrider.sending.guards import Objection
from postrider.sending.outcomes import Held, Outcome
from postrider.sending.ports import Envelope, MailTransport
from postrider.storage.away import is_away

Result = TypeVar("Result")

log = structlog.get_logger(__name__)

OUTCOME_PAUSE_SECONDS: Final = 0.2
OUTCOME_PAUSE_MOST_SECONDS: Final = 10.0

INTERRUPTED: Final = Held("interrupted")


async def begin_whole(begin: Awaitable[Result], take_back: Callable[[Result], Awaitable[None]]) -> Result:
    """The result of a first marker. Cut off meanwhile, its transaction still ends, and what it wrote is taken back.

    Raises: a cancellation, when that is done.
    """
    beginning = asyncio.ensure_future(begin)
    try:
        return await asyncio.shield(beginning)
    except asyncio.CancelledError:
        await take_back(await beginning)
        raise


async def transmit(
    transport: MailTransport,
    account: MailAccount,
    envelope: Envelope,
    dot: Callable[[], Awaitable[Objection | None]],
) -> Outcome:
    """The outcome of one message. ``dot`` writes its second marker; if it objects, the outcome names the reason."""
    objections: list[Objection] = []

    async def marker() -> bool:
        found = await dot()
        if found is not None:
            objections.append(found)
        return found is None

    outcome = await transport.send(account, envelope, marker)
    return Held(objections[0].reason) if isinstance(outcome, Held) and objections else outcome


async def carry_through(sending: Awaitable[Outcome], write: Callable[[Outcome], Awaitable[None]]) -> Outcome:
    """The outcome of ``sending``, written down whatever happens to this task meanwhile.

    Raises: a cancellation, when what it interrupted has been written.
    """
    try:
        outcome = await sending
    except (DBAPIError, asyncio.CancelledError) as error:
        if isinstance(error, DBAPIError) and not is_away(error):
            raise
        # The marker failed or this task is to end, and either way the dot has not left (see MailTransport).
        await asyncio.shield(_insist(write, INTERRUPTED))
        if isinstance(error, asyncio.CancelledError):
            raise
        return INTERRUPTED
    writing = asyncio.ensure_future(_insist(write, outcome))
    try:
        await asyncio.shield(writing)
    except asyncio.CancelledError:
        # Left alone, it would be written after the claim has been given up, and a delivered message called unknown.
        await writing
        raise
    return outcome


async def _insist(write: Callable[[Outcome], Awaitable[None]], outcome: Outcome) -> None:
    """Writes, waiting for a database that is away. ``write`` may be repeated: then the claim is gone."""
    pause = OUTCOME_PAUSE_SECONDS
    while True:
        try:
            await write(outcome)
        except DBAPIError as error:
            if not is_away(error):
                raise
            log.warning("outcome_not_written", outcome=type(outcome).__name__, exc_info=True)
            await asyncio.sleep(pause)
            pause = min(pause * 2, OUTCOME_PAUSE_MOST_SECONDS)
        else:
            return
