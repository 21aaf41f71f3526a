"""What a simulation plays, drawn from its seed: workspaces, mailboxes, campaigns, leads, around a clock change."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

ZONES: Final = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Asia/Beirut",
    "UTC",
)
COUNTRIES: Final = ("Germany", "US", "India", None)
CLOCK_CHANGES: Final = tuple(
    datetime(*moment, tzinfo=UTC)
    for moment in (
        (2026, 3, 8, 7),  # New York, forward
        (2026, 3, 28, 22),  # Beirut, forward at midnight
        (2026, 3, 29, 1),  # Berlin, forward
        (2026, 4, 4, 15),  # Lord Howe, half an hour back
        (2026, 10, 3, 15),  # Lord Howe, half an hour forward
        (2026, 10, 25, 1),  # Berlin, back
        (2026, 11, 1, 6),  # New York, back
        (2026, 12, 24, 8),  # no change, but holidays
    )
)
WINDOWS: Final = (("09:00", "17:00"), ("08:30", "11:15"), ("13:00", "21:40"), ("22:00", "02:30"), ("00:00", "23:59"))
WAITS: Final = ({"waitDays": 1}, {"waitDays": 2}, {"waitHours": 5}, {"waitDays": 1, "waitHours": 7})


@dataclass(frozen=True)
class Person:
    """A lead. ``company`` and ``pet`` may be missing, which some emails need."""

    email: str
    fields: dict[str, Any]


@dataclass(frozen=True)
class CampaignPlot:
    """One campaign as it is created."""

    name: str
    mailboxes: tuple[int, ...]
    sequence: list[dict[str, Any]]
    schedule: dict[str, Any]
    settings: dict[str, Any]
    people: tuple[Person, ...]


@dataclass(frozen=True)
class House:
    """One workspace: its mailboxes (daily limit, zone), campaigns, and who must not be written to."""

    mailboxes: tuple[tuple[int, str], ...]
    campaigns: tuple[CampaignPlot, ...]
    dnc: tuple[str, ...]


@dataclass(frozen=True)
class Scenario:
    """Everything that is there when time begins to pass."""

    seed: int
    start: datetime
    days: int
    houses: tuple[House, ...]
    dice: random.Random = field(repr=False)


def draw(seed: int, *, people: int = 12, houses: int = 2, campaigns: Sequence[int] = (1, 2, 2, 3)) -> Scenario:
    """The scenario of a seed. ``people``: in a campaign, at most. ``campaigns``: numbers to choose from."""
    dice = random.Random(seed)
    start = dice.choice(CLOCK_CHANGES) - timedelta(minutes=dice.randrange(6 * 1440))
    drawn = tuple(_house(dice, number, people, dice.choice(campaigns)) for number in range(houses))
    return Scenario(seed, start, dice.randint(12, 18), drawn, dice)


def _house(dice: random.Random, number: int, people: int, campaigns: int) -> House:
    boxes = tuple((dice.randint(2, 9), dice.choice(ZONES)) for _ in range(dice.randint(2, 4)))
    plots = tuple(_campaign(dice, f"{number}-{place}", len(boxes), people) for place in range(campaigns))
    everybody = [person.email for plot in plots for person in plot.people]
    listed = tuple(email if dice.random() < 0.5 else email.partition("@")[2] for email in everybody[::11])
    return House(boxes, plots, listed)


def _campaign(dice: random.Random, name: str, boxes: int, people: int) -> CampaignPlot:
    start, end = dice.choice(WINDOWS)
    return CampaignPlot(
        name=name,
        mailboxes=tuple(sorted(dice.sample(range(boxes), dice.randint(1, min(boxes, 3))))),
        sequence=_sequence(dice),
        schedule={
            "timezone": dice.choice(ZONES),
            "startTime": start,
            "endTime": end,
            "workingDays": sorted(dice.sample(range(7), dice.randint(4, 7))),
            "skipNationalHolidays": dice.random() < 0.6,
            "useLeadTimezone": dice.random() < 0.5,
        },
        settings={
            "emailIntervalMinutes": dice.choice((1, 7, 15, 45, 130)),
            "dailySendLimit": dice.choice((None, None, 3, 8)),
            "newLeadsPerDay": dice.choice((None, None, 2, 5)),
            "unknownVariables": dice.choice(("hold", "hold", "blank")),
            "skipDNC": dice.random() < 0.8,
        },
        people=tuple(_person(dice, f"{name}-{place}") for place in range(dice.randint(people // 2, people))),
    )


def _sequence(dice: random.Random) -> list[dict[str, Any]]:
    first: dict[str, Any] = {
        "type": "email",
        "variants": [
            {"label": "A", "subject": "Hello {{firstName|there}}", "body": "<p>{Hi|Hello} from {{companyName}}</p>"},
            {"label": "B", "subject": "An idea", "body": "<p>{{#if city}}{{city}}{{else}}{{company}}{{/if}}</p>"},
        ],
    }
    later = [
        {"type": "email", "subject": "", "body": "<p>Again, {{firstName|you}}</p>"},
        {"type": "email", "subject": "", "body": "<p>How is {{pet}}? {{senderFirstName}}</p>"},
    ]
    dice.shuffle(later)
    steps = [first]
    for email in later[: dice.randint(0, 2)]:
        steps += [{"type": "wait", **dice.choice(WAITS)}, email]
    return steps


def _person(dice: random.Random, name: str) -> Person:
    fields: dict[str, Any] = {"firstName": "Lee"}
    if dice.random() < 0.85:
        fields["companyName"] = "Acme"
    if dice.random() < 0.3:
        fields["city"] = "Ulm"
    if dice.random() < 0.8:
        fields["customFields"] = {"Pet": "Rex"}
    if dice.random() < 0.5:
        fields["timezone"] = dice.choice(ZONES)
    country = dice.choice(COUNTRIES)
    if country:
        fields["country"] = country
    return Person(f"lead{name}@l{name}.test", fields)
