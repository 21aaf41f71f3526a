"""When a message that was not accepted is tried again, and how long a mailbox cools. Pure."""

from datetime import datetime, timedelta
from typing import Final

RETRY_MINUTES: Final = (5, 15, 60, 240)
RETRY_AFTERWARDS: Final = timedelta(hours=8)
GIVE_UP_AFTER: Final = timedelta(hours=48)
COOL_FIRST: Final = timedelta(minutes=15)
COOL_MOST: Final = timedelta(hours=8)
UNREACHABLE_FIRST: Final = timedelta(minutes=1)
UNREACHABLE_MOST: Final = timedelta(minutes=30)
POLICY_STRIKES: Final = 3
SOFT_BOUNCES: Final = 3
LONGEST_HINT: Final = timedelta(hours=24)
BEFORE_RECIPIENT: Final = frozenset({"connect", "greeting", "ehlo", "starttls", "auth", "mail"})
"""Stages at which the server knows nothing of the recipient yet, so that trouble there concerns the mailbox."""


def next_try(now: datetime, first_try: datetime, tries: int, hint_seconds: int | None) -> datetime | None:
    """When to try again after ``tries`` tries (from 1), or None to give up. A server's own hint may only delay.

    Given up is what was tried for 48 hours and as often as these 48 hours allow: closed windows and pauses do not
    count against a recipient.
    """
    if now - first_try >= GIVE_UP_AFTER and tries >= FEWEST_TRIES:
        return None
    pause = _pause_after(tries)
    if hint_seconds is not None:
        pause = max(pause, min(timedelta(seconds=hint_seconds), LONGEST_HINT))
    return now + pause


def cool_pause(count: int) -> timedelta:
    """How long a mailbox rests after being throttled for the ``count``-th time in a row (from 1)."""
    return _doubled(COOL_FIRST, count, COOL_MOST)


def unreachable_pause(count: int) -> timedelta:
    """How long a mailbox rests when its server could not be reached for the ``count``-th time in a row (from 1)."""
    return _doubled(UNREACHABLE_FIRST, count, UNREACHABLE_MOST)


def _pause_after(tries: int) -> timedelta:
    return timedelta(minutes=RETRY_MINUTES[tries - 1]) if tries <= len(RETRY_MINUTES) else RETRY_AFTERWARDS


def _tries_within(span: timedelta) -> int:
    tries, passed = 1, _pause_after(1)
    while passed < span:
        tries, passed = tries + 1, passed + _pause_after(tries + 1)
    return tries


FEWEST_TRIES: Final = _tries_within(GIVE_UP_AFTER)
"""How often the schedule tries within 48 hours when nothing closes in between."""


def _doubled(first: timedelta, count: int, most: timedelta) -> timedelta:
    factor: int = 1 << min(max(count, 1) - 1, 10)
    return min(first * factor, most)
