"""Test messages: sent at once, outside any schedule, and in the ledger like every message that leaves.

They use up the mailbox's day, and reach nobody who has said no. To an address of the workspace's own people they are
only a look; anybody else gets what a campaign email has to offer: a way to unsubscribe that works.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, and_, literal, or_, select, update
from sqlalchemy.orm import Session

from postrider.access.tables import Membership, User
from postrider.campaigns.tables import Enrollment
from postrider.dnc.queries import listed_reason
from postrider.kernel.errors import Conflict
from postrider.kernel.ids import new_id
from postrider.kernel.vault import Vault
from postrider.kernel.zones import rfc3339
from postrider.leads.tables import Lead
from postrider.mailboxes.ports import MailAccount
from postrider.mailboxes.tables import Mailbox, SendDay
from postrider.sending.cap_queries import count_message, limit_reached, uncount_messages
from postrider.sending.capped import Capped
from postrider.sending.composing import Composed, Parcel, build_parcel
from postrider.sending.events import Subject
from postrider.sending.guards import objection
from postrider.sending.ledger import begin_other
from postrider.sending.outcomes import Deferred, Delivered, Held, Outcome, Rejected, Unknown
from postrider.sending.ports import Envelope
from postrider.sending.standing import Question, read_standing
from postrider.sending.stops import bounce_lead
from postrider.sending.tables import Attempt
from postrider.sending.usage import USED, count_alone, give_all_back
from postrider.sending.windows import local_day, next_local_midnight
from postrider.storage.base import JsonObject

ABANDONED_AFTER: Final = timedelta(minutes=30)
_IS_TEST: Final = Attempt.purpose == literal("test", literal_execute=True)
"""Written out in the statement, so that SQLite sees that the partial index covers it."""

_HINTS: Final = {
    "workspace_running": "resume_workspace lets its mail leave again.",
    "mailbox_healthy": "Give mailboxId of another one, or see get_mailbox for what is wrong with this one.",
}
"""What to do about a guard's no, for those that a test can meet."""


_OVER: Final = {
    "unsubscribed": "has unsubscribed",
    "bounced": "cannot be reached: a message bounced",
    "replied": "has replied",
    "stopped": "was stopped",
}
"""States of an enrollment after which a lead hears nothing more, the gravest first."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One test message on its way.

    ``is_own``: the recipient is the workspace's own (see ``is_own_address``). ``lead_id``: who has the address, if a
    lead has it. ``unsubscribe``: what List-Unsubscribe offers. ``capped``: who asks for it, where they have a limit.
    """

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
    is_own: bool
    lead_id: str | None
    unsubscribe: tuple[str, ...]
    one_click: bool
    capped: Capped | None = None


def is_own_address(session: Session, workspace_id: str, email: str) -> bool:
    """Whether the address is that of a mailbox or a member of the workspace: writing there is writing to oneself."""
    mailbox = select(Mailbox.id).where(Mailbox.workspace_id == workspace_id, Mailbox.email == email)
    member = (
        select(User.id)
        .join(Membership, Membership.user_id == User.id)
        .where(Membership.workspace_id == workspace_id, User.email == email)
    )
    return any(session.execute(query.limit(1)).scalar() is not None for query in (mailbox, member))


