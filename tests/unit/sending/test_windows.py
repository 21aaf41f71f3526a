"""Local sending hours as instants: edges, nights, clock changes and holidays."""

from datetime import UTC, date, datetime, timedelta

import pytest

from postrider.sending.public_holidays import country_code, country_of_zone, holiday_verdict, known_years
from postrider.sending.windows import (
    HolidayRule,
    Window,
    closes_at,
    day_start,
    is_open,
    local_day,
    next_local_midnight,
    next_open,
    open_hours,
)
from tests.unit.sending.planning_world import EVERY_DAY, WEEKDAYS, always, office_hours


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_the_start_belongs_to_the_window_and_the_end_does_not() -> None:
    window = office_hours()  # New York, UTC-5 in January
    assert not is_open(window, utc("2026-01-05T13:59:59"))
    assert is_open(window, utc("2026-01-05T14:00:00"))
    assert is_open(window, utc("2026-01-05T21:59:59"))
    assert not is_open(window, utc("2026-01-05T22:00:00"))


def test_the_next_opening_skips_the_weekend() -> None:
    friday_evening = utc("2026-01-09T23:00:00")
    assert next_open(office_hours(), friday_evening) == utc("2026-01-12T14:00:00")


def test_an_open_instant_is_its_own_next_opening_and_knows_when_it_closes() -> None:
    noon = utc("2026-01-05T17:00:00")
    assert next_open(office_hours(), noon) == noon
    assert closes_at(office_hours(), noon) == utc("2026-01-05T22:00:00")
    assert closes_at(office_hours(), utc("2026-01-05T23:00:00")) is None


def test_a_night_belongs_to_the_weekday_on_which_it_starts() -> None:
    friday_night = Window("UTC", 22 * 60, 6 * 60, frozenset({5}))
    assert is_open(friday_night, utc("2026-01-09T22:00:00"))
    assert is_open(friday_night, utc("2026-01-10T05:59:00"))
    assert not is_open(friday_night, utc("2026-01-10T06:00:00"))
    assert not is_open(friday_night, utc("2026-01-09T05:00:00"))
    assert closes_at(friday_night, utc("2026-01-09T23:00:00")) == utc("2026-01-10T06:00:00")


def test_sunday_is_weekday_zero() -> None:
    sundays = Window("UTC", 0, 1440, frozenset({0}))
    assert next_open(sundays, utc("2026-01-05T00:00:00")) == utc("2026-01-11T00:00:00")


def test_the_zone_of_the_lead_replaces_that_of_the_window_only_if_it_exists() -> None:
    instant = utc("2026-01-05T09:00:00")
    assert is_open(office_hours(), instant, zone="Europe/Berlin")
    assert not is_open(office_hours(), instant, zone="Mars/Olympus")
    assert not is_open(office_hours(), instant, zone="../../etc/passwd")


def test_a_skipped_start_opens_at_the_end_of_the_gap() -> None:
    window = Window("America/New_York", 150, 300, EVERY_DAY)  # 02:30 does not exist on 8 March 2026
    assert next_open(window, utc("2026-03-08T05:00:00")) == utc("2026-03-08T07:00:00")
    assert closes_at(window, utc("2026-03-08T07:00:00")) == utc("2026-03-08T09:00:00")


def test_a_skipped_end_closes_at_the_gap() -> None:
    window = Window("Europe/Berlin", 60, 150, EVERY_DAY)
    assert closes_at(window, utc("2026-03-29T00:30:00")) == utc("2026-03-29T01:00:00")


def test_a_window_inside_the_gap_waits_for_the_next_day() -> None:
    window = Window("Europe/Berlin", 120, 180, EVERY_DAY)
    assert next_open(window, utc("2026-03-29T00:00:00")) == utc("2026-03-30T00:00:00")


def test_a_repeated_hour_counts_once() -> None:
    window = Window("America/New_York", 60, 120, EVERY_DAY)  # 01:00 to 02:00, twice on 1 November 2026
    first, second = utc("2026-11-01T05:00:00"), utc("2026-11-01T06:00:00")
    assert is_open(window, first) and closes_at(window, first) == second
    assert not is_open(window, second)
    assert next_open(window, second) == utc("2026-11-02T06:00:00")


def test_a_long_window_rests_during_the_second_pass_of_a_repeated_hour() -> None:
    night = Window("America/New_York", 0, 300, EVERY_DAY)
    assert closes_at(night, utc("2026-11-01T04:00:00")) == utc("2026-11-01T06:00:00")
    assert next_open(night, utc("2026-11-01T06:30:00")) == utc("2026-11-01T07:00:00")


def test_lord_howe_moves_its_clocks_by_half_an_hour() -> None:
    window = Window("Australia/Lord_Howe", 90, 180, EVERY_DAY)  # 5 April 2026: 02:00+11 becomes 01:30+10:30
    opens = utc("2026-04-04T14:30:00")
    assert next_open(window, opens - timedelta(hours=3)) == opens
    assert closes_at(window, opens) == utc("2026-04-04T15:00:00")
    assert next_open(window, utc("2026-04-04T15:10:00")) == utc("2026-04-04T15:30:00")
    assert closes_at(window, utc("2026-04-04T15:30:00")) == utc("2026-04-04T16:30:00")


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("America/New_York", date(2026, 3, 8), 23),
        ("America/New_York", date(2026, 11, 1), 25),
        ("Australia/Lord_Howe", date(2026, 10, 4), 23.5),
        ("Asia/Beirut", date(2026, 3, 29), 23),
        ("Asia/Kolkata", date(2026, 3, 29), 24),
        ("Pacific/Apia", date(2011, 12, 30), 0),
    ],
)
def test_a_local_day_is_as_long_as_its_clock_changes_make_it(zone: str, day: date, hours: float) -> None:
    assert day_start(zone, day + timedelta(days=1)) - day_start(zone, day) == timedelta(hours=hours)


