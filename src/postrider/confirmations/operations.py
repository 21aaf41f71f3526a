"""Approvals: see what waits for a person. Granting and denying is theirs, on the web pages or the command line."""

from datetime import datetime
from typing import Literal

from sqlalchemy import ColumnElement, and_, func, select

from postrider.confirmations.tables import Approval
from postrider.kernel.context import Context
from postrider.kernel.operation import Effect, Output, Rest, UntrustedText, operation
from postrider.kernel.page import Page, PageInput
from postrider.storage.paging import newest_first, next_cursor

Status = Literal["pending", "granted", "denied", "used", "expired"]
_CURSOR = "approvals"


class ListApprovals(PageInput):
    """Which approvals; newest first."""

    status: Status | None = None


class FactsOut(Output):
    """What the person is shown. ``details``: names, texts and recipients, in quotes where others may have written them.
    ``people``: how many would be written to, or how many things lost."""

    summary: str
    details: list[UntrustedText]
    subject: str
    cause: str
    people: int
    first_send_at: datetime | None
    content_digest: str | None


class ApprovalOut(Output):
    """One call that waits for a person, or did. ``expiresAt``: from then on the answer is no."""

    id: str
    operation: str
    status: Status
    facts: FactsOut
    credential_id: str
    door: str
    created_at: datetime
    expires_at: datetime
    decided_at: datetime | None


@operation(
    title="List approvals",
    keywords="boss manager human requests requested asked sign granted denied yes no ok decision decided open wait",
    effect=Effect.READ,
    toolset="access",
    rest=Rest("GET", "/v1/approvals"),
    open_world=False,
)
def list_approvals(ctx: Context, request: ListApprovals) -> Page[ApprovalOut]:
    """List the calls of this workspace that wait for a person, or waited: pending, granted, denied, used or expired.

    A person grants or denies them on the approvals page or with `postrider approvals`; nobody can here. Once one is
    granted, make the same call again, unchanged: it works once. Whatever is not granted within 24 hours means no.
    """
    query = select(Approval).where(Approval.workspace_id == ctx.workspace_id, *_in_status(request.status, ctx.now))
    total = ctx.session.scalar(select(func.count()).select_from(query.subquery())) or 0
    rows = list(ctx.session.scalars(newest_first(query, Approval.id, request, _CURSOR)))
    cursor = next_cursor([row.id for row in rows], request, _CURSOR)
    return Page[ApprovalOut](
        items=[shown(row, ctx.now) for row in rows[: request.limit]],
        limit=request.limit,
        total=total,
        has_more=cursor is not None,
        next_cursor=cursor,
    )


def _in_status(status: Status | None, now: datetime) -> list[ColumnElement[bool]]:
    if status is None:
        return []
    open_still = Approval.status.in_(("pending", "granted"))
    if status == "expired":
        return [and_(open_still, Approval.expires_at <= now)]
    found = Approval.status == status
    return [and_(found, Approval.expires_at > now) if status in ("pending", "granted") else found]


def shown(row: Approval, now: datetime) -> ApprovalOut:
    """An approval as it stands at ``now``."""
    over = row.status in ("pending", "granted") and row.expires_at <= now
    return ApprovalOut(
        id=row.id,
        operation=row.operation,
        status="expired" if over else row.status,
        facts=FactsOut.model_validate(row.facts),
        credential_id=row.credential_id,
        door=row.door,
        created_at=row.created_at,
        expires_at=row.expires_at,
        decided_at=row.decided_at,
    )
