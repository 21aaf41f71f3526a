"""The entries of add_leads_to_campaign: each names a lead of the workspace or describes a new one. Pure."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Final, NamedTuple, cast

from pydantic import JsonValue, WithJsonSchema

from postrider.content.addresses import parse_address
from postrider.kernel.errors import InvalidInput
from postrider.kernel.ids import check_id
from postrider.leads.rules import WIRE_NAMES, LeadDraft, draft_lead, lead_tags, read_lead_object

NEITHER: Final = "Either leadId or email is required"
NO_LEAD: Final = "There is no such lead"

_SCHEMA: Final[dict[str, object]] = {
    "type": "object",
    "description": "leadId of a lead of the workspace, or email (created when unknown) with its fields; "
    "other keys become custom fields of a lead that is created.",
    "properties": {name: {"type": "string"} for name in ("leadId", "email", *WIRE_NAMES.values())}
    | {"customFields": {"type": "object"}, "tags": {"type": "array", "items": {"type": "string"}}},
    "additionalProperties": True,
}

_TOLD: Final = frozenset({"leadId", "lead_id", "email", *WIRE_NAMES.values()} - {"notes"})
_SHOWN: Final = 200
"""Characters of each field of a refused entry that are told back."""

_NAMED: Final = frozenset({"leadId", "lead_id", "email", "customFields", "tags", "_id"})

# Loosely typed on purpose: what is wrong with one entry is reported beside it, and the others are added.
LeadEntry = Annotated[dict[str, JsonValue], WithJsonSchema(_SCHEMA)]


class EntryError(NamedTuple):
    """An entry that was not added and why. ``place`` counts from 0; ``entry`` holds its standard fields, shortened."""

    place: int
    entry: dict[str, str]
    message: str


class WantedEntry(NamedTuple):
    """What the entry at ``place`` asks for: a lead by its id, or a draft."""

    place: int
    entry: Mapping[str, JsonValue]
    lead: str | LeadDraft

    def refused(self, message: str) -> EntryError:
        """The entry as one that was not added."""
        return _refused(self.place, self.entry, message)


class Entries(NamedTuple):
    """Entries read: what each one asks for, and those that cannot be used."""

    wanted: list[WantedEntry]
    errors: list[EntryError]


def read_entries(entries: Sequence[Mapping[str, JsonValue]]) -> Entries:
    """What ``entries`` ask for; where one has both leadId and email, leadId counts."""
    found = Entries([], [])
    for place, entry in enumerate(entries):
        try:
            found.wanted.append(WantedEntry(place, entry, _read(entry)))
        except InvalidInput as error:
            found.errors.append(_refused(place, entry, error.message))
    return found


def _refused(place: int, entry: Mapping[str, JsonValue], message: str) -> EntryError:
    # Nothing else of it: other keys may hold anything, of any size, a password too.
    texts = ((name, text) for name, text in entry.items() if name in _TOLD)
    return EntryError(place, {name: text[:_SHOWN] for name, text in texts if isinstance(text, str)}, message)


def _read(entry: Mapping[str, JsonValue]) -> str | LeadDraft:
    lead_id = entry.get("leadId") or entry.get("lead_id")
    if lead_id:
        if not isinstance(lead_id, str):
            raise InvalidInput("leadId has to be text")
        return check_id(lead_id, "lead", "leadId")
    email = entry.get("email")
    if email is None or email == "":
        raise InvalidInput(NEITHER)
    if not isinstance(email, str):
        raise InvalidInput("email has to be text")
    parse_address(email)
    custom, tags = entry.get("customFields"), entry.get("tags")
    rest = {key: value for key, value in entry.items() if key not in _NAMED}
    given = read_lead_object(rest, custom if isinstance(custom, dict) else {})
    return draft_lead(
        email,
        {column: text for column, text in given.fields.items() if text},
        {name: text for name, text in given.custom.items() if text},
        lead_tags(cast("list[str]", tags) if _is_texts(tags) else ()),
        clean=False,
    )


def _is_texts(value: JsonValue) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
