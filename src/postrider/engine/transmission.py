"""What every kind of outgoing message has in common between its first marker and its outcome."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from sqlalchemy.exc import DBAPIError

from postrider.engine.passages import Passage
from postrider.mailboxes.ports import MailAccount
from postrider.sending.guards import Objection
from postrider.sending.outcomes import Held, Outcome
from postrider.sending.ports import Envelope, MailTransport
from postrider.storage.away import insist, is_away

Result = TypeVar("Result")

INTERRUPTED: Final = Held("interrupted")


async def begin_whole(begin: Awaitable[Result], take_back: Callable[[Result], Awaitable[None]]) -> Result:
    """The result of a first marker. Cut off meanwhile, its transaction still ends, and what it wrote is taken back.

    Raises: a cancellation, when that is done.
    """
    beginning = asyncio.ensure_future(begin)
    try:
        return await asyncio.shield(beginning)
    except asyncio.CancelledError:
        await to_its_end(_take_back_of(beginning, take_back))
        raise


async def _take_back_of(beginning: "asyncio.Future[Result]", take_back: Callable[[Result], Awaitable[None]]) -> None:
    await take_back(await beginning)


async def transmit(
    transport: MailTransport,
    account: MailAccount,
    envelope: Envelope,
    passage: Passage,
    dot: Callable[[], Awaitable[Objection | None]],
) -> Outcome:
    """The outcome of one message. ``dot`` writes its second marker; if it objects, the outcome names the reason.

    ``passage`` is entered before that, and left by ``carry_through``.
    """
    objections: list[Objection] = []

    async def marker() -> bool:
        await passage.enter()
        found = await dot()
        if found is not None:
            objections.append(found)
        return found is None

    outcome = await transport.send(account, envelope, marker)
    return Held(objections[0].reason) if isinstance(outcome, Held) and objections else outcome


async def carry_through(
    sending: Awaitable[Outcome], write: Callable[[Outcome], Awaitable[None]], passage: Passage
) -> Outcome:
    """The outcome of ``sending``, written down whatever happens to this task meanwhile; then ``passage`` is left.

    Raises: a cancellation, when what it interrupted has been written.
    """
    try:
        return await _carry(sending, write)
    finally:
        passage.leave()


async def _carry(sending: Awaitable[Outcome], write: Callable[[Outcome], Awaitable[None]]) -> Outcome:
    try:
        outcome = await sending
    except (DBAPIError, asyncio.CancelledError) as error:
        if isinstance(error, DBAPIError) and not is_away(error):
            raise
        # The marker failed or this task is to end, and either way the dot has not left (see MailTransport).
        await to_its_end(_write_down(write, INTERRUPTED))
        if isinstance(error, asyncio.CancelledError):
            raise
        return INTERRUPTED
    # Left alone, it would be written after the claim has been given up, and a delivered message called unknown.
    await to_its_end(_write_down(write, outcome))
    return outcome


async def to_its_end(work: Awaitable[Result]) -> Result:
    """What ``work`` gives. However often this task is cancelled meanwhile, ``work`` ends first.

    Raises: the cancellation then.
    """
    working = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not working.done():
        try:
            await asyncio.wait({working})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not working.cancelled() and (failure := working.exception()) is not None:
            raise cancelled from failure
        raise cancelled
    return working.result()


async def _write_down(write: Callable[[Outcome], Awaitable[None]], outcome: Outcome) -> None:
    """Waits for a database that is away. ``write`` may be repeated: then the claim is gone."""
    await insist(lambda: write(outcome), "outcome_not_written", outcome=type(outcome).__name__)
