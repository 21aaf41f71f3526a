"""Reads of the inbox that operations and the engine share."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple, cast

from sqlalchemy import and_, func, or_, select, text
from sqlalchemy.orm import Session, load_only

from postrider.access.tables import Workspace
from postrider.campaigns.tables import Enrollment
from postrider.inbox.ports import FolderCursor, FolderRole
from postrider.inbox.tables import Conversation, InboundMessage
from postrider.inbox.thread import LEFT
from postrider.mailboxes.tables import Mailbox, MailboxFolder
from postrider.sending.tables import Attempt, OutgoingReply

READ_STATES: Final = ("active", "suspended", "error")
"""States in which a mailbox is read: one that may not or cannot send must still hear who wants no more mail."""

_CONCERNS_US: Final = (
    select(Mailbox)
    .options(load_only(Mailbox.workspace_id, Mailbox.id, Mailbox.read_error))
    .join(Workspace, and_(Workspace.id == Mailbox.workspace_id, Workspace.status == "active"))
    .where(
        Mailbox.status.in_(READ_STATES),
        or_(Mailbox.imap_secret.is_not(None), Mailbox.provider == "sandbox"),
    )
)

_SEARCHED_FOR: Final = timedelta(days=7)
_SEARCHED_AT_ONCE: Final = 20


class MailboxKey(NamedTuple):
    """One mailbox of one workspace."""

    workspace_id: str
    mailbox_id: str


class Readable(NamedTuple):
    """A mailbox to read. ``failing``: the last try went wrong."""

    key: MailboxKey
    failing: bool


class UnknownAttempt(NamedTuple):
    """A message of which nobody knows whether it left."""

    attempt_id: str
    message_id: str


class ThreadFacts(NamedTuple):
    """``size``: how many messages there are, counted as get_conversation lists them (see inbox/thread.py).

    ``subject``: what the thread was begun under; it may hold values of the lead.
    """

    size: int
    subject: str | None


def mailboxes_to_read(session: Session) -> list[Readable]:
    """Every mailbox whose incoming mail concerns us, in a stable order."""
    rows = session.scalars(_CONCERNS_US.order_by(Mailbox.workspace_id, Mailbox.id))
    return [Readable(MailboxKey(row.workspace_id, row.id), row.read_error is not None) for row in rows]


def mailboxes_unread_since(session: Session, instant: datetime) -> list[MailboxKey]:
    """Those of the mailboxes to read that nobody could read since ``instant``."""
    last_read = func.coalesce(Mailbox.last_polled_at, Mailbox.created_at)
    return [MailboxKey(row.workspace_id, row.id) for row in session.scalars(_CONCERNS_US.where(last_read < instant))]


class Strays(NamedTuple):
    """Mail that no lead shows: wishes to be left alone from unknown addresses, and messages that cannot be read."""

    wishes: int
    unreadable: int


def count_strays(session: Session) -> Strays:
    """Those of all workspaces."""
    unmatched = InboundMessage.match == "none"
    wishes = select(func.count()).where(unmatched, InboundMessage.kind.in_(("unsubscribe", "complaint")))
    unreadable = select(func.count()).where(InboundMessage.kind == "poison")
    return Strays(session.scalar(wishes) or 0, session.scalar(unreadable) or 0)


def folder_cursors(session: Session, key: MailboxKey) -> tuple[FolderCursor, ...]:
    """How far each folder of a mailbox was read."""
    query = select(MailboxFolder).where(
        MailboxFolder.workspace_id == key.workspace_id, MailboxFolder.mailbox_id == key.mailbox_id
    )
    return tuple(
        FolderCursor(row.folder, cast("FolderRole", row.role), row.uid_validity, row.last_uid, row.rescan_to)
        for row in session.scalars(query)
    )


def own_addresses(session: Session, workspace_id: str) -> frozenset[str]:
    """The addresses of the workspace's mailboxes."""
    return frozenset(session.scalars(select(Mailbox.email).where(Mailbox.workspace_id == workspace_id)))


