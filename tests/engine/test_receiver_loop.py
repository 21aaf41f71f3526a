"""The receiving loop against a real IMAP server: what it reads, and when."""

import asyncio
from datetime import timedelta

import anyio
from sqlalchemy import update

from postrider.adapters.imap import ImapReader
from postrider.adapters.mail_parser import MailParser
from postrider.engine.worker import Engine, Outside, run_when_free
from postrider.inbox.queries import folder_cursors
from postrider.inbox.tables import InboundMessage
from postrider.mailboxes.tables import Mailbox
from postrider.sending.epoch import FILE_NAME, release_hold
from postrider.storage.leases import drop_lease, take_lease
from tests.conftest import Installation
from tests.engine.inbound import SETTINGS, delivery_report, letter, make_mailroom
from tests.engine.receiver_rig import (
    DEADLINE_SECONDS,
    append_of_2020,
    give_account,
    loop_of,
    parser,
    reader,
    receiving,
    until,
    was_read,
)
from tests.engine.world import pass_time
from tests.integration.smtp_rig import transport_with
from tests.mailstack.fixtures import mail_stack
from tests.mailstack.stack import MailStack

__all__ = ["mail_stack", "parser", "reader"]

GOES_ON = SETTINGS.model_copy(update={"stop_on_reply": False})


async def test_mail_of_every_kind_is_read_and_acted_on(
    installation: Installation, mail_stack: MailStack, reader: ImapReader, parser: MailParser
) -> None:
    room = await make_mailroom(installation, leads=4)
    account = mail_stack.new_account()
    await give_account(room, account)
    leads = [attempt.recipient for attempt in room.attempts]
    mail_stack.deliver(account.email, letter("Sounds great!", sender=leads[0], answers=room.id_of(0)))
    mail_stack.deliver(account.email, delivery_report(room.id_of(1), leads[1]), sender="")
    absence = letter(
        "Out of the office, back on Monday, 9 March 2026.",
        sender=leads[2],
        answers=room.id_of(2),
        Auto_Submitted="auto-replied",
    )
    mail_stack.deliver(account.email, absence, sender="")
    token = await room.token(3)
    mail_stack.deliver_to_junk(account.email, letter("", sender=leads[3], subject=f"unsubscribe {token}"))
    await loop_of(room, reader, parser).poll_all()
    assert sorted(await room.kinds()) == [
        ("auto_reply", "strong"),
        ("bounce", "strong"),
        ("reply", "strong"),
        ("unsubscribe", "strong"),
    ]
    statuses = [(await room.enrollment(number)).status for number in range(4)]
    assert statuses == ["replied", "bounced", "active", "unsubscribed"]
    assert (await room.mailbox()).last_polled_at == room.now
    assert mail_stack.flags(account.email) == ["", "", ""], "reading marks nothing as read"


async def test_nothing_is_counted_twice_and_nothing_lost_when_a_folder_is_renumbered(
    installation: Installation, mail_stack: MailStack, reader: ImapReader, parser: MailParser
) -> None:
    room = await make_mailroom(installation, leads=2)
    account = mail_stack.new_account()
    await give_account(room, account)
    loop = loop_of(room, reader, parser)
    mail_stack.deliver(account.email, letter(sender="lead0@lead0.test", answers=room.id_of(0)))
    await loop.poll_all()
    mail_stack.deliver(account.email, letter(sender="lead1@lead1.test", answers=room.id_of(1)))
    mail_stack.bump_uidvalidity(account.email)
    await loop.poll_all()
    mail_stack.copy_to_junk(account.email)
    await loop.poll_all()
    assert await room.kinds() == [("reply", "strong")] * 2
    assert await room.counts() == {"replied": 2}
    assert {row.unread_count for row in await room.conversations()} == {1}


async def test_mail_is_read_as_soon_as_the_server_announces_it(
    installation: Installation, mail_stack: MailStack, reader: ImapReader, parser: MailParser
) -> None:
    room = await make_mailroom(installation)
    account = mail_stack.new_account()
    await give_account(room, account)
    async with receiving(room, reader, parser, poll_seconds=3_600):
        await until(lambda: was_read(room))
        mail_stack.deliver(account.email, letter(answers=room.id_of(0)))
        await until(room.messages)
    assert (await room.enrollment()).status == "replied"
    assert (await room.mailbox()).read_lease_owner is None, "whoever stops lets others read"


async def test_one_engine_reads_a_mailbox_and_another_takes_over_when_it_is_gone(
    installation: Installation, mail_stack: MailStack, reader: ImapReader, parser: MailParser
) -> None:
    room = await make_mailroom(installation)
    account, database = mail_stack.new_account(), installation.app.database
    await give_account(room, account)
    await database.hot(lambda c: take_lease(c, "first", 60))
    await database.hot(lambda c: take_lease(c, "second", 60))
    first, second = (loop_of(room, reader, parser, owner) for owner in ("first", "second"))
    await first.poll_all()
    mail_stack.deliver(account.email, letter(answers=room.id_of(0)))
    await second.poll_all()
    assert await room.messages() == [], "the first one still lives"
    await database.hot(lambda c: drop_lease(c, "first"))
    await second.poll_all()
    assert await room.kinds() == [("reply", "strong")]
    await first.poll_all()
    assert (await room.mailbox()).read_lease_owner == "second"


