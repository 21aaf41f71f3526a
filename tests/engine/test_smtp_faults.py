"""Everything that a mail server may do wrong, in virtual time: once, under one Message-ID, and no step is skipped."""

import ssl
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from sqlalchemy import update

from postrider.campaigns.documents import SettingsInput
from postrider.campaigns.tables import Enrollment
from postrider.mailboxes.tables import Mailbox, SendDay
from tests.conftest import Installation
from tests.engine.world import EMAIL, FOLLOW_UP, USERS, WAIT, World, make_world, pass_time, running_engine
from tests.integration.certificates import Authority
from tests.integration.smtp_rig import SHORT_WAITS, transport_with
from tests.integration.smtp_sink import Rule, SmtpSink
from tests.integration.smtp_sink_session import Deed, SinkStage

HOST = "127.0.0.1"
WAITS = replace(SHORT_WAITS, command_seconds=0.2, body_seconds=0.2, final_reply_seconds=0.2)
REFUSED_STAGES: tuple[SinkStage, ...] = ("greeting", "ehlo", "auth", "mail", "rcpt", "data", "body", "dot")
BEFORE_THE_DOT: tuple[SinkStage, ...] = ("greeting", "ehlo", "auth", "mail", "rcpt", "data")
BROKEN: tuple[tuple[SinkStage, Deed], ...] = tuple(
    (stage, deed) for stage in BEFORE_THE_DOT for deed in ("drop", "hang", "drip", "garbage")
)


async def send_all(
    installation: Installation, sink: SmtpSink, *, leads: int = 3, tls: Callable[[], ssl.SSLContext] | None = None
) -> World:
    """A campaign of two emails, sent to its end through whatever the sink does."""
    world = await make_world(installation, port=sink.port, leads=leads, steps=(EMAIL, WAIT, FOLLOW_UP))
    transport = transport_with(WAITS, tls_context=tls) if tls else transport_with(WAITS)
    async with running_engine(installation, transport) as engine:
        await pass_time(installation, engine, timedelta(days=6))
    return world


async def assert_sent_once_in_order(world: World, sink: SmtpSink, *, leads: int = 3) -> None:
    """Both emails to every lead, each once under the Message-ID of its attempt, three days apart; exact counts."""
    attempts = await world.attempts()
    assert {row.state for row in attempts} == {"sent"}
    assert sorted(mail.message_id for mail in sink.accepted) == sorted(row.message_id for row in attempts)
    assert len(sink.accepted) == 2 * leads
    first = {row.lead_id: row for row in attempts if row.step_index == 0}
    for follow_up in (row for row in attempts if row.step_index == 1):
        accepted = first[follow_up.lead_id].done_at
        # The wait starts when the first email is accepted, however often it was tried.
        assert accepted is not None and follow_up.first_try_at >= accepted + timedelta(days=3)
    assert await used_by(world, world.campaign_id) == 2 * leads
    assert await used_by(world, world.mailbox_ids[0]) == 2 * leads


async def used_by(world: World, owner_id: str) -> int:
    """What a campaign or mailbox has used of all its days."""
    days = await world.installation.app.database.read(lambda s: s.query(SendDay).all())
    return sum(row.sent for row in days if row.owner_id == owner_id)


@pytest.mark.parametrize("stage", REFUSED_STAGES)
async def test_a_temporary_refusal_at_any_stage_only_delays(installation: Installation, stage: SinkStage) -> None:
    rules = [Rule(stage, reply=reply, times=1) for reply in ("421 4.3.2 closing", "451 4.3.0 try again later")]
    async with SmtpSink(rules, users=USERS) as sink:
        world = await send_all(installation, sink)
    assert len(sink.faults) == 2
    await assert_sent_once_in_order(world, sink)


async def test_greylisting_of_every_recipient_only_delays(installation: Installation) -> None:
    rules = [Rule("rcpt", reply="450 4.2.0 Greylisted, try again in 300 seconds", times=2, per_address=True, match="@")]
    async with SmtpSink(rules, users=USERS) as sink:
        world = await send_all(installation, sink)
    assert len(sink.faults) == 6
    await assert_sent_once_in_order(world, sink)
    assert {row.tries for row in await world.attempts() if row.step_index == 0} == {3}


@pytest.mark.parametrize(("stage", "deed"), BROKEN, ids=lambda value: str(value))
async def test_a_server_that_breaks_off_before_the_dot_only_delays(
    installation: Installation, stage: SinkStage, deed: Deed
) -> None:
    async with SmtpSink([Rule(stage, do=deed, times=2, delay_seconds=1.0)], users=USERS) as sink:
        world = await send_all(installation, sink)
    assert len(sink.faults) == 2
    await assert_sent_once_in_order(world, sink)


