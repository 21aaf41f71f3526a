"""Variables: how names are matched, which ones are built in, and the values one message is written with."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from postrider.kernel.errors import InvalidInput

_SEPARATORS = re.compile(r"[\s_-]+")
_ALIASES = {"company": "companyname"}
RESERVED_KEYS = frozenset(
    {
        *("email", "unsubscribeurl", "signature", "today", "weekday"),
        *("sendername", "senderfirstname", "senderlastname", "senderemail"),
    }
)
"""Keys of the variables that say who writes, to which address, when, and how to unsubscribe: never a lead's to give."""
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


@lru_cache(maxsize=4096)
def variable_key(name: str) -> str:
    """The key all spellings of a name share: ``First Name``, ``first_name`` and ``firstName`` give ``firstname``."""
    key = unicodedata.normalize("NFKC", _SEPARATORS.sub("", unicodedata.normalize("NFKC", name)).casefold())
    return _ALIASES.get(key, key)


def is_reserved(name: str) -> bool:
    """Whether a name, in any spelling, is one that no custom field can stand for."""
    return variable_key(name) in RESERVED_KEYS


def check_custom_keys(keys: Iterable[str]) -> None:
    """Accepts custom field names that a template can tell apart.

    Raises: InvalidInput for a blank name, or for two names that a template would read as one.
    """
    seen: dict[str, str] = {}
    for name in keys:
        key = variable_key(name)
        if not key:
            raise InvalidInput("A custom field needs a name with at least one letter or digit.", details={"key": name})
        other = seen.setdefault(key, name)
        if other != name:
            raise InvalidInput(
                f"The custom fields “{other}” and “{name}” would be one variable: case, spaces, _ and - do not count.",
                hint="Rename one of the two, or send only one.",
                details={"keys": [other, name]},
            )


@dataclass(frozen=True, slots=True)
class Html:
    """A built-in value with markup of its own (a signature). The caller has sanitised ``html``."""

    html: str
    text: str


@dataclass(frozen=True, slots=True)
class Values:
    """What the variables of one message stand for. Blank values are left out: they count as missing."""

    exact: Mapping[str, str]
    """Custom fields by their own spelling."""
    common: Mapping[str, str]
    """Everything by key."""
    markup: Mapping[str, str]
    """The HTML of those built-ins that have any, by key."""

    @classmethod
    def of(cls, builtins: Mapping[str, str | Html | None], custom: Mapping[str, str | None] | None = None) -> "Values":
        """Values looked up in this order: custom field spelled alike, built-in, custom field with the same key.

        A custom field never stands for a reserved name, not even where the built-in has no value.
        """
        exact = {
            name: value
            for name, value in (custom or {}).items()
            if value and not value.isspace() and not is_reserved(name)
        }
        common: dict[str, str] = {}
        markup: dict[str, str] = {}
        for name, given in builtins.items():
            value = given.text if isinstance(given, Html) else given
            if value and not value.isspace():
                key = variable_key(name)
                common[key] = value
                if isinstance(given, Html):
                    markup[key] = given.html
        for name, value in exact.items():
            common.setdefault(variable_key(name), value)
        return cls(exact, common, markup)

    def get(self, name: str) -> str | None:
        """The value of a variable as a template would spell it; None when it is missing or blank."""
        return self.exact.get(name) or self.common.get(variable_key(name))


@dataclass(frozen=True, slots=True)
class LeadFacts:
    """What the built-in lead variables are made from."""

    email: str
    first_name: str | None = None
    last_name: str | None = None
    company_name: str | None = None
    job_title: str | None = None
    phone: str | None = None
    linkedin_url: str | None = None
    city: str | None = None
    state: str | None = None
    country: str | None = None
    website: str | None = None


@dataclass(frozen=True, slots=True)
class SenderFacts:
    """What the built-in sender variables are made from; a first and last name left out come from ``name``."""

    email: str
    name: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    signature: str | Html | None = None


def lead_values(
    lead: LeadFacts,
    sender: SenderFacts | None = None,
    *,
    custom: Mapping[str, str | None] | None = None,
    unsubscribe_url: str | None = None,
    today: date | None = None,
) -> Values:
    """Every built-in variable of one message, with the lead's custom fields. ``today`` is the lead's local date."""
    builtins = _lead_builtins(lead)
    builtins["unsubscribe_url"] = unsubscribe_url
    if sender is not None:
        builtins |= _sender_builtins(sender)
    if today is not None:
        builtins["today"] = f"{today.day} {_MONTHS[today.month - 1]} {today.year}"
        builtins["weekday"] = _WEEKDAYS[today.weekday()]
    return Values.of(builtins, custom)


def _lead_builtins(lead: LeadFacts) -> dict[str, str | Html | None]:
    full_name = _joined(lead.first_name, lead.last_name)
    return {
        "email": lead.email,
        "firstName": lead.first_name,
        "lastName": lead.last_name,
        "fullName": full_name,
        "contact": full_name or lead.email,
        "companyName": lead.company_name,
        "jobTitle": lead.job_title,
        "phone": lead.phone,
        "linkedinUrl": lead.linkedin_url,
        "city": lead.city,
        "state": lead.state,
        "country": lead.country,
        "website": lead.website,
    }


def _sender_builtins(sender: SenderFacts) -> dict[str, str | Html | None]:
    first, _, last = (sender.name or "").strip().partition(" ")
    return {
        "senderEmail": sender.email,
        "senderName": sender.name or _joined(sender.first_name, sender.last_name),
        "senderFirstName": sender.first_name or first,
        "senderLastName": sender.last_name or last.strip(),
        "signature": sender.signature,
    }


def _joined(*names: str | None) -> str:
    return " ".join(name.strip() for name in names if name and not name.isspace())
