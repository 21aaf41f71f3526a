"""Which sends leave now, from where, and the stated reason and next instant of all others."""

from collections import Counter
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest

from postrider.sending.planner import (
    CampaignState,
    Candidate,
    Decision,
    MailboxState,
    PlannerState,
    Reason,
    Slot,
    decide,
    gap_seconds,
    pick_variant,
)
from postrider.sending.windows import HolidayRule
from tests.unit.sending.planning_world import (
    DAY_SECONDS,
    MONDAY,
    SEED,
    ToyEngine,
    campaign,
    lead,
    leads,
    mailbox,
    office_hours,
)


def plan(
    campaigns: list[CampaignState],
    mailboxes: list[MailboxState],
    candidates: list[Candidate],
    now: datetime = MONDAY,
) -> Decision:
    return decide(now, campaigns, mailboxes, candidates, SEED)


def only_wait(decision: Decision) -> tuple[Reason, datetime | None]:
    assert not decision.slots
    (wait,) = decision.waits
    assert decision.next_at == wait.until
    return wait.reason, wait.until


def test_a_due_lead_leaves_at_once() -> None:
    decision = plan([campaign()], [mailbox()], [lead("ann")])
    assert decision == Decision((Slot("enr_ann", "lead_ann", "cmp_a", 0, "mbx_a", MONDAY),), (), None)


def test_a_lead_that_is_not_due_waits_for_its_date() -> None:
    tomorrow = MONDAY + timedelta(days=1)
    assert only_wait(plan([campaign()], [mailbox()], [lead("ann", due_at=tomorrow)])) == (Reason.NOT_DUE, tomorrow)


def test_a_wait_moves_into_the_next_open_window() -> None:
    friday_night = datetime.fromisoformat("2026-03-07T03:00:00+00:00")
    decision = plan([campaign(window=office_hours())], [mailbox()], [lead("ann", due_at=friday_night)])
    # New York is on summer time by that Monday.
    assert only_wait(decision) == (Reason.NOT_DUE, datetime.fromisoformat("2026-03-09T13:00:00+00:00"))


def test_a_due_lead_waits_for_the_window_and_says_so() -> None:
    night = MONDAY - timedelta(hours=5)
    decision = plan([campaign(window=office_hours())], [mailbox()], [lead("ann", due_at=night)], night)
    assert only_wait(decision) == (Reason.OUTSIDE_WINDOW, MONDAY - timedelta(hours=1))


def test_a_lead_that_came_due_at_night_waits_for_the_window_not_for_its_date() -> None:
    night = MONDAY - timedelta(hours=5)
    decision = plan(
        [campaign(window=office_hours())], [mailbox()], [lead("ann", due_at=night)], MONDAY.replace(hour=13)
    )
    assert only_wait(decision) == (Reason.OUTSIDE_WINDOW, MONDAY - timedelta(hours=1))


def test_a_holiday_is_named_as_the_reason() -> None:
    thanksgiving = datetime.fromisoformat("2026-11-26T15:00:00+00:00")
    closed = campaign(window=office_hours(holidays=HolidayRule()))
    friday = datetime.fromisoformat("2026-11-27T14:00:00+00:00")
    assert only_wait(plan([closed], [mailbox()], [lead("ann")], thanksgiving)) == (Reason.HOLIDAY, friday)
    german = replace(lead("ann"), lead_country="Germany")
    assert plan([closed], [mailbox()], [german], thanksgiving).slots


def test_the_zone_of_the_lead_counts_only_where_the_campaign_says_so() -> None:
    japanese = replace(lead("kei"), lead_zone="Asia/Tokyo")
    at_campaign_time = campaign(window=office_hours())
    assert plan([at_campaign_time], [mailbox()], [japanese]).slots
    at_lead_time = campaign(window=office_hours(), use_lead_timezone=True)
    tokyo_morning = datetime.fromisoformat("2026-03-03T00:00:00+00:00")
    assert only_wait(plan([at_lead_time], [mailbox()], [japanese])) == (Reason.OUTSIDE_WINDOW, tokyo_morning)


