"""Sends each account's mail where it belongs: the sandbox for its own accounts, real servers for all others."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Protocol

from postrider.adapters.sandbox import Sandbox
from postrider.inbox.ports import FolderBatch, FolderCursor, MailReader
from postrider.mailboxes.ports import AccountChecker, MailAccount
from postrider.sending.outcomes import Outcome
from postrider.sending.ports import Envelope, MailTransport, Marker


class Sending(MailTransport, Protocol):
    """A transport that can also try an account out."""

    async def check_smtp(self, account: MailAccount) -> None:
        """See AccountChecker.check_smtp."""


class Reading(MailReader, Protocol):
    """A reader that can also try an account out."""

    async def check_imap(self, account: MailAccount) -> None:
        """See AccountChecker.check_imap."""


class MailRouter(MailTransport, MailReader, AccountChecker):
    """The one MailTransport, MailReader and AccountChecker of an installation. ``close`` ends all of it."""

    def __init__(self, smtp: Sending, imap: Reading, sandbox: Sandbox) -> None:
        self._smtp = smtp
        self._imap = imap
        self._sandbox = sandbox

    async def send(self, account: MailAccount, envelope: Envelope, marker: Marker) -> Outcome:
        """See MailTransport.send."""
        transport = self._sandbox.transport if account.provider == "sandbox" else self._smtp
        return await transport.send(account, envelope, marker)

    def read_new(
        self, account: MailAccount, cursors: Sequence[FolderCursor], *, since: datetime, batch_size: int = 50
    ) -> AsyncIterator[FolderBatch]:
        """See MailReader.read_new."""
        return self._reader(account).read_new(account, cursors, since=since, batch_size=batch_size)

    async def wait_for_mail(self, account: MailAccount, timeout_seconds: float) -> bool:
        """See MailReader.wait_for_mail."""
        return await self._reader(account).wait_for_mail(account, timeout_seconds)

    async def find_in_sent(self, account: MailAccount, message_id: str) -> str | None:
        """See MailReader.find_in_sent."""
        return await self._reader(account).find_in_sent(account, message_id)

    async def append_to_sent(self, account: MailAccount, raw: bytes) -> bool:
        """See MailReader.append_to_sent."""
        return await self._reader(account).append_to_sent(account, raw)

    async def mark_seen(self, account: MailAccount, folder: str, uid: int) -> None:
        """See MailReader.mark_seen."""
        await self._reader(account).mark_seen(account, folder, uid)

    async def check_smtp(self, account: MailAccount) -> None:
        """See AccountChecker.check_smtp. A sandbox account always works."""
        if account.provider != "sandbox":
            await self._smtp.check_smtp(account)

    async def check_imap(self, account: MailAccount) -> None:
        """See AccountChecker.check_imap. A sandbox account always works."""
        if account.provider != "sandbox":
            await self._imap.check_imap(account)

    def hang_up(self) -> None:
        """See MailTransport.hang_up."""
        self._smtp.hang_up()

    async def close(self) -> None:
        """Ends all pooled connections, in both directions."""
        await self._smtp.close()
        await self._imap.close()

    def _reader(self, account: MailAccount) -> MailReader:
        return self._sandbox.reader if account.provider == "sandbox" else self._imap
