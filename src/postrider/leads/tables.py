"""Leads: people who may be written to, one row per address and workspace."""

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from postrider.storage.base import Base, Id, Instant, Json, LongText, ShortText


class Lead(Base):
    """One person. ``email`` is canonical (lower case); ``company_domain`` is None for free-mail addresses."""

    __tablename__ = "leads"
    __table_args__ = (
        UniqueConstraint("workspace_id", "email"),
        Index("ix_leads_company", "workspace_id", "company_domain"),
    )

    workspace_id: Mapped[Id] = mapped_column(primary_key=True)
    id: Mapped[Id] = mapped_column(primary_key=True)
    email: Mapped[ShortText]
    company_domain: Mapped[ShortText | None]
    first_name: Mapped[ShortText | None]
    last_name: Mapped[ShortText | None]
    company_name: Mapped[ShortText | None]
    job_title: Mapped[ShortText | None]
    phone: Mapped[ShortText | None]
    linkedin_url: Mapped[LongText | None]
    website: Mapped[LongText | None]
    city: Mapped[ShortText | None]
    state: Mapped[ShortText | None]
    country: Mapped[ShortText | None]
    timezone: Mapped[ShortText | None]
    notes: Mapped[LongText | None]
    custom_fields: Mapped[Json]
    email_verification_status: Mapped[ShortText]
    created_at: Mapped[Instant]
    updated_at: Mapped[Instant]


class LeadTag(Base):
    """One tag on one lead. ``tag_key`` is the tag in lower case; ``tag`` is what the user wrote."""

    __tablename__ = "lead_tags"
    __table_args__ = (Index("ix_lead_tags_lead", "workspace_id", "lead_id"),)

    workspace_id: Mapped[Id] = mapped_column(primary_key=True)
    tag_key: Mapped[ShortText] = mapped_column(primary_key=True)
    lead_id: Mapped[Id] = mapped_column(primary_key=True)
    tag: Mapped[ShortText]
