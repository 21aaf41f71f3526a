"""Messages that cannot be written or offered, on both databases: the mailbox stops, or the lead, and nobody else."""

from datetime import timedelta
from email import message_from_bytes

from sqlalchemy import update

from postrider.adapters.smtp_data import NO_SMTPUTF8
from postrider.leads.tables import Lead
from postrider.mailboxes.tables import Mailbox
from postrider.sending.tables import Event
from tests.conftest import Installation
from tests.engine.world import USERS, World, make_world, pass_time, running_engine
from tests.integration.smtp_rig import transport_with
from tests.integration.smtp_sink import SmtpSink

INTERNATIONAL = ("8BITMIME", "SMTPUTF8")
UMLAUT = "jörg@acme.test"


async def change_first_mailbox(world: World, **values: str) -> None:
    change = update(Mailbox).where(Mailbox.id == world.mailbox_ids[0]).values(**values)
    await world.installation.app.database.write(lambda session: session.execute(change))


async def run(installation: Installation, span: timedelta = timedelta(hours=2)) -> None:
    async with running_engine(installation, transport_with()) as engine:
        await pass_time(installation, engine, span)


async def test_a_mailbox_with_an_umlaut_before_the_at_sends(installation: Installation) -> None:
    async with SmtpSink(users=USERS, extensions=INTERNATIONAL) as sink:
        world = await make_world(installation, port=sink.port, leads=2)
        await change_first_mailbox(world, email=UMLAUT)
        await run(installation)
    assert {row.status for row in await world.enrollments()} == {"completed"}
    for mail in sink.accepted:
        assert (mail.sender, mail.options) == (UMLAUT, "BODY=8BITMIME SMTPUTF8")
        header = str(message_from_bytes(mail.data)["List-Unsubscribe"])
        assert header.startswith("<mailto:j%C3%B6rg@acme.test?subject=unsubscribe%20")
    assert len(sink.accepted) == 2


async def test_without_smtputf8_it_stops_with_its_reason_and_burns_no_lead(installation: Installation) -> None:
    async with SmtpSink(users=USERS) as sink:
        world = await make_world(installation, port=sink.port, leads=3)
        await change_first_mailbox(world, email=UMLAUT)
        await run(installation)
        [mailbox] = await world.rows(Mailbox)
        assert (mailbox.status, mailbox.last_error) == ("error", NO_SMTPUTF8)
        assert {row.status for row in await world.enrollments()} == {"active"}
        assert not [line for _, line in sink.commands if line.startswith(("MAIL", "RCPT"))]
        sink.extensions = INTERNATIONAL
        await change_first_mailbox(world, status="active")
        await run(installation)
    assert len(sink.accepted) == 3
    assert {row.status for row in await world.enrollments()} == {"completed"}


async def test_its_leads_are_written_to_from_another_mailbox(installation: Installation) -> None:
    async with SmtpSink(users=USERS) as sink:
        world = await make_world(installation, port=sink.port, leads=4, mailboxes=2)
        await change_first_mailbox(world, email=UMLAUT)
        await run(installation)
    assert [mail.sender for mail in sink.accepted] == ["sender1@acme.test"] * 4
    assert {row.status for row in await world.enrollments()} == {"completed"}


async def test_a_mailbox_whose_messages_cannot_be_written_stops_and_burns_no_lead(installation: Installation) -> None:
    async with SmtpSink(users=USERS) as sink:
        world = await make_world(installation, port=sink.port, leads=3)
        await change_first_mailbox(world, display_name="Ann\r\nBcc: all@evil.test")
        await run(installation)
        [mailbox] = await world.rows(Mailbox)
        assert mailbox.status == "error"
        assert mailbox.last_error.startswith("Its messages cannot be written: sender_name holds a line break")
        assert {row.status for row in await world.enrollments()} == {"active"}
        assert {row.state for row in await world.attempts()} == {"deferred"}
        assert not sink.accepted
        await change_first_mailbox(world, display_name="Ann", status="active")
        await run(installation)
    assert len(sink.accepted) == 3


async def test_a_lead_whom_the_server_cannot_reach_fails_alone_and_says_why(installation: Installation) -> None:
    async with SmtpSink(users=USERS) as sink:
        world = await make_world(installation, port=sink.port, emails=["änn@lead.test", "bob@lead.test"])
        await run(installation)
    assert [mail.recipients for mail in sink.accepted] == [("bob@lead.test",)]
    failed = [row for row in await world.enrollments() if row.status == "failed"]
    assert [row.lead_id for row in failed] == world.lead_ids[:1]
    assert failed[0].stop_reason == "cannot_be_sent"
    assert (failed[0].stop_detail or "").startswith("The mailbox's server does not offer SMTPUTF8")
    [mailbox] = await world.rows(Mailbox)
    assert (mailbox.status, mailbox.last_error) == ("active", None)
    assert (await installation.call("list_dnc_entries"))["items"] == []


async def test_a_lead_whose_message_cannot_be_written_fails_alone(installation: Installation) -> None:
    async with SmtpSink(users=USERS) as sink:
        world = await make_world(installation, port=sink.port, leads=2)
        smuggled = update(Lead).where(Lead.id == world.lead_ids[0]).values(last_name="A\r\nBcc: all@evil.test")
        await installation.app.database.write(lambda session: session.execute(smuggled))
        await run(installation)
    [mail] = sink.accepted
    assert mail.recipients == ("lead1@lead1.test",)
    [failed] = [row for row in await world.enrollments() if row.status == "failed"]
    assert failed.stop_reason == "cannot_be_sent"
    assert (failed.stop_detail or "").startswith("to holds a line break")
    assert not [event for event in await world.rows(Event) if "refused" in str(event.data)]
    [mailbox] = await world.rows(Mailbox)
    assert mailbox.status == "active"
