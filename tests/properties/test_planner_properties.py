"""What holds for every plan: in the window, under every cap, never too fast, never twice, always the same."""

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from postrider.kernel.policy import Caps
from postrider.sending.capped import CredentialState, utc_day
from postrider.sending.forecast import forecast
from postrider.sending.planner import (
    CampaignState,
    Candidate,
    MailboxState,
    PlannerState,
    Slot,
    decide,
    explain,
)
from postrider.sending.windows import MINUTES_PER_DAY, HolidayRule, Window, closes_at, is_open, local_day, next_open
from tests.unit.sending.planning_world import DAY_SECONDS, EVERY_DAY, SEED, ToyEngine, campaign, leads, mailbox

ZONES = (
    "America/New_York",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "Asia/Tokyo",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Asia/Beirut",
)
CLOCK_CHANGES = tuple(
    datetime.fromisoformat(f"{text}:00+00:00")
    for text in (
        "2026-03-08T07:00",  # New York, forward
        "2026-11-01T06:00",  # New York, back
        "2026-03-29T01:00",  # Berlin, forward
        "2026-10-25T01:00",  # Berlin, back
        "2026-04-04T15:00",  # Lord Howe, half an hour back
        "2026-10-03T15:30",  # Lord Howe, half an hour forward
        "2026-03-28T22:00",  # Beirut, forward at midnight
        "2026-10-24T21:00",  # Beirut, back at midnight
    )
)
JUMPS = tuple(timedelta(hours=hours) for hours in (-24, -1, 1, 8, 24))

zones = st.sampled_from(ZONES)


@dataclass(frozen=True)
class World:
    """Everything a plan depends on."""

    start: datetime
    campaigns: tuple[CampaignState, ...]
    mailboxes: tuple[MailboxState, ...]
    candidates: tuple[Candidate, ...]
    credentials: tuple[CredentialState, ...] = ()

    def engine(self) -> ToyEngine:
        """An engine of its own for this world."""
        return ToyEngine(self.campaigns, self.mailboxes, self.candidates, self.credentials)

    def state(self) -> PlannerState:
        """A planner state of its own for this world."""
        return PlannerState.of(self.campaigns, self.mailboxes, SEED, self.credentials)


@st.composite
def instants(draw: st.DrawFn) -> datetime:
    """An instant near a clock change."""
    minutes = draw(st.integers(-2 * MINUTES_PER_DAY, 2 * MINUTES_PER_DAY))
    return draw(st.sampled_from(CLOCK_CHANGES)) + timedelta(minutes=minutes)


@st.composite
def windows(draw: st.DrawFn) -> Window:
    """Any window, overnight ones included."""
    start = draw(st.integers(0, MINUTES_PER_DAY - 1))
    end = draw(st.integers(0, MINUTES_PER_DAY).filter(lambda minute: minute != start))
    weekdays = draw(st.frozensets(st.integers(0, 6), min_size=1))
    return Window(draw(zones), start, end, weekdays, draw(st.sampled_from([None, HolidayRule()])))


