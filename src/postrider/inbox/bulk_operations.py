"""Many conversations at once: mark as read, delete; and labels: delete one from all of them."""

from datetime import datetime
from typing import Annotated, Any, Final, cast

from pydantic import Field
from sqlalchemy import func, select, update

from postrider.campaigns.showing import leads_named
from postrider.inbox.choosing import ConversationChoice, chosen
from postrider.inbox.tables import Conversation, InboundMessage
from postrider.kernel.arguments import digest_of
from postrider.kernel.context import Context
from postrider.kernel.errors import Conflict, NotFound
from postrider.kernel.operation import Effect, Input, Output, Rest, operation
from postrider.kernel.policy import Facts
from postrider.kernel.undoing import Undone, UndoRecord
from postrider.kernel.visible import in_quotes
from postrider.kernel.zones import rfc3339
from postrider.storage.rows import packed, put_back, stored_columns
from postrider.tags.queries import find_tag
from postrider.tags.tables import Tag

REMOVED: Final = "removed"
"""State of a conversation that somebody has deleted; a new message of the lead brings it back."""
MOST_LABELLED: Final = 5_000
CHANGED_SINCE: Final = "changed_since"
GONE_SINCE: Final = "gone_since"


class MarkConversationsRead(ConversationChoice):
    """Which conversations. Give conversationIds, or selectAll with filters."""


class MarkedRead(Output):
    """How many had unread mail. ``remaining``: selected ones beyond the 500 of one call; call again for them."""

    modified: int
    remaining: int


class DeleteConversations(ConversationChoice):
    """Which conversations. Give conversationIds, or selectAll with filters."""


class ConversationsDeleted(Output):
    """How many are gone. ``remaining``: selected ones beyond the 500 of one call; call again for them."""

    deleted: int
    remaining: int


def undo_marking(ctx: Context, payload: dict[str, Any]) -> Undone:
    """Makes the messages unread again, beside what has come in since."""
    ctx.session.execute(
        update(InboundMessage)
        .where(InboundMessage.workspace_id == ctx.workspace_id, InboundMessage.id.in_(payload["messages"]))
        .values(read_at=None)
    )
    found = _by_id(ctx, list(payload["unread"]))
    for conversation_id, count in payload["unread"].items():
        if (row := found.get(conversation_id)) is not None:
            row.unread_count += cast("int", count)
    return Undone(len(found), {GONE_SINCE: len(payload["unread"]) - len(found)})


@operation(
    title="Mark conversations as read",
    keywords="seen looked handled counter badge bold notifications messages mails catch clear",
    effect=Effect.WRITE,
    rest=Rest("POST", "/v1/inbox/mark-read"),
    idempotent=True,
    undo=undo_marking,
)
def mark_conversations_read(ctx: Context, request: MarkConversationsRead) -> MarkedRead:
    """Mark the unread replies of conversations as read: named ones, or all that filters select.

    At most 500 conversations change in one call; remaining says how many are left.
    """
    rows, remaining = chosen(ctx, request, Conversation.unread_count > 0)
    rows = [row for row in rows if row.unread_count]
    unread = {row.id: row.unread_count for row in rows}
    messages = ctx.session.scalars(
        update(InboundMessage)
        .where(
            InboundMessage.workspace_id == ctx.workspace_id,
            InboundMessage.conversation_id.in_(list(unread)),
            InboundMessage.read_at.is_(None),
        )
        .values(read_at=ctx.now)
        .returning(InboundMessage.id)
    ).all()
    for row in rows:
        row.unread_count = 0
    if rows:
        ctx.undoable(
            UndoRecord(
                {"unread": dict(unread), "messages": list(messages)},
                f"{len(rows):,} conversations become unread again.",
                len(rows),
            )
        )
    return MarkedRead(modified=len(rows), remaining=remaining)


def deletion_facts(ctx: Context, request: DeleteConversations) -> Facts:
    """How many would be gone. Raises: see ``chosen``."""
    rows, remaining = ctx.once(chosen, request)
    digest = digest_of([[row.id for row in rows], remaining])
    count = len(rows) + remaining
    of_all = f" of {count:,}" if remaining else ""
    leave = "conversation leaves the inbox; its emails" if count == 1 else "conversations leave the inbox; their emails"
    return Facts(
        summary=f"{len(rows):,}{of_all} {leave} stay in the campaigns.",
        subject=rows[0].id if len(rows) == 1 else ctx.workspace_id,
        revision=digest,
        cause="destroy",
        people=count,
        details=(f"With {leads_named(ctx.session, ctx.workspace_id, [row.lead_id for row in rows], count)}",),
    )


def undo_deletion(ctx: Context, payload: dict[str, Any]) -> Undone:
    """Puts the conversations back into the inbox."""
    wanted = cast("dict[str, str]", payload["conversations"])
    found = _by_id(ctx, list(wanted))
    back = [row for row in found.values() if row.status == REMOVED]
    for row in back:
        row.status = wanted[row.id]
    return Undone(len(back), {CHANGED_SINCE: len(found) - len(back), GONE_SINCE: len(wanted) - len(found)})


