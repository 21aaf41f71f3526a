"""What sandbox prospects do, by their tags and by the draw, and that the product understands what comes back."""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest

from postrider.adapters.sandbox import Sandbox
from postrider.adapters.sandbox_prospects import SHARES, TAGS, Behaviour, prospect_at, reactions
from postrider.content.addresses import NamedAddress, parse_address
from postrider.content.mime import Message, build_message
from postrider.inbox.classify import bounce_verdicts, classify, suggest_label
from postrider.inbox.parsing import ParsedMail, parse_mail
from postrider.kernel.clock import VirtualClock
from postrider.mailboxes.ports import MailAccount
from postrider.sending.outcomes import Deferred, Delivered, Outcome, Rejected
from postrider.sending.ports import Envelope
from tests.contract.mail_reader_contract import Reading, mails_of
from tests.contract.mail_transport_contract import CountedMarker

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ACCOUNT = MailAccount("ws_1", "mbx_1", "eva@acme.test", "sandbox", None, None)
OTHER_ACCOUNT = MailAccount("ws_1", "mbx_2", "ben@acme.test", "sandbox", None, None)
ONE_CLICK = "https://outreach.test/u/token-of-ann"
PIXEL = "https://outreach.test/t/o/pixel"
LINK = "https://outreach.test/t/c/link?a=1&b=2"
TIME_LIMIT = 10


def message_to(address: str, number: int = 1, *, one_click: bool = True) -> Envelope:
    """A step as Postrider writes it."""
    message_id = f"<step-{number}-{address.replace('@', '-at-')}@acme.test>"
    mailto = "mailto:eva@acme.test?subject=unsubscribe%20tok3n-of-ann-0123"
    data = build_message(
        Message(
            sender_name="Eva Stone",
            sender=parse_address("eva@acme.test"),
            to=NamedAddress("Ann Müller", parse_address(address)),
            subject="Quick question",
            date=START,
            message_id=message_id,
            text="Hi Ann,\n\nhow do you do it today?",
            html=f'<p>Hi Ann, <a href="{LINK.replace("&", "&amp;")}">look</a></p><img src="{PIXEL}" alt="">',
            references=(message_id,),
            list_unsubscribe=(ONE_CLICK, mailto) if one_click else (mailto,),
            one_click=one_click,
        )
    )
    return Envelope("eva@acme.test", (address,), message_id, data)


class Rig:
    """A sandbox on a virtual clock, with what its prospects visited."""

    def __init__(self, seed: str = "tests", *, web: bool = True) -> None:
        self.clock = VirtualClock(START)
        self.posted: list[str] = []
        self.fetched: list[str] = []
        self.sandbox = Sandbox(
            self.clock, seed, one_click=self._post if web else None, fetch=self._fetch if web else None
        )
        self.reading = Reading(self.sandbox.reader, ACCOUNT)
        self.reading.since = START

    async def _post(self, url: str) -> None:
        self.posted.append(url)

    async def _fetch(self, url: str) -> None:
        self.fetched.append(url)

    async def send(self, address: str, number: int = 1, *, one_click: bool = True) -> Outcome:
        envelope = message_to(address, number, one_click=one_click)
        return await self.sandbox.transport.send(ACCOUNT, envelope, CountedMarker())

    async def received(self) -> Sequence[ParsedMail]:
        return [parse_mail(one.raw) for one in mails_of(await self.reading.next())]

    async def answers(self, address: str, **more: bool) -> Sequence[ParsedMail]:
        """Everything that comes within a day of a message."""
        assert isinstance(await self.send(address, **more), Delivered)
        self.clock.advance(timedelta(days=1))
        return await self.received()


