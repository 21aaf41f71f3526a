"""The ledger of everything that leaves, and the events that follow from it."""

from sqlalchemy import Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from postrider.storage.base import Base, Id, Instant, Json, JsonStrings, LongText, ShortText


def _partial_index(name: str, *columns: str, where: str) -> Index:
    """An index of the few rows that fit ``where``, which the many others cost nothing."""
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


class Attempt(Base):
    """One outgoing message of any kind. Written durably before the first byte of MAIL.

    ``state``: sending (first marker) → dotted (second marker, just before the final dot) → sent | rejected | deferred
    (comes again with the same Message-ID) | unknown | cancelled. ``content``: the rendered subject, html and text, so
    that a retry sends the same words. ``found_id``: the Message-ID under which the provider stored it.
    ``credential_id``: on whose limit this try of a reply or a test was counted, on the UTC day of ``sending_at``.
    """

    __tablename__ = "attempts"
    __table_args__ = (
        UniqueConstraint("workspace_id", "purpose", "purpose_key"),
        Index("ix_attempts_message_id", "workspace_id", "message_id"),
        Index("ix_attempts_enrollment", "workspace_id", "enrollment_id"),
        Index("ix_attempts_recipient", "workspace_id", "recipient"),
        _partial_index("ix_attempts_server_id", "workspace_id", "server_id", where="server_id IS NOT NULL"),
        _partial_index("ix_attempts_found_id", "workspace_id", "found_id", where="found_id IS NOT NULL"),
        _partial_index("ix_attempts_unknown", "workspace_id", "mailbox_id", where="state = 'unknown'"),
        _partial_index("ix_attempts_tests", "sending_at", where="purpose = 'test'"),
    )

    workspace_id: Mapped[Id] = mapped_column(primary_key=True)
    id: Mapped[Id] = mapped_column(primary_key=True)
    purpose: Mapped[ShortText]
    purpose_key: Mapped[ShortText]
    state: Mapped[ShortText]
    mailbox_id: Mapped[Id]
    recipient: Mapped[ShortText]
    campaign_id: Mapped[Id | None]
    enrollment_id: Mapped[Id | None]
    lead_id: Mapped[Id | None]
    conversation_id: Mapped[Id | None]
    step_id: Mapped[Id | None]
    step_index: Mapped[int | None]
    variant: Mapped[ShortText | None]
    message_id: Mapped[ShortText]
    server_id: Mapped[ShortText | None]
    found_id: Mapped[ShortText | None]
    content: Mapped[Json]
    copies: Mapped[JsonStrings]
    refused_copies: Mapped[JsonStrings]
    tries: Mapped[int]
    first_try_at: Mapped[Instant]
    mailbox_day: Mapped[ShortText]
    campaign_day: Mapped[ShortText | None]
    credential_id: Mapped[Id | None]
    sending_at: Mapped[Instant]
    dotted_at: Mapped[Instant | None]
    done_at: Mapped[Instant | None]
    result_kind: Mapped[ShortText | None]
    result_code: Mapped[int | None]
    result_enhanced: Mapped[ShortText | None]
    result_text: Mapped[LongText | None]
    opened_at: Mapped[Instant | None]
    clicked_at: Mapped[Instant | None]
    lease_owner: Mapped[ShortText | None]
    fence: Mapped[int]


class Event(Base):
    """One thing that happened to a lead, a mailbox or a campaign; the source of analytics and of ``explain_lead``."""

    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_enrollment", "workspace_id", "enrollment_id", "at"),
        Index("ix_events_campaign", "workspace_id", "campaign_id", "at"),
    )

    workspace_id: Mapped[Id] = mapped_column(primary_key=True)
    id: Mapped[Id] = mapped_column(primary_key=True)
    at: Mapped[Instant]
    kind: Mapped[ShortText]
    campaign_id: Mapped[Id | None]
    enrollment_id: Mapped[Id | None]
    lead_id: Mapped[Id | None]
    mailbox_id: Mapped[Id | None]
    attempt_id: Mapped[Id | None]
    data: Mapped[Json]


class UnsubscribeToken(Base):
    """One random token for one address in one workspace. It outlives lead, campaign and keys and never expires.

    ``email_hash`` is the hash under which the do-not-contact list keeps the address, so that the token alone suffices
    to list it. ``lead_id``: who had the address when it was last written to, perhaps deleted since.
    """

    __tablename__ = "unsubscribe_tokens"
    __table_args__ = (UniqueConstraint("token"),)

    workspace_id: Mapped[Id] = mapped_column(primary_key=True)
    email_hash: Mapped[ShortText] = mapped_column(primary_key=True)
    token: Mapped[ShortText]
    lead_id: Mapped[Id | None]
    created_at: Mapped[Instant]


class OutgoingReply(Base):
    """A reply written by a person or an agent. ``status``: pending, sending, sent, failed or cancelled."""

    __tablename__ = "outgoing_replies"
    __table_args__ = (
        Index("ix_outgoing_replies_due", "status", "scheduled_for"),
        Index("ix_outgoing_replies_conversation", "workspace_id", "conversation_id"),
        Index("ix_outgoing_replies_lease", "lease_owner"),
    )

    workspace_id: Mapped[Id] = mapped_column(primary_key=True)
    id: Mapped[Id] = mapped_column(primary_key=True)
    conversation_id: Mapped[Id]
    enrollment_id: Mapped[Id]
    mailbox_id: Mapped[Id]
    body: Mapped[LongText]
    cc: Mapped[JsonStrings]
    bcc: Mapped[JsonStrings]
    scheduled_for: Mapped[Instant]
    is_scheduled: Mapped[bool]
    status: Mapped[ShortText]
    error: Mapped[LongText | None]
    created_by: Mapped[ShortText]
    lease_owner: Mapped[ShortText | None]
    fence: Mapped[int]
    created_at: Mapped[Instant]
    updated_at: Mapped[Instant]
