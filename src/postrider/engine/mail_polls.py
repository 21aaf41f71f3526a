"""One look at one mailbox: its new mail fetched, parsed and taken in, batch by batch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import structlog
from sqlalchemy.orm import Session

from postrider.access.queries import lock_workspace
from postrider.inbox.arrivals import Arrival, prepare
from postrider.inbox.effects import prove_sent
from postrider.inbox.intake import Intaker
from postrider.inbox.ports import FetchedMail, FolderBatch, InboundParser, MailReader
from postrider.inbox.queries import MailboxKey, UnknownAttempt, unknown_attempts
from postrider.inbox.reading import ReadJob, claim_reading, load_job, note_read, note_trouble
from postrider.kernel.clock import Clock, SystemClock
from postrider.kernel.errors import Upstream
from postrider.kernel.events import Signals
from postrider.kernel.vault import VaultError
from postrider.sending.tables import Attempt
from postrider.storage.database import Database

log = structlog.get_logger(__name__)

BATCH_SIZE: Final = 10
"""Messages of one transaction: small, because on SQLite everybody else who writes waits for it."""

Going = Callable[[], bool]
Look = Literal["read", "unfinished", "elsewhere", "failed", "refused"]
"""How a look ended.

unfinished: there is more mail than one look may take; what was read is kept. elsewhere: the mailbox is another engine's
to read, or nobody's any more. refused: it will not work until somebody mends the account.
"""


@dataclass(frozen=True, slots=True)
class MailPoller:
    """Reads mailboxes for one engine."""

    database: Database
    clock: Clock
    reader: MailReader
    parser: InboundParser
    intaker: Intaker
    signals: Signals

    async def poll(self, key: MailboxKey, goes_on: Going, *, batch_size: int = BATCH_SIZE) -> Look:
        """Takes in the new mail of a mailbox. ``goes_on``: told of each batch taken in; answers whether to read on."""
        try:
            job = await self._claim(key)
            look: Look = "elsewhere" if job is None else await self._read(key, job, goes_on, batch_size)
            if job is None or look == "elsewhere":
                return look
            if look == "read":
                await self._search_sent(key, job)
        except Upstream as error:
            log.warning("mailbox_not_read", mailbox_id=key.mailbox_id, code=error.error_code)
            await self.note_trouble(key, error.message, passing=error.retryable)
            return "failed" if error.retryable else "refused"
        except VaultError:
            log.error("mailbox_locked", mailbox_id=key.mailbox_id)
            await self.note_trouble(key, "The password does not open with this installation's key.", passing=True)
            return "failed"
        now = self.clock.now()
        if await self.database.hot(lambda c: note_read(c, key, now)):
            self.signals.wake("sender")
        return look

    async def note_trouble(self, key: MailboxKey, message: str, *, passing: bool) -> None:
        """Shows at the mailbox why it could not be read. ``passing``: it may work again by itself."""
        now = self.clock.now()
        await self.database.hot(lambda c: note_trouble(c, key, message, passing=passing, now=now))

    async def _claim(self, key: MailboxKey) -> ReadJob | None:
        if not await self.database.hot(lambda c: claim_reading(c, key, self.intaker.owner)):
            return None
        wall_now = SystemClock().now()
        return await self.database.read(lambda s: load_job(s, self.intaker.vault, key, wall_now))

    async def _read(self, key: MailboxKey, job: ReadJob, goes_on: Going, batch_size: int) -> Look:
        batches = self.reader.read_new(job.account, job.cursors, since=job.since, batch_size=batch_size)
        async for batch in batches:
            if not await self._take_in(key, job, batch):
                return "elsewhere"
            if not goes_on():
                return "unfinished"
        return "read"

    async def _take_in(self, key: MailboxKey, job: ReadJob, batch: FolderBatch) -> bool:
        arrivals: list[Arrival] = []
        for mail in batch.mails:
            arrivals.append(await self._arrival(mail, job.since))
        taken = await self.database.write(
            lambda s: self.intaker.take_in(s, key, batch.cursor, arrivals, self.clock.now())
        )
        if taken is None:
            return False
        if taken.matched:
            # Leads may have stopped, become due later, or been let go on.
            self.signals.wake("sender")
        return True

    async def _arrival(self, mail: FetchedMail, since: datetime) -> Arrival:
        return prepare(mail, await self.parser.parse(mail.raw), since=since, now=self.clock.now())

    async def _search_sent(self, key: MailboxKey, job: ReadJob) -> None:
        """Looks in Sent for messages whose outcome is unknown: what stands there has left."""
        now = self.clock.now()
        unknown: Sequence[UnknownAttempt] = await self.database.read(lambda s: unknown_attempts(s, key, now))
        for each in unknown:
            try:
                found_id = await self.reader.find_in_sent(job.account, each.message_id)
            except Upstream as error:
                # The inbox was read, which is what counts; the next look searches again.
                log.warning("sent_not_searched", mailbox_id=key.mailbox_id, code=error.error_code)
                return
            if found_id is not None:
                await self._settle(key, each.attempt_id, found_id if found_id != each.message_id else None)

    async def _settle(self, key: MailboxKey, attempt_id: str, found_id: str | None) -> None:
        now, programs = self.clock.now(), self.intaker.programs

        def settle(session: Session) -> bool:
            lock_workspace(session, key.workspace_id)
            attempt = session.get(Attempt, (key.workspace_id, attempt_id))
            if attempt is None:
                return False
            left_at = attempt.dotted_at or attempt.sending_at
            return prove_sent(session, programs, attempt, left_at, now, how="found in Sent", found_id=found_id)

        if await self.database.write(settle):
            self.signals.wake("sender")