def begin_trial(connection: Connection, trial: Trial) -> None:
    """Writes the first marker, and counts the message on the mailbox's day and that of who asks for it.

    Raises: Conflict when the workspace, the mailbox, its day limit or the recipient forbid it; LimitReached when the
    day of who asks is used up.
    """
    count_alone(connection, trial.workspace_id)
    _check(connection, trial)
    if trial.capped is not None:
        _count_credential(connection, trial.workspace_id, trial.capped, trial.now)
    day = _count(connection, trial)
    composed = trial.composed
    values: dict[str, object] = {
        "workspace_id": trial.workspace_id,
        "id": trial.attempt_id,
        "state": "sending",
        "message_id": trial.message_id,
        "mailbox_id": trial.account.mailbox_id,
        "recipient": trial.recipient,
        "campaign_id": trial.campaign_id,
        "lead_id": trial.lead_id,
        "copies": [],
        "refused_copies": [],
        "tries": 1,
        "first_try_at": trial.now,
        "sending_at": trial.now,
        "mailbox_day": day,
        "credential_id": None if trial.capped is None else trial.capped.credential_id,
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


def finish_trial(connection: Connection, vault: Vault, trial: Trial, outcome: Outcome) -> None:
    """Writes what became of it, once. A test is never tried again by itself, and what did not leave is not counted."""
    state, kind, text = _words(outcome)
    this = and_(Attempt.workspace_id == trial.workspace_id, Attempt.id == trial.attempt_id)
    query = select(Attempt.state, Attempt.mailbox_day).where(this).with_for_update()
    before, day = connection.execute(query).one()
    connection.execute(
        update(Attempt).where(this).values(state=state, result_kind=kind, result_text=text[:500], done_at=trial.now)
    )
    if before in ("sent", "rejected", "cancelled"):
        return
    mailbox_id = trial.account.mailbox_id
    if state in ("rejected", "cancelled"):
        _give_back(connection, [(trial.workspace_id, mailbox_id, day)])
        if trial.capped is not None:
            uncount_messages(connection, [(trial.workspace_id, trial.capped.credential_id, trial.now)])
    if state == "sent":
        connection.execute(
            update(Mailbox)
            .where(Mailbox.workspace_id == trial.workspace_id, Mailbox.id == mailbox_id)
            .values(total_sent=Mailbox.total_sent + 1)
        )
    if isinstance(outcome, Rejected) and outcome.kind == "hard" and not trial.is_own:
        subject = Subject(trial.workspace_id, lead_id=trial.lead_id, mailbox_id=mailbox_id, attempt_id=trial.attempt_id)
        bounce_lead(connection, vault, subject, trial.recipient, text, trial.now)


def _count_credential(connection: Connection, workspace_id: str, capped: Capped, now: datetime) -> None:
    """Raises: LimitReached."""
    full = count_message(connection, workspace_id, capped, now)
    reached = None if full is None else full.reached(now)
    if full is not None and reached is not None:
        raise limit_reached(full, reached, now)


def _count(connection: Connection, trial: Trial) -> str:
    """Counts the message on the mailbox's local day, which it names. Raises: Conflict when the day is used up."""
    mailbox_id = trial.account.mailbox_id
    limit, zone = connection.execute(
        select(Mailbox.daily_send_limit, Mailbox.timezone).where(
            Mailbox.workspace_id == trial.workspace_id, Mailbox.id == mailbox_id
        )
    ).one()
    day = local_day(trial.now, zone).isoformat()
    key = {"workspace_id": trial.workspace_id, "owner_id": mailbox_id, "day": day}
    used = connection.execute(select(SendDay.sent).filter_by(**key)).scalar() or 0
    if used >= limit:
        resets_at = rfc3339(next_local_midnight(trial.now, zone))
        raise Conflict(
            f"The test was not sent: {trial.account.email} has used its dailySendLimit of {limit} today ({day}, "
            f"{zone}). The limit resets at {resets_at}.",
            code="DAILY_LIMIT_REACHED",
            hint="Tests count like campaign emails: send it after that, or give mailboxId of another one.",
            details={"guard": "daily_limit", "dailySendLimit": limit, "sentToday": used, "resetsAt": resets_at},
        )
    USED.run(connection, {**{f"b_{name}": value for name, value in key.items()}, "b_sent": 1, "b_new_leads": 0})
    return day


def _give_back(connection: Connection | Session, used: Iterable[tuple[str, str, str]]) -> None:
    """Takes tests off the days of their mailboxes: workspace, mailbox and day of each."""
    claims: list[tuple[str, str, JsonObject]] = [
        (workspace_id, "", {"mailboxId": mailbox_id, "mailboxDay": day, "campaignDay": None, "countsNew": False})
        for workspace_id, mailbox_id, day in used
    ]
    give_all_back(connection, claims)


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
        _check_lead(connection, trial)
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


def _check_lead(connection: Connection, trial: Trial) -> None:
    """Whoever answered, left or bounced in any campaign is not written to by a test either."""
    if trial.is_own:
        return
    query = (
        select(Enrollment.status, Enrollment.unsubscribed_at, Enrollment.bounced_at)
        .join(Lead, and_(Lead.workspace_id == Enrollment.workspace_id, Lead.id == Enrollment.lead_id))
        .where(
            Enrollment.workspace_id == trial.workspace_id,
            Lead.email == trial.recipient,
            or_(
                Enrollment.status.in_(_OVER),
                Enrollment.unsubscribed_at.is_not(None),
                Enrollment.bounced_at.is_not(None),
            ),
        )
    )
    states: set[str] = set()
    for status, unsubscribed_at, bounced_at in connection.execute(query):
        states |= {status, "unsubscribed" if unsubscribed_at else status, "bounced" if bounced_at else status}
    for state, words in _OVER.items():
        if state in states:
            raise Conflict(
                f"The test was not sent: the lead {trial.recipient} {words}.",
                code="LEAD_NOT_ACTIVE",
                hint="Do not write to this person; customEmail sends the test to an address of your own.",
                details={"guard": "lead_active", "status": state},
            )


def trial_envelope(trial: Trial) -> Envelope:
    """The octets: no tracking, nobody in copy. Raises: InvalidInput."""
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
        unsubscribe=trial.unsubscribe,
        one_click=trial.one_click,
    )
    data, needs_smtputf8 = build_parcel(parcel, None, None)
    return Envelope(trial.account.email, (trial.recipient,), trial.message_id, data, needs_smtputf8)


def fresh_attempt_id() -> str:
    """An id for the attempt, known before its row so that the octets can be checked first."""
    return new_id("att")


def close_abandoned(session: Session, now: datetime) -> None:
    """Closes tests whose process ended under way; the person who asked for them can ask again."""
    for state, becomes in (("dotted", "unknown"), ("sending", "cancelled")):
        closed = session.execute(
            update(Attempt)
            .where(_IS_TEST, Attempt.state == state, Attempt.sending_at < now - ABANDONED_AFTER)
            .values(state=becomes, done_at=now)
            .returning(
                *(Attempt.workspace_id, Attempt.mailbox_id, Attempt.mailbox_day),
                *(Attempt.credential_id, Attempt.sending_at),
            )
        ).all()
        if becomes == "cancelled":
            _give_back(session, [(row[0], row[1], row[2]) for row in closed])
            uncount_messages(session, [(row[0], row[3], row[4]) for row in closed])
