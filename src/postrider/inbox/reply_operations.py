"""Answering a conversation: send or schedule a reply, see what is waiting, take it back."""

from datetime import datetime, timedelta
from typing import Annotated, Any, NamedTuple

from pydantic import Field, JsonValue
from sqlalchemy import ColumnElement, Select, func, literal, select, tuple_, update

from postrider.access.house import pause_warnings
from postrider.access.safety import safety_of
from postrider.content.html import html_to_text
from postrider.dnc.queries import hashes_covering, listed_reason
from postrider.inbox.conversations import find_conversation
from postrider.inbox.reply_ledger import close_deferred
from postrider.inbox.rules import (
    MAX_BODY_CHARACTERS,
    MAX_COPIES,
    SHOWN_AS_SCHEDULED,
    copy_addresses,
    reply_html,
    sending_instant,
)
from postrider.inbox.tables import Conversation
from postrider.kernel.arguments import digest_of
from postrider.kernel.context import Context
from postrider.kernel.errors import Conflict, InvalidInput, NotFound
from postrider.kernel.ids import check_id, new_id
from postrider.kernel.operation import Effect, Input, Output, Rest, UntrustedText, operation
from postrider.kernel.page import Page, PageInput, read_cursor, write_cursor
from postrider.kernel.policy import Facts
from postrider.kernel.undoing import Undone, UndoRecord
from postrider.kernel.visible import in_quotes
from postrider.kernel.zones import rfc3339
from postrider.leads.tables import Lead
from postrider.mailboxes.tables import Mailbox
from postrider.sending.guards import MAILBOX_WORKS
from postrider.sending.tables import OutgoingReply
from postrider.storage.base import UtcDateTime
from postrider.storage.paging import cursor_instant

MAX_SHOWN_TEXT = 2_000
_CURSOR = "scheduled_replies"

Copies = Annotated[list[Annotated[str, Field(max_length=320)]], Field(max_length=MAX_COPIES)]


class SendReply(Input):
    """What to answer, and when."""

    id: Annotated[str, Field(max_length=40, description="Id of the conversation (conv_…), from list_conversations.")]
    body: Annotated[
        str,
        Field(
            min_length=1,
            max_length=MAX_BODY_CHARACTERS,
            description="Text or HTML, sent as written; of HTML only what is safe.",
        ),
    ]
    cc: Annotated[Copies, Field(description="Plain addresses, at most 5.")] = []
    bcc: Annotated[Copies, Field(description="Plain addresses, at most 5.")] = []
    scheduled_for: Annotated[
        datetime | None, Field(description="When to send, such as 2026-03-05T09:00:00Z; at once if omitted.")
    ] = None
    mailbox_id: Annotated[
        str | None, Field(max_length=40, description="Send from this mailbox; the conversation's own if omitted.")
    ] = None
    attachments: Annotated[
        list[JsonValue], Field(max_length=100, description="Has to be empty: files cannot be attached yet.")
    ] = []


class QueuedReply(Output):
    """A reply in the queue; the engine sends it when it is due. ``warnings``: what keeps it from leaving then."""

    id: str
    status: str
    scheduled_for: datetime
    is_scheduled: bool
    warnings: list[str]


class _Addressed(NamedTuple):
    """A reply that may be queued: to whom, from where, what and when."""

    conversation: Conversation
    lead: Lead
    mailbox: Mailbox
    html: str
    due_at: datetime
    cc: list[str]
    bcc: list[str]