@pytest.mark.parametrize("deed", ["drop", "hang", "drip", "garbage", "accept_drop", "accept_hang"])
async def test_what_is_lost_after_the_dot_is_unknown_and_not_sent_again(installation: Installation, deed: Deed) -> None:
    rules = [Rule("dot", do=deed, match="lead1@", delay_seconds=1.0)]
    async with SmtpSink(rules, users=USERS) as sink:
        world = await send_all(installation, sink)
    by_state = {row.state: row for row in await world.attempts()}
    assert set(by_state) == {"sent", "unknown"}
    assert by_state["unknown"].recipient == "lead1@lead1.test"
    arrived = [mail for mail in sink.accepted if "lead1@lead1.test" in mail.recipients]
    assert len(arrived) == (deed in {"accept_drop", "accept_hang", "drip"})
    [held] = [row for row in await world.enrollments() if row.hold_reason is not None]
    assert (held.hold_reason, held.next_step) == ("unknown_outcome", 0)
    # What may have been sent counts as used.
    assert await used_by(world, world.campaign_id) == 5


async def test_a_connection_lost_in_the_body_is_tried_again_or_unknown_but_never_sent_twice(
    installation: Installation,
) -> None:
    """The marker may be committed before the loss is noticed; then, and only then, the outcome is not known."""
    async with SmtpSink([Rule("body", do="drop", times=4)], users=USERS) as sink:
        world = await send_all(installation, sink, leads=20)
    assert len(sink.faults) == 4
    attempts = await world.attempts()
    unknown = {row.message_id for row in attempts if row.state == "unknown"}
    sent = {row.message_id for row in attempts if row.state == "sent"}
    assert len(unknown) <= 4 and len(sent) + len(unknown) == len(attempts)
    assert sorted(mail.message_id for mail in sink.accepted) == sorted(sent)
    assert all(row.dotted_at is not None for row in attempts)
    assert await used_by(world, world.campaign_id) == len(attempts)


async def test_without_verified_tls_no_password_and_no_message_leaves(
    installation: Installation, tmp_path: Path
) -> None:
    """A certificate of somebody else's, then two handshakes that fail, then a good one."""
    authority, stranger = Authority(), Authority()
    async with SmtpSink(users=USERS, tls=stranger.server_context(HOST, tmp_path / "stranger.pem")) as sink:
        world = await make_world(installation, port=sink.port, leads=3, steps=(EMAIL, WAIT, FOLLOW_UP))
        await change_server(world, world.mailbox_ids[0], security="starttls")
        async with running_engine(installation, transport_with(WAITS, tls_context=authority.client_context)) as engine:
            await pass_time(installation, engine, timedelta(hours=1))
            assert sink.connections > 1 and sink.accepted == []
            assert not [line for _, line in sink.commands if line.startswith(("AUTH", "MAIL"))]
            assert {row.tries for row in await world.attempts()} == {0}
            sink.tls = authority.server_context(HOST, tmp_path / "server.pem")
            sink.rules = [Rule("starttls", do="garbage", times=2)]
            await pass_time(installation, engine, timedelta(days=6))
    assert len(sink.faults) == 2
    assert all(mail.tls for mail in sink.accepted)
    await assert_sent_once_in_order(world, sink)


async def change_server(world: World, mailbox_id: str, **changes: Any) -> None:
    """Changes how the mailbox reaches its server."""

    def write(session: Any) -> None:
        row = session.get_one(Mailbox, (world.workspace_id, mailbox_id))
        row.smtp = {**row.smtp, **changes}

    await world.installation.app.database.write(write)


async def test_a_refused_sign_in_stops_the_mailbox_and_gives_its_sends_back_unburnt(
    installation: Installation,
) -> None:
    async with SmtpSink(users=USERS) as sink:
        world = await make_world(installation, port=sink.port, leads=10)
        (bad,) = world.mailbox_ids
        await change_server(world, bad, username="stranger")
        async with running_engine(installation, transport_with(WAITS)) as engine:
            await pass_time(installation, engine, timedelta(days=1))
            assert {row.id: row.status for row in await world.rows(Mailbox)} == {bad: "error"}
            returned = await world.attempts()
            assert {(row.state, row.tries) for row in returned} == {("deferred", 0)}
            assert await used_by(world, bad) == await used_by(world, world.campaign_id) == len(sink.accepted) == 0
            await mend(world, bad)
            installation.app.signals.wake("sender")
            await pass_time(installation, engine, timedelta(days=1))
    assert {mail.message_id for mail in sink.accepted} >= {row.message_id for row in returned}
    assert len(sink.accepted) == len({mail.message_id for mail in sink.accepted}) == 10
    assert await used_by(world, bad) == 10


