"""What the outcome of a reply changes: the reply, its attempt, the mailbox and events, in one transaction."""

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, update

from postrider.inbox.reply_ledger import close_deferred
from postrider.inbox.reply_work import ReplyBegun, ReplyWork
from postrider.inbox.rules import UNKNOWN
from postrider.inbox.tables import Conversation
from postrider.kernel.vault import Vault
from postrider.mailboxes.tables import Mailbox
from postrider.sending.cap_queries import uncount_messages
from postrider.sending.events import record_event
from postrider.sending.guards import CLAIM_LOST, Objection
from postrider.sending.outcomes import Deferred, Delivered, Held, Outcome, Rejected, Unknown
from postrider.sending.retries import BEFORE_RECIPIENT, SOFT_BOUNCES, next_try
from postrider.sending.stops import bounce_lead
from postrider.sending.tables import Attempt, OutgoingReply
from postrider.sending.trouble import cool_mailbox, note_policy, note_unreachable, stop_mailbox

Values = dict[str, object]

_CLAIMED: Final = update(OutgoingReply).where(
    OutgoingReply.workspace_id == bindparam("b_workspace_id"),
    OutgoingReply.id == bindparam("b_id"),
    OutgoingReply.status == "sending",
    OutgoingReply.lease_owner == bindparam("b_owner"),
    OutgoingReply.fence == bindparam("b_fence"),
)


