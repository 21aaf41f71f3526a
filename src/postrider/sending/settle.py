"""What the outcome of a send changes: attempt, enrollment, mailbox, events and counts, in one transaction."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select, update

from postrider.campaigns.states import QUEUE_FOLLOW_UP, QUEUE_HELD, RUNNING
from postrider.campaigns.tables import Enrollment
from postrider.kernel.vault import Vault
from postrider.sending.deliveries import onward, subject_of
from postrider.sending.events import Subject, record_event
from postrider.sending.guards import Objection
from postrider.sending.outcomes import Deferred, Held, Rejected, Unknown
from postrider.sending.program import Program, Programs
from postrider.sending.retries import BEFORE_RECIPIENT, SOFT_BOUNCES, next_try
from postrider.sending.stops import bounce_lead
from postrider.sending.tables import Attempt
from postrider.sending.trouble import cool_mailbox, note_policy, note_unreachable, stop_mailbox
from postrider.sending.usage import give_back, stored_claim
from postrider.sending.work import Begun, StepWork
from postrider.storage.base import JsonObject

Values = dict[str, Any]

_ENROLLMENT: Final = update(Enrollment).where(
    Enrollment.workspace_id == bindparam("b_workspace_id"),
    Enrollment.id == bindparam("b_id"),
    Enrollment.lease_owner == bindparam("b_owner"),
    Enrollment.fence == bindparam("b_fence"),
)
_ATTEMPT: Final = update(Attempt).where(
    Attempt.workspace_id == bindparam("b_workspace_id"), Attempt.id == bindparam("b_id")
)
_UNCOUNTED: Final[Values] = {"tries": Attempt.tries - 1}


class Settlement:
    """Writes what became of one claimed step. Every method first makes sure that the claim still holds."""

    def __init__(self, connection: Connection, vault: Vault, programs: Programs, work: StepWork, now: datetime) -> None:
        self._connection = connection
        self._vault = vault
        self._programs = programs
        self._work = work
        self._now = now

    def refuse(self, found: Objection) -> None:
        """A guard objected before the first marker: nothing was attempted."""
        if found.reason == "claim_lost":
            return
        if found.reason == "on_dnc":
            released = self._release({"status": "stopped", "stop_reason": found.detail, "due_at": None})
        elif found.reason == "already_attempted":
            released = self._release(self._onward(self._work.email.position, self._now))
        else:
            released = self._release({})
        if released:
            self._give_back()
            record_event(self._connection, "not_sent", self._subject(None), self._now, _reason(found))

    def hold(self, reason: str) -> None:
        """Something about the lead must be mended first."""
        if self._release({"queue": QUEUE_HELD, "hold_reason": reason}):
            self._give_back()
            record_event(self._connection, "held", self._subject(None), self._now, {"reason": reason})

    def settle(self, begun: Begun, outcome: Held | Unknown | Deferred | Rejected) -> None:
        """The outcome of an attempt that stands in the ledger. Deliveries: see deliver_steps."""
        match outcome:
            case Held():
                self._held(begun, outcome)
            case Unknown():
                self._unknown(begun, outcome)
            case Deferred():
                self._deferred(begun, outcome)
            case Rejected():
                self._rejected(begun, outcome)

    def _claim_key(self) -> dict[str, object]:
        work = self._work
        return {
            "b_workspace_id": work.workspace_id,
            "b_id": work.enrollment_id,
            "b_owner": work.claim.owner,
            "b_fence": work.claim.fence,
        }

    def _onward(self, position: int, accepted_at: datetime) -> Values:
        """The enrollment after ``position`` was accepted: its next step and due date, or its end."""
        program = self._current_program()
        if program.revision != self._work.program.revision:
            # Edited meanwhile: the edit has moved positions, and the enrollment's own is the one that counts.
            row = self._connection.execute(
                select(Enrollment.last_step).where(
                    Enrollment.workspace_id == self._work.workspace_id, Enrollment.id == self._work.enrollment_id
                )
            ).scalar()
            position = position if row is None else row
        next_step, due_at = onward(program, position + 1, accepted_at)
        ended = {"status": "completed"} if due_at is None else {}
        return {"next_step": next_step, "queue": QUEUE_FOLLOW_UP, "due_at": due_at, **ended}

    def _current_program(self) -> Program:
        known = self._work.program
        return self._programs.load(self._connection, known.workspace_id, known.campaign_id)

    def _held(self, begun: Begun, outcome: Held) -> None:
        if outcome.reason == "claim_lost" or not self._release({}):
            return
        self._give_back()
        self._attempt(begun, "deferred", {"result_kind": "held", "result_text": outcome.reason} | _UNCOUNTED)
        record_event(self._connection, "not_sent", self._subject(begun), self._now, {"reason": outcome.reason})

    def _unknown(self, begun: Begun, outcome: Unknown) -> None:
        if self._release(self._bound() | {"queue": QUEUE_HELD, "hold_reason": "unknown_outcome"}):
            self._attempt(begun, "unknown", {"result_kind": "unknown", "result_text": outcome.text})
            record_event(self._connection, "unknown", self._subject(begun), self._now, {"text": outcome.text})

    def _deferred(self, begun: Begun, outcome: Deferred) -> None:
        mailbox = (self._work.workspace_id, self._work.sender.account.mailbox_id)
        if outcome.kind in ("transient", "connection") and outcome.stage not in BEFORE_RECIPIENT:
            self._try_later(begun, outcome, outcome.retry_after_seconds)
            return
        # The mailbox is at fault, not this message: it goes back unburnt and waits for the mailbox.
        if self._release({}):
            self._give_back()
            self._attempt(begun, "deferred", _result(outcome.kind, outcome) | _UNCOUNTED)
            if outcome.kind == "auth":
                stop_mailbox(self._connection, *mailbox, "error", f"Sign-in was refused: {outcome.text}", self._now)
            elif outcome.kind == "throttle" or outcome.retry_after_seconds is not None:
                cool_mailbox(self._connection, *mailbox, outcome.text, self._now, outcome.retry_after_seconds)
            else:
                note_unreachable(self._connection, *mailbox, outcome.text, self._now)

    def _try_later(self, begun: Begun, outcome: Deferred | Rejected, hint: int | None) -> None:
        first_try = self._connection.execute(
            select(Attempt.first_try_at).where(
                Attempt.workspace_id == self._work.workspace_id, Attempt.id == begun.attempt_id
            )
        ).scalar_one()
        due_at = next_try(self._now, first_try, begun.tries, hint)
        if due_at is None:
            if outcome.kind == "soft":
                self._give_step_up(begun, outcome)
            else:
                self._fail(begun, outcome, "not accepted within 48 hours")
            return
        if self._release(self._bound() | {"due_at": due_at, "queue": QUEUE_FOLLOW_UP}):
            self._give_back()
            self._attempt(begun, "deferred", _result(outcome.kind, outcome))
            data: JsonObject = {"text": outcome.text, "stage": outcome.stage, "tries": begun.tries}
            record_event(self._connection, "deferred", self._subject(begun), self._now, data)

    def _bound(self) -> Values:
        """From here on the lead hears from this mailbox alone: its server has seen the message."""
        return {"mailbox_id": self._work.sender.account.mailbox_id}

    def _fail(self, begun: Begun, outcome: Deferred | Rejected, reason: str) -> None:
        stopped = {"status": "failed", "due_at": None, "stop_reason": f"{reason}: {outcome.text}"[:500]}
        if self._release(stopped):
            self._give_back()
            self._attempt(begun, "rejected", _result(outcome.kind, outcome))
            record_event(self._connection, "failed", self._subject(begun), self._now, {"text": outcome.text})

    def _rejected(self, begun: Begun, outcome: Rejected) -> None:
        work = self._work
        mailbox = (work.workspace_id, work.sender.account.mailbox_id)
        if outcome.kind == "other":
            self._fail(begun, outcome, "refused by the server")
        elif outcome.kind == "soft":
            self._try_later(begun, outcome, None)
        elif outcome.kind == "hard":
            if self._release(
                {"status": "bounced", "bounced_at": self._now, "due_at": None, "stop_reason": outcome.text[:500]}
            ):
                self._give_back()
                self._attempt(begun, "rejected", _result("hard", outcome))
                bounce_lead(
                    self._connection, self._vault, self._subject(begun), work.recipient.email, outcome.text, self._now
                )
        elif self._release(
            {"queue": QUEUE_HELD, "hold_reason": "policy_rejection"} if outcome.kind == "policy" else {}
        ):
            self._give_back()
            self._attempt(begun, "deferred", _result(outcome.kind, outcome))
            record_event(self._connection, "held", self._subject(begun), self._now, {"reason": outcome.text})
            if outcome.kind == "policy":
                note_policy(self._connection, *mailbox, outcome.text, self._now)
            else:
                stop_mailbox(self._connection, *mailbox, "error", outcome.text, self._now)

    def _give_step_up(self, begun: Begun, outcome: Rejected) -> None:
        """The recipient's mailbox stayed full: the lead goes on with its next step, unless this is the third such."""
        # Locked, because a bounce report may count at the same time; the release below is what the claim fences.
        row = self._connection.execute(
            select(Enrollment.soft_bounces, Enrollment.status)
            .where(Enrollment.workspace_id == self._work.workspace_id, Enrollment.id == self._work.enrollment_id)
            .with_for_update()
        ).one_or_none()
        if row is None:
            return
        count, status = row[0] + 1, row[1]
        onward = self._onward(self._work.email.position, self._now)
        if count >= SOFT_BOUNCES or not self._can_follow(onward["next_step"]):
            reason = f"the recipient's mailbox is full: {outcome.text}"[:500]
            onward = {"status": "failed", "due_at": None, "stop_reason": reason}
        if self._release({"soft_bounces": count} | (onward if status in RUNNING else {"due_at": None})):
            self._give_back()
            self._attempt(begun, "rejected", _result(outcome.kind, outcome))
            record_event(self._connection, "failed", self._subject(begun), self._now, {"text": outcome.text})

    def _can_follow(self, position: int) -> bool:
        """Whether there is such an email, and it does not need a thread that never began."""
        emails = self._current_program().emails
        if position >= len(emails):
            return False
        return bool(self._work.thread.ids) or all(variant.subject.strip() for variant in emails[position].variants)

    def _release(self, values: Values) -> bool:
        """Gives the enrollment free with ``values``; False when the claim was lost, so that nothing may be written."""
        done = self._connection.execute(
            _ENROLLMENT.values(lease_owner=None, claim=None, updated_at=self._now, **values), self._claim_key()
        )
        return done.rowcount == 1

    def _attempt(self, begun: Begun, state: str, values: Values) -> None:
        done = None if state == "deferred" else self._now
        self._connection.execute(
            _ATTEMPT.values(state=state, done_at=done, lease_owner=None, **values),
            {"b_workspace_id": self._work.workspace_id, "b_id": begun.attempt_id},
        )

    def _give_back(self) -> None:
        work = self._work
        claim = stored_claim(work.sender.account.mailbox_id, work.claim)
        give_back(self._connection, work.workspace_id, work.program.campaign_id, claim)

    def _subject(self, begun: Begun | None) -> Subject:
        return subject_of(self._work, begun)


def _reason(found: Objection) -> dict[str, Any]:
    return {"reason": found.reason, "detail": found.detail}


def _result(kind: str, outcome: Deferred | Rejected) -> Values:
    return {
        "result_kind": kind,
        "result_code": outcome.code,
        "result_enhanced": outcome.enhanced,
        "result_text": outcome.text[:500],
    }