def test_midnight_that_is_skipped_is_the_first_instant_that_exists() -> None:
    before = utc("2026-03-28T21:59:59")  # 23:59:59 in Beirut; the clock goes to 01:00
    assert local_day(before, "Asia/Beirut") == date(2026, 3, 28)
    assert next_local_midnight(before, "Asia/Beirut") == utc("2026-03-28T22:00:00")
    assert local_day(utc("2026-03-28T22:00:00"), "Asia/Beirut") == date(2026, 3, 29)


def test_the_local_day_never_steps_back_when_clocks_go_back_over_midnight() -> None:
    instant = utc("2006-10-29T02:31:30")  # St John's: at 00:01 the clock went back to 23:01 of the day before
    assert local_day(instant, "America/St_Johns") == date(2006, 10, 29)
    assert next_local_midnight(instant, "America/St_Johns") > instant


def test_a_holiday_of_the_zone_closes_the_day() -> None:
    window = office_hours(holidays=HolidayRule())
    thanksgiving = utc("2026-11-26T15:00:00")
    assert not is_open(window, thanksgiving)
    assert open_hours(window).is_holiday(thanksgiving)
    assert next_open(window, thanksgiving) == utc("2026-11-27T14:00:00")
    assert is_open(office_hours(), thanksgiving)


def test_the_country_of_the_lead_comes_before_that_of_the_zone() -> None:
    window = office_hours(holidays=HolidayRule())
    german_unity, thanksgiving = utc("2025-10-03T15:00:00"), utc("2026-11-26T15:00:00")
    assert is_open(window, german_unity)
    assert not is_open(window, german_unity, country="Germany")
    assert is_open(window, thanksgiving, country="DE")
    assert not is_open(window, thanksgiving, country="Narnia")


def test_a_night_that_starts_on_a_holiday_is_closed_as_a_whole() -> None:
    window = Window("Europe/Berlin", 22 * 60, 6 * 60, EVERY_DAY, HolidayRule())
    after_boxing_day = utc("2026-12-27T00:00:00")  # in the night of 26 December, a holiday
    assert not is_open(window, after_boxing_day) and open_hours(window).is_holiday(after_boxing_day)
    assert is_open(window, utc("2026-12-25T00:00:00"))  # the night of 24 December, which is none


def test_days_beyond_the_data_are_unknown_and_open() -> None:
    window = office_hours(holidays=HolidayRule())
    christmas = utc("2105-12-25T15:00:00")
    assert is_open(window, christmas)
    assert open_hours(window).day_verdict(christmas) == "unknown"


def test_a_zone_without_country_has_unknown_holidays_unless_the_rule_names_one() -> None:
    christmas = utc("2026-12-25T12:00:00")
    nowhere = Window("UTC", 540, 1020, WEEKDAYS, HolidayRule())
    assert is_open(nowhere, christmas) and open_hours(nowhere).day_verdict(christmas) == "unknown"
    assert not is_open(Window("UTC", 540, 1020, WEEKDAYS, HolidayRule("GB")), christmas)


def test_a_window_that_is_never_closed_still_has_days() -> None:
    noon = utc("2026-01-05T12:00:00")
    assert closes_at(always(), noon) == utc("2026-01-06T00:00:00")
    assert is_open(always(), utc("2026-01-06T00:00:00"))


@pytest.mark.parametrize(
    ("zone", "start", "end", "weekdays"),
    [
        ("Mars/Olympus", 540, 1020, WEEKDAYS),
        ("", 540, 1020, WEEKDAYS),
        ("UTC", 540, 540, WEEKDAYS),
        ("UTC", -1, 540, WEEKDAYS),
        ("UTC", 1440, 540, WEEKDAYS),
        ("UTC", 0, 1441, WEEKDAYS),
        ("UTC", 540, 1020, frozenset[int]()),
        ("UTC", 540, 1020, frozenset({7})),
    ],
)
def test_a_window_that_makes_no_sense_is_refused(zone: str, start: int, end: int, weekdays: frozenset[int]) -> None:
    with pytest.raises(ValueError, match=r"zone|minutes|weekdays"):
        Window(zone, start, end, weekdays)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("de", "DE"),
        ("Germany", "DE"),
        ("NLD", "NL"),
        ("U.S.A.", "US"),
        ("United States of America", "US"),
        ("United Kingdom", "GB"),
        ("uk", "GB"),
        ("Narnia", None),
        ("", None),
        (None, None),
    ],
)
def test_a_country_is_recognised_by_code_or_name(text: str | None, code: str | None) -> None:
    assert country_code(text) == code


@pytest.mark.parametrize(
    ("zone", "country"),
    [
        ("America/New_York", "US"),
        ("US/Eastern", "US"),
        ("Asia/Calcutta", "IN"),
        ("Europe/Amsterdam", "NL"),
        ("UTC", None),
        ("Etc/GMT+5", None),
        ("Mars/Olympus", None),
    ],
)
def test_a_zone_leads_to_its_country(zone: str, country: str | None) -> None:
    assert country_of_zone(zone) == country


def test_the_years_of_the_holiday_data_are_told() -> None:
    years = known_years("US")
    assert years is not None and years[0] <= 2020 and years[1] >= 2050
    assert known_years("ZZ") is None and known_years(None) is None
    assert holiday_verdict("US", date(years[1] + 1, 7, 4)) == "unknown"
    assert holiday_verdict("US", date(2026, 11, 26)) == "holiday"
    assert holiday_verdict("US", date(2026, 11, 25)) == "working"