def test_a_mailbox_sends_one_email_and_then_pauses() -> None:
    decision = plan([campaign()], [mailbox()], leads(3))
    assert [slot.enrollment_id for slot in decision.slots] == ["enr_cmp_a_0000"]
    assert {wait.reason for wait in decision.waits} == {Reason.MAILBOX_INTERVAL}
    assert decision.next_at is not None
    assert timedelta(seconds=900) <= decision.next_at - MONDAY <= timedelta(seconds=1170)


def test_pauses_vary_by_up_to_thirty_percent_and_are_the_same_when_asked_again() -> None:
    gaps = [gap_seconds(SEED, "mbx_a", f"send {number}", 900) for number in range(500)]
    assert min(gaps) >= 900 and max(gaps) <= 1170 and len(set(gaps)) > 150
    assert gaps == [gap_seconds(SEED, "mbx_a", f"send {number}", 900) for number in range(500)]
    assert gap_seconds(SEED, "mbx_a", "send", 0) == 0


def test_the_next_email_leaves_when_interval_and_jitter_are_over() -> None:
    first, second = ToyEngine([campaign(waits=(0,))], [mailbox()], leads(2)).run(MONDAY, 1)
    gap = gap_seconds(SEED, "mbx_a", "cmp_a|lead_cmp_a_0000|cmp_a_step_0", 900)
    assert gap > 900 and second.at - first.at == timedelta(seconds=gap)


def test_without_an_interval_everything_leaves_at_once_up_to_the_limit() -> None:
    decision = plan([campaign(interval_seconds=0)], [mailbox(daily_cap=7)], leads(10))
    assert len(decision.slots) == 7
    assert {wait.reason for wait in decision.waits} == {Reason.MAILBOX_DAILY_LIMIT}
    assert decision.next_at == datetime.fromisoformat("2026-03-03T00:00:00+00:00")


def test_two_campaigns_on_one_mailbox_share_the_larger_pause() -> None:
    slow, fast = campaign("cmp_slow", interval_seconds=3600), campaign("cmp_fast", interval_seconds=60)
    decision = plan([slow, fast], [mailbox()], leads(2, "cmp_fast"))
    assert decision.next_at is not None and decision.next_at - MONDAY >= timedelta(hours=1)


def test_a_slower_campaign_started_later_lengthens_a_running_pause() -> None:
    state = PlannerState.of([campaign("cmp_fast", interval_seconds=60)], [mailbox()], SEED)
    state.apply(Slot("enr_x", "lead_x", "cmp_fast", 0, "mbx_a", MONDAY))
    both = [campaign("cmp_fast", interval_seconds=60), campaign("cmp_slow", interval_seconds=3600)]
    later = MONDAY + timedelta(minutes=10)
    decision = plan(both, list(state.mailboxes.values()), [lead("ann", "cmp_fast")], later)
    assert only_wait(decision) == (Reason.MAILBOX_INTERVAL, MONDAY + timedelta(hours=1))


def test_the_campaign_limit_counts_its_day_in_its_own_zone() -> None:
    full = campaign(window=office_hours("Asia/Tokyo", 0, 23), daily_cap=5, sent_today=5)
    midnight_in_tokyo = datetime.fromisoformat("2026-03-02T15:00:00+00:00")
    evening = midnight_in_tokyo - timedelta(hours=3)
    decision = plan([full], [mailbox()], [lead("ann", due_at=evening)], evening)
    assert only_wait(decision) == (Reason.CAMPAIGN_DAILY_LIMIT, midnight_in_tokyo)
    assert plan([full], [mailbox()], [lead("ann")], midnight_in_tokyo).slots


