"""Yeses: tokens that were used up, and what waits for a person."""

from sqlalchemy import BigInteger, Index
from sqlalchemy.orm import Mapped, mapped_column

from postrider.storage.base import Base, Id, Instant, Json, LongText, ShortText


class UsedToken(Base):
    """A confirm token that has been used; kept until it would have run out (wall time, milliseconds since 1970).

    ``given_back``: how often nothing has come of the call that used it; ``is_used`` False: so it was the last time.
    """

    __tablename__ = "used_confirm_tokens"
    __table_args__ = (Index("ix_used_confirm_tokens_expires_ms", "expires_ms"),)

    workspace_id: Mapped[Id] = mapped_column(primary_key=True)
    nonce: Mapped[ShortText] = mapped_column(primary_key=True)
    expires_ms: Mapped[int] = mapped_column(BigInteger)
    is_used: Mapped[bool]
    given_back: Mapped[int]


class Approval(Base):
    """A call that waits for a person. ``status``: pending, granted, denied or used; past ``expires_at`` it means no.

    ``call_hash``: of operation, arguments, credential and the revision of what it is done to. ``arguments`` may hold
    secrets and strangers' words, and are not shown; ``facts`` are ours. ``given_back``: how often nothing has come of
    the call that used it.
    """

    __tablename__ = "approvals"
    __table_args__ = (Index("ix_approvals_call", "workspace_id", "call_hash"),)

    workspace_id: Mapped[Id] = mapped_column(primary_key=True)
    id: Mapped[Id] = mapped_column(primary_key=True)
    operation: Mapped[ShortText]
    call_hash: Mapped[ShortText]
    facts: Mapped[Json]
    credential_id: Mapped[Id]
    user_id: Mapped[Id]
    client_id: Mapped[LongText | None]
    door: Mapped[ShortText]
    status: Mapped[ShortText]
    created_at: Mapped[Instant]
    expires_at: Mapped[Instant]
    decided_at: Mapped[Instant | None]
    decided_by: Mapped[Id | None]
    given_back: Mapped[int]
