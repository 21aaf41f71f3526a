"""A conversation's messages from all three places: campaign emails, inbound mail, and replies written here."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Literal, NamedTuple

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session, defer

from postrider.campaigns.sequence import GONE, StepPlace, email_steps, read_steps, step_places
from postrider.campaigns.tables import Campaign, Enrollment
from postrider.content.html import html_to_text
from postrider.inbox.rules import PERSONAL, Answered
from postrider.inbox.tables import Conversation, InboundMessage
from postrider.inbox.withholding import WITHHELD, is_known, known_senders
from postrider.leads.tables import Lead
from postrider.mailboxes.tables import Mailbox
from postrider.sending.tables import Attempt, OutgoingReply
from postrider.storage.base import JsonObject

Direction = Literal["inbound", "outbound"]
LEFT: Final = ("sent", "unknown", "dotted")
"""States of an attempt whose message left, or may have left."""


class Position(NamedTuple):
    """A place in a thread: instant and id of a message."""

    at: datetime
    id: str


@dataclass(frozen=True, slots=True)
class ThreadMessage:
    """One message. ``new_text``: without the quoted history. ``state`` of inbound ones is received.

    ``step_id`` and ``place``: of a campaign's email.
    ``match``: how surely an inbound one belongs here (see inbox/matching.py); None for outbound ones.
    ``withheld``: why its words are not here, if they are not.
    """

    id: str
    type: str
    direction: Direction
    at: datetime
    state: str
    from_name: str
    from_email: str | None
    to: str
    subject: str
    text: str
    new_text: str
    html: str | None
    copies: tuple[str, ...] = ()
    attachments: list[JsonObject] = field(default_factory=list)
    step_id: str | None = None
    place: StepPlace = GONE
    variant: str | None = None
    error: str | None = None
    match: str | None = None
    is_read: bool = True
    withheld: str | None = None

    @property
    def position(self) -> Position:
        """Where it stands in its thread."""
        return Position(self.at, self.id)


class Participants(NamedTuple):
    """Who takes part: the lead, and mailboxes by id (address, display name)."""

    lead_email: str
    mailboxes: Mapping[str, tuple[str, str]]


def load_thread(
    session: Session, conversation: Conversation, limit: int, before: Position | None = None, *, locked: bool
) -> list[ThreadMessage]:
    """The latest ``limit`` messages (before a position, if one is given), oldest first.

    ``locked``: without the words of senders that we did not write to.
    """
    people = _participants(session, conversation)
    found = [
        *_campaign_emails(session, conversation, people, limit, before),
        *_inbound(session, conversation, people, limit, before),
        *_replies(session, conversation, people, limit, before),
    ]
    latest = sorted(found, key=lambda message: message.position)[-limit:]
    if not locked:
        return latest
    known = known_senders(session, [conversation])[conversation.id]
    return [each if each.direction == "outbound" else _checked(each, known) for each in latest]


def _checked(message: ThreadMessage, known: Collection[str]) -> ThreadMessage:
    """An inbound message, without its words unless its sender is known."""
    if is_known(message.from_email, known):
        return message
    sizes: list[JsonObject] = [{"sizeBytes": each.get("sizeBytes")} for each in message.attachments]
    return replace(
        message, from_name="", subject="", text="", new_text="", html=None, attachments=sizes, withheld=WITHHELD
    )


def _participants(session: Session, conversation: Conversation) -> Participants:
    workspace_id = conversation.workspace_id
    email = session.execute(
        select(Lead.email).where(Lead.workspace_id == workspace_id, Lead.id == conversation.lead_id)
    ).scalar()
    rows = session.execute(
        select(Mailbox.id, Mailbox.email, Mailbox.display_name).where(Mailbox.workspace_id == workspace_id)
    )
    return Participants(email or "", {row.id: (row.email, row.display_name) for row in rows})


def _before(at: ColumnElement[datetime], row_id: ColumnElement[str], before: Position | None) -> ColumnElement[bool]:
    if before is None:
        return row_id == row_id
    return or_(at < before.at, and_(at == before.at, row_id < before.id))


def _campaign_emails(
    session: Session, conversation: Conversation, people: Participants, limit: int, before: Position | None
) -> Iterable[ThreadMessage]:
    places = _places(session, conversation)
    at = func.coalesce(Attempt.dotted_at, Attempt.sending_at)
    query = (
        select(Attempt, at)
        .where(
            Attempt.workspace_id == conversation.workspace_id,
            Attempt.enrollment_id == conversation.enrollment_id,
            Attempt.purpose == "step",
            Attempt.state.in_(LEFT),
            _before(at, Attempt.__table__.c.id, before),
        )
        .order_by(at.desc(), Attempt.id.desc())
        .limit(limit)
    )
    for row, instant in session.execute(query):
        sender = people.mailboxes.get(row.mailbox_id, (None, ""))
        text = str(row.content.get("text") or "")
        html = row.content.get("html")
        yield ThreadMessage(
            id=row.id,
            type="sent",
            direction="outbound",
            at=instant,
            state=row.state,
            from_name=sender[1],
            from_email=sender[0],
            to=row.recipient,
            subject=str(row.content.get("subject") or ""),
            text=text,
            new_text=text,
            html=html if isinstance(html, str) else None,
            copies=tuple(row.copies),
            step_id=row.step_id,
            place=places.get(row.step_id or "", GONE),
            variant=row.variant,
        )


def _places(session: Session, conversation: Conversation) -> Mapping[str, StepPlace]:
    """Where the campaign's emails stand now."""
    sequence = session.execute(
        select(Campaign.sequence).where(
            Campaign.workspace_id == conversation.workspace_id, Campaign.id == conversation.campaign_id
        )
    ).scalar()
    return step_places(email_steps(read_steps(sequence or ())))


