"""Test messages: sent at once, outside any schedule, and in the ledger like every message that leaves."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, literal, update
from sqlalchemy.orm import Session

from postrider.dnc.queries import listed_reason
from postrider.kernel.errors import Conflict
from postrider.kernel.ids import new_id
from postrider.mailboxes.ports import MailAccount
from postrider.sending.composing import Composed, Parcel, build_parcel
from postrider.sending.guards import objection
from postrider.sending.ledger import begin_other
from postrider.sending.outcomes import Deferred, Delivered, Held, Outcome, Rejected, Unknown
from postrider.sending.ports import Envelope
from postrider.sending.standing import Question, read_standing
from postrider.sending.tables import Attempt

ABANDONED_AFTER: Final = timedelta(minutes=30)
_IS_TEST: Final = Attempt.purpose == literal("test", literal_execute=True)
"""Written out in the statement, so that SQLite sees that the partial index covers it."""

_HINTS: Final = {
    "workspace_running": "resume_workspace lets its mail leave again.",
    "mailbox_healthy": "Give mailboxId of another one, or see get_mailbox for what is wrong with this one.",
}
"""What to do about a guard's no, for those that a test can meet."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One test message on its way."""

    workspace_id: str
    attempt_id: str
    message_id: str
    account: MailAccount
    sender_name: str
    recipient: str
    hashes: list[str]
    composed: Composed
    campaign_id: str
    now: datetime


def begin_trial(connection: Connection, trial: Trial) -> None:
    """Writes the first marker. Raises: Conflict when the workspace, the mailbox or the recipient forbid it."""
    _check(connection, trial)
    composed = trial.composed
    values: dict[str, object] = {
        "workspace_id": trial.workspace_id,
        "id": trial.attempt_id,
        "state": "sending",
        "message_id": trial.message_id,
        "mailbox_id": trial.account.mailbox_id,
        "recipient": trial.recipient,
        "campaign_id": trial.campaign_id,
        "copies": [],
        "refused_copies": [],
        "tries": 1,
        "first_try_at": trial.now,
        "sending_at": trial.now,
        "mailbox_day": trial.now.date().isoformat(),
        "fence": 0,
    }
    content = {"subject": composed.subject, "html": composed.html, "text": composed.text}
    begin_other(connection, values, "test", trial.attempt_id, {**content})


def dot_trial(connection: Connection, trial: Trial) -> bool:
    """Writes the second marker; False when something forbids it by now."""
    try:
        _check(connection, trial)
    except Conflict:
        return False
    marked = connection.execute(
        update(Attempt)
        .where(Attempt.workspace_id == trial.workspace_id, Attempt.id == trial.attempt_id, Attempt.state == "sending")
        .values(state="dotted", dotted_at=trial.now)
    )
    return marked.rowcount == 1


def finish_trial(connection: Connection, trial: Trial, outcome: Outcome) -> None:
    """Writes what became of it. A test is never tried again by itself."""
    state, kind, text = _words(outcome)
    connection.execute(
        update(Attempt)
        .where(Attempt.workspace_id == trial.workspace_id, Attempt.id == trial.attempt_id)
        .values(state=state, result_kind=kind, result_text=text[:500], done_at=trial.now)
    )


def _words(outcome: Outcome) -> tuple[str, str, str]:
    match outcome:
        case Delivered():
            return "sent", "delivered", outcome.text
        case Unknown():
            return "unknown", "unknown", outcome.text
        case Held():
            return "cancelled", "held", outcome.reason
        case Deferred() | Rejected():
            return "rejected", outcome.kind, outcome.text


def _check(connection: Connection, trial: Trial) -> None:
    standing = read_standing(
        connection,
        trial.workspace_id,
        Question(
            mailbox_id=trial.account.mailbox_id,
            hashes=trial.hashes,
            skip_dnc=True,
        ),
    )
    found = objection(standing, trial.now)
    if found is None:
        return
    if found.guard == "not_on_dnc":
        # The guard's detail may quote a mail server, and errors hold nothing of what strangers wrote.
        reason = listed_reason(connection, trial.workspace_id, trial.hashes) or "listed"
        raise Conflict(
            f"The test was not sent: {trial.recipient} is on the do-not-contact list: {reason}.",
            code="ON_DNC",
            hint="Do not write to this person; customEmail sends the test to an address of your own.",
            details={"guard": found.guard},
        )
    raise Conflict(
        f"The test was not sent: {found.detail}.", hint=_HINTS.get(found.guard), details={"guard": found.guard}
    )


def trial_envelope(trial: Trial) -> Envelope:
    """The octets: no tracking, no unsubscribe headers, nobody in copy. Raises: InvalidInput."""
    parcel = Parcel(
        workspace_id=trial.workspace_id,
        attempt_id=trial.attempt_id,
        message_id=trial.message_id,
        date=trial.now,
        sender_name=trial.sender_name,
        sender_email=trial.account.email,
        recipient_name="",
        recipient_email=trial.recipient,
        copies=(),
        subject=trial.composed.subject,
        html=trial.composed.html,
        text=trial.composed.text,
        in_reply_to=None,
        references=(),
        unsubscribe=(),
        one_click=False,
    )
    data, needs_smtputf8 = build_parcel(parcel, None, None)
    return Envelope(trial.account.email, (trial.recipient,), trial.message_id, data, needs_smtputf8)


def fresh_attempt_id() -> str:
    """An id for the attempt, known before its row so that the octets can be checked first."""
    return new_id("att")


def close_abandoned(session: Session, now: datetime) -> None:
    """Closes tests whose process ended under way; the person who asked for them can ask again."""
    for state, becomes in (("dotted", "unknown"), ("sending", "cancelled")):
        session.execute(
            update(Attempt)
            .where(_IS_TEST, Attempt.state == state, Attempt.sending_at < now - ABANDONED_AFTER)
            .values(state=becomes, done_at=now)
        )
