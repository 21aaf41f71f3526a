"""What changes while a message is on its way: copies, the lead's data, and whether the lead still wants any mail."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest

from postrider.campaigns.documents import SettingsInput, StepInput
from postrider.dnc.rules import DncSource
from postrider.engine.passages import Passages
from postrider.engine.replies import ReplySender
from postrider.engine.sender import StepSender
from postrider.inbox.reply_claims import claim_replies
from postrider.mailboxes.ports import MailAccount
from postrider.mailboxes.tables import SendDay
from postrider.sending.claimant import Claimant
from postrider.sending.claims import claim_due
from postrider.sending.guards import Objection
from postrider.sending.letter import Stationery
from postrider.sending.outcomes import Outcome
from postrider.sending.ports import Envelope, MailTransport, Marker
from postrider.sending.program import Programs
from postrider.sending.stops import suppress, unsubscribe_lead
from postrider.sending.tables import Event
from postrider.sending.work import StepWork
from postrider.sending.work_queries import load_works
from postrider.storage.leases import take_lease
from tests.conftest import Installation
from tests.engine.reply_world import queue, replies, reply_attempts
from tests.engine.world import EMAIL, FOLLOW_UP, USERS, WAIT, World, make_world, pass_time, running_engine
from tests.features.inbox_world import inbox
from tests.integration.smtp_rig import transport_with
from tests.integration.smtp_sink import Rule, SmtpSink

ENGINE = "the engine whose send it is"
BOSS, AUDIT = "boss@copy.test", "audit@copy.test"
COPIED = SettingsInput(email_interval_minutes=0, cc=[BOSS], bcc=[AUDIT])
HOUR = timedelta(hours=1)

Deed = Callable[[], Awaitable[object]]


@dataclass
class Interposed:
    """A transport before whose first message, or before the second marker of that, something happens."""

    inner: MailTransport
    before_message: Deed | None = None
    before_dot: Deed | None = None

    async def send(self, account: MailAccount, envelope: Envelope, marker: Marker) -> Outcome:
        """See MailTransport.send."""
        deed, self.before_message = self.before_message, None
        if deed is not None:
            await deed()

        async def marked() -> bool:
            deed, self.before_dot = self.before_dot, None
            if deed is not None:
                await deed()
            return await marker()

        return await self.inner.send(account, envelope, marked)

    def hang_up(self) -> None:
        """See MailTransport.hang_up."""
        self.inner.hang_up()

    async def close(self) -> None:
        """See MailTransport.close."""
        await self.inner.close()


async def claimed(world: World) -> tuple[StepWork, StepSender]:
    """The only lead's first email, claimed and loaded, and who is to send it."""
    app, programs = world.installation.app, Programs()
    claimant, now = Claimant(ENGINE, programs, app.vault), app.clock.now()
    await app.database.hot(lambda c: take_lease(c, ENGINE, 60))
    tick = await app.database.write(lambda s: claim_due(s, claimant, world.workspace_id, now, 10))
    found = tick.claimed
    assert found is not None
    [work] = await app.database.read(lambda s: load_works(s, claimant, found))
    stationery = Stationery.of(app.settings, app.vault)
    return work, StepSender(app.database, transport_with(), app.vault, programs, stationery, app.clock, Passages())


async def list_copy(installation: Installation, source: DncSource = "unsubscribe") -> None:
    """Puts the open copy's address on the list."""
    app, workspace_id = installation.app, installation.ann.workspace_id
    now = app.clock.now()
    await app.database.write(
        lambda s: suppress(s, app.vault, workspace_id, BOSS, source=source, reason="said no", now=now)
    )


async def used(installation: Installation) -> list[int]:
    """What is counted on any day."""
    return await installation.app.database.read(lambda s: [row.sent for row in s.query(SendDay) if row.sent])


# Copies