def reply_facts(ctx: Context, request: SendReply) -> Facts:
    """Who would be written to, from which mailbox and when. Raises: see ``_addressed``."""
    reply = _addressed(ctx, request)
    copies = [*reply.cc, *reply.bcc]
    when = "at once" if reply.due_at <= ctx.now else f"at {rfc3339(reply.due_at)}"
    also = f", with copies to {', '.join(copies)}" if copies else ""
    digest = digest_of(reply.html)
    return Facts(
        summary=f"A reply in {reply.conversation.id} leaves {when} from {reply.mailbox.email} to {reply.lead.email}"
        f"{also}; {len(request.body):,} characters.",
        subject=reply.conversation.id,
        revision=f"{reply.mailbox.id}/{reply.lead.email}/{rfc3339(reply.conversation.last_reply_at)}",
        cause="send",
        people=1 + len(copies),
        first_send_at=reply.due_at,
        content_digest=digest,
        details=(f"Text {in_quotes(html_to_text(reply.html), 200)}",),
    )


def undo_reply(ctx: Context, payload: dict[str, Any]) -> Undone:
    """Takes the reply back, if it has not begun to leave."""
    cancelled = _cancel(ctx, OutgoingReply.workspace_id == ctx.workspace_id, OutgoingReply.id == payload["id"])
    return Undone(int(cancelled), {"left_or_ended": int(not cancelled)})


def _cancel(ctx: Context, *which: ColumnElement[bool]) -> bool:
    """Whether it was still pending; it does not leave now."""
    # One statement decides against the engine, which takes a row only while it is pending, too.
    cancelled = ctx.session.execute(
        update(OutgoingReply)
        .where(*which, OutgoingReply.status == "pending")
        .values(status="cancelled", fence=OutgoingReply.fence + 1, updated_at=ctx.now)
        .returning(OutgoingReply.id)
    ).scalar()
    if cancelled is not None:
        close_deferred(ctx.session, ctx.workspace_id, cancelled, ctx.now)
    return cancelled is not None


@operation(
    title="Reply to a conversation",
    keywords="back message prospect tell say confirm tomorrow later schedule",
    effect=Effect.WRITE,
    scope="send",
    rest=Rest("POST", "/v1/inbox/{id}/reply"),
    core=True,
    open_world=True,
    confirm=reply_facts,
    undo=undo_reply,
)
def send_reply(ctx: Context, request: SendReply) -> QueuedReply:
    """Reply to the lead of the conversation id, now or at scheduledFor (at most a year ahead).

    Goes to the lead's own address, in the same thread, with subject, recipient and threading set by Postrider. The
    body is sent as written: no variables, no signature, no tracking, no quoted history. Of HTML, scripts, forms,
    frames and event handlers are taken out. It answers status pending, and warnings with what holds it back, such as a
    paused workspace; look at get_conversation for sent, failed or unknown. Until it is being sent,
    cancel_scheduled_reply takes it back.
    Refused for a lead who unsubscribed, complained or bounced.
    """
    reply = _addressed(ctx, request)
    row = OutgoingReply(
        workspace_id=ctx.workspace_id,
        id=new_id("rep"),
        conversation_id=reply.conversation.id,
        enrollment_id=reply.conversation.enrollment_id,
        mailbox_id=reply.mailbox.id,
        body=reply.html,
        cc=reply.cc,
        bcc=reply.bcc,
        scheduled_for=reply.due_at,
        is_scheduled=request.scheduled_for is not None,
        status="pending",
        error=None,
        created_by=ctx.actor.credential_id,
        lease_owner=None,
        fence=0,
        created_at=ctx.now,
        updated_at=ctx.now,
    )
    ctx.session.add(row)
    ctx.undoable(UndoRecord({"id": row.id}, "A reply that has not left is not sent.", 1))
    ctx.wake("replies")
    return QueuedReply(
        id=row.id,
        status="pending",
        scheduled_for=reply.due_at,
        is_scheduled=row.is_scheduled,
        warnings=pause_warnings(ctx.session, ctx.workspace_id),
    )


