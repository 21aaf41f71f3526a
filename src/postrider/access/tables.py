"""Users, workspaces, memberships and the keys they call with."""

from sqlalchemy import ForeignKey, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from postrider.storage.base import Base, Id, Instant, Json, JsonStrings, LongText, ShortText


class User(Base):
    """A person who may sign in or hold a platform key."""

    __tablename__ = "users"

    id: Mapped[Id] = mapped_column(primary_key=True)
    email: Mapped[ShortText] = mapped_column(unique=True)
    name: Mapped[ShortText]
    created_at: Mapped[Instant]


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
    """A key, stored as a keyed hash of its secret part. ``workspace_id`` None: a platform key."""

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
    created_at: Mapped[Instant]
    last_used_at: Mapped[Instant | None]
    revoked_at: Mapped[Instant | None]
