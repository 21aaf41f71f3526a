"""Mailboxes: the accounts that mail leaves from and replies come to."""

from sqlalchemy import BigInteger, Index, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from postrider.storage.base import Base, Id, Instant, Json, JsonStrings, LongText, ShortText


class Mailbox(Base):
    """One account.

    ``smtp`` and ``imap`` hold host, port, security and username; the passwords stand sealed beside them. ``status`` is
    pending, active, error or suspended. ``last_error`` is about sending, ``read_error`` about reading: neither hides
    the other. ``read_stopped_at``: since when nothing but trouble with reading keeps the mailbox in ``error``, so that
    reading which works again ends it. ``cool_until``: no send before it. ``free_at``: when the pause after the last
    send ends. ``read_lease_owner``: which engine reads its folders now.
    """

    __tablename__ = "mailboxes"
    __table_args__ = (UniqueConstraint("workspace_id", "email"),)

    workspace_id: Mapped[Id] = mapped_column(primary_key=True)
    id: Mapped[Id] = mapped_column(primary_key=True)
    email: Mapped[ShortText]
    display_name: Mapped[ShortText]
    provider: Mapped[ShortText]
    smtp: Mapped[Json | None]
    smtp_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    imap: Mapped[Json | None]
    imap_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    daily_send_limit: Mapped[int]
    signature: Mapped[LongText]
    timezone: Mapped[ShortText]
    sending_enabled: Mapped[bool]
    status: Mapped[ShortText]
    last_error: Mapped[LongText | None]
    read_error: Mapped[LongText | None]
    read_stopped_at: Mapped[Instant | None]
    tags: Mapped[JsonStrings]
    cool_until: Mapped[Instant | None]
    cool_count: Mapped[int]
    policy_strikes: Mapped[int]
    consecutive_failures: Mapped[int]
    last_sent_at: Mapped[Instant | None]
    free_at: Mapped[Instant | None]
    total_sent: Mapped[int]
    total_received: Mapped[int]
    total_bounced: Mapped[int]
    last_polled_at: Mapped[Instant | None]
    read_lease_owner: Mapped[ShortText | None]
    created_at: Mapped[Instant]
    updated_at: Mapped[Instant]


class MailboxFolder(Base):
    """How far one folder was read; moves in the transaction that stores its messages. See FolderCursor."""

    __tablename__ = "mailbox_folders"

    workspace_id: Mapped[Id] = mapped_column(primary_key=True)
    mailbox_id: Mapped[Id] = mapped_column(primary_key=True)
    folder: Mapped[ShortText] = mapped_column(primary_key=True)
    role: Mapped[ShortText]
    uid_validity: Mapped[int] = mapped_column(BigInteger)
    last_uid: Mapped[int] = mapped_column(BigInteger)
    rescan_to: Mapped[int | None] = mapped_column(BigInteger)
    updated_at: Mapped[Instant]


class SendDay(Base):
    """How much a mailbox or campaign has used of one local day: counted when an attempt begins, given back unburnt."""

    __tablename__ = "send_days"
    __table_args__ = (Index("ix_send_days_day", "day"),)

    workspace_id: Mapped[Id] = mapped_column(primary_key=True)
    owner_id: Mapped[Id] = mapped_column(primary_key=True)
    day: Mapped[ShortText] = mapped_column(primary_key=True)
    sent: Mapped[int]
    new_leads: Mapped[int]