async def test_leads_of_a_mailbox_that_failed_before_it_sent_them_anything_hear_from_another(
    installation: Installation,
) -> None:
    async with SmtpSink(users=USERS) as sink:
        world = await make_world(installation, port=sink.port, leads=10, mailboxes=2)
        bad, good = world.mailbox_ids
        await change_server(world, bad, username="stranger")
        async with running_engine(installation, transport_with(WAITS)) as engine:
            await pass_time(installation, engine, timedelta(days=1))
    assert {row.id: row.status for row in await world.rows(Mailbox)} == {bad: "error", good: "active"}
    assert {(row.state, row.mailbox_id, row.tries) for row in await world.attempts()} == {("sent", good, 1)}
    assert {row.mailbox_id for row in await world.rows(Enrollment)} == {good}
    (sender,) = {row.email for row in await world.rows(Mailbox) if row.id == good}
    assert {mail.sender for mail in sink.accepted} == {sender}
    assert len(sink.accepted) == len({mail.message_id for mail in sink.accepted}) == 10
    assert (await used_by(world, bad), await used_by(world, good)) == (0, 10)


async def test_a_password_that_does_not_open_stops_its_mailbox_and_nothing_else(installation: Installation) -> None:
    async with SmtpSink(users=USERS) as sink:
        world = await make_world(installation, port=sink.port, leads=10, mailboxes=2)
        bad, good = world.mailbox_ids
        spoil = update(Mailbox).where(Mailbox.id == bad).values(smtp_secret=b"\x01 sealed with another key, long ago")
        await installation.app.database.write(lambda s: s.execute(spoil))
        async with running_engine(installation, transport_with(WAITS)) as engine:
            await pass_time(installation, engine, timedelta(days=1))
    stopped = {row.id: (row.status, row.last_error) for row in await world.rows(Mailbox)}
    assert stopped[bad][0] == "error"
    assert "does not open with this installation's key" in stopped[bad][1]
    assert stopped[good][0] == "active"
    assert len(sink.accepted) == 10


async def mend(world: World, mailbox_id: str) -> None:
    """As a person does: the right name, and the mailbox in use again."""
    await change_server(world, mailbox_id, username="user")
    work = update(Mailbox).where(Mailbox.id == mailbox_id).values(status="active")
    await world.installation.app.database.write(lambda s: s.execute(work))


async def test_one_server_that_hangs_leaves_the_rate_of_other_mailboxes_as_it_was(installation: Installation) -> None:
    """Two mailboxes, a minute apart each: a while with both servers well, then one with the first hanging."""
    async with SmtpSink(users=USERS) as sink, SmtpSink(users=USERS) as other:
        settings = SettingsInput(email_interval_minutes=1)
        world = await make_world(installation, port=sink.port, leads=150, mailboxes=2, settings=settings)
        await change_server(world, world.mailbox_ids[0], port=other.port)
        async with running_engine(installation, transport_with(WAITS)) as engine:
            await pass_time(installation, engine, timedelta(minutes=25))
            well = len(sink.accepted)
            other.rules = [Rule("mail", do="hang")]
            await pass_time(installation, engine, timedelta(minutes=25))
    assert 18 <= well <= 26
    assert abs(len(sink.accepted) - 2 * well) <= 4
    assert len(other.faults) > 3


async def test_one_server_that_hangs_does_not_hold_up_what_is_in_flight_elsewhere(installation: Installation) -> None:
    """In wall time, without pauses: its messages wait for minutes, and take only so many places of those in flight."""
    async with SmtpSink(users=USERS) as sink, SmtpSink([Rule("mail", do="hang")], users=USERS) as hanging:
        world = await make_world(installation, port=sink.port, leads=700, mailboxes=2)
        await change_server(world, world.mailbox_ids[0], port=hanging.port)
        async with running_engine(installation, transport_with()):
            with anyio.fail_after(30):
                while len(sink.accepted) < 400:
                    await anyio.sleep(0.02)
            assert hanging.accepted == []
            hanging.rules = []
            hanging.drop_all()