def test_the_limit_of_new_leads_lets_follow_ups_pass() -> None:
    limited = campaign(new_leads_cap=2, new_today=2)
    decision = plan([limited], [mailbox()], [lead("new"), lead("old", step=1, bound="mbx_a")])
    assert [slot.enrollment_id for slot in decision.slots] == ["enr_old"]
    assert [wait.reason for wait in decision.waits] == [Reason.NEW_LEADS_LIMIT]


def test_the_mailbox_limit_counts_its_day_in_the_zone_of_the_mailbox() -> None:
    full = mailbox(zone="America/Los_Angeles", daily_cap=5, sent_today=5)
    midnight = datetime.fromisoformat("2026-03-03T08:00:00+00:00")
    assert only_wait(plan([campaign()], [full], [lead("ann")])) == (Reason.MAILBOX_DAILY_LIMIT, midnight)


def test_a_limit_that_lifts_at_night_holds_until_the_window_opens() -> None:
    full = campaign(window=office_hours(), daily_cap=5, sent_today=5)
    next_morning = datetime.fromisoformat("2026-03-03T14:00:00+00:00")
    assert only_wait(plan([full], [mailbox()], [lead("ann")])) == (Reason.CAMPAIGN_DAILY_LIMIT, next_morning)


def test_a_limit_of_zero_never_lifts_by_itself() -> None:
    assert only_wait(plan([campaign(daily_cap=0)], [mailbox()], [lead("a")])) == (Reason.CAMPAIGN_DAILY_LIMIT, None)
    assert only_wait(plan([campaign()], [mailbox(daily_cap=0)], [lead("a")])) == (Reason.MAILBOX_DAILY_LIMIT, None)


def test_follow_ups_go_before_new_leads_even_when_due_later() -> None:
    old = lead("old", step=1, bound="mbx_a")
    decision = plan([campaign()], [mailbox()], [lead("new", due_at=MONDAY - timedelta(days=9)), old])
    assert [slot.enrollment_id for slot in decision.slots] == ["enr_old"]


def test_a_follow_up_waits_for_its_own_mailbox_while_others_are_free() -> None:
    cooling = replace(mailbox(), blocked="mailbox_cooling", blocked_until=MONDAY + timedelta(hours=1))
    pair = campaign(mailboxes=("mbx_a", "mbx_b"))
    decision = plan([pair], [cooling, mailbox("mbx_b")], [lead("old", step=1, bound="mbx_a")])
    assert only_wait(decision) == (Reason.MAILBOX_COOLING, MONDAY + timedelta(hours=1))
    assert plan([pair], [cooling, mailbox("mbx_b")], [lead("new")]).slots[0].mailbox_id == "mbx_b"


def test_a_block_that_has_run_out_no_longer_counts() -> None:
    cooled = replace(mailbox(), blocked="mailbox_cooling", blocked_until=MONDAY)
    assert plan([campaign()], [cooled], [lead("ann")]).slots


def test_a_mailbox_taken_out_of_the_campaign_still_finishes_its_threads() -> None:
    elsewhere = campaign(mailboxes=("mbx_b",))
    decision = plan([elsewhere], [mailbox(), mailbox("mbx_b")], [lead("old", step=1, bound="mbx_a")])
    assert decision.slots[0].mailbox_id == "mbx_a"


@pytest.mark.parametrize(
    ("candidate", "reason"),
    [
        (lead("new"), Reason.NO_MAILBOX),
        (lead("old", step=1, bound="mbx_gone"), Reason.MAILBOX_UNAVAILABLE),
        (lead("old", step=1), Reason.NO_MAILBOX),
        (lead("done", step=2, bound="mbx_a"), Reason.NO_STEP),
    ],
)
def test_what_cannot_change_by_itself_has_a_reason_and_no_date(candidate: Candidate, reason: Reason) -> None:
    assert only_wait(plan([campaign(mailboxes=())], [mailbox()], [candidate])) == (reason, None)


