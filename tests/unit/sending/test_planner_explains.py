"""Explanations name every check, what fails, and when it will pass."""

from dataclasses import replace
from datetime import datetime, timedelta

from postrider.sending.planner import (
    Reason,
    Slot,
    Wait,
    explain,
)
from postrider.sending.windows import HolidayRule
from tests.unit.sending.planning_world import (
    MONDAY,
    SEED,
    campaign,
    lead,
    mailbox,
    office_hours,
)


def test_an_explanation_of_a_send_passes_every_check() -> None:
    explanation = explain(MONDAY, campaign(daily_cap=50, new_leads_cap=5), [mailbox()], lead("ann"), SEED)
    assert isinstance(explanation.outcome, Slot) and explanation.earliest == MONDAY
    names = ["step", "due", "window", "holiday", "campaign_daily_limit", "new_leads_limit", "mailbox"]
    assert [check.name for check in explanation.checks] == names
    assert all(check.ok and check.until is None for check in explanation.checks)


def test_an_explanation_names_every_check_that_fails_and_the_instant_at_which_all_pass() -> None:
    night = MONDAY - timedelta(hours=5)
    full = campaign(window=office_hours(), daily_cap=50, sent_today=50)
    explanation = explain(night, full, [mailbox(zone="America/New_York", sent_today=50)], lead("ann"), SEED)
    assert explanation.outcome == Wait("enr_ann", Reason.NOT_DUE, MONDAY)
    failed = {check.name: check.until for check in explanation.checks if not check.ok}
    midnight = datetime.fromisoformat("2026-03-03T05:00:00+00:00")
    assert failed == {
        "due": MONDAY,
        "window": MONDAY - timedelta(hours=1),
        "campaign_daily_limit": midnight,
        "mailbox": midnight,
    }
    assert explanation.earliest == datetime.fromisoformat("2026-03-03T14:00:00+00:00")


def test_an_explanation_tells_the_state_of_each_mailbox() -> None:
    cooling = replace(mailbox(), blocked="mailbox_cooling", blocked_until=MONDAY + timedelta(hours=1))
    pair = campaign(mailboxes=("mbx_a", "mbx_b", "mbx_gone"))
    explanation = explain(MONDAY, pair, [cooling, mailbox("mbx_b", sent_today=50)], lead("ann"), SEED)
    assert [(v.mailbox_id, v.reason) for v in explanation.mailboxes] == [
        ("mbx_a", Reason.MAILBOX_COOLING),
        ("mbx_b", Reason.MAILBOX_DAILY_LIMIT),
        ("mbx_gone", Reason.MAILBOX_UNAVAILABLE),
    ]
    assert explanation.checks[-1].detail == "0 of 3 mailboxes ready"
    assert explanation.earliest == MONDAY + timedelta(hours=1)


def test_an_explanation_of_a_follow_up_looks_at_its_own_mailbox_only() -> None:
    pair = campaign(mailboxes=("mbx_a", "mbx_b"))
    old = lead("old", step=1, bound="mbx_b")
    explanation = explain(MONDAY, pair, [mailbox(), mailbox("mbx_b")], old, SEED)
    assert [verdict.mailbox_id for verdict in explanation.mailboxes] == ["mbx_b"]
    assert explanation.checks[-1].detail == "bound to mbx_b: ready"
    assert "new_leads_limit" not in [check.name for check in explanation.checks]


def test_an_explanation_warns_when_holidays_are_not_known() -> None:
    christmas = datetime.fromisoformat("2105-12-25T15:00:00+00:00")
    far = campaign(window=office_hours(holidays=HolidayRule()))
    explanation = explain(christmas, far, [mailbox()], lead("ann"), SEED)
    (holiday,) = (check for check in explanation.checks if check.name == "holiday")
    assert holiday.ok and "not known" in holiday.detail
    assert isinstance(explanation.outcome, Slot)


def test_an_explanation_has_no_instant_where_a_person_must_act() -> None:
    explanation = explain(MONDAY, campaign(mailboxes=()), [], lead("ann"), SEED)
    assert explanation.earliest is None
    assert explanation.checks[-1].detail == "no mailbox"


def test_an_explanation_knows_the_pause_shared_with_other_campaigns() -> None:
    sent = replace(mailbox(), last_sent_at=MONDAY - timedelta(minutes=20))
    others = [campaign("cmp_slow", interval_seconds=3600)]
    assert isinstance(explain(MONDAY, campaign(), [sent], lead("ann"), SEED).outcome, Slot)
    explanation = explain(MONDAY, campaign(), [sent], lead("ann"), SEED, others)
    assert explanation.outcome == Wait("enr_ann", Reason.MAILBOX_INTERVAL, MONDAY + timedelta(minutes=40))
