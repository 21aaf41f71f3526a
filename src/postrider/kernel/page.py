"""Keyset pages: a cursor names the last row seen, so a page costs the same at row 0 and at row 900,000."""

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Annotated, Final, Generic, TypeVar

from pydantic import Field

from postrider.kernel.errors import InvalidInput
from postrider.kernel.operation import Input, Output

DEFAULT_LIMIT: Final = 25
MAX_LIMIT: Final = 100

T = TypeVar("T")
CursorValue = str | int | None


class PageInput(Input):
    """What every list takes."""

    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT, description="Rows per page.")] = DEFAULT_LIMIT
    cursor: Annotated[str | None, Field(max_length=500, description="nextCursor of the page before.")] = None
    page: Annotated[int | None, Field(ge=1, le=10_000, description="Page number from 1, instead of a cursor.")] = None


class Page(Output, Generic[T]):
    """One page of a list."""

    items: list[T]
    limit: int
    total: int
    has_more: bool
    next_cursor: str | None


def write_cursor(kind: str, values: Sequence[CursorValue]) -> str:
    """An opaque cursor for a list of ``kind``, from the sort values of the last row."""
    return base64.urlsafe_b64encode(json.dumps([kind, *values], separators=(",", ":")).encode()).decode().rstrip("=")


def read_cursor(kind: str, cursor: str, length: int) -> list[CursorValue]:
    """The sort values in ``cursor``. Raises: InvalidInput when it is not a cursor of this list.

    A cursor carries no authority: the query it continues is always bound to the caller's workspace.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        found = json.loads(base64.urlsafe_b64decode(padded.encode("ascii")))
    except (ValueError, binascii.Error, UnicodeError):
        found = None
    fits = (
        isinstance(found, list)
        and len(found) == length + 1
        and found[0] == kind
        and all(value is None or isinstance(value, str | int) for value in found[1:])
    )
    if not fits or not isinstance(found, list):
        raise InvalidInput(
            "cursor is not one that this list gave out.",
            field="cursor",
            hint="Pass nextCursor of the page before unchanged, with the same filters, or leave it out.",
        )
    return found[1:]
