"""Rows that belong to the installation rather than to a workspace."""

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from postrider.storage.base import Base, LongText, ShortText


class EngineLease(Base):
    """A living engine. Rows claimed by an owner whose lease has run out may be taken over.

    ``expires_ms``: wall-clock milliseconds since 1970 (database time on PostgreSQL), never business time.
    """

    __tablename__ = "engine_leases"

    owner: Mapped[ShortText] = mapped_column(primary_key=True)
    expires_ms: Mapped[int] = mapped_column(BigInteger)


class Meta(Base):
    """Small facts about the installation, such as the epoch marker that tells a restored backup."""

    __tablename__ = "meta"

    key: Mapped[ShortText] = mapped_column(primary_key=True)
    value: Mapped[LongText]
