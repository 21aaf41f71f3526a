"""What replies and automatic answers ask for: no more mail, another person, another day."""

from datetime import UTC, datetime

import pytest

from postrider.campaigns.documents import ScheduleInput
from postrider.campaigns.tables import Enrollment
from postrider.inbox.tables import OutgoingReply
from postrider.leads.tables import Lead
from tests.conftest import Installation
from tests.engine.inbound import SETTINGS, add_token, letter, make_mailroom, scheduled_reply, second_campaign

OFFICE_HOURS = ScheduleInput(
    timezone="UTC", start_time="09:00", end_time="17:00", working_days=[1, 2, 3, 4, 5], skip_national_holidays=False
)


class TestUnsubscribing:
    async def test_by_reply_lists_the_lead_and_stops_it_in_every_campaign(self, installation: Installation) -> None:
        room = await make_mailroom(installation)
        other = await second_campaign(room)
        pending = await scheduled_reply(room)
        await room.answer(body="Please remove me from your list.")
        assert await room.kinds() == [("unsubscribe", "strong")]
        assert await room.listed() == {"lead0@lead0.test": "unsubscribe"}
        rows = {row.id: row for row in await room.world.rows(Enrollment)}
        assert {row.status for row in rows.values()} == {"unsubscribed"}
        assert rows[other].unsubscribed_at == room.now
        assert await room.counts() == {"replied": 1, "unsubscribed": 1}
        [conversation] = await room.conversations()
        assert conversation.ai_tag == "unsubscribe"
        [reply] = await room.world.rows(OutgoingReply, OutgoingReply.id == pending)
        assert reply.status == "cancelled"

    async def test_by_the_mail_button_needs_nothing_but_the_token(self, installation: Installation) -> None:
        room = await make_mailroom(installation)
        token = await room.token()
        await room.take(letter("", sender="alias@private.test", subject=f"unsubscribe {token}"))
        assert await room.kinds() == [("unsubscribe", "strong")]
        assert await room.listed() == {"lead0@lead0.test": "unsubscribe"}
        assert (await room.enrollment()).status == "unsubscribed"
        assert await room.counts() == {"unsubscribed": 1}
        await room.take(letter("", sender="alias@private.test", subject=f"Unsubscribe {token}"))
        assert await room.counts() == {"unsubscribed": 1}

    async def test_a_token_of_another_workspace_does_nothing(self, installation: Installation) -> None:
        room = await make_mailroom(installation)
        token = await add_token(installation, installation.bob.workspace_id, "lead0@lead0.test", None)
        await room.take(letter("", subject=f"unsubscribe {token}", sender="x@y.test"))
        assert await room.listed() == {}

    async def test_the_address_that_was_written_to_is_listed_not_the_one_that_answers(
        self, installation: Installation
    ) -> None:
        room = await make_mailroom(installation)
        await room.answer(body="Unsubscribe", sender="victim@elsewhere.test")
        assert await room.listed() == {"lead0@lead0.test": "unsubscribe"}

    async def test_an_entry_made_by_hand_becomes_binding(self, installation: Installation) -> None:
        room = await make_mailroom(installation)
        await installation.call("add_dnc_entries", entries=[{"email": "lead0@lead0.test"}])
        await room.answer(body="Unsubscribe me please")
        assert await room.listed() == {"lead0@lead0.test": "unsubscribe"}


class TestLabels:
    @pytest.mark.parametrize(
        "body",
        ["You are the wrong person, sorry: I am the wrong person.", "Please contact my colleague Kim about this."],
    )
    async def test_that_say_it_is_somebody_else_stop_the_lead_everywhere(
        self, installation: Installation, body: str
    ) -> None:
        settings = SETTINGS.model_copy(update={"stop_on_reply": False})
        room = await make_mailroom(installation, emails=["ann@lead.test", "bob@lead.test"], settings=settings)
        other = await second_campaign(room)
        await room.answer(body=body)
        rows = {row.id: row.status for row in await room.world.rows(Enrollment)}
        assert (rows[other], (await room.enrollment(1)).status) == ("stopped", "active")
        assert await room.listed() == {}

    async def test_of_an_automatic_farewell_stop_the_lead(self, installation: Installation) -> None:
        room = await make_mailroom(installation)
        await room.answer(body="Lee is no longer with the company.", Auto_Submitted="auto-replied")
        assert (await room.enrollment()).status == "stopped"
        assert [row.ai_tag for row in await room.conversations()] == ["left_company"]
        assert await room.listed() == {}