async def test_a_message_of_unknown_outcome_that_stands_in_sent_has_left(
    installation: Installation, mail_stack: MailStack, reader: ImapReader, parser: MailParser
) -> None:
    room = await make_mailroom(installation, state="unknown")
    account = mail_stack.new_account()
    await give_account(room, account)
    loop = loop_of(room, reader, parser)
    await loop.poll_all()
    assert [row.state for row in await room.world.attempts()] == ["unknown"]
    raw = letter(sender=account.email, message_id=room.id_of(0))
    assert await reader.append_to_sent(account, raw)
    await loop.poll_all()
    [attempt] = await room.world.attempts()
    enrollment = await room.enrollment()
    assert (attempt.state, enrollment.hold_reason, enrollment.next_step) == ("sent", None, 1)
    assert attempt.dotted_at is not None
    assert enrollment.due_at == attempt.dotted_at + timedelta(days=3)


async def test_an_email_that_its_provider_gave_another_id_is_found_in_sent_and_answered_under_that(
    installation: Installation, mail_stack: MailStack, reader: ImapReader, parser: MailParser
) -> None:
    room = await make_mailroom(installation, state="unknown", settings=GOES_ON)
    account = mail_stack.new_account()
    await give_account(room, account)
    ours, theirs = room.id_of(0), "<Made-By.The_Provider@mail.provider.test>"
    loop = loop_of(room, reader, parser)
    answer_by_hand = letter(sender=account.email, message_id="<by-hand@acme.test>", answers=ours)
    assert await reader.append_to_sent(account, answer_by_hand)
    await loop.poll_all()
    assert [row.state for row in await room.world.attempts()] == ["unknown"], "what answers our email is not our email"
    assert await reader.append_to_sent(account, letter(sender=account.email, message_id=theirs, References=ours))
    await loop.poll_all()
    [attempt] = await room.world.attempts()
    assert (attempt.state, attempt.message_id, attempt.found_id) == ("sent", ours, theirs)
    assert (await room.enrollment()).thread_ids == [theirs], "follow-ups answer what the lead's mail program knows"
    mail_stack.deliver(account.email, letter(sender="alias@private.test", answers=theirs))
    await loop.poll_all()
    assert await room.kinds() == [("reply", "strong")]


async def test_the_first_look_leaves_older_mail_alone(
    installation: Installation, mail_stack: MailStack, reader: ImapReader, parser: MailParser
) -> None:
    room = await make_mailroom(installation)
    account, database = mail_stack.new_account(), installation.app.database
    await give_account(room, account)
    mail_stack.deliver(account.email, letter(subject="of today"))
    append_of_2020(mail_stack, account, letter(subject="of years ago"))
    await loop_of(room, reader, parser).poll_all()
    assert [row.subject for row in await room.messages()] == ["of today"]
    cursors = await database.read(lambda s: folder_cursors(s, room.key))
    assert {cursor.folder for cursor in cursors} == {"INBOX", "Junk"}


async def test_a_mailbox_added_while_the_loop_runs_is_read_and_a_removed_one_is_not(
    installation: Installation, mail_stack: MailStack, reader: ImapReader, parser: MailParser
) -> None:
    room = await make_mailroom(installation)
    account = mail_stack.new_account()
    async with receiving(room, reader, parser, poll_seconds=3_600) as loop:
        await give_account(room, account)
        await loop.poll_all()
        assert await was_read(room)
        await room.change(Mailbox, room.key.mailbox_id, status="pending")
        mail_stack.deliver(account.email, letter(answers=room.id_of(0)))
        await loop.poll_all()
        assert await room.messages() == []


async def test_the_engine_reads_mail_and_rests_when_there_is_nothing_to_do(
    installation: Installation, mail_stack: MailStack, reader: ImapReader, parser: MailParser
) -> None:
    room = await make_mailroom(installation)
    account = mail_stack.new_account()
    await give_account(room, account)
    app, transport, stop = installation.app, transport_with(), asyncio.Event()
    engine = Engine(app.settings, app.database, app.vault, app.clock, app.signals, Outside(transport, reader, parser))
    statement = update(Mailbox).values(sending_enabled=False)
    await app.database.write(lambda s: s.execute(statement) and None)
    # The world has sent mail that no engine of this folder sent.
    await app.database.read(lambda s: release_hold(s, app.settings.data_dir / FILE_NAME))
    task = asyncio.create_task(run_when_free(engine, stop))
    with anyio.fail_after(DEADLINE_SECONDS):
        await engine.rest.quiet()
        mail_stack.deliver(account.email, letter(answers=room.id_of(0)))
        await engine.poll_mail()
        await pass_time(installation, engine, timedelta(days=5))
        stop.set()
        await task
    await transport.close()
    assert (await room.enrollment()).status == "replied"
    assert [row.kind for row in await room.world.rows(InboundMessage)] == ["reply"]
