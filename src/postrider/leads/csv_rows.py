"""The rows of a CSV file, streamed: a table of any size within the limits costs the memory of one row."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from io import TextIOWrapper
from itertools import chain
from typing import BinaryIO, Final, NamedTuple

from postrider.kernel.errors import InvalidInput
from postrider.leads.csv_text import detect_delimiter, detect_encoding

MAX_FILE_BYTES: Final = 50 * 1024 * 1024
MAX_ROWS: Final = 50_000
MAX_COLUMNS: Final = 200
MAX_CELL_CHARACTERS: Final = 100_000
MAX_ROW_CHARACTERS: Final = 250_000


class CsvRow(NamedTuple):
    """One row. ``number`` is the one that a spreadsheet shows (the header is row 1); ``characters``: its length."""

    number: int
    cells: list[str]
    characters: int


@dataclass(frozen=True, slots=True)
class CsvTable:
    """A file opened for reading. ``rows`` leaves out the header and empty rows, and raises InvalidInput as it reads."""

    encoding: str
    delimiter: str
    columns: list[str]
    rows: Iterator[CsvRow]


def open_table(file: BinaryIO) -> CsvTable:
    """The table in ``file``. Raises: InvalidInput when it is no CSV file, or its header cannot be used."""
    encoding = detect_encoding(file)
    text = TextIOWrapper(file, encoding=encoding, newline="")
    lines = _Lines(text)
    header = lines.peek()
    delimiter = detect_delimiter(header)
    if header[:4].lower() == "sep=":
        # Excel's own way to name the delimiter.
        delimiter = header[4:5].strip() or delimiter
        lines.skip()
    rows = _rows(lines, delimiter)
    first = next(rows, None)
    if first is None:
        raise InvalidInput("The file is empty.", field="csv", hint="The first row must hold the column names.")
    columns = _header(first.cells)
    return CsvTable(encoding, delimiter, columns, _data(rows, len(columns)))


def ragged(cells: list[str], columns: int) -> bool:
    """Whether a row has cells beyond its columns (missing ones at the end count as empty)."""
    return len(cells) > columns and any(cell and not cell.isspace() for cell in cells[columns:])


class _Lines:
    """The lines of a file for csv.reader, which refuses what would make it hold too much at once.

    ``row_number`` and ``row_characters``: the row that is being read, and what of it has been read; set by the reader.
    """

    def __init__(self, text: TextIOWrapper) -> None:
        self._text = text
        self._waiting: str | None = None
        self.row_number = 1
        self.row_characters = 0

    def peek(self) -> str:
        """The next line, which is then read again."""
        if self._waiting is None:
            self._waiting = next(self._read(), "")
        return self._waiting

    def skip(self) -> None:
        """Forgets the next line."""
        self.peek()
        self._waiting = None
        self.row_number += 1

    def __iter__(self) -> Iterator[str]:
        for line in chain(filter(None, [self._waiting]), self._read()):
            self.row_characters += len(line)
            if self.row_characters > MAX_ROW_CHARACTERS:
                raise _row_error(
                    self.row_number,
                    f"has more than {MAX_ROW_CHARACTERS:,} characters",
                    "Look for a quotation mark that is not closed; or the file is no CSV file.",
                )
            if "\x00" in line:
                raise _row_error(self.row_number, "holds a NUL character", "Save the file as CSV in UTF-8 again.")
            yield line

    def _read(self) -> Iterator[str]:
        try:
            yield from iter(partial(self._text.readline, MAX_ROW_CHARACTERS + 1), "")
        except UnicodeError:
            raise _row_error(
                self.row_number,
                f"holds bytes that are no {self._text.encoding} text (or one of the rows after it does)",
                "Save the file as CSV in UTF-8 and retry.",
            ) from None


def _rows(lines: _Lines, delimiter: str) -> Iterator[CsvRow]:
    """Every row that is not empty, the header among them."""
    reader = csv.reader(iter(lines), delimiter=delimiter, skipinitialspace=delimiter != "\t", strict=True)
    number = lines.row_number
    try:
        for cells in reader:
            # Nearly every row shows in its first cell that it is not empty.
            if (cells and cells[0].strip()) or any(cell and not cell.isspace() for cell in cells):
                yield CsvRow(number, cells, lines.row_characters)
            number += 1
            lines.row_number, lines.row_characters = number, 0
    except csv.Error as error:
        if "limit" in str(error):
            raise _cell_too_long(number) from None
        raise _row_error(
            number,
            "has a quotation mark in the wrong place",
            "Close every quoted cell, and write a quotation mark inside one twice.",
        ) from None


def _header(cells: list[str]) -> list[str]:
    columns = [" ".join(cell.split()) for cell in cells]
    while columns and not columns[-1]:
        columns.pop()
    if len(columns) > MAX_COLUMNS:
        raise InvalidInput(
            f"The file has {len(columns):,} columns; {MAX_COLUMNS} is the most.",
            field="csv",
            hint="Leave out columns that are not needed.",
        )
    seen: dict[str, int] = {}
    for position, column in enumerate(columns, 1):
        other = seen.setdefault(column.casefold(), position) if column else position
        if other != position:
            raise InvalidInput(
                f"Columns {other} and {position} of the file have the same name.",
                field="csv",
                hint="Rename one of them.",
                details={"column": column[:60]},
            )
    return columns


def _data(rows: Iterator[CsvRow], columns: int) -> Iterator[CsvRow]:
    for count, row in enumerate(rows, 1):
        if count > MAX_ROWS:
            raise InvalidInput(
                f"The file has more than {MAX_ROWS:,} rows.", field="csv", hint="Split it and import the parts."
            )
        if len(row.cells) > MAX_COLUMNS and len(row.cells) > columns:
            raise _row_error(row.number, f"has {len(row.cells):,} cells", f"{MAX_COLUMNS} is the most.")
        if row.characters > MAX_CELL_CHARACTERS and max(map(len, row.cells)) > MAX_CELL_CHARACTERS:
            raise _cell_too_long(row.number)
        yield row


def _cell_too_long(number: int) -> InvalidInput:
    return _row_error(
        number,
        f"has a cell of more than {MAX_CELL_CHARACTERS:,} characters",
        "Shorten it, or look for a quotation mark that is not closed.",
    )


def _row_error(number: int, problem: str, hint: str) -> InvalidInput:
    return InvalidInput(f"Row {number} of the file {problem}.", field="csv", hint=hint, details={"row": number})
