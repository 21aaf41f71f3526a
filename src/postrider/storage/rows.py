"""Rows as JSON and back, so that what was taken out of a table can be put back as it was."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from postrider.storage.base import Base, JsonObject, UtcDateTime, insert_or_ignore

CHUNK: int = 500
"""Rows of one statement."""


def packed(row: Mapping[str, Any]) -> JsonObject:
    """A row (column to value) as JSON; instants keep their microseconds."""
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}


def unpacked(table: type[Base], row: Mapping[str, Any]) -> dict[str, Any]:
    """What ``packed`` was given."""
    columns = table.__table__.c
    return {
        name: datetime.fromisoformat(value) if isinstance(columns[name].type, UtcDateTime) and value else value
        for name, value in row.items()
    }


def put_back(session: Session, table: type[Base], rows: Iterable[Mapping[str, Any]], key: str) -> set[str]:
    """Inserts packed rows again; the values of column ``key`` of those that broke no unique constraint."""
    statement = insert_or_ignore(table, session.get_bind().dialect.name).returning(table.__table__.c[key])
    values, found = [unpacked(table, row) for row in rows], set[str]()
    for start in range(0, len(values), CHUNK):
        found.update(session.connection().execute(statement, values[start : start + CHUNK]).scalars())
    return found


def stored_columns(table: type[Base]) -> list[Any]:
    """All columns of a table, to be selected."""
    return list(table.__table__.c)
