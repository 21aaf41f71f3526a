"""Test emails: whom they may reach, what they offer, and what of the mailbox's day they use."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from postrider.campaigns.tables import Enrollment
from postrider.dnc.tables import DncEntry
from postrider.inbox.tables import Conversation
from postrider.kernel.errors import Conflict, Upstream
from postrider.leads.tables import Lead
from postrider.mailboxes.ports import MailAccount
from postrider.mailboxes.tables import Mailbox, SendDay
from postrider.sending.outcomes import Delivered, Outcome, Rejected
from postrider.sending.ports import Envelope, MailTransport, Marker
from postrider.sending.tables import Attempt, UnsubscribeToken
from postrider.sending.trials import ABANDONED_AFTER, close_abandoned
from tests.conftest import Installation
from tests.engine.inbound import Mailroom, letter, make_mailroom

LEAD = "lead0@lead0.test"
STRANGER = "someone@else.test"


class Recorder:
    """A transport that takes everything, or answers with ``outcome``."""

    def __init__(self) -> None:
        self.sent: list[Envelope] = []
        self.outcome: Outcome = Delivered("Ok", "queue-id")

    async def send(self, account: MailAccount, envelope: Envelope, marker: Marker) -> Outcome:
        """See MailTransport.send."""
        assert await marker()
        self.sent.append(envelope)
        return self.outcome

    def hang_up(self) -> None:
        """Nothing is ever broken off."""

    async def close(self) -> None:
        """Nothing is kept open."""


@pytest.fixture
def transport() -> Recorder:
    """Holds what would have left."""
    return Recorder()


@pytest.fixture
def ports(transport: Recorder) -> dict[type, object]:
    """Only mail leaves."""
    return {MailTransport: transport}


async def trial(room: Mailroom, **to: Any) -> dict[str, Any]:
    """Sends a test of the first email; to the first lead, unless ``to`` says otherwise."""
    named = to or {"leadId": room.world.lead_ids[0]}
    world = room.world
    answer: dict[str, Any] = await world.installation.call(
        "send_test_email", id=world.campaign_id, sequenceStep=0, mailboxId=world.mailbox_ids[0], **named
    )
    return answer


async def used(room: Mailroom) -> int:
    """What the mailbox says to have sent today."""
    answer = await room.installation.call("get_mailbox", id=room.world.mailbox_ids[0])
    return int(answer["sentToday"])


async def days(installation: Installation) -> list[int]:
    """All that was counted on any day."""
    return await installation.app.database.read(lambda s: [row.sent for row in s.query(SendDay)])


class TestRecipients:
    @pytest.mark.parametrize("status", ["replied", "unsubscribed", "bounced", "stopped"])
    @pytest.mark.parametrize("named", ["leadId", "customEmail"])
    async def test_who_said_no_is_not_written_to(
        self, installation: Installation, transport: Recorder, status: str, named: str
    ) -> None:
        room = await make_mailroom(installation)
        await room.change(Enrollment, (await room.enrollment()).id, status=status)
        to = {"leadId": room.world.lead_ids[0]} if named == "leadId" else {"customEmail": LEAD.upper()}
        with pytest.raises(Conflict, match="The test was not sent") as refused:
            await trial(room, **to)
        assert (refused.value.error_code, refused.value.details["status"]) == ("LEAD_NOT_ACTIVE", status)
        assert transport.sent == []
        assert await used(room) == 0

    @pytest.mark.parametrize("column", ["unsubscribed_at", "bounced_at"])
    async def test_nor_is_who_said_so_after_the_last_email(
        self, installation: Installation, transport: Recorder, column: str
    ) -> None:
        room = await make_mailroom(installation)
        await room.change(Enrollment, (await room.enrollment()).id, status="completed", **{column: room.now})
        with pytest.raises(Conflict):
            await trial(room)
        assert transport.sent == []

    async def test_a_lead_gets_a_way_to_unsubscribe_that_works(
        self, installation: Installation, transport: Recorder
    ) -> None:
        room = await make_mailroom(installation)
        await trial(room)
        [token] = await installation.app.database.read(lambda s: [row.token for row in s.query(UnsubscribeToken)])
        [sent] = transport.sent
        assert b"List-Unsubscribe: <" in sent.data
        assert f"unsubscribe%20{token}".encode() in sent.data.replace(b"\r\n", b"").replace(b" ", b"")
        await room.take(letter("", sender="alias@private.test", subject=f"unsubscribe {token}"))
        assert await room.listed() == {LEAD: "unsubscribe"}

    async def test_a_test_to_a_member_is_only_a_look(self, installation: Installation, transport: Recorder) -> None:
        room = await make_mailroom(installation)
        for own in ("sender0@acme.test", "ann@ann.test"):
            answer = await trial(room, customEmail=own)
            await room.take(letter("stop", answers=answer["messageId"], sender=own))
        assert [b"List-Unsubscribe" in each.data for each in transport.sent] == [False, False]
        assert await room.listed() == {}


class TestAnswers:
    async def test_stop_lists_the_lead_and_ends_its_sequence(self, installation: Installation) -> None:
        room = await make_mailroom(installation)
        answer = await trial(room)
        await room.take(letter("stop", answers=answer["messageId"], sender=LEAD))
        assert await room.listed() == {LEAD: "unsubscribe"}
        assert (await room.enrollment()).status == "unsubscribed"

    async def test_stop_counts_from_a_lead_of_no_campaign_and_from_a_stranger(self, installation: Installation) -> None:
        room = await make_mailroom(installation)
        made = await installation.call("create_lead", email="new@lead.test", firstName="New")
        for number, to in enumerate(({"leadId": made["id"]}, {"customEmail": STRANGER})):
            answer = await trial(room, **to)
            address = ("new@lead.test", STRANGER)[number]
            await room.take(letter("stop", answers=answer["messageId"], sender=address))
        assert set(await room.listed()) == {"new@lead.test", STRANGER}

    async def test_any_other_reply_is_the_leads_reply(self, installation: Installation) -> None:
        room = await make_mailroom(installation)
        answer = await trial(room)
        await room.take(letter("Tell me more.", answers=answer["messageId"], sender=LEAD))
        assert (await room.enrollment()).status == "replied"
        assert len(await room.world.rows(Conversation)) == 1
        [event] = await room.events("replied")
        assert event.enrollment_id == (await room.enrollment()).id

    async def test_an_address_that_does_not_exist_is_listed(
        self, installation: Installation, transport: Recorder
    ) -> None:
        room = await make_mailroom(installation)
        transport.outcome = Rejected("hard", "rcpt", 550, "5.1.1", "No such user")
        with pytest.raises(Upstream):
            await trial(room)
        assert await room.listed() == {LEAD: "bounce"}
        assert (await room.enrollment()).status == "bounced"
        assert await used(room) == 0


class TestDayLimit:
    async def test_tests_use_up_the_day_of_the_mailbox_and_are_refused_then(
        self, installation: Installation, transport: Recorder
    ) -> None:
        room = await make_mailroom(installation)
        await room.change(Mailbox, room.world.mailbox_ids[0], daily_send_limit=1, timezone="America/New_York")
        await trial(room, customEmail=STRANGER)
        assert await used(room) == 1
        with pytest.raises(Conflict, match="dailySendLimit of 1") as refused:
            await trial(room, customEmail="ann@ann.test")
        assert refused.value.error_code == "DAILY_LIMIT_REACHED"
        assert str(refused.value.details["resetsAt"]) in refused.value.message
        assert len(transport.sent) == 1
        [mailbox] = await room.world.rows(Mailbox)
        installation.clock.advance_to(room.now + timedelta(days=1))
        await trial(room, customEmail=STRANGER)
        assert (len(transport.sent), mailbox.total_sent) == (2, 1)

    async def test_what_did_not_leave_is_given_back(self, installation: Installation, transport: Recorder) -> None:
        room = await make_mailroom(installation)
        transport.outcome = Rejected("policy", "data", 550, "5.7.1", "No")
        with pytest.raises(Upstream):
            await trial(room, customEmail=STRANGER)
        assert await days(installation) == [0]

    async def test_an_abandoned_one_is_given_back_once(self, installation: Installation) -> None:
        room = await make_mailroom(installation)
        await trial(room, customEmail=STRANGER)
        database, later = installation.app.database, room.now + ABANDONED_AFTER * 2
        again = update(Attempt).where(Attempt.purpose == "test").values(state="sending")
        await database.write(lambda s: s.execute(again) and None)
        for _ in range(2):
            await database.write(lambda s: close_abandoned(s, later))
        assert await days(installation) == [0]


class TestReservedNames:
    async def test_a_leads_data_cannot_bend_the_unsubscribe_link(self, installation: Installation) -> None:
        room = await make_mailroom(installation)
        fields = {"unsubscribe_url": "https://evil.test/u", "senderEmail": "evil@evil.test", "role": "chief"}
        await room.change(Lead, room.world.lead_ids[0], custom_fields=fields)
        shown = await installation.call(
            "preview_email",
            id=room.world.campaign_id,
            sequenceStep=0,
            leadId=room.world.lead_ids[0],
            mailboxId=room.world.mailbox_ids[0],
            contentOverride={"subject": "x", "body": '<a href="{{unsubscribe_url}}">{{senderEmail}}</a> {{role}}'},
        )
        assert "evil" not in shown["body"] + shown["text"]
        assert "sender0@acme.test" in shown["body"] and "chief" in shown["body"]
        reserved = [warning.partition(": ")[0] for warning in shown["warnings"] if warning.startswith("RESERVED")]
        assert reserved == ["RESERVED_NAME:senderEmail", "RESERVED_NAME:unsubscribe_url"]
        assert await room.world.rows(DncEntry) == []
