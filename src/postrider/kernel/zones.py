"""Time zone names, and how instants are written."""

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_OF_THE_MACHINE = frozenset({"localtime", "posixrules", "Factory"})
"""Files beside the zones whose meaning depends on the machine."""


@lru_cache(maxsize=1024)
def is_zone(name: str) -> bool:
    """Whether ``name`` is an IANA time zone."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return bool(name) and name not in _OF_THE_MACHINE


def check_zone(name: str) -> str:
    """``name`` itself. Raises: ValueError when it is no IANA time zone."""
    if not is_zone(name):
        raise ValueError(f"{name!r} is not a time zone; use an IANA name such as Europe/Berlin or America/New_York")
    return name


def rfc3339(instant: datetime) -> str:
    """An instant inside a sentence: UTC with a Z, to the second."""
    return instant.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def rfc3339_milliseconds(instant: datetime) -> str:
    """An instant as every field of an answer holds it: UTC with a Z, always three decimals."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
