"""When an absent person will be back."""

from datetime import date

import pytest

from postrider.inbox.classify_dates import return_date

TODAY = date(2026, 8, 6)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I am out until 14 August.", date(2026, 8, 14)),
        ("out of office through August 14th, 2026", date(2026, 8, 14)),
        ("on leave from 3 to 14 August", date(2026, 8, 14)),
        ("away 10-14 August", date(2026, 8, 14)),
        ("away from August 3 until August 14 and back on August 17", date(2026, 8, 17)),
        ("returning Monday, 17 August", date(2026, 8, 17)),
        ("I will return on 2026-08-20.", date(2026, 8, 20)),
        ("back on Monday", date(2026, 8, 10)),
        ("back in the office tomorrow", date(2026, 8, 7)),
        ("back on the 12th", date(2026, 8, 12)),
        ("back 08/15/2026", date(2026, 8, 15)),
        ("back on Friday, 09/10/2026", date(2026, 10, 9)),
        ("until 12 March", date(2027, 3, 12)),
        ("Ich bin bis zum 21.08.2026 im Urlaub", date(2026, 8, 21)),
        ("Ab dem 24.08. bin ich wieder erreichbar", date(2026, 8, 24)),
        ("Am 17. August bin ich wieder im Büro", date(2026, 8, 17)),
        ("bis einschließlich Freitag, den 14. August", date(2026, 8, 14)),
        ("absent du 3 au 14 août", date(2026, 8, 14)),
        ("de retour le 17 août 2026", date(2026, 8, 17)),
        ("je suis absente jusqu'au 12/09/2026", date(2026, 9, 12)),
        ("hasta el 12 de septiembre de 2026", date(2026, 9, 12)),
        ("regreso el lunes 17 de agosto", date(2026, 8, 17)),
        ("maternity leave until June 2027", date(2027, 6, 1)),
        ("Elternzeit bis Ende Januar 2027", date(2027, 1, 31)),
        ("on leave until the end of December 2026", date(2026, 12, 31)),
    ],
)
def test_the_day_of_return_is_read_in_four_languages(text: str, expected: date) -> None:
    assert return_date(text, TODAY) == expected


@pytest.mark.parametrize(
    "text",
    [
        "back on 09/10/2026",  # 10 September or 9 October
        "back on Thursday",  # today is one
        "back on Monday, 18 August",  # that is a Tuesday
        "until 3 August 2026",  # over
        "until 6 August",  # today
        "until 14 August 2028",  # too far
        "until 1 August",  # surely last week's, not next year's
        "back on 17 August or back on 19 August",
        "back on 31.02.2027",
        "I am away from 10 August.",
        "back soon",
        "call +49 30 12.08.26",
        "",
    ],
)
def test_a_day_that_is_past_far_or_unclear_is_none(text: str) -> None:
    assert return_date(text, TODAY) is None
