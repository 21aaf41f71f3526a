"""Statements of the hot path, compiled once and handed straight to the driver.

SQLAlchemy's own execution costs several times what the statement itself does. Types are honoured: values go through the
columns' bind and result processors as everywhere else.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, cast

from sqlalchemy import JSON, ColumnElement, Connection, String, any_, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ClauseElement

Processor = Callable[[Any], Any]


class _Cursor(Protocol):
    rowcount: int

    def fetchall(self) -> list[tuple[Any, ...]]: ...


class _Ready(NamedTuple):
    """One statement for one database: its text, and how its values go in and come out.

    ``fixed``: by placeholder, what the statement itself brings, ready for the driver. ``processors``: only the
    parameters that need one; all others go to the driver as they are.
    """

    sql: str
    fixed: Mapping[str, Any]
    processors: Sequence[tuple[str, Processor]]
    results: Sequence[tuple[int, Processor]]


def among(column: ColumnElement[str] | InstrumentedAttribute[str], name: str, dialect_name: str) -> ColumnElement[bool]:
    """A condition: the column is one of parameter ``name``, a list of any length, in one and the same statement."""
    if dialect_name == "postgresql":
        return column == any_(bindparam(name, type_=ARRAY(String)))
    return column.in_(select(func.json_each(bindparam(name, type_=JSON)).table_valued("value").c.value))


class Prepared:
    """A Core statement with named parameters. ``make`` builds it for a database by its name, on first use.

    Raises the driver's error for a parameter that is not given.
    """

    def __init__(self, make: Callable[[str], ClauseElement]) -> None:
        self._make = make
        self._ready: dict[str, _Ready] = {}

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """All rows of a SELECT (or of RETURNING)."""
        ready = self._prepare(connection)
        found = self._execute(connection, ready, values).fetchall()
        if not ready.results:
            return found
        return [_converted(row, ready.results) for row in found]

    def run(self, connection: Connection, values: Mapping[str, Any]) -> int:
        """The number of rows that were changed."""
        return self._execute(connection, self._prepare(connection), values).rowcount

    def many(self, connection: Connection, values: Sequence[Mapping[str, Any]]) -> None:
        """The same statement for each of ``values``."""
        if not values:
            return
        ready = self._prepare(connection)
        if connection.dialect.name == "postgresql":
            # Not by the driver's executemany: it pipelines, and the server's limit for idle transactions, which frees
            # the locks of an engine that has been stopped, does not count while a pipeline is open.
            for one in values:
                self._execute(connection, ready, one)
            return
        cursor = cast("Any", connection.connection.dbapi_connection).cursor()
        try:
            cursor.executemany(ready.sql, [_given(ready, one) for one in values])
        except connection.dialect.loaded_dbapi.Error as error:
            raise _translated(connection, ready.sql, error) from error
        finally:
            cursor.close()

    def _prepare(self, connection: Connection) -> _Ready:
        name = connection.dialect.name
        ready = self._ready.get(name)
        if ready is None:
            ready = self._ready[name] = _compile(self._make(name), connection)
        return ready

    @staticmethod
    def _execute(connection: Connection, ready: _Ready, values: Mapping[str, Any]) -> _Cursor:
        given = _given(ready, values)
        raw = cast("Any", connection.connection.dbapi_connection)
        dbapi = connection.dialect.loaded_dbapi
        try:
            return cast("_Cursor", raw.execute(ready.sql, given))
        except dbapi.Error as error:
            raise _translated(connection, ready.sql, error) from error


def _given(ready: _Ready, values: Mapping[str, Any]) -> dict[str, Any]:
    given = {**ready.fixed, **values}
    for name, process in ready.processors:
        value = values.get(name)
        if value is not None:
            given[name] = process(value)
    return given


def _translated(connection: Connection, sql: str, error: Exception) -> Exception:
    """The driver's error as SQLAlchemy raises it, without the values; a connection that is gone leaves the pool."""
    dialect = connection.dialect
    lost = dialect.is_disconnect(cast("Any", error), connection.connection, None)
    if lost:
        connection.invalidate(error)
    base = dialect.loaded_dbapi.Error
    return DBAPIError.instance(
        sql, None, error, base, hide_parameters=True, connection_invalidated=lost, dialect=dialect
    )


def _compile(statement: ClauseElement, connection: Connection) -> _Ready:
    """Compiled with parameters by name, which both drivers understand in their own way."""
    dialect = connection.dialect
    if dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite

        dialect = sqlite.dialect(paramstyle="named")
    compiled = cast("SQLCompiler", statement.compile(dialect=dialect))
    processors: dict[str, Processor] = {}
    for bind, name in compiled.bind_names.items():
        processor = bind.type.dialect_impl(dialect).bind_processor(dialect)
        if processor is not None:
            processors[name] = processor
    own = {name: bind.effective_value for bind, name in compiled.bind_names.items() if not bind.required}
    fixed = {
        name: processors[name](value) if name in processors and value is not None else value
        for name, value in own.items()
    }
    results = []
    for position, column in enumerate(getattr(statement, "exported_columns", ())):
        process = column.type.dialect_impl(dialect).result_processor(dialect, None)
        if process is not None:
            results.append((position, process))
    return _Ready(
        sql=str(compiled),
        fixed=fixed,
        processors=list(processors.items()),
        results=results,
    )


def _converted(row: tuple[Any, ...], results: Sequence[tuple[int, Processor]]) -> tuple[Any, ...]:
    values = list(row)
    for position, process in results:
        values[position] = process(values[position])
    return tuple(values)