@pytest.mark.parametrize(
    ("tag", "labels"),
    [
        ("interested", {"interested", "meeting_requested"}),
        ("question", {"needs_more_info", "question"}),
        ("no", {"not_interested"}),
    ],
)
@pytest.mark.parametrize("seed", ["a", "b", "c", "d", "e", "f"])
async def test_a_person_answers_the_message_itself_and_is_understood(tag: str, labels: set[str], seed: str) -> None:
    (answer,) = await Rig(seed).answers(f"ann+{tag}@lead.test")
    ours = message_to(f"ann+{tag}@lead.test").message_id
    assert (answer.in_reply_to, answer.references) == ((ours,), (ours,))
    assert (answer.from_address, answer.from_name) == (f"ann+{tag}@lead.test", "Ann Müller")
    assert (answer.to, answer.subject) == (("eva@acme.test",), "Re: Quick question")
    assert "> how do you do it today?" in answer.text and "how do you do it" not in answer.new_text
    assert classify(answer, references_ours=True, received_on=START.date()).kind == "reply"
    assert suggest_label(answer.new_text, subject=answer.subject)[0] in labels
    assert answer.date is not None and answer.defects == ()


async def test_an_answer_comes_by_the_clock_and_not_before() -> None:
    rig = Rig()
    await rig.send("ann+interested@lead.test")
    assert await rig.received() == []
    events = []
    while (at := rig.sandbox.next_event_at()) is not None:
        rig.clock.advance_to(at)
        events += [(at, one) for one in await rig.received()]
    ((at, answer),) = events
    assert rig.sandbox.arrivals == 1
    assert answer.date == at.replace(microsecond=0)
    assert timedelta(minutes=10) < at - START < timedelta(hours=10)


async def test_waiting_for_mail_ends_in_the_moment_the_answer_is_due() -> None:
    rig = Rig()
    await rig.reading.next()
    await rig.send("ann+no@lead.test")
    came: list[bool] = []

    async def wait() -> None:
        came.append(await rig.sandbox.reader.wait_for_mail(ACCOUNT, TIME_LIMIT))

    with anyio.fail_after(TIME_LIMIT):
        async with anyio.create_task_group() as side:
            side.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            while (wake := rig.clock.next_wake()) is not None:
                assert wake == rig.sandbox.next_event_at()
                rig.clock.advance_to(wake)
                await anyio.wait_all_tasks_blocked()
    assert came == [True]
    assert len(await rig.received()) == 1


async def test_an_absent_person_sends_one_notice_with_a_return_date() -> None:
    rig = Rig()
    (notice,) = await rig.answers("ann+ooo@lead.test")
    verdict = classify(notice, references_ours=True, received_on=START.date())
    assert (verdict.kind, verdict.sub_kind) == ("auto_reply", "ooo")
    assert verdict.return_date is not None
    assert timedelta(days=3) <= verdict.return_date - START.date() <= timedelta(days=13)
    assert verdict.return_date.weekday() < 5
    await rig.send("ann+ooo@lead.test", 2)
    rig.clock.advance(timedelta(days=1))
    assert await rig.received() == []


async def test_an_unknown_address_is_refused_at_once() -> None:
    outcome = await Rig().send("ann+hardbounce@lead.test")
    assert isinstance(outcome, Rejected)
    assert (outcome.kind, outcome.stage, outcome.enhanced) == ("hard", "rcpt", "5.1.1")


async def test_an_unknown_address_behind_a_relay_is_reported_later() -> None:
    (report,) = await Rig().answers("ann+dsn@lead.test")
    assert report.dsn is not None and report.dsn.standard
    assert report.dsn.original_message_id == message_to("ann+dsn@lead.test").message_id
    (verdict,) = bounce_verdicts(report.dsn)
    assert (verdict.kind, verdict.recipient, verdict.status) == ("hard", "ann+dsn@lead.test", "5.1.1")
    assert classify(report, references_ours=True, received_on=START.date()).kind == "bounce"
    assert report.return_path == ""


async def test_a_complaint_names_the_message_and_the_person() -> None:
    (report,) = [one for one in await Rig().answers("ann+complaint@lead.test") if one.arf is not None]
    assert report.arf is not None
    assert report.arf.original_message_id == message_to("ann+complaint@lead.test").message_id
    assert (report.arf.feedback_type, report.arf.original_recipient) == ("abuse", "ann+complaint@lead.test")
    assert classify(report, references_ours=True, received_on=START.date()).kind == "complaint"


