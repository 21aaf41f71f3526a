"""All events of the audit log as a file."""

import asyncio
import csv
import io
import json
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Final, Literal

from pydantic import Field
from sqlalchemy import select

from postrider.audit.operations import SHOWN, AuditEventOut, AuditFilter, audit_conditions, event_out
from postrider.audit.tables import AuditEvent
from postrider.files.queries import link_to, register_file
from postrider.files.rules import guarded_cell
from postrider.files.store import Incoming
from postrider.kernel.context import Context, OutsideContext
from postrider.kernel.errors import InvalidInput
from postrider.kernel.operation import Effect, Output, Rest, operation

MOST_ROWS: Final = 500_000
_PAGE: Final = 1_000
_AT_THE_MACHINE: Final = ("cli", "stdio")

Format = Literal["csv", "jsonl"]
_MEDIA: Final[dict[Format, str]] = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}


class ExportAuditEvents(AuditFilter):
    """Which events, and as what."""

    format: Annotated[
        Format, Field(description="csv: a ' stands before cells that a spreadsheet would run. jsonl: one per line.")
    ] = "csv"


class AuditExported(Output):
    """The file, for an hour. ``url``: where to fetch it (without a host: on the server that was called); ``path``: on
    this machine, for local callers."""

    file_id: str
    url: str | None
    path: str | None
    rows: int
    size_bytes: int
    expires_at: datetime


@operation(
    title="Export audit events",
    keywords="who changed changes file spreadsheet excel csv compliance auditor archive evidence",
    effect=Effect.WRITE,
    rest=Rest("POST", "/v1/audit/export"),
    scope="administer",
    open_world=False,
    audit="effect",
    sensitive=True,
)
async def export_audit_events(ctx: OutsideContext, request: ExportAuditEvents) -> AuditExported:
    """Write events of the audit log into a CSV or JSON Lines file, oldest first; at most 500,000.

    The answer holds a link that works for an hour without a key, so keep it as you would a key; local callers get the
    path of the file. Each line has what list_audit_events shows, with the event's hash and place in the chain.
    """
    incoming = await asyncio.to_thread(Incoming, ctx.settings.data_dir, "export", ctx.workspace_id)
    try:
        rows = await _write(ctx, request, incoming)
        size = await asyncio.to_thread(incoming.finish)
        exported = await ctx.effect(partial(_register, request=request, rows=rows, size=size))
        path = await asyncio.to_thread(
            incoming.keep, ctx.settings.data_dir, "export", ctx.workspace_id, exported.file_id
        )
    finally:
        await asyncio.to_thread(incoming.discard)
    return exported.model_copy(update={"path": str(path)}) if exported.url is None else exported


async def _write(ctx: OutsideContext, request: ExportAuditEvents, incoming: Incoming) -> int:
    after, total = "", 0
    if request.format == "csv":
        incoming.file.write(_csv([list(_names())]))
    while True:
        found = await ctx.read(partial(_page, request=request, after=after))
        await asyncio.to_thread(
            incoming.file.write, _csv(map(_cells, found)) if request.format == "csv" else _jsonl(found)
        )
        total += len(found)
        if len(found) < _PAGE:
            return total
        if total >= MOST_ROWS:
            raise InvalidInput(
                f"There are more than {MOST_ROWS:,} such events.",
                field="from",
                hint="Export them in parts: from and to.",
            )
        after = found[-1].id
        await ctx.progress(total, None, "Writing events")


def _page(ctx: Context, *, request: ExportAuditEvents, after: str) -> list[AuditEventOut]:
    query = select(*SHOWN).where(*audit_conditions(ctx.workspace_id, request), AuditEvent.id > after)
    return [event_out(row) for row in ctx.session.execute(query.order_by(AuditEvent.id).limit(_PAGE))]


def _register(ctx: Context, *, request: ExportAuditEvents, rows: int, size: int) -> AuditExported:
    name = f"audit-{ctx.now:%Y-%m-%d}.{request.format}"
    row = register_file(ctx, "export", name, _MEDIA[request.format], size)
    local = ctx.actor.door in _AT_THE_MACHINE
    return AuditExported(
        file_id=row.id,
        url=None if local else link_to(ctx, "fetch", row),
        path=None,
        rows=rows,
        size_bytes=size,
        expires_at=row.expires_at,
    )


def _names() -> list[str]:
    return [field.alias or name for name, field in AuditEventOut.model_fields.items()]


def _cells(event: AuditEventOut) -> list[str]:
    values = event.model_dump(mode="json", by_alias=True).values()
    return ["" if value is None else guarded_cell(str(value)) for value in values]


def _csv(lines: Any) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(lines)
    return text.getvalue().encode()


def _jsonl(events: Sequence[AuditEventOut]) -> bytes:
    return "".join(f"{json.dumps(event.model_dump(mode='json', by_alias=True))}\n" for event in events).encode()
