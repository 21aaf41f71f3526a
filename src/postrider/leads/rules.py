"""What a lead may hold, and how what comes in is cleaned up. Pure."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from postrider.content.addresses import parse_address, registrable_domain
from postrider.content.freemail import FREEMAIL_DOMAINS
from postrider.content.headers import check_name, check_visible, without_hidden
from postrider.content.template import check_custom_keys, variable_key
from postrider.kernel.errors import InvalidInput
from postrider.kernel.zones import is_zone

VerificationStatus = Literal["unverified", "valid", "risky", "invalid", "unknown"]
UNVERIFIED: Final[VerificationStatus] = "unverified"

MAX_SHORT_CHARACTERS: Final = 320
MAX_URL_CHARACTERS: Final = 2_000
MAX_LONG_CHARACTERS: Final = 10_000
MAX_CUSTOM_FIELDS: Final = 200
MAX_CUSTOM_NAME_CHARACTERS: Final = 100
MAX_TAGS: Final = 50
MAX_TAG_CHARACTERS: Final = 60

TEXT_COLUMNS: Final = (
    *("first_name", "last_name", "company_name", "job_title", "phone", "linkedin_url"),
    *("website", "city", "state", "country", "timezone", "notes"),
)
"""The standard fields of a lead beside its address, in the order of ``LeadDraft``."""

WIRE_NAMES: Final = {name: re.sub(r"_(.)", lambda found: found[1].upper(), name) for name in TEXT_COLUMNS}
_COLUMN_BY_KEY: Final = {variable_key(wire): column for column, wire in WIRE_NAMES.items()}
_SYSTEM_KEYS: Final = frozenset(
    {"id", "workspaceid", "userid", "companydomain", "emailverificationstatus", "createdat", "updatedat"}
)
_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_CONTROL_OR_BREAK: Final = re.compile("[\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")
_LINES: Final = frozenset({"first_name", "last_name", "company_name", "job_title"})
"""Names stand in the To header, all of them in what people are asked to decide by."""
_CACHED_CHARACTERS: Final = 40
_LIMITS: Final = {"linkedin_url": MAX_URL_CHARACTERS, "website": MAX_URL_CHARACTERS, "notes": MAX_LONG_CHARACTERS}


class LeadDraft(NamedTuple):
    """A lead as it is to be written. ``texts``: the standard fields in the order of TEXT_COLUMNS.

    None and absent custom fields leave an existing lead's values alone.
    """

    email: str
    company_domain: str | None
    texts: Sequence[str | None]
    custom_fields: dict[str, str]
    tags: list[str]


def standard_column(name: str) -> str | None:
    """The column that ``name`` (``first_name``, ``firstName``, ``company``) stands for; None for a custom field."""
    return _COLUMN_BY_KEY.get(variable_key(name))


def is_system_key(name: str) -> bool:
    """Whether ``name`` is one that Postrider sets itself, so that no caller may give it."""
    return variable_key(name) in _SYSTEM_KEYS


class LeadObject(NamedTuple):
    """A lead as a caller's object describes it: standard fields by column, custom fields by name; None empties."""

    fields: dict[str, str | None]
    custom: dict[str, str | None]


def read_lead_object(given: Mapping[str, object], custom: Mapping[str, object]) -> LeadObject:
    """Sorts an object's keys: standard fields however they are spelled, the rest custom fields, those of ours left out.

    ``custom``: what the object says under customFields. Raises: InvalidInput for a value that is no text.
    """
    fields: dict[str, str | None] = {}
    own: dict[str, str | None] = {}
    for name, value in given.items():
        column = standard_column(name)
        if column is not None:
            fields.setdefault(column, field_text(WIRE_NAMES[column], value))
        elif not is_system_key(name):
            own[name] = field_text(name, value)
    own |= {name: field_text(name, value) for name, value in custom.items()}
    check_custom_names(own)
    return LeadObject(fields, own)


