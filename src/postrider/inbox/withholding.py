"""Lockdown: the words of senders that this workspace did not write to are not shown to anybody who works with it.

Mail is filed under a lead by what it answers, so that anybody who got hold of a message of ours may write into its
conversation. Their addresses are shown, so that a person can look the message up in the mailbox.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from postrider.inbox.tables import Conversation, InboundMessage
from postrider.leads.tables import Lead
from postrider.mailboxes.tables import Mailbox
from postrider.sending.tables import Attempt

WITHHELD: Final = "lockdown: the sender is not somebody that this workspace wrote to"
"""Why there are no words."""


def known_senders(session: Session, conversations: Sequence[Conversation]) -> Mapping[str, frozenset[str]]:
    """By conversation, of one workspace, whose words are shown: the addresses that we wrote to, and our mailboxes'."""
    if not conversations:
        return {}
    workspace_id = conversations[0].workspace_id
    leads = select(Conversation.id, Lead.email).join(
        Lead, and_(Lead.workspace_id == Conversation.workspace_id, Lead.id == Conversation.lead_id)
    )
    leads = leads.where(
        Conversation.workspace_id == workspace_id, Conversation.id.in_([row.id for row in conversations])
    )
    # The address may have been changed since we wrote to it.
    written = select(Attempt.enrollment_id, Attempt.recipient).where(
        Attempt.workspace_id == workspace_id,
        Attempt.enrollment_id.in_([row.enrollment_id for row in conversations]),
        Attempt.purpose.in_(("step", "reply")),
    )
    found: defaultdict[str, set[str]] = defaultdict(set)
    for key, address in [*session.execute(leads), *session.execute(written)]:
        found[str(key)].add(address.casefold())
    mailboxes = select(Mailbox.email).where(Mailbox.workspace_id == workspace_id)
    own = {address.casefold() for address in session.scalars(mailboxes)}
    return {row.id: frozenset(own | found[row.id] | found[row.enrollment_id]) for row in conversations}


def is_known(address: str | None, known: Iterable[str]) -> bool:
    """Whether mail from that address is shown."""
    return address is not None and address.casefold() in known


def with_hidden_previews(session: Session, conversations: Sequence[Conversation]) -> set[str]:
    """Those of the conversations, of one workspace, whose preview is not known to be by a sender that is shown."""
    known = known_senders(session, conversations)
    latest = select(Conversation.id, InboundMessage.from_email).join(
        InboundMessage,
        and_(
            InboundMessage.workspace_id == Conversation.workspace_id,
            InboundMessage.conversation_id == Conversation.id,
            InboundMessage.received_at == Conversation.last_reply_at,
        ),
    )
    latest = latest.where(
        Conversation.workspace_id.in_({row.workspace_id for row in conversations}), Conversation.id.in_(known)
    )
    senders: defaultdict[str, list[str | None]] = defaultdict(list)
    for conversation_id, address in session.execute(latest):
        senders[conversation_id].append(address)
    return {each for each, shown in known.items() if not all(is_known(one, shown) for one in senders[each] or [None])}
