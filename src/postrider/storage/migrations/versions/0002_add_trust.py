"""Add people who sign in, connected apps, confirmations, the audit log, undo, idempotency keys and files.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

from postrider.storage.base import JSON_TYPE, UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What a credential may do, and what it has done."""
    op.create_table(
        "approvals",
        sa.Column("workspace_id", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("operation", sa.String(length=320), nullable=False),
        sa.Column("call_hash", sa.String(length=320), nullable=False),
        sa.Column("facts", JSON_TYPE, nullable=False),
        sa.Column("credential_id", sa.String(length=40), nullable=False),
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=True),
        sa.Column("door", sa.String(length=320), nullable=False),
        sa.Column("status", sa.String(length=320), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("decided_at", UtcDateTime(), nullable=True),
        sa.Column("decided_by", sa.String(length=40), nullable=True),
        sa.Column("given_back", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_approvals")),
    )
    op.create_index("ix_approvals_call", "approvals", ["workspace_id", "call_hash"], unique=False)
    op.create_table(
        "audit_events",
        sa.Column("workspace_id", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("actor_kind", sa.String(length=320), nullable=False),
        sa.Column("credential_id", sa.String(length=40), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=True),
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("door", sa.String(length=320), nullable=False),
        sa.Column("request_id", sa.String(length=320), nullable=True),
        sa.Column("operation", sa.String(length=320), nullable=False),
        sa.Column("effect", sa.String(length=320), nullable=False),
        sa.Column("outcome", sa.String(length=320), nullable=False),
        sa.Column("error_code", sa.String(length=320), nullable=True),
        sa.Column("target_id", sa.String(length=320), nullable=True),
        sa.Column("started_id", sa.String(length=40), nullable=True),
        sa.Column("job_id", sa.String(length=40), nullable=True),
        sa.Column("arguments_hash", sa.String(length=320), nullable=False),
        sa.Column("before_hash", sa.String(length=320), nullable=True),
        sa.Column("after_hash", sa.String(length=320), nullable=True),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("previous_hash", sa.String(length=320), nullable=True),
        sa.Column("hash", sa.String(length=320), nullable=True),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_audit_events")),
        sa.UniqueConstraint("workspace_id", "number", name=op.f("uq_audit_events_workspace_id_number")),
    )
    op.create_index(
        "ix_audit_events_unsealed",
        "audit_events",
        ["workspace_id", "id"],
        unique=False,
        sqlite_where=sa.text("number IS NULL"),
        postgresql_where=sa.text("number IS NULL"),
    )
    op.create_index(
        "ix_audit_events_jobs",
        "audit_events",
        ["workspace_id", "job_id"],
        unique=False,
        sqlite_where=sa.text("job_id IS NOT NULL"),
        postgresql_where=sa.text("job_id IS NOT NULL"),
    )
    op.create_table(
        "audit_heads",
        sa.Column("workspace_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=320), nullable=False),
        sa.Column("sealed_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", name=op.f("pk_audit_heads")),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("workspace_id", sa.String(length=40), nullable=False),
        sa.Column("credential_id", sa.String(length=40), nullable=False),
        sa.Column("key", sa.String(length=320), nullable=False),
        sa.Column("operation", sa.String(length=320), nullable=False),
        sa.Column("arguments_hash", sa.String(length=320), nullable=False),
        sa.Column("state", sa.String(length=320), nullable=False),
        sa.Column("output", JSON_TYPE, nullable=True),
        sa.Column("undo_id", sa.String(length=40), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "credential_id", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"], unique=False)
    op.create_table(
        "oauth_clients",
        sa.Column("id", sa.String(length=1000), nullable=False),
        sa.Column("kind", sa.String(length=320), nullable=False),
        sa.Column("name", sa.String(length=320), nullable=False),
        sa.Column("redirect_uris", JSON_TYPE, nullable=False),
        sa.Column("details", JSON_TYPE, nullable=False),
        sa.Column("secret_digest", sa.LargeBinary(length=32), nullable=True),
        sa.Column("used", sa.Boolean(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("fetched_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_oauth_clients")),
    )
    op.create_index("ix_oauth_clients_unused", "oauth_clients", ["kind", "used", "created_ms"], unique=False)
    op.create_table(
        "oauth_codes",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("client_id", sa.String(length=1000), nullable=False),
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("workspace_id", sa.String(length=40), nullable=False),
        sa.Column("redirect_uri", sa.Text(), nullable=False),
        sa.Column("challenge", sa.String(length=320), nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("choices", JSON_TYPE, nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("used_ms", sa.BigInteger(), nullable=True),
        sa.Column("grant_id", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_oauth_codes")),
    )
    op.create_index("ix_oauth_codes_expires_ms", "oauth_codes", ["expires_ms"], unique=False)
    op.create_table(
        "oauth_grants",
        sa.Column("workspace_id", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("client_id", sa.String(length=1000), nullable=False),
        sa.Column("client_name", sa.String(length=320), nullable=False),
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("redirect_uri", sa.Text(), nullable=False),
        sa.Column("scopes", JSON_TYPE, nullable=False),
        sa.Column("toolsets", JSON_TYPE, nullable=True),
        sa.Column("autonomy", sa.String(length=320), nullable=False),
        sa.Column("daily_sends", sa.Integer(), nullable=True),
        sa.Column("first_day_sends", sa.Integer(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("last_used_at", UtcDateTime(), nullable=True),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.Column("revoked_reason", sa.String(length=320), nullable=True),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_oauth_grants")),
    )
    op.create_index("ix_oauth_grants_user", "oauth_grants", ["user_id"], unique=False)
    op.create_table(
        "oauth_tokens",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("kind", sa.String(length=320), nullable=False),
        sa.Column("workspace_id", sa.String(length=40), nullable=False),
        sa.Column("grant_id", sa.String(length=40), nullable=False),
        sa.Column("scopes", JSON_TYPE, nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("used_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_oauth_tokens")),
    )
    op.create_index("ix_oauth_tokens_expires_ms", "oauth_tokens", ["expires_ms"], unique=False)
    op.create_index("ix_oauth_tokens_grant", "oauth_tokens", ["workspace_id", "grant_id"], unique=False)
    op.create_table(
        "stored_files",
        sa.Column("workspace_id", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=320), nullable=False),
        sa.Column("state", sa.String(length=320), nullable=False),
        sa.Column("name", sa.String(length=320), nullable=False),
        sa.Column("media_type", sa.String(length=320), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(length=40), nullable=False),
        sa.Column("actor_kind", sa.String(length=320), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=True),
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("claim", sa.String(length=40), nullable=True),
        sa.Column("claimed_until_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_stored_files")),
    )
    op.create_index("ix_stored_files_expires_at", "stored_files", ["expires_at"], unique=False)
    op.create_table(
        "undo_entries",
        sa.Column("workspace_id", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("operation", sa.String(length=320), nullable=False),
        sa.Column("scope", sa.String(length=320), nullable=False),
        sa.Column("payload", JSON_TYPE, nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("credential_id", sa.String(length=40), nullable=False),
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("undone_at", UtcDateTime(), nullable=True),
        sa.Column("undone_by", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_undo_entries")),
    )
    op.create_index("ix_undo_entries_expires_at", "undo_entries", ["expires_at"], unique=False)
    op.create_table(
        "used_confirm_tokens",
        sa.Column("workspace_id", sa.String(length=40), nullable=False),
        sa.Column("nonce", sa.String(length=320), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("is_used", sa.Boolean(), nullable=False),
        sa.Column("given_back", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "nonce", name=op.f("pk_used_confirm_tokens")),
    )
    op.create_index("ix_used_confirm_tokens_expires_ms", "used_confirm_tokens", ["expires_ms"], unique=False)
    op.create_table(
        "one_time_links",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("purpose", sa.String(length=320), nullable=False),
        sa.Column("user_id", sa.String(length=40), nullable=True),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("used_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_one_time_links_user_id_users")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_one_time_links")),
    )
    op.create_index("ix_one_time_links_expires_ms", "one_time_links", ["expires_ms"], unique=False)
    op.create_table(
        "web_sessions",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("used_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_web_sessions_user_id_users")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_web_sessions")),
    )
    op.create_index("ix_web_sessions_expires_ms", "web_sessions", ["expires_ms"], unique=False)
    op.create_index("ix_web_sessions_user_id", "web_sessions", ["user_id"], unique=False)
    op.add_column("api_keys", sa.Column("toolsets", JSON_TYPE, nullable=True))
    op.add_column("api_keys", sa.Column("daily_sends", sa.Integer(), nullable=True))
    op.add_column("api_keys", sa.Column("first_day_sends", sa.Integer(), nullable=True))
    op.add_column("api_keys", sa.Column("expires_at", UtcDateTime(), nullable=True))
    op.add_column("attempts", sa.Column("credential_id", sa.String(length=40), nullable=True))
    op.add_column("campaigns", sa.Column("credential_id", sa.String(length=40), nullable=True))
    op.add_column("campaigns", sa.Column("held_to", JSON_TYPE, nullable=True))
    op.add_column("enrollments", sa.Column("credential_id", sa.String(length=40), nullable=True))
    op.add_column("users", sa.Column("password_hash", sa.Text(), nullable=True))
    op.add_column("users", sa.Column("oidc_issuer", sa.String(length=320), nullable=True))
    op.add_column("users", sa.Column("oidc_subject", sa.String(length=320), nullable=True))
    op.create_index("ix_users_oidc", "users", ["oidc_issuer", "oidc_subject"], unique=True)