@pytest.mark.parametrize("entry", [BOSS, "copy.test"], ids=["address", "domain"])
async def test_a_copy_that_is_listed_before_the_dot_gets_nothing_and_the_lead_does(
    installation: Installation, entry: str
) -> None:
    async with SmtpSink(users=USERS) as sink:
        world = await make_world(installation, port=sink.port, leads=1, settings=COPIED)
        transport = Interposed(
            transport_with(), before_dot=lambda: installation.call("add_dnc_entries", entries=[{"email": entry}])
        )
        async with running_engine(installation, transport) as engine:
            await pass_time(installation, engine, HOUR)
    [mail] = sink.accepted
    assert mail.recipients == (("lead0@lead0.test", AUDIT) if entry == BOSS else ("lead0@lead0.test",))
    assert BOSS.encode() not in mail.data
    [attempt] = await world.attempts()
    assert (attempt.state, attempt.message_id, attempt.tries) == ("sent", mail.message_id, 1)
    assert attempt.copies == list(mail.recipients[1:])
    events = [(row.kind, row.data.get("reason")) for row in await world.rows(Event)]
    assert events == [("not_sent", "copy_on_dnc"), ("sent", None)]
    assert await used(installation) == [1, 1]


async def test_a_copy_that_is_listed_before_the_first_marker_gets_nothing_and_the_lead_does(
    installation: Installation,
) -> None:
    async with SmtpSink(users=USERS) as sink:
        world = await make_world(installation, port=sink.port, leads=1, settings=COPIED)
        work, sender = await claimed(world)
        # By hand is enough: a campaign copies nobody who is on the list.
        await list_copy(installation, "manual")
        found = await sender.send(work)
        assert isinstance(found, Objection) and found.reason == "copy_on_dnc" and BOSS in found.detail
        assert await world.attempts() == [] and sink.commands == []
        async with running_engine(installation, transport_with()) as engine:
            await pass_time(installation, engine, HOUR)
    assert [mail.recipients for mail in sink.accepted] == [("lead0@lead0.test", AUDIT)]


@pytest.mark.parametrize("source", ["unsubscribe", "manual"])
async def test_a_reply_copies_nobody_who_said_no_before_its_dot(installation: Installation, source: DncSource) -> None:
    """What somebody listed by hand binds no person who writes a reply."""
    async with SmtpSink(users=USERS) as sink:
        world, [conversation_id] = await inbox(installation, port=sink.port)
        await queue(installation, conversation_id, cc=[BOSS], bcc=[AUDIT])
        transport = Interposed(transport_with(), before_dot=lambda: list_copy(installation, source))
        async with running_engine(installation, transport) as engine:
            await pass_time(installation, engine, HOUR)
    expected = ("lead0@lead0.test", AUDIT) if source == "unsubscribe" else ("lead0@lead0.test", BOSS, AUDIT)
    [mail] = sink.accepted
    assert mail.recipients == expected
    assert (BOSS.encode() in mail.data) == (source == "manual")
    [attempt] = await reply_attempts(world)
    assert (attempt.state, attempt.tries, attempt.copies) == ("sent", 1, list(expected[1:]))
    assert [row.status for row in await replies(world)] == ["sent"]


async def test_a_reply_copies_nobody_who_said_no_before_its_first_marker(installation: Installation) -> None:
    app = installation.app
    async with SmtpSink(users=USERS) as sink:
        world, [conversation_id] = await inbox(installation, port=sink.port)
        await queue(installation, conversation_id, cc=[BOSS])
        await app.database.hot(lambda c: take_lease(c, ENGINE, 60))
        tick = await app.database.write(lambda s: claim_replies(s, app.vault, ENGINE, app.clock.now(), 1, {}))
        await list_copy(installation)
        found = await ReplySender(app.database, transport_with(), app.vault, app.clock, Passages()).send(tick.works[0])
        assert isinstance(found, Objection) and found.reason == "copy_on_dnc"
        assert await reply_attempts(world) == [] and sink.commands == []
        async with running_engine(installation, transport_with()) as engine:
            await pass_time(installation, engine, HOUR)
    assert [mail.recipients for mail in sink.accepted] == [("lead0@lead0.test",)]


# Data

NEEDS_COMPANY = StepInput(type="email", subject="Hello {{companyName}}", body="<p>Hi</p>")


