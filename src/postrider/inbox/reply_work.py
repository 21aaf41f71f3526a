"""One claimed reply: everything the engine needs to send it, loaded once, without a session."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from postrider.content.html import html_to_text
from postrider.inbox.rules import Threading
from postrider.sending.capped import Capped
from postrider.sending.composing import Parcel, build_parcel
from postrider.sending.events import Subject
from postrider.sending.ports import Envelope
from postrider.sending.work import Claim, Sender
from postrider.storage.base import JsonObject


@dataclass(frozen=True, slots=True)
class ReplyWork:
    """One reply to one lead. ``hashes``: of all that, if listed, forbids the lead's address; ``copy_hashes``: likewise,
    for each copied address. ``capped``: who wrote it, where that credential has a limit.
    """

    workspace_id: str
    reply_id: str
    conversation_id: str
    enrollment_id: str
    campaign_id: str
    lead_id: str
    recipient_email: str
    recipient_name: str
    hashes: list[str]
    sender: Sender
    html: str
    copies: tuple[str, ...]
    blind_copies: tuple[str, ...]
    copy_hashes: Mapping[str, Sequence[str]]
    threading: Threading
    claim: Claim
    capped: Capped | None = None

    @property
    def account_key(self) -> tuple[str, str]:
        """Workspace and mailbox, as mailbox troubles are noted under."""
        return self.workspace_id, self.sender.account.mailbox_id

    def words(self) -> JsonObject:
        """What the attempt keeps of it, so that a retry says the same."""
        return {
            "subject": self.threading.subject,
            "html": self.html,
            "text": html_to_text(self.html),
            "inReplyTo": self.threading.in_reply_to,
            "references": list(self.threading.references),
        }

    def subject(self, attempt_id: str | None) -> Subject:
        """What its events are about."""
        return Subject(
            workspace_id=self.workspace_id,
            campaign_id=self.campaign_id,
            enrollment_id=self.enrollment_id,
            lead_id=self.lead_id,
            mailbox_id=self.sender.account.mailbox_id,
            attempt_id=attempt_id,
        )


@dataclass(frozen=True, slots=True)
class ReplyBegun:
    """A reply's attempt that stands in the ledger, with the words it says. ``began_at``: when this try began."""

    attempt_id: str
    message_id: str
    began_at: datetime
    first_try_at: datetime
    content: JsonObject = field(default_factory=dict)
    tries: int = 1


def reply_envelope(work: ReplyWork, begun: ReplyBegun, now: datetime) -> Envelope:
    """The octets of a reply: no tracking and no unsubscribe headers, for it is one person writing to another.

    Raises: InvalidInput for what no server would take.
    """
    content = begun.content
    in_reply_to, references = content.get("inReplyTo"), content.get("references")
    parcel = Parcel(
        workspace_id=work.workspace_id,
        attempt_id=begun.attempt_id,
        message_id=begun.message_id,
        date=now,
        sender_name=work.sender.display_name,
        sender_email=work.sender.account.email,
        recipient_name=work.recipient_name,
        recipient_email=work.recipient_email,
        copies=work.copies,
        subject=str(content.get("subject") or ""),
        html=str(content.get("html") or ""),
        text=str(content.get("text") or ""),
        in_reply_to=in_reply_to if isinstance(in_reply_to, str) else None,
        references=tuple(map(str, references)) if isinstance(references, list) else (),
        unsubscribe=(),
        one_click=False,
    )
    data, needs_smtputf8 = build_parcel(parcel, None, None)
    return Envelope(
        sender=work.sender.account.email,
        recipients=(work.recipient_email, *work.copies, *work.blind_copies),
        message_id=begun.message_id,
        data=data,
        needs_smtputf8=needs_smtputf8,
    )
