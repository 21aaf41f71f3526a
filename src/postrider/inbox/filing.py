"""Files inbound messages in conversations: one for each enrollment that anything came back from."""

from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from postrider.campaigns.tables import Enrollment
from postrider.inbox.rules import OPEN
from postrider.inbox.tables import Conversation, InboundMessage
from postrider.kernel.ids import new_id

PREVIEW_CHARS: Final = 200
_RULES_OWN: Final = (None, "rule")


def note_reply(session: Session, message: InboundMessage, enrollment: Enrollment, now: datetime) -> Conversation:
    """The conversation with a person's message added: unread, in front, and back if somebody had removed it."""
    row = _conversation(session, message, enrollment, now)
    row.unread_count += 1
    row.preview = _preview(message)
    row.last_reply_at = message.received_at
    row.mailbox_id = message.mailbox_id
    row.status = OPEN
    row.updated_at = now
    message.conversation_id = row.id
    return row


def note_automatic(session: Session, message: InboundMessage, enrollment: Enrollment, now: datetime) -> Conversation:
    """The conversation with a machine's message added: there to be seen, but neither unread nor in front."""
    row = _conversation(session, message, enrollment, now)
    row.updated_at = now
    message.conversation_id = row.id
    message.read_at = now
    return row


def suggest_tag(row: Conversation, tag: str, now: datetime) -> None:
    """Labels the conversation by rule, unless a person, an agent or a model has done so.

    "neutral" says nothing, so it never replaces what an earlier message said.
    """
    if row.ai_tag_source not in _RULES_OWN or (tag == "neutral" and row.ai_tag is not None):
        return
    row.ai_tag, row.ai_tag_source, row.ai_tagged_at = tag, "rule", now


def _conversation(session: Session, message: InboundMessage, enrollment: Enrollment, now: datetime) -> Conversation:
    query = select(Conversation).where(
        Conversation.workspace_id == enrollment.workspace_id, Conversation.enrollment_id == enrollment.id
    )
    row = session.scalars(query).one_or_none()
    if row is None:
        row = Conversation(
            workspace_id=enrollment.workspace_id,
            id=new_id("conv"),
            enrollment_id=enrollment.id,
            campaign_id=enrollment.campaign_id,
            lead_id=enrollment.lead_id,
            mailbox_id=message.mailbox_id,
            status=OPEN,
            ai_tag=None,
            ai_tag_source=None,
            ai_tagged_at=None,
            tags=[],
            unread_count=0,
            preview=_preview(message),
            last_reply_at=message.received_at,
            created_at=now,
            updated_at=now,
        )
        session.add(row)
        session.flush()
    return row


def _preview(message: InboundMessage) -> str:
    return " ".join((message.new_text or message.text).split())[:PREVIEW_CHARS]
