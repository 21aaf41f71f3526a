"""The declarative base and the column types that mean the same on SQLite and PostgreSQL."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, Final

from sqlalchemy import JSON, BigInteger, Dialect, MetaData, String, Text, or_
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import DeclarativeBase, mapped_column
from sqlalchemy.sql.dml import Insert
from sqlalchemy.types import TypeDecorator, TypeEngine

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]
JsonObject = dict[str, JsonValue]


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC instant: timestamptz on PostgreSQL, microseconds since 1970 on SQLite (which has no such type)."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The column type of each database."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(TIMESTAMP(timezone=True))
        return dialect.type_descriptor(BigInteger())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> object:
        """Refuses naive values: they would silently mean another instant."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant needs a time zone")
        if dialect.name == "postgresql":
            return value
        return (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: object, dialect: Dialect) -> datetime | None:
        """Always aware, always UTC."""
        if value is None:
            return None
        if isinstance(value, datetime):
            return value.astimezone(UTC)
        assert isinstance(value, int)
        return _EPOCH + timedelta(microseconds=value)


JSON_TYPE: Final = JSON().with_variant(JSONB(), "postgresql")

Id = Annotated[str, mapped_column(String(40))]
ShortText = Annotated[str, mapped_column(String(320))]
LongText = Annotated[str, mapped_column(Text)]
Instant = Annotated[datetime, mapped_column(UtcDateTime)]
Json = Annotated[JsonObject, mapped_column(JSON_TYPE)]
JsonStrings = Annotated[list[str], mapped_column(JSON_TYPE)]


class Base(DeclarativeBase):
    """All tables. Constraint names are fixed, so that migrations can name them on both databases."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


@lru_cache(maxsize=64)
def insert_or_ignore(table: type[Base], dialect_name: str, *unique: str) -> Insert:
    """An INSERT that leaves an existing row with the same ``unique`` columns alone (any conflict if none are named)."""
    make = postgresql_insert if dialect_name == "postgresql" else sqlite_insert
    return make(table).on_conflict_do_nothing(index_elements=list(unique) or None)


@lru_cache(maxsize=64)
def insert_or_add(table: type[Base], dialect_name: str, unique: tuple[str, ...], *counters: str) -> Insert:
    """An INSERT that adds its ``counters`` to an existing row with the same ``unique`` columns."""
    make = postgresql_insert if dialect_name == "postgresql" else sqlite_insert
    statement = make(table)
    columns = table.__table__.c
    return statement.on_conflict_do_update(
        index_elements=list(unique),
        set_={name: columns[name] + statement.excluded[name] for name in counters},
    )


@lru_cache(maxsize=64)
def insert_or_replace(table: type[Base], dialect_name: str, unique: tuple[str, ...], *replaced: str) -> Insert:
    """An INSERT that puts its ``replaced`` columns into a row with the same ``unique`` columns, where they differ."""
    make = postgresql_insert if dialect_name == "postgresql" else sqlite_insert
    statement = make(table)
    columns = table.__table__.c
    return statement.on_conflict_do_update(
        index_elements=list(unique),
        set_={name: statement.excluded[name] for name in replaced},
        where=or_(*(columns[name].is_distinct_from(statement.excluded[name]) for name in replaced)),
    )
