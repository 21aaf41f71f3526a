"""The plan to a horizon is what the engine then does, send for send."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest

from postrider.sending.forecast import UnknownHolidays, forecast
from postrider.sending.planner import CampaignState, Candidate, MailboxState, PlannerState, Reason
from postrider.sending.windows import HolidayRule
from tests.unit.sending.planning_world import (
    DAY_SECONDS,
    MONDAY,
    SEED,
    ToyEngine,
    always,
    campaign,
    lead,
    leads,
    mailbox,
    office_hours,
)

World = tuple[list[CampaignState], list[MailboxState], list[Candidate]]


def crowded_world() -> World:
    """Three campaigns on five shared mailboxes, with leads of many zones and countries, over a clock change."""
    boxes = [f"mbx_{number}" for number in range(5)]
    zones = ["America/New_York", "UTC", "Asia/Kolkata", "Australia/Lord_Howe", "Europe/Berlin"]
    campaigns = [
        campaign("cmp_a", window=office_hours(), mailboxes=boxes[:3], daily_cap=25, new_leads_cap=12),
        campaign(
            "cmp_b",
            window=office_hours("Europe/Berlin", 20, 3, holidays=HolidayRule()),
            mailboxes=boxes[2:],
            interval_seconds=1800,
            waits=(0, 2 * DAY_SECONDS, 3600, 4 * DAY_SECONDS),
            use_lead_timezone=True,
        ),
        campaign("cmp_c", mailboxes=boxes, interval_seconds=60, daily_cap=40, waits=(0, 0, DAY_SECONDS)),
    ]
    mailboxes = [mailbox(name, zone=zone, daily_cap=18) for name, zone in zip(boxes, zones, strict=True)]
    mailboxes[1] = replace(mailboxes[1], blocked="mailbox_cooling", blocked_until=MONDAY + timedelta(days=2))
    candidates = [*leads(80, "cmp_a"), *leads(80, "cmp_b"), *leads(80, "cmp_c", due_at=MONDAY + timedelta(days=3))]
    countries = ["Germany", "US", None, "India"]
    candidates = [
        replace(candidate, lead_zone=zones[number % 5], lead_country=countries[number % 4])
        for number, candidate in enumerate(candidates)
    ]
    return campaigns, mailboxes, [*candidates, lead("old", "cmp_a", step=1, bound="mbx_4")]


def test_the_forecast_is_exactly_what_the_engine_then_sends() -> None:
    campaigns, mailboxes, candidates = crowded_world()
    plan = forecast(PlannerState.of(campaigns, mailboxes, SEED), candidates, MONDAY, horizon_days=28)
    sent = ToyEngine(campaigns, mailboxes, candidates).run(MONDAY, 28)
    assert plan.sends == sent
    assert len(sent) == 80 * 2 + 80 * 4 + 80 * 3 + 1
    assert not plan.truncated and plan.ends_at == sent[-1].at


def test_waking_more_often_changes_nothing() -> None:
    campaigns, mailboxes, candidates = crowded_world()
    plan = forecast(PlannerState.of(campaigns, mailboxes, SEED), candidates, MONDAY, horizon_days=4)
    restless = ToyEngine(campaigns, mailboxes, candidates)
    now, end = MONDAY, MONDAY + timedelta(days=4)
    while now < end:
        planned = restless.wake(now)
        half_hour = now + timedelta(minutes=30)
        now = min(planned, half_hour) if planned else half_hour
    assert plan.sends == restless.sends


def test_a_forecast_leaves_the_state_as_it_was() -> None:
    state = PlannerState.of([campaign()], [mailbox()], SEED)
    first = forecast(state, leads(5), MONDAY)
    assert state.mailboxes["mbx_a"] == mailbox() and state.campaigns["cmp_a"] == campaign()
    assert forecast(state, leads(5), MONDAY) == first


def test_a_forecast_of_one_campaign_tells_of_no_other_but_leaves_them_their_slots() -> None:
    mine = campaign("cmp_a", waits=(0,), interval_seconds=0)
    huge = campaign("cmp_b", waits=(0,), interval_seconds=0)
    state = PlannerState.of([mine, huge], [mailbox(daily_cap=10)], SEED)
    candidates = [*leads(400, "cmp_b"), *leads(3, "cmp_a", due_at=MONDAY + timedelta(minutes=1))]
    whole = forecast(state, candidates, MONDAY, horizon_days=60)
    own = forecast(state, candidates, MONDAY, horizon_days=60, campaign_id="cmp_a")
    assert own.sends == [slot for slot in whole.sends if slot.campaign_id == "cmp_a"]
    assert (len(own.sends), own.left_over, own.waits, own.truncated) == (3, 0, {}, False)
    assert own.ends_at == own.sends[-1].at > MONDAY + timedelta(hours=12), "the other campaign took the first day"
    nearer = forecast(state, candidates, MONDAY, horizon_days=5)
    assert nearer.truncated and nearer.left_over > 300


def test_days_are_counted_in_the_zone_of_the_campaign() -> None:
    tokyo = campaign(window=always("Asia/Tokyo"), interval_seconds=0, waits=(0,), mailboxes=("mbx_a", "mbx_b"))
    plan = forecast(PlannerState.of([tokyo], [mailbox(), mailbox("mbx_b")], SEED), leads(4), MONDAY)
    assert plan.per_day == {date(2026, 3, 3): {"mbx_a": 2, "mbx_b": 2}}


def test_beyond_the_horizon_there_is_one_count_and_an_estimated_end() -> None:
    slow = campaign(daily_cap=10, waits=(0,), interval_seconds=0)
    plan = forecast(PlannerState.of([slow], [mailbox()], SEED), leads(400), MONDAY, horizon_days=10)
    assert len(plan.sends) == 110  # ten at once, then ten after each of ten midnights
    assert plan.left_over == 290 and plan.truncated
    assert plan.waits == {Reason.CAMPAIGN_DAILY_LIMIT: 290}
    assert plan.ends_at is not None
    assert timedelta(days=35) < plan.ends_at - MONDAY < timedelta(days=45)


def test_an_estimated_end_allows_for_the_waits_still_to_come() -> None:
    patient = campaign(waits=(0, 20 * DAY_SECONDS, 60 * DAY_SECONDS))
    plan = forecast(PlannerState.of([patient], [mailbox()], SEED), [lead("ann")], MONDAY)
    assert [slot.step_index for slot in plan.sends] == [0, 1]
    assert plan.waits == {Reason.NOT_DUE: 1} and plan.left_over == 1
    assert plan.ends_at is not None and plan.ends_at >= MONDAY + timedelta(days=80)


def test_what_waits_for_a_person_is_counted_but_has_no_end() -> None:
    broken = replace(mailbox(), blocked="mailbox_unavailable")
    plan = forecast(PlannerState.of([campaign()], [broken], SEED), leads(3), MONDAY)
    assert (plan.sends, plan.ends_at, plan.truncated) == ([], None, False)
    assert plan.waits == {Reason.MAILBOX_UNAVAILABLE: 3} and plan.left_over == 6


def test_an_email_due_at_the_horizon_belongs_to_the_days_after_it() -> None:
    last = MONDAY + timedelta(days=7)
    plan = forecast(PlannerState.of([campaign()], [mailbox()], SEED), [lead("ann", due_at=last)], MONDAY, 7)
    assert plan.sends == [] and plan.waits == {Reason.NOT_DUE: 1} and plan.truncated


def test_whoever_meets_an_obstacle_costs_the_mailbox_its_pause_and_no_limit() -> None:
    def lacks_a_company(candidate: Candidate, mailbox_id: str) -> str | None:
        return "missing_variable:company" if candidate.enrollment_id == "enr_cmp_a_0001" else None

    small = campaign(daily_cap=2, waits=(0,), interval_seconds=600)
    plan = forecast(PlannerState.of([small], [mailbox()], SEED), leads(4), MONDAY, obstacle=lacks_a_company)
    assert [slot.enrollment_id for slot in plan.sends] == ["enr_cmp_a_0000", "enr_cmp_a_0002", "enr_cmp_a_0003"]
    first, second, third = (slot.at - MONDAY for slot in plan.sends)
    assert first == timedelta(0)
    assert timedelta(minutes=20) <= second <= timedelta(minutes=26)  # two pauses, the second for nothing
    assert third == timedelta(hours=9)  # the limit of two counted only what was sent: midnight follows 15:00
    assert plan.stopped == {"missing_variable:company": 1}


def test_an_obstacle_in_a_later_email_stops_the_sequence_there() -> None:
    def lacks_a_company(candidate: Candidate, mailbox_id: str) -> str | None:
        return "missing_variable:company" if candidate.step_index == 1 else None

    plan = forecast(PlannerState.of([campaign()], [mailbox()], SEED), leads(2), MONDAY, obstacle=lacks_a_company)
    assert [slot.step_index for slot in plan.sends] == [0, 0]
    assert (plan.stopped, plan.waits, plan.left_over) == ({"missing_variable:company": 2}, {}, 0)


def test_whoever_will_meet_an_obstacle_beyond_the_horizon_is_counted_too() -> None:
    slow = campaign(daily_cap=1, waits=(0,))
    state = PlannerState.of([slow], [mailbox()], SEED)
    plan = forecast(state, leads(9), MONDAY, 2, obstacle=lambda candidate, _: "on_dnc" if candidate.is_new else None)
    assert (plan.sends, plan.stopped, plan.left_over) == ([], {"on_dnc": 9}, 0)


def test_the_longer_pause_of_another_campaign_ends_with_it() -> None:
    hasty, slow = (
        campaign("cmp_a", interval_seconds=60, waits=(0,)),
        campaign("cmp_b", interval_seconds=6000, waits=(0,)),
    )
    people = [*leads(3, "cmp_a", due_at=MONDAY + timedelta(hours=1)), lead("last", "cmp_b")]
    plan = forecast(PlannerState.of([hasty, slow], [mailbox()], SEED), people, MONDAY)
    pauses = [later.at - earlier.at for earlier, later in pairwise(plan.sends)]
    assert timedelta(seconds=6000) <= pauses[0]
    assert max(pauses[1:]) <= timedelta(seconds=78)
    kept = forecast(PlannerState.of([hasty, slow], [mailbox()], SEED), people, MONDAY, unfinished={"cmp_b"})
    assert min(later.at - earlier.at for earlier, later in pairwise(kept.sends)) >= timedelta(seconds=6000)


@pytest.mark.parametrize(
    ("start", "unknown"),
    [
        (MONDAY, ()),
        (datetime(2100, 12, 20, tzinfo=UTC), (UnknownHolidays("US", 2101),)),
    ],
)
def test_years_without_holiday_data_are_listed(start: datetime, unknown: tuple[UnknownHolidays, ...]) -> None:
    closed = campaign(window=office_hours(holidays=HolidayRule()))
    plan = forecast(PlannerState.of([closed], [mailbox()], SEED), leads(1, due_at=start), start)
    assert plan.unknown_holidays == unknown


def test_a_large_plan_grows_with_what_is_sent() -> None:
    boxes = [f"mbx_{number}" for number in range(50)]
    large = campaign(window=office_hours(), mailboxes=boxes, waits=(0, 3 * DAY_SECONDS, 4 * DAY_SECONDS))
    state = PlannerState.of([large], map(mailbox, boxes), SEED)
    plan = forecast(state, leads(1000), MONDAY)
    assert len(plan.sends) == 3000
    assert max(sum(counts.values()) for counts in plan.per_day.values()) <= 50 * 50