class ReplySettlement:
    """Writes what became of one claimed reply. Nothing is written once the claim is lost.

    A reply ends as sent or failed. An unknown outcome is ``failed`` with an error that says so, and its attempt is
    ``unknown``: it is never sent again by itself. Whatever may be tried again is pending, with the last trouble as its
    error and ``scheduled_for`` at the next try.
    """

    def __init__(self, connection: Connection, vault: Vault, work: ReplyWork, now: datetime) -> None:
        self._connection = connection
        self._vault = vault
        self._work = work
        self._now = now

    def refuse(self, found: Objection) -> None:
        """A guard objected before the first marker: nothing was attempted this time."""
        if found.reason == CLAIM_LOST:
            return
        if found.reason in ("on_dnc", "already_attempted"):
            if self._release("failed", found.detail):
                close_deferred(self._connection, self._work.workspace_id, self._work.reply_id, self._now)
                self._event("reply_failed", None, {"reason": found.reason, "text": found.detail})
        elif found.until is not None:
            self._release("pending", found.detail, scheduled_for=found.until)
        else:
            self._release("pending", found.detail)

    def settle(self, begun: ReplyBegun, outcome: Outcome) -> bool:
        """The outcome of an attempt that stands in the ledger. False: delivered, but the claim was lost."""
        match outcome:
            case Delivered():
                return self._delivered(begun, outcome)
            case Held():
                self._held(begun, outcome)
            case Unknown():
                if self._release("failed", f"{UNKNOWN}. {outcome.text}"):
                    self._attempt(begun, "unknown", {"result_kind": "unknown", "result_text": outcome.text[:500]})
                    self._event("reply_unknown", begun, {"text": outcome.text[:500]})
            case Deferred():
                self._deferred(begun, outcome)
            case Rejected():
                self._rejected(begun, outcome)
        return True

    def _delivered(self, begun: ReplyBegun, outcome: Delivered) -> bool:
        if not self._release("sent", None):
            return False
        refused = [f"{copy.address}: {copy.code} {copy.text}" for copy in outcome.refused_copies]
        self._attempt(
            begun,
            "sent",
            {"server_id": outcome.server_id, "result_text": outcome.text[:500], "refused_copies": refused},
        )
        workspace_id, mailbox_id = self._work.account_key
        self._connection.execute(
            update(Mailbox)
            .where(Mailbox.workspace_id == workspace_id, Mailbox.id == mailbox_id)
            .values(total_sent=Mailbox.total_sent + 1, consecutive_failures=0, cool_count=0, policy_strikes=0)
        )
        self._connection.execute(
            update(Conversation)
            .where(Conversation.workspace_id == workspace_id, Conversation.id == self._work.conversation_id)
            .values(updated_at=self._now)
        )
        self._event("reply_sent", begun)
        return True

    def _held(self, begun: ReplyBegun, outcome: Held) -> None:
        """Something said no at the second marker: the dot did not leave."""
        if outcome.reason == CLAIM_LOST:
            return
        if outcome.reason == "on_dnc":
            self._fail(begun, "held", "the lead is on the do-not-contact list")
        elif self._release("pending", f"held: {outcome.reason}"):
            self._give_back(begun)
            values: Values = {"result_kind": "held", "result_text": outcome.reason, "tries": Attempt.tries - 1}
            self._attempt(begun, "deferred", values)

    def _deferred(self, begun: ReplyBegun, outcome: Deferred) -> None:
        if outcome.kind in ("transient", "connection") and outcome.stage not in BEFORE_RECIPIENT:
            self._try_later(begun, outcome, outcome.retry_after_seconds)
            return
        # The mailbox is at fault: the reply waits for it, and this try does not count.
        if not self._release("pending", f"the mailbox has trouble: {outcome.text}"):
            return
        self._give_back(begun)
        self._attempt(begun, "deferred", _result(outcome) | {"tries": Attempt.tries - 1})
        if outcome.kind == "auth":
            text = f"Sign-in was refused: {outcome.text}"
            stop_mailbox(self._connection, *self._work.account_key, "error", text, self._now)
        elif outcome.kind == "throttle" or outcome.retry_after_seconds is not None:
            cool_mailbox(
                *(self._connection, *self._work.account_key, outcome.text, self._now),
                began_at=begun.began_at,
                hint_seconds=outcome.retry_after_seconds,
            )
        else:
            note_unreachable(
                *(self._connection, *self._work.account_key, outcome.text, self._now), began_at=begun.began_at
            )

    def _try_later(self, begun: ReplyBegun, outcome: Deferred | Rejected, hint: int | None) -> None:
        due_at = next_try(self._now, begun.first_try_at, begun.tries, hint)
        if due_at is None:
            self._fail(begun, outcome.kind, f"not accepted within 48 hours: {outcome.text}", outcome)
        elif self._release("pending", f"to be tried again: {outcome.text}", scheduled_for=due_at):
            self._give_back(begun)
            self._attempt(begun, "deferred", _result(outcome))
            self._event("reply_deferred", begun, {"text": outcome.text[:500], "tries": begun.tries})

    def _rejected(self, begun: ReplyBegun, outcome: Rejected) -> None:
        if outcome.kind == "soft" and begun.tries < SOFT_BOUNCES:
            self._try_later(begun, outcome, None)
        elif outcome.kind == "sender":
            if self._release("pending", f"the mailbox has trouble: {outcome.text}"):
                self._give_back(begun)
                self._attempt(begun, "deferred", _result(outcome) | {"tries": Attempt.tries - 1})
                stop_mailbox(self._connection, *self._work.account_key, "error", outcome.text, self._now)
        elif self._fail(begun, outcome.kind, f"{_verdict(outcome)}: {outcome.text}", outcome):
            if outcome.kind == "hard":
                subject, email = self._work.subject(begun.attempt_id), self._work.recipient_email
                bounce_lead(self._connection, self._vault, subject, email, outcome.text, self._now)
            elif outcome.kind == "policy":
                note_policy(self._connection, *self._work.account_key, outcome.text, self._now)

    def _fail(self, begun: ReplyBegun, kind: str, text: str, outcome: Deferred | Rejected | None = None) -> bool:
        released = self._release("failed", text)
        if released:
            self._give_back(begun)
            result: Values = _result(outcome) if outcome else {"result_text": text[:500]}
            self._attempt(begun, "rejected" if outcome else "cancelled", result | {"result_kind": kind})
            self._event("reply_failed", begun, {"reason": kind, "text": text[:500]})
        return released

    def _give_back(self, begun: ReplyBegun) -> None:
        """Nothing was sent: the limit of whoever wrote it has room again, if it has one."""
        capped = self._work.capped
        if capped is not None:
            counted = (self._work.workspace_id, capped.credential_id, begun.began_at)
            uncount_messages(self._connection, [counted])

    def _release(self, status: str, error: str | None, **values: object) -> bool:
        """Gives the reply free in ``status``; False when the claim was lost, so that nothing may be written."""
        work = self._work
        done = self._connection.execute(
            _CLAIMED.values(
                status=status,
                error=error[:500] if error else None,
                lease_owner=None,
                updated_at=self._now,
                **values,
            ),
            {
                "b_workspace_id": work.workspace_id,
                "b_id": work.reply_id,
                "b_owner": work.claim.owner,
                "b_fence": work.claim.fence,
            },
        )
        return done.rowcount == 1

    def _attempt(self, begun: ReplyBegun, state: str, values: Values) -> None:
        done = None if state == "deferred" else self._now
        self._connection.execute(
            update(Attempt)
            .where(Attempt.workspace_id == self._work.workspace_id, Attempt.id == begun.attempt_id)
            .values(state=state, done_at=done, lease_owner=None, **values)
        )

    def _event(self, kind: str, begun: ReplyBegun | None, data: dict[str, str | int] | None = None) -> None:
        subject = self._work.subject(begun.attempt_id if begun else None)
        record_event(self._connection, kind, subject, self._now, {"replyId": self._work.reply_id, **(data or {})})


def _verdict(outcome: Rejected) -> str:
    return "cannot be sent" if outcome.code is None else f"refused ({outcome.kind})"


def _result(outcome: Deferred | Rejected) -> Values:
    return {
        "result_kind": outcome.kind,
        "result_code": outcome.code,
        "result_enhanced": outcome.enhanced,
        "result_text": outcome.text[:500],
    }
