"""Reads of labels that operations and the engine share."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from postrider.tags.rules import SEED_TAGS, tag_key
from postrider.tags.tables import Tag


def seed_tags(session: Session, workspace_id: str, now: datetime) -> None:
    """Gives a new workspace its labels."""
    session.add_all(
        Tag(
            workspace_id=workspace_id,
            name_key=tag_key(seed.name),
            name=seed.name,
            description=seed.description,
            color=seed.color,
            positive=seed.positive,
            created_at=now,
        )
        for seed in SEED_TAGS
    )


def find_tag(session: Session, workspace_id: str, name: str) -> Tag | None:
    """The label called ``name``, whatever its case."""
    return session.get(Tag, (workspace_id, tag_key(name)))


def tag_names(session: Session, workspace_id: str) -> list[str]:
    """All label names, for error messages and choices."""
    return list(session.scalars(select(Tag.name).where(Tag.workspace_id == workspace_id).order_by(Tag.name_key)))