@st.composite
def capped(draw: st.DrawFn, start: datetime, name: str = "key_a") -> CredentialState:
    """A credential with a limit of a day, of its first day or both, made in the day before ``start``."""
    age = timedelta(minutes=draw(st.integers(0, MINUTES_PER_DAY - 1)))
    daily, first = draw(
        st.tuples(st.integers(1, 5), st.none()) | st.tuples(st.none() | st.integers(1, 5), st.integers(0, 3))
    )
    return CredentialState(name, Caps(daily, first, start - age + timedelta(days=1)), utc_day(start))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """One or two campaigns on up to three mailboxes, starting a day or two around a clock change.

    Some share the limits of one or two credentials that started or changed them.
    """
    start = draw(instants())
    credentials = draw(st.just(()) | st.tuples(capped(start)) | st.tuples(capped(start), capped(start, "key_b")))
    boxes = tuple(
        MailboxState(f"mbx_{number}", zone, draw(st.integers(1, 6)), local_day(start, zone))
        for number, zone in enumerate(draw(st.lists(zones, min_size=1, max_size=3)))
    )
    campaigns, candidates = [], []
    for name in draw(st.sampled_from([("cmp_a",), ("cmp_a", "cmp_b")])):
        window = draw(windows())
        made = campaign(
            name,
            window=window,
            mailboxes=sorted(draw(st.sets(st.sampled_from([box.mailbox_id for box in boxes]), min_size=1))),
            interval_seconds=draw(st.sampled_from([0, 60, 900, 5400])),
            daily_cap=draw(st.none() | st.integers(1, 8)),
            new_leads_cap=draw(st.none() | st.integers(1, 4)),
            waits=(0, *draw(st.lists(st.sampled_from([0, 3600, DAY_SECONDS]), max_size=2))),
            use_lead_timezone=draw(st.booleans()),
        )
        held_to = tuple(each.credential_id for each in credentials if draw(st.booleans()))
        campaigns.append(replace(made, day=local_day(start, window.zone), credential_ids=held_to))
        for candidate in leads(draw(st.integers(1, 12)), name, due_at=start):
            candidates.append(replace(candidate, lead_zone=draw(st.none() | zones)))
    return World(start, tuple(campaigns), boxes, tuple(candidates), credentials)


def wall_clock_says_open(window: Window, instant: datetime) -> bool:
    """The rule read off the wall clock minute by minute, without any arithmetic on instants. No holidays."""
    local = instant.astimezone(ZoneInfo(window.zone))
    minute, weekday = local.hour * 60 + local.minute, local.isoweekday() % 7
    if local.fold:
        return False
    if window.start_minute < window.end_minute:
        return weekday in window.weekdays and window.start_minute <= minute < window.end_minute
    evening = weekday in window.weekdays and minute >= window.start_minute
    morning = (weekday - 1) % 7 in window.weekdays and minute < window.end_minute
    return evening or morning


def assert_no_rule_is_broken(world: World, sends: list[Slot]) -> None:
    campaigns = {made.campaign_id: made for made in world.campaigns}
    boxes = {box.mailbox_id: box for box in world.mailboxes}
    people = {candidate.enrollment_id: candidate for candidate in world.candidates}
    per_campaign: Counter[tuple[str, object]] = Counter()
    new_leads: Counter[tuple[str, object]] = Counter()
    per_mailbox: Counter[tuple[str, object]] = Counter()
    for slot in sends:
        made, person = campaigns[slot.campaign_id], people[slot.enrollment_id]
        assert is_open(made.window, slot.at, zone=person.lead_zone if made.use_lead_timezone else None)
        day = local_day(slot.at, made.window.zone)
        per_campaign[made.campaign_id, day] += 1
        new_leads[made.campaign_id, day] += slot.step_index == 0
        per_mailbox[slot.mailbox_id, local_day(slot.at, boxes[slot.mailbox_id].zone)] += 1
    for (name, _), count in per_campaign.items():
        assert count <= (campaigns[name].daily_cap or count)
    for (name, _), count in new_leads.items():
        assert count <= (campaigns[name].new_leads_cap or count)
    for (name, _), count in per_mailbox.items():
        assert count <= boxes[name].daily_cap
    assert_no_credential_causes_too_much(world, sends)


def assert_no_credential_causes_too_much(world: World, sends: list[Slot]) -> None:
    held_to = {made.campaign_id: made.credential_ids for made in world.campaigns}
    for credential in world.credentials:
        caps, caused = credential.caps, [s for s in sends if credential.credential_id in held_to[s.campaign_id]]
        per_day = Counter(slot.at.date() for slot in caused)
        assert caps.daily_sends is None or all(count <= caps.daily_sends for count in per_day.values())
        assert caps.first_day_until is not None
        in_first = sum(slot.at < caps.first_day_until for slot in caused)
        assert caps.first_day_sends is None or in_first <= caps.first_day_sends


