"""Leads written many at a time."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pydantic_core import to_json
from sqlalchemy.orm import Session

from postrider.leads.bulk import (
    Columns,
    Row,
    Same,
    find_rows,
    insert_missing_rows,
    lock_texts,
    new_ids,
    stored_instant,
    update_rows,
)
from postrider.leads.columns import LeadColumns
from postrider.leads.rules import UNVERIFIED, lead_tag_key, merge_custom
from postrider.leads.tables import Lead, LeadTag


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a batch: ids by address. ``updated`` are those of ``existing`` that were changed."""

    created: dict[str, str]
    existing: dict[str, str]
    updated: list[str] = field(default_factory=list)


def write_leads(session: Session, workspace_id: str, leads: LeadColumns, now: datetime, *, merge: bool) -> Written:
    """Creates the leads whose addresses are new.

    ``merge``: the others get what the batch says of them, else they stay as they are.
    """
    ids = new_ids("lead", len(leads.emails), now)
    if _insert(session, workspace_id, ids, leads, now) == len(ids):
        written = Written(dict(zip(leads.emails, ids, strict=True)), {})
    else:
        fresh = set(ids)
        present = find_ids(session, workspace_id, leads.emails)
        created = {email: lead_id for email, lead_id in present.items() if lead_id in fresh}
        written = Written(created, {email: lead_id for email, lead_id in present.items() if email not in created})
    if leads.tags and written.created:
        add_tags(session, workspace_id, _tags(leads, written.created))
    if merge and written.existing:
        written.updated.extend(_update(session, workspace_id, leads, written.existing, now))
        add_tags(session, workspace_id, _tags(leads, written.existing))
    return written


def find_ids(session: Session, workspace_id: str, emails: Sequence[str]) -> dict[str, str]:
    """Ids of the leads that have these addresses, by address."""
    return find_rows(session, (Lead.email, Lead.id), Lead.email, emails, Lead.workspace_id == workspace_id)


def add_tags(session: Session, workspace_id: str, tags: Mapping[str, Sequence[str]]) -> None:
    """Gives each lead (by id) the tags beside it, on top of those it has."""
    pairs = [(lead_id, tag) for lead_id, own in tags.items() for tag in own]
    if pairs:
        columns: Columns = {
            "workspace_id": Same(workspace_id),
            "tag_key": [lead_tag_key(tag) for _, tag in pairs],
            "lead_id": [lead_id for lead_id, _ in pairs],
            "tag": [tag for _, tag in pairs],
        }
        insert_missing_rows(session, LeadTag, columns)


def _insert(session: Session, workspace_id: str, ids: Sequence[str], leads: LeadColumns, now: datetime) -> int:
    instant = Same(stored_instant(session, now))
    columns: Columns = {
        "workspace_id": Same(workspace_id),
        "id": ids,
        "email": leads.emails,
        "company_domain": leads.domains,
        "custom_fields": leads.custom,
        **leads.texts,
        "email_verification_status": Same(UNVERIFIED),
        "created_at": instant,
        "updated_at": instant,
    }
    return insert_missing_rows(session, Lead, columns)


def _tags(leads: LeadColumns, ids: Mapping[str, str]) -> dict[str, list[str]]:
    """The tags by id of those leads whose addresses are in ``ids``."""
    positions = [position for position, email in enumerate(leads.emails) if email in ids]
    return {ids[leads.emails[position]]: tags for position, tags in leads.tags_by_lead(positions).items()}


def _update(
    session: Session, workspace_id: str, leads: LeadColumns, ids: Mapping[str, str], now: datetime
) -> list[str]:
    present = lock_texts(session, Lead, ("id", "custom_fields"), list(ids.values()), workspace_id)
    instant = stored_instant(session, now)
    rows: list[Row] = []
    for position, email in enumerate(leads.emails):
        if email in ids:
            custom = merge_custom(json.loads(present[ids[email]]), leads.custom_fields(position))
            texts = (values[position] for values in leads.texts.values())
            rows.append((*texts, to_json(custom).decode(), instant, workspace_id, ids[email]))
    update_rows(session, Lead, tuple(leads.texts), ("custom_fields", "updated_at"), rows)
    return list(ids.values())
