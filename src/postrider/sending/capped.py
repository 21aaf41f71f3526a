"""Credentials with a limit: how much one may cause in a day, and how much of that is used up. Pure."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from postrider.kernel.policy import Caps


class Capped(NamedTuple):
    """A credential and its limits."""

    credential_id: str
    caps: Caps

    def holds(self, now: datetime) -> bool:
        """Whether it has any limit at ``now``."""
        return self.caps.at(now) is not None


class Reached(NamedTuple):
    """A limit that is used up, and the instant at which it lifts (None: not by itself)."""

    until: datetime | None


def utc_day(now: datetime) -> date:
    """The day that the messages of a credential are counted on."""
    return now.astimezone(UTC).date()


def next_utc_midnight(now: datetime) -> datetime:
    """When the next such day begins."""
    return _midnight(utc_day(now) + timedelta(days=1))


@dataclass(frozen=True, slots=True)
class CredentialState:
    """A credential with a limit. ``sent_today``: what it has caused on ``day`` (UTC). ``sent_first``: what it has
    caused in its first 24 hours, which may be parts of two such days; counted only while they last.
    """

    credential_id: str
    caps: Caps
    day: date
    sent_today: int = 0
    sent_first: int = 0

    def reached(self, now: datetime) -> Reached | None:
        """The limit that is used up at ``now``, if one is."""
        if self.caps.daily_sends is not None and self.caps.daily_sends <= 0:
            return Reached(None)
        untils = [until for until in (self._day_reached(now), self._first_reached(now)) if until is not None]
        return Reached(max(untils)) if untils else None

    def room(self, now: datetime) -> int | None:
        """How many more messages it may cause today; None where no limit holds."""
        left = [] if self.caps.daily_sends is None else [self.caps.daily_sends - self.sent_today]
        if self.caps.first_day_sends is not None and self._is_first(now):
            left.append(self.caps.first_day_sends - self.sent_first)
        return max(0, min(left)) if left else None

    def counted(self, at: datetime) -> "CredentialState":
        """The same after one more message."""
        today = utc_day(at)
        return replace(
            self,
            day=max(self.day, today),
            sent_today=(self.sent_today if today <= self.day else 0) + 1,
            sent_first=self.sent_first + self._is_first(at),
        )

    def given_back(self, at: datetime) -> "CredentialState":
        """The same without the message that was counted at ``at``, on the day that is counted now."""
        return replace(self, sent_today=self.sent_today - 1, sent_first=self.sent_first - self._is_first(at))

    def told(self, now: datetime) -> str:
        """How much of the limits is used up, in words."""
        today = self.sent_today if utc_day(now) <= self.day else 0
        said = [] if self.caps.daily_sends is None else [f"{today} of {self.caps.daily_sends} sent today (UTC)"]
        if self._is_first(now):
            said.append(f"{self.sent_first} of {self.caps.first_day_sends} sent in the first 24 hours")
        return f"{' and '.join(said) or 'no limit'} by what {self.credential_id} has started, changed, added or written"

    def _day_reached(self, now: datetime) -> datetime | None:
        if self.caps.daily_sends is None:
            return None
        today = utc_day(now)
        if today < self.day:
            # The clock went back: what was sent on this day is no longer known, so wait for the day that is.
            return _midnight(self.day)
        return next_utc_midnight(now) if today == self.day and self.sent_today >= self.caps.daily_sends else None

    def _first_reached(self, now: datetime) -> datetime | None:
        is_full = self.caps.first_day_sends is not None and self.sent_first >= self.caps.first_day_sends
        return self.caps.first_day_until if is_full and self._is_first(now) else None

    def _is_first(self, at: datetime) -> bool:
        until = self.caps.first_day_until
        return self.caps.first_day_sends is not None and until is not None and at < until


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
