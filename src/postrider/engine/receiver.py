"""The receiving loop: every mailbox looked at when its server announces mail, and at least once per poll interval.

All waiting here is wall time: servers do not know business time. One engine reads a mailbox at a time.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Final

import structlog

from postrider.engine.mail_polls import BATCH_SIZE, Look, MailPoller
from postrider.engine.rest import Rest
from postrider.inbox.intake import Intaker
from postrider.inbox.ports import InboundParser, MailReader
from postrider.inbox.queries import MailboxKey, mailboxes_to_read
from postrider.inbox.reading import load_job, release_reading
from postrider.kernel.clock import Clock, SystemClock
from postrider.kernel.errors import Upstream
from postrider.kernel.events import Signals
from postrider.kernel.vault import Vault, VaultError
from postrider.sending.program import Programs
from postrider.storage.database import Database

log = structlog.get_logger(__name__)

AT_ONCE: Final = 8
FAILING_AT_ONCE: Final = 2
"""Places for mailboxes whose last look failed: any number of hanging servers leaves the others their pace."""

STOP_SECONDS: Final = 10.0
BACK_OFF_MOST_SECONDS: Final = 900.0
REFUSED_MOST_SECONDS: Final = 3_600.0
"""The longest pause after a refused sign-in: providers lock accounts that try too often."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one look may last, and how often to look for mailboxes that were added, mended or removed.

    ``turn_seconds``: then a look ends behind its batch, and goes on when all others who wait had their turn.
    ``batch_seconds``: the longest wait for a batch; behind it the server counts as failing, and the next look asks for
    one message at a time, so that even the slowest one makes headway. All that was taken in before is kept.
    """

    turn_seconds: float = 60.0
    batch_seconds: float = 300.0
    list_seconds: float = 15.0


@dataclass(eq=False, slots=True)
class _Watched:
    """One mailbox: when to look at it next (loop time), and the tasks that do or wait for it."""

    key: MailboxKey
    due_at: float
    failures: int = 0
    batch_size: int = BATCH_SIZE
    has_news: bool = False
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    watch: "asyncio.Task[None] | None" = None


class ReceiverLoop:
    """Reads all mailboxes, fairly: whoever waits longest is next, at most ``AT_ONCE`` at a time."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        reader: MailReader,
        parser: InboundParser,
        vault: Vault,
        signals: Signals,
        owner: str,
        rest: Rest,
        poll_seconds: float,
        programs: Programs | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._database = database
        self._reader = reader
        self._vault = vault
        self._owner = owner
        self._rest = rest
        self._poll_seconds = poll_seconds
        self._patience = patience or Patience()
        self._wake = signals.events["receiver"]
        intaker = Intaker(vault, programs or Programs(), owner)
        self._poller = MailPoller(database, clock, reader, parser, intaker, signals)
        self._places = asyncio.Semaphore(AT_ONCE)
        self._failing_places = asyncio.Semaphore(FAILING_AT_ONCE)
        self._watched: dict[MailboxKey, _Watched] = {}
        self._polls: dict[MailboxKey, asyncio.Task[None]] = {}
        self._listed_at = float("-inf")
        self._running = self._stopping = False

    async def run(self) -> None:
        """Runs until ``stop``; then lets batches under way finish, and other engines take over."""
        self._running = True
        try:
            while not self._stopping:
                self._wake.clear()
                await self._list_when_due()
                self._start_due()
                with self._rest.resting("receiver", self._wake, busy=bool(self._polls)):
                    await self._wait()
        finally:
            await self._wind_up()

    def stop(self) -> None:
        """Starts no further look; ``run`` returns when what is under way has come to the end of its batch."""
        self._stopping = True
        self._wake.set()

    async def poll_all(self) -> None:
        """Looks at every mailbox once, to its end, whether or not it is due. For drivers of virtual time."""
        await self._list()
        await asyncio.gather(*(self._look_to_the_end(each) for each in list(self._watched.values())))

    async def _list_when_due(self) -> None:
        if self._now() - self._listed_at < self._patience.list_seconds:
            return
        try:
            await self._list()
        except Exception:
            log.exception("mailboxes_not_listed")
            self._listed_at = self._now()

    async def _list(self) -> None:
        """Brings the mailboxes that are watched in line with those that are to be read."""
        wanted = await self._database.read(mailboxes_to_read)
        self._listed_at = now = self._now()
        for key, failing in wanted:
            watched = self._watched.setdefault(key, _Watched(key, due_at=now))
            if watched.failures and not failing:
                # Somebody has mended it meanwhile: no reason to wait any longer.
                watched.failures, watched.due_at = 0, now
        for key in self._watched.keys() - {each.key for each in wanted}:
            _cancel(self._watched.pop(key).watch)

    def _start_due(self) -> None:
        """Starts a look at every mailbox whose time has come; they get their places in the order of waiting."""
        now = self._now()
        due = [each for each in self._watched.values() if each.due_at <= now and each.key not in self._polls]
        for each in sorted(due, key=lambda one: one.due_at):
            self._polls[each.key] = asyncio.create_task(self._poll_in_turn(each))

    async def _poll_in_turn(self, watched: _Watched) -> None:
        try:
            await self._look_at(watched)
        finally:
            self._polls.pop(watched.key, None)
            self._wake.set()

    async def _look_to_the_end(self, watched: _Watched) -> None:
        while await self._look_at(watched) == "unfinished" and not self._stopping:
            pass

    async def _look_at(self, watched: _Watched) -> Look:
        """One look, and when the next one is due."""
        places = self._failing_places if watched.failures else self._places
        async with watched.turn, places:
            watched.has_news = False
            look = await self._look(watched)
        watched.failures = watched.failures + 1 if look in ("failed", "refused") else 0
        # News that came meanwhile may or may not have been read: one look more does no harm.
        at_once = watched.has_news or look == "unfinished"
        watched.due_at = self._now() + (0.0 if at_once else self._pause(look, watched.failures))
        if look == "read":
            self._start_listening(watched)
        return look

    def _start_listening(self, watched: _Watched) -> None:
        """Unless it listens already, the loop is about to end, or the mailbox was taken out while it was looked at."""
        listens = watched.watch is not None and not watched.watch.done()
        is_wanted = self._watched.get(watched.key) is watched
        if self._running and not self._stopping and is_wanted and not listens:
            watched.watch = asyncio.create_task(self._listen(watched))

    async def _look(self, watched: _Watched) -> Look:
        key, patience, ends_at = watched.key, self._patience, self._now() + self._patience.turn_seconds
        try:
            async with asyncio.timeout(patience.batch_seconds) as limit:

                def goes_on() -> bool:
                    limit.reschedule(self._now() + patience.batch_seconds)
                    watched.batch_size = min(2 * watched.batch_size, BATCH_SIZE)
                    return not self._stopping and self._now() < ends_at

                return await self._poller.poll(key, goes_on, batch_size=watched.batch_size)
        except TimeoutError:
            log.warning("look_stalled", mailbox_id=key.mailbox_id)
            watched.batch_size = 1
            return await self._failed(key, "The server did not hand out one batch of mail in time.")
        except Exception as error:
            # One mailbox's trouble must not stop the others. Its text stays out of the log: it may quote mail.
            log.error("look_failed", mailbox_id=key.mailbox_id, error=type(error).__name__)
            return await self._failed(key, "Reading ended with an internal error; the log names its kind.")

    async def _failed(self, key: MailboxKey, message: str) -> Look:
        try:
            await self._poller.note_trouble(key, message, passing=True)
        except Exception as error:
            log.error("trouble_not_noted", mailbox_id=key.mailbox_id, error=type(error).__name__)
        return "failed"

    def _pause(self, look: Look, failures: int) -> float:
        """Seconds to the next look: the poll interval, doubled with each failure in a row."""
        most = REFUSED_MOST_SECONDS if look == "refused" else BACK_OFF_MOST_SECONDS
        return min(self._poll_seconds * 2.0 ** min(failures, 12), max(most, self._poll_seconds))

    async def _listen(self, watched: _Watched) -> None:
        """Waits for the server to announce mail; where it cannot, the poll interval has to do."""
        wall_now = SystemClock().now()
        try:
            job = await self._database.read(lambda s: load_job(s, self._vault, watched.key, wall_now))
            if job is None or not await self._reader.wait_for_mail(job.account, self._poll_seconds):
                return
        except (Upstream, VaultError):
            return
        except Exception as error:
            log.error("listening_failed", mailbox_id=watched.key.mailbox_id, error=type(error).__name__)
            return
        watched.has_news = True
        watched.due_at = self._now()
        self._wake.set()

    async def _wait(self) -> None:
        """Until the next mailbox is due or something happens. Those under way wake the loop when they are done."""
        instants = [self._listed_at + self._patience.list_seconds]
        instants += [each.due_at for each in self._watched.values() if each.key not in self._polls]
        try:
            await asyncio.wait_for(self._wake.wait(), max(0.0, min(instants) - self._now()))
        except TimeoutError:
            return

    async def _wind_up(self) -> None:
        self._running = False
        for each in self._watched.values():
            _cancel(each.watch)
        polls = list(self._polls.values())
        if polls:
            _, late = await asyncio.wait(polls, timeout=STOP_SECONDS if self._stopping else 0)
            for task in late:
                task.cancel()
        watches = [each.watch for each in self._watched.values() if each.watch is not None]
        await asyncio.gather(*polls, *watches, return_exceptions=True)
        await self._database.hot(lambda c: release_reading(c, self._owner))

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _cancel(task: "asyncio.Task[None] | None") -> None:
    if task is not None:
        task.cancel()
