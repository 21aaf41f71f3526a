"""Conversations and the mail that came in."""

from sqlalchemy import BigInteger, Index, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from postrider.sending.tables import OutgoingReply
from postrider.storage.base import JSON_TYPE, Base, Id, Instant, JsonObject, JsonStrings, LongText, ShortText

__all__ = ["Conversation", "InboundMessage", "OutgoingReply"]


class Conversation(Base):
    """A thread with one lead. ``ai_tag_source``: rule, agent (a caller's choice) or model; a caller's choice stays."""

    __tablename__ = "conversations"
    __table_args__ = (
        UniqueConstraint("workspace_id", "enrollment_id"),
        Index("ix_conversations_recent", "workspace_id", "status", "last_reply_at", "id"),
    )

    workspace_id: Mapped[Id] = mapped_column(primary_key=True)
    id: Mapped[Id] = mapped_column(primary_key=True)
    enrollment_id: Mapped[Id]
    campaign_id: Mapped[Id]
    lead_id: Mapped[Id]
    mailbox_id: Mapped[Id]
    status: Mapped[ShortText]
    ai_tag: Mapped[ShortText | None]
    ai_tag_source: Mapped[ShortText | None]
    ai_tagged_at: Mapped[Instant | None]
    tags: Mapped[JsonStrings]
    unread_count: Mapped[int]
    preview: Mapped[LongText]
    last_reply_at: Mapped[Instant]
    created_at: Mapped[Instant]
    updated_at: Mapped[Instant]


class InboundMessage(Base):
    """One message that came in, stored once whatever happens. ``match``: strong, weak or none.

    ``raw`` is kept only for messages that could not be parsed (kind poison), for a person to look at.
    """

    __tablename__ = "inbound_messages"
    __table_args__ = (
        UniqueConstraint("workspace_id", "mailbox_id", "dedupe_key"),
        Index("ix_inbound_conversation", "workspace_id", "conversation_id", "received_at"),
        Index("ix_inbound_message_id", "workspace_id", "message_id"),
    )

    workspace_id: Mapped[Id] = mapped_column(primary_key=True)
    id: Mapped[Id] = mapped_column(primary_key=True)
    mailbox_id: Mapped[Id]
    conversation_id: Mapped[Id | None]
    enrollment_id: Mapped[Id | None]
    attempt_id: Mapped[Id | None]
    kind: Mapped[ShortText]
    rule: Mapped[ShortText]
    sub_kind: Mapped[ShortText | None]
    match: Mapped[ShortText]
    dedupe_key: Mapped[ShortText]
    message_id: Mapped[LongText | None]
    thread_ids: Mapped[JsonStrings]
    from_email: Mapped[ShortText | None]
    from_name: Mapped[LongText]
    subject: Mapped[LongText]
    text: Mapped[LongText]
    new_text: Mapped[LongText]
    html: Mapped[LongText | None]
    attachments: Mapped[list[JsonObject]] = mapped_column(JSON_TYPE)
    defects: Mapped[JsonStrings]
    raw: Mapped[bytes | None] = mapped_column(LargeBinary)
    size_bytes: Mapped[int]
    received_at: Mapped[Instant]
    read_at: Mapped[Instant | None]
    folder: Mapped[ShortText]
    uid_validity: Mapped[int] = mapped_column(BigInteger)
    uid: Mapped[int] = mapped_column(BigInteger)
