"""Calls that a person has to grant: asking for it, finding the answer, giving it."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from postrider.confirmations.tables import Approval
from postrider.kernel.context import Actor
from postrider.kernel.ids import new_id
from postrider.kernel.policy import Facts
from postrider.kernel.zones import rfc3339_milliseconds
from postrider.storage.base import JsonObject

ASKED_FOR: Final = timedelta(hours=24)
"""How long a person has to answer, and how long a yes can be used; after that it means no."""


def find_answer(session: Session, workspace_id: str, hashed_call: str, now: datetime) -> Approval | None:
    """The newest approval of this very call that still counts: pending, granted or denied."""
    return session.scalar(
        select(Approval)
        .where(
            Approval.workspace_id == workspace_id,
            Approval.call_hash == hashed_call,
            Approval.expires_at > now,
            Approval.status != "used",
        )
        .order_by(Approval.id.desc())
        .limit(1)
    )


def use_grant(session: Session, approval: Approval) -> bool:
    """Whether the yes could be used; it is used up now, once."""
    used = session.execute(
        update(Approval)
        .where(Approval.workspace_id == approval.workspace_id, Approval.id == approval.id, Approval.status == "granted")
        .values(status="used")
        .returning(Approval.id)
    )
    return used.scalar() is not None


def ask_person(
    session: Session, actor: Actor, operation: str, hashed_call: str, facts: Facts, now: datetime
) -> Approval:
    """The approval that waits for a person: a fresh one, unless this very call is waiting already."""
    waiting = find_answer(session, actor.workspace_id, hashed_call, now)
    if waiting is not None:
        return waiting
    row = Approval(
        workspace_id=actor.workspace_id,
        id=new_id("apr"),
        operation=operation,
        call_hash=hashed_call,
        facts=facts_out(facts),
        credential_id=actor.credential_id,
        user_id=actor.user_id,
        client_id=actor.client_id,
        door=actor.door,
        status="pending",
        created_at=now,
        expires_at=now + ASKED_FOR,
        decided_at=None,
        decided_by=None,
    )
    session.add(row)
    session.flush()
    return row


def facts_out(facts: Facts) -> JsonObject:
    """The facts as they stand in answers."""
    return {
        "summary": facts.summary,
        "subject": facts.subject,
        "cause": facts.cause,
        "people": facts.people,
        "firstSendAt": None if facts.first_send_at is None else rfc3339_milliseconds(facts.first_send_at),
        "contentDigest": facts.content_digest,
    }
