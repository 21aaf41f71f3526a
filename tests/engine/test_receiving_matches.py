"""Which of our messages an inbound one is about, how surely, and what that settles."""

from datetime import timedelta

import pytest

from postrider.campaigns.documents import SettingsInput
from postrider.campaigns.tables import Enrollment
from postrider.sending.tables import Attempt
from tests.conftest import Installation
from tests.engine.inbound import SETTINGS, delivery_report, letter, make_mailroom, second_campaign


class TestMatching:
    async def test_by_any_id_in_the_references(self, installation: Installation) -> None:
        room = await make_mailroom(installation)
        chain = f"<older@x.test> {room.id_of(0)} <newer@x.test>"
        await room.take(letter(References=chain))
        assert await room.kinds() == [("reply", "strong")]

    @pytest.mark.parametrize(
        ("column", "stored", "answered"),
        [
            ("server_id", "abc123@provider.test", "<abc123@provider.test>"),
            ("server_id", "0100018a2b3c4d5e-6f7a8b9c", "<0100018a2b3c4d5e-6f7a8b9c@eu-west-1.amazonses.com>"),
            ("found_id", "<in-sent@provider.test>", "<in-sent@provider.test>"),
        ],
    )
    async def test_by_the_id_that_the_provider_gave_it(
        self, installation: Installation, column: str, stored: str, answered: str
    ) -> None:
        room = await make_mailroom(installation)
        await room.change(Attempt, room.attempts[0].id, **{column: stored})
        await room.take(letter(answers=answered))
        assert await room.kinds() == [("reply", "strong")]

    async def test_by_the_sender_alone_is_weak_and_stops_this_sequence_only(self, installation: Installation) -> None:
        settings = SETTINGS.model_copy(update={"stop_on_company_reply": True})
        emails = ["ann@lead.test", "bob@lead.test"]
        room = await make_mailroom(installation, emails=emails, settings=settings)
        await room.take(letter("Wrong person, sorry.", sender="ANN@lead.test", subject="Your mail"))
        assert await room.kinds() == [("reply", "weak")]
        assert [(await room.enrollment(number)).status for number in (0, 1)] == ["replied", "active"]
        assert len(await room.conversations()) == 1

    async def test_by_the_sender_alone_is_shown_as_such_wherever_the_message_shows(
        self, installation: Installation
    ) -> None:
        room = await make_mailroom(installation, leads=2)
        await room.take(letter("Sounds good", subject="Your mail"))
        await room.answer(1, "Sounds good too")
        listed = (await installation.call("list_conversations"))["items"]
        weak = {row["lead"]["email"]: row["weakMatch"] for row in listed}
        assert weak == {"lead0@lead0.test": True, "lead1@lead1.test": False}
        for row in listed:
            thread = await installation.call("get_conversation", id=row["id"])
            assert thread["weakMatch"] == row["weakMatch"]
            marks = [(message["direction"], message["match"]) for message in thread["messages"]]
            assert marks == [("outbound", None), ("inbound", "weak" if row["weakMatch"] else "strong")]
        told = await installation.call("explain_lead", id=room.world.campaign_id, leadId=room.world.lead_ids[0])
        assert "the sender's address alone" in told["verdict"]
        assert "the sender's address alone" in str(told["events"][-1]["detail"])

    async def test_by_the_sender_ends_no_sequence_that_goes_on_after_replies(self, installation: Installation) -> None:
        room = await make_mailroom(installation, settings=SETTINGS.model_copy(update={"stop_on_reply": False}))
        await room.take(letter("Not me. Please contact my colleague Kim.", subject="Your mail"))
        assert (await room.kinds(), (await room.enrollment()).status) == ([("reply", "weak")], "active")

    async def test_a_wish_known_by_its_sender_alone_ends_this_sequence_and_suppresses_nobody(
        self, installation: Installation
    ) -> None:
        room = await make_mailroom(installation, settings=SETTINGS.model_copy(update={"stop_on_reply": False}))
        other = await second_campaign(room)
        await room.take(letter("Please remove me from your list.", subject="Your mail"))
        rows = {row.id: row.status for row in await room.world.rows(Enrollment)}
        assert sorted(rows.values()) == ["active", "replied"] and other in rows
        assert await room.listed() == {}

    async def test_by_the_sender_ends_after_sixty_days(self, installation: Installation) -> None:
        room = await make_mailroom(installation)
        installation.clock.advance(timedelta(days=61))
        await room.take(letter())
        assert await room.kinds() == [("reply", "none")]
        assert (await room.enrollment()).status == "active"

    async def test_a_stranger_is_stored_and_changes_nothing(self, installation: Installation) -> None:
        room = await make_mailroom(installation)
        await room.take(letter(sender="nobody@elsewhere.test", answers="<never-sent@acme.test>"))
        assert await room.kinds() == [("reply", "none")]
        assert await room.conversations() == []
        assert await room.events() == []

    async def test_a_message_id_of_another_workspace_is_a_stranger_s(self, installation: Installation) -> None:
        room = await make_mailroom(installation)
        await room.change(Attempt, room.attempts[0].id, workspace_id=installation.bob.workspace_id)
        await room.take(letter(answers=room.id_of(0)))
        assert await room.kinds() == [("reply", "none")]

    async def test_a_newsletter_from_a_lead_s_address_is_no_reply(self, installation: Installation) -> None:
        room = await make_mailroom(installation)
        await room.take(letter("News of March", List_Id="<news.lead0.test>", Precedence="bulk"))
        assert await room.kinds() == [("auto_generated", "none")]
        assert (await room.enrollment()).status == "active"


