"""Whose limit the mail of others counts on, once a credential with a limit has let it go on or changed it.

Campaigns and their leads belong to features above this one: they are changed here by the names of some columns, which
a test holds against them, so that every feature can call this.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import ARRAY, ColumnElement, String, column, func, literal, select, table, update
from sqlalchemy.orm import Session

from postrider.storage.base import JSON_TYPE

CAMPAIGNS: Final = table(
    "campaigns",
    *(column(name) for name in ("workspace_id", "id", "name", "status", "credential_id")),
    column("mailbox_ids", JSON_TYPE),
    column("held_to", JSON_TYPE),
)
ENROLLMENTS: Final = table(
    "enrollments",
    *(column(name) for name in ("workspace_id", "campaign_id", "lead_id", "status", "credential_id")),
)


def hold_campaigns(session: Session, workspace_id: str, credential_id: str, *which: ColumnElement[bool]) -> None:
    """What leaves from those running campaigns counts on the credential too, until they are started or resumed again.

    One row each, and not one for each lead. Whoever it counted on before keeps being counted: neither limit is passed.
    """
    own = CAMPAIGNS.c.workspace_id == workspace_id
    query = select(CAMPAIGNS.c.id, CAMPAIGNS.c.credential_id, CAMPAIGNS.c.held_to)
    query = query.where(own, CAMPAIGNS.c.status == "active", *which).order_by(CAMPAIGNS.c.id)
    for campaign_id, starter, held_to in session.execute(query.with_for_update()).all():
        names = [*(held_to or ())]
        if credential_id not in (starter, *names):
            held = update(CAMPAIGNS).where(own, CAMPAIGNS.c.id == campaign_id)
            session.execute(held.values(held_to=[*names, credential_id]))


def hold_campaigns_of_mailbox(session: Session, workspace_id: str, credential_id: str, mailbox_id: str) -> None:
    """The same for the campaigns that send from the mailbox."""
    query = select(CAMPAIGNS.c.id, CAMPAIGNS.c.mailbox_ids).where(
        CAMPAIGNS.c.workspace_id == workspace_id, CAMPAIGNS.c.status == "active"
    )
    ids = [campaign_id for campaign_id, mailbox_ids in session.execute(query) if mailbox_id in mailbox_ids]
    if ids:
        hold_campaigns(session, workspace_id, credential_id, CAMPAIGNS.c.id.in_(ids))


def hold_leads(session: Session, workspace_id: str, credential_id: str, lead_ids: Sequence[str]) -> None:
    """What running campaigns still send to these leads counts on the credential too.

    A lead that counts on another one keeps that: there the whole campaign counts on this one.
    """
    running = select(CAMPAIGNS.c.id).where(CAMPAIGNS.c.workspace_id == workspace_id, CAMPAIGNS.c.status == "active")
    waiting = (
        ENROLLMENTS.c.workspace_id == workspace_id,
        ENROLLMENTS.c.status == "active",
        ENROLLMENTS.c.campaign_id.in_(running),
        _among(session, lead_ids),
    )
    other = select(ENROLLMENTS.c.campaign_id).where(*waiting, ENROLLMENTS.c.credential_id != credential_id)
    campaigns = session.scalars(other.distinct()).all()
    if campaigns:
        hold_campaigns(session, workspace_id, credential_id, CAMPAIGNS.c.id.in_(campaigns))
    own = update(ENROLLMENTS).where(*waiting, ENROLLMENTS.c.credential_id.is_(None))
    session.execute(own.values(credential_id=credential_id))


def _among(session: Session, lead_ids: Sequence[str]) -> ColumnElement[bool]:
    """PostgreSQL would read all enrollments for a long list of ids, and looks up those of an array."""
    if session.get_bind().dialect.name != "postgresql":
        return ENROLLMENTS.c.lead_id.in_(lead_ids)
    return ENROLLMENTS.c.lead_id.in_(select(func.unnest(literal(list(lead_ids), ARRAY(String)))))
