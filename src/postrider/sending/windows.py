"""Sending windows: local wall time turned into instants. The only place where planning meets time zones.

An instant lies in a window when its wall clock does: start inclusive, end exclusive. An overnight window belongs to the
day on which it starts, and so do its weekday and its holiday. Where clocks go forward, a start or end that is skipped
moves to the first instant after the gap. Where they go back, the second pass of the repeated time does not count.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from postrider.sending.public_holidays import HolidayVerdict, country_code, country_of_zone, holiday_verdict

SEARCH_DAYS = 400
MINUTES_PER_DAY = 1440
_DAY = timedelta(days=1)
_REMEMBERED_DAYS = 1000


@dataclass(frozen=True, slots=True)
class HolidayRule:
    """National holidays are skipped: of the lead's country, else of ``country``, else of the window's zone."""

    country: str | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """When mail may leave. Weekdays: 0 = Sunday to 6 = Saturday; an end before the start is the next morning.

    Raises: ValueError for an unknown zone, no weekday, or a start and end that are equal or out of range.
    """

    zone: str
    start_minute: int
    end_minute: int
    weekdays: frozenset[int]
    holidays: HolidayRule | None = None

    def __post_init__(self) -> None:
        if not is_zone(self.zone):
            raise ValueError(f"unknown time zone: {self.zone}")
        if not self.weekdays or not self.weekdays <= frozenset(range(7)):
            raise ValueError("weekdays must be some of 0 (Sunday) to 6 (Saturday)")
        in_range = 0 <= self.start_minute < MINUTES_PER_DAY and 0 <= self.end_minute <= MINUTES_PER_DAY
        if not in_range or self.start_minute == self.end_minute:
            raise ValueError("start and end must be different minutes of a day")


class Span(NamedTuple):
    """A stretch of time without a break: start inclusive, end exclusive, both in UTC."""

    start: datetime
    end: datetime


class OpenHours:
    """The instants at which one window is open for people of one zone and country."""

    def __init__(self, window: Window, zone: str, country: str | None) -> None:
        self.country = country
        self._window = window
        self._zone = ZoneInfo(zone)
        self._spans: dict[date, tuple[Span, ...]] = {}
        self._latest: Span | None = None

    def next_open(self, instant: datetime) -> datetime | None:
        """``instant`` itself while open, else the next opening; None if there is none for 400 days."""
        span = self._next_span(instant)
        return max(span.start, instant) if span else None

    def closes_at(self, instant: datetime) -> datetime | None:
        """The end of the open stretch around ``instant``; None while closed."""
        span = self._next_span(instant)
        return span.end if span and span.start <= instant else None

    def is_holiday(self, instant: datetime) -> bool:
        """True when only a holiday keeps the window closed."""
        return self.day_verdict(instant) == "holiday"

    def day_verdict(self, instant: datetime) -> HolidayVerdict:
        """What is known about the day whose hours contain ``instant``; ``working`` outside the hours."""
        for day in self._days_around(instant):
            if any(span.start <= instant < span.end for span in self._hours(day)):
                return self.verdict(day)
        return "working"

    def verdict(self, day: date) -> HolidayVerdict:
        """What is known about a local day; ``working`` when the window does not skip holidays."""
        return holiday_verdict(self.country, day) if self._window.holidays else "working"

    def _next_span(self, instant: datetime) -> Span | None:
        latest = self._latest
        if latest and latest.start <= instant < latest.end:
            return latest
        first = instant.astimezone(self._zone).date() - _DAY
        for offset in range(SEARCH_DAYS + 2):
            for span in self._open_spans(first + offset * _DAY):
                if span.end > instant:
                    self._latest = span
                    return span
        return None

    def _days_around(self, instant: datetime) -> Iterator[date]:
        today = instant.astimezone(self._zone).date()
        yield from (today - _DAY, today)

    def _open_spans(self, day: date) -> tuple[Span, ...]:
        spans = self._spans.get(day)
        if spans is None:
            if len(self._spans) >= _REMEMBERED_DAYS:
                self._spans.clear()
            spans = () if self.verdict(day) == "holiday" else self._hours(day)
            self._spans[day] = spans
        return spans

    def _hours(self, day: date) -> tuple[Span, ...]:
        window = self._window
        if day.isoweekday() % 7 not in window.weekdays:
            return ()
        midnight = datetime.combine(day, time())
        days = 1 if window.end_minute < window.start_minute else 0
        start = midnight + timedelta(minutes=window.start_minute)
        end = midnight + timedelta(days=days, minutes=window.end_minute)
        return _spans_between(self._zone, start, end)


@lru_cache(maxsize=512)
def open_hours(window: Window, zone: str | None = None, country: str | None = None) -> OpenHours:
    """The open hours of ``window`` for a lead, whose zone and country count where they are given and recognised."""
    effective_country = country_code(country) if window.holidays else None
    if window.holidays and effective_country is None:
        effective_country = country_code(window.holidays.country) or country_of_zone(window.zone)
    return OpenHours(window, zone if zone and is_zone(zone) else window.zone, effective_country)


def is_open(window: Window, instant: datetime, *, zone: str | None = None, country: str | None = None) -> bool:
    """Whether mail may leave at ``instant``."""
    return open_hours(window, zone, country).next_open(instant) == instant


def next_open(
    window: Window, instant: datetime, *, zone: str | None = None, country: str | None = None
) -> datetime | None:
    """``instant`` itself while open, else the next opening; None if there is none for 400 days."""
    return open_hours(window, zone, country).next_open(instant)


def closes_at(
    window: Window, instant: datetime, *, zone: str | None = None, country: str | None = None
) -> datetime | None:
    """When the open stretch around ``instant`` ends; None while closed."""
    return open_hours(window, zone, country).closes_at(instant)


@lru_cache(maxsize=1024)
def is_zone(name: str) -> bool:
    """Whether ``name`` is an IANA time zone."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def local_day(instant: datetime, zone: str) -> date:
    """The local date at ``instant``; it never steps back, even where clocks go back over midnight."""
    day = instant.astimezone(ZoneInfo(zone)).date()
    return day + _DAY if instant >= day_start(zone, day + _DAY) else day


