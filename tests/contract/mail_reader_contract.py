"""What every MailReader keeps to, whatever is behind it. Subclass MailReaderContract and give it the two fixtures."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

import anyio
import pytest

from postrider.inbox.ports import FetchedMail, FolderBatch, FolderCursor, FolderRole, MailReader
from postrider.mailboxes.ports import MailAccount

DEADLINE_SECONDS = 20


class MailboxPeer(Protocol):
    """The other side: what happens to one account's mail, by other hands than the reader's.

    ``account`` is fresh for each test, has a junk and a Sent folder, and its provider keeps no copies by itself.
    """

    @property
    def account(self) -> MailAccount:
        """The account to read."""

    async def deliver(self, raw: bytes) -> None:
        """Puts a new message into INBOX."""

    async def deliver_to_junk(self, raw: bytes) -> None:
        """Puts a new message into the junk folder."""

    async def renumber(self) -> None:
        """Gives INBOX another UID validity."""

    async def inbox_flags(self) -> Sequence[bool]:
        """Whether each message of INBOX is marked as seen, oldest first."""

    async def sent(self) -> Sequence[tuple[bytes, bool]]:
        """The messages of Sent with whether each is marked as seen."""


def mail(name: str, *, size_bytes: int = 0) -> bytes:
    """A small message that ``names_of`` recognises."""
    head = f"From: lead@elsewhere.invalid\r\nSubject: {name}\r\nMessage-ID: <{name}@elsewhere.invalid>\r\n\r\n"
    return head.encode() + b"Hello.\r\n" + (b"x" * 70 + b"\r\n") * (size_bytes // 72)


def names_of(mails: Sequence[FetchedMail]) -> list[str]:
    """The names given to ``mail``, in order."""
    lines = (line for each in mails for line in each.raw.split(b"\r\n\r\n")[0].split(b"\r\n"))
    return [line.removeprefix(b"Subject: ").decode() for line in lines if line.startswith(b"Subject: ")]


class Reading:
    """Reads an account as the engine does: keeps the cursor of each batch and goes on from there."""

    def __init__(self, reader: MailReader, account: MailAccount) -> None:
        self._reader = reader
        self._account = account
        self.cursors: dict[str, FolderCursor] = {}
        self.since = datetime.now(UTC) - timedelta(days=3)

    async def next(self, *, batch_size: int = 50, stop_after_batches: int | None = None) -> list[FolderBatch]:
        """All batches there are now, or the first few of them."""
        batches: list[FolderBatch] = []
        news = self._reader.read_new(
            self._account, tuple(self.cursors.values()), since=self.since, batch_size=batch_size
        )
        async for batch in news:
            self.cursors[batch.cursor.folder] = batch.cursor
            batches.append(batch)
            if len(batches) == stop_after_batches:
                break
        return batches

    async def next_names(self, role: FolderRole = "inbox", *, batch_size: int = 50) -> list[str]:
        """The names of all mail there is now in a folder."""
        return names_of(mails_of(await self.next(batch_size=batch_size), role))


def mails_of(batches: Sequence[FolderBatch], role: FolderRole = "inbox") -> list[FetchedMail]:
    """The messages of one folder, in the order in which they came."""
    return [each for batch in batches if batch.cursor.role == role for each in batch.mails]


class MailReaderContract:
    """The promises of the port, one test each."""

    @pytest.fixture
    def anyio_backend(self) -> str:
        """The event loop that the adapters are made for."""
        return "asyncio"

    async def test_a_first_look_gives_all_recent_mail_oldest_first_and_says_that_it_may_be_known(
        self, reader: MailReader, peer: MailboxPeer
    ) -> None:
        for name in ("first", "second", "third"):
            await peer.deliver(mail(name))
        batches = await Reading(reader, peer.account).next()
        assert names_of(mails_of(batches)) == ["first", "second", "third"]
        assert all(batch.rescan for batch in batches)

    async def test_a_first_look_at_an_empty_mailbox_leaves_cursors_for_the_next_one(
        self, reader: MailReader, peer: MailboxPeer
    ) -> None:
        reading = Reading(reader, peer.account)
        assert mails_of(await reading.next()) == []
        await peer.deliver(mail("later"))
        batches = await reading.next()
        assert names_of(mails_of(batches)) == ["later"]
        assert not any(batch.rescan for batch in batches)

    async def test_reading_again_from_the_cursors_gives_nothing_twice(
        self, reader: MailReader, peer: MailboxPeer
    ) -> None:
        await peer.deliver(mail("once"))
        reading = Reading(reader, peer.account)
        assert await reading.next_names() == ["once"]
        assert await reading.next() == []
        await peer.deliver(mail("news"))
        assert await reading.next_names() == ["news"]
        assert await reading.next() == []

    async def test_batches_hold_at_most_what_was_asked_for_and_each_cursor_ends_with_its_batch(
        self, reader: MailReader, peer: MailboxPeer
    ) -> None:
        reading = Reading(reader, peer.account)
        await reading.next()
        for number in range(5):
            await peer.deliver(mail(f"number-{number}"))
        batches = await reading.next(batch_size=2)
        assert [len(batch.mails) for batch in batches] == [2, 2, 1]
        assert all(batch.cursor.last_uid == batch.mails[-1].uid for batch in batches)

    async def test_a_reading_cut_short_goes_on_behind_its_last_batch(
        self, reader: MailReader, peer: MailboxPeer
    ) -> None:
        reading = Reading(reader, peer.account)
        await reading.next()
        for name in ("a", "b", "c"):
            await peer.deliver(mail(name))
        assert names_of(mails_of(await reading.next(batch_size=1, stop_after_batches=1))) == ["a"]
        assert await reading.next_names() == ["b", "c"]

    async def test_a_first_look_cut_short_goes_on_there_and_finds_what_came_meanwhile(
        self, reader: MailReader, peer: MailboxPeer
    ) -> None:
        for name in ("a", "b", "c"):
            await peer.deliver(mail(name))
        reading = Reading(reader, peer.account)
        found: list[str] = []
        for _ in range(3):
            batches = await reading.next(batch_size=1, stop_after_batches=1)
            assert all(batch.rescan for batch in batches)
            found += names_of(mails_of(batches))
            await peer.deliver(mail(f"after {found[-1]}"))
        assert found == ["a", "b", "c"]
        assert await reading.next_names() == ["after a", "after b", "after c"]
        assert await reading.next() == []

    async def test_a_renumbered_folder_whose_reading_is_cut_short_goes_on_there(
        self, reader: MailReader, peer: MailboxPeer
    ) -> None:
        for name in ("a", "b"):
            await peer.deliver(mail(name))
        reading = Reading(reader, peer.account)
        await reading.next()
        await peer.deliver(mail("c"))
        await peer.renumber()
        assert names_of(mails_of(await reading.next(batch_size=1, stop_after_batches=1))) == ["a"]
        assert await reading.next_names() == ["b", "c"]
        assert await reading.next() == []

    async def test_a_renumbered_folder_is_read_again_without_losing_anything(
        self, reader: MailReader, peer: MailboxPeer
    ) -> None:
        await peer.deliver(mail("known"))
        reading = Reading(reader, peer.account)
        await reading.next()
        await peer.deliver(mail("unread"))
        await peer.renumber()
        batches = await reading.next()
        assert names_of(mails_of(batches)) == ["known", "unread"]
        assert all(batch.rescan for batch in batches)
        assert await reading.next() == []

    async def test_a_first_look_passes_over_mail_from_before_the_given_day(
        self, reader: MailReader, peer: MailboxPeer
    ) -> None:
        await peer.deliver(mail("old by then"))
        reading = Reading(reader, peer.account)
        reading.since = datetime.now(UTC) + timedelta(days=3)
        assert await reading.next_names() == []
        await peer.deliver(mail("new"))
        assert await reading.next_names() == ["new"]

    async def test_mail_in_the_junk_folder_is_found_and_named_so(self, reader: MailReader, peer: MailboxPeer) -> None:
        await peer.deliver(mail("welcome"))
        await peer.deliver_to_junk(mail("misjudged"))
        reading = Reading(reader, peer.account)
        batches = await reading.next()
        assert names_of(mails_of(batches, "inbox")) == ["welcome"]
        assert names_of(mails_of(batches, "junk")) == ["misjudged"]
        await peer.deliver_to_junk(mail("again"))
        assert await reading.next_names("junk") == ["again"]

    async def test_a_message_comes_whole_with_size_and_date(self, reader: MailReader, peer: MailboxPeer) -> None:
        raw = mail("whole", size_bytes=200_000)
        await peer.deliver(raw)
        (got,) = mails_of(await Reading(reader, peer.account).next())
        assert got.raw.endswith(raw)
        assert got.size_bytes == len(got.raw)
        assert not got.truncated
        assert got.internal_date is not None
        assert abs(got.internal_date - datetime.now(UTC)) < timedelta(minutes=5)

    async def test_reading_marks_nothing_as_seen(self, reader: MailReader, peer: MailboxPeer) -> None:
        await peer.deliver(mail("unread"))
        (got,) = mails_of(await Reading(reader, peer.account).next())
        assert not got.seen
        assert await peer.inbox_flags() == [False]

    async def test_marking_as_seen_touches_that_message_only(self, reader: MailReader, peer: MailboxPeer) -> None:
        for name in ("a", "b", "c"):
            await peer.deliver(mail(name))
        mails = mails_of(await Reading(reader, peer.account).next())
        await reader.mark_seen(peer.account, "INBOX", mails[1].uid)
        assert await peer.inbox_flags() == [False, True, False]
        assert [each.seen for each in mails_of(await Reading(reader, peer.account).next())] == [False, True, False]

    async def test_waiting_ends_when_mail_comes(self, reader: MailReader, peer: MailboxPeer) -> None:
        await Reading(reader, peer.account).next()
        with anyio.fail_after(DEADLINE_SECONDS):
            async with anyio.create_task_group() as side:
                side.start_soon(peer.deliver, mail("surprise"))
                assert await reader.wait_for_mail(peer.account, DEADLINE_SECONDS)

    async def test_waiting_ends_at_once_when_mail_came_since_the_last_reading(
        self, reader: MailReader, peer: MailboxPeer
    ) -> None:
        await Reading(reader, peer.account).next()
        await peer.deliver(mail("in between"))
        with anyio.fail_after(DEADLINE_SECONDS):
            assert await reader.wait_for_mail(peer.account, DEADLINE_SECONDS * 2)

    async def test_waiting_in_vain_ends_with_the_timeout(self, reader: MailReader, peer: MailboxPeer) -> None:
        await peer.deliver(mail("known"))
        await Reading(reader, peer.account).next()
        assert not await reader.wait_for_mail(peer.account, 0.2)

    async def test_a_copy_in_sent_is_marked_seen_and_can_be_found(self, reader: MailReader, peer: MailboxPeer) -> None:
        raw = mail("ours")
        assert await reader.find_in_sent(peer.account, "<ours@elsewhere.invalid>") is None
        assert await reader.append_to_sent(peer.account, raw)
        assert await peer.sent() == [(raw, True)]
        assert await reader.find_in_sent(peer.account, "<ours@elsewhere.invalid>") == "<ours@elsewhere.invalid>"
        assert await reader.find_in_sent(peer.account, "<other@elsewhere.invalid>") is None

    async def test_a_message_id_that_no_message_can_have_is_not_found(
        self, reader: MailReader, peer: MailboxPeer
    ) -> None:
        await reader.append_to_sent(peer.account, mail("ours"))
        for strange in (
            '<ours@elsewhere.invalid>" ALL',
            "<a@b>\r\nx LOGOUT",
            "<\xe4@b.invalid>",
            '"',
            "\\",
            "",
            "<>",
            "ours",
        ):
            assert await reader.find_in_sent(peer.account, strange) is None