def field_text(name: str, value: object) -> str | None:
    """A JSON value as the text that a field holds. Raises: InvalidInput for lists and objects."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    raise InvalidInput(
        f"{name[:MAX_CUSTOM_NAME_CHARACTERS]}: a field of a lead holds text, not a list or an object.",
        field=name[:MAX_CUSTOM_NAME_CHARACTERS],
        hint="Give a text; several values go into one text or into several fields.",
    )


def draft_lead(
    email: str, fields: Mapping[str, str], custom: Mapping[str, str], tags: Iterable[str] = (), *, clean: bool
) -> LeadDraft:
    """The checked lead. ``fields`` go by column name; ``clean`` mends what people get wrong (see clean_field).

    Raises: InvalidInput naming the field.
    """
    address = parse_address(clean_email(email) if clean else email)
    texts: dict[str, str | None] = dict.fromkeys(TEXT_COLUMNS)
    for column, text in fields.items():
        texts[column] = mended_field(column, text, clean=clean) or None
    kept = {name: value for name, text in custom.items() if (value := mended_custom(name, text, clean=clean))}
    return LeadDraft(address.key, company_domain(address.ascii_domain), tuple(texts.values()), kept, list(tags))


@lru_cache(maxsize=65_536)
def company_domain(domain: str) -> str | None:
    """The registrable domain that leads of one company share; None where anyone may have a mailbox."""
    # A name of two labels is its own registrable domain, whichever suffixes there are: most leads are spared a look-up.
    found = domain if domain.count(".") == 1 else registrable_domain(domain)
    return None if found in FREEMAIL_DOMAINS or domain in FREEMAIL_DOMAINS else found


def check_field(column: str, text: str) -> str:
    """``text`` itself if the standard field ``column`` may hold it. Raises: InvalidInput."""
    if not text.isprintable() and (_CONTROL if column == "notes" else _CONTROL_OR_BREAK).search(text):
        raise _refusal(column, "holds a line break or another control character", "Give it on one line of plain text.")
    # Fillers count as printable letters: only ASCII is known to show.
    if column in _LINES and not text.isascii():
        check_name(text, WIRE_NAMES[column])
    limit = _LIMITS.get(column, MAX_SHORT_CHARACTERS)
    if len(text) > limit:
        raise _refusal(column, f"is longer than {limit:,} characters", "Shorten it.")
    if column == "timezone" and text and not is_zone(text):
        raise _refusal(column, "is not a time zone", "Use an IANA name such as Europe/Berlin, or leave it out.")
    return text


def check_custom_value(name: str, text: str) -> str:
    """``text`` itself if the custom field ``name`` may hold it. Raises: InvalidInput."""
    if len(text) > MAX_LONG_CHARACTERS or (not text.isprintable() and _CONTROL.search(text)):
        raise InvalidInput(
            f"A custom field holds more than {MAX_LONG_CHARACTERS:,} characters, or a control character.",
            field="customFields",
            details={"name": name[:MAX_CUSTOM_NAME_CHARACTERS]},
        )
    return text if text.isascii() else check_visible(text, f"customFields.{name[:MAX_CUSTOM_NAME_CHARACTERS]}")


def is_custom_name(name: str) -> bool:
    """Whether it is short enough for the name of a custom field, and all of it can be seen."""
    return len(name) <= MAX_CUSTOM_NAME_CHARACTERS and name.isprintable()


def check_custom_names(names: Iterable[str]) -> None:
    """Accepts names of custom fields. Raises: InvalidInput for too many, too long or indistinguishable ones."""
    given = list(names)
    if len(given) > MAX_CUSTOM_FIELDS:
        raise InvalidInput(f"A lead has at most {MAX_CUSTOM_FIELDS} custom fields.", field="customFields")
    for name in given:
        if not is_custom_name(name):
            raise InvalidInput(
                f"The name of a custom field has at most {MAX_CUSTOM_NAME_CHARACTERS} printable characters.",
                field="customFields",
            )
    check_custom_keys(given)


def merge_custom(present: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    """``present`` with ``changes``; None removes. A name spelled otherwise changes the field a template would read."""
    merged = dict(present)
    spelled = {variable_key(name): name for name in present}
    for name, value in changes.items():
        own = name if name in merged else spelled.get(variable_key(name), name)
        if value is None:
            merged.pop(own, None)
        else:
            merged[own] = value
    return merged


def merge_drafts(first: LeadDraft, later: LeadDraft) -> LeadDraft:
    """Two drafts of one address as one: what ``later`` says counts, what it leaves out stays."""
    texts = [new if new is not None else old for new, old in zip(later.texts, first.texts, strict=True)]
    tags = list(dict.fromkeys([*first.tags, *later.tags]))
    custom = merge_custom(first.custom_fields, later.custom_fields)
    return LeadDraft(first.email, first.company_domain, texts, custom, tags)


def mended_field(column: str, text: str, *, clean: bool) -> str:
    """The standard field ``column`` as it is stored; ``clean`` mends it (see clean_field). Raises: InvalidInput."""
    if clean and column == "phone" and _PLAIN_PHONE.fullmatch(text):
        # What clean_phone would make of it, at a third of its time: hardly any number comes twice.
        return f"+{_NO_DIGIT.sub('', text)}"
    mend = _mend_cached if len(text) <= _CACHED_CHARACTERS else _mend
    return mend(column, text, clean)


def mended_custom(name: str, text: str, *, clean: bool) -> str:
    """The custom field ``name`` as it is stored; ``clean`` takes out what cannot be seen. Raises: InvalidInput."""
    return check_custom_value(name, (without_hidden(text) if clean else text).strip())


def _mend(column: str, text: str, clean: bool) -> str:
    return check_field(column, clean_field(column, text) if clean else text.strip())


_mend_cached = lru_cache(maxsize=16_384)(_mend)
"""Countries, cities, titles and first names come again and again."""


def _refusal(column: str, problem: str, hint: str) -> InvalidInput:
    wire = WIRE_NAMES[column]
    return InvalidInput(f"{wire} {problem}.", field=wire, hint=hint)


# Tags


def lead_tag(text: str) -> str:
    """A lead's tag as it is stored. Raises: InvalidInput."""
    tag = " ".join(text.split())
    if not tag or len(tag) > MAX_TAG_CHARACTERS or not tag.isprintable():
        raise InvalidInput(f"A tag has 1 to {MAX_TAG_CHARACTERS} printable characters.", field="tags")
    return check_name(tag, "tags")


