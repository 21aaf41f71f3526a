"""Copies of sent mail in the Sent folder, made beside the sending: slow or failing ones never touch an outcome."""

import asyncio
from typing import Final

import structlog

from postrider.inbox.ports import MailReader
from postrider.kernel.errors import Upstream
from postrider.mailboxes.ports import MailAccount
from postrider.sending.outcomes import Delivered, Outcome
from postrider.sending.ports import Envelope, MailTransport, Marker

log = structlog.get_logger(__name__)

MOST_WAITING: Final = 100
"""Copies on their way at a time; beyond that they are left out rather than kept in memory."""

DRAIN_SECONDS: Final = 10.0


class SentCopies:
    """A MailTransport that also files what was accepted in the account's Sent folder, unless its provider does."""

    def __init__(self, transport: MailTransport, reader: MailReader) -> None:
        self._transport = transport
        self._reader = reader
        self._tasks: set[asyncio.Task[None]] = set()

    async def send(self, account: MailAccount, envelope: Envelope, marker: Marker) -> Outcome:
        """See MailTransport.send. The copy is filed after this has returned."""
        outcome = await self._transport.send(account, envelope, marker)
        if isinstance(outcome, Delivered) and account.imap is not None:
            self._start(account, envelope)
        return outcome

    def hang_up(self) -> None:
        """See MailTransport.hang_up."""
        self._transport.hang_up()

    async def close(self) -> None:
        """Waits a while for copies on their way; the transport itself stays open, for it belongs to somebody else."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=DRAIN_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _start(self, account: MailAccount, envelope: Envelope) -> None:
        if len(self._tasks) >= MOST_WAITING:
            log.warning("sent_copy_left_out", mailbox_id=account.mailbox_id, message_id=envelope.message_id)
            return
        task = asyncio.create_task(self._file(account, envelope))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _file(self, account: MailAccount, envelope: Envelope) -> None:
        try:
            await self._reader.append_to_sent(account, envelope.data)
        except Upstream as error:
            log.warning("sent_copy_failed", mailbox_id=account.mailbox_id, reason=error.message)
        except Exception:
            log.exception("sent_copy_failed", mailbox_id=account.mailbox_id)