@operation(
    title="Delete conversations",
    keywords="tidy hide empty junk spam old away messages mails bounce bounces automatic absence",
    effect=Effect.DESTRUCTIVE,
    rest=Rest("POST", "/v1/inbox/delete"),
    confirm=deletion_facts,
    undo=undo_deletion,
)
def delete_conversations(ctx: Context, request: DeleteConversations) -> ConversationsDeleted:
    """Take conversations out of the inbox: named ones, or all that filters select. A new message brings one back.

    What was sent and received is kept in the campaigns' numbers and history; suppressions stay. Replies that wait to
    leave are not cancelled (cancel_scheduled_reply). At most 500 in one call; undo_operation takes it back.
    """
    rows, remaining = ctx.once(chosen, request)
    record: dict[str, Any] = {"conversations": {row.id: row.status for row in rows}}
    for row in rows:
        row.status = REMOVED
    if rows:
        ctx.undoable(UndoRecord(record, f"{len(rows):,} conversations come back into the inbox.", len(rows)))
    return ConversationsDeleted(deleted=len(rows), remaining=remaining)


class DeleteTag(Input):
    """Which label."""

    name: Annotated[str, Field(max_length=60, description="Name of the label, in any case.")]


class TagDeleted(Output):
    """``conversations``: how many carried it."""

    name: str
    conversations: int


def _tag_named(ctx: Context, name: str) -> tuple[Tag, int]:
    tag = find_tag(ctx.session, ctx.workspace_id, name)
    if tag is None:
        raise NotFound("There is no such label.", hint="See list_tags.")
    carrying = select(func.count()).where(
        Conversation.workspace_id == ctx.workspace_id, Conversation.ai_tag == tag.name
    )
    count = ctx.session.scalar(carrying) or 0
    if count > MOST_LABELLED:
        raise Conflict(
            f"{count:,} conversations carry the label, and at most {MOST_LABELLED:,} can lose it in one call.",
            hint="Take it off in parts first: tag_conversation with filters.aiTag and aiTag null.",
            details={"conversations": count},
        )
    return tag, count


def tag_deletion_facts(ctx: Context, request: DeleteTag) -> Facts:
    """How many conversations would lose the label. Raises: NotFound, Conflict."""
    tag, count = _tag_named(ctx, request.name)
    return Facts(
        summary=f"A label is deleted, and {count:,} {'conversation loses' if count == 1 else 'conversations lose'} it.",
        subject=ctx.workspace_id,
        revision=f"{digest_of(tag.name)}/{count}/{rfc3339(tag.created_at)}",
        cause="destroy",
        people=count,
        details=(f"Label {in_quotes(tag.name)}",),
    )


def undo_tag_deletion(ctx: Context, payload: dict[str, Any]) -> Undone:
    """Makes the label again, and puts it back on conversations that have none now."""
    name = str(payload["tag"]["name"])
    if not put_back(ctx.session, Tag, [payload["tag"]], "name_key"):
        return Undone(0, {"name_taken_since": 1})
    wanted = cast("dict[str, dict[str, Any]]", payload["conversations"])
    found = _by_id(ctx, list(wanted))
    bare = [row for row in found.values() if row.ai_tag is None]
    for row in bare:
        held = wanted[row.id]
        row.ai_tag, row.ai_tag_source = name, held["source"]
        row.ai_tagged_at = _instant(held["at"])
    return Undone(1 + len(bare), {CHANGED_SINCE: len(found) - len(bare), GONE_SINCE: len(wanted) - len(found)})


@operation(
    title="Delete a label",
    keywords="unused obsolete old longer",
    effect=Effect.DESTRUCTIVE,
    rest=Rest("DELETE", "/v1/tags/{name}"),
    toolset="tags",
    confirm=tag_deletion_facts,
    undo=undo_tag_deletion,
)
def delete_tag(ctx: Context, request: DeleteTag) -> TagDeleted:
    """Delete a label, and take it off every conversation that carries it (at most 5,000).

    What the label has caused (a lead that was stopped or unsubscribed) stays. undo_operation takes it back.
    """
    tag, count = _tag_named(ctx, request.name)
    carrying = (Conversation.workspace_id == ctx.workspace_id, Conversation.ai_tag == tag.name)
    held = {
        row.id: {"source": row.ai_tag_source, "at": None if row.ai_tagged_at is None else row.ai_tagged_at.isoformat()}
        for row in ctx.session.execute(
            select(Conversation.id, Conversation.ai_tag_source, Conversation.ai_tagged_at).where(*carrying)
        )
    }
    ctx.session.execute(
        update(Conversation).where(*carrying).values(ai_tag=None, ai_tag_source=None, ai_tagged_at=None)
    )
    columns = stored_columns(Tag)
    row = ctx.session.execute(
        select(*columns).where(Tag.workspace_id == ctx.workspace_id, Tag.name_key == tag.name_key)
    ).one()
    payload: dict[str, Any] = {"tag": packed(row._asdict()), "conversations": held}
    ctx.session.delete(tag)
    ctx.undoable(UndoRecord(payload, f"A label comes back, on {count:,} conversations.", 1 + count))
    return TagDeleted(name=tag.name, conversations=count)


def _by_id(ctx: Context, ids: list[str]) -> dict[str, Conversation]:
    rows = ctx.session.scalars(
        select(Conversation)
        .where(Conversation.workspace_id == ctx.workspace_id, Conversation.id.in_(ids))
        .with_for_update()
    )
    return {row.id: row for row in rows}


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
