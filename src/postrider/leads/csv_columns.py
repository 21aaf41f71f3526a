"""Which column of a file goes into which field of a lead. Pure."""

import difflib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from postrider.kernel.errors import InvalidInput
from postrider.leads.rules import MAX_CUSTOM_NAME_CHARACTERS, WIRE_NAMES, check_custom_names, is_custom_name

EMAIL: Final = "email"
FULL_NAME: Final = "fullName"
TAGS: Final = "tags"
IGNORED: Final = ""
CUSTOM_PREFIX: Final = "custom:"
_SHOWN_COLUMNS: Final = 50
_SHOWN_CHARACTERS: Final = 60
TARGETS: Final = (EMAIL, *WIRE_NAMES.values(), FULL_NAME, TAGS)

_ALIASES: Final[Mapping[str, str]] = {
    "email": """email mail emailaddress emailaddresses workemail businessemail primaryemail contactemail
        emailadresse mailadresse courriel adressemail adresseemail correo correoelectronico""",
    "firstName": "firstname first givenname forename fname contactfirstname vorname prenom nombre nome voornaam",
    "lastName": """lastname last surname familyname lname contactlastname nachname familienname nom nomdefamille
        apellido apellidos cognome achternaam""",
    "fullName": "fullname name contactname contact personname leadname vollername nomcomplet nombrecompleto",
    "companyName": """company companyname organization organisation organizationname accountname account employer
        business businessname firma firmenname unternehmen entreprise societe empresa azienda bedrijf""",
    "jobTitle": """jobtitle title position role job occupation berufsbezeichnung stelle funktion poste fonction cargo
        puesto""",
    "phone": """phone phonenumber telephone telephonenumber tel mobile mobilephone mobilenumber cell cellphone workphone
        directphone telefon telefonnummer handy handynummer mobil telefono""",
    "linkedinUrl": "linkedin linkedinurl linkedinprofile linkedinprofileurl personlinkedinurl contactlinkedinurl",
    "website": "website websiteurl companywebsite companyurl url web homepage webseite webseiteurl siteweb sitioweb",
    "city": "city town contactcity personcity stadt ort ville ciudad citta",
    "state": "state stateprovince province region county bundesland etat provincia",
    "country": "country countryname countryregion contactcountry personcountry land staat pays pais paese",
    "timezone": "timezone tz zeitzone fuseauhoraire",
    "notes": "notes note comment comments remarks notizen notiz bemerkung bemerkungen kommentar",
    "tags": "tags tag labels label schlagworte",
}
_TARGET_BY_ALIAS: Final = {alias: target for target, aliases in _ALIASES.items() for alias in aliases.split()}
_COLUMN_BY_WIRE: Final = {wire: column for column, wire in WIRE_NAMES.items()}


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """Positions of the columns of a file, by what they are for. ``mapping`` says the same in the words of a caller."""

    mapping: dict[str, str]
    email: int
    full_name: int | None
    tags: int | None
    fields: tuple[tuple[int, str], ...]
    custom: tuple[tuple[int, str], ...]


def plan_columns(columns: Sequence[str], wanted: Mapping[str, str] | None = None) -> ColumnPlan:
    """Where each of ``columns`` goes: as ``wanted`` says, else by its name, else into a custom field of that name.

    Raises: InvalidInput when there is no email column, or ``wanted`` does not fit the file.
    """
    chosen = _chosen(columns, wanted or {})
    taken = set(chosen.values())
    has_names = bool({_guess(column) for column in columns} & {"firstName", "lastName"})
    mapping: dict[str, str] = {}
    for column in columns:
        target = chosen.get(column)
        if target is None:
            target = _guess(column)
            if target is None or target in taken or (target == FULL_NAME and has_names):
                target = CUSTOM_PREFIX + column if column else IGNORED
            taken.add(target)
        mapping[column] = target
    if EMAIL not in taken:
        raise InvalidInput(
            "No column of the file is known to hold email addresses; details.columns lists the columns.",
            field="mapping",
            hint='Name the column in mapping, such as {"Contact": "email"}; the first row must hold the column names.',
            details=_shown(columns),
        )
    _check_headings(columns, mapping)
    check_custom_names(name for target in mapping.values() if (name := _custom_name(target)) is not None)
    return _plan(columns, mapping)


