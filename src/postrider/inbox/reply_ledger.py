"""The two markers of a reply, each with its guards checked in the transaction that writes it.

As for campaign emails: a crash before the second marker leaves nothing accepted; after it, an unknown.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy.orm import Session

from postrider.inbox.reply_work import ReplyBegun, ReplyWork
from postrider.kernel.ids import new_id
from postrider.sending.cap_queries import count_message
from postrider.sending.capped import next_utc_midnight
from postrider.sending.guards import CLAIM_LOST, Objection, objection
from postrider.sending.ledger import OPEN_STATES, attempt_values, begin_other, dot_attempt
from postrider.sending.standing import Question, read_standing
from postrider.sending.tables import Attempt, OutgoingReply
from postrider.sending.usage import count_alone

PURPOSE: Final = "reply"
CREDENTIAL_LIMIT: Final = "credential_daily_limit"

_ROW: Final = select(OutgoingReply.status, OutgoingReply.lease_owner, OutgoingReply.fence).where(
    OutgoingReply.workspace_id == bindparam("b_workspace_id"), OutgoingReply.id == bindparam("b_id")
)
_KNOWN: Final = select(
    Attempt.id, Attempt.state, Attempt.message_id, Attempt.content, Attempt.tries, Attempt.first_try_at
).where(
    Attempt.workspace_id == bindparam("b_workspace_id"),
    Attempt.purpose == PURPOSE,
    Attempt.purpose_key == bindparam("b_key"),
)


def begin_reply(connection: Connection, work: ReplyWork, message_id: str, now: datetime) -> ReplyBegun | Objection:
    """Writes the first marker, unless a guard objects, the reply has left before or its writer's day is used up.

    A deferred attempt goes on under its own Message-ID and with its own words.
    """
    if work.capped is not None:
        count_alone(connection, work.workspace_id)
    found = _objection(connection, work, now)
    if found is not None:
        return found
    known = connection.execute(_KNOWN, {"b_workspace_id": work.workspace_id, "b_key": work.reply_id}).one_or_none()
    if known is not None and known.state not in OPEN_STATES:
        return Objection("not_attempted_before", "already_attempted", f"this reply is {known.state}")
    found = _count(connection, work, now)
    if found is not None:
        return found
    if known is None:
        return _write_first(connection, work, message_id, now)
    begun = ReplyBegun(known.id, known.message_id, now, known.first_try_at, known.content, known.tries + 1)
    connection.execute(
        update(Attempt)
        .where(Attempt.workspace_id == work.workspace_id, Attempt.id == known.id)
        .values(
            state="sending",
            tries=begun.tries,
            sending_at=now,
            dotted_at=None,
            mailbox_day=work.claim.mailbox_day,
            copies=[*work.copies, *work.blind_copies],
            credential_id=_counted_for(work),
            lease_owner=work.claim.owner,
            fence=work.claim.fence,
        )
    )
    return begun


def dot_reply(connection: Connection, work: ReplyWork, begun: ReplyBegun, now: datetime) -> Objection | None:
    """Writes the second marker, unless a guard objects; then the dot must not be sent."""
    found = _objection(connection, work, now)
    return found or dot_attempt(connection, work.workspace_id, begun.attempt_id, work.claim, now)


def _objection(connection: Connection, work: ReplyWork, now: datetime) -> Objection | None:
    standing = read_standing(
        connection,
        work.workspace_id,
        Question(
            mailbox_id=work.sender.account.mailbox_id,
            hashes=work.hashes,
            skip_dnc=False,
            owner=work.claim.owner,
            fence=work.claim.fence,
            copies=work.copy_hashes,
            copies_binding_only=True,
        ),
    )
    row = connection.execute(
        _ROW.with_for_update(read=True), {"b_workspace_id": work.workspace_id, "b_id": work.reply_id}
    ).one_or_none()
    if row is None or tuple(row) != ("sending", work.claim.owner, work.claim.fence):
        return Objection("claim_holds", CLAIM_LOST, "another engine has taken this over")
    return objection(standing, now)


def _count(connection: Connection, work: ReplyWork, now: datetime) -> Objection | None:
    """Counts the reply on the limit of whoever wrote it; an objection where that is used up."""
    full = None if work.capped is None else count_message(connection, work.workspace_id, work.capped, now)
    reached = None if full is None else full.reached(now)
    if full is None or reached is None:
        return None
    until = reached.until or next_utc_midnight(now)
    return Objection(CREDENTIAL_LIMIT, CREDENTIAL_LIMIT, f"it has to wait: {full.told(now)}", until)


def _counted_for(work: ReplyWork) -> str | None:
    return None if work.capped is None else work.capped.credential_id


def _write_first(connection: Connection, work: ReplyWork, message_id: str, now: datetime) -> ReplyBegun:
    attempt_id, content = new_id("att"), work.words()
    values: dict[str, object] = {
        **attempt_values(work.workspace_id, attempt_id, work.claim, message_id, now),
        "mailbox_id": work.sender.account.mailbox_id,
        "recipient": work.recipient_email,
        "campaign_id": work.campaign_id,
        "enrollment_id": work.enrollment_id,
        "lead_id": work.lead_id,
        "conversation_id": work.conversation_id,
        "copies": [*work.copies, *work.blind_copies],
        "credential_id": _counted_for(work),
    }
    begin_other(connection, values, PURPOSE, work.reply_id, content)
    return ReplyBegun(attempt_id, message_id, now, now, content)


def close_deferred(connection: Connection | Session, workspace_id: str, reply_id: str, now: datetime) -> None:
    """Ends the attempt of a reply that was put off once and will not be tried again."""
    connection.execute(
        update(Attempt)
        .where(
            Attempt.workspace_id == workspace_id,
            Attempt.purpose == PURPOSE,
            Attempt.purpose_key == reply_id,
            Attempt.state.in_(OPEN_STATES),
        )
        .values(state="cancelled", done_at=now)
    )
