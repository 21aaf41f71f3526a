"""Pages of lists: those from the newest row to the oldest (ids sort by creation), and instants inside cursors."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeVarTuple

from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute

from postrider.kernel.errors import InvalidInput
from postrider.kernel.page import CursorValue, PageInput, read_cursor, write_cursor

Columns = TypeVarTuple("Columns")


def newest_first(
    query: "Select[*Columns]", id_column: InstrumentedAttribute[str], request: PageInput, kind: str
) -> "Select[*Columns]":
    """One page of ``query`` and one row more, by id.

    Raises: InvalidInput when the cursor is not one of this kind of list.
    """
    if request.cursor is not None:
        (last_id,) = read_cursor(kind, request.cursor, 1)
        if not isinstance(last_id, str):
            raise _bad_cursor()
        query = query.where(id_column < last_id)
    elif request.page is not None:
        query = query.offset((request.page - 1) * request.limit)
    return query.order_by(id_column.desc()).limit(request.limit + 1)


def next_cursor(ids: Sequence[str], request: PageInput, kind: str) -> str | None:
    """The cursor after a page whose query found rows with ``ids``; None when it is the last."""
    return write_cursor(kind, [ids[request.limit - 1]]) if len(ids) > request.limit else None


def cursor_instant(value: CursorValue) -> datetime:
    """The instant that a cursor holds as text in ISO form. Raises: InvalidInput when it is none, or names no zone."""
    try:
        instant = datetime.fromisoformat(str(value))
        if instant.tzinfo is None:
            raise _bad_cursor()
        return instant.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _bad_cursor() from None


def _bad_cursor() -> InvalidInput:
    return InvalidInput(
        "cursor is not one that this list gave out.",
        field="cursor",
        hint="Pass the cursor of the page before unchanged, or leave it out.",
    )