def _inbound(
    session: Session, conversation: Conversation, people: Participants, limit: int, before: Position | None
) -> Iterable[ThreadMessage]:
    columns = InboundMessage.__table__.c
    query = (
        select(InboundMessage)
        .options(defer(InboundMessage.raw))
        .where(
            InboundMessage.workspace_id == conversation.workspace_id,
            InboundMessage.conversation_id == conversation.id,
            _before(columns.received_at, columns.id, before),
        )
        .order_by(InboundMessage.received_at.desc(), InboundMessage.id.desc())
        .limit(limit)
    )
    for row in session.scalars(query):
        yield ThreadMessage(
            id=row.id,
            type=row.kind,
            direction="inbound",
            at=row.received_at,
            state="received",
            from_name=row.from_name,
            from_email=row.from_email,
            to=people.mailboxes.get(row.mailbox_id, ("", ""))[0],
            subject=row.subject,
            text=row.text,
            new_text=row.new_text or row.text,
            html=row.html,
            attachments=list(row.attachments),
            match=row.match,
            is_read=row.read_at is not None,
        )


def _replies(
    session: Session, conversation: Conversation, people: Participants, limit: int, before: Position | None
) -> Iterable[ThreadMessage]:
    at = func.coalesce(Attempt.dotted_at, OutgoingReply.scheduled_for)
    attempt = and_(
        Attempt.workspace_id == OutgoingReply.workspace_id,
        Attempt.purpose == "reply",
        Attempt.purpose_key == OutgoingReply.id,
    )
    query = (
        select(OutgoingReply, Attempt, at)
        .outerjoin(Attempt, attempt)
        .where(
            OutgoingReply.workspace_id == conversation.workspace_id,
            OutgoingReply.conversation_id == conversation.id,
            OutgoingReply.status != "cancelled",
            _before(at, OutgoingReply.__table__.c.id, before),
        )
        .order_by(at.desc(), OutgoingReply.id.desc())
        .limit(limit)
    )
    # An outer join: there is no attempt before the reply is due, which the types cannot tell.
    rows: list[tuple[OutgoingReply, Attempt | None, datetime]] = [(*row,) for row in session.execute(query)]
    for row, sent, instant in rows:
        sender = people.mailboxes.get(row.mailbox_id, (None, ""))
        content = sent.content if sent is not None else {}
        text = str(content.get("text") or html_to_text(row.body))
        yield ThreadMessage(
            id=row.id,
            type="manual",
            direction="outbound",
            at=instant,
            state="unknown" if sent is not None and sent.state == "unknown" else row.status,
            from_name=sender[1],
            from_email=sender[0],
            to=people.lead_email,
            subject=str(content.get("subject") or ""),
            text=text,
            new_text=text,
            html=row.body,
            copies=(*row.cc, *row.bcc),
            error=row.error,
        )


def last_message(session: Session, conversation: Conversation, *, locked: bool = False) -> Answered | None:
    """The message that a reply written now answers: the last one that left or came in; None in an empty thread.

    ``locked``: without the words of senders that we did not write to.
    """
    inbound, attempt = _last_inbound(session, conversation), _last_attempt(session, conversation)
    enrollment = session.get(Enrollment, (conversation.workspace_id, conversation.enrollment_id))
    begun_under = enrollment.thread_subject if enrollment is not None else None
    ids = tuple(enrollment.thread_ids) if enrollment is not None else ()
    if inbound is not None and (attempt is None or inbound.received_at >= (attempt.dotted_at or attempt.sending_at)):
        answers = session.get(Attempt, (conversation.workspace_id, inbound.attempt_id)) if inbound.attempt_id else None
        subject = str(answers.content.get("subject") or "") if answers is not None else begun_under
        first = tuple(
            each for each in ((answers.message_id,) if answers else ids[:1]) if each not in inbound.thread_ids
        )
        assert inbound.message_id is not None
        if not subject and locked:
            known = known_senders(session, [conversation])[conversation.id]
            return Answered(inbound.message_id, (), inbound.subject if is_known(inbound.from_email, known) else "")
        return Answered(inbound.message_id, (*first, *inbound.thread_ids), subject or inbound.subject)
    if attempt is None:
        return None
    stored = attempt.content.get("references")
    earlier = tuple(map(str, stored)) if isinstance(stored, list) else ids
    return Answered(
        attempt.message_id,
        tuple(each for each in earlier if each != attempt.message_id),
        str(attempt.content.get("subject") or begun_under or ""),
    )


def _last_inbound(session: Session, conversation: Conversation) -> InboundMessage | None:
    return session.scalars(
        select(InboundMessage)
        .options(defer(InboundMessage.raw))
        .where(
            InboundMessage.workspace_id == conversation.workspace_id,
            InboundMessage.conversation_id == conversation.id,
            InboundMessage.kind.in_(PERSONAL),
            InboundMessage.message_id.is_not(None),
        )
        .order_by(InboundMessage.received_at.desc(), InboundMessage.id.desc())
        .limit(1)
    ).first()


def _last_attempt(session: Session, conversation: Conversation) -> Attempt | None:
    return session.scalars(
        select(Attempt)
        .where(
            Attempt.workspace_id == conversation.workspace_id,
            Attempt.enrollment_id == conversation.enrollment_id,
            Attempt.purpose.in_(("step", "reply")),
            Attempt.state.in_(LEFT),
        )
        .order_by(Attempt.sending_at.desc(), Attempt.id.desc())
        .limit(1)
    ).first()