class TestOwnMail:
    async def test_copies_of_what_we_sent_are_no_replies(self, installation: Installation) -> None:
        room = await make_mailroom(installation, mailboxes=2)
        await room.take(
            letter(sender="sender0@acme.test", message_id=room.id_of(0)),
            letter(sender="sender0@acme.test", answers=room.id_of(0)),
            letter(sender="sender1@acme.test", subject="Warming up"),
        )
        assert await room.kinds() == [("own", "none")] * 3
        assert (await room.enrollment()).status == "active"
        assert (await room.mailbox()).total_received == 0

    async def test_a_colleague_s_mailbox_that_is_a_lead_does_reply(self, installation: Installation) -> None:
        room = await make_mailroom(installation, emails=["sender1@acme.test"], mailboxes=2)
        await room.answer()
        assert await room.kinds() == [("reply", "strong")]
        assert (await room.enrollment()).status == "replied"


class TestUnknownOutcomes:
    async def test_are_settled_by_a_reply(self, installation: Installation) -> None:
        settings = SettingsInput(email_interval_minutes=0, stop_on_reply=False)
        room = await make_mailroom(installation, state="unknown", settings=settings)
        await room.answer()
        [attempt] = await room.world.attempts()
        enrollment = await room.enrollment()
        assert attempt.state == "sent"
        assert (enrollment.hold_reason, enrollment.next_step, enrollment.status) == (None, 1, "active")
        assert enrollment.due_at == room.now + timedelta(days=3)
        assert enrollment.thread_ids == [attempt.message_id]
        assert enrollment.thread_subject == "Hello"
        assert (await room.counts())["sent"] == 1
        assert (await room.mailbox()).total_sent == 1

    async def test_are_settled_by_a_copy_of_the_message_itself(self, installation: Installation) -> None:
        room = await make_mailroom(installation, state="unknown")
        await room.take(letter(sender="sender0@acme.test", message_id=room.id_of(0)))
        assert await room.kinds() == [("own", "none")]
        assert [row.state for row in await room.world.attempts()] == ["sent"]

    async def test_are_settled_by_a_report_which_then_acts(self, installation: Installation) -> None:
        room = await make_mailroom(installation, state="unknown")
        await room.take(delivery_report(room.id_of(0), "lead0@lead0.test"))
        assert [row.state for row in await room.world.attempts()] == ["sent"]
        assert (await room.enrollment()).status == "bounced"

    async def test_stay_unknown_when_only_the_sender_fits(self, installation: Installation) -> None:
        room = await make_mailroom(installation, state="unknown")
        await room.take(letter())
        assert [row.state for row in await room.world.attempts()] == ["unknown"]
