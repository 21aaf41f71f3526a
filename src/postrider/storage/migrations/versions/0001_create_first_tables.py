"""Create the first tables.

Revision ID: 0001
Revises: None
"""

import sqlalchemy as sa
from alembic import op

from postrider.storage.base import JSON_TYPE, UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Every table of the first release."""
    op.create_table(
        "agents",
        sa.Column("workspace_id", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=320), nullable=False),
        sa.Column("company_info", JSON_TYPE, nullable=False),
        sa.Column("persona", JSON_TYPE, nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("usage", JSON_TYPE, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_agents")),
    )
    op.create_index("ix_agents_created", "agents", ["workspace_id", "created_at"], unique=False)
    op.create_table(
        "attempts",
        sa.Column("workspace_id", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("purpose", sa.String(length=320), nullable=False),
        sa.Column("purpose_key", sa.String(length=320), nullable=False),
        sa.Column("state", sa.String(length=320), nullable=False),
        sa.Column("mailbox_id", sa.String(length=40), nullable=False),
        sa.Column("recipient", sa.String(length=320), nullable=False),
        sa.Column("campaign_id", sa.String(length=40), nullable=True),
        sa.Column("enrollment_id", sa.String(length=40), nullable=True),
        sa.Column("lead_id", sa.String(length=40), nullable=True),
        sa.Column("conversation_id", sa.String(length=40), nullable=True),
        sa.Column("step_id", sa.String(length=40), nullable=True),
        sa.Column("step_index", sa.Integer(), nullable=True),
        sa.Column("variant", sa.String(length=320), nullable=True),
        sa.Column("message_id", sa.String(length=320), nullable=False),
        sa.Column("server_id", sa.String(length=320), nullable=True),
        sa.Column("found_id", sa.String(length=320), nullable=True),
        sa.Column("content", JSON_TYPE, nullable=False),
        sa.Column("copies", JSON_TYPE, nullable=False),
        sa.Column("refused_copies", JSON_TYPE, nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("first_try_at", UtcDateTime(), nullable=False),
        sa.Column("mailbox_day", sa.String(length=320), nullable=False),
        sa.Column("campaign_day", sa.String(length=320), nullable=True),
        sa.Column("sending_at", UtcDateTime(), nullable=False),
        sa.Column("dotted_at", UtcDateTime(), nullable=True),
        sa.Column("done_at", UtcDateTime(), nullable=True),
        sa.Column("result_kind", sa.String(length=320), nullable=True),
        sa.Column("result_code", sa.Integer(), nullable=True),
        sa.Column("result_enhanced", sa.String(length=320), nullable=True),
        sa.Column("result_text", sa.Text(), nullable=True),
        sa.Column("opened_at", UtcDateTime(), nullable=True),
        sa.Column("clicked_at", UtcDateTime(), nullable=True),
        sa.Column("lease_owner", sa.String(length=320), nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_attempts")),
        sa.UniqueConstraint(
            "workspace_id", "purpose", "purpose_key", name=op.f("uq_attempts_workspace_id_purpose_purpose_key")
        ),
    )
    op.create_index("ix_attempts_enrollment", "attempts", ["workspace_id", "enrollment_id"], unique=False)
    op.create_index(
        "ix_attempts_found_id",
        "attempts",
        ["workspace_id", "found_id"],
        unique=False,
        sqlite_where=sa.text("found_id IS NOT NULL"),
        postgresql_where=sa.text("found_id IS NOT NULL"),
    )
    op.create_index("ix_attempts_message_id", "attempts", ["workspace_id", "message_id"], unique=False)
    op.create_index("ix_attempts_recipient", "attempts", ["workspace_id", "recipient"], unique=False)
    op.create_index(
        "ix_attempts_server_id",
        "attempts",
        ["workspace_id", "server_id"],
        unique=False,
        sqlite_where=sa.text("server_id IS NOT NULL"),
        postgresql_where=sa.text("server_id IS NOT NULL"),
    )
    op.create_index(
        "ix_attempts_tests",
        "attempts",
        ["sending_at"],
        unique=False,
        sqlite_where=sa.text("purpose = 'test'"),
        postgresql_where=sa.text("purpose = 'test'"),
    )
    op.create_index(
        "ix_attempts_unknown",
        "attempts",
        ["workspace_id", "mailbox_id"],
        unique=False,
        sqlite_where=sa.text("state = 'unknown'"),
        postgresql_where=sa.text("state = 'unknown'"),
    )
    op.create_table(
        "campaign_changes",
        sa.Column("workspace_id", sa.String(length=40), nullable=False),
        sa.Column("campaign_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("change", JSON_TYPE, nullable=False),
        sa.Column("after_lead_id", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "campaign_id", "number", name=op.f("pk_campaign_changes")),
    )
    op.create_table(
        "campaigns",
        sa.Column("workspace_id", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=320), nullable=False),
        sa.Column("status", sa.String(length=320), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("sequence", JSON_TYPE, nullable=False),
        sa.Column("subsequences", JSON_TYPE, nullable=False),
        sa.Column("schedule", JSON_TYPE, nullable=False),
        sa.Column("settings", JSON_TYPE, nullable=False),
        sa.Column("mailbox_ids", JSON_TYPE, nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=True),
        sa.Column("completed_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_campaigns")),
    )
    op.create_index("ix_campaigns_status", "campaigns", ["status"], unique=False)
    op.create_table(
        "conversations",
        sa.Column("workspace_id", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("enrollment_id", sa.String(length=40), nullable=False),
        sa.Column("campaign_id", sa.String(length=40), nullable=False),
        sa.Column("lead_id", sa.String(length=40), nullable=False),
        sa.Column("mailbox_id", sa.String(length=40), nullable=False),
        sa.Column("status", sa.String(length=320), nullable=False),
        sa.Column("ai_tag", sa.String(length=320), nullable=True),
        sa.Column("ai_tag_source", sa.String(length=320), nullable=True),
        sa.Column("ai_tagged_at", UtcDateTime(), nullable=True),
        sa.Column("tags", JSON_TYPE, nullable=False),
        sa.Column("unread_count", sa.Integer(), nullable=False),
        sa.Column("preview", sa.Text(), nullable=False),
        sa.Column("last_reply_at", UtcDateTime(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_conversations")),
        sa.UniqueConstraint("workspace_id", "enrollment_id", name=op.f("uq_conversations_workspace_id_enrollment_id")),
    )
    op.create_index(
        "ix_conversations_recent", "conversations", ["workspace_id", "status", "last_reply_at", "id"], unique=False
    )
    op.create_table(
        "daily_counts",
        sa.Column("workspace_id", sa.String(length=40), nullable=False),
        sa.Column("campaign_id", sa.String(length=40), nullable=False),
        sa.Column("day", sa.String(length=320), nullable=False),
        sa.Column("mailbox_id", sa.String(length=40), nullable=False),
        sa.Column("step_id", sa.String(length=40), nullable=False),
        sa.Column("variant", sa.String(length=320), nullable=False),
        sa.Column("kind", sa.String(length=320), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint(
            "workspace_id",
            "campaign_id",
            "day",
            "mailbox_id",
            "step_id",
            "variant",
            "kind",
            name=op.f("pk_daily_counts"),
        ),
    )
    op.create_table(
        "dnc_entries",
        sa.Column("workspace_id", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=320), nullable=False),
        sa.Column("value_hash", sa.String(length=320), nullable=False),
        sa.Column("value", sa.String(length=320), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("source", sa.String(length=320), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_dnc_entries")),
        sa.UniqueConstraint(
            "workspace_id", "value_hash", "kind", name=op.f("uq_dnc_entries_workspace_id_value_hash_kind")
        ),
    )
    op.create_table(
        "engine_leases",
        sa.Column("owner", sa.String(length=320), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_engine_leases")),
    )
    op.create_table(
        "enrollments",
        sa.Column("workspace_id", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("campaign_id", sa.String(length=40), nullable=False),
        sa.Column("lead_id", sa.String(length=40), nullable=False),
        sa.Column("status", sa.String(length=320), nullable=False),
        sa.Column("stop_reason", sa.String(length=320), nullable=True),
        sa.Column("stop_detail", sa.Text(), nullable=True),
        sa.Column("hold_reason", sa.Text(), nullable=True),
        sa.Column("next_step", sa.Integer(), nullable=False),
        sa.Column("last_step", sa.Integer(), nullable=False),
        sa.Column("moved_revision", sa.Integer(), nullable=False),
        sa.Column("queue", sa.Integer(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=True),
        sa.Column("sleep_until", UtcDateTime(), nullable=True),
        sa.Column("mailbox_id", sa.String(length=40), nullable=True),
        sa.Column("thread_subject", sa.Text(), nullable=True),
        sa.Column("thread_ids", JSON_TYPE, nullable=False),
        sa.Column("last_accepted_at", UtcDateTime(), nullable=True),
        sa.Column("opened_at", UtcDateTime(), nullable=True),
        sa.Column("clicked_at", UtcDateTime(), nullable=True),
        sa.Column("replied_at", UtcDateTime(), nullable=True),
        sa.Column("bounced_at", UtcDateTime(), nullable=True),
        sa.Column("unsubscribed_at", UtcDateTime(), nullable=True),
        sa.Column("soft_bounces", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.String(length=320), nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("claim", JSON_TYPE, nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_enrollments")),
        sa.UniqueConstraint(
            "workspace_id", "campaign_id", "lead_id", name=op.f("uq_enrollments_workspace_id_campaign_id_lead_id")
        ),
    )
    op.create_index(
        "ix_enrollments_due",
        "enrollments",
        ["workspace_id", "campaign_id", "status", "queue", "due_at", "id"],
        unique=False,
    )
    op.create_index("ix_enrollments_lead", "enrollments", ["workspace_id", "lead_id"], unique=False)
    op.create_index("ix_enrollments_lease", "enrollments", ["lease_owner"], unique=False)
    op.create_index(
        "ix_enrollments_place", "enrollments", ["workspace_id", "campaign_id", "status", "next_step"], unique=False
    )
    op.create_table(
        "events",
        sa.Column("workspace_id", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("kind", sa.String(length=320), nullable=False),
        sa.Column("campaign_id", sa.String(length=40), nullable=True),
        sa.Column("enrollment_id", sa.String(length=40), nullable=True),
        sa.Column("lead_id", sa.String(length=40), nullable=True),
        sa.Column("mailbox_id", sa.String(length=40), nullable=True),
        sa.Column("attempt_id", sa.String(length=40), nullable=True),
        sa.Column("data", JSON_TYPE, nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_events")),
    )
    op.create_index("ix_events_campaign", "events", ["workspace_id", "campaign_id", "at"], unique=False)
    op.create_index("ix_events_enrollment", "events", ["workspace_id", "enrollment_id", "at"], unique=False)
    op.create_table(
        "inbound_messages",
        sa.Column("workspace_id", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("mailbox_id", sa.String(length=40), nullable=False),
        sa.Column("conversation_id", sa.String(length=40), nullable=True),
        sa.Column("enrollment_id", sa.String(length=40), nullable=True),
        sa.Column("attempt_id", sa.String(length=40), nullable=True),
        sa.Column("kind", sa.String(length=320), nullable=False),
        sa.Column("rule", sa.String(length=320), nullable=False),
        sa.Column("sub_kind", sa.String(length=320), nullable=True),
        sa.Column("match", sa.String(length=320), nullable=False),
        sa.Column("dedupe_key", sa.String(length=320), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=True),
        sa.Column("thread_ids", JSON_TYPE, nullable=False),
        sa.Column("from_email", sa.String(length=320), nullable=True),
        sa.Column("from_name", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("new_text", sa.Text(), nullable=False),
        sa.Column("html", sa.Text(), nullable=True),
        sa.Column("attachments", JSON_TYPE, nullable=False),
        sa.Column("defects", JSON_TYPE, nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=True),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("read_at", UtcDateTime(), nullable=True),
        sa.Column("folder", sa.String(length=320), nullable=False),
        sa.Column("uid_validity", sa.BigInteger(), nullable=False),
        sa.Column("uid", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_inbound_messages")),
        sa.UniqueConstraint(
            "workspace_id",
            "mailbox_id",
            "dedupe_key",
            name=op.f("uq_inbound_messages_workspace_id_mailbox_id_dedupe_key"),
        ),
    )
    op.create_index(
        "ix_inbound_conversation", "inbound_messages", ["workspace_id", "conversation_id", "received_at"], unique=False
    )
    op.create_index("ix_inbound_message_id", "inbound_messages", ["workspace_id", "message_id"], unique=False)
    op.create_table(
        "job_chunks",
        sa.Column("workspace_id", sa.String(length=40), nullable=False),
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "job_id", "number", name=op.f("pk_job_chunks")),
    )
    op.create_table(
        "jobs",
        sa.Column("workspace_id", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=320), nullable=False),
        sa.Column("state", sa.String(length=320), nullable=False),
        sa.Column("arguments", JSON_TYPE, nullable=False),
        sa.Column("cursor", JSON_TYPE, nullable=False),
        sa.Column("total", sa.Integer(), nullable=True),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("result", JSON_TYPE, nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_by", sa.String(length=320), nullable=False),
        sa.Column("lease_owner", sa.String(length=320), nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_jobs")),
    )
    op.create_index("ix_jobs_lease", "jobs", ["lease_owner"], unique=False)
    op.create_index("ix_jobs_state", "jobs", ["state", "created_at"], unique=False)
    op.create_table(
        "lead_tags",
        sa.Column("workspace_id", sa.String(length=40), nullable=False),
        sa.Column("tag_key", sa.String(length=320), nullable=False),
        sa.Column("lead_id", sa.String(length=40), nullable=False),
        sa.Column("tag", sa.String(length=320), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "tag_key", "lead_id", name=op.f("pk_lead_tags")),
    )
    op.create_index("ix_lead_tags_lead", "lead_tags", ["workspace_id", "lead_id"], unique=False)
    op.create_table(
        "leads",
        sa.Column("workspace_id", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("company_domain", sa.String(length=320), nullable=True),
        sa.Column("first_name", sa.String(length=320), nullable=True),
        sa.Column("last_name", sa.String(length=320), nullable=True),
        sa.Column("company_name", sa.String(length=320), nullable=True),
        sa.Column("job_title", sa.String(length=320), nullable=True),
        sa.Column("phone", sa.String(length=320), nullable=True),
        sa.Column("linkedin_url", sa.Text(), nullable=True),
        sa.Column("website", sa.Text(), nullable=True),
        sa.Column("city", sa.String(length=320), nullable=True),
        sa.Column("state", sa.String(length=320), nullable=True),
        sa.Column("country", sa.String(length=320), nullable=True),
        sa.Column("timezone", sa.String(length=320), nullable=True),
        sa.Column("notes", sa.Text(), nullable=True),
        sa.Column("custom_fields", JSON_TYPE, nullable=False),
        sa.Column("email_verification_status", sa.String(length=320), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_leads")),
        sa.UniqueConstraint("workspace_id", "email", name=op.f("uq_leads_workspace_id_email")),
    )
    op.create_index("ix_leads_company", "leads", ["workspace_id", "company_domain"], unique=False)
    op.create_table(
        "mailbox_folders",
        sa.Column("workspace_id", sa.String(length=40), nullable=False),
        sa.Column("mailbox_id", sa.String(length=40), nullable=False),
        sa.Column("folder", sa.String(length=320), nullable=False),
        sa.Column("role", sa.String(length=320), nullable=False),
        sa.Column("uid_validity", sa.BigInteger(), nullable=False),
        sa.Column("last_uid", sa.BigInteger(), nullable=False),
        sa.Column("rescan_to", sa.BigInteger(), nullable=True),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "mailbox_id", "folder", name=op.f("pk_mailbox_folders")),
    )
    op.create_table(
        "mailboxes",
        sa.Column("workspace_id", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("display_name", sa.String(length=320), nullable=False),
        sa.Column("provider", sa.String(length=320), nullable=False),
        sa.Column("smtp", JSON_TYPE, nullable=True),
        sa.Column("smtp_secret", sa.LargeBinary(), nullable=True),
        sa.Column("imap", JSON_TYPE, nullable=True),
        sa.Column("imap_secret", sa.LargeBinary(), nullable=True),
        sa.Column("daily_send_limit", sa.Integer(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("timezone", sa.String(length=320), nullable=False),
        sa.Column("sending_enabled", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(length=320), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("read_error", sa.Text(), nullable=True),
        sa.Column("read_stopped_at", UtcDateTime(), nullable=True),
        sa.Column("tags", JSON_TYPE, nullable=False),
        sa.Column("cool_until", UtcDateTime(), nullable=True),
        sa.Column("cool_count", sa.Integer(), nullable=False),
        sa.Column("policy_strikes", sa.Integer(), nullable=False),
        sa.Column("consecutive_failures", sa.Integer(), nullable=False),
        sa.Column("last_sent_at", UtcDateTime(), nullable=True),
        sa.Column("free_at", UtcDateTime(), nullable=True),
        sa.Column("total_sent", sa.Integer(), nullable=False),
        sa.Column("total_received", sa.Integer(), nullable=False),
        sa.Column("total_bounced", sa.Integer(), nullable=False),
        sa.Column("last_polled_at", UtcDateTime(), nullable=True),
        sa.Column("read_lease_owner", sa.String(length=320), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_mailboxes")),
        sa.UniqueConstraint("workspace_id", "email", name=op.f("uq_mailboxes_workspace_id_email")),
    )
    op.create_table(
        "meta",
        sa.Column("key", sa.String(length=320), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_meta")),
    )
    op.create_table(
        "outgoing_replies",
        sa.Column("workspace_id", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("conversation_id", sa.String(length=40), nullable=False),
        sa.Column("enrollment_id", sa.String(length=40), nullable=False),
        sa.Column("mailbox_id", sa.String(length=40), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("cc", JSON_TYPE, nullable=False),
        sa.Column("bcc", JSON_TYPE, nullable=False),
        sa.Column("scheduled_for", UtcDateTime(), nullable=False),
        sa.Column("is_scheduled", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(length=320), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_by", sa.String(length=320), nullable=False),
        sa.Column("lease_owner", sa.String(length=320), nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_outgoing_replies")),
    )
    op.create_index(
        "ix_outgoing_replies_conversation", "outgoing_replies", ["workspace_id", "conversation_id"], unique=False
    )
    op.create_index("ix_outgoing_replies_due", "outgoing_replies", ["status", "scheduled_for"], unique=False)
    op.create_index("ix_outgoing_replies_lease", "outgoing_replies", ["lease_owner"], unique=False)
    op.create_table(
        "send_days",
        sa.Column("workspace_id", sa.String(length=40), nullable=False),
        sa.Column("owner_id", sa.String(length=40), nullable=False),
        sa.Column("day", sa.String(length=320), nullable=False),
        sa.Column("sent", sa.Integer(), nullable=False),
        sa.Column("new_leads", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "owner_id", "day", name=op.f("pk_send_days")),
    )
    op.create_index("ix_send_days_day", "send_days", ["day"], unique=False)
    op.create_table(
        "tags",
        sa.Column("workspace_id", sa.String(length=40), nullable=False),
        sa.Column("name_key", sa.String(length=320), nullable=False),
        sa.Column("name", sa.String(length=320), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("color", sa.String(length=320), nullable=False),
        sa.Column("positive", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "name_key", name=op.f("pk_tags")),
    )
    op.create_table(
        "unsubscribe_tokens",
        sa.Column("workspace_id", sa.String(length=40), nullable=False),
        sa.Column("email_hash", sa.String(length=320), nullable=False),
        sa.Column("token", sa.String(length=320), nullable=False),
        sa.Column("lead_id", sa.String(length=40), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "email_hash", name=op.f("pk_unsubscribe_tokens")),
        sa.UniqueConstraint("token", name=op.f("uq_unsubscribe_tokens_token")),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("name", sa.String(length=320), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
    )
    op.create_table(
        "workspaces",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=320), nullable=False),
        sa.Column("owner_id", sa.String(length=40), nullable=False),
        sa.Column("status", sa.String(length=320), nullable=False),
        sa.Column("settings", JSON_TYPE, nullable=False),
        sa.Column("paused_at", UtcDateTime(), nullable=True),
        sa.Column("paused_reason", sa.Text(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_workspaces_owner_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workspaces")),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("lookup", sa.String(length=320), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("name", sa.String(length=320), nullable=False),
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("workspace_id", sa.String(length=40), nullable=True),
        sa.Column("scopes", JSON_TYPE, nullable=False),
        sa.Column("autonomy", sa.String(length=320), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("last_used_at", UtcDateTime(), nullable=True),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_api_keys_user_id_users")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name=op.f("fk_api_keys_workspace_id_workspaces")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("lookup", name=op.f("uq_api_keys_lookup")),
    )
    op.create_table(
        "memberships",
        sa.Column("workspace_id", sa.String(length=40), nullable=False),
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("role", sa.String(length=320), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_memberships_user_id_users")),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name=op.f("fk_memberships_workspace_id_workspaces")
        ),
        sa.PrimaryKeyConstraint("workspace_id", "user_id", name=op.f("pk_memberships")),
    )
    op.create_index(op.f("ix_memberships_user_id"), "memberships", ["user_id"], unique=False)
