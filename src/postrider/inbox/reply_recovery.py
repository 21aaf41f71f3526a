"""After a crash: the replies a dead engine had claimed go back to the queue, or are called unknown.

The rule is the one of campaign emails: without the second marker nothing can have been accepted; with it, the reply is
never sent again by itself.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import select, true
from sqlalchemy.orm import Session

from postrider.inbox.reply_ledger import PURPOSE
from postrider.inbox.rules import UNKNOWN
from postrider.inbox.tables import Conversation
from postrider.sending.cap_queries import uncount_messages
from postrider.sending.events import Subject, record_event
from postrider.sending.tables import Attempt, OutgoingReply

BATCH: Final = 200
_ENDED: Final = "the program ended after the message was handed over and before the answer was noted"


class RecoveredReplies(NamedTuple):
    """How many replies went back to the queue, and how many are unknown."""

    returned: int
    unknown: int


def recover_replies(
    session: Session, owners: Sequence[str], now: datetime, only: Sequence[str] | None = None
) -> RecoveredReplies:
    """Takes over at most one batch of what ``owners`` had claimed; call again until nothing is recovered.

    ``only``: these replies, of an engine that lives on but lost track of them.
    """
    query = (
        select(OutgoingReply)
        .where(OutgoingReply.lease_owner.in_(owners), OutgoingReply.id.in_(only) if only is not None else true())
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    replies = session.scalars(query).all()
    attempts = _attempts(session, replies)
    begun = [row for row in attempts.values() if row.state == "sending"]
    uncount_messages(session, [(row.workspace_id, row.credential_id, row.sending_at) for row in begun])
    unknown = 0
    for reply in replies:
        found = attempts.get(reply.id)
        if found is not None and found.state == "dotted":
            _call_unknown(session, reply, found, now)
            unknown += 1
        else:
            _give_back(reply, found, now)
    session.flush()
    return RecoveredReplies(len(replies) - unknown, unknown)


def claimed_replies(session: Session, owner: str) -> list[str]:
    """The replies that ``owner`` has claimed."""
    return list(session.scalars(select(OutgoingReply.id).where(OutgoingReply.lease_owner == owner)))


def _attempts(session: Session, replies: Sequence[OutgoingReply]) -> dict[str, Attempt]:
    """What is under way for ``replies``, by reply.

    Read after these were locked, in a statement of its own: a second marker that was being committed meanwhile is seen.
    """
    query = select(Attempt).where(
        Attempt.workspace_id.in_({reply.workspace_id for reply in replies}),
        Attempt.purpose == PURPOSE,
        Attempt.purpose_key.in_([reply.id for reply in replies]),
    )
    return {row.purpose_key: row for row in session.scalars(query)} if replies else {}


def _call_unknown(session: Session, reply: OutgoingReply, attempt: Attempt, now: datetime) -> None:
    attempt.state = "unknown"
    attempt.done_at = now
    attempt.result_kind = "unknown"
    attempt.result_text = _ENDED
    attempt.lease_owner = None
    reply.status = "failed"
    reply.error = f"{UNKNOWN}. {_ENDED}"
    _free(reply, now)
    conversation = session.get(Conversation, (reply.workspace_id, reply.conversation_id))
    subject = Subject(
        workspace_id=reply.workspace_id,
        campaign_id=conversation.campaign_id if conversation is not None else None,
        enrollment_id=reply.enrollment_id,
        lead_id=attempt.lead_id,
        mailbox_id=attempt.mailbox_id,
        attempt_id=attempt.id,
    )
    record_event(session, "reply_unknown", subject, now, {"replyId": reply.id, "text": "engine ended"})


def _give_back(reply: OutgoingReply, attempt: Attempt | None, now: datetime) -> None:
    if attempt is not None and attempt.state == "sending":
        attempt.state = "deferred"
        attempt.lease_owner = None
    reply.status = "pending"
    _free(reply, now)


def _free(reply: OutgoingReply, now: datetime) -> None:
    # The fence rises, so that a stopped engine that wakes up again finds every one of its writes refused.
    reply.fence += 1
    reply.lease_owner = None
    reply.updated_at = now
