"""Taking a call back, within a day."""

from datetime import datetime
from typing import Annotated, Final, NamedTuple, cast

from pydantic import Field
from sqlalchemy import func, select, update

from postrider.kernel.context import Context
from postrider.kernel.errors import Conflict, Forbidden, NotFound
from postrider.kernel.ids import check_id
from postrider.kernel.operation import Effect, Input, Output, Rest, operation
from postrider.kernel.page import Page, PageInput
from postrider.kernel.policy import Facts
from postrider.kernel.zones import rfc3339
from postrider.storage.paging import newest_first, next_cursor
from postrider.undo.queries import RESTARTS, RESTARTS_IN
from postrider.undo.tables import UndoEntry

_CURSOR: Final = "undo"


class UndoOperation(Input):
    """Which call."""

    id: Annotated[str, Field(max_length=40, description="undoId of the call's answer, or id of list_undo_entries.")]


class KeptOut(Output):
    """Things that stay as they are, and why."""

    reason: str
    count: int


class UndoneOut(Output):
    """What came of it. ``kept``: things that have changed since, so that they stay as they are now."""

    id: str
    operation: str
    restored: int
    kept: list[KeptOut]


class ListUndoEntries(PageInput):
    """Newest first."""


class UndoEntryOut(Output):
    """One call that can be taken back until ``expiresAt``. ``count``: of how many things."""

    id: str
    operation: str
    summary: str
    count: int
    credential_id: str
    created_at: datetime
    expires_at: datetime


class _Open(NamedTuple):
    row: UndoEntry
    restarts: int
    restarts_in: tuple[str, ...]


def undo_facts(ctx: Context, request: UndoOperation) -> Facts | None:
    """Who would be written to again; None where nothing leaves because of it. Raises: see ``_open_entry``."""
    found = _open_entry(ctx, request.id)
    if not found.restarts:
        return None
    return Facts(
        summary=f"Undoing {found.row.operation} of {rfc3339(found.row.created_at)} lets campaigns go on writing to up "
        f"to {found.restarts:,} people.",
        subject=found.row.id,
        revision=found.row.id,
        cause="send",
        people=found.restarts,
        leaves_from=found.restarts_in,
    )


@operation(
    title="Undo a call",
    keywords="accident accidentally mistake oops wrong last step action previous everything",
    effect=Effect.WRITE,
    rest=Rest("POST", "/v1/undo/{id}"),
    confirm=undo_facts,
)
def undo_operation(ctx: Context, request: UndoOperation) -> UndoneOut:
    """Take back what a call has changed, within 24 hours: labels, the removal of do-not-contact entries (not their
    adding), bulk actions on leads, marking as read, deletions, a reply that has not left.

    The id is undoId of the call's answer; list_undo_entries shows all that can be undone. It works once, and needs the
    scope that the call itself needed. What has changed since stays as it is and is counted in kept. Mail that has left
    cannot be taken back.
    """
    row = _open_entry(ctx, request.id).row
    if row.scope not in ctx.actor.scopes:
        raise Forbidden(
            f"Undoing {row.operation} needs the scope {row.scope!r}, as the call itself did.",
            code="INSUFFICIENT_SCOPE",
            hint="Use a credential with that scope.",
            details={"scope": row.scope},
        )
    # One statement decides which of two calls at once it is.
    mark = update(UndoEntry).where(
        UndoEntry.workspace_id == ctx.workspace_id, UndoEntry.id == row.id, UndoEntry.undone_at.is_(None)
    )
    marked = mark.values(undone_at=ctx.now, undone_by=ctx.actor.credential_id).returning(UndoEntry.id)
    if ctx.session.execute(marked).scalar() is None:
        raise _undone_already(row)
    done = ctx.undoers[row.operation](ctx, row.payload)
    kept = [KeptOut(reason=reason, count=count) for reason, count in sorted(done.kept.items()) if count]
    return UndoneOut(id=row.id, operation=row.operation, restored=done.restored, kept=kept)


@operation(
    title="List what can be undone",
    keywords="reversible recent mistakes last steps actions possible",
    effect=Effect.READ,
    rest=Rest("GET", "/v1/undo"),
)
def list_undo_entries(ctx: Context, request: ListUndoEntries) -> Page[UndoEntryOut]:
    """List the calls of the last 24 hours that can still be taken back, newest first, with what that would restore.

    Take one back with undo_operation.
    """
    query = select(UndoEntry).where(
        UndoEntry.workspace_id == ctx.workspace_id, UndoEntry.undone_at.is_(None), UndoEntry.expires_at > ctx.now
    )
    rows = list(ctx.session.scalars(newest_first(query, UndoEntry.id, request, _CURSOR)))
    cursor = next_cursor([row.id for row in rows], request, _CURSOR)
    return Page[UndoEntryOut](
        items=[
            UndoEntryOut(
                id=row.id,
                operation=row.operation,
                summary=row.summary,
                count=row.count,
                credential_id=row.credential_id,
                created_at=row.created_at,
                expires_at=row.expires_at,
            )
            for row in rows[: request.limit]
        ],
        limit=request.limit,
        total=ctx.session.scalar(select(func.count()).select_from(query.subquery())) or 0,
        has_more=cursor is not None,
        next_cursor=cursor,
    )


def _open_entry(ctx: Context, entry_id: str) -> _Open:
    """The entry, if it can be undone. Raises: InvalidInput, NotFound, Conflict."""
    row = ctx.session.get(UndoEntry, (ctx.workspace_id, check_id(entry_id, "und", "id")))
    if row is None:
        raise NotFound("There is nothing to undo with this id.", hint="See list_undo_entries.")
    if row.undone_at is not None:
        raise _undone_already(row)
    if row.expires_at <= ctx.now or row.operation not in ctx.undoers:
        raise Conflict(
            f"{row.operation} can no longer be undone: that is possible for 24 hours.",
            code="UNDO_EXPIRED",
            hint="Make the change by hand; list_undo_entries shows what can still be undone.",
        )
    campaigns = cast("list[str]", row.payload.get(RESTARTS_IN, []))
    return _Open(row, cast("int", row.payload.get(RESTARTS, 0)), tuple(campaigns))


def _undone_already(row: UndoEntry) -> Conflict:
    return Conflict(
        f"This {row.operation} was undone already.", code="UNDONE_ALREADY", hint="Nothing has to be done; it is back."
    )