def _addressed(ctx: Context, request: SendReply) -> _Addressed:
    """Raises: InvalidInput, NotFound, and Conflict where nobody may or can be written to."""
    if request.attachments:
        raise InvalidInput(
            "attachments: a reply cannot carry files yet, so that nothing was queued.",
            field="attachments",
            hint="Leave attachments out; put a link to the file into body.",
        )
    conversation = find_conversation(ctx, request.id)
    lead = ctx.session.get(Lead, (ctx.workspace_id, conversation.lead_id))
    if lead is None:
        raise Conflict("The lead of this conversation has been deleted.", hint="There is nobody to reply to.")
    html = reply_html(request.body)
    hold = timedelta(seconds=safety_of(ctx.session, ctx.workspace_id).reply_hold_seconds)
    due_at = max(sending_instant(request.scheduled_for, ctx.now), ctx.now + hold)
    cc, bcc = copy_addresses(request.cc, request.bcc, lead.email)
    for address in (lead.email, *cc, *bcc):
        _check_allowed(ctx, address)
    mailbox = _sending_mailbox(ctx, conversation, request.mailbox_id)
    return _Addressed(conversation, lead, mailbox, html, due_at, cc, bcc)


def _check_allowed(ctx: Context, address: str) -> None:
    """Raises: Conflict when the person, or their server, has said no."""
    hashes = hashes_covering(ctx.vault, ctx.workspace_id, address)
    reason = listed_reason(ctx.session, ctx.workspace_id, hashes, binding_only=True)
    if reason is not None:
        raise Conflict(
            f"{address} is on the do-not-contact list: {reason}.",
            code="ON_DNC",
            hint="Do not write to this person. list_dnc_entries shows the entry.",
        )


def _sending_mailbox(ctx: Context, conversation: Conversation, wanted: str | None) -> Mailbox:
    """Raises: NotFound for a mailbox that was asked for, Conflict when the one to use cannot send."""
    mailbox_id = check_id(wanted, "mbx", "mailboxId") if wanted is not None else conversation.mailbox_id
    row = ctx.session.get(Mailbox, (ctx.workspace_id, mailbox_id))
    if row is None and wanted is not None:
        raise NotFound("Mailbox not found", hint="See list_mailboxes.")
    if row is None:
        raise Conflict("The mailbox of this conversation has been deleted.", hint="Give mailboxId of another one.")
    if row.status != MAILBOX_WORKS or not row.sending_enabled:
        state = row.status if row.status != MAILBOX_WORKS else "turned off for sending"
        raise Conflict(
            f"The mailbox {row.email} cannot send: it is {state}.",
            hint="Mend it (get_mailbox shows the last error), or give mailboxId of another one.",
            details={"mailboxId": row.id, "state": state},
        )
    return row


class ListScheduledReplies(PageInput):
    """Of which conversation; the next one to leave first."""

    id: Annotated[str, Field(max_length=40, description="Conversation id.")]


class ScheduledReply(Output):
    """A reply that has not left. ``error``: the last trouble; of a failed one, why it failed.

    ``scheduledFor``: when it is due; after a trouble that passes, when it is tried next.
    """

    id: str
    conversation_id: str
    campaign_lead_id: str
    to: str
    cc: list[str]
    bcc: list[str]
    message: str
    scheduled_for: datetime
    is_scheduled: bool
    status: str
    error: UntrustedText | None
    mailbox_id: str
    created_at: datetime