def assert_nobody_is_sent_a_step_twice_or_from_two_mailboxes(sends: list[Slot]) -> None:
    assert len({(slot.enrollment_id, slot.step_index) for slot in sends}) == len(sends)
    by_enrollment: defaultdict[str, list[Slot]] = defaultdict(list)
    for slot in sends:
        by_enrollment[slot.enrollment_id].append(slot)
    for slots in by_enrollment.values():
        assert [slot.step_index for slot in slots] == list(range(len(slots)))
        assert len({slot.mailbox_id for slot in slots}) == 1


def assert_pauses_are_kept(world: World, sends: list[Slot]) -> None:
    """Between two sends of a mailbox lies the largest interval of the campaigns that were not over by then."""
    for box in world.mailboxes:
        sharing = [made for made in world.campaigns if box.mailbox_id in made.mailbox_ids]
        times = [slot.at for slot in sends if slot.mailbox_id == box.mailbox_id]
        for earlier, later in pairwise(times):
            pause = max(made.interval_seconds for made in sharing if not is_over(world, made, sends, earlier))
            assert later - earlier >= timedelta(seconds=pause)


def is_over(world: World, made: CampaignState, sends: list[Slot], instant: datetime) -> bool:
    """Whether every email of the campaign had been sent before ``instant``."""
    total = len(made.steps) * sum(candidate.campaign_id == made.campaign_id for candidate in world.candidates)
    return sum(slot.campaign_id == made.campaign_id and slot.at < instant for slot in sends) == total


@given(windows(), instants())
@settings(max_examples=300, deadline=None)
def test_a_window_is_open_exactly_when_the_wall_clock_says_so(window: Window, instant: datetime) -> None:
    window = replace(window, holidays=None)
    assert is_open(window, instant) == wall_clock_says_open(window, instant)


@given(windows(), instants())
@settings(max_examples=300, deadline=None)
def test_nothing_is_open_before_the_next_opening_and_all_is_until_it_closes(window: Window, instant: datetime) -> None:
    opens = next_open(window, instant)
    assert opens is not None and opens >= instant and is_open(window, opens)
    closes = closes_at(window, opens)
    assert closes is not None and closes > opens
    assert is_open(window, closes - timedelta(seconds=1))
    if opens > instant:
        assert not is_open(window, opens - timedelta(seconds=1))
        assert not is_open(window, instant + (opens - instant) / 2)


@given(zones, instants(), st.integers(1, 3 * MINUTES_PER_DAY))
@settings(max_examples=200, deadline=None)
def test_local_days_follow_each_other(zone: str, instant: datetime, minutes: int) -> None:
    later = instant + timedelta(minutes=minutes)
    assert local_day(instant, zone) <= local_day(later, zone)
    assert local_day(instant, zone) == instant.astimezone(ZoneInfo(zone)).date()


@given(worlds())
@settings(max_examples=60, deadline=None)
def test_no_plan_breaks_a_rule(world: World) -> None:
    sends = forecast(world.state(), world.candidates, world.start, horizon_days=6).sends
    assert_no_rule_is_broken(world, sends)
    assert_nobody_is_sent_a_step_twice_or_from_two_mailboxes(sends)
    assert_pauses_are_kept(world, sends)


@given(worlds())
@settings(max_examples=40, deadline=None)
def test_every_plan_is_what_the_engine_does(world: World) -> None:
    plan = forecast(world.state(), world.candidates, world.start, horizon_days=4)
    assert plan.sends == world.engine().run(world.start, 4)
    assert plan.left_over + len(plan.sends) == sum(
        len(world.state().campaigns[candidate.campaign_id].steps) for candidate in world.candidates
    )


@given(worlds(), st.data())
@settings(max_examples=40, deadline=None)
def test_the_order_in_which_things_are_given_does_not_matter(world: World, data: st.DataObject) -> None:
    campaigns = data.draw(st.permutations(world.campaigns))
    mailboxes = data.draw(st.permutations(world.mailboxes))
    candidates = data.draw(st.permutations(world.candidates))
    expected = decide(world.start, world.campaigns, world.mailboxes, world.candidates, SEED, world.credentials)
    assert decide(world.start, campaigns, mailboxes, candidates, SEED, world.credentials) == expected


