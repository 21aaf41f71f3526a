"""A file of leads, read to its end and cut into batches that only wait to be written.

All the work on a row (mapping, clean-up, checks) is done here, before the job: what is wrong with the whole file is
refused at once, and a batch's transaction holds nothing but its rows.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Final

from pydantic_core import from_json, to_json

from postrider.leads.columns import LeadColumns
from postrider.leads.csv_cleaned import CleanedNames
from postrider.leads.csv_columns import ColumnPlan, plan_columns
from postrider.leads.csv_leads import BatchReader, RowError, RowReader
from postrider.leads.csv_rows import CsvRow, CsvTable, open_table

BATCH_CHARACTERS: Final = 200_000


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that are written in one transaction. ``repeated``: rows whose address stands in the batch already."""

    leads: LeadColumns
    errors: list[RowError]
    repeated: int

    @property
    def rows(self) -> int:
        """How many rows of the file it stands for."""
        return len(self.leads.emails) + len(self.errors) + self.repeated

    def to_bytes(self) -> bytes:
        """The batch as a job keeps it."""
        return to_json([self.leads.to_json(), self.errors, self.repeated])

    @classmethod
    def from_bytes(cls, data: bytes) -> "Batch":
        """What ``to_bytes`` made."""
        leads, errors, repeated = from_json(data)
        return cls(LeadColumns(**leads), [RowError(*error) for error in errors], repeated)


@dataclass(frozen=True, slots=True)
class Intake:
    """A file whose header fits. ``batches`` raises InvalidInput as it reads, and counts in ``cleaned`` meanwhile."""

    table: CsvTable
    plan: ColumnPlan
    batches: Iterator[Batch]
    cleaned: CleanedNames


def open_intake(
    file: BinaryIO, mapping: Mapping[str, str] | None, *, clean: bool, merge: bool, tag: str | None = None, rows: int
) -> Intake:
    """The leads in ``file``. ``merge``: a later row of the same address adds to the first one, else it is left out.

    ``tag`` goes on every lead, beside the row's own tags; a batch has at most ``rows`` rows.

    Raises: InvalidInput.
    """
    table = open_table(file)
    plan = plan_columns(table.columns, mapping)
    reader = BatchReader(RowReader(plan, len(table.columns), clean, tag), merge=merge)
    names = CleanedNames(plan)
    found = _batches(table, reader, sum(len(name) for _, name in plan.custom), rows, names if clean else None)
    return Intake(table, plan, found, names)


def _batches(
    table: CsvTable, reader: BatchReader, names: int, most: int, cleaned: CleanedNames | None
) -> Iterator[Batch]:
    rows: list[CsvRow] = []
    characters = 0
    for row in table.rows:
        rows.append(row)
        # Every lead keeps the names of its custom fields.
        characters += row.characters + names
        if len(rows) == most or characters >= BATCH_CHARACTERS:
            yield _batch(reader, rows, cleaned)
            rows, characters = [], 0
    if rows:
        yield _batch(reader, rows, cleaned)


def _batch(reader: BatchReader, rows: list[CsvRow], cleaned: CleanedNames | None) -> Batch:
    if cleaned is not None:
        cleaned.look(rows)
    return Batch(*reader.read(rows))
