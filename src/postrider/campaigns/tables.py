"""Campaigns, the enrollments of leads in them, and what they have sent day by day."""

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from postrider.storage.base import JSON_TYPE, Base, Id, Instant, Json, JsonObject, JsonStrings, LongText, ShortText


class Campaign(Base):
    """One campaign. ``revision`` rises with every change of content, recipients, mailboxes or settings.

    ``sequence`` is the list of steps with stable ids (see campaigns/sequence.py); the other documents likewise have
    their models there. ``credential_id``: what it was last started with; the caps of that credential hold for it.
    ``held_to``: credentials whose caps hold for it too, because they have changed what leaves since (access/causes.py).
    """

    __tablename__ = "campaigns"
    __table_args__ = (Index("ix_campaigns_status", "status"),)

    workspace_id: Mapped[Id] = mapped_column(primary_key=True)
    id: Mapped[Id] = mapped_column(primary_key=True)
    user_id: Mapped[Id]
    name: Mapped[ShortText]
    status: Mapped[ShortText]
    revision: Mapped[int]
    sequence: Mapped[list[JsonObject]] = mapped_column(JSON_TYPE)
    subsequences: Mapped[list[JsonObject]] = mapped_column(JSON_TYPE)
    schedule: Mapped[Json]
    settings: Mapped[Json]
    mailbox_ids: Mapped[JsonStrings]
    credential_id: Mapped[Id | None]
    held_to: Mapped[JsonStrings | None]
    started_at: Mapped[Instant | None]
    completed_at: Mapped[Instant | None]
    created_at: Mapped[Instant]
    updated_at: Mapped[Instant]


class CampaignChange(Base):
    """A change of a campaign that not all of its leads have followed yet: those up to ``after_lead_id`` have.

    See campaigns/following.py.
    """

    __tablename__ = "campaign_changes"

    workspace_id: Mapped[Id] = mapped_column(primary_key=True)
    campaign_id: Mapped[Id] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    change: Mapped[Json]
    after_lead_id: Mapped[Id]


class Enrollment(Base):
    """One lead in one campaign (SendKit: campaign lead).

    ``next_step``: position among the email steps that comes next. ``last_step``: the highest position ever attempted
    (-1: none); no position at or below it is sent again. ``moved_revision``: both have followed the campaign's edits up
    to this revision, where they did so before the other leads' turn came. ``queue``: see campaigns/states.py.
    ``due_at`` None: nothing to send (waiting for an outcome, or done). ``sleep_until``: the planner has looked and
    found it closed until then. ``lease_owner``: the engine that works on it now; ``fence`` rises with every claim: a
    late writer is refused; ``claim``: what the claim was counted on, to be given back when nothing was sent.
    ``credential_id``: the credential with a limit that put the lead there, changed it or let it go on; its emails count
    on that one, whoever starts the campaign.
    """

    __tablename__ = "enrollments"
    __table_args__ = (
        UniqueConstraint("workspace_id", "campaign_id", "lead_id"),
        Index("ix_enrollments_due", "workspace_id", "campaign_id", "status", "queue", "due_at", "id"),
        Index("ix_enrollments_place", "workspace_id", "campaign_id", "status", "next_step"),
        Index("ix_enrollments_lead", "workspace_id", "lead_id"),
        Index("ix_enrollments_lease", "lease_owner"),
    )

    workspace_id: Mapped[Id] = mapped_column(primary_key=True)
    id: Mapped[Id] = mapped_column(primary_key=True)
    campaign_id: Mapped[Id]
    lead_id: Mapped[Id]
    status: Mapped[ShortText]
    stop_reason: Mapped[ShortText | None]
    stop_detail: Mapped[LongText | None]
    hold_reason: Mapped[LongText | None]
    next_step: Mapped[int]
    last_step: Mapped[int]
    moved_revision: Mapped[int] = mapped_column(default=0)
    queue: Mapped[int]
    due_at: Mapped[Instant | None]
    sleep_until: Mapped[Instant | None]
    mailbox_id: Mapped[Id | None]
    thread_subject: Mapped[LongText | None]
    thread_ids: Mapped[JsonStrings]
    last_accepted_at: Mapped[Instant | None]
    opened_at: Mapped[Instant | None]
    clicked_at: Mapped[Instant | None]
    replied_at: Mapped[Instant | None]
    bounced_at: Mapped[Instant | None]
    unsubscribed_at: Mapped[Instant | None]
    soft_bounces: Mapped[int]
    lease_owner: Mapped[ShortText | None]
    fence: Mapped[int]
    claim: Mapped[Json | None]
    credential_id: Mapped[Id | None]
    created_at: Mapped[Instant]
    updated_at: Mapped[Instant]


class DailyCount(Base):
    """A campaign's events added up by UTC day, written in the same transaction as the events themselves.

    ``campaign_id`` and the other ids are empty where an event has none.
    """

    __tablename__ = "daily_counts"

    workspace_id: Mapped[Id] = mapped_column(primary_key=True)
    campaign_id: Mapped[Id] = mapped_column(primary_key=True)
    day: Mapped[ShortText] = mapped_column(primary_key=True)
    mailbox_id: Mapped[Id] = mapped_column(primary_key=True)
    step_id: Mapped[Id] = mapped_column(primary_key=True)
    variant: Mapped[ShortText] = mapped_column(primary_key=True)
    kind: Mapped[ShortText] = mapped_column(primary_key=True)
    count: Mapped[int]
