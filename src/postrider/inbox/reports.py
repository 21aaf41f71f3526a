"""What delivery reports and complaints change. Each acts on the message and recipient that it names, and once."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import update
from sqlalchemy.orm import Session

from postrider.campaigns.endings import Stop
from postrider.campaigns.enrollments import end_enrollment
from postrider.campaigns.states import QUEUE_HELD, RUNNING
from postrider.campaigns.tables import Enrollment
from postrider.inbox.classify import BounceVerdict, bounce_verdicts
from postrider.inbox.matching import address_key
from postrider.inbox.parsing import ParsedMail
from postrider.kernel.vault import Vault
from postrider.mailboxes.tables import Mailbox
from postrider.sending.events import Subject, record_event
from postrider.sending.retries import SOFT_BOUNCES
from postrider.sending.stops import bounce_lead, complain_lead
from postrider.sending.tables import Attempt
from postrider.sending.trouble import note_policy

_BOUNCED: Final = "bounced_"
_COMPLAINED: Final = "complained"


@dataclass(frozen=True, slots=True)
class Reports:
    """Acts on reports about messages of one workspace."""

    session: Session
    vault: Vault
    now: datetime

    def bounce(self, attempt: Attempt, mail: ParsedMail) -> None:
        """The message came back: what follows depends on whose fault that is. Counted once per message."""
        found = _verdict_on(attempt.recipient, mail)
        if found is None or (attempt.result_kind or "").startswith(_BOUNCED):
            return
        text = f"{found.status or ''} {found.diagnostic or 'no reason given'}".strip()[:500]
        subject = Subject.of(attempt)
        attempt.result_kind = f"{_BOUNCED}{found.kind}"
        attempt.result_enhanced = found.status
        attempt.result_text = text
        self.session.flush()
        record_event(self.session, "returned", subject, self.now, {"bounce": found.kind, "status": found.status})
        if found.kind == "hard":
            bounce_lead(self.session, self.vault, subject, attempt.recipient, text, self.now)
            self._mark_bounced(attempt, text)
            return
        record_event(self.session, "bounced", subject, self.now, {"text": text, "bounce": found.kind})
        self.session.execute(
            update(Mailbox)
            .where(Mailbox.workspace_id == attempt.workspace_id, Mailbox.id == attempt.mailbox_id)
            .values(total_bounced=Mailbox.total_bounced + 1)
        )
        self._stop_or_go_on(attempt, found, text)

    def delay(self, attempt: Attempt) -> None:
        """The message is still on its way: worth knowing, and nothing more."""
        record_event(self.session, "delayed", Subject.of(attempt), self.now)

    def complaint(self, attempt: Attempt) -> None:
        """The recipient called the message spam."""
        if attempt.result_kind == _COMPLAINED:
            return
        attempt.result_kind = _COMPLAINED
        complain_lead(self.session, self.vault, attempt.recipient, self.now, attempt=attempt)

    def _mark_bounced(self, attempt: Attempt, text: str) -> None:
        """Shows the bounce also where the sequence had come to its end before."""
        row = self._enrollment(attempt)
        if row is not None and row.status == "completed":
            end_enrollment(row, "bounced", Stop("bounced", text), self.now)
            row.bounced_at = self.now

    def _stop_or_go_on(self, attempt: Attempt, found: BounceVerdict, text: str) -> None:
        row = self._enrollment(attempt)
        if found.kind == "policy":
            # Our mail is not wanted there: alarms the mailbox, and this lead waits for somebody to look.
            note_policy(self.session.connection(), attempt.workspace_id, attempt.mailbox_id, text, self.now)
            if row is not None and row.status in RUNNING and row.due_at is not None:
                row.queue, row.hold_reason, row.updated_at = QUEUE_HELD, "policy_rejection", self.now
            return
        if row is None:
            return
        if found.kind == "soft":
            row.soft_bounces += 1
            if row.soft_bounces < SOFT_BOUNCES:
                return
        # A report is easily written by its recipient, so that even one about the sender stops this lead only.
        if row.status in RUNNING:
            end_enrollment(row, "failed", Stop("returned", text), self.now)

    def _enrollment(self, attempt: Attempt) -> Enrollment | None:
        if attempt.enrollment_id is None:
            return None
        return self.session.get(Enrollment, (attempt.workspace_id, attempt.enrollment_id), with_for_update=True)


def _verdict_on(recipient: str, mail: ParsedMail) -> BounceVerdict | None:
    """What the report says of the one recipient that counts; copies bounce on their own account."""
    for found in bounce_verdicts(mail.dsn) if mail.dsn is not None else ():
        if recipient in (address_key(found.recipient), address_key(found.original_recipient)):
            return found
    return None
