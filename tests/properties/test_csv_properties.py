"""The CSV reader against the standard library's writer: what was written is read, in any dialect and encoding."""

import csv
import io

from hypothesis import given, settings
from hypothesis import strategies as st

from postrider.content.addresses import parse_address, plain_key
from postrider.files.rules import guarded_cell, unguarded_cell
from postrider.kernel.errors import InvalidInput
from postrider.leads.columns import LeadColumns
from postrider.leads.csv_columns import TARGETS, plan_columns
from postrider.leads.csv_leads import BatchReader, Reading, RowError, RowReader
from postrider.leads.csv_rows import CsvRow, open_table
from postrider.leads.intake import Batch, open_intake
from postrider.leads.rules import LeadDraft, merge_drafts

CELL = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00\ufeff"), max_size=30)
# A space after a delimiter does not count, and a row of blank cells is no row.
CELLS = st.lists(st.lists(CELL.map(str.lstrip), min_size=3, max_size=3), max_size=8).map(
    lambda rows: [["x@y.test", *row] for row in rows]
)
HEADER = ["email", "alpha", "beta", "gamma"]


def written(rows: list[list[str]], delimiter: str, end: str) -> str:
    out = io.StringIO(newline="")
    # The writer quotes a line break only if it is its own.
    breaks = any(set("\r\n") & set(cell) for row in rows for cell in row)
    writer = csv.writer(
        out, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL if breaks else csv.QUOTE_MINIMAL
    )
    writer.writerow(HEADER)
    writer.writerows(rows)
    return out.getvalue()


@given(
    CELLS,
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_what_was_written_is_read(rows: list[list[str]], delimiter: str, end: str, encoding: str) -> None:
    table = open_table(io.BytesIO(written(rows, delimiter, end).encode(encoding)))
    assert table.columns == HEADER
    assert [row.cells for row in table.rows] == rows


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused_in_words(data: bytes) -> None:
    messages = ["."]
    try:
        batches = list(open_intake(io.BytesIO(data), None, clean=True, merge=True, rows=3).batches)
    except InvalidInput as error:
        batches, messages = [], [error.message]
    assert all(0 < batch.rows <= 3 for batch in batches)
    assert all(message.endswith(".") for message in messages)


@given(st.text(st.characters(blacklist_categories=["Cs"]), max_size=300))
def test_any_rows_below_a_good_header_are_all_accounted_for(body: str) -> None:
    data = f"email,first name,plan\n{body}".encode()
    try:
        count = sum(1 for _ in open_table(io.BytesIO(data)).rows)
        found = list(open_intake(io.BytesIO(data), None, clean=True, merge=False, rows=2).batches)
    except InvalidInput:
        return
    assert sum(batch.rows for batch in found) == count


@given(st.text(max_size=20))
def test_a_guard_put_before_a_formula_is_taken_off_again(text: str) -> None:
    written = guarded_cell(text)
    assert written[:1] not in set("=+-@\t\r") and unguarded_cell(written) == text


ADDRESS = st.sampled_from(
    [
        "a@b.test",
        " A@B.test ",
        "mailto:a@b.test",
        "\ta@b.test",
        "x..y@b.test",
        "j@mail.acme.co.uk",
        "K@b.test",
        "k@b.test",
    ]
) | st.from_regex(r"[a-zA-Z.%\u212a]{1,4}@[a-zA-Zü-]{1,3}\.(test|local|com)", fullmatch=True)
ODD = st.sampled_from(
    ["", " ", "'=1", "Jane", "  jane ", "J4ne!", "+49 30 1234567", "+49 (0)30 123", "0049 30 12345", "+1-2", "12 x 3"]
) | st.sampled_from(
    ["Europe/Berlin", "linkedin.com/in/x?y", "hot; new|Hot", "a\nb", "x" * 330, "'tis", "\u200bx", "\x01", "x" * 61]
)
NAMES = st.lists(
    st.sampled_from([target for target in TARGETS if target != "email"] + ["custom:One", "custom:Two", ""]),
    min_size=3,
    max_size=6,
).filter(lambda names: len(set(names) - {""}) == len([name for name in names if name]))


def read_one_by_one(reader: RowReader, rows: list[CsvRow], merge: bool) -> Reading:
    found: dict[str, LeadDraft] = {}
    errors: list[RowError] = []
    for row in rows:
        try:
            draft = reader.draft(row)
        except InvalidInput as error:
            errors.append(reader.error(row, error))
        else:
            known = found.setdefault(draft.email, draft)
            if merge and known is not draft:
                found[draft.email] = merge_drafts(known, draft)
    return Reading(LeadColumns.of(list(found.values())), errors, len(rows) - len(errors) - len(found))


@settings(deadline=None)  # The list of public suffixes is loaded on its first use.
@given(NAMES, st.data(), st.booleans(), st.booleans())
def test_rows_read_by_column_are_what_they_are_one_by_one(
    names: list[str], data: st.DataObject, clean: bool, merge: bool
) -> None:
    columns = ["Email", *(f"c{place}" for place in range(len(names)))]
    plan = plan_columns(columns, dict(zip(columns[1:], names, strict=True)) | {"Email": "email"})
    cells = st.tuples(ADDRESS, st.lists(ODD | CELL, min_size=len(names) - 1, max_size=len(names) + 1))
    drawn = data.draw(st.lists(cells, min_size=1, max_size=8))
    rows = [CsvRow(number, [email, *rest], 0) for number, (email, rest) in enumerate(drawn, 2)]
    one = RowReader(plan, len(columns), clean, "Fair")
    reader = BatchReader(one, merge=merge)
    # Twice, because the second time most texts are remembered.
    expected = read_one_by_one(one, rows, merge)
    assert reader.read(rows) == expected
    assert reader.read(rows) == expected
    batch = Batch(*expected)
    assert Batch.from_bytes(batch.to_bytes()) == batch


@given(ADDRESS | st.text(max_size=20) | st.emails())
def test_the_quick_look_at_an_address_says_what_the_parser_says(text: str) -> None:
    key = plain_key(text)
    assert key is None or key == parse_address(text).key
