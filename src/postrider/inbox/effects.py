"""What an inbound message changes, by its kind and by how surely it is known what it is about.

Only a strong match may suppress anybody or stop more than the one enrollment that was answered.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from postrider.campaigns.endings import Stop
from postrider.campaigns.enrollments import end_enrollment
from postrider.campaigns.states import RUNNING
from postrider.campaigns.tables import Campaign, Enrollment
from postrider.inbox.arrivals import Reading
from postrider.inbox.classify import Verdict
from postrider.inbox.filing import note_automatic, note_reply, suggest_tag
from postrider.inbox.labelling import STOPPING
from postrider.inbox.matching import Match
from postrider.inbox.reports import Reports
from postrider.inbox.tables import Conversation, InboundMessage
from postrider.kernel.vault import Vault
from postrider.leads.tables import Lead
from postrider.sending.events import Subject, record_event
from postrider.sending.program import Program, Programs
from postrider.sending.stops import stop_company, stop_lead, unsubscribe_lead
from postrider.sending.tables import Attempt
from postrider.sending.tracking import unsubscribe_by_token
from postrider.sending.trials import is_own_address
from postrider.sending.unknown import settle_unknown
from postrider.sending.windows import day_start, open_hours

BY_ADDRESS: Final = "matched by the sender's address alone, which anybody can forge"
"""What events and reasons say of a weak match."""

_TOKEN_SUBJECT: Final = "unsubscribe "
_TAG_OF_SUB_KIND: Final = {"ooo": "out_of_office", "left_company": "left_company"}
_REPLIED_FROM: Final = RUNNING | {"completed"}


def prove_sent(
    session: Session,
    programs: Programs,
    attempt: Attempt,
    seen_at: datetime,
    now: datetime,
    *,
    how: str,
    found_id: str | None = None,
) -> bool:
    """Settles a message whose outcome was unknown, as something (``how``) now shows that it left at ``seen_at``.

    ``found_id``: the Message-ID that the provider put in the place of ours.
    """
    if attempt.state != "unknown":
        return False
    if not settle_unknown(session, programs, attempt, seen_at, now, how=how, found_id=found_id):
        return False
    if attempt.purpose == "reply":
        session.execute(
            update(Conversation)
            .where(Conversation.workspace_id == attempt.workspace_id, Conversation.id == attempt.conversation_id)
            .values(updated_at=now)
        )
    return True


@dataclass(frozen=True, slots=True)
class Effects:
    """Applies messages of one workspace, inside the transaction that stores them."""

    session: Session
    vault: Vault
    programs: Programs
    now: datetime
    _campaigns: dict[str, Campaign] = field(default_factory=dict)

    def apply(self, message: InboundMessage, reading: Reading, verdict: Verdict, match: Match) -> None:
        """Everything that follows from ``message``. Sets its conversation and enrollment."""
        if match.attempt is not None and match.names_it:
            # Whatever answers or reports a message proves that it left.
            self.prove_sent(match.attempt, message.received_at, verdict.kind)
        if verdict.kind == "unsubscribe" and self._unsubscribe_by_token(message, reading):
            return
        attempt = match.attempt
        if attempt is None or match.strength == "none":
            return
        message.attempt_id, message.enrollment_id = attempt.id, self._enrollment_id(attempt)
        strong = match.strength == "strong"
        match verdict.kind:
            case "reply" | "unsubscribe":
                self._reply(message, reading, verdict, attempt, strong)
            case "auto_reply" | "auto_generated":
                self._automatic(message, verdict, attempt, strong)
            case "bounce" | "delay" | "complaint" if strong:
                self._report(verdict, attempt, reading)

    def prove_sent(self, attempt: Attempt, seen_at: datetime, how: str) -> None:
        """See the function of that name."""
        prove_sent(self.session, self.programs, attempt, seen_at, self.now, how=how)

    def _unsubscribe_by_token(self, message: InboundMessage, reading: Reading) -> bool:
        """Whether the mail is what a mail program writes on its unsubscribe button: only we know the token."""
        subject = " ".join(reading.mail.subject.split())
        if not subject.lower().startswith(_TOKEN_SUBJECT):
            return False
        token = subject[len(_TOKEN_SUBJECT) :].rstrip(".!").lower()
        done = unsubscribe_by_token(
            self.session, self.vault, token, self.now, how="by mail", workspace_id=message.workspace_id
        )
        if done is None:
            return False
        message.match = "strong"
        return True

    def _report(self, verdict: Verdict, attempt: Attempt, reading: Reading) -> None:
        reports = Reports(self.session, self.vault, self.now)
        match verdict.kind:
            case "bounce":
                reports.bounce(attempt, reading.mail)
            case "delay":
                reports.delay(attempt)
            case _:
                reports.complaint(attempt)

    def _reply(
        self, message: InboundMessage, reading: Reading, verdict: Verdict, attempt: Attempt, strong: bool
    ) -> None:
        """A person answered, perhaps with the wish to be left alone."""
        enrollment = self._enrollment(attempt)
        wants_out = verdict.kind == "unsubscribe"
        if enrollment is None:
            if wants_out and strong and not self._is_to_ourselves(attempt):
                self._unsubscribe(attempt, verdict)
            return
        label = "unsubscribe" if wants_out else reading.label
        conversation = note_reply(self.session, message, enrollment, self.now)
        suggest_tag(conversation, label, self.now)
        kind = "reply" if enrollment.replied_at is not None else "replied"
        if enrollment.replied_at is None:
            enrollment.replied_at = message.received_at
        enrollment.updated_at = self.now
        data = {"label": label, "rule": reading.label_rule, "match": message.match, "messageId": message.id}
        data |= {} if strong else {"detail": BY_ADDRESS}
        record_event(self.session, kind, self._subject(attempt, enrollment), self.now, {**data})
        if wants_out and strong:
            self._unsubscribe(attempt, verdict)
            return
        program = self._program(enrollment)
        if program.settings.stop_on_reply or wants_out:
            self._end(enrollment, "replied", Stop("replied", None if strong else BY_ADDRESS))
        if strong and (label in STOPPING or program.settings.stop_on_company_reply):
            self._stop_others(enrollment, program, label)

    def _stop_others(self, enrollment: Enrollment, program: Program, label: str) -> None:
        """What a reply ends beyond its own enrollment."""
        lead = self.session.get(Lead, (enrollment.workspace_id, enrollment.lead_id))
        if lead is None:
            return
        self.session.flush()
        if label in STOPPING:
            stop_lead(self.session, lead.workspace_id, lead.email, "stopped", Stop("replied", label), self.now)
        if program.settings.stop_on_company_reply and lead.company_domain is not None:
            stop = Stop("company_replied", lead.company_domain)
            stop_company(self.session, lead.workspace_id, enrollment.campaign_id, lead.company_domain, stop, self.now)

    def _automatic(self, message: InboundMessage, verdict: Verdict, attempt: Attempt, strong: bool) -> None:
        """A machine answered: never a reply, never unread, never positive."""
        enrollment = self._enrollment(attempt)
        if enrollment is None:
            return
        conversation = note_automatic(self.session, message, enrollment, self.now)
        tag = _TAG_OF_SUB_KIND.get(verdict.sub_kind or "")
        if tag is not None and conversation.ai_tag is None:
            suggest_tag(conversation, tag, self.now)
        postponed = self._after_automatic(enrollment, verdict) if strong else None
        data = {"subKind": verdict.sub_kind, "rule": verdict.rule, "match": message.match, "messageId": message.id}
        data |= {} if strong else {"detail": BY_ADDRESS}
        if verdict.return_date is not None:
            data["returnDate"] = verdict.return_date.isoformat()
        if postponed is not None:
            data["postponedTo"] = postponed.isoformat()
        record_event(self.session, "auto_replied", self._subject(attempt, enrollment), self.now, {**data})

    def _after_automatic(self, enrollment: Enrollment, verdict: Verdict) -> datetime | None:
        """Stops or postpones, as the campaign wants it; the new date of the next step where there is one."""
        program = self._program(enrollment)
        if verdict.sub_kind == "left_company":
            lead = self.session.get(Lead, (enrollment.workspace_id, enrollment.lead_id))
            if lead is not None:
                self.session.flush()
                stop = Stop("auto_replied", "left_company")
                stop_lead(self.session, lead.workspace_id, lead.email, "stopped", stop, self.now)
        elif program.settings.stop_on_auto_reply:
            self._end(enrollment, "stopped", Stop("auto_replied", verdict.sub_kind or verdict.rule))
        elif verdict.sub_kind == "ooo" and verdict.return_date is not None:
            return self._postpone(enrollment, program, verdict.return_date)
        return None

    def _postpone(self, enrollment: Enrollment, program: Program, back_on: date) -> datetime | None:
        """Moves the next step to the first opening after the day of return; never to an earlier time."""
        if enrollment.status not in RUNNING or enrollment.due_at is None:
            return None
        lead = self.session.get(Lead, (enrollment.workspace_id, enrollment.lead_id))
        zone = lead.timezone if lead is not None and program.schedule.use_lead_timezone else None
        hours = open_hours(program.window, zone, lead.country if lead is not None else None)
        opening = hours.next_open(day_start(zone or program.window.zone, back_on + timedelta(days=1)))
        if opening is None or opening <= enrollment.due_at:
            return None
        enrollment.due_at = opening
        enrollment.updated_at = self.now
        return opening

    def _unsubscribe(self, attempt: Attempt, verdict: Verdict) -> None:
        """Whom we wrote to is taken off, whoever answered: the author's address may be forged, the Message-ID not."""
        self.session.flush()
        unsubscribe_lead(
            self.session,
            self.vault,
            attempt.workspace_id,
            attempt.recipient,
            self.now,
            how=f"by reply ({verdict.rule})",
            # A test is no step of anybody's: the last step to the address is what tells of the unsubscribing.
            attempt=None if attempt.purpose == "test" else attempt,
        )

    def _end(self, enrollment: Enrollment, status: str, stop: Stop) -> None:
        if enrollment.status in (_REPLIED_FROM if status == "replied" else RUNNING):
            end_enrollment(enrollment, status, stop, self.now)

    def _is_to_ourselves(self, attempt: Attempt) -> bool:
        """Whether it is a test that somebody sent to an address of the workspace's own, and tried a "stop" on."""
        return attempt.purpose == "test" and is_own_address(self.session, attempt.workspace_id, attempt.recipient)

    def _enrollment(self, attempt: Attempt) -> Enrollment | None:
        enrollment_id = self._enrollment_id(attempt)
        if enrollment_id is None:
            return None
        return self.session.get(Enrollment, (attempt.workspace_id, enrollment_id), with_for_update=True)

    def _enrollment_id(self, attempt: Attempt) -> str | None:
        """Whose message it is. A test belongs to no enrollment, but who answers it answers the campaign."""
        if attempt.purpose != "test" or attempt.lead_id is None or self._is_to_ourselves(attempt):
            return attempt.enrollment_id
        return self.session.scalar(
            select(Enrollment.id).where(
                Enrollment.workspace_id == attempt.workspace_id,
                Enrollment.campaign_id == attempt.campaign_id,
                Enrollment.lead_id == attempt.lead_id,
            )
        )

    @staticmethod
    def _subject(attempt: Attempt, enrollment: Enrollment) -> Subject:
        return Subject.of(attempt)._replace(enrollment_id=enrollment.id)

    def _program(self, enrollment: Enrollment) -> Program:
        known = self._campaigns.get(enrollment.campaign_id)
        if known is None:
            known = self.session.get_one(Campaign, (enrollment.workspace_id, enrollment.campaign_id))
            self._campaigns[known.id] = known
        return self.programs.of(known)
