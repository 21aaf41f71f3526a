"""What clean-up took out of names: told, because it may have been meant ("B399" becomes "B"). Pure."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from postrider.files.rules import unguarded_cell
from postrider.leads.csv_columns import ColumnPlan
from postrider.leads.csv_leads import split_name
from postrider.leads.csv_rows import CsvRow
from postrider.leads.rules import clean_field

MAX_EXAMPLES: Final = 20
_SHOWN: Final = 60
"""Characters of an example."""
_NAMES: Final = ("first_name", "last_name")


class CleanedNames:
    """First and last names that lost symbols or digits, over all rows of a file."""

    def __init__(self, plan: ColumnPlan) -> None:
        self.count = 0
        self.examples: dict[str, str] = {}
        self._places = [place for place, column in plan.fields if column in _NAMES]
        self._full_name = plan.full_name

    def look(self, rows: Sequence[CsvRow]) -> None:
        """Counts what of ``rows`` is changed."""
        for place in self._places:
            for text, number in _cells(rows, place).items():
                if not text.isalpha():
                    self._note(unguarded_cell(text), number)
        if self._full_name is not None:
            for text, number in _cells(rows, self._full_name).items():
                for part in split_name(text):
                    self._note(part, number)

    def _note(self, text: str, number: int) -> None:
        before, after = (clean_field(column, text) for column in ("company_name", "first_name"))
        if before == after:
            return
        self.count += number
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.setdefault(before[:_SHOWN], after[:_SHOWN])


def _cells(rows: Sequence[CsvRow], place: int) -> Counter[str]:
    return Counter([row.cells[place] for row in rows if place < len(row.cells)])