def lead_tags(texts: Iterable[str]) -> list[str]:
    """Tags as they are stored, each once whatever its case. Raises: InvalidInput."""
    tags = list({lead_tag_key(tag): tag for tag in map(lead_tag, texts)}.values())
    if len(tags) > MAX_TAGS:
        raise InvalidInput(f"A lead has at most {MAX_TAGS} tags.", field="tags")
    return tags


def lead_tag_key(tag: str) -> str:
    """The form under which a lead's tag is looked up."""
    return " ".join(tag.split()).casefold()


# Clean-up

_INVISIBLE: Final = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]"
)
_NOT_IN_NAMES: Final = re.compile(r"[^\w\s'’.\-·]|[\d_]")
_PHONE: Final = re.compile(r"[+(\d][\d\s().\-/–]*")
_PLAIN_PHONE: Final = re.compile(r"\+[1-9](?:[ .\-/]?[0-9]){4,20}")
"""A number as most files have it: of what else is in it, only the digits are kept."""
_EXTENSION: Final = re.compile(r"\s*(?:ext|extension|x|durchwahl)\.?\s*\d{1,6}\s*$", re.IGNORECASE)
_LINKEDIN: Final = re.compile(
    r"(?:https?://)?(?:[\w-]+\.)?linkedin\.com(/(?:in|pub|company)/[^?#\s]+)[^\s]*", re.IGNORECASE
)
_NO_DIGIT: Final = re.compile(r"\D+")
_LEAST_DIGITS: Final = 5


def clean_email(text: str) -> str:
    """An address without what copying brings along: ``mailto:``, invisible characters, outer spaces."""
    text = _plain(text)
    return text[7:] if text[:7].lower() == "mailto:" else text


def clean_field(column: str, text: str) -> str:
    """One standard field, mended.

    White space is collapsed (in notes only trimmed) and invisible characters go; names lose symbols and digits; a phone
    number becomes + and digits; a LinkedIn address becomes https://www.linkedin.com/in/….
    """
    if column == "notes":
        return _INVISIBLE.sub("", text).strip()
    text = _plain(text)
    if column in ("first_name", "last_name"):
        return text if text.isalpha() else clean_name(text)
    if column == "phone":
        return clean_phone(text)
    return clean_linkedin(text) if column == "linkedin_url" else text


def clean_name(text: str) -> str:
    """A first or last name without symbols, digits and emoji; ``text`` itself if nothing else is in it."""
    cleaned = " ".join(_NOT_IN_NAMES.sub(" ", text).split()).strip(" -.·")
    return f"{cleaned}." if cleaned and text.endswith(f"{cleaned}.") else cleaned or text


def clean_phone(text: str) -> str:
    """``+`` and digits; what does not look like one phone number stays as it is. An extension is dropped."""
    number = text if _PHONE.fullmatch(text) else _EXTENSION.sub("", text)
    if not _PHONE.fullmatch(number):
        return text
    if number.startswith("00"):
        number = f"+{number[2:]}"
    if number.startswith("+"):
        number = number.replace("(0)", "")
    digits = _NO_DIGIT.sub("", number)
    if len(digits) < _LEAST_DIGITS:
        return text
    return f"+{digits}" if number.startswith("+") else digits


def clean_linkedin(text: str) -> str:
    """The profile's address without tracking; what is no LinkedIn address stays as it is."""
    found = _LINKEDIN.fullmatch(text)
    return f"https://www.linkedin.com{found[1].rstrip('/')}" if found else text


def _plain(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text.strip() if "  " not in text else " ".join(text.split())
    return " ".join(_INVISIBLE.sub("", unicodedata.normalize("NFC", text)).split())
