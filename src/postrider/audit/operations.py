"""Looking at who did what."""

from datetime import datetime
from typing import Annotated, Final

from pydantic import AwareDatetime, Field
from sqlalchemy import ColumnElement, Row, func, select
from sqlalchemy.orm import InstrumentedAttribute

from postrider.audit.queries import Outcome
from postrider.audit.tables import AuditEvent
from postrider.kernel.context import Context
from postrider.kernel.operation import Effect, Input, Output, Rest, UntrustedText, operation
from postrider.kernel.page import Page, PageInput
from postrider.storage.paging import newest_first, next_cursor

_CURSOR: Final = "audit"

Name = Annotated[str | None, Field(min_length=1, max_length=100)]


class AuditFilter(Input):
    """Which events. Every condition that is given must hold."""

    operation: Annotated[Name, Field(description="Name of an operation, such as start_campaign.")] = None
    outcome: Annotated[
        Outcome | None,
        Field(description="refused: nothing came of it; failed: some of it may stand; started, ended: of long work."),
    ] = None
    credential_id: Annotated[Name, Field(description="Key or grant that was used (key_…, grt_…, local).")] = None
    target_id: Annotated[Name, Field(description="What was acted on, such as camp_….")] = None
    since: Annotated[
        AwareDatetime | None, Field(alias="from", description="The earliest instant, such as 2026-03-02T00:00:00Z.")
    ] = None
    until: Annotated[AwareDatetime | None, Field(alias="to", description="Only before this instant.")] = None


class ListAuditEvents(AuditFilter, PageInput):
    """Newest first."""


class AuditEventOut(Output):
    """One call, or one end of long work. Hashes tell whether two calls had the same arguments, and prove changes.

    ``number``: its place in the chain of the workspace; null while it is not sealed.
    """

    id: str
    at: datetime
    operation: str
    effect: str
    outcome: str
    error_code: str | None
    target_id: str | None
    job_id: str | None
    started_id: str | None
    actor_kind: str
    credential_id: str
    client_id: UntrustedText | None
    user_id: str
    door: str
    request_id: UntrustedText | None
    arguments_hash: str
    before_hash: str | None
    after_hash: str | None
    sealed: bool
    number: int | None
    hash: str | None


SHOWN: Final[tuple[InstrumentedAttribute[object], ...]] = tuple(
    getattr(AuditEvent, name) for name in AuditEventOut.model_fields if name != "sealed"
)


def audit_conditions(workspace_id: str, wanted: AuditFilter) -> list[ColumnElement[bool]]:
    """The SQL conditions of a filter, the workspace first."""
    found: list[ColumnElement[bool]] = [AuditEvent.workspace_id == workspace_id]
    for column, value in (
        (AuditEvent.operation, wanted.operation),
        (AuditEvent.outcome, wanted.outcome),
        (AuditEvent.credential_id, wanted.credential_id),
        (AuditEvent.target_id, wanted.target_id),
    ):
        if value is not None:
            found.append(column == value)
    if wanted.since is not None:
        found.append(AuditEvent.at >= wanted.since)
    if wanted.until is not None:
        found.append(AuditEvent.at < wanted.until)
    return found


def event_out(row: Row[*tuple[object, ...]]) -> AuditEventOut:
    """An event as callers see it, from its columns ``SHOWN``."""
    cells = row._asdict()
    return AuditEventOut.model_validate({**cells, "sealed": cells["number"] is not None})


@operation(
    title="List audit events",
    keywords="who deleted changed changes happened record feed security review user",
    effect=Effect.READ,
    rest=Rest("GET", "/v1/audit"),
    scope="administer",
)
def list_audit_events(ctx: Context, request: ListAuditEvents) -> Page[AuditEventOut]:
    """See who did or tried what in this workspace, newest first: every call that changes something, done or refused.

    Each event names credential, operation, what was acted on, and what came of it; never the texts of a call. Long work
    has one event when it starts and one when it ends (startedId names the first). Events are sealed, that is chained
    by hash, within ten seconds; `postrider audit verify` on the server proves that none was changed or taken away.
    To get many at once use export_audit_events.
    """
    conditions = audit_conditions(ctx.workspace_id, request)
    query = newest_first(select(*SHOWN).where(*conditions), AuditEvent.id, request, _CURSOR)
    rows = ctx.session.execute(query).all()
    cursor = next_cursor([row.id for row in rows], request, _CURSOR)
    return Page[AuditEventOut](
        items=[event_out(row) for row in rows[: request.limit]],
        limit=request.limit,
        total=ctx.session.scalar(select(func.count()).select_from(AuditEvent).where(*conditions)) or 0,
        has_more=cursor is not None,
        next_cursor=cursor,
    )