@operation(
    title="List scheduled replies",
    keywords="queue planned outbox unsent going left later message messages soon gone",
    effect=Effect.READ,
    rest=Rest("GET", "/v1/inbox/{id}/scheduled"),
)
def list_scheduled_replies(ctx: Context, request: ListScheduledReplies) -> Page[ScheduledReply]:
    """List the replies of a conversation that are pending, sending or failed, the earliest first.

    A failed one whose error begins with "unknown" may have arrived: it is never sent again by itself. Sent ones are in
    get_conversation. Texts are cut at 2,000 characters.
    """
    conversation = find_conversation(ctx, request.id)
    to = ctx.session.execute(
        select(Lead.email).where(Lead.workspace_id == ctx.workspace_id, Lead.id == conversation.lead_id)
    ).scalar()
    query = select(OutgoingReply).where(
        OutgoingReply.workspace_id == ctx.workspace_id,
        OutgoingReply.conversation_id == conversation.id,
        OutgoingReply.status.in_(SHOWN_AS_SCHEDULED),
    )
    total = ctx.session.scalar(select(func.count()).select_from(query.subquery())) or 0
    rows = list(ctx.session.scalars(_soonest_first(query, request)))
    last = rows[request.limit - 1] if len(rows) > request.limit else None
    return Page[ScheduledReply](
        items=[_shown(row, to or "") for row in rows[: request.limit]],
        limit=request.limit,
        total=total,
        has_more=last is not None,
        next_cursor=write_cursor(_CURSOR, [last.scheduled_for.isoformat(), last.id]) if last else None,
    )


def _soonest_first(
    query: "Select[*tuple[OutgoingReply]]", request: ListScheduledReplies
) -> "Select[*tuple[OutgoingReply]]":
    """One page of ``query`` and one row more."""
    place = tuple_(OutgoingReply.scheduled_for, OutgoingReply.id)
    if request.cursor is not None:
        at, last_id = read_cursor(_CURSOR, request.cursor, 2)
        query = query.where(place > tuple_(literal(cursor_instant(at), UtcDateTime()), literal(str(last_id))))
    elif request.page is not None:
        query = query.offset((request.page - 1) * request.limit)
    return query.order_by(OutgoingReply.scheduled_for, OutgoingReply.id).limit(request.limit + 1)


def _shown(row: OutgoingReply, to: str) -> ScheduledReply:
    return ScheduledReply(
        id=row.id,
        conversation_id=row.conversation_id,
        campaign_lead_id=row.enrollment_id,
        to=to,
        cc=row.cc,
        bcc=row.bcc,
        message=row.body[:MAX_SHOWN_TEXT],
        scheduled_for=row.scheduled_for,
        is_scheduled=row.is_scheduled,
        status=row.status,
        error=row.error,
        mailbox_id=row.mailbox_id,
        created_at=row.created_at,
    )


class CancelScheduledReply(Input):
    """Which reply of which conversation."""

    id: Annotated[str, Field(max_length=40, description="Conversation id.")]
    reply_id: Annotated[str, Field(max_length=40, description="Reply id, from send_reply or list_scheduled_replies.")]


class ReplyCancelled(Output):
    """The reply will not be sent."""

    message: str


@operation(
    title="Cancel a scheduled reply",
    keywords="unsend planned queue outbox leave later message messages",
    effect=Effect.DESTRUCTIVE,
    scope="send",
    rest=Rest("DELETE", "/v1/inbox/{id}/scheduled/{replyId}"),
)
def cancel_scheduled_reply(ctx: Context, request: CancelScheduledReply) -> ReplyCancelled:
    """Take back a reply that is still pending; after this call it does not leave.

    One that is being sent, was sent, or failed cannot be cancelled: the conflict names its state. Cancelling twice is
    no error.
    """
    reply_id = check_id(request.reply_id, "rep", "replyId")
    conversation = find_conversation(ctx, request.id)
    belongs = (
        OutgoingReply.workspace_id == ctx.workspace_id,
        OutgoingReply.conversation_id == conversation.id,
        OutgoingReply.id == reply_id,
    )
    if _cancel(ctx, *belongs):
        return ReplyCancelled(message="Scheduled reply cancelled")
    status = ctx.session.execute(select(OutgoingReply.status).where(*belongs)).scalar()
    if status is None:
        raise NotFound("Scheduled reply not found", hint="See list_scheduled_replies.")
    if status == "cancelled":
        return ReplyCancelled(message="Scheduled reply cancelled")
    raise Conflict(
        f"The reply cannot be cancelled: its status is {status}.",
        hint="Only a pending reply can be cancelled; get_conversation shows what became of it.",
        details={"status": status},
    )
