"""Chaining committed rows, a bounded batch at a time. Several engines may do it: one at a time for each workspace."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Row, bindparam, select, update
from sqlalchemy.orm import Session

from postrider.audit.rules import FIRST_PREVIOUS, canonical, head_seal, link, same
from postrider.audit.tables import AuditEvent, AuditHead
from postrider.storage.base import insert_or_ignore

BATCH_ROWS: Final = 200
"""Rows chained in one transaction (at most 50 ms)."""

COLUMNS: Final = tuple(AuditEvent.__table__.c)
_TABLE: Final = AuditEvent.__table__
_PLACE: Final = (
    update(AuditEvent.__table__)  # type: ignore[arg-type]  # a Table, to SQLAlchemy's types only a FromClause
    .where(
        _TABLE.c.workspace_id == bindparam("b_workspace_id"),
        _TABLE.c.id == bindparam("b_id"),
        _TABLE.c.number.is_(None),
    )
    .values(number=bindparam("b_number"), previous_hash=bindparam("b_previous"), hash=bindparam("b_hash"))
)


class ChainBroken(RuntimeError):
    """The chain does not end where its end was noted: nothing may be added to it, for that would cover it up."""


class _Head(NamedTuple):
    number: int
    last_hash: str


def unsealed_workspaces(session: Session) -> list[str]:
    """The workspaces that have rows to chain."""
    query = select(AuditEvent.workspace_id).where(AuditEvent.number.is_(None)).distinct()
    return sorted(session.scalars(query))


def seal_batch(session: Session, key: bytes, workspace_id: str, now: datetime) -> int:
    """Chains the oldest committed rows of a workspace, by id; how many. None while another engine does it.

    A row that is committed late gets its place behind those that were chained before it. ``key``: of the purpose
    audit-chain. Raises: ChainBroken.
    """
    head = _lock_head(session, key, workspace_id, now)
    if head is None:
        return 0
    unsealed = (
        select(*COLUMNS)
        .where(AuditEvent.workspace_id == workspace_id, AuditEvent.number.is_(None))
        .order_by(AuditEvent.id)
        .limit(BATCH_ROWS)
    )
    rows = session.execute(unsealed).all()
    if rows:
        _chain(session, key, workspace_id, head, rows, now)
    return len(rows)


def _chain(
    session: Session, key: bytes, workspace_id: str, head: _Head, rows: Sequence[Row[Any]], now: datetime
) -> None:
    places, (number, last) = list[dict[str, object]](), head
    for row in rows:
        number += 1
        hashed = link(key, workspace_id, number, last, canonical(row._asdict()))
        places.append({"b_id": row.id, "b_number": number, "b_previous": last, "b_hash": hashed})
        last = hashed
    session.connection().execute(_PLACE, [{**place, "b_workspace_id": workspace_id} for place in places])
    noted = {"number": number, "hash": head_seal(key, workspace_id, number, last), "sealed_at": now}
    session.execute(update(AuditHead).where(AuditHead.workspace_id == workspace_id).values(**noted))


def _lock_head(session: Session, key: bytes, workspace_id: str, now: datetime) -> _Head | None:
    """The end of the chain, locked; None while another engine has it. Raises: ChainBroken."""
    query = select(AuditHead.number, AuditHead.hash).where(AuditHead.workspace_id == workspace_id)
    locking = query.with_for_update(skip_locked=True)
    found = session.execute(locking).one_or_none()
    if found is None:
        if session.execute(query).one_or_none() is not None:
            return None
        _start(session, key, workspace_id, now)
        if (found := session.execute(locking).one_or_none()) is None:
            return None
    number, noted = found
    last = _last_hash(session, workspace_id, number)
    if last is None or not same(noted, head_seal(key, workspace_id, number, last)):
        raise ChainBroken(workspace_id)
    return _Head(number, last)


def _start(session: Session, key: bytes, workspace_id: str, now: datetime) -> None:
    """Notes the end of a chain that has no row yet. Raises: ChainBroken when it has some."""
    placed = select(AuditEvent.id).where(AuditEvent.workspace_id == workspace_id, AuditEvent.number.is_not(None))
    if session.scalar(placed.limit(1)) is not None:
        raise ChainBroken(workspace_id)
    start = insert_or_ignore(AuditHead, session.get_bind().dialect.name, "workspace_id")
    noted = head_seal(key, workspace_id, 0, FIRST_PREVIOUS)
    session.execute(start.values(workspace_id=workspace_id, number=0, hash=noted, sealed_at=now))


def _last_hash(session: Session, workspace_id: str, number: int) -> str | None:
    if number == 0:
        return FIRST_PREVIOUS
    query = select(AuditEvent.hash).where(AuditEvent.workspace_id == workspace_id, AuditEvent.number == number)
    return session.scalar(query)