def known_keys(session: Session, key: MailboxKey, dedupe_keys: Iterable[str]) -> set[str]:
    """Those of ``dedupe_keys`` whose messages this mailbox has already taken in."""
    query = select(InboundMessage.dedupe_key).where(
        InboundMessage.workspace_id == key.workspace_id,
        InboundMessage.mailbox_id == key.mailbox_id,
        InboundMessage.dedupe_key.in_(list(dedupe_keys)),
    )
    return set(session.scalars(query))


def keys_elsewhere(session: Session, key: MailboxKey, message_ids: Iterable[str | None]) -> set[str]:
    """The dedupe keys under which other mailboxes of the workspace took messages with these Message-IDs in."""
    wanted = {each for each in message_ids if each is not None}
    if not wanted:
        return set()
    query = select(InboundMessage.dedupe_key).where(
        InboundMessage.workspace_id == key.workspace_id,
        InboundMessage.message_id.in_(sorted(wanted)),
        InboundMessage.mailbox_id != key.mailbox_id,
    )
    return set(session.scalars(query))


def weakly_matched(session: Session, workspace_id: str, conversation_ids: Iterable[str]) -> set[str]:
    """Those of the conversations with a message of which only the sender's address says that it belongs there."""
    query = select(InboundMessage.conversation_id).where(
        InboundMessage.workspace_id == workspace_id,
        InboundMessage.conversation_id.in_(list(conversation_ids)),
        InboundMessage.match == "weak",
    )
    return {found for found in session.scalars(query) if found is not None}


def thread_facts(session: Session, workspace_id: str, conversations: Sequence[Conversation]) -> dict[str, ThreadFacts]:
    """What lists tell of each conversation's thread."""
    by_enrollment = {row.enrollment_id: row.id for row in conversations}
    ids = [row.id for row in conversations]
    came = select(InboundMessage.conversation_id, func.count()).where(
        InboundMessage.workspace_id == workspace_id, InboundMessage.conversation_id.in_(ids)
    )
    written = select(OutgoingReply.conversation_id, func.count()).where(
        OutgoingReply.workspace_id == workspace_id,
        OutgoingReply.conversation_id.in_(ids),
        OutgoingReply.status != "cancelled",
    )
    campaign = select(Attempt.enrollment_id, func.count()).where(
        Attempt.workspace_id == workspace_id,
        Attempt.enrollment_id.in_(by_enrollment),
        Attempt.purpose == "step",
        Attempt.state.in_(LEFT),
    )
    sizes = Counter[str]()
    for query, key in (
        (came, InboundMessage.conversation_id),
        (written, OutgoingReply.conversation_id),
        (campaign, Attempt.enrollment_id),
    ):
        for found, count in session.execute(query.group_by(key)):
            sizes[by_enrollment.get(str(found), str(found))] += count
    begun = select(Enrollment.id, Enrollment.thread_subject).where(
        Enrollment.workspace_id == workspace_id, Enrollment.id.in_(by_enrollment)
    )
    subjects = {by_enrollment[key]: subject for key, subject in session.execute(begun)}
    return {each: ThreadFacts(sizes[each], subjects.get(each)) for each in ids}


def unknown_attempts(session: Session, key: MailboxKey, now: datetime) -> list[UnknownAttempt]:
    """The mailbox's latest messages with an unknown outcome, which its Sent folder may settle."""
    query = (
        select(Attempt.id, Attempt.message_id)
        # As a literal, not a parameter: only so do both databases see that the partial index serves.
        .where(Attempt.workspace_id == key.workspace_id, Attempt.mailbox_id == key.mailbox_id)
        .where(text("attempts.state = 'unknown'"), Attempt.sending_at >= now - _SEARCHED_FOR)
        .order_by(Attempt.sending_at.desc())
        .limit(_SEARCHED_AT_ONCE)
    )
    return [UnknownAttempt(*row) for row in session.execute(query)]