def next_local_midnight(instant: datetime, zone: str) -> datetime:
    """The first instant of the local day after the one that contains ``instant``."""
    return day_start(zone, local_day(instant, zone) + _DAY)


@lru_cache(maxsize=4096)
def day_start(zone: str, day: date) -> datetime:
    """The first instant of a local day: midnight, or the end of the gap that swallowed it."""
    return _first_instant(ZoneInfo(zone), datetime.combine(day, time()))


def _spans_between(zone: ZoneInfo, start_wall: datetime, end_wall: datetime) -> tuple[Span, ...]:
    start, end = _first_instant(zone, start_wall), _first_instant(zone, end_wall)
    if start >= end:
        return ()
    set_back = _offset(zone, start) - _offset(zone, end - timedelta(microseconds=1))
    if set_back <= timedelta(0):
        return (Span(start, end),)
    change = _offset_change(zone, start, end)
    pieces = (Span(start, change), Span(change + set_back, end))
    return tuple(piece for piece in pieces if piece.start < piece.end)


def _first_instant(zone: ZoneInfo, wall: datetime) -> datetime:
    instant = wall.replace(tzinfo=zone).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == wall:
        return instant
    # PEP 495: in a gap, fold=1 reads the wall clock with the offset that holds afterwards, hence an earlier instant.
    return _offset_change(zone, wall.replace(tzinfo=zone, fold=1).astimezone(UTC), instant)


def _offset_change(zone: ZoneInfo, low: datetime, high: datetime) -> datetime:
    """The first instant, to the second, at which the offset is no longer that of ``low``."""
    offset, below, above = _offset(zone, low), 0, int((high - low).total_seconds())
    while above - below > 1:
        middle = (below + above) // 2
        if _offset(zone, low + timedelta(seconds=middle)) == offset:
            below = middle
        else:
            above = middle
    return low + timedelta(seconds=above)


def _offset(zone: ZoneInfo, instant: datetime) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta(0)
