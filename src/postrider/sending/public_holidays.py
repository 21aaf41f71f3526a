"""National public holidays: which country a zone or a text means, and what is known about one of its days."""

from datetime import date
from functools import cache, lru_cache
from importlib.resources import files
from typing import Literal

HolidayVerdict = Literal["working", "holiday", "unknown"]

# Names that people write and the library does not know.
_MORE_NAMES = {
    "united states of america": "US",
    "great britain": "GB",
    "england": "GB",
    "scotland": "GB",
    "wales": "GB",
    "the netherlands": "NL",
    "holland": "NL",
    "czech republic": "CZ",
}


@lru_cache(maxsize=4096)
def country_code(text: str | None) -> str | None:
    """The ISO 3166 alpha-2 code of a country given as code or English name; None when it is not recognised."""
    if not text:
        return None
    return _codes_by_name().get(_folded(text))


@lru_cache(maxsize=1024)
def country_of_zone(zone: str) -> str | None:
    """The alpha-2 code of the country an IANA zone belongs to; None for UTC and the like."""
    countries, links = _countries_by_zone(), _zones_by_link()
    return countries.get(zone) or countries.get(links.get(zone, ""))


def holiday_verdict(country: str | None, day: date) -> HolidayVerdict:
    """Whether ``day`` is a national holiday of ``country`` (alpha-2); unknown where the data does not reach."""
    years = known_years(country)
    if country is None or years is None or not years[0] <= day.year <= years[1]:
        return "unknown"
    return "holiday" if day in _holidays(country, day.year) else "working"


@lru_cache(maxsize=512)
def known_years(country: str | None) -> tuple[int, int] | None:
    """The first and last year for which the holidays of ``country`` are known; None for an unknown country."""
    if country is None or country not in _codes_by_name().values():
        return None
    # Imported on first use: the library costs a seventh of a second, which every command would pay at its start.
    import holidays

    calendar = holidays.country_holidays(country)
    return calendar.start_year, calendar.end_year


@lru_cache(maxsize=2048)
def _holidays(country: str, year: int) -> frozenset[date]:
    import holidays

    return frozenset(holidays.country_holidays(country, years=year, expand=False))


@cache
def _codes_by_name() -> dict[str, str]:
    from holidays.registry import COUNTRIES

    known = {_folded(name): names[1] for key, names in COUNTRIES.items() for name in (key, *names)}
    return known | {_folded(name): code for name, code in _MORE_NAMES.items()}


def _folded(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter.isalpha())


@cache
def _countries_by_zone() -> dict[str, str]:
    rows = (line.split("\t") for line in _tzdata("zone.tab") if not line.startswith("#"))
    return {row[2]: row[0] for row in rows}


@cache
def _zones_by_link() -> dict[str, str]:
    """Old names (``US/Eastern``) to the names in zone.tab. Source: the ``L target name`` lines of zic input."""
    rows = (line.split() for line in _tzdata("tzdata.zi") if line.startswith("L "))
    return {row[2]: row[1] for row in rows}


def _tzdata(name: str) -> list[str]:
    return (files("tzdata") / "zoneinfo" / name).read_text(encoding="utf-8").splitlines()
