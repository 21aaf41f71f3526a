"""What happens in the demo: who sends, to whom, and what they write."""

from datetime import UTC, datetime, timedelta
from typing import Final

START: Final = datetime(2026, 3, 2, 7, 30, tzinfo=UTC)
"""A Monday morning, half an hour before the window opens in Berlin."""
SPAN: Final = timedelta(days=14)
SEED: Final = "demo-1320"
"""Chosen so that among the 120 addresses below every kind of prospect occurs (tests/e2e/test_demo.py)."""
PUBLIC_URL: Final = "https://demo.postrider.test"
"""Exists inside the process only: the sandbox's prospects reach it there."""

MAILBOXES: Final[tuple[dict[str, object], ...]] = tuple(
    {
        "email": f"{first.lower()}@acme-outreach.test",
        "displayName": f"{first} {last}",
        "provider": "sandbox",
        "dailySendLimit": 15,
        "timezone": "Europe/Berlin",
        "signature": f"{first} {last}, Acme",
    }
    for first, last in (("Eva", "Stone"), ("Ben", "Ochoa"), ("Mia", "Laurent"))
)

LEADS: Final = 120
HELD_LEADS: Final = 2
"""Leads without a company name, which the first email needs."""
CUSTOMER: Final = "Bluefin Systems"
"""Is a customer already: its domain goes onto the do-not-contact list before the start."""

_FIRST: Final = (
    *("Ada", "Noah", "Lena", "Omar", "Ines", "Paul", "Zoe", "Emil", "Nora", "Luis", "Maya", "Otto", "Ruth", "Jan"),
    *("Elif", "Hugo", "Kim", "Sara", "Leo", "Vera", "Tom", "Ida", "Raul", "Anne", "Karl", "Lucy", "Max", "Rosa"),
)
_LAST: Final = (
    *("Fischer", "Okafor", "Martin", "Silva", "Novak", "Jensen", "Rossi", "Walsh", "Kaya", "Lindqvist", "Moreau"),
    *("Haddad", "Berg", "Costa", "Dvorak", "Ellis", "Fontaine", "Garcia", "Huber", "Ivanova", "Keller", "Larsen"),
)
_COMPANY_STARTS: Final = (
    *("Bluefin", "Northlight", "Harbor", "Cedar", "Quartz", "Meridian"),
    *("Summit", "Ember", "Lattice", "Willow", "Beacon", "Atlas"),
)
_COMPANY_ENDS: Final = (
    *("Systems", "Logistics", "Foods", "Health", "Energy"),
    *("Robotics", "Media", "Textiles", "Finance", "Travel"),
)
_INDUSTRIES: Final = (
    "software",
    "transport",
    "food",
    "care",
    "energy",
    "machines",
    "press",
    "fashion",
    "money",
    "trips",
)
_TITLES: Final = ("Head of Operations", "COO", "Managing Director", "VP Sales", "Team Lead")

_FIRST_A: Final = (
    "<p>{Hi|Hello|Good morning} {{firstName|there}},</p>"
    "<p>{{companyName}} {caught my eye|came up in our team} because you are in {{Industry|your field}}. "
    'We help operations teams answer customers in half the time: <a href="https://acme-outreach.test/tour">a short tour'
    "</a>.</p><p>{Would that be worth a look|Is this of interest}?</p><p>{{signature}}</p>"
)
_FIRST_B: Final = (
    "<p>{{firstName|Hello}},</p>"
    "<p>how does {{companyName}} keep up with {customer mail|incoming requests} today? "
    '{{#if jobTitle contains "Operations"}}You will know the numbers best.{{else}}You may know who does.'
    "{{/if}}</p><p>{Happy to show|I can show} you what others do.</p><p>{{signature}}</p>"
)
SEQUENCE: Final[list[dict[str, object]]] = [
    {
        "type": "email",
        "variants": [
            {"label": "A", "subject": "{Quick question|A question} about {{companyName}}", "body": _FIRST_A},
            {"label": "B", "subject": "{{firstName|Hello}}, an idea for {{companyName}}", "body": _FIRST_B},
        ],
    },
    {"type": "wait", "waitDays": 3},
    {
        "type": "email",
        "subject": "",
        "body": "<p>{Hi|Hello} {{firstName|there}},</p><p>{did you get a chance to look|any thoughts on this}? "
        "I can {keep it to ten minutes|send a summary}.</p><p>{{signature}}</p>",
    },
    {"type": "wait", "waitDays": 4},
    {
        "type": "email",
        "subject": "",
        "body": "<p>{{firstName|Hello}}, this is my last note. If the timing is wrong, {just say so|tell me when}.</p>"
        "<p>{{signature}}</p>",
    },
]
EMAIL_STEPS: Final = 3
SCHEDULE: Final[dict[str, object]] = {
    "timezone": "Europe/Berlin",
    "startTime": "09:00",
    "endTime": "17:00",
    "workingDays": [1, 2, 3, 4, 5],
}
SETTINGS: Final[dict[str, object]] = {"emailIntervalMinutes": 12, "includeUnsubscribeLink": True}


def lead_email(number: int) -> str:
    """The address of one lead, counted from 0."""
    first, last, company, *_ = _person(number)
    return f"{first}.{last}@{_domain(company)}".lower()


def customer_domain() -> str:
    """The domain that must not be written to."""
    return _domain(CUSTOMER)


def leads_csv() -> str:
    """The file that is imported: the leads, one of them twice, and an address that is none."""
    lines = ["Email,First Name,Last Name,Company,Job Title,Industry"]
    for number in range(LEADS):
        first, last, company, title, industry = _person(number)
        named = "" if number >= LEADS - HELD_LEADS else company
        lines.append(f"{lead_email(number)},{first},{last},{named},{title},{industry}")
    lines += [lines[5], "not-an-address,No,Body,Nowhere,None,none"]
    return "\n".join(lines) + "\n"


def _person(number: int) -> tuple[str, str, str, str, str]:
    end = number // len(_COMPANY_STARTS)
    company = f"{_COMPANY_STARTS[number % len(_COMPANY_STARTS)]} {_COMPANY_ENDS[end]}"
    first, last = _FIRST[number % len(_FIRST)], _LAST[number * 7 % len(_LAST)]
    return first, last, company, _TITLES[number % len(_TITLES)], _INDUSTRIES[end]


def _domain(company: str) -> str:
    return company.replace(" ", "").lower() + ".test"
