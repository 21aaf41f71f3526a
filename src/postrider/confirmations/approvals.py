"""Calls that a person has to grant: asking for it, finding the answer, giving it."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select, tuple_, update
from sqlalchemy.orm import Session

from postrider.audit.queries import Deed, record
from postrider.confirmations.rules import MOST_GIVEN_BACK
from postrider.confirmations.tables import Approval
from postrider.kernel.context import Actor, Door
from postrider.kernel.ids import new_id
from postrider.kernel.policy import Facts
from postrider.kernel.zones import rfc3339_milliseconds
from postrider.storage.base import JsonObject

ASKED_FOR: Final = timedelta(hours=24)
"""How long a person has to answer, and how long a yes can be used; after that it means no."""
KEPT: Final = timedelta(days=30)
"""How long one that has run out is still shown."""


def find_answer(session: Session, workspace_id: str, hashed_call: str, now: datetime) -> Approval | None:
    """The approval of this very call that still counts: the newest that a person has answered, else the newest that
    waits. (Of two calls at once, each may have asked.)"""
    return session.scalar(
        select(Approval)
        .where(
            Approval.workspace_id == workspace_id,
            Approval.call_hash == hashed_call,
            Approval.expires_at > now,
            Approval.status != "used",
        )
        .order_by(Approval.status == "pending", Approval.id.desc())
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


def give_grant_back(session: Session, workspace_id: str, approval_id: str) -> bool:
    """Lets a used yes be used again, as long as it lasts: nothing has come of the call that used it. Whether it can
    be: it was not given back too often before."""
    used = (Approval.workspace_id == workspace_id, Approval.id == approval_id, Approval.status == "used")
    back = session.execute(
        update(Approval)
        .where(*used, Approval.given_back < MOST_GIVEN_BACK)
        .values(status="granted", given_back=Approval.given_back + 1)
        .returning(Approval.id)
    )
    return back.scalar() is not None


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
        given_back=0,
    )
    session.add(row)
    session.flush()
    return row


def facts_out(facts: Facts) -> JsonObject:
    """The facts as they stand in answers."""
    return {
        "summary": facts.summary,
        "details": list(facts.details),
        "subject": facts.subject,
        "cause": facts.cause,
        "people": facts.people,
        "firstSendAt": None if facts.first_send_at is None else rfc3339_milliseconds(facts.first_send_at),
        "contentDigest": facts.content_digest,
    }


def sweep_approvals(session: Session, now: datetime, most: int) -> int:
    """Forgets approvals that ran out a month ago, at most so many; how many. The audit log keeps what came of them."""
    key = (Approval.workspace_id, Approval.id)
    out = select(*key).where(Approval.expires_at < now - KEPT).limit(most)
    return session.connection().execute(delete(Approval).where(tuple_(*key).in_(out))).rowcount


def decide(
    session: Session,
    workspace_id: str,
    approval_id: str,
    yes: bool,
    by_user_id: str,
    now: datetime,
    door: Door = "web",
) -> Approval | None:
    """The approval with a person's answer, which is written down; None when it was not waiting for one any more."""
    decided = session.execute(
        update(Approval)
        .where(
            Approval.workspace_id == workspace_id,
            Approval.id == approval_id,
            Approval.status == "pending",
            Approval.expires_at > now,
        )
        .values(status="granted" if yes else "denied", decided_at=now, decided_by=by_user_id)
        .returning(Approval.id)
    )
    if decided.scalar() is None:
        return None
    person = Actor("person", by_user_id, by_user_id, workspace_id, frozenset(), "free", door)
    name = "grant_approval" if yes else "deny_approval"
    record(session, Deed(person, name, "write", "done", arguments_hash="", target_id=approval_id), now)
    return session.get_one(Approval, (workspace_id, approval_id), populate_existing=True)


def approvals_of(session: Session, workspace_id: str, now: datetime, *, waiting: bool, most: int) -> list[Approval]:
    """The newest approvals of a workspace: those that wait for an answer, or those that do not any more."""
    waits = (Approval.status == "pending") & (Approval.expires_at > now)
    query = select(Approval).where(Approval.workspace_id == workspace_id, waits if waiting else ~waits)
    return list(session.scalars(query.order_by(Approval.id.desc()).limit(most)))
