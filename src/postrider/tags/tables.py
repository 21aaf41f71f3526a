"""Labels for conversations (AI tags)."""

from sqlalchemy.orm import Mapped, mapped_column

from postrider.storage.base import Base, Id, Instant, LongText, ShortText


class Tag(Base):
    """One label of a workspace. ``name_key``: its name in lower case. ``positive``: it marks good news."""

    __tablename__ = "tags"

    workspace_id: Mapped[Id] = mapped_column(primary_key=True)
    name_key: Mapped[ShortText] = mapped_column(primary_key=True)
    name: Mapped[ShortText]
    description: Mapped[LongText | None]
    color: Mapped[ShortText]
    positive: Mapped[bool]
    created_at: Mapped[Instant]
