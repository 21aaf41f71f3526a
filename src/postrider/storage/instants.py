"""Arithmetic with stored instants, which are timestamps on PostgreSQL and microseconds on SQLite."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, func, literal, type_coerce
from sqlalchemy.orm import InstrumentedAttribute

from postrider.storage.base import UtcDateTime

_MICROSECONDS = 1_000_000


def seconds_after(
    instant: ColumnElement[datetime] | InstrumentedAttribute[Any], seconds: int, dialect_name: str
) -> ColumnElement[datetime]:
    """An SQL expression: the instant ``seconds`` after a stored one (NULL after NULL)."""
    if dialect_name == "postgresql":
        return type_coerce(instant + func.make_interval(0, 0, 0, 0, 0, 0, literal(seconds)), UtcDateTime)
    return type_coerce(type_coerce(instant, BigInteger) + literal(seconds * _MICROSECONDS, BigInteger), UtcDateTime)