def test_a_lead_without_a_step_holds_up_nobody() -> None:
    decision = plan([campaign()], [mailbox()], [lead("a", step=5, bound="mbx_a"), lead("b", step=1, bound="mbx_a")])
    assert [slot.enrollment_id for slot in decision.slots] == ["enr_b"]


def test_unavailable_mailboxes_are_named_when_no_other_is_left() -> None:
    broken = replace(mailbox(), blocked="mailbox_unavailable")
    assert only_wait(plan([campaign()], [broken], [lead("ann")])) == (Reason.MAILBOX_UNAVAILABLE, None)


def test_new_leads_take_the_mailbox_that_has_been_free_longest() -> None:
    recent = replace(mailbox(), last_sent_at=MONDAY - timedelta(hours=1), free_at=MONDAY - timedelta(minutes=40))
    earlier = replace(mailbox("mbx_b", sent_today=30), last_sent_at=MONDAY - timedelta(hours=5))
    decision = plan([campaign(mailboxes=("mbx_a", "mbx_b"))], [recent, earlier], [lead("ann")])
    assert decision.slots[0].mailbox_id == "mbx_b"


def test_among_mailboxes_free_equally_long_the_one_that_sent_fewest_today_goes_first() -> None:
    busy, idle = mailbox("mbx_a", sent_today=3), mailbox("mbx_b", sent_today=2)
    decision = plan([campaign(mailboxes=("mbx_a", "mbx_b"))], [busy, idle], [lead("ann")])
    assert decision.slots[0].mailbox_id == "mbx_b"


def test_rotation_spreads_new_leads_evenly() -> None:
    names = [f"mbx_{number}" for number in range(4)]
    for interval in (0, 600):
        engine = ToyEngine(
            [campaign(mailboxes=names, interval_seconds=interval, waits=(0,))], map(mailbox, names), leads(40)
        )
        assert set(Counter(slot.mailbox_id for slot in engine.run(MONDAY, 1)).values()) == {10}


def test_a_full_campaign_does_not_hold_up_another() -> None:
    full, open_one = campaign("cmp_full", daily_cap=1, sent_today=1), campaign("cmp_open")
    decision = plan([full, open_one], [mailbox()], [*leads(2, "cmp_full"), *leads(1, "cmp_open")])
    assert [slot.campaign_id for slot in decision.slots] == ["cmp_open"]


def test_an_enrollment_given_twice_leaves_once() -> None:
    decision = plan([campaign(interval_seconds=0)], [mailbox()], [lead("ann"), lead("ann"), lead("bob")])
    assert [slot.enrollment_id for slot in decision.slots] == ["enr_ann", "enr_bob"]
    assert not decision.waits


def test_deciding_changes_nothing_and_ignores_the_order_of_what_is_given() -> None:
    campaigns, mailboxes = [campaign(), campaign("cmp_b")], [mailbox(), mailbox("mbx_b")]
    candidates = [*leads(20), *leads(20, "cmp_b")]
    first = plan(campaigns, mailboxes, candidates)
    again = plan(campaigns[::-1], mailboxes[::-1], candidates[::-1])
    assert first == again
    assert campaigns == [campaign(), campaign("cmp_b")] and mailboxes == [mailbox(), mailbox("mbx_b")]


def test_after_eight_hours_asleep_a_mailbox_sends_one_email_not_the_missed_ones() -> None:
    engine = ToyEngine([campaign(waits=(0,))], [mailbox()], leads(50))
    next_at = engine.wake(MONDAY)
    assert next_at is not None
    later = MONDAY + timedelta(hours=8)
    after = engine.wake(later)
    assert len(engine.sends) == 2
    assert after is not None and after - later >= timedelta(seconds=900)


def test_a_clock_set_back_sends_nothing_until_the_pause_is_over_again() -> None:
    an_hour_ago = MONDAY - timedelta(hours=1)
    engine = ToyEngine([campaign(waits=(0,))], [mailbox()], leads(50, due_at=an_hour_ago))
    next_at = engine.wake(MONDAY)
    assert engine.wake(an_hour_ago) == next_at
    assert len(engine.sends) == 1


