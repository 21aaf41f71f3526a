"""The IMAP reader against a real Dovecot: what it reads, and what it leaves alone."""

import asyncio
import imaplib
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import anyio
import pytest

from postrider.adapters.imap import ImapReader
from postrider.adapters.imap_session import ImapLimits
from postrider.kernel.errors import Upstream
from tests.contract.mail_reader_contract import DEADLINE_SECONDS, MailReaderContract, Reading, mail, mails_of, names_of
from tests.mailstack.faults import FaultProxy, ScriptedImap
from tests.mailstack.fixtures import mail_stack
from tests.mailstack.readers import at, behind, reader_of
from tests.mailstack.stack import MailStack

__all__ = ["mail_stack"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def reader(mail_stack: MailStack) -> AsyncIterator[ImapReader]:
    reader = reader_of(mail_stack)
    yield reader
    await reader.close()


class DovecotPeer:
    """An account of the mail stack, seen from outside."""

    def __init__(self, stack: MailStack) -> None:
        self._stack = stack
        self.account = stack.new_account()

    async def deliver(self, raw: bytes) -> None:
        await asyncio.to_thread(self._stack.deliver, self.account.email, raw)

    async def deliver_to_junk(self, raw: bytes) -> None:
        await asyncio.to_thread(self._stack.deliver_to_junk, self.account.email, raw)

    async def renumber(self) -> None:
        await asyncio.to_thread(self._stack.bump_uidvalidity, self.account.email)

    async def inbox_flags(self) -> Sequence[bool]:
        return ["S" in flags for flags in self._stack.flags(self.account.email)]

    async def sent(self) -> Sequence[tuple[bytes, bool]]:
        stack, address = self._stack, self.account.email
        seen = ["S" in flags for flags in stack.flags(address, "Sent")]
        return list(zip(stack.messages(address, "Sent"), seen, strict=True))


class TestImapReaderKeepsTheContract(MailReaderContract):
    @pytest.fixture
    def peer(self, mail_stack: MailStack) -> DovecotPeer:
        return DovecotPeer(mail_stack)


async def test_a_connection_lost_in_a_fetch_is_opened_again_and_each_message_comes_once(
    mail_stack: MailStack, reader: ImapReader
) -> None:
    account = mail_stack.new_account()
    for number in range(6):
        mail_stack.deliver(account.email, mail(f"number-{number}", size_bytes=20_000))
    async with FaultProxy(mail_stack.imap_port) as proxy:
        proxy.cut_after(b"BODY[]", 5_000)
        reading = Reading(reader, behind(account, proxy.port))
        assert await reading.next_names(batch_size=2) == [f"number-{number}" for number in range(6)]
        assert proxy.connections == 2
        assert b"BODY.PEEK[]" in proxy.received and b" BODY[" not in proxy.received


async def test_a_connection_that_keeps_breaking_fails_and_the_next_reading_goes_on_there(
    mail_stack: MailStack, reader: ImapReader
) -> None:
    account = mail_stack.new_account()
    async with FaultProxy(mail_stack.imap_port) as proxy:
        reading = Reading(reader, behind(account, proxy.port))
        await reading.next()
        for number in range(4):
            mail_stack.deliver(account.email, mail(f"number-{number}"))
        proxy.cut_after(b"Subject: number-2", 0, times=2)
        with pytest.raises(Upstream) as caught:
            await reading.next(batch_size=2)
        assert (caught.value.error_code, caught.value.retryable) == ("IMAP_CONNECTION_LOST", True)
        assert await reading.next_names() == ["number-2", "number-3"]


async def test_a_folder_renumbered_between_two_batches_loses_nothing(mail_stack: MailStack, reader: ImapReader) -> None:
    account = mail_stack.new_account()
    reading = Reading(reader, account)
    await reading.next()
    for number in range(4):
        mail_stack.deliver(account.email, mail(f"number-{number}"))
    seen: list[str] = []
    news = reader.read_new(account, tuple(reading.cursors.values()), since=reading.since, batch_size=2)
    async for batch in news:
        if not seen:
            mail_stack.bump_uidvalidity(account.email)
        seen += names_of(batch.mails)
        reading.cursors[batch.cursor.folder] = batch.cursor
    seen += await reading.next_names()
    assert set(seen) == {f"number-{number}" for number in range(4)}
    assert await reading.next() == []


async def test_a_folder_that_counts_from_a_lower_number_again_is_read_anew(
    mail_stack: MailStack, reader: ImapReader
) -> None:
    account = mail_stack.new_account()
    mail_stack.deliver(account.email, mail("restored"))
    reading = Reading(reader, account)
    await reading.next()
    reading.cursors["INBOX"] = replace(reading.cursors["INBOX"], last_uid=1_000)
    assert await reading.next_names() == ["restored"]
    assert reading.cursors["INBOX"].last_uid == 1


async def test_mail_in_two_folders_is_given_from_both_with_the_same_bytes(
    mail_stack: MailStack, reader: ImapReader
) -> None:
    account = mail_stack.new_account()
    mail_stack.deliver(account.email, mail("twin"))
    mail_stack.copy_to_junk(account.email)
    batches = await Reading(reader, account).next()
    (here,), (there,) = mails_of(batches, "inbox"), mails_of(batches, "junk")
    assert here.raw == there.raw


async def test_mail_moved_to_junk_after_it_was_read_turns_up_there(mail_stack: MailStack, reader: ImapReader) -> None:
    account = mail_stack.new_account()
    mail_stack.deliver(account.email, mail("wanderer"))
    reading = Reading(reader, account)
    assert await reading.next_names() == ["wanderer"]
    mail_stack.move_to_junk(account.email)
    assert await reading.next_names("junk") == ["wanderer"]


async def test_reading_leaves_messages_that_others_marked_as_deleted(mail_stack: MailStack, reader: ImapReader) -> None:
    account = mail_stack.new_account()
    for name in ("a", "b"):
        mail_stack.deliver(account.email, mail(name))
    first, second = mails_of(await Reading(reader, account).next())
    with imaplib.IMAP4("127.0.0.1", mail_stack.imap_port) as client:
        assert account.imap is not None
        client.login(account.imap.username, account.imap.password.reveal())
        client.select()
        client.store("1", "+FLAGS", r"(\Deleted)")
    await reader.mark_seen(account, "INBOX", second.uid)
    assert mail_stack.flags(account.email) == ["T", "S"]
    assert first.uid < second.uid


async def test_a_message_above_the_cap_comes_cut_and_the_others_whole_and_in_order(mail_stack: MailStack) -> None:
    limits = ImapLimits(max_message_bytes=50_000, truncated_bytes=2_000, batch_bytes=60_000)
    reader = reader_of(mail_stack, limits)
    account = mail_stack.new_account()
    sizes = {"small-1": 100, "large-1": 60_000, "large-2": 200_000, "small-2": 40_000, "small-3": 40_000}
    for name, size in sizes.items():
        mail_stack.deliver(account.email, mail(name, size_bytes=size))
    mails = mails_of(await Reading(reader, account).next())
    assert names_of(mails) == list(sizes)
    assert [each.truncated for each in mails] == [False, True, True, False, False]
    assert [len(each.raw) == each.size_bytes for each in mails] == [True, False, False, True, True]
    assert all(len(each.raw) == 2_000 and each.size_bytes > 50_000 for each in mails if each.truncated)
    await reader.close()


async def test_what_a_server_says_twice_or_unasked_counts_once(reader: ImapReader) -> None:
    sizes = b"".join(b"* %d FETCH (UID %d RFC822.SIZE 18 FLAGS ())\r\n" % (n, n) for n in (2, 1, 2, 9))
    one = b"* %d FETCH (FLAGS (UID 9 \\Seen) UID %d BODY[]<0> {18}\r\nSubject: no-%d\r\n\r\n)\r\n"
    bodies = b"".join(one % (n, n, n) for n in (2, 1, 2, 9)) + b"* 1 FETCH (FLAGS (\\Seen))\r\n"
    async with ScriptedImap(
        (rb"UID SEARCH", b"* SEARCH 2 1\r\n* SEARCH 2\r\nTAG OK done\r\n"),
        (rb"UID FETCH \S+ \(UID RFC822", sizes + b"TAG OK done\r\n"),
        (rb"UID FETCH", bodies + b"TAG OK done\r\n"),
    ) as server:
        assert await Reading(reader, at(server)).next_names() == ["no-1", "no-2"]


async def test_a_message_that_the_server_will_not_hand_out_stays_alone(reader: ImapReader) -> None:
    sizes = b"".join(b'* %d FETCH (UID %d RFC822.SIZE 18 FLAGS () INTERNALDATE "x")\r\n' % (n, n) for n in (1, 2, 3))
    one = b"* %d FETCH (UID %d BODY[]<0> {18}\r\nSubject: no-%d\r\n\r\n)\r\nTAG OK done\r\n"
    async with ScriptedImap(
        (rb"UID FETCH \S+ \(UID RFC822", sizes + b"TAG OK done\r\n"),
        (rb"UID FETCH 1 ", one % (1, 1, 1)),
        (rb"UID FETCH 3 ", one % (3, 3, 3)),
        (rb"UID FETCH", b"TAG NO [SERVERBUG] cannot read it\r\n"),
    ) as server:
        mails = mails_of(await Reading(reader, at(server)).next())
    assert names_of(mails) == ["no-1", "no-3"]
    assert [(each.uid, each.raw == b"", each.truncated) for each in mails] == [
        (1, False, False),
        (2, True, True),
        (3, False, False),
    ]


async def test_a_message_deleted_meanwhile_is_passed_over_and_the_next_ones_come(
    mail_stack: MailStack, reader: ImapReader
) -> None:
    account = mail_stack.new_account()
    reading = Reading(reader, account)
    await reading.next()
    for number in range(5):
        mail_stack.deliver(account.email, mail(f"number-{number}"))
    got: list[str] = []
    news = reader.read_new(account, tuple(reading.cursors.values()), since=reading.since, batch_size=3)
    async for batch in news:
        if not got:
            with imaplib.IMAP4("127.0.0.1", mail_stack.imap_port) as client:
                assert account.imap is not None
                client.login(account.imap.username, account.imap.password.reveal())
                client.select()
                client.store("1,4", "+FLAGS", r"(\Deleted)")
                client.expunge()
        got += names_of(batch.mails)
    assert got == ["number-0", "number-1", "number-2", "number-4"]


async def test_a_message_without_a_size_or_left_out_of_a_long_answer_is_not_lost(reader: ImapReader) -> None:
    sizes = b"* 1 FETCH (UID 1 FLAGS ())\r\n" + b"".join(
        b"* %d FETCH (UID %d RFC822.SIZE 18)\r\n" % (n, n) for n in (2, 3)
    )
    one = b"* %d FETCH (UID %d BODY[]<0> {18}\r\nSubject: no-%d\r\n\r\n)\r\nTAG OK done\r\n"
    async with ScriptedImap(
        (rb"UID FETCH \S+ \(UID RFC822", sizes + b"TAG OK done\r\n"),
        (rb"UID FETCH 1 ", one % (1, 1, 1)),
        (rb"UID FETCH (2,3|2) ", one % (2, 2, 2)),
        (rb"UID FETCH 3 ", one % (3, 3, 3)),
    ) as server:
        mails = mails_of(await Reading(reader, at(server)).next())
    assert names_of(mails) == ["no-1", "no-2", "no-3"]
    assert [(each.size_bytes, each.truncated) for each in mails] == [(18, False)] * 3


async def test_a_message_that_cannot_even_be_measured_does_not_hold_up_the_others(reader: ImapReader) -> None:
    async with ScriptedImap(
        (rb"UID SEARCH", b"* SEARCH 1 2\r\nTAG OK done\r\n"),
        (rb"UID FETCH 1 \(UID RFC822", b"* 1 FETCH (UID 1 RFC822.SIZE 18)\r\nTAG OK done\r\n"),
        (rb"UID FETCH 1 ", b"* 1 FETCH (UID 1 BODY[]<0> {18}\r\nSubject: no-1\r\n\r\n)\r\nTAG OK done\r\n"),
        (rb"UID FETCH", b"TAG NO [SERVERBUG] cannot read it\r\n"),
    ) as server:
        mails = mails_of(await Reading(reader, at(server)).next())
    assert [(each.uid, len(each.raw), each.truncated) for each in mails] == [(1, 18, False), (2, 0, True)]


async def test_waiting_blocks_no_other_call_on_the_account(mail_stack: MailStack) -> None:
    reader = reader_of(mail_stack, ImapLimits(threads=1))
    account = mail_stack.new_account()
    reading = Reading(reader, account)
    await reading.next()
    with anyio.fail_after(DEADLINE_SECONDS):
        waiting = asyncio.create_task(reader.wait_for_mail(account, DEADLINE_SECONDS))
        assert await reader.append_to_sent(account, mail("ours"))
        assert await reading.next_names() == []
        mail_stack.deliver(account.email, mail("news"))
        assert await waiting
    await reader.close()


async def test_idle_is_issued_again_before_the_server_loses_patience(mail_stack: MailStack) -> None:
    assert ImapLimits().idle_seconds < 29 * 60, "RFC 2177 section 3"
    reader = reader_of(mail_stack, ImapLimits(idle_seconds=0.1))
    async with FaultProxy(mail_stack.imap_port) as proxy:
        account = behind(mail_stack.new_account(), proxy.port)
        assert not await reader.wait_for_mail(account, 0.5)
        assert proxy.received.count(b" IDLE\r\n") >= 3
        assert proxy.received.count(b" IDLE\r\n") == proxy.received.count(b"DONE\r\n")
        assert proxy.connections == 1
    await reader.close()


async def test_a_server_without_idle_is_asked_now_and_then(mail_stack: MailStack) -> None:
    reader = reader_of(mail_stack, ImapLimits(poll_seconds=0.05))
    async with FaultProxy(mail_stack.imap_port, rewrite=lambda chunk: chunk.replace(b" IDLE", b"")) as proxy:
        account = behind(mail_stack.new_account(), proxy.port)
        await Reading(reader, account).next()
        assert not await reader.wait_for_mail(account, 0.2)
        with anyio.fail_after(DEADLINE_SECONDS):
            waiting = asyncio.create_task(reader.wait_for_mail(account, DEADLINE_SECONDS))
            mail_stack.deliver(account.email, mail("news"))
            assert await waiting
        assert b"IDLE" not in proxy.received
    await reader.close()


async def test_a_copy_for_sent_is_never_stored_twice(mail_stack: MailStack, reader: ImapReader) -> None:
    account = mail_stack.new_account()
    async with FaultProxy(mail_stack.imap_port) as proxy:
        proxy.cut_after(b"OK [APPENDUID", 0)
        with pytest.raises(Upstream) as caught:
            await reader.append_to_sent(behind(account, proxy.port), mail("ours"))
        assert caught.value.error_code == "IMAP_CONNECTION_LOST"
    assert mail_stack.messages(account.email, "Sent") == [mail("ours")]


@pytest.mark.parametrize("provider", ["gmail", "outlook"])
async def test_providers_that_keep_their_own_copy_get_none_from_us(
    mail_stack: MailStack, reader: ImapReader, provider: str
) -> None:
    account = mail_stack.new_account(provider="gmail" if provider == "gmail" else "outlook")
    assert not await reader.append_to_sent(account, mail("ours"))
    await reader.check_imap(account)
    assert mail_stack.messages(account.email, "Sent") == []


async def test_folders_without_special_use_are_known_by_name(mail_stack: MailStack, reader: ImapReader) -> None:
    def without_special_use(chunk: bytes) -> bytes:
        return re.sub(rb" ?\\(Junk|Sent)\b", b"", chunk).replace(b" SPECIAL-USE", b"")

    account = mail_stack.new_account()
    mail_stack.deliver_to_junk(account.email, mail("misjudged"))
    async with FaultProxy(mail_stack.imap_port, rewrite=without_special_use) as proxy:
        plain = behind(account, proxy.port)
        assert await Reading(reader, plain).next_names("junk") == ["misjudged"]
        assert await reader.append_to_sent(plain, mail("ours"))


async def test_a_junk_folder_that_cannot_be_opened_keeps_nobody_from_inbox(reader: ImapReader) -> None:
    async with ScriptedImap(
        (rb"LIST", b'* LIST () "/" INBOX\r\n* LIST (\\Junk) "/" Spam\r\nTAG OK done\r\n'),
        (rb'EXAMINE "Spam"', b"TAG NO [NOPERM] not for you\r\n"),
        (rb"UID SEARCH", b"* SEARCH\r\nTAG OK done\r\n"),
    ) as server:
        batches = await Reading(reader, at(server)).next()
    assert [batch.cursor.folder for batch in batches] == ["INBOX"]
