"""The do-not-contact list: add and list."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field
from sqlalchemy import func, select

from postrider.access.queries import lock_workspace
from postrider.content.addresses import parse_address, parse_domain
from postrider.dnc.queries import add_entries
from postrider.dnc.rules import DncKey
from postrider.dnc.tables import DncEntry
from postrider.kernel.context import Context
from postrider.kernel.errors import InvalidInput
from postrider.kernel.operation import Effect, Input, Output, Rest, UntrustedText, operation
from postrider.kernel.page import Page, PageInput
from postrider.storage.paging import newest_first, next_cursor


class DncInput(Input):
    """One address or domain. ``email`` holds a domain too (type domain); without a type it is told by the @."""

    email: Annotated[str, Field(min_length=1, max_length=320, description="Address, or domain such as acme.com.")]
    type: Literal["email", "domain"] | None = None
    reason: Annotated[str | None, Field(max_length=500)] = None


class AddDncEntries(Input):
    """Whom not to write to."""

    entries: Annotated[list[DncInput], Field(min_length=1, max_length=1_000)]


class DncAdded(Output):
    """``skipped``: listed already."""

    added: int
    skipped: int


class ListDncEntries(PageInput):
    """Newest first."""

    type: Literal["email", "domain"] | None = None
    search: Annotated[str | None, Field(max_length=320, description="Part of the address or domain.")] = None


class DncEntryOut(Output):
    """One entry. ``email`` null: the lead was erased, only a hash is kept. ``reason`` may quote a mail server."""

    id: str
    type: str
    email: str | None
    reason: UntrustedText
    source: str
    created_at: datetime


@operation(
    title="Add to do-not-contact",
    keywords="ban stop mailing mails person company competitor customer forever complained leave alone unwanted",
    effect=Effect.WRITE,
    rest=Rest("POST", "/v1/dnc"),
    idempotent=True,
    core=True,
)
def add_dnc_entries(ctx: Context, request: AddDncEntries) -> DncAdded:
    """Never write to these addresses or domains again (a domain covers its subdomains).

    Takes effect at once, in running campaigns too. Entries listed already are skipped. All entries are checked first:
    one that does not fit refuses the whole call.
    """
    lock_workspace(ctx.session, ctx.workspace_id)
    keys: dict[str, list[DncKey]] = {}
    for place, entry in enumerate(request.entries):
        keys.setdefault(entry.reason or "added by hand", []).append(_key(entry, f"entries[{place}].email"))
    added = sum(
        add_entries(ctx.session, ctx.vault, ctx.workspace_id, group, reason=reason, source="manual", now=ctx.now)
        for reason, group in keys.items()
    )
    return DncAdded(added=added, skipped=len(request.entries) - added)


def _key(entry: DncInput, field: str) -> DncKey:
    kind = entry.type or ("email" if "@" in entry.email else "domain")
    if kind == "email":
        return DncKey("email", parse_address(entry.email.strip(), field).key)
    if "@" in entry.email:
        raise InvalidInput(
            f"{field}: a domain has no @.", field=field, hint="Use type email, or give the part after @."
        )
    return DncKey("domain", parse_domain(entry.email.strip(), field))


@operation(
    title="List do-not-contact entries",
    keywords="banned allowed mail limits unsubscribes complained bounced whom who why reason",
    effect=Effect.READ,
    rest=Rest("GET", "/v1/dnc"),
)
def list_dnc_entries(ctx: Context, request: ListDncEntries) -> Page[DncEntryOut]:
    """List who must not be written to and why (manual, import, unsubscribe, bounce, complaint), newest first."""
    query = select(DncEntry).where(DncEntry.workspace_id == ctx.workspace_id)
    if request.type is not None:
        query = query.where(DncEntry.kind == request.type)
    if request.search:
        query = query.where(DncEntry.value.contains(request.search.lower(), autoescape=True))
    total = ctx.session.scalar(select(func.count()).select_from(query.subquery())) or 0
    rows = list(ctx.session.scalars(newest_first(query, DncEntry.id, request, "dnc")))
    cursor = next_cursor([row.id for row in rows], request, "dnc")
    rows = rows[: request.limit]
    return Page[DncEntryOut](
        items=[_out(row) for row in rows],
        limit=request.limit,
        total=total,
        has_more=cursor is not None,
        next_cursor=cursor,
    )


def _out(row: DncEntry) -> DncEntryOut:
    return DncEntryOut(
        id=row.id, type=row.kind, email=row.value, reason=row.reason, source=row.source, created_at=row.created_at
    )