def test_a_clock_set_back_to_yesterday_waits_for_the_day_whose_count_is_known() -> None:
    counted = campaign(daily_cap=10, sent_today=3)
    yesterday = MONDAY - timedelta(days=1)
    decision = plan([counted], [mailbox(day=yesterday)], [lead("ann", due_at=yesterday)], yesterday)
    assert only_wait(decision) == (Reason.CAMPAIGN_DAILY_LIMIT, datetime.fromisoformat("2026-03-02T00:00:00+00:00"))


def test_applying_a_slot_starts_a_new_day_of_counting() -> None:
    state = PlannerState.of([campaign(sent_today=9, new_today=4)], [mailbox(sent_today=7)], SEED)
    state.apply(Slot("enr_a", "lead_a", "cmp_a", 1, "mbx_a", MONDAY + timedelta(days=1)))
    assert (state.campaigns["cmp_a"].sent_today, state.campaigns["cmp_a"].new_today) == (1, 0)
    assert state.mailboxes["mbx_a"].sent_today == 1
    assert state.mailboxes["mbx_a"].day == date(2026, 3, 3)


def test_a_send_counted_late_neither_reopens_a_day_nor_shortens_a_pause() -> None:
    state = PlannerState.of([campaign()], [mailbox()], SEED)
    state.apply(Slot("enr_a", "lead_a", "cmp_a", 0, "mbx_a", MONDAY))
    before = state.mailboxes["mbx_a"]
    state.apply(Slot("enr_b", "lead_b", "cmp_a", 0, "mbx_a", MONDAY - timedelta(days=1)))
    assert state.mailboxes["mbx_a"] == replace(before, sent_today=2)
    assert (state.campaigns["cmp_a"].day, state.campaigns["cmp_a"].sent_today) == (MONDAY.date(), 2)


def test_a_candidate_of_an_unknown_campaign_is_an_error() -> None:
    with pytest.raises(KeyError):
        plan([campaign()], [mailbox()], [lead("ann", "cmp_unknown")])


def test_variants_are_shared_out_evenly_and_stay_with_their_lead() -> None:
    chosen = {f"lead_{n}": pick_variant(SEED, f"lead_{n}", "step", "ABC") for n in range(3000)}
    assert all(900 < count < 1100 for count in Counter(chosen.values()).values())
    assert chosen == {lead_id: pick_variant(SEED, lead_id, "step", "CAB") for lead_id in chosen}
    without_c = {lead_id: pick_variant(SEED, lead_id, "step", "AB") for lead_id in chosen}
    assert all(without_c[lead_id] == label for lead_id, label in chosen.items() if label != "C")


def test_steps_choose_their_variants_independently() -> None:
    pairs = Counter(
        (pick_variant(SEED, f"lead_{n}", "step_1", "AB"), pick_variant(SEED, f"lead_{n}", "step_2", "AB"))
        for n in range(2000)
    )
    assert len(pairs) == 4 and min(pairs.values()) > 400


def test_a_step_without_variants_is_an_error() -> None:
    with pytest.raises(ValueError, match="empty"):
        pick_variant(SEED, "lead", "step", [])


def test_the_gap_between_emails_counts_across_steps_of_one_lead() -> None:
    engine = ToyEngine([campaign(waits=(0, 60))], [mailbox()], [lead("ann")])
    first, second = engine.run(MONDAY, 1)
    assert second.at - first.at >= timedelta(seconds=900)
    assert second.mailbox_id == first.mailbox_id


def test_a_follow_up_leaves_exactly_when_its_wait_is_over() -> None:
    engine = ToyEngine([campaign()], [mailbox()], [lead("ann")])
    first, second = engine.run(MONDAY, 10)
    assert second.at - first.at == timedelta(seconds=3 * DAY_SECONDS)
