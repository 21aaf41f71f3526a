"""What the outcome of a send changes: attempt, enrollment, mailbox, events and counts, in one transaction."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, bindparam, case, literal, select, update

from postrider.campaigns.endings import Stop, StopReason
from postrider.campaigns.states import QUEUE_FOLLOW_UP, QUEUE_HELD, RUNNING, UNKNOWN_OUTCOME
from postrider.campaigns.tables import Enrollment
from postrider.kernel.vault import Vault
from postrider.sending.deliveries import current_programs, step_after, subject_of
from postrider.sending.events import Subject, record_event
from postrider.sending.guards import CLAIM_LOST, Objection
from postrider.sending.outcomes import Deferred, Held, Rejected, Unknown
from postrider.sending.program import Program, Programs
from postrider.sending.retries import BEFORE_RECIPIENT, SOFT_BOUNCES, next_try
from postrider.sending.stops import bounce_lead
from postrider.sending.tables import Attempt
from postrider.sending.trouble import cool_mailbox, note_policy, note_unreachable, stop_mailbox
from postrider.sending.usage import give_back, stored_claim
from postrider.sending.work import Begun, StepWork
from postrider.sending.work_queries import is_as_loaded
from postrider.storage.base import JsonObject

Values = dict[str, Any]

_NOTHING: Final[Values] = {}
_STILL_RUNS: Final = Enrollment.status.in_(RUNNING)

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
_EDITED: Final = Objection("as_loaded", "edited_meanwhile", "the lead or the campaign was edited after it was read")


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
        if found.reason == CLAIM_LOST:
            return
        if found.reason == "on_dnc":
            released = self._release(_ended("stopped", Stop("on_dnc", found.detail)))
        elif found.reason == "already_attempted":
            released = self._release(self._onward())
        else:
            released = self._release({})
        if released:
            self._give_back()
            record_event(self._connection, "not_sent", self._subject(None), self._now, _reason(found))

    def hold(self, reason: str) -> None:
        """Something about the lead must be mended first, unless an edit came in between, which may have done it."""
        if not is_as_loaded(self._connection, self._work):
            self.refuse(_EDITED)
        elif self._release({"queue": QUEUE_HELD, "hold_reason": reason}):
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

    def _onward(self) -> Values:
        """The enrollment past this email: its next step and due date, or its end."""
        work = self._work
        last_step = self._connection.execute(
            select(Enrollment.last_step).where(
                Enrollment.workspace_id == work.workspace_id, Enrollment.id == work.enrollment_id
            )
        ).scalar()
        position = work.email.position if last_step is None else last_step
        next_step, due_at = step_after(work, self._current_program(), position, self._now)
        ended = {"status": "completed"} if due_at is None else {}
        return {"next_step": next_step, "queue": QUEUE_FOLLOW_UP, "due_at": due_at, **ended}

    def _current_program(self) -> Program:
        work = self._work
        current = current_programs(self._connection, self._programs, work.workspace_id, [work])
        return current[work.program.campaign_id]

    def _held(self, begun: Begun, outcome: Held) -> None:
        if outcome.reason == CLAIM_LOST or not self._release({}):
            return
        self._give_back()
        self._attempt(begun, "deferred", {"result_kind": "held", "result_text": outcome.reason} | _UNCOUNTED)
        record_event(self._connection, "not_sent", self._subject(begun), self._now, {"reason": outcome.reason})

    def _unknown(self, begun: Begun, outcome: Unknown) -> None:
        if self._release({}, self._bound() | {"queue": QUEUE_HELD, "hold_reason": UNKNOWN_OUTCOME}):
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
                cool_mailbox(
                    *(self._connection, *mailbox, outcome.text, self._now),
                    began_at=begun.began_at,
                    hint_seconds=outcome.retry_after_seconds,
                )
            else:
                note_unreachable(self._connection, *mailbox, outcome.text, self._now, began_at=begun.began_at)

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
                self._fail(begun, outcome, "not_accepted")
            return
        if self._release({"due_at": due_at, "queue": QUEUE_FOLLOW_UP}, self._bound()):
            self._give_back()
            self._attempt(begun, "deferred", _result(outcome.kind, outcome))
            data: JsonObject = {"text": outcome.text, "stage": outcome.stage, "tries": begun.tries}
            record_event(self._connection, "deferred", self._subject(begun), self._now, data)

    def _bound(self) -> Values:
        """From here on the lead hears from this mailbox alone: its server has seen the message."""
        return {"mailbox_id": self._work.sender.account.mailbox_id}

    def _fail(self, begun: Begun, outcome: Deferred | Rejected, reason: StopReason) -> None:
        if self._release(_ended("failed", Stop(reason, outcome.text))):
            self._give_back()
            self._attempt(begun, "rejected", _result(outcome.kind, outcome))
            record_event(self._connection, "failed", self._subject(begun), self._now, {"text": outcome.text})

    def _rejected(self, begun: Begun, outcome: Rejected) -> None:
        work = self._work
        mailbox = (work.workspace_id, work.sender.account.mailbox_id)
        if outcome.kind == "other":
            self._fail(begun, outcome, "cannot_be_sent" if outcome.code is None else "refused")
        elif outcome.kind == "soft":
            self._try_later(begun, outcome, None)
        elif outcome.kind == "hard":
            if self._release(_ended("bounced", Stop("bounced", outcome.text)), {"bounced_at": self._now}):
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
        count = self._connection.execute(
            select(Enrollment.soft_bounces)
            .where(Enrollment.workspace_id == self._work.workspace_id, Enrollment.id == self._work.enrollment_id)
            .with_for_update()
        ).scalar()
        if count is None:
            return
        count += 1
        onward = self._onward()
        if count >= SOFT_BOUNCES or not self._can_follow(onward["next_step"]):
            onward = _ended("failed", Stop("mailbox_full", outcome.text))
        if self._release(onward, {"soft_bounces": count}):
            self._give_back()
            self._attempt(begun, "rejected", _result(outcome.kind, outcome))
            record_event(self._connection, "failed", self._subject(begun), self._now, {"text": outcome.text})

    def _can_follow(self, position: int) -> bool:
        """Whether there is such an email, and it does not need a thread that never began."""
        emails = self._current_program().emails
        if position >= len(emails):
            return False
        return bool(self._work.thread.ids) or all(variant.subject.strip() for variant in emails[position].variants)

    def _release(self, values: Values, always: Values = _NOTHING) -> bool:
        """Gives the enrollment free; False when the claim was lost, so that nothing may be written.

        ``values``: what it becomes unless somebody stopped it while the message was on its way. Whoever did has the
        last word. ``always``: what it becomes also then.
        """
        columns = Enrollment.__table__.c
        unless_stopped = {
            name: case((_STILL_RUNS, literal(value, columns[name].type)), else_=columns[name])
            for name, value in values.items()
        }
        freed = _ENROLLMENT.values(lease_owner=None, claim=None, updated_at=self._now, **unless_stopped, **always)
        done = self._connection.execute(freed, self._claim_key())
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


def _ended(status: str, stop: Stop) -> Values:
    return {"status": status, "due_at": None, **stop.columns()}


def _result(kind: str, outcome: Deferred | Rejected) -> Values:
    return {
        "result_kind": kind,
        "result_code": outcome.code,
        "result_enhanced": outcome.enhanced,
        "result_text": outcome.text[:500],
    }
