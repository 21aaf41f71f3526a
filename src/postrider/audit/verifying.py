"""Walking the chains from their first row to their last, a page at a time: every break, and what is not chained yet."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Row, func, select, true, union
from sqlalchemy.orm import Session

from postrider.audit.rules import FIRST_PREVIOUS, BreakKind, canonical, head_seal, link, same
from postrider.audit.sealing import COLUMNS
from postrider.audit.tables import AuditEvent, AuditHead

PAGE_ROWS: Final = 2_000
_CANCEL: Final = "cancel_job"


class Break(NamedTuple):
    """Where a chain does not hold. ``number``: the place; ``row_id``: what stands there, None where nothing does."""

    kind: BreakKind
    number: int
    row_id: str | None


class Tail(NamedTuple):
    """Committed rows that have no place yet. ``oldest_at``: None when there are none."""

    rows: int
    oldest_at: datetime | None


@dataclass(slots=True)
class Walk:
    """How far a chain was walked. ``open_starts``: ids of rows that say a start, for which no end was met yet.

    ``first_break``: what is behind it is not looked at: a chain proves nothing behind its first break.
    """

    workspace_id: str
    rows: int = 0
    last_hash: str = FIRST_PREVIOUS
    open_starts: dict[str, str | None] = field(default_factory=dict)
    first_break: Break | None = None


def audited_workspaces(session: Session) -> list[str]:
    """The workspaces that have rows or a noted end."""
    return sorted(session.scalars(union(select(AuditEvent.workspace_id), select(AuditHead.workspace_id))))


def walk_page(session: Session, key: bytes, walk: Walk) -> bool:
    """Checks the next rows of a chain; False after its last one, or behind a break."""
    query = (
        select(*COLUMNS)
        .where(AuditEvent.workspace_id == walk.workspace_id, AuditEvent.number > walk.rows)
        .order_by(AuditEvent.number)
        .limit(PAGE_ROWS)
    )
    rows = session.execute(query).all()
    for row in rows:
        walk.first_break = _check(key, walk, row)
        if walk.first_break is not None:
            return False
        walk.rows += 1
        walk.last_hash = row.hash
        _follow(walk, row)
    return len(rows) == PAGE_ROWS or _goes_on(session, key, walk)


def tail_of(session: Session, walk: Walk) -> Tail:
    """What a workspace has not chained yet; ends among it settle the starts of the walk."""
    unsealed = (AuditEvent.workspace_id == walk.workspace_id, AuditEvent.number.is_(None))
    rows, oldest_at = session.execute(select(func.count(), func.min(AuditEvent.at)).where(*unsealed)).one()
    for row in session.execute(select(*COLUMNS).where(*unsealed).order_by(AuditEvent.id).limit(PAGE_ROWS)):
        _follow(walk, row)
    return Tail(rows, oldest_at)


def _check(key: bytes, walk: Walk, row: Row[Any]) -> Break | None:
    number = walk.rows + 1
    if row.number != number:
        return Break("row_missing", number, None)
    if not same(row.previous_hash, walk.last_hash):
        return Break("order_changed", number, row.id)
    hashed = link(key, walk.workspace_id, number, walk.last_hash, canonical(row._asdict()))
    return None if same(row.hash, hashed) else Break("row_changed", number, row.id)


def _goes_on(session: Session, key: bytes, walk: Walk) -> bool:
    """Whether there is more behind what seemed to be the last row; if not, the end has to be the one that was noted."""
    last = select(func.max(AuditEvent.number)).where(AuditEvent.workspace_id == walk.workspace_id).scalar_subquery()
    head = select(AuditHead.number, AuditHead.hash).where(AuditHead.workspace_id == walk.workspace_id).subquery()
    # One statement, so that it sees rows and note as one transaction left them.
    one = select(last.label("last")).subquery()
    found = session.execute(select(one.c.last, head.c.number, head.c.hash).outerjoin_from(one, head, true())).one()
    if (found.last or 0) > walk.rows:
        return True
    if found.number is None:
        walk.first_break = Break("head_missing", walk.rows, None) if walk.rows else None
    elif not same(found.hash, head_seal(key, walk.workspace_id, walk.rows, walk.last_hash)):
        walk.first_break = Break("head_changed", walk.rows, None)
    return False


def _follow(walk: Walk, row: Row[Any]) -> None:
    """Remembers starts until their ends are met. A job is started by the call that answers with it."""
    if row.outcome == "started" or (row.job_id is not None and row.outcome == "done"):
        walk.open_starts[row.id] = row.job_id
    elif row.started_id is not None:
        walk.open_starts.pop(row.started_id, None)
    elif row.operation == _CANCEL and row.outcome == "done":
        for started, job_id in list(walk.open_starts.items()):
            if job_id is not None and job_id == row.target_id:
                del walk.open_starts[started]
