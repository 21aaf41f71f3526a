"""The send path from claim to outcome, over real SMTP on loopback, on both databases."""

from datetime import timedelta
from itertools import pairwise

from postrider.campaigns.documents import SettingsInput, StepInput
from postrider.mailboxes.tables import Mailbox, SendDay
from postrider.sending.tables import Event
from tests.conftest import Installation
from tests.engine.world import EMAIL, FOLLOW_UP, USERS, WAIT, make_world, pass_time, running_engine
from tests.integration.smtp_rig import transport_with
from tests.integration.smtp_sink import Rule, SmtpSink


async def test_every_lead_gets_every_step_once_in_one_thread(installation: Installation) -> None:
    async with SmtpSink(users=USERS) as sink:
        world = await make_world(installation, port=sink.port, leads=20, steps=(EMAIL, WAIT, FOLLOW_UP))
        async with running_engine(installation, transport_with()) as engine:
            await pass_time(installation, engine, timedelta(hours=1))
            assert len(sink.accepted) == 20
            await pass_time(installation, engine, timedelta(days=4))
    assert len(sink.accepted) == 40
    assert len({(mail.recipients, mail.data.split(b"Message-ID: ")[1][:40]) for mail in sink.accepted}) == 40
    assert {row.state for row in await world.attempts()} == {"sent"}
    assert {row.status for row in await world.enrollments()} == {"completed"}
    follow_up = next(mail for mail in sink.accepted[20:])
    assert b"In-Reply-To: <" in follow_up.data
    assert b"Subject: Re: Hello First" in follow_up.data
    [mailbox] = await world.rows(Mailbox)
    assert mailbox.total_sent == 40
    events = await world.rows(Event)
    assert [event.kind for event in events].count("sent") == 40


async def test_a_refused_address_bounces_and_is_listed(installation: Installation) -> None:
    rules = [Rule("rcpt", match="gone@", reply="550 5.1.1 No such user")]
    async with SmtpSink(rules, users=USERS) as sink:
        world = await make_world(installation, port=sink.port, emails=["gone@x.test", "here@x.test"])
        async with running_engine(installation, transport_with()) as engine:
            await pass_time(installation, engine, timedelta(hours=1))
    states = {row.status for row in await world.enrollments()}
    assert states == {"bounced", "completed"}
    listed = await installation.app.database.read(
        lambda s: s.connection().exec_driver_sql("SELECT value, source FROM dnc_entries").all()
    )
    assert [tuple(row) for row in listed] == [("gone@x.test", "bounce")]
    assert (
        sum(row.sent for row in await _days(world.workspace_id, installation) if row.owner_id == world.campaign_id) == 1
    )


async def test_greylisting_is_retried_under_the_same_message_id(installation: Installation) -> None:
    rules = [Rule("rcpt", match="grey@", reply="451 4.7.1 Greylisted", times=2)]
    async with SmtpSink(rules, users=USERS) as sink:
        world = await make_world(installation, port=sink.port, emails=["grey@x.test"], steps=(EMAIL, WAIT, FOLLOW_UP))
        async with running_engine(installation, transport_with()) as engine:
            await pass_time(installation, engine, timedelta(minutes=4))
            assert [row.state for row in await world.attempts()] == ["deferred"]
            first_id = (await world.attempts())[0].message_id
            await pass_time(installation, engine, timedelta(minutes=30))
    [attempt] = await world.attempts()
    assert (attempt.state, attempt.tries, attempt.message_id) == ("sent", 3, first_id)
    assert len(sink.accepted) == 1
    [enrollment] = await world.enrollments()
    assert enrollment.last_accepted_at is not None
    assert enrollment.due_at == enrollment.last_accepted_at + timedelta(days=3)


async def test_a_lost_answer_is_unknown_and_never_sent_again(installation: Installation) -> None:
    rules = [Rule("dot", match="lost@", do="drop")]
    async with SmtpSink(rules, users=USERS) as sink:
        world = await make_world(installation, port=sink.port, emails=["lost@x.test"])
        async with running_engine(installation, transport_with()) as engine:
            await pass_time(installation, engine, timedelta(days=3))
    [attempt] = await world.attempts()
    assert attempt.state == "unknown"
    [enrollment] = await world.enrollments()
    assert enrollment.hold_reason == "unknown_outcome"
    assert len(sink.accepted) <= 1


async def test_a_missing_variable_holds_the_lead_and_counts_nothing(installation: Installation) -> None:
    step = StepInput(type="email", subject="Hello", body="<p>At {{companyName}}</p>")
    async with SmtpSink(users=USERS) as sink:
        world = await make_world(installation, port=sink.port, leads=2, steps=(step,))
        async with running_engine(installation, transport_with()) as engine:
            await pass_time(installation, engine, timedelta(hours=1))
    assert {row.hold_reason for row in await world.enrollments()} == {"missing_variable:companyName"}
    assert sink.accepted == []
    assert sum(row.sent for row in await _days(world.workspace_id, installation)) == 0


async def test_a_link_that_no_mail_may_have_holds_the_lead_and_says_so(installation: Installation) -> None:
    step = StepInput(type="email", subject="Hello", body='<p><a href="{{website}}">you</a></p>')
    async with SmtpSink(users=USERS) as sink:
        world = await make_world(installation, port=sink.port, leads=1, steps=(step,))
        [lead_id] = world.lead_ids
        await installation.call("update_lead", id=lead_id, website="javascript:alert(1)")
        about = {"id": world.campaign_id, "leadId": lead_id}
        seen = await installation.call("preview_email", **about, sequenceStep=0, mailboxId=world.mailbox_ids[0])
        async with running_engine(installation, transport_with()) as engine:
            await pass_time(installation, engine, timedelta(hours=1))
            [held] = await world.enrollments()
            explained = await installation.call("explain_lead", **about)
            await installation.call("update_lead", id=lead_id, website="https://acme.test")
            await pass_time(installation, engine, timedelta(hours=1))
    assert seen["missingVariables"] == [] and "javascript" not in seen["body"]
    assert any(warning.startswith("link_not_allowed:website: ") for warning in seen["warnings"])
    assert held.hold_reason == "link_not_allowed:website"
    assert "javascript:" in explained["verdict"] and "update_lead" in explained["verdict"]
    assert "the link that website makes" in str(explained["checks"])
    assert len(sink.accepted) == 1


async def test_the_pause_between_sends_of_a_mailbox_is_kept(installation: Installation) -> None:
    async with SmtpSink(users=USERS) as sink:
        settings = SettingsInput(email_interval_minutes=10)
        world = await make_world(installation, port=sink.port, leads=4, settings=settings)
        async with running_engine(installation, transport_with()) as engine:
            await pass_time(installation, engine, timedelta(hours=2))
    instants = sorted(row.dotted_at for row in await world.attempts() if row.dotted_at is not None)
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(instants)]
    assert len(gaps) == 3
    assert all(600 <= gap <= 780 for gap in gaps)


async def _days(workspace_id: str, installation: Installation) -> list[SendDay]:
    return await installation.app.database.read(
        lambda s: s.query(SendDay).where(SendDay.workspace_id == workspace_id).all()
    )
