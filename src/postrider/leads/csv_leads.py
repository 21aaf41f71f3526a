"""Rows of a file turned into leads, many at a time and column by column: the same text is cleaned and checked once.

What a column cannot tell at a glance is read row by row, by the same rules (``RowReader``), which also words what is
wrong with a row. Pure.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Generic, NamedTuple, TypeVar

from pydantic_core import to_json

from postrider.content.addresses import plain_key
from postrider.files.rules import unguarded_cell
from postrider.kernel.errors import InvalidInput
from postrider.leads.columns import LeadColumns
from postrider.leads.csv_columns import ColumnPlan
from postrider.leads.csv_rows import CsvRow, ragged
from postrider.leads.rules import (
    TEXT_COLUMNS,
    LeadDraft,
    company_domain,
    draft_lead,
    lead_tags,
    mended_custom,
    mended_field,
    merge_drafts,
)

T = TypeVar("T")

_SHOWN_CHARACTERS: Final = 320
_REMEMBERED: Final = 5_000
_SHORT: Final = 60
"""Texts of a column that are remembered, and their length in characters."""


class RowError(NamedTuple):
    """A row that cannot become a lead. ``email`` is what the row says, untrusted."""

    email: str
    error: str


class Reading(NamedTuple):
    """Rows read. ``repeated``: how many had the address of a row before them."""

    leads: LeadColumns
    errors: list[RowError]
    repeated: int


class RowReader:
    """Turns one row into a lead by a plan."""

    def __init__(self, plan: ColumnPlan, width: int, clean: bool, tag: str | None) -> None:
        self.plan = plan
        self.width = width
        self.clean = clean
        self.tags = lead_tags([tag] if tag else [])

    def padded(self, row: CsvRow) -> list[str]:
        """As many cells as there are columns. Raises: InvalidInput when there are more."""
        if len(row.cells) == self.width:
            return row.cells
        if ragged(row.cells, self.width):
            raise InvalidInput(f"The row has {len(row.cells)} cells, the header has {self.width}.")
        return (row.cells + [""] * (self.width - len(row.cells)))[: self.width]

    def draft(self, row: CsvRow) -> LeadDraft:
        """The lead in ``row``. Raises: InvalidInput."""
        cells, plan = self.padded(row), self.plan
        fields = {column: unguarded_cell(text) for position, column in plan.fields if (text := cells[position])}
        custom = {name: unguarded_cell(text) for position, name in plan.custom if (text := cells[position])}
        if plan.full_name is not None:
            for column, part in zip(("first_name", "last_name"), split_name(cells[plan.full_name]), strict=True):
                if part:
                    fields.setdefault(column, part)
        tags = self.tags_in(cells[plan.tags]) if plan.tags is not None else self.tags
        return draft_lead(cells[plan.email], fields, custom, tags, clean=self.clean)

    def tags_in(self, cell: str) -> list[str]:
        """The tags of a row, after those of every row. Raises: InvalidInput."""
        parts = unguarded_cell(cell).replace(";", ",").replace("|", ",").split(",")
        return lead_tags([*self.tags, *(part for part in parts if part.strip())])

    def error(self, row: CsvRow, error: InvalidInput) -> RowError:
        """What is said of a row that is no lead."""
        email = row.cells[self.plan.email] if self.plan.email < len(row.cells) else ""
        return RowError(email[:_SHOWN_CHARACTERS], f"Row {row.number}: {error.message}")


@dataclass(slots=True)
class _Table:
    """Leads under construction, a place for each row. ``emails`` has None where there is no lead."""

    emails: list[str | None]
    domains: list[str | None]
    texts: dict[str, list[str | None]]
    custom: list[str]
    tags: list[list[str]]

    def put(self, place: int, draft: LeadDraft) -> None:
        """Writes the lead of one row."""
        self.emails[place], self.domains[place] = draft.email, draft.company_domain
        for name, text in zip(TEXT_COLUMNS, draft.texts, strict=True):
            if name in self.texts or text is not None:
                self.texts.setdefault(name, [None] * len(self.emails))[place] = text
        self.custom[place] = to_json(draft.custom_fields).decode()
        self.tags[place] = draft.tags

    def first_places(self) -> list[int]:
        """Where each address stands for the first time."""
        places: dict[str, int] = {}
        for place, email in enumerate(self.emails):
            if email is not None:
                places.setdefault(email, place)
        return list(places.values())

    def leads(self, places: Sequence[int]) -> LeadColumns:
        """The leads at ``places``."""
        texts = {name: [values[place] for place in places] for name, values in self.texts.items()}
        tags: dict[str, list[int]] = {}
        for position, place in enumerate(places):
            for tag in self.tags[place]:
                tags.setdefault(tag, []).append(position)
        return LeadColumns(
            [email for place in places if (email := self.emails[place]) is not None],
            [self.domains[place] for place in places],
            {name: values for name, values in texts.items() if any(values)},
            [self.custom[place] for place in places],
            tags,
        )


class BatchReader:
    """Turns rows into leads by a plan. ``merge``: a row adds to an earlier one of its address, else it is left out."""

    def __init__(self, row_reader: RowReader, *, merge: bool) -> None:
        self._one = row_reader
        self._merge = merge
        self._fields = {name: _Column(partial(self._field, name)) for name in TEXT_COLUMNS}
        self._custom = [
            (place, _Column(partial(_custom_fragment, name, row_reader.clean)))
            for place, name in row_reader.plan.custom
        ]
        self._tags = _Column(row_reader.tags_in)

    def read(self, rows: Sequence[CsvRow]) -> Reading:
        """The leads in ``rows``, each address once."""
        table, unclear = self._by_column(rows)
        errors: list[RowError] = []
        for place in sorted(unclear):
            try:
                table.put(place, self._one.draft(rows[place]))
            except InvalidInput as error:
                table.emails[place] = None
                errors.append(self._one.error(rows[place], error))
        places = table.first_places()
        repeated = len(rows) - len(errors) - len(places)
        if repeated and self._merge:
            return self._merged(rows)
        return Reading(table.leads(places), errors, repeated)

    def _merged(self, rows: Sequence[CsvRow]) -> Reading:
        by_email: dict[str, LeadDraft] = {}
        errors: list[RowError] = []
        for row in rows:
            try:
                draft = self._one.draft(row)
            except InvalidInput as error:
                errors.append(self._one.error(row, error))
            else:
                known = by_email.get(draft.email)
                by_email[draft.email] = draft if known is None else merge_drafts(known, draft)
        return Reading(LeadColumns.of(list(by_email.values())), errors, len(rows) - len(errors) - len(by_email))

    def _by_column(self, rows: Sequence[CsvRow]) -> tuple[_Table, set[int]]:
        """What the columns tell, and the places of rows that have to be read one by one."""
        cells, unclear = self._cells(rows)
        plan, count = self._one.plan, len(rows)
        keys = [plain_key(text) for text in cells[plan.email]]
        unclear.update(place for place, key in enumerate(keys) if key is None)
        domains = [None if key is None else company_domain(key.partition("@")[2]) for key in keys]
        texts: dict[str, list[str | None]] = {}
        for name, column in self._field_columns(cells):
            texts[name], places = self._fields[name].read(column)
            unclear.update(places)
        fragments: list[list[str | None]] = []
        for position, reader in self._custom:
            found, places = reader.read(cells[position])
            fragments.append(found)
            unclear.update(places)
        custom = [f"{{{','.join(filter(None, parts))}}}" for parts in zip(*fragments, strict=True)]
        tags = [self._one.tags] * count
        if plan.tags is not None:
            lists, places = self._tags.read(cells[plan.tags])
            tags = [each or [] for each in lists]
            unclear.update(places)
        return _Table(keys, domains, texts, custom if fragments else ["{}"] * count, tags), unclear

    def _cells(self, rows: Sequence[CsvRow]) -> tuple[list[Sequence[str]], set[int]]:
        """The cells of each column, and the places of rows that have too many."""
        unclear: set[int] = set()
        lines = [row.cells for row in rows]
        if set(map(len, lines)) == {self._one.width}:
            return list(zip(*lines, strict=True)), unclear
        lines = []
        for place, row in enumerate(rows):
            try:
                lines.append(self._one.padded(row))
            except InvalidInput:
                lines.append([""] * self._one.width)
                unclear.add(place)
        return list(zip(*lines, strict=True)), unclear

    def _field_columns(self, cells: Sequence[Sequence[str]]) -> Iterator[tuple[str, Sequence[str]]]:
        """The cells of each standard field. A full name fills what first and last name leave empty."""
        plan = self._one.plan
        columns: dict[str, Sequence[str]] = {name: cells[position] for position, name in plan.fields}
        if plan.full_name is not None:
            parts = zip(*map(split_name, cells[plan.full_name]), strict=True)
            for name, filling in zip(("first_name", "last_name"), parts, strict=True):
                own = columns.get(name)
                columns[name] = filling if own is None else [a or b for a, b in zip(own, filling, strict=True)]
        yield from columns.items()

    def _field(self, name: str, text: str) -> str | None:
        return mended_field(name, unguarded_cell(text), clean=self._one.clean) or None


def split_name(cell: str) -> tuple[str, str]:
    """The first and the last name in a cell that holds both."""
    first, _, last = unguarded_cell(cell).strip().partition(" ")
    return first, last


def _custom_fragment(name: str, clean: bool, text: str) -> str:
    """The field's part of a JSON object; nothing where it is empty. Raises: InvalidInput."""
    value = mended_custom(name, unguarded_cell(text), clean=clean)
    return to_json({name: value}).decode()[1:-1] if value else ""


class _Column(Generic[T]):
    """Reads the cells of one column, equal ones once; short texts are remembered from batch to batch."""

    def __init__(self, read: Callable[[str], T]) -> None:
        self._read = read
        self._known: dict[str, T | None] = {}

    def read(self, cells: Sequence[str]) -> tuple[list[T | None], list[int]]:
        """What the cells say, and the places of those that cannot be used."""
        if len(self._known) > _REMEMBERED:
            self._known.clear()
        known, passing, refused = self._known, list[str](), set[str]()
        for text in set(cells).difference(known):
            try:
                known[text] = self._read(text)
            except InvalidInput:
                known[text] = None
                refused.add(text)
            if len(text) > _SHORT or text in refused:
                passing.append(text)
        places = [place for place, text in enumerate(cells) if text in refused] if refused else []
        found = [known[text] for text in cells]
        for text in passing:
            del known[text]
        return found, places
