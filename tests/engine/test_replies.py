"""The reply loop over real SMTP on loopback: once each, in its thread, honest about what is not known."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import anyio
import pytest
from sqlalchemy import update

from postrider.access.tables import Workspace
from postrider.dnc.queries import add_entries
from postrider.dnc.rules import DncKey
from postrider.dnc.tables import DncEntry
from postrider.engine.worker import Engine, Outside, run_when_free
from postrider.inbox.ports import FolderBatch, FolderCursor
from postrider.inbox.tables import Conversation
from postrider.kernel.errors import Conflict, Upstream
from postrider.mailboxes.ports import MailAccount
from postrider.mailboxes.queries import secret_owner
from postrider.mailboxes.tables import Mailbox
from postrider.sending.tables import Attempt, Event
from tests.conftest import Installation
from tests.engine.reply_world import SECOND, parsed, queue, replies, reply_attempts, run_for, write
from tests.engine.world import USERS, World, pass_time, running_engine
from tests.features.inbox_world import ANSWER_ID, FIRST_ID, add_inbound, inbox, list_on_dnc
from tests.integration.smtp_rig import transport_with
from tests.integration.smtp_sink import Rule, SmtpSink


async def test_a_reply_leaves_at_once_in_its_thread_and_as_itself(installation: Installation) -> None:
    async with SmtpSink(users=USERS) as sink:
        world, [conversation_id] = await inbox(installation, port=sink.port)
        async with running_engine(installation, transport_with()) as engine:
            await pass_time(installation, engine, SECOND)
            reply_id = await queue(installation, conversation_id, "<p>Thanks, <b>see</b> https://acme.test</p>")
            await pass_time(installation, engine, SECOND)
        [mail] = sink.accepted
    message = parsed(mail.data)
    assert mail.recipients == ("lead0@lead0.test",)
    assert message["Subject"] == "Re: Hello there"
    assert message["In-Reply-To"] == ANSWER_ID.format(0)
    assert message["References"].split() == [FIRST_ID.format(0), ANSWER_ID.format(0)]
    assert message["From"] == "Sender 0 <sender0@acme.test>"
    assert message["To"] == "First0 <lead0@lead0.test>"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert "<b>see</b>" in mail.data.decode()
    assert not {"List-Unsubscribe", "Precedence", "Auto-Submitted", "Bcc"} & set(message.keys())
    [row] = await replies(world)
    assert (row.id, row.status, row.error, row.lease_owner) == (reply_id, "sent", None, None)
    [attempt] = await reply_attempts(world)
    assert (attempt.state, attempt.purpose_key, attempt.conversation_id) == ("sent", reply_id, conversation_id)
    thread = await installation.call("get_conversation", id=conversation_id)
    last = thread["messages"][-1]
    assert (last["type"], last["state"], last["subject"]) == ("manual", "sent", "Re: Hello there")
    assert thread["messageCount"] == 3
    assert (await installation.call("list_scheduled_replies", id=conversation_id))["items"] == []


async def test_a_second_reply_continues_the_chain(installation: Installation) -> None:
    async with SmtpSink(users=USERS) as sink:
        world, [conversation_id] = await inbox(installation, port=sink.port)
        async with running_engine(installation, transport_with()) as engine:
            await queue(installation, conversation_id, "one")
            await pass_time(installation, engine, SECOND)
            await queue(installation, conversation_id, "two")
            await pass_time(installation, engine, SECOND)
            first = parsed(sink.accepted[0].data)
            await add_inbound(
                world,
                conversation_id,
                "And?",
                installation.clock.now(),
                message_id="<third@lead.test>",
                thread_ids=[FIRST_ID.format(0), ANSWER_ID.format(0), first["Message-ID"]],
            )
            await queue(installation, conversation_id, "three")
            await pass_time(installation, engine, SECOND)
    one, two, three = (parsed(mail.data) for mail in sink.accepted)
    start = [FIRST_ID.format(0), ANSWER_ID.format(0)]
    assert two["In-Reply-To"] == one["Message-ID"]
    assert two["References"].split() == [*start, one["Message-ID"]]
    assert three["References"].split() == [*start, one["Message-ID"], "<third@lead.test>"]
    assert {mail["Subject"] for mail in (one, two, three)} == {"Re: Hello there"}


async def test_hostile_ids_and_subjects_of_strangers_inject_no_header(installation: Installation) -> None:
    async with SmtpSink(users=USERS) as sink:
        world, [conversation_id] = await inbox(installation, port=sink.port)
        await write(installation, update(Attempt).values(content={"text": "x"}))
        await add_inbound(
            world,
            conversation_id,
            "x",
            installation.clock.now(),
            message_id="<good@lead.test>",
            thread_ids=["<a\r\nBcc: evil@evil.test>", "no brackets", "<" + "x" * 2000 + ">", "<fine@lead.test>"],
            subject="Hi\r\nBcc: evil@evil.test",
        )
        await queue(installation, conversation_id)
        await run_for(installation, SECOND)
        [mail] = sink.accepted
    message = parsed(mail.data)
    assert mail.recipients == ("lead0@lead0.test",)
    assert message["Bcc"] is None
    assert message["References"].split()[-2:] == ["<fine@lead.test>", "<good@lead.test>"]
    assert max(len(line) for line in mail.data.split(b"\r\n")) <= 998
    assert [row.status for row in await replies(world)] == ["sent"]


async def test_copies_get_it_and_blind_ones_stay_blind(installation: Installation) -> None:
    async with SmtpSink(users=USERS) as sink:
        world, [conversation_id] = await inbox(installation, port=sink.port)
        await queue(installation, conversation_id, cc=["cc@acme.test", "gone@acme.test"], bcc=["bcc@acme.test"])
        await list_on_dnc(world, "gone@acme.test", "unsubscribe")
        await run_for(installation, SECOND)
        [mail] = sink.accepted
    assert mail.recipients == ("lead0@lead0.test", "cc@acme.test", "bcc@acme.test")
    assert b"bcc@acme.test" not in mail.data
    assert parsed(mail.data)["Cc"] == "cc@acme.test"


async def test_a_scheduled_reply_waits_for_its_instant(installation: Installation) -> None:
    async with SmtpSink(users=USERS) as sink:
        _, [conversation_id] = await inbox(installation, port=sink.port)
        at = installation.clock.now() + timedelta(days=2)
        async with running_engine(installation, transport_with()) as engine:
            await queue(installation, conversation_id, scheduledFor=at.isoformat())
            await pass_time(installation, engine, timedelta(days=2) - SECOND)
            assert sink.accepted == []
            await pass_time(installation, engine, 2 * SECOND)
            assert len(sink.accepted) == 1
    assert parsed(sink.accepted[0].data)["Date"].datetime == at


async def test_many_replies_of_one_mailbox_leave_once_each(installation: Installation) -> None:
    async with SmtpSink(users=USERS) as sink:
        world, ids = await inbox(installation, port=sink.port, leads=12)
        for conversation_id in ids:
            await queue(installation, conversation_id)
        await run_for(installation, SECOND)
        assert sorted(mail.recipients for mail in sink.accepted) == sorted(
            (f"lead{number}@lead{number}.test",) for number in range(12)
        )
    assert {row.status for row in await replies(world)} == {"sent"}
    [mailbox] = await world.rows(Mailbox)
    assert mailbox.total_sent == 12
    kinds = [event.kind for event in await world.rows(Event)]
    assert kinds == ["reply_sent"] * 12


async def test_greylisting_is_retried_under_the_same_message_id_and_words(installation: Installation) -> None:
    async with SmtpSink([Rule("rcpt", reply="451 4.7.1 Later", times=2)], users=USERS) as sink:
        world, [conversation_id] = await inbox(installation, port=sink.port)
        await queue(installation, conversation_id)
        async with running_engine(installation, transport_with()) as engine:
            await pass_time(installation, engine, SECOND)
            [row], [attempt] = await replies(world), await reply_attempts(world)
            assert (row.status, attempt.state) == ("pending", "deferred")
            assert row.scheduled_for >= installation.clock.now() + timedelta(minutes=4)
            assert "tried again" in (row.error or "")
            # What comes in between must not change what was first written.
            await add_inbound(
                world, conversation_id, "PS", installation.clock.now(), message_id="<ps@lead.test>", thread_ids=[]
            )
            await pass_time(installation, engine, timedelta(minutes=40))
    [mail] = sink.accepted
    [again] = await reply_attempts(world)
    assert (again.state, again.tries, again.message_id) == ("sent", 3, attempt.message_id)
    assert parsed(mail.data)["In-Reply-To"] == ANSWER_ID.format(0)
    assert [row.status for row in await replies(world)] == ["sent"]


async def test_a_reply_is_given_up_after_two_days(installation: Installation) -> None:
    async with SmtpSink([Rule("rcpt", reply="451 4.3.0 Later")], users=USERS) as sink:
        world, [conversation_id] = await inbox(installation, port=sink.port)
        await queue(installation, conversation_id)
        await run_for(installation, timedelta(hours=60))
    [row] = await replies(world)
    assert row.status == "failed"
    assert "48 hours" in (row.error or "")
    assert [attempt.state for attempt in await reply_attempts(world)] == ["rejected"]
    assert sink.accepted == []


async def test_a_refused_sign_in_stops_the_mailbox_and_keeps_the_reply(installation: Installation) -> None:
    async with SmtpSink(users={"user": "another password"}) as sink:
        world, [conversation_id] = await inbox(installation, port=sink.port)
        await queue(installation, conversation_id)
        await run_for(installation, timedelta(hours=1))
        [mailbox] = await world.rows(Mailbox)
        assert mailbox.status == "error"
        [row] = await replies(world)
        assert (row.status, row.lease_owner) == ("pending", None)
        assert "mailbox" in (row.error or "")
        sink.users = USERS
        await write(installation, update(Mailbox).values(status="active"))
        await run_for(installation, SECOND)
        assert len(sink.accepted) == 1


async def test_a_throttled_mailbox_cools_and_the_reply_follows(installation: Installation) -> None:
    async with SmtpSink([Rule("mail", reply="421 4.7.0 Too fast", times=1)], users=USERS) as sink:
        world, [conversation_id] = await inbox(installation, port=sink.port)
        await queue(installation, conversation_id)
        async with running_engine(installation, transport_with()) as engine:
            await pass_time(installation, engine, SECOND)
            assert [row.status for row in await replies(world)] == ["pending"]
            await pass_time(installation, engine, timedelta(hours=1))
        assert len(sink.accepted) == 1
    assert [row.status for row in await replies(world)] == ["sent"]


async def test_an_address_that_is_gone_bounces_the_lead(installation: Installation) -> None:
    async with SmtpSink([Rule("rcpt", reply="550 5.1.1 No such user")], users=USERS) as sink:
        world, [conversation_id] = await inbox(installation, port=sink.port)
        await queue(installation, conversation_id)
        await run_for(installation, timedelta(hours=1))
    [row], [enrollment] = await replies(world), await world.enrollments()
    assert (row.status, enrollment.status) == ("failed", "bounced")
    assert [(entry.value, entry.source) for entry in await world.rows(DncEntry)] == [("lead0@lead0.test", "bounce")]
    with pytest.raises(Conflict, match="bounced"):
        await queue(installation, conversation_id)


@pytest.mark.parametrize(
    ("answer", "words"), [("554 5.7.1 Spam", "policy"), ("550 No", "other"), ("552 5.2.2 Full", "soft")]
)
async def test_other_refusals_fail_the_reply_and_list_nobody(
    installation: Installation, answer: str, words: str
) -> None:
    async with SmtpSink([Rule("dot", reply=answer)], users=USERS) as sink:
        world, [conversation_id] = await inbox(installation, port=sink.port)
        await queue(installation, conversation_id)
        await run_for(installation, timedelta(hours=2))
    [row] = await replies(world)
    assert row.status == "failed"
    assert words in (row.error or "")
    assert await world.rows(DncEntry) == []
    assert sink.accepted == []
    assert [enrollment.status for enrollment in await world.enrollments()] == ["active"]


async def test_a_lost_answer_is_shown_as_unknown_and_never_sent_again(installation: Installation) -> None:
    async with SmtpSink([Rule("dot", do="drop")], users=USERS) as sink:
        world, [conversation_id] = await inbox(installation, port=sink.port)
        await queue(installation, conversation_id)
        await run_for(installation, timedelta(days=3))
        assert [fault for fault in sink.faults if fault[0] == "dot"] == [("dot", "drop")]
    [row], [attempt] = await replies(world), await reply_attempts(world)
    assert (row.status, attempt.state) == ("failed", "unknown")
    assert (row.error or "").startswith("unknown")
    thread = await installation.call("get_conversation", id=conversation_id)
    assert thread["messages"][-1]["state"] == "unknown"
    [listed] = (await installation.call("list_scheduled_replies", id=conversation_id))["items"]
    assert (listed["status"], listed["error"][:7]) == ("failed", "unknown")
    with pytest.raises(Conflict, match="failed"):
        await installation.call("cancel_scheduled_reply", id=conversation_id, replyId=row.id)


async def test_a_paused_workspace_sends_no_reply_until_it_goes_on(installation: Installation) -> None:
    async with SmtpSink(users=USERS) as sink:
        world, [conversation_id] = await inbox(installation, port=sink.port)
        await queue(installation, conversation_id)
        mine = update(Workspace).where(Workspace.id == world.workspace_id)
        await write(installation, mine.values(paused_at=installation.clock.now()))
        await run_for(installation, timedelta(hours=1))
        assert sink.accepted == []
        assert [row.status for row in await replies(world)] == ["pending"]
        await write(installation, mine.values(paused_at=None))
        await run_for(installation, SECOND)
        assert len(sink.accepted) == 1


async def test_a_lead_listed_while_its_reply_waits_gets_nothing(installation: Installation) -> None:
    async with SmtpSink(users=USERS) as sink:
        world, [conversation_id] = await inbox(installation, port=sink.port)
        at = installation.clock.now() + timedelta(days=1)
        await queue(installation, conversation_id, scheduledFor=at.isoformat())
        # A domain entry names nobody, so that the queue is not cleared by it: the guard at the marker must see it.
        await list_domain(installation, world, "lead0.test")
        await run_for(installation, timedelta(days=2))
        assert sink.accepted == []
    [row] = await replies(world)
    assert row.status == "failed"
    assert "do-not-contact" in (row.error or "")


async def list_domain(installation: Installation, world: World, domain: str) -> None:
    app, now, keys = installation.app, installation.clock.now(), [DncKey("domain", domain)]
    await app.database.write(
        lambda s: add_entries(s, app.vault, world.workspace_id, keys, reason="no", source="complaint", now=now)
    )


class SentFolder:
    """A MailReader that has a Sent folder and nothing else."""

    def __init__(self, fails: bool = False) -> None:
        self.copies: list[tuple[str, bytes]] = []
        self.fails = fails

    async def read_new(
        self, account: MailAccount, cursors: Sequence[FolderCursor], *, since: datetime, batch_size: int = 50
    ) -> AsyncIterator[FolderBatch]:
        return
        yield

    async def wait_for_mail(self, account: MailAccount, timeout_seconds: float) -> bool:
        return False

    async def find_in_sent(self, account: MailAccount, message_id: str) -> str | None:
        return None

    async def append_to_sent(self, account: MailAccount, raw: bytes) -> bool:
        if self.fails:
            raise Upstream("The mail server did not answer.", retryable=True)
        self.copies.append((account.email, raw))
        return True

    async def mark_seen(self, account: MailAccount, folder: str, uid: int) -> None:
        return None

    async def close(self) -> None:
        return None


@asynccontextmanager
async def engine_with(installation: Installation, reader: SentFolder) -> AsyncIterator[Engine]:
    app, transport = installation.app, transport_with()
    engine = Engine(app.settings, app.database, app.vault, app.clock, app.signals, Outside(transport, reader))
    stop = asyncio.Event()
    task = asyncio.create_task(run_when_free(engine, stop))
    yield engine
    stop.set()
    with anyio.fail_after(30):
        await task
    await transport.close()


async def give_imap(installation: Installation, world: World) -> None:
    app, mailbox_id = installation.app, world.mailbox_ids[0]
    [mailbox] = await world.rows(Mailbox)
    password = app.vault.open(mailbox.smtp_secret, secret_owner(world.workspace_id, mailbox_id, "smtp"))
    sealed = app.vault.seal(password, secret_owner(world.workspace_id, mailbox_id, "imap"))
    await write(installation, update(Mailbox).values(imap=mailbox.smtp, imap_secret=sealed))


@pytest.mark.parametrize("fails", [False, True])
async def test_a_copy_goes_to_the_sent_folder_and_its_failure_changes_nothing(
    installation: Installation, fails: bool
) -> None:
    folder = SentFolder(fails)
    async with SmtpSink(users=USERS) as sink:
        world, [conversation_id] = await inbox(installation, port=sink.port)
        await give_imap(installation, world)
        await queue(installation, conversation_id)
        async with engine_with(installation, folder) as engine:
            await pass_time(installation, engine, SECOND)
        [mail] = sink.accepted
    assert [row.status for row in await replies(world)] == ["sent"]
    assert folder.copies == ([] if fails else [("sender0@acme.test", mail.data)])


async def test_the_conversation_keeps_its_last_reply_as_preview(installation: Installation) -> None:
    async with SmtpSink(users=USERS) as sink:
        world, [conversation_id] = await inbox(installation, port=sink.port)
        await queue(installation, conversation_id, "Our own words")
        await run_for(installation, SECOND)
    [row] = await world.rows(Conversation)
    assert row.preview == "Sounds good, tell me more."
    assert row.unread_count == 1
