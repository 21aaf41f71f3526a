"""CSV files as they come: encodings, delimiters, line ends, and what is refused."""

import io

import pytest

from postrider.kernel.errors import InvalidInput
from postrider.leads.csv_rows import MAX_CELL_CHARACTERS, MAX_ROW_CHARACTERS, MAX_ROWS, open_table
from postrider.leads.csv_text import detect_delimiter


def read(data: bytes) -> tuple[list[str], list[list[str]]]:
    table = open_table(io.BytesIO(data))
    return table.columns, [row.cells for row in table.rows]


TEXT = "email,name\na@b.test,Jörg Müller\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_an_encoding_is_recognised(encoding: str) -> None:
    assert read(TEXT.encode(encoding)) == (["email", "name"], [["a@b.test", "Jörg Müller"]])


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("cp1252", "Søren Åse"),
        ("cp1252", "it’s “quoted” – 5€; ¿Qué? m³"),
        ("cp1250", "Łukasz Święty"),
        ("cp1251", "Иван Петров из Москвы"),
        ("shift_jis", "田中太郎 鈴木一郎 株式会社"),
    ],
)
def test_an_older_encoding_is_guessed_from_how_its_letters_stand(encoding: str, name: str) -> None:
    assert read(f"email,name\na@b.test,{name}\n".encode(encoding))[1] == [["a@b.test", name]]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_and_line_ends_are_recognised(delimiter: str, end: str) -> None:
    data = end.join([f"email{delimiter}note", f'a@b.test{delimiter}"x{delimiter}y ""z"""', ""])
    assert read(data.encode()) == (["email", "note"], [["a@b.test", f'x{delimiter}y "z"']])


def test_a_quoted_cell_may_hold_line_breaks_and_the_row_keeps_its_number() -> None:
    table = open_table(io.BytesIO(b'email,note\na@b.test,"one\ntwo"\n\nc@d.test,x\n'))
    assert [(row.number, row.cells[1]) for row in table.rows] == [(2, "one\ntwo"), (4, "x")]


def test_excels_own_first_line_names_the_delimiter() -> None:
    assert read(b"sep=;\r\nemail;a,b,c\r\nx@y.test;1\r\n") == (["email", "a,b,c"], [["x@y.test", "1"]])


def test_commas_inside_quotes_do_not_count_as_delimiters() -> None:
    assert detect_delimiter('"a,b,c";email;d') == ";"


def test_empty_rows_and_empty_columns_at_the_end_are_left_out() -> None:
    assert read(b"email,name,,\n,,,\na@b.test,x,,\n \n") == (["email", "name"], [["a@b.test", "x", "", ""]])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"PK\x03\x04" + bytes(100), "spreadsheet"),
        (b"%PDF-1.7", "PDF"),
        (b"email,Name,name\n", "Columns 2 and 3 of the file have the same name"),
        (b"email\na@b.test\nb\x00@c.test\n", "Row 3 of the file holds a NUL"),
        (b'email,note\na@b.test,"open\nb@c.test,x\n', "Row 2 of the file has a quotation mark"),
        (b'email,note\na@b.test,"x"y\n', "Row 2 of the file has a quotation mark"),
        (b"email," + b",".join(b"c%d" % n for n in range(300)), "301 columns; 200 is the most"),
        (b"email\n" + b"a@b.test" + b",x" * 300 + b"\n", "Row 2 of the file has 301 cells"),
        (b"email,n\na@b.test," + b"x" * (MAX_CELL_CHARACTERS + 1), "Row 2 of the file has a cell of more than 100,000"),
        (b"email,n\na@b.test," + b"x" * 140_000, "Row 2 of the file has a cell of more than 100,000"),
        (b"email,n\na@b.test," + b"x" * MAX_ROW_CHARACTERS, "Row 2 of the file has more than 250,000 characters"),
        (b"email,n\n" + b'"x\n",' * 60_000, "Row 2 of the file has more than 250,000 characters"),
        (b"\xef\xbb\xbfemail,n\na@b.test,\xff\n", "holds bytes that are no utf-8"),
    ],
)
def test_a_file_that_is_wrong_as_a_whole_is_refused_with_the_row(data: bytes, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        read(data)


def test_one_row_too_many_is_refused() -> None:
    rows = b"a@b.test\n" * MAX_ROWS
    assert sum(1 for _ in open_table(io.BytesIO(b"email\n" + rows)).rows) == MAX_ROWS
    with pytest.raises(InvalidInput, match="more than 50,000 rows"):
        read(b"email\n" + rows + b"x@y.test\n")
