"""First looks and rescans that do not fit into one turn: they make headway, skip nothing and read nothing twice."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Final

from postrider.adapters.mail_parser import MailParser
from postrider.engine.receiver import Patience
from postrider.inbox.ports import FolderBatch, FolderCursor, MailReader
from postrider.inbox.queries import folder_cursors
from postrider.mailboxes.ports import MailAccount
from postrider.mailboxes.tables import Mailbox
from tests.conftest import Installation
from tests.engine.inbound import Mailroom, letter, make_mailroom
from tests.engine.receiver_rig import append_of_2020, give_account, loop_of, parser, reader, receiving, until
from tests.mailstack.fixtures import mail_stack
from tests.mailstack.stack import MailStack

__all__ = ["mail_stack", "parser", "reader"]

ONE_BATCH: Final = Patience(turn_seconds=0.0)
"""Every look ends behind its first batch."""

SHORT: Final = Patience(batch_seconds=2.0)
"""Enough for a batch on a busy machine, and not worth waiting for."""


class _Watched:
    """A reader that keeps count of what it hands out, and hangs behind that many batches of each look."""

    def __init__(self, reader: MailReader, hangs_after: int | None = None) -> None:
        self._reader = reader
        self.hangs_after = hangs_after
        self.looks = 0
        self.handed_out: list[int] = []

    async def read_new(
        self, account: MailAccount, cursors: Sequence[FolderCursor], *, since: datetime, batch_size: int = 50
    ) -> AsyncIterator[FolderBatch]:
        self.looks += 1
        batches = 0
        async for batch in self._reader.read_new(account, cursors, since=since, batch_size=batch_size):
            if batches == self.hangs_after:
                await asyncio.Event().wait()
            batches += 1
            self.handed_out += [mail.uid for mail in batch.mails]
            yield batch

    async def wait_for_mail(self, account: MailAccount, timeout_seconds: float) -> bool:
        return await self._reader.wait_for_mail(account, timeout_seconds)

    async def find_in_sent(self, account: MailAccount, message_id: str) -> str | None:
        return await self._reader.find_in_sent(account, message_id)

    async def append_to_sent(self, account: MailAccount, raw: bytes) -> bool:
        return await self._reader.append_to_sent(account, raw)

    async def mark_seen(self, account: MailAccount, folder: str, uid: int) -> None:
        await self._reader.mark_seen(account, folder, uid)

    async def close(self) -> None:
        await self._reader.close()


async def filled(installation: Installation, stack: MailStack, mails: int) -> tuple[Mailroom, MailAccount]:
    """A mailbox that nobody has looked at yet, with mail of today and one message of years ago in the middle."""
    room = await make_mailroom(installation)
    account = stack.new_account()
    await give_account(room, account)
    for number in range(mails):
        if number == mails // 2:
            append_of_2020(stack, account, letter(subject="of years ago"))
        stack.deliver(account.email, letter(sender="x@y.test", subject=f"number-{number}"))
    return room, account


async def subjects(room: Mailroom) -> list[str]:
    """The subjects of all stored messages, in the order in which they were sent."""
    return sorted((row.subject for row in await room.messages()), key=lambda text: int(text.partition("-")[2]))


async def test_a_first_look_longer_than_a_turn_goes_on_where_it_stopped(
    installation: Installation, mail_stack: MailStack, reader: MailReader, parser: MailParser
) -> None:
    room, _ = await filled(installation, mail_stack, 25)
    watched = _Watched(reader)
    await loop_of(room, watched, parser, patience=ONE_BATCH).poll_all()
    assert await subjects(room) == [f"number-{number}" for number in range(25)]
    assert watched.looks > 3 and len(watched.handed_out) == len(set(watched.handed_out)) == 25
    cursors = await installation.app.database.read(lambda s: folder_cursors(s, room.key))
    assert {(cursor.folder, cursor.rescan_to) for cursor in cursors} == {("INBOX", None), ("Junk", None)}


async def test_a_first_look_makes_headway_however_often_the_server_hangs(
    installation: Installation, mail_stack: MailStack, reader: MailReader, parser: MailParser
) -> None:
    room, _ = await filled(installation, mail_stack, 13)
    await parser.parse(letter())
    watched = _Watched(reader, hangs_after=1)
    loop = loop_of(room, watched, parser, patience=SHORT)
    found = []
    for _ in range(2):
        await loop.poll_all()
        found.append(len(await room.messages()))
    assert found == [10, 11], "after a look that was cut off, mail comes one by one"
    mailbox = await room.mailbox()
    trouble = "The server did not hand out one batch of mail in time."
    assert (mailbox.status, mailbox.read_error) == ("active", trouble)
    watched.hangs_after = None
    await loop.poll_all()
    assert await subjects(room) == [f"number-{number}" for number in range(13)]
    assert len(watched.handed_out) == len(set(watched.handed_out)) == 13
    assert (await room.mailbox()).read_error is None


async def test_a_renumbered_folder_longer_than_a_turn_is_read_through_and_counts_nothing_twice(
    installation: Installation, mail_stack: MailStack, reader: MailReader, parser: MailParser
) -> None:
    room, account = await filled(installation, mail_stack, 15)
    watched = _Watched(reader)
    loop = loop_of(room, watched, parser, patience=ONE_BATCH)
    await loop.poll_all()
    for number in range(15, 25):
        mail_stack.deliver(account.email, letter(sender="x@y.test", subject=f"number-{number}"))
    mail_stack.bump_uidvalidity(account.email)
    watched.handed_out.clear()
    await loop.poll_all()
    assert await subjects(room) == [f"number-{number}" for number in range(25)]
    assert len(watched.handed_out) == len(set(watched.handed_out)) == 25
    assert (await room.mailbox()).total_received == 25


async def test_a_long_first_look_lets_the_other_mailboxes_have_their_turn(
    installation: Installation, mail_stack: MailStack, reader: MailReader, parser: MailParser
) -> None:
    room, _ = await filled(installation, mail_stack, 25)
    watched = _Watched(reader)
    async with receiving(room, watched, parser, poll_seconds=3_600, patience=ONE_BATCH):
        await until(lambda: _has_all(room, 25))
        await until(lambda: _is_polled(room))
    assert watched.looks > 3, "each turn ended behind its batch, and the next one came by itself"


async def test_what_a_look_took_in_stays_when_the_engine_is_killed_and_another_goes_on_there(
    installation: Installation, mail_stack: MailStack, reader: MailReader, parser: MailParser
) -> None:
    room, _ = await filled(installation, mail_stack, 25)
    await parser.parse(letter())
    first = _Watched(reader, hangs_after=1)
    await loop_of(room, first, parser, patience=SHORT).poll_all()
    await room.change(Mailbox, room.key.mailbox_id, read_lease_owner=None)
    second = _Watched(reader)
    await loop_of(room, second, parser, "second").poll_all()
    assert await subjects(room) == [f"number-{number}" for number in range(25)]
    assert (len(first.handed_out), len(second.handed_out)) == (10, 15)


async def _has_all(room: Mailroom, count: int) -> bool:
    return len(await room.messages()) == count


async def _is_polled(room: Mailroom) -> bool:
    cursors = await room.installation.app.database.read(lambda s: folder_cursors(s, room.key))
    return {cursor.folder for cursor in cursors} == {"INBOX", "Junk"}


class _Listening(_Watched):
    """A reader that keeps count of who listens, and hands out nothing before it may."""

    def __init__(self, reader: MailReader) -> None:
        super().__init__(reader)
        self.may = asyncio.Event()
        self.asked = asyncio.Event()
        self.listened = self.listens = 0

    async def read_new(
        self, account: MailAccount, cursors: Sequence[FolderCursor], *, since: datetime, batch_size: int = 50
    ) -> AsyncIterator[FolderBatch]:
        self.asked.set()
        await self.may.wait()
        async for batch in super().read_new(account, cursors, since=since, batch_size=batch_size):
            yield batch

    async def wait_for_mail(self, account: MailAccount, timeout_seconds: float) -> bool:
        self.listened += 1
        self.listens += 1
        try:
            return await super().wait_for_mail(account, timeout_seconds)
        finally:
            self.listens -= 1


async def test_a_mailbox_that_is_taken_out_while_it_is_looked_at_is_not_listened_to(
    installation: Installation, mail_stack: MailStack, reader: MailReader, parser: MailParser
) -> None:
    room, _ = await filled(installation, mail_stack, 1)
    listening = _Listening(reader)

    async def listens() -> int:
        return listening.listened

    async with receiving(room, listening, parser, poll_seconds=3_600) as loop:
        await asyncio.wait_for(listening.asked.wait(), 30)
        await room.change(Mailbox, room.key.mailbox_id, status="pending")
        await loop.poll_all()
        await room.change(Mailbox, room.key.mailbox_id, status="active")
        listening.may.set()
        await loop.poll_all()
        await until(listens)
    assert listening.listens == 0, "whoever listened has ended with the loop"