@pytest.mark.parametrize("cure", ["lead", "custom field", "campaign"])
async def test_a_lead_that_is_cured_after_it_was_read_is_not_held(installation: Installation, cure: str) -> None:
    text = "Hello {{favouriteTea}}" if cure == "custom field" else "Hello {{companyName}}"
    step = StepInput(type="email", subject=text, body="<p>Hi</p>")
    async with SmtpSink(users=USERS) as sink:
        world = await make_world(installation, port=sink.port, leads=1, steps=(step,))
        work, sender = await claimed(world)
        if cure == "lead":
            await installation.call("update_lead", id=world.lead_ids[0], companyName="Acme")
        elif cure == "custom field":
            await installation.call("update_lead", id=world.lead_ids[0], customFields={"favouriteTea": "Acme"})
        else:
            mended = {"type": "email", "subject": "Hello Acme", "body": "<p>Hi</p>"}
            await installation.call("update_campaign", id=world.campaign_id, sequence=[mended])
        assert (await sender.send(work)).startswith("missing_variable:")  # type: ignore[union-attr]
        [enrollment] = await world.enrollments()
        assert (enrollment.hold_reason, enrollment.lease_owner) == (None, None)
        assert await used(installation) == []
        async with running_engine(installation, transport_with()) as engine:
            await pass_time(installation, engine, HOUR)
    [mail] = sink.accepted
    assert b"Subject: Hello Acme" in mail.data


async def test_a_lead_of_which_something_else_was_edited_is_held_in_the_end(installation: Installation) -> None:
    async with SmtpSink(users=USERS) as sink:
        world = await make_world(installation, port=sink.port, leads=1, steps=(NEEDS_COMPANY,))
        work, sender = await claimed(world)
        await installation.call("update_lead", id=world.lead_ids[0], jobTitle="Baker")
        await sender.send(work)
        async with running_engine(installation, transport_with()) as engine:
            await pass_time(installation, engine, HOUR)
    assert sink.accepted == []
    [enrollment] = await world.enrollments()
    assert enrollment.hold_reason == "missing_variable:companyName"
    kinds = [(row.kind, row.data.get("reason")) for row in await world.rows(Event)]
    assert kinds == [("not_sent", "edited_meanwhile"), ("held", "missing_variable:companyName")]


# Whoever stopped the lead has the last word


@pytest.mark.parametrize(
    "reply",
    [
        "550 No",
        "550 5.1.1 No such user",
        "552 5.2.2 Mailbox full",
        "554 5.7.1 Spam",
        "450 4.2.0 Greylisted",
        "421 4.7.0 Too many messages",
    ],
)
async def test_who_unsubscribes_while_the_server_refuses_stays_unsubscribed(
    installation: Installation, reply: str
) -> None:
    async with SmtpSink([Rule("rcpt", reply=reply)], users=USERS) as sink:
        world = await make_world(installation, port=sink.port, leads=1, steps=(EMAIL, WAIT, FOLLOW_UP))
        await assert_unsubscribing_holds(world)
    assert sink.accepted == []


@pytest.mark.parametrize("reply", ["552 5.2.2 Mailbox full", "450 4.2.0 Greylisted"])
async def test_who_unsubscribes_during_the_last_try_stays_unsubscribed(installation: Installation, reply: str) -> None:
    async with SmtpSink([Rule("rcpt", reply=reply)], users=USERS) as sink:
        world = await make_world(installation, port=sink.port, leads=1, steps=(EMAIL, WAIT, FOLLOW_UP))
        async with running_engine(installation, transport_with()) as engine:
            await pass_time(installation, engine, timedelta(hours=47))
        await assert_unsubscribing_holds(world)
    [attempt] = await world.attempts()
    assert (attempt.state, attempt.tries) == ("rejected", 11)
    assert sink.accepted == []


async def assert_unsubscribing_holds(world: World) -> None:
    """The lead unsubscribes while the next message to it is on its way, whatever becomes of that."""
    app = world.installation.app

    async def unsubscribe() -> None:
        address, now = "lead0@lead0.test", app.clock.now()
        await app.database.write(
            lambda s: unsubscribe_lead(s, app.vault, world.workspace_id, address, now, how="page", attempt=None)
        )

    transport = Interposed(transport_with(), before_message=unsubscribe)
    async with running_engine(world.installation, transport) as engine:
        await pass_time(world.installation, engine, timedelta(days=3))
    assert transport.before_message is None
    [enrollment] = await world.enrollments()
    assert (enrollment.status, enrollment.stop_reason, enrollment.stop_detail) == (
        "unsubscribed",
        "unsubscribed",
        "page",
    )
    assert (enrollment.due_at, enrollment.lease_owner, enrollment.hold_reason) == (None, None, None)
    assert await used(world.installation) == []