async def test_an_unsubscribe_button_writes_to_the_address_in_the_header() -> None:
    (wish,) = await Rig().answers("ann+unsubscribe@lead.test")
    assert (wish.subject, wish.to) == ("unsubscribe tok3n-of-ann-0123", ("eva@acme.test",))
    assert classify(wish, references_ours=False, received_on=START.date()).kind == "unsubscribe"


async def test_a_one_click_posts_to_the_page_and_writes_nothing() -> None:
    rig = Rig()
    assert await rig.answers("ann+oneclick@lead.test") == []
    assert rig.posted == [ONE_CLICK]


@pytest.mark.parametrize("web", [True, False])
async def test_without_a_page_a_one_click_becomes_a_mail(web: bool) -> None:
    (wish,) = await Rig(web=web).answers("ann+oneclick@lead.test", one_click=not web)
    assert classify(wish, references_ours=False, received_on=START.date()).kind == "unsubscribe"


async def test_a_full_mailbox_has_room_at_the_second_try() -> None:
    rig = Rig()
    first = await rig.send("ann+softbounce@lead.test")
    assert isinstance(first, Deferred) and (first.kind, first.code) == ("transient", 452)
    assert isinstance(await rig.send("ann+softbounce@lead.test"), Delivered)


async def test_greylisting_ends_after_its_time_and_not_by_hurrying() -> None:
    rig = Rig()
    for _ in range(3):
        outcome = await rig.send("ann+greylist@lead.test")
        assert isinstance(outcome, Deferred)
        assert (outcome.kind, outcome.retry_after_seconds) == ("transient", 300)
    rig.clock.advance(timedelta(seconds=300))
    assert isinstance(await rig.send("ann+greylist@lead.test"), Delivered)
    assert isinstance(await rig.send("ann+greylist@lead.test", 2), Delivered)


async def test_the_silent_say_nothing() -> None:
    rig = Rig()
    assert await rig.answers("ann+silent@lead.test") == []
    assert await rig.answers("ann+silent@lead.test") == []


async def test_an_interested_person_closes_the_conversation_once() -> None:
    rig = Rig()
    assert len(await rig.answers("ann+interested@lead.test")) == 1
    for number, expected in ((2, 1), (3, 0)):
        await rig.send("ann+interested@lead.test", number)
        rig.clock.advance(timedelta(days=1))
        assert len(await rig.received()) == expected


async def test_people_open_and_click_what_they_got() -> None:
    rig = Rig()
    for number in range(200):
        await rig.send(f"lead{number}@lead.test")
    rig.clock.advance(timedelta(days=1))
    await rig.sandbox.settle()
    seen = Counter(rig.fetched)
    assert set(seen) == {PIXEL, LINK}
    assert 40 < seen[PIXEL] < 120 and 1 < seen[LINK] < 30


async def test_a_page_that_fails_stops_nobody_else() -> None:
    clock = VirtualClock(START)

    async def broken(url: str) -> None:
        raise ConnectionError(url)

    sandbox = Sandbox(clock, one_click=broken)
    for tag in ("oneclick", "no"):
        await sandbox.transport.send(ACCOUNT, message_to(f"ann+{tag}@lead.test"), CountedMarker())
    clock.advance(timedelta(days=1))
    await sandbox.settle()
    assert len(sandbox.inbox(ACCOUNT)) == 1
    assert sandbox.next_event_at() is None