def _check_headings(columns: Sequence[str], mapping: Mapping[str, str]) -> None:
    """Raises: InvalidInput for a column whose own name cannot be that of a custom field."""
    for place, column in enumerate(columns, 1):
        name = _custom_name(mapping[column])
        if name is None or is_custom_name(name):
            continue
        hidden = next((f"U+{ord(letter):04X}" for letter in name if not letter.isprintable()), None)
        what = (
            f"is longer than {MAX_CUSTOM_NAME_CHARACTERS} characters"
            if hidden is None
            else f"has an invisible character ({hidden})"
        )
        raise InvalidInput(
            f"Column {place} of the file cannot become a custom field: its name {what}.",
            field="csv",
            hint="Type it anew in the first row of the file, take the column out, or say in mapping where it goes.",
            details={"column": place, **_shown(columns)},
        )


def _plan(columns: Sequence[str], mapping: dict[str, str]) -> ColumnPlan:
    targets = [(position, mapping[column]) for position, column in enumerate(columns)]
    place = {target: position for position, target in targets}
    return ColumnPlan(
        mapping={column: target for column, target in mapping.items() if column},
        email=place[EMAIL],
        full_name=place.get(FULL_NAME),
        tags=place.get(TAGS),
        fields=tuple((position, _COLUMN_BY_WIRE[target]) for position, target in targets if target in _COLUMN_BY_WIRE),
        custom=tuple((position, name) for position, target in targets if (name := _custom_name(target)) is not None),
    )


def _chosen(columns: Sequence[str], wanted: Mapping[str, str]) -> dict[str, str]:
    """The caller's choices by the column's name in the file."""
    by_key = {_key(column): column for column in columns}
    chosen: dict[str, str] = {}
    for name, given in wanted.items():
        column = name if name in columns else by_key.get(_key(name))
        if column is None:
            raise InvalidInput(
                f"mapping names the column “{name[:100]}”, which the file does not have.",
                field="mapping",
                hint="Use the names in details.columns.",
                details=_shown(columns),
            )
        target = _target(given)
        if target != IGNORED and target in chosen.values():
            raise InvalidInput(f"mapping sends two columns to {target!r}.", field="mapping", hint="Choose one of them.")
        chosen[column] = target
    return chosen


def _target(given: str) -> str:
    custom = _custom_name(given)
    if custom is not None:
        check_custom_names([custom.strip()])
        return CUSTOM_PREFIX + custom.strip()
    if given in (IGNORED, *TARGETS):
        return given
    near = difflib.get_close_matches(given, TARGETS, n=1, cutoff=0.6)
    raise InvalidInput(
        f"mapping: “{given[:100]}” is not a field of a lead{f' (did you mean {near[0]}?)' if near else ''}.",
        field="mapping",
        hint=f"Use one of {', '.join(TARGETS)}, or custom:Name for a field of your own, or an empty text to ignore it.",
    )


def _custom_name(target: str) -> str | None:
    return target[len(CUSTOM_PREFIX) :] if target.startswith(CUSTOM_PREFIX) else None


def _guess(column: str) -> str | None:
    return _TARGET_BY_ALIAS.get(_key(column))


def _key(column: str) -> str:
    """``E-Mail``, ``e mail`` and ``email`` are one; ``prénom`` is ``prenom``."""
    plain = unicodedata.normalize("NFKD", column).casefold()
    return re.sub(r"[\W_]", "", "".join(letter for letter in plain if not unicodedata.combining(letter)))


def _shown(columns: Sequence[str]) -> dict[str, list[str]]:
    """Names of columns come from a file and are not to be trusted: data beside an error, never part of its text."""
    return {"columns": [column[:_SHOWN_CHARACTERS] for column in columns[:_SHOWN_COLUMNS]]}
