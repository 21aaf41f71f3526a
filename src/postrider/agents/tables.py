"""AI agents: the personas that replies are drafted with."""

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from postrider.storage.base import Base, Id, Instant, Json, ShortText


class Agent(Base):
    """One persona. ``usage`` counts generated replies and tokens."""

    __tablename__ = "agents"
    __table_args__ = (Index("ix_agents_created", "workspace_id", "created_at"),)

    workspace_id: Mapped[Id] = mapped_column(primary_key=True)
    id: Mapped[Id] = mapped_column(primary_key=True)
    name: Mapped[ShortText]
    company_info: Mapped[Json]
    persona: Mapped[Json]
    is_default: Mapped[bool]
    is_active: Mapped[bool]
    usage: Mapped[Json]
    created_at: Mapped[Instant]
    updated_at: Mapped[Instant]