async def test_a_visit_cut_short_is_made_again() -> None:
    clock, started, visits = VirtualClock(START), anyio.Event(), []

    async def slow(url: str) -> None:
        visits.append(url)
        if len(visits) == 1:
            started.set()
            await anyio.sleep_forever()

    sandbox = Sandbox(clock, one_click=slow)
    await sandbox.transport.send(ACCOUNT, message_to("ann+oneclick@lead.test"), CountedMarker())
    clock.advance(timedelta(days=1))
    with anyio.fail_after(TIME_LIMIT):
        async with anyio.create_task_group() as side:
            side.start_soon(sandbox.settle)
            await started.wait()
            side.cancel_scope.cancel()
        await sandbox.settle()
    assert visits == [ONE_CLICK, ONE_CLICK]


async def test_accounts_of_the_sandbox_write_to_each_other() -> None:
    sandbox = Sandbox(VirtualClock(START))
    reading = Reading(sandbox.reader, OTHER_ACCOUNT)
    reading.since = START
    assert mails_of(await reading.next()) == []
    envelope = message_to("ben@acme.test")
    assert isinstance(await sandbox.transport.send(ACCOUNT, envelope, CountedMarker()), Delivered)
    (got,) = mails_of(await reading.next())
    assert got.raw == envelope.data
    assert sandbox.next_event_at() is None


async def test_copies_stay_silent_whoever_they_are() -> None:
    rig = Rig()
    envelope = message_to("ann+silent@lead.test")
    copied = Envelope(envelope.sender, (*envelope.recipients, "boss+no@lead.test"), envelope.message_id, envelope.data)
    await rig.sandbox.transport.send(ACCOUNT, copied, CountedMarker())
    rig.clock.advance(timedelta(days=1))
    assert await rig.received() == []


async def test_a_message_that_nobody_could_answer_is_still_accepted() -> None:
    sandbox = Sandbox(VirtualClock(START))
    broken = Envelope("eva@acme.test", ("ann+no@lead.test",), "<x@acme.test>", b"no header at all\r\n")
    assert isinstance(await sandbox.transport.send(ACCOUNT, broken, CountedMarker()), Delivered)
    assert sandbox.next_event_at() is None


def test_the_same_seed_gives_the_same_people_and_another_seed_others() -> None:
    addresses = [f"lead{number}@lead.test" for number in range(300)]
    first = [prospect_at(b"one", address) for address in addresses]
    assert first == [prospect_at(b"one", address.upper()) for address in addresses]
    assert first != [prospect_at(b"two", address) for address in addresses]


def test_a_tag_decides_for_every_seed_and_an_unknown_tag_decides_nothing() -> None:
    for tag, behaviour in TAGS.items():
        assert {prospect_at(bytes([n]), f"ann+{tag}@lead.test").behaviour for n in range(9)} == {behaviour}
    drawn = {prospect_at(bytes([n // 256, n % 256]), "ann+newsletter@lead.test").behaviour for n in range(2_000)}
    assert len(drawn) > 5


def test_the_manual_names_every_tag() -> None:
    manual = Path(__file__).parents[3] / "docs" / "sandbox.md"
    assert set(re.findall(r"^\| `\+(\w+)` \|", manual.read_text(), re.MULTILINE)) == set(TAGS)


def test_the_draw_keeps_to_the_shares() -> None:
    count = 20_000
    drawn = Counter(prospect_at(b"shares", f"lead{number}@lead.test").behaviour for number in range(count))
    for behaviour, permille in SHARES:
        assert abs(drawn[behaviour] - permille * count / 1000) < 5 * (permille * count / 1000) ** 0.5 + 1
    assert drawn["silent"] > 0.8 * count


@pytest.mark.parametrize("behaviour", sorted(TAGS.values()))
def test_a_person_acts_once_and_reacts_the_same_way_each_time_they_are_asked(behaviour: Behaviour) -> None:
    prospect = prospect_at(b"seed", f"ann+{behaviour}@lead.test")
    acts = [
        one.act
        for number in range(1, 9)
        for one in reactions(b"seed", prospect, number)
        if one.act not in ("open", "click")
    ]
    assert len(acts) <= 2 and len(set(acts)) == len(acts)
    assert reactions(b"seed", prospect, 1) == reactions(b"seed", prospect, 1)
