"""Taking labels back that a call has put on conversations."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select

from postrider.inbox.labelling import STOPPING
from postrider.inbox.tables import Conversation
from postrider.kernel.context import Context
from postrider.kernel.undoing import Undone, UndoRecord
from postrider.storage.base import JsonObject
from postrider.tags.rules import tag_key


def held_label(row: Conversation) -> JsonObject:
    """The label of a conversation, and where it came from."""
    at = None if row.ai_tagged_at is None else row.ai_tagged_at.isoformat()
    return {"label": row.ai_tag, "source": row.ai_tag_source, "at": at}


def relabelling(label: str | None, held: Mapping[str, JsonObject]) -> UndoRecord:
    """What takes the label back. ``held``: what each conversation had before, by its id."""
    acts = label is not None and (tag_key(label) == "unsubscribe" or tag_key(label) in STOPPING)
    return UndoRecord(
        {"label": label, "held": dict(held), "acts": acts},
        f"{len(held):,} conversations get back the label that they had.",
        len(held),
    )


def undo_labelling(ctx: Context, payload: dict[str, Any]) -> Undone:
    """Gives conversations the label back that they had, unless they got another one since.

    What a label has done to a lead stays: nobody who was stopped or unsubscribed is written to because of an undo.
    """
    held: dict[str, dict[str, Any]] = payload["held"]
    query = select(Conversation).where(Conversation.workspace_id == ctx.workspace_id, Conversation.id.in_(list(held)))
    rows = list(ctx.session.scalars(query.with_for_update()))
    ours = [row for row in rows if row.ai_tag == payload["label"] and row.ai_tag_source == "agent"]
    for row in ours:
        before = held[row.id]
        row.ai_tag, row.ai_tag_source = before["label"], before["source"]
        row.ai_tagged_at = None if before["at"] is None else datetime.fromisoformat(before["at"])
    kept = {"changed_since": len(rows) - len(ours), "gone_since": len(held) - len(rows)}
    return Undone(len(ours), kept | ({"leads_stay_stopped": len(ours)} if payload["acts"] else {}))