@given(worlds())
@settings(max_examples=40, deadline=None)
def test_everybody_is_sent_or_has_a_reason_and_nothing_changes_before_the_next_instant(world: World) -> None:
    engine = world.engine()
    engine.wake(world.start)
    states = (engine.state.campaigns.values(), engine.state.mailboxes.values())
    queue = [candidate for candidate in engine.queue.values() if candidate.due_at > world.start or candidate.is_new]
    limits = engine.state.credentials.values()
    decision = decide(world.start, *states, queue, SEED, limits)
    assert not decision.slots
    assert {wait.enrollment_id for wait in decision.waits} == {candidate.enrollment_id for candidate in queue}
    assert decision.next_at == min((wait.until for wait in decision.waits if wait.until), default=None)
    if decision.next_at:
        assert decision.next_at > world.start
        between = world.start + (decision.next_at - world.start) * 0.999
        assert not decide(between, *states, queue, SEED, limits).slots


@given(worlds())
@settings(max_examples=40, deadline=None)
def test_an_explanation_agrees_with_the_decision(world: World) -> None:
    candidate = world.candidates[0]
    made = world.state().campaigns[candidate.campaign_id]
    others = [other for other in world.campaigns if other is not made]
    limits = world.credentials
    decision = decide(world.start, world.campaigns, world.mailboxes, [candidate], SEED, limits)
    explanation = explain(world.start, made, world.mailboxes, candidate, SEED, others, limits)
    assert [explanation.outcome] == [*decision.slots, *decision.waits]
    assert all(check.ok for check in explanation.checks) == isinstance(explanation.outcome, Slot)
    assert explanation.earliest is not None
    assert decide(explanation.earliest, world.campaigns, world.mailboxes, [candidate], SEED, limits).slots


@given(worlds(), st.lists(st.tuples(st.integers(0, 40), st.sampled_from(JUMPS)), max_size=3))
@settings(max_examples=60, deadline=None)
def test_a_jumping_clock_neither_bursts_nor_repeats(world: World, jumps: list[tuple[int, timedelta]]) -> None:
    engine, now, at_wake = world.engine(), world.start, dict(jumps)
    for count in range(60):
        before, known = len(engine.sends), engine.state.copy()
        planned = engine.wake(now)
        from_each = Counter(slot.mailbox_id for slot in engine.sends[before:])
        for slot in engine.sends[before:]:
            interval = known.interval_seconds(known.campaigns[slot.campaign_id], slot.mailbox_id)
            assert interval == 0 or from_each[slot.mailbox_id] == 1
        now = now + at_wake[count] if count in at_wake else max(planned or now, now + timedelta(minutes=7))
    assert_no_rule_is_broken(world, engine.sends)
    assert_nobody_is_sent_a_step_twice_or_from_two_mailboxes(engine.sends)
    assert_pauses_are_kept(world, engine.sends)


@given(st.sampled_from(CLOCK_CHANGES), zones, st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_a_day_with_a_clock_change_has_one_cap(change: datetime, zone: str, cap: int) -> None:
    window = Window(zone, 0, MINUTES_PER_DAY, EVERY_DAY)
    start = change - timedelta(days=1)
    busy = campaign(window=window, interval_seconds=60, daily_cap=cap, waits=(0,))
    busy = replace(busy, day=local_day(start, zone))
    sends = forecast(
        PlannerState.of([busy], [mailbox(daily_cap=1000, day=start)], SEED), leads(200, due_at=start), start, 4
    ).sends
    per_day = Counter(local_day(slot.at, zone) for slot in sends)
    assert all(count == cap for day, count in per_day.items() if day != local_day(start + timedelta(days=4), zone))
    assert len(per_day) in (4, 5)
    assert all(slot.at.tzinfo is UTC for slot in sends)
