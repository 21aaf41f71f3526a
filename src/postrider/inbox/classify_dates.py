"""When the writer of an out-of-office text will be back (pure; English, German, French, Spanish).

A wrong date is worse than none: whatever can be read in two ways gives None.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from postrider.inbox.classify_words import folded

_MAX_TEXT_CHARS = 2_000
_MAX_TOKENS = 20
_MAX_DAYS_AHEAD = 366
# A day without a year that lies further ahead is rather last week's, from a responder that nobody switched off.
_MAX_DAYS_WITHOUT_YEAR = 270

_MONTH_NAMES: tuple[str, ...] = (
    "january jan januar janner janvier janv enero ene",
    "february feb febr februar fevrier fevr febrero",
    "march mar marz mrz mars marzo",
    "april apr avril avr abril abr",
    "may mai mayo",
    "june jun juni juin junio",
    "july jul juli juillet juil julio",
    "august aug aout agosto ago",
    "september sep sept septembre septiembre setiembre",
    "october oct oktober okt octobre octubre",
    "november nov novembre noviembre",
    "december dec dezember dez decembre diciembre dic",
)
_DAY_NAMES: tuple[str, ...] = (
    "monday mon montag mo lundi lun lunes",
    "tuesday tue tues dienstag di mardi martes",
    "wednesday wed mittwoch mi mercredi miercoles",
    "thursday thu thur thurs donnerstag do jeudi jueves",
    "friday fri freitag fr vendredi viernes",
    "saturday sat samstag sonnabend sa samedi sabado",
    "sunday sun sonntag so dimanche domingo",
)
_MONTHS = {name: number for number, names in enumerate(_MONTH_NAMES, start=1) for name in names.split()}
_WEEKDAYS = {name: number for number, names in enumerate(_DAY_NAMES) for name in names.split()}
_TOMORROW = ("tomorrow", "morgen", "demain", "manana")


def _longest_first(names: dict[str, int], min_chars: int = 1) -> str:
    return "|".join(sorted((name for name in names if len(name) >= min_chars), key=len, reverse=True))


_MONTH = _longest_first(_MONTHS)
_TOKEN = re.compile(
    rf"(?:\b(?P<dow>{_longest_first(_WEEKDAYS)})\b\.?,? (?:(?:the|den|dem|der|le|el|dia) )?)?"
    r"(?:\b(?P<iso>\d{4}-\d\d-\d\d)\b"
    r"|\b(?P<a>\d{1,2})(?P<sep>[./-])(?P<b>\d{1,2})(?P=sep)(?P<y>\d{4}|\d\d)\b"
    r"|\b(?P<a0>\d{1,2})(?P<sep0>[./])(?P<b0>\d{1,2})\.?(?![\d./])"
    rf"|\b(?P<d1>\d{{1,2}})(?:st|nd|rd|th|er|\.)? ?(?:of |de )?(?P<m1>{_MONTH})\b\.?"
    r"(?:,? (?:de |del )?(?P<y1>\d{4})\b)?"
    rf"|\b(?P<m2>{_MONTH})\b\.? (?:the )?(?P<d2>\d{{1,2}})(?:st|nd|rd|th)?\b(?:,? (?P<y2>\d{{4}})\b)?"
    r"|\bthe (?P<only>\d{1,2})(?:st|nd|rd|th)\b)"
    rf"|\b(?P<last>(?:the )?end of |ende |fin |finales de |fin de )?(?P<m3>{_longest_first(_MONTHS, 3)})\b\.?,? "
    r"(?:de |del )?(?P<y3>\d{4})\b"
    rf"|\b(?P<weekday>{_longest_first(_WEEKDAYS, 5)})\b"
    rf"|\b(?P<tomorrow>{'|'.join(_TOMORROW)})\b"
)
_BACK_BEFORE = re.compile(
    r"\b(?:back|return|returns|returning|available again|reachable again|resume|resuming|retour|a partir|zuruck|"
    r"wieder|ab|regreso|regresare|regresar|vuelta|vuelvo|volvere|reincorporo|reincorporare)\b[^.;!?\d]{0,40}$"
)
_BACK_AFTER = re.compile(r"^[^.;!?\d]{0,30}\b(?:wieder|zuruck)\b")
_UNTIL_BEFORE = re.compile(
    r"(?:\b(?:until|till|til|through|thru|up to|bis|hasta)\b|\bjusqu'?(?:au|a)?)[^.;!?\d]{0,25}$"
)
_RANGE_BEFORE = re.compile(
    r"\b(?:from|between|vom|von|du|del|desde)\b[^;!?]{0,40}(?:\b(?:to|and|bis|au|al)\b|-)(?: (?:the|zum|el))? ?$|"
    r"\d\.? ?- ?$"
)
_DAY_FIRST_LANGUAGE = re.compile(r"\b(?:ich|und|bin|bis|je|suis|jusqu|retour|estoy|hasta|regreso|vuelta)\b")


@dataclass(frozen=True, slots=True)
class _Token:
    start: int
    end: int
    days: frozenset[date]


def return_date(text: str, received_on: date) -> date | None:
    """The day named as the end of an absence, at most a year after ``received_on``; None when absent or ambiguous.

    What "back on" names goes before what "until" names.
    """
    whole = folded(text, _MAX_TEXT_CHARS)
    back: set[date] = set()
    until: set[date] = set()
    unclear = False
    for token in _tokens(whole, received_on):
        before, after = whole[max(0, token.start - 70) : token.start], whole[token.end : token.end + 60]
        if _BACK_BEFORE.search(before) or _BACK_AFTER.search(after):
            back |= token.days
            unclear = unclear or not token.days
        elif _UNTIL_BEFORE.search(before) or _RANGE_BEFORE.search(before):
            until |= token.days
    if back or unclear:
        return next(iter(back)) if len(back) == 1 else None
    return next(iter(until)) if len(until) == 1 else None


def _tokens(whole: str, received_on: date) -> Iterator[_Token]:
    day_first = _DAY_FIRST_LANGUAGE.search(whole) is not None
    for number, found in enumerate(_TOKEN.finditer(whole)):
        if number >= _MAX_TOKENS:
            return
        days = _candidates(found, received_on, day_first)
        if (dow := found["dow"]) is not None:
            days = {day for day in days if day.weekday() == _WEEKDAYS[dow]}
        days = {day for day in days if 0 < (day - received_on).days <= _MAX_DAYS_AHEAD}
        has_year = found["iso"] or found["y"] or found["y1"] or found["y2"] or found["y3"]
        if len(days) == 1 and not has_year and (min(days) - received_on).days > _MAX_DAYS_WITHOUT_YEAR:
            days = set()
        yield _Token(found.start(), found.end(), frozenset(days))


def _candidates(found: re.Match[str], received_on: date, day_first: bool) -> set[date]:
    """Every day that the words can mean."""
    if found["tomorrow"]:
        return {received_on + timedelta(days=1)}
    if found["weekday"]:
        ahead = (_WEEKDAYS[found["weekday"]] - received_on.weekday()) % 7
        return {received_on + timedelta(days=ahead)} if ahead else set()  # today's own name: this week's or next?
    if found["only"]:
        return _next_day_of_month(int(found["only"]), received_on)
    if found["m3"]:
        return _in_month(_MONTHS[found["m3"]], int(found["y3"]), last=found["last"] is not None)
    if found["iso"]:
        year, month, day = (int(piece) for piece in found["iso"].split("-"))
        return _day(day, month, year)
    if found["d1"]:
        return _with_year(int(found["d1"]), _MONTHS[found["m1"]], found["y1"], received_on)
    if found["d2"]:
        return _with_year(int(found["d2"]), _MONTHS[found["m2"]], found["y2"], received_on)
    first, second = int(found["a"] or found["a0"]), int(found["b"] or found["b0"])
    days = _with_year(first, second, found["y"], received_on)
    if (found["sep"] or found["sep0"]) != "." and not day_first:
        days |= _with_year(second, first, found["y"], received_on)
    return days


def _with_year(day: int, month: int, year: str | None, received_on: date) -> set[date]:
    if year:
        return _day(day, month, int(year) + (2000 if len(year) == 2 else 0))
    coming = _day(day, month, received_on.year) | _day(day, month, received_on.year + 1)
    return set(sorted(one for one in coming if one > received_on)[:1])


def _day(day: int, month: int, year: int) -> set[date]:
    try:
        return {date(year, month, day)}
    except ValueError:
        return set()


def _in_month(month: int, year: int, *, last: bool) -> set[date]:
    """The first day of a month that is all that was named, since nothing later is sure; ``last``: its end."""
    first = _day(1, month, year)
    following = {(day + timedelta(days=32)).replace(day=1) for day in first if day.year < date.max.year}
    return {day - timedelta(days=1) for day in following} if last else first


def _next_day_of_month(day: int, received_on: date) -> set[date]:
    following = (received_on.replace(day=1) + timedelta(days=32)).replace(day=1)
    if day > received_on.day:
        return _day(day, received_on.month, received_on.year)
    return _day(day, following.month, following.year) if day < received_on.day else set()
