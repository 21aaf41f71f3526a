"""Claims the replies that are due, whatever their workspace. Schedules and day limits of campaigns do not bind them.

The limit of whoever wrote them does: it is counted with the first marker (reply_ledger.py).
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from postrider.access.tables import Workspace
from postrider.dnc.queries import hashes_covering
from postrider.inbox.reply_work import ReplyWork
from postrider.inbox.rules import thread_headers
from postrider.inbox.tables import Conversation
from postrider.inbox.thread import last_message
from postrider.kernel.vault import Vault, VaultError
from postrider.leads.tables import Lead
from postrider.mailboxes.tables import Mailbox
from postrider.sending.cap_queries import caps_in_row, with_caps
from postrider.sending.capped import Capped
from postrider.sending.guards import MAILBOX_WORKS
from postrider.sending.tables import OutgoingReply
from postrider.sending.windows import local_day
from postrider.sending.work import Claim
from postrider.sending.work_queries import allowed_copies, sender_of

PER_MAILBOX: Final = 2
"""Replies of one mailbox under way at a time, so that one slow server does not hold up the others."""

CANDIDATES: Final = 200


@dataclass(frozen=True, slots=True)
class ReplyTick:
    """What was claimed, and when to look again."""

    works: list[ReplyWork]
    next_at: datetime | None


def claim_replies(
    session: Session, vault: Vault, owner: str, now: datetime, limit: int, busy: Mapping[str, int]
) -> ReplyTick:
    """Claims at most ``limit`` replies that may leave at ``now``. ``busy``: under way already, by mailbox."""
    works: list[ReplyWork] = []
    taken = Counter(busy)
    full = [mailbox_id for mailbox_id, count in busy.items() if count >= PER_MAILBOX]
    for row, conversation, mailbox, capped in _due(session, now, full):
        if len(works) == limit:
            break
        if taken[row.mailbox_id] < PER_MAILBOX and _lease(session, row, owner, now):
            work = _load(session, vault, row, conversation, mailbox, capped, now)
            if work is not None:
                taken[row.mailbox_id] += 1
                works.append(work)
    return ReplyTick(works, _next_at(session, now))


def _sendable() -> tuple[ColumnElement[bool], ...]:
    return (
        Workspace.status == "active",
        Workspace.paused_at.is_(None),
        Mailbox.status == MAILBOX_WORKS,
        Mailbox.sending_enabled.is_(True),
        OutgoingReply.status == "pending",
    )


def _due(
    session: Session, now: datetime, full: Collection[str]
) -> list[tuple[OutgoingReply, Conversation | None, Mailbox, Capped | None]]:
    query = (
        select(OutgoingReply, Conversation, Mailbox)
        .join(Workspace, Workspace.id == OutgoingReply.workspace_id)
        .join(
            Mailbox,
            (Mailbox.workspace_id == OutgoingReply.workspace_id) & (Mailbox.id == OutgoingReply.mailbox_id),
        )
        .outerjoin(
            Conversation,
            (Conversation.workspace_id == OutgoingReply.workspace_id)
            & (Conversation.id == OutgoingReply.conversation_id),
        )
        .where(
            *_sendable(),
            OutgoingReply.scheduled_for <= now,
            Mailbox.cool_until.is_(None) | (Mailbox.cool_until <= now),
            OutgoingReply.mailbox_id.not_in(full),
        )
        .order_by(OutgoingReply.scheduled_for, OutgoingReply.id)
        .limit(CANDIDATES)
    )
    rows = session.execute(with_caps(query, OutgoingReply.workspace_id, OutgoingReply.created_by)).all()
    return [
        (reply, conversation, mailbox, caps_in_row(reply.created_by, caps, now))
        for reply, conversation, mailbox, *caps in rows
    ]


def _next_at(session: Session, now: datetime) -> datetime | None:
    """When the next reply falls due, or the mailbox of one that is due has cooled down."""
    base = (
        select(func.min(OutgoingReply.scheduled_for), func.min(Mailbox.cool_until))
        .join(Workspace, Workspace.id == OutgoingReply.workspace_id)
        .join(
            Mailbox,
            (Mailbox.workspace_id == OutgoingReply.workspace_id) & (Mailbox.id == OutgoingReply.mailbox_id),
        )
        .where(*_sendable())
    )
    later = session.execute(base.where(OutgoingReply.scheduled_for > now)).one()[0]
    cooled = session.execute(base.where(OutgoingReply.scheduled_for <= now, Mailbox.cool_until > now)).one()[1]
    return min((instant for instant in (later, cooled) if instant is not None), default=None)


def _lease(session: Session, row: OutgoingReply, owner: str, now: datetime) -> bool:
    """Takes the row, unless another engine or a cancellation was faster."""
    taken = session.execute(
        update(OutgoingReply)
        .where(
            OutgoingReply.workspace_id == row.workspace_id,
            OutgoingReply.id == row.id,
            OutgoingReply.status == "pending",
            OutgoingReply.fence == row.fence,
        )
        .values(status="sending", lease_owner=owner, fence=OutgoingReply.fence + 1, updated_at=now)
        .execution_options(synchronize_session=False)
    )
    if taken.rowcount != 1:  # type: ignore[attr-defined]  # an UPDATE's result is a CursorResult
        return False
    session.refresh(row)
    return True


def _load(
    session: Session,
    vault: Vault,
    row: OutgoingReply,
    conversation: Conversation | None,
    mailbox: Mailbox,
    capped: Capped | None,
    now: datetime,
) -> ReplyWork | None:
    """What the engine needs; None when the reply can never be sent, which is then noted."""
    lead = session.get(Lead, (row.workspace_id, conversation.lead_id)) if conversation is not None else None
    if conversation is None or lead is None:
        _give_up(row, "the conversation or its lead has been deleted", now)
        return None
    try:
        sender = sender_of(mailbox, vault)
    except VaultError:
        _give_up(row, "the mailbox's password does not open with this installation's key", now)
        return None
    copied = allowed_copies(session, vault, row.workspace_id, row.cc, row.bcc, binding_only=True)
    return ReplyWork(
        workspace_id=row.workspace_id,
        reply_id=row.id,
        conversation_id=row.conversation_id,
        enrollment_id=row.enrollment_id,
        campaign_id=conversation.campaign_id,
        lead_id=lead.id,
        recipient_email=lead.email,
        recipient_name=" ".join(filter(None, (lead.first_name, lead.last_name))),
        hashes=hashes_covering(vault, row.workspace_id, lead.email),
        sender=sender,
        html=row.body,
        copies=copied.cc,
        blind_copies=copied.bcc,
        copy_hashes=copied.hashes,
        threading=thread_headers(last_message(session, conversation)),
        claim=Claim(
            owner=row.lease_owner or "",
            fence=row.fence,
            mailbox_day=local_day(now, mailbox.timezone).isoformat(),
            campaign_day=None,
            counts_new=False,
        ),
        capped=capped,
    )


def _give_up(row: OutgoingReply, reason: str, now: datetime) -> None:
    row.status = "failed"
    row.error = reason
    row.lease_owner = None
    row.updated_at = now
