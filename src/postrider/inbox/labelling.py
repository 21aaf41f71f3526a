"""What putting a label on a conversation does, whoever puts it."""

from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from postrider.access.queries import lock_workspace
from postrider.campaigns.endings import Stop
from postrider.inbox.tables import Conversation
from postrider.kernel.vault import Vault
from postrider.leads.tables import Lead
from postrider.sending.events import Subject, record_event
from postrider.sending.stops import stop_lead, unsubscribe_lead
from postrider.tags.rules import tag_key

STOPPING: Final = frozenset({"left_company", "wrong_person", "referral"})
"""Labels after which the lead gets no further campaign email; its colleagues still do."""


def apply_label(session: Session, vault: Vault, conversation: Conversation, label: str | None, now: datetime) -> bool:
    """Sets a caller's label (None: takes it away) and does what it means; whether anything changed.

    A caller's choice stays: later labels by rule leave it alone. Doing it again repeats no effect.
    """
    if conversation.ai_tag == label and conversation.ai_tag_source == "agent":
        return False
    conversation.ai_tag = label
    conversation.ai_tag_source = "agent"
    conversation.ai_tagged_at = now if label is not None else None
    conversation.updated_at = now
    session.flush()
    subject = Subject(
        workspace_id=conversation.workspace_id,
        campaign_id=conversation.campaign_id,
        enrollment_id=conversation.enrollment_id,
        lead_id=conversation.lead_id,
        mailbox_id=conversation.mailbox_id,
    )
    record_event(session, "labelled", subject, now, {"label": label, "by": "agent"})
    if label is not None:
        act_on_label(session, vault, conversation, label, now)
    return True


def act_on_label(session: Session, vault: Vault, conversation: Conversation, label: str, now: datetime) -> None:
    """The effect of a label on its lead: unsubscribe forbids all mail, some others end the campaigns."""
    key = tag_key(label)
    if key != "unsubscribe" and key not in STOPPING:
        return
    lead = session.get(Lead, (conversation.workspace_id, conversation.lead_id))
    if lead is None:
        return
    if key == "unsubscribe":
        unsubscribe_lead(session, vault, lead.workspace_id, lead.email, now, how="label unsubscribe", attempt=None)
    else:
        lock_workspace(session, lead.workspace_id)
        stop_lead(session, lead.workspace_id, lead.email, "stopped", Stop("labelled", key), now)
