"""Many rows at once: by executemany on SQLite, by COPY on PostgreSQL, past the ORM (which costs more than the insert).

The names of tables and columns in the statements are the program's own.
"""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import repeat
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from sqlalchemy import ARRAY, ColumnElement, String, column, func, literal, select, true
from sqlalchemy.orm import InstrumentedAttribute, Session

from postrider.audit.changes import note_written
from postrider.kernel.ids import encode_bits
from postrider.storage.base import Base, UtcDateTime

if TYPE_CHECKING:
    # The PostgreSQL driver is loaded only where it is used: it is slow to import.
    import psycopg

    PostgresqlConnection = psycopg.Connection[tuple[str, str]]

_Text = InstrumentedAttribute[str]
Value = str | int | bool | datetime | None
Row = Sequence[Value]


class Same(NamedTuple):
    """A column that holds the same value in every row."""

    value: Value


Columns = Mapping[str, Sequence[str | None] | Same]
"""Rows to insert, column by column; at least one column differs from row to row, and all of these are as long."""

_RANDOM_CHARACTERS: Final = 16
_COPY_NULL: Final = "\\N"
_COPY_ESCAPES: Final = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_COPY_TABLE: Final = str.maketrans(_COPY_ESCAPES)
_TO_CROCKFORD: Final = bytes(ord(encode_bits(byte & 31, 1)) for byte in range(256))


def new_ids(kind: str, count: int, now: datetime) -> list[str]:
    """``count`` fresh ids of ``kind``, as kernel/ids.py makes them one by one.

    In ascending order, so that what is added together keeps the order in which it was given.
    """
    start = f"{kind}_{encode_bits(int(now.timestamp() * 1000), 10)}"
    random = os.urandom(count * _RANDOM_CHARACTERS).translate(_TO_CROCKFORD).decode()
    tails = [random[at : at + _RANDOM_CHARACTERS] for at in range(0, len(random), _RANDOM_CHARACTERS)]
    return [start + tail for tail in sorted(tails)]


def stored_instant(session: Session, instant: datetime) -> int | datetime:
    """``instant`` as a row of ``insert_rows`` holds it."""
    stored = UtcDateTime().process_bind_param(instant, session.get_bind().dialect)
    assert isinstance(stored, int | datetime)
    return stored


def find_rows(
    session: Session, columns: "tuple[_Text, _Text]", key: _Text, values: Sequence[str], *same: ColumnElement[bool]
) -> dict[str, str]:
    """Two ``columns`` of the rows for which ``same`` holds and ``key`` is among ``values``; each finds one row at most.

    PostgreSQL looks up value by value: given a list, it reads the whole table as soon as its plan is a generic one.
    """
    if session.get_bind().dialect.name != "postgresql":
        return dict(session.execute(select(*columns).where(*same, key.in_(values))).all())
    each = func.unnest(literal(list(values), ARRAY(String))).table_valued(column("value", String), name="wanted")
    wanted = each.render_derived()
    found = select(*columns).where(*same, key == wanted.c.value).limit(1).lateral("found")
    query = select(found.c[0], found.c[1]).select_from(wanted.join(found, true()))
    return {str(name): str(value) for name, value in session.execute(query)}


def insert_rows(session: Session, table: type[Base], columns: Columns) -> None:
    """Inserts rows, whose values are what the database stores (JSON as text). Raises: IntegrityError."""
    _note(session, f"INSERT {table.__tablename__}", columns)
    if session.get_bind().dialect.name == "postgresql":
        _copy(_postgresql(session), table.__tablename__, columns)
    else:
        _sqlite(session).executemany(_insert_sql(table.__tablename__, columns), _rows(columns))


def insert_missing_rows(session: Session, table: type[Base], columns: Columns) -> int:
    """Inserts those rows that break no unique constraint; gives back how many those are."""
    target, staging = table.__tablename__, f"staging_{table.__tablename__}"
    _note(session, f"INSERT {target}", columns)
    if session.get_bind().dialect.name != "postgresql":
        statement = f"{_insert_sql(target, columns)} ON CONFLICT DO NOTHING"
        return _sqlite(session).executemany(statement, _rows(columns)).rowcount
    connection, listed = _postgresql(session), ", ".join(columns)
    # Made once per connection, so that the catalogue does not grow with every batch.
    connection.execute(f"CREATE TEMP TABLE IF NOT EXISTS {staging} (LIKE {target}) ON COMMIT DELETE ROWS".encode())
    _copy(connection, staging, columns)
    insert = f"INSERT INTO {target} ({listed}) SELECT {listed} FROM {staging} ON CONFLICT DO NOTHING"  # noqa: S608
    return connection.execute(insert.encode()).rowcount