class TestCompanyReplies:
    async def test_stop_colleagues_of_the_same_campaign(self, installation: Installation) -> None:
        settings = SETTINGS.model_copy(update={"stop_on_company_reply": True})
        emails = ["ann@lead.test", "bob@lead.test", "eve@other.test"]
        room = await make_mailroom(installation, emails=emails, settings=settings)
        await room.answer(0)
        found = [(await room.enrollment(number)).status for number in range(3)]
        assert found == ["replied", "stopped", "active"]

    async def test_at_a_mail_provider_stop_nobody_else(self, installation: Installation) -> None:
        settings = SETTINGS.model_copy(update={"stop_on_company_reply": True})
        room = await make_mailroom(installation, emails=["ann@gmail.com", "bob@gmail.com"], settings=settings)
        for lead_id in room.world.lead_ids:
            await room.change(Lead, lead_id, company_domain=None)
        await room.answer(0)
        assert (await room.enrollment(1)).status == "active"


class TestAutomaticReplies:
    ABSENCE = "I am out of the office and will be back on Monday, 9 March 2026."

    async def test_are_shown_but_neither_counted_as_replies_nor_unread(self, installation: Installation) -> None:
        room = await make_mailroom(installation)
        await room.answer(body="Your request has been received.", Auto_Submitted="auto-replied")
        enrollment = await room.enrollment()
        assert (enrollment.status, enrollment.replied_at) == ("active", None)
        [conversation] = await room.conversations()
        assert conversation.unread_count == 0
        assert await room.counts() == {"auto_replied": 1}

    async def test_that_name_a_day_of_return_put_the_next_step_off(self, installation: Installation) -> None:
        room = await make_mailroom(installation, schedule=OFFICE_HOURS)
        await room.answer(body=self.ABSENCE, Auto_Submitted="auto-replied")
        enrollment = await room.enrollment()
        assert (enrollment.status, enrollment.due_at) == ("active", datetime(2026, 3, 10, 9, tzinfo=UTC))
        [event] = await room.events("auto_replied")
        assert event.data["returnDate"] == "2026-03-09"

    async def test_of_a_friday_put_it_off_over_the_weekend(self, installation: Installation) -> None:
        room = await make_mailroom(installation, schedule=OFFICE_HOURS)
        body = "I am out of the office and will be back on Friday, 13 March 2026."
        await room.answer(body=body, Auto_Submitted="auto-replied")
        assert (await room.enrollment()).due_at == datetime(2026, 3, 16, 9, tzinfo=UTC)

    async def test_never_bring_the_next_step_forward(self, installation: Installation) -> None:
        room = await make_mailroom(installation)
        before = await room.enrollment()
        body = "I am out of the office and will be back on Tuesday, 3 March 2026."
        await room.answer(body=body, Auto_Submitted="auto-replied")
        assert (await room.enrollment()).due_at == before.due_at

    async def test_stop_where_the_campaign_wants_it(self, installation: Installation) -> None:
        room = await make_mailroom(installation, settings=SETTINGS.model_copy(update={"stop_on_auto_reply": True}))
        await room.answer(body=self.ABSENCE, Auto_Submitted="auto-replied")
        enrollment = await room.enrollment()
        assert (enrollment.status, enrollment.due_at) == ("stopped", None)

    async def test_that_answer_nothing_of_ours_move_nothing(self, installation: Installation) -> None:
        room = await make_mailroom(installation, settings=SETTINGS.model_copy(update={"stop_on_auto_reply": True}))
        before = await room.enrollment()
        await room.take(letter(self.ABSENCE, Auto_Submitted="auto-replied"))
        assert await room.kinds() == [("auto_reply", "weak")]
        after = await room.enrollment()
        assert (after.status, after.due_at) == ("active", before.due_at)
