"""What reaches a campaign's emails from outside of its documents: leads' values, senders, house lines. Reads only.

Each is told as a short text that changes with it. A lead's row is only ever written when somebody edits the lead, so
that its instant stands for all of its values; what the engine writes down stands elsewhere.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, String, and_, cast, func, select
from sqlalchemy.orm import Session

from postrider.access.house import house_of
from postrider.campaigns.removal import WRITTEN_TO
from postrider.campaigns.tables import Campaign, Enrollment
from postrider.kernel.arguments import digest_of
from postrider.leads.tables import Lead
from postrider.mailboxes.tables import Mailbox
from postrider.storage.rows import CHUNK


class Waiting(NamedTuple):
    """Who is still written to in a campaign: how many, and what changes with who they are and with their values."""

    people: int
    values: str


def waiting_in(session: Session, row: Campaign) -> Waiting:
    """Who would be written to by a campaign that runs."""
    theirs = and_(Lead.workspace_id == Enrollment.workspace_id, Lead.id == Enrollment.lead_id)
    query = select(Enrollment.lead_id, Lead.updated_at).outerjoin(Lead, theirs).where(*waits(row))
    people, edits = _edits(session, query.order_by(Enrollment.lead_id))
    return Waiting(people, _digest([edits]))


def count_waiting(session: Session, row: Campaign) -> int:
    """How many that are."""
    return session.scalar(select(func.count()).select_from(Enrollment).where(*waits(row))) or 0


def waits(row: Campaign) -> tuple[ColumnElement[bool], ...]:
    """Of the places of those who are still written to in a campaign."""
    return (
        Enrollment.workspace_id == row.workspace_id,
        Enrollment.campaign_id == row.id,
        Enrollment.status.in_(WRITTEN_TO),
    )


def values_of(session: Session, workspace_id: str, ids: Iterable[str], addresses: Iterable[str] = ()) -> str:
    """Of the leads with these ids or addresses, those that there are."""
    found = (
        _edits(session, _leads(workspace_id, column.in_(part)).order_by(Lead.id))[1]
        for column, given in ((Lead.id, ids), (Lead.email, addresses))
        for part in _parts(given)
    )
    return _digest(found)


def values_of_all(session: Session, workspace_id: str) -> str:
    """Of all leads of a workspace, where nobody knows yet which ones are meant."""
    count, newest = session.execute(
        select(func.count(), func.max(Lead.updated_at)).where(Lead.workspace_id == workspace_id)
    ).one()
    return f"{count}/{newest}"


def senders_of(session: Session, row: Campaign) -> str:
    """Of its mailboxes, and of what stands under and around every email of the workspace."""
    house = house_of(session, row.workspace_id)
    query = select(Mailbox.id, Mailbox.email, Mailbox.display_name, Mailbox.signature).where(
        Mailbox.workspace_id == row.workspace_id, Mailbox.id.in_(row.mailbox_ids)
    )
    senders = [list(each) for each in session.execute(query.order_by(Mailbox.id))]
    return digest_of([senders, house.legal_lines, house.unsubscribe_headers])


def _leads(workspace_id: str, *which: ColumnElement[bool]) -> "Select[*tuple[Any, ...]]":
    return select(Lead.id, Lead.updated_at).where(Lead.workspace_id == workspace_id, *which)


def _parts(given: Iterable[str]) -> Iterator[Sequence[str]]:
    wanted = sorted(set(given))
    return (wanted[start : start + CHUNK] for start in range(0, len(wanted), CHUNK))


def _edits(session: Session, query: "Select[*tuple[Any, ...]]") -> tuple[int, str]:
    """How many leads ``query`` gives, and who they are with the instants of their last edits, as one text: a row each
    would take the database no longer, and Python ten times as long."""
    rows = query.subquery()
    lead_id, edited = rows.c
    each = lead_id.concat(func.coalesce(cast(edited, String), ""))
    count, edits = session.execute(select(func.count(), func.aggregate_strings(each, ","))).one()
    return count, edits or ""


def _digest(texts: Iterable[str]) -> str:
    found = hashlib.sha256()
    for text in texts:
        found.update(text.encode() + b"\n")
    return found.hexdigest()