def lock_texts(
    session: Session, table: type[Base], columns: tuple[str, str], ids: Sequence[str], workspace_id: str
) -> dict[str, str]:
    """Two ``columns`` (JSON as text) of the rows with ``ids``, locked until the transaction ends."""
    target, first, second = table.__tablename__, *columns
    start = f"SELECT {first}, CAST({second} AS text) FROM {target} WHERE"  # noqa: S608
    if session.get_bind().dialect.name != "postgresql":
        query = start + " workspace_id = ? AND id IN (SELECT value FROM json_each(?))"  # noqa: S608
        return dict(_sqlite(session).execute(query, (workspace_id, json.dumps(ids))).fetchall())
    # Planned with the values at hand: a generic plan reads the whole table. In one order, so that nobody deadlocks.
    locking = f"{start} workspace_id = %s AND id = ANY(%s) ORDER BY id FOR UPDATE".encode()
    return dict(_postgresql(session).execute(locking, (workspace_id, list(ids)), prepare=False).fetchall())


def update_rows(
    session: Session, table: type[Base], filled: Sequence[str], set_: Sequence[str], rows: Iterable[Row]
) -> None:
    """Changes rows by key: columns ``filled`` where a value is given, columns ``set_`` in any case.

    Each of ``rows`` has the values of ``filled``, those of ``set_``, the workspace's id and the row's own.
    """
    rows = list(rows)
    note_written(session, f"UPDATE {table.__tablename__}", {"rows": map(repr, rows)})
    on_postgresql = session.get_bind().dialect.name == "postgresql"
    mark = "%s" if on_postgresql else "?"
    changes = [f"{name} = COALESCE({mark}, {name})" for name in filled] + [f"{name} = {mark}" for name in set_]
    statement = f"UPDATE {table.__tablename__} SET {', '.join(changes)} WHERE workspace_id = {mark} AND id = {mark}"  # noqa: S608
    if on_postgresql:
        with _postgresql(session).cursor() as cursor:
            cursor.executemany(statement.encode(), rows)
    else:
        _sqlite(session).executemany(statement, rows)


def _note(session: Session, statement: str, columns: Columns) -> None:
    note_written(
        session,
        statement,
        {name: (str(column.value),) if isinstance(column, Same) else column for name, column in columns.items()},
    )


def _insert_sql(table: str, columns: Iterable[str]) -> str:
    names = list(columns)
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608


def _rows(columns: Columns) -> Iterator[Row]:
    each = (repeat(column.value) if isinstance(column, Same) else column for column in columns.values())
    # Columns that are the same throughout have no end of their own.
    return zip(*each, strict=False)


def _sqlite(session: Session) -> sqlite3.Connection:
    return cast("sqlite3.Connection", session.connection().connection.driver_connection)


def _postgresql(session: Session) -> "PostgresqlConnection":
    return cast("PostgresqlConnection", session.connection().connection.driver_connection)


def _copy(connection: "PostgresqlConnection", table: str, columns: Columns) -> None:
    """One COPY in its text format, which is put together column by column: value by value takes three times as long."""
    texts = (
        repeat(_copied(column.value)) if isinstance(column, Same) else _copied_texts(column)
        for column in columns.values()
    )
    lines = map("\t".join, zip(*texts, strict=False))
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN".encode()) as copy:
        copy.write("".join(f"{line}\n" for line in lines).encode())


def _copied_texts(values: Sequence[str | None]) -> list[str]:
    if any(map("".join(filter(None, values)).count, _COPY_ESCAPES)):
        return [_copied(value) for value in values]
    return [_COPY_NULL if value is None else value for value in values]


def _copied(value: Value) -> str:
    """A value in COPY's text format. Source: the PostgreSQL manual, COPY, File Formats."""
    if value is None:
        return _COPY_NULL
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    return text.translate(_COPY_TABLE)
