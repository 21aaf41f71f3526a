"""The one form in which a row is chained, and what every break of a chain is called. Pure."""

import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, Literal

from postrider.kernel.keyed import keyed_digest

KEY_PURPOSE: Final = "audit-chain"
FIRST_PREVIOUS: Final = "0" * 64
"""What the first row of a chain is linked to."""

PLACE: Final = ("number", "previous_hash", "hash")
"""The columns that a row gets with its place in the chain; all others are chained."""

Cell = str | int | datetime | None

BreakKind = Literal["row_changed", "row_missing", "order_changed", "head_missing", "head_changed"]

BREAK_WORDS: Final[Mapping[BreakKind, str]] = {
    "row_changed": "the row is not the one that was sealed: it was changed, exchanged or made without the key",
    "row_missing": "a row was taken away here",
    "order_changed": "the row does not follow the one before it",
    "head_missing": "the chain has rows, and the note of its end is gone",
    "head_changed": "the note of the chain's end does not fit its last row: rows were cut off, or the note was changed",
}


def canonical(cells: Mapping[str, Cell]) -> str:
    """A row as text, the same on every database. What is empty is left out: a column that is added later leaves the
    links of older rows as they are."""
    return json.dumps(
        {name: _plain(cell) for name, cell in cells.items() if cell is not None and name not in PLACE},
        sort_keys=True,
        separators=(",", ":"),
    )


def link(key: bytes, workspace_id: str, number: int, previous_hash: str, row: str) -> str:
    """The hash (hex) of a row at its place. ``row``: see ``canonical``."""
    return _mac(key, "row", workspace_id, number, previous_hash, row)


def head_seal(key: bytes, workspace_id: str, number: int, last_hash: str) -> str:
    """The hash (hex) that notes a chain's end: who has no key cannot note an earlier end instead."""
    return _mac(key, "head", workspace_id, number, last_hash)


def same(one: str | None, other: str) -> bool:
    """Whether two hashes are the same, in a time that tells nothing."""
    return hmac.compare_digest((one or "").encode(), other.encode())


def _mac(key: bytes, *parts: str | int) -> str:
    return keyed_digest(key, json.dumps(parts, separators=(",", ":")).encode()).hex()


def _plain(cell: Cell) -> str | int | None:
    # Microseconds are what both databases keep.
    return cell.astimezone(UTC).isoformat(timespec="microseconds") if isinstance(cell, datetime) else cell
