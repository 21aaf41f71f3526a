"""Bounces and complaints: what they change, and that a forged one changes nothing."""

import pytest

from postrider.campaigns.tables import Enrollment
from tests.conftest import Installation
from tests.engine.inbound import complaint, delivery_report, letter, make_mailroom, second_campaign


class TestBounces:
    async def test_of_an_address_that_is_gone_list_it_and_stop_it_everywhere(self, installation: Installation) -> None:
        room = await make_mailroom(installation)
        other = await second_campaign(room)
        report = delivery_report(room.id_of(0), "lead0@lead0.test")
        await room.take(report)
        assert await room.kinds() == [("bounce", "strong")]
        assert await room.listed() == {"lead0@lead0.test": "bounce"}
        rows = {row.id: row.status for row in await room.world.rows(Enrollment)}
        assert (set(rows.values()), rows[other]) == ({"bounced"}, "bounced")
        assert await room.counts() == {"bounced": 1, "returned": 1}
        assert (await room.mailbox()).total_bounced == 1
        assert await room.conversations() == []
        await room.take(report.replace(b"Sorry.", b"Sorry again."))
        assert await room.counts() == {"bounced": 1, "returned": 1}

    async def test_after_the_last_step_show_on_the_lead(self, installation: Installation) -> None:
        room = await make_mailroom(installation)
        await room.change(Enrollment, (await room.enrollment()).id, status="completed", due_at=None)
        await room.take(delivery_report(room.id_of(0), "lead0@lead0.test"))
        assert (await room.enrollment()).status == "bounced"

    @pytest.mark.parametrize(
        ("status", "diagnostic", "becomes"),
        [
            ("5.0.0", "550 rejected", "failed"),
            ("5.2.2", "552 5.2.2 Mailbox full", "active"),
            ("5.7.1", "554 5.7.1 Message blocked as spam", "active"),
        ],
    )
    async def test_for_other_reasons_suppress_nobody(
        self, installation: Installation, status: str, diagnostic: str, becomes: str
    ) -> None:
        room = await make_mailroom(installation)
        await room.take(delivery_report(room.id_of(0), "lead0@lead0.test", status=status, diagnostic=diagnostic))
        assert (await room.enrollment()).status == becomes
        assert await room.listed() == {}
        assert await room.counts() == {"bounced": 1, "returned": 1}

    async def test_on_policy_grounds_alarm_the_mailbox_and_hold_the_lead(self, installation: Installation) -> None:
        room = await make_mailroom(installation, leads=3)
        for number, attempt in enumerate(room.attempts):
            spam = "554 5.7.1 Message blocked as spam"
            await room.take(delivery_report(room.id_of(number), attempt.recipient, status="5.7.1", diagnostic=spam))
        assert (await room.mailbox()).status == "suspended"
        assert (await room.enrollment()).hold_reason == "policy_rejection"

    async def test_of_a_copy_leave_the_lead_alone(self, installation: Installation) -> None:
        room = await make_mailroom(installation, copies=["boss@acme.test"])
        await room.take(delivery_report(room.id_of(0), "boss@acme.test"))
        assert await room.kinds() == [("bounce", "none")]
        assert ((await room.enrollment()).status, await room.listed()) == ("active", {})

    async def test_that_are_only_delays_are_noted(self, installation: Installation) -> None:
        room = await make_mailroom(installation)
        await room.take(delivery_report(room.id_of(0), "lead0@lead0.test", status="4.4.1", action="delayed"))
        assert await room.kinds() == [("delay", "strong")]
        assert ((await room.enrollment()).status, await room.counts()) == ("active", {})
        assert len(await room.events("delayed")) == 1


async def test_a_complaint_lists_the_lead_and_stops_it_everywhere(installation: Installation) -> None:
    room = await make_mailroom(installation)
    other = await second_campaign(room)
    for _ in range(2):
        await room.take(complaint(room.id_of(0), None))
    assert await room.listed() == {"lead0@lead0.test": "complaint"}
    rows = {row.id: row.status for row in await room.world.rows(Enrollment)}
    assert (set(rows.values()), rows[other]) == ({"unsubscribed"}, "unsubscribed")
    assert await room.counts() == {"complained": 1}


async def test_forged_reports_and_wishes_suppress_nobody(installation: Installation) -> None:
    room = await make_mailroom(installation, leads=2)
    lead, other = (attempt.recipient for attempt in room.attempts)
    forged = [
        delivery_report("<guessed@acme.test>", lead),
        delivery_report(room.id_of(1), lead),
        delivery_report("<>", lead),
        complaint("<guessed@acme.test>", lead),
        complaint(room.id_of(1), lead),
        letter("STOP", sender=lead, subject="STOP"),
        letter("unsubscribe", sender=f'"{lead}" <evil@evil.test>', subject="unsubscribe"),
        letter("Please remove me", sender=f"{lead}, evil@evil.test"),
        letter("", sender=lead, subject="unsubscribe 00000000000000000000000000000000"),
        letter("", sender=lead, To="sender0+unsubscribe@acme.test", subject="Unsubscribe"),
        letter("550 5.1.1 user unknown, said your mail to " + lead, sender=lead, answers="<guessed@acme.test>"),
        letter("550 5.1.1 User unknown", sender="mailer-daemon@evil.test", subject="Undelivered Mail"),
        letter("I left the company", sender=other, Auto_Submitted="auto-replied"),
    ]
    for raw in forged:
        await room.take(raw)
    assert await room.listed() == {}
    statuses = {(await room.enrollment(number)).status for number in (0, 1)}
    assert statuses <= {"active", "replied"}
    assert not {"bounced", "unsubscribed", "complained"} & set(await room.counts())
    assert len(await room.messages()) == len(forged)


async def test_a_person_who_quotes_a_bounce_has_replied(installation: Installation) -> None:
    room = await make_mailroom(installation)
    await room.answer(body="Your last mail to my colleague came back with 550 5.1.1 User unknown. Write to me instead.")
    assert await room.kinds() == [("reply", "strong")]
    assert await room.listed() == {}
