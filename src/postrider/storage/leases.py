"""Living engines. Each holds one lease that it renews; what a dead one had claimed may be taken over.

Lease time is wall time (the database's own on PostgreSQL), never business time.
"""

import time
from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    String,
    bindparam,
    delete,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.orm import InstrumentedAttribute, Session

from postrider.storage.base import insert_or_ignore
from postrider.storage.prepared import among
from postrider.storage.tables import EngineLease

_OWNER: Final[ColumnElement[str]] = bindparam("owner", type_=String)
_NOW: Final[ColumnElement[int]] = bindparam("now_ms", type_=BigInteger)


def wall_ms(dialect_name: str) -> ColumnElement[int]:
    """Milliseconds since 1970: by the server's clock on PostgreSQL (many machines), by this machine's on SQLite."""
    if dialect_name == "postgresql":
        return func.floor(func.extract("epoch", func.clock_timestamp()) * 1000)
    return literal(time.time_ns() // 1_000_000)


def take_lease(connection: Connection, owner: str, seconds: int) -> None:
    """Registers a living engine. ``owner`` is a fresh random name."""
    expires = wall_ms(connection.dialect.name) + seconds * 1000
    connection.execute(
        insert_or_ignore(EngineLease, connection.dialect.name, "owner").values(owner=owner, expires_ms=expires)
    )


def renew_lease(connection: Connection, owner: str, seconds: int) -> bool:
    """Extends the lease; False when it had run out, so that others may have taken over what was claimed under it."""
    now = wall_ms(connection.dialect.name)
    renewed = connection.execute(
        update(EngineLease)
        .where(EngineLease.owner == owner, EngineLease.expires_ms > now)
        .values(expires_ms=now + seconds * 1000)
    )
    return renewed.rowcount == 1


def drop_lease(connection: Connection, owner: str) -> None:
    """Ends the lease of an engine that has finished all it claimed."""
    connection.execute(delete(EngineLease).where(EngineLease.owner == owner))


def forget_leases(connection: Connection, owners: Sequence[str]) -> None:
    """Removes the leases of engines whose claims have been taken over."""
    connection.execute(delete(EngineLease).where(EngineLease.owner.in_(owners)))


def dead_owners(connection: Connection | Session, *, alone: str | None = None) -> list[str]:
    """Engines whose lease has run out; with ``alone``, every other engine (its process is known to be gone)."""
    dialect = connection.get_bind().dialect.name if isinstance(connection, Session) else connection.dialect.name
    query = select(EngineLease.owner)
    query = (
        query.where(EngineLease.owner != alone) if alone else query.where(EngineLease.expires_ms <= wall_ms(dialect))
    )
    return list(connection.execute(query).scalars())


def unleased_owners(session: Session, columns: Iterable[InstrumentedAttribute[str | None]]) -> list[str]:
    """Engines named in ``columns`` that hold no lease at all, running or run out.

    A claim is left behind so when a row was locked while its engine's lease was taken over, or when an engine that had
    been stopped claimed once more before it noticed.
    """
    found: list[str] = []
    for column in columns:
        held = select(EngineLease.owner).where(EngineLease.owner == column).exists()
        found += [
            owner for owner in session.scalars(select(column).where(column.is_not(None), ~held).distinct()) if owner
        ]
    return found


def wall_ms_now() -> int:
    """This machine's wall clock, for statements that take it as ``now_ms`` (PostgreSQL uses its own instead)."""
    return time.time_ns() // 1_000_000


def living(dialect_name: str) -> Select[str]:
    """A statement with the parameters ``owners`` (a list) and ``now_ms``: those whose lease has not run out."""
    now = wall_ms(dialect_name) if dialect_name == "postgresql" else _NOW
    return select(EngineLease.owner).where(
        among(EngineLease.owner, "owners", dialect_name), EngineLease.expires_ms > now
    )


def is_alive(dialect_name: str) -> ColumnElement[bool]:
    """An SQL condition with the parameters ``owner`` and ``now_ms``: the lease of that owner has not run out."""
    now = wall_ms(dialect_name) if dialect_name == "postgresql" else _NOW
    return select(EngineLease.owner).where(EngineLease.owner == _OWNER, EngineLease.expires_ms > now).exists()
