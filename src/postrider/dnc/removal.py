"""Taking entries off the do-not-contact list. What a person or their server said is not for a program to take back."""

from typing import Annotated, Any, Final, Literal

from pydantic import Field
from sqlalchemy import ColumnElement, delete, false, func, or_, select

from postrider.access.causes import hold_leads
from postrider.dnc.queries import hash_value
from postrider.dnc.rules import BINDING_SOURCES
from postrider.dnc.tables import DncEntry
from postrider.kernel.arguments import digest_of
from postrider.kernel.context import Context
from postrider.kernel.errors import Conflict, InvalidInput
from postrider.kernel.operation import Effect, Output, Rest, Selection, operation
from postrider.kernel.policy import Facts
from postrider.kernel.undoing import Undone, UndoRecord
from postrider.leads.tables import Lead
from postrider.storage.rows import CHUNK, packed, put_back, stored_columns

MOST_AT_ONCE: Final = 5_000


class RemoveDncEntries(Selection):
    """Which entries: emails (addresses or domains), or selectAll with search and type."""

    emails: Annotated[
        list[Annotated[str, Field(max_length=320)]],
        Field(max_length=1_000, description="Addresses and domains, as list_dnc_entries shows them."),
    ] = []
    select_all: Annotated[bool, Field(description="All that search and type select.")] = False
    search: Annotated[str | None, Field(max_length=320, description="Part of the address or domain.")] = None
    type: Literal["email", "domain"] | None = None

    @property
    def takes_all(self) -> bool:
        return self.select_all


class DncRemoved(Output):
    """``kept``: selected entries that stay, because the person or their server said no."""

    deleted: int
    kept: int


def removal_facts(ctx: Context, request: RemoveDncEntries) -> Facts | None:
    """How many may be written to again; None where nobody. Raises: InvalidInput, Conflict."""
    ids, _ = ctx.once(_chosen, request)
    if not ids:
        return None
    digest = digest_of(ids)
    return Facts(
        summary=f"{len(ids):,} addresses or domains leave the do-not-contact list (choice {digest}): campaigns may "
        "write to them again.",
        subject=ids[0] if len(ids) == 1 else ctx.workspace_id,
        revision=digest,
        cause="destroy",
        people=len(ids),
    )


def undo_removal(ctx: Context, payload: dict[str, Any]) -> Undone:
    """Puts the entries back on the list; those that were listed again since stay as they are."""
    rows = payload["entries"]
    back = put_back(ctx.session, DncEntry, rows, "id")
    return Undone(len(back), {"listed_again_since": len(rows) - len(back)})


@operation(
    title="Remove from do-not-contact",
    keywords="unblock unban allow allowed again lift whitelist permitted remove",
    effect=Effect.DESTRUCTIVE,
    rest=Rest("DELETE", "/v1/dnc"),
    confirm=removal_facts,
    undo=undo_removal,
)
def remove_dnc_entries(ctx: Context, request: RemoveDncEntries) -> DncRemoved:
    """Take addresses or domains off the do-not-contact list, so that campaigns may write to them again.

    Only entries that were added by hand or imported. What the person or their mail server said (unsubscribe, bounce,
    complaint) stays: named in emails it is a conflict, with selectAll it is kept and counted. Addresses that are not
    listed are ignored. At most 5,000 entries in one call; undo_operation takes it back.
    """
    ids, kept = ctx.once(_chosen, request)
    # One may have become binding since it was chosen.
    removable = ~_binding(ctx)
    rows = list[dict[str, Any]]()
    for start in range(0, len(ids), CHUNK):
        chunk = (DncEntry.workspace_id == ctx.workspace_id, DncEntry.id.in_(ids[start : start + CHUNK]))
        taken = delete(DncEntry).where(*chunk, removable).returning(*stored_columns(DncEntry))
        rows += [row._asdict() for row in ctx.session.execute(taken)]
    if rows:
        record: dict[str, Any] = {"entries": [packed(row) for row in rows]}
        if ctx.capped_by is not None:
            hold_leads(ctx.session, ctx.workspace_id, ctx.capped_by, _covered(ctx, rows))
        ctx.undoable(UndoRecord(record, f"{len(rows):,} entries go back on the do-not-contact list.", len(rows)))
    return DncRemoved(deleted=len(rows), kept=kept + len(ids) - len(rows))


def _chosen(ctx: Context, request: RemoveDncEntries) -> tuple[list[str], int]:
    """The ids of the entries that may go, and how many stay. Raises: InvalidInput, Conflict."""
    if bool(request.emails) == request.select_all:
        raise InvalidInput(
            "Give either emails, or selectAll: true with search and type.",
            field="emails",
            hint="list_dnc_entries shows what is listed.",
        )
    if request.emails and (request.search is not None or request.type is not None):
        raise InvalidInput("search and type go with selectAll: true.", field="search", hint="Leave them out.")
    conditions = _named(ctx, request.emails) if request.emails else _searched(ctx, request)
    binding = _binding(ctx)
    kept = ctx.session.scalar(select(func.count()).select_from(DncEntry).where(*conditions, binding)) or 0
    conditions.append(~binding)
    if kept and request.emails:
        raise Conflict(
            f"{kept} of these entries come from the people themselves or their mail servers: they stay on the list.",
            code="DNC_ENTRY_BINDING",
            hint="Leave out those whose source is unsubscribe, bounce or complaint (list_dnc_entries shows it). Only a "
            "person who knows that the address agrees can remove them, with: postrider call remove_dnc_entries",
            details={"binding": kept},
        )
    ids = list(
        ctx.session.scalars(select(DncEntry.id).where(*conditions).order_by(DncEntry.id).limit(MOST_AT_ONCE + 1))
    )
    if len(ids) > MOST_AT_ONCE:
        raise InvalidInput(
            f"More than {MOST_AT_ONCE:,} entries are selected.",
            field="selectAll",
            hint="Do it in parts: narrow with search or type.",
        )
    return ids, kept


def _covered(ctx: Context, entries: list[dict[str, Any]]) -> list[str]:
    """The ids of the leads that these entries covered."""
    emails = [entry["value"] for entry in entries if entry["kind"] == "email"]
    domains = [entry["value"] for entry in entries if entry["kind"] == "domain"]
    found = set[str]()
    own = select(Lead.id).where(Lead.workspace_id == ctx.workspace_id)
    for start in range(0, len(emails), CHUNK):
        found.update(ctx.session.scalars(own.where(Lead.email.in_(emails[start : start + CHUNK]))))
    for domain in domains:
        ends = [Lead.email.endswith(f"{sign}{domain}", autoescape=True) for sign in "@."]
        found.update(ctx.session.scalars(own.where(or_(*ends))))
    return sorted(found)


def _binding(ctx: Context) -> ColumnElement[bool]:
    """Whether an entry stays when this caller removes it."""
    return false() if ctx.actor.is_person else DncEntry.source.in_(BINDING_SOURCES)


def _named(ctx: Context, emails: list[str]) -> list[ColumnElement[bool]]:
    hashes = [hash_value(ctx.vault, ctx.workspace_id, text.strip().lower()) for text in emails]
    return [DncEntry.workspace_id == ctx.workspace_id, DncEntry.value_hash.in_(hashes)]


def _searched(ctx: Context, request: RemoveDncEntries) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [DncEntry.workspace_id == ctx.workspace_id]
    if request.type is not None:
        found.append(DncEntry.kind == request.type)
    if request.search:
        found.append(DncEntry.value.contains(request.search.lower(), autoescape=True))
    return found
