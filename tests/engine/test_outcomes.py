"""Whom an outcome concerns: the mailbox, the lead or the step. Over real SMTP on loopback, on both databases."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from postrider.campaigns.documents import StepInput
from postrider.campaigns.tables import Enrollment
from postrider.mailboxes.tables import Mailbox, SendDay
from postrider.sending.tables import Event
from tests.conftest import Installation
from tests.engine.reply_world import queue, replies, reply_attempts, run_for
from tests.engine.world import EMAIL, FOLLOW_UP, USERS, WAIT, make_world, pass_time, running_engine
from tests.features.inbox_world import inbox
from tests.integration.smtp_rig import transport_with
from tests.integration.smtp_sink import Rule, SmtpSink
from tests.integration.smtp_sink_session import SinkStage

OTHER = StepInput(type="email", subject="Once more", body="<p>Hello</p>")
FULL = Rule("rcpt", match="full@", reply="552 5.2.2 Mailbox full")
BEFORE_RECIPIENT: tuple[SinkStage, ...] = ("greeting", "ehlo", "auth", "mail")


@pytest.mark.parametrize("stage", BEFORE_RECIPIENT)
async def test_a_server_that_is_busy_before_any_recipient_burns_no_lead(
    installation: Installation, stage: SinkStage
) -> None:
    async with SmtpSink([Rule(stage, reply="451 4.3.0 Temporary problem")], users=USERS) as sink:
        world = await make_world(installation, port=sink.port, leads=3)
        async with running_engine(installation, transport_with()) as engine:
            await pass_time(installation, engine, timedelta(hours=2))
            [mailbox] = await world.rows(Mailbox)
            assert mailbox.consecutive_failures > 3 and mailbox.cool_until is not None
            assert "Temporary problem" in mailbox.last_error
            assert {(row.state, row.tries) for row in await world.attempts()} == {("deferred", 0)}
            assert {row.status for row in await world.enrollments()} == {"active"}
            sink.rules = []
            await pass_time(installation, engine, timedelta(hours=1))
    assert len(sink.accepted) == 3
    assert {(row.state, row.tries) for row in await world.attempts()} == {("sent", 1)}


async def test_a_connection_that_breaks_at_mail_burns_no_lead(installation: Installation) -> None:
    async with SmtpSink([Rule("mail", do="drop")], users=USERS) as sink:
        world = await make_world(installation, port=sink.port, leads=1)
        async with running_engine(installation, transport_with()) as engine:
            await pass_time(installation, engine, timedelta(hours=2))
            assert {(row.state, row.tries) for row in await world.attempts()} == {("deferred", 0)}
            sink.rules = []
            await pass_time(installation, engine, timedelta(hours=1))
    assert len(sink.accepted) == 1


async def test_a_busy_server_does_not_use_up_the_tries_of_a_reply(installation: Installation) -> None:
    async with SmtpSink([Rule("mail", reply="451 4.3.0 Temporary problem")], users=USERS) as sink:
        world, [conversation_id] = await inbox(installation, port=sink.port)
        await queue(installation, conversation_id)
        await run_for(installation, timedelta(hours=2))
        assert [row.status for row in await replies(world)] == ["pending"]
        assert [row.tries for row in await reply_attempts(world)] == [0]
        sink.rules = []
        await run_for(installation, timedelta(hours=1))
    assert [row.status for row in await replies(world)] == ["sent"]


async def test_a_full_mailbox_is_tried_for_48_hours_and_counts_once_for_the_step(installation: Installation) -> None:
    async with SmtpSink([FULL], users=USERS) as sink:
        world = await make_world(installation, port=sink.port, emails=["full@x.test"], steps=(EMAIL, WAIT, OTHER))
        async with running_engine(installation, transport_with()) as engine:
            await pass_time(installation, engine, timedelta(hours=47))
            [enrollment] = await world.enrollments()
            assert (enrollment.status, enrollment.soft_bounces, enrollment.next_step) == ("active", 0, 0)
            await pass_time(installation, engine, timedelta(hours=9))
            [enrollment] = await world.enrollments()
            assert (enrollment.status, enrollment.soft_bounces, enrollment.next_step) == ("active", 1, 1)
            [attempt] = await world.attempts()
            assert (attempt.state, attempt.result_kind, attempt.tries) == ("rejected", "soft", 11)
            sink.rules = []
            await pass_time(installation, engine, timedelta(days=4))
    [mail] = sink.accepted
    assert b"Subject: Once more" in mail.data and b"In-Reply-To" not in mail.data
    assert [row.status for row in await world.enrollments()] == ["completed"]


async def test_the_third_step_that_meets_a_full_mailbox_stops_the_lead(installation: Installation) -> None:
    async with SmtpSink([FULL], users=USERS) as sink:
        world = await make_world(installation, port=sink.port, emails=["full@x.test"], steps=(EMAIL, WAIT, OTHER))
        await installation.app.database.write(lambda s: s.execute(update(Enrollment).values(soft_bounces=2)))
        async with running_engine(installation, transport_with()) as engine:
            await pass_time(installation, engine, timedelta(hours=56))
    [enrollment] = await world.enrollments()
    assert (enrollment.status, enrollment.soft_bounces, enrollment.due_at) == ("failed", 3, None)
    assert enrollment.stop_reason == "mailbox_full"
    assert [event.kind for event in await world.rows(Event)].count("failed") == 1
    days = await installation.app.database.read(lambda s: s.query(SendDay).all())
    assert sum(row.sent for row in days) == 0


@pytest.mark.parametrize("steps", [(EMAIL,), (EMAIL, WAIT, FOLLOW_UP)], ids=["last", "continued"])
async def test_a_full_mailbox_fails_the_lead_where_nothing_can_follow(
    installation: Installation, steps: tuple[StepInput, ...]
) -> None:
    """After the last step, and before one without a subject, which would continue a thread that never began."""
    async with SmtpSink([FULL], users=USERS) as sink:
        world = await make_world(installation, port=sink.port, emails=["full@x.test"], steps=steps)
        async with running_engine(installation, transport_with()) as engine:
            await pass_time(installation, engine, timedelta(hours=56))
    [enrollment] = await world.enrollments()
    assert (enrollment.status, enrollment.soft_bounces) == ("failed", 1)


async def test_a_delivered_message_ends_the_row_of_policy_strikes(installation: Installation) -> None:
    async with SmtpSink(users=USERS) as sink:
        world = await make_world(installation, port=sink.port, leads=1)
        await installation.app.database.write(lambda s: s.execute(update(Mailbox).values(policy_strikes=2)))
        async with running_engine(installation, transport_with()) as engine:
            await pass_time(installation, engine, timedelta(hours=1))
    [mailbox] = await world.rows(Mailbox)
    assert (mailbox.total_sent, mailbox.policy_strikes) == (1, 0)
