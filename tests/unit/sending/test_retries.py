"""When a message that was not accepted is tried again, and when it is given up."""

from datetime import UTC, datetime, timedelta

import pytest

from postrider.sending.retries import FEWEST_TRIES, next_try

START = datetime(2026, 3, 6, 12, tzinfo=UTC)


def test_without_closed_windows_the_try_after_48_hours_is_the_last() -> None:
    instants, due = [START], next_try(START, START, 1, None)
    while due is not None:
        instants.append(due)
        due = next_try(due, START, len(instants), None)
    minutes = [round((each - START) / timedelta(minutes=1)) for each in instants]
    assert minutes == [0, 5, 20, 80, 320, 800, 1280, 1760, 2240, 2720, 3200]


def test_the_schedule_tries_ten_times_within_48_hours() -> None:
    assert FEWEST_TRIES == 10


def test_two_tries_over_a_weekend_give_nothing_up() -> None:
    monday = START + timedelta(hours=69)
    assert next_try(monday, START, 2, None) == monday + timedelta(minutes=15)


@pytest.mark.parametrize(
    ("passed", "tries", "given_up"),
    [
        (timedelta(hours=48), FEWEST_TRIES, True),
        (timedelta(hours=48), FEWEST_TRIES - 1, False),
        (timedelta(hours=48) - timedelta(seconds=1), FEWEST_TRIES, False),
        (timedelta(hours=47), 40, False),
        (timedelta(days=30), 40, True),
    ],
)
def test_giving_up_takes_both_48_hours_and_enough_tries(passed: timedelta, tries: int, given_up: bool) -> None:
    assert (next_try(START + passed, START, tries, None) is None) is given_up


@pytest.mark.parametrize(
    ("hint_seconds", "pause"),
    [(60, timedelta(minutes=5)), (1800, timedelta(minutes=30)), (999_999, timedelta(hours=24))],
)
def test_a_hint_of_the_server_only_delays_and_by_a_day_at_most(hint_seconds: int, pause: timedelta) -> None:
    assert next_try(START, START, 1, hint_seconds) == START + pause
