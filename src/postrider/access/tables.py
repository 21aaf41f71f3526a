"""Users, their sessions, workspaces, memberships and the keys they call with."""

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from postrider.storage.base import Base, Id, Instant, Json, JsonStrings, LongText, ShortText


class User(Base):
    """A person who may sign in or hold a platform key.

    ``password_hash``: argon2id in its own text form; None: cannot sign in with a password. ``oidc_issuer`` and
    ``oidc_subject``: who the person is at the OpenID Connect provider that they have signed in through.
    """

    __tablename__ = "users"
    __table_args__ = (Index("ix_users_oidc", "oidc_issuer", "oidc_subject", unique=True),)

    id: Mapped[Id] = mapped_column(primary_key=True)
    email: Mapped[ShortText] = mapped_column(unique=True)
    name: Mapped[ShortText]
    password_hash: Mapped[LongText | None]
    oidc_issuer: Mapped[ShortText | None]
    oidc_subject: Mapped[ShortText | None]
    created_at: Mapped[Instant]


class WebSession(Base):
    """Somebody signed in at a browser. ``digest``: keyed hash of the cookie. ``expires_ms``: wall time since 1970."""

    __tablename__ = "web_sessions"
    __table_args__ = (Index("ix_web_sessions_user_id", "user_id"), Index("ix_web_sessions_expires_ms", "expires_ms"))

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    user_id: Mapped[Id] = mapped_column(ForeignKey("users.id"))
    created_ms: Mapped[int] = mapped_column(BigInteger)
    used_ms: Mapped[int] = mapped_column(BigInteger)
    expires_ms: Mapped[int] = mapped_column(BigInteger)


class OneTimeLink(Base):
    """A link that works once. ``purpose``: setup (the first password of an installation) or reset (of ``user_id``)."""

    __tablename__ = "one_time_links"
    __table_args__ = (Index("ix_one_time_links_expires_ms", "expires_ms"),)

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    purpose: Mapped[ShortText]
    user_id: Mapped[Id | None] = mapped_column(ForeignKey("users.id"))
    expires_ms: Mapped[int] = mapped_column(BigInteger)
    used_ms: Mapped[int | None] = mapped_column(BigInteger)


class Workspace(Base):
    """What everything else belongs to. ``paused_at`` set: nothing of it is sent (the kill switch)."""

    __tablename__ = "workspaces"

    id: Mapped[Id] = mapped_column(primary_key=True)
    name: Mapped[ShortText]
    owner_id: Mapped[Id] = mapped_column(ForeignKey("users.id"))
    status: Mapped[ShortText]
    settings: Mapped[Json]
    paused_at: Mapped[Instant | None]
    paused_reason: Mapped[LongText | None]
    created_at: Mapped[Instant]
    updated_at: Mapped[Instant]


class Membership(Base):
    """Which user belongs to which workspace, and as what: owner, admin or member."""

    __tablename__ = "memberships"

    workspace_id: Mapped[Id] = mapped_column(ForeignKey("workspaces.id"), primary_key=True)
    user_id: Mapped[Id] = mapped_column(ForeignKey("users.id"), primary_key=True, index=True)
    role: Mapped[ShortText]
    created_at: Mapped[Instant]


class ApiKey(Base):
    """A key, stored as a keyed hash of its secret part. ``workspace_id`` None: a platform key.

    ``toolsets`` None: all. ``daily_sends``, ``first_day_sends``: see kernel.policy.Caps.
    """

    __tablename__ = "api_keys"
    __table_args__ = (UniqueConstraint("lookup"),)

    id: Mapped[Id] = mapped_column(primary_key=True)
    lookup: Mapped[ShortText]
    digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    name: Mapped[ShortText]
    user_id: Mapped[Id] = mapped_column(ForeignKey("users.id"))
    workspace_id: Mapped[Id | None] = mapped_column(ForeignKey("workspaces.id"))
    scopes: Mapped[JsonStrings]
    autonomy: Mapped[ShortText]
    toolsets: Mapped[JsonStrings | None]
    daily_sends: Mapped[int | None]
    first_day_sends: Mapped[int | None]
    created_at: Mapped[Instant]
    expires_at: Mapped[Instant | None]
    last_used_at: Mapped[Instant | None]
    revoked_at: Mapped[Instant | None]
