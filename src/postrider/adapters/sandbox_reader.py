"""The sandbox's incoming side: folders in memory, read by cursor as an IMAP server's are."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from postrider.adapters.sandbox_folders import Folder, StoredMail
from postrider.adapters.sandbox_office import PostOffice
from postrider.content.headers import find_message_ids
from postrider.inbox.cursors import remainder_of
from postrider.inbox.ports import FetchedMail, FolderBatch, FolderCursor, FolderRole
from postrider.kernel.errors import Upstream
from postrider.mailboxes.ports import MailAccount

INBOX: Final = "INBOX"
JUNK: Final = "Junk"
_ROLES: Final[tuple[tuple[str, FolderRole], ...]] = ((INBOX, "inbox"), (JUNK, "junk"))


class SandboxReader:
    """The MailReader of accounts whose provider is "sandbox"."""

    def __init__(self, office: PostOffice) -> None:
        self._office = office

    async def read_new(
        self, account: MailAccount, cursors: Sequence[FolderCursor], *, since: datetime, batch_size: int = 50
    ) -> AsyncIterator[FolderBatch]:
        """See MailReader.read_new. As with IMAP, a rescan ends with an empty batch that carries the new cursor."""
        await self._office.settle()
        desk = self._office.desk(account)
        by_folder = {cursor.folder: cursor for cursor in cursors}
        for name, role in _ROLES:
            folder = desk.inbox if role == "inbox" else desk.junk
            if role == "inbox":
                desk.read_up_to = folder.uid_next
            for batch in _batches(folder, name, role, by_folder.get(name), since, batch_size):
                yield batch

    async def wait_for_mail(self, account: MailAccount, timeout_seconds: float) -> bool:
        """See MailReader.wait_for_mail. Waits in business time too: a reply that is due later wakes it then."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + timeout_seconds
        desk = self._office.desk(account)
        with desk.listening() as news:
            while True:
                news.clear()
                if desk.read_up_to is None:
                    desk.read_up_to = desk.inbox.uid_next
                await self._office.settle()
                if desk.inbox.uid_next > desk.read_up_to:
                    return True
                seconds_left = ends_at - loop.time()
                if seconds_left <= 0:
                    return False
                await self._office.clock.wait(self._office.next_event_at(), news, seconds_left)

    async def find_in_sent(self, account: MailAccount, message_id: str) -> str | None:
        """See MailReader.find_in_sent."""
        wanted = f"<{message_id.strip('<> ')}>"
        return wanted if wanted in self._office.desk(account).sent_ids else None

    async def append_to_sent(self, account: MailAccount, raw: bytes) -> bool:
        """See MailReader.append_to_sent. What was sent through the sandbox is there already."""
        head = raw.partition(b"\r\n\r\n")[0].decode("ascii", "replace").replace("\r\n ", " ")
        lines = (line[11:] for line in head.split("\r\n") if line.lower().startswith("message-id:"))
        message_id = next((found for line in lines for found in find_message_ids(line)), "")
        return self._office.file_in_sent(self._office.desk(account), message_id, raw)

    async def mark_seen(self, account: MailAccount, folder: str, uid: int) -> None:
        """See MailReader.mark_seen. As on a server, a message that is gone is nothing to complain about."""
        desk = self._office.desk(account)
        held = {INBOX: desk.inbox, JUNK: desk.junk}.get(folder)
        if held is None:
            raise Upstream("The mailbox has no such folder.", retryable=False)
        for mail in held.mails:
            if mail.uid == uid:
                mail.seen = True

    async def close(self) -> None:
        """See MailReader.close. There is nothing to end."""


def _batches(
    folder: Folder, name: str, role: FolderRole, cursor: FolderCursor | None, since: datetime, batch_size: int
) -> list[FolderBatch]:
    """What there is to read, each batch with the cursor behind it."""
    left = remainder_of(cursor, folder.uid_validity, folder.uid_next)
    first_day = (since - timedelta(days=1)).date()
    mails = [
        _fetched(mail)
        for mail in folder.mails
        if mail.uid >= left.new_from or (mail.uid > left.after and mail.internal_date.date() >= first_day)
    ]
    groups = _groups(mails, batch_size)
    batches = [FolderBatch(left.cursor_behind(name, role, each[-1].uid), each, left.rescan) for each in groups]
    if left.rescan:
        batches.append(FolderBatch(left.cursor_behind(name, role, folder.uid_next - 1), (), rescan=True))
    return batches


def _groups(mails: Sequence[FetchedMail], size: int) -> list[tuple[FetchedMail, ...]]:
    return [tuple(mails[start : start + size]) for start in range(0, len(mails), size)]


def _fetched(mail: StoredMail) -> FetchedMail:
    return FetchedMail(mail.uid, len(mail.raw), mail.raw, False, mail.internal_date, mail.seen)
