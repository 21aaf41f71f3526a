"""What trouble with a mail server does to the mailbox.

Many messages of a mailbox may be on their way when its server begins to refuse them. What those meet that had begun
before the mailbox came to rest is the same trouble: it is not counted again.
"""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import Connection, select, update

from postrider.mailboxes.tables import Mailbox
from postrider.sending.events import Subject, record_event
from postrider.sending.retries import LONGEST_HINT, POLICY_STRIKES, cool_pause, unreachable_pause

UNREADABLE: Final = (
    "Its stored password does not open with this installation's key. Start Postrider with the key it was stored under, "
    "or connect the mailbox again."
)


class _Health(NamedTuple):
    status: str
    cool_until: datetime | None
    cool_count: int
    consecutive_failures: int
    policy_strikes: int

    def is_news(self, began_at: datetime) -> bool:
        """Whether what a try met that began then is new trouble: a mailbox that rests begins none."""
        return self.cool_until is None or began_at >= self.cool_until

    def rest(self, until: datetime) -> datetime:
        """When the mailbox may be used again, which it is not sooner than was known before."""
        return until if self.cool_until is None else max(self.cool_until, until)


def stop_mailbox(
    connection: Connection, workspace_id: str, mailbox_id: str, status: str, text: str, now: datetime
) -> None:
    """Takes a mailbox out of use until a person has mended it. ``status``: error or suspended. It is still read."""
    before = _lock(connection, workspace_id, mailbox_id)
    stopped = {"status": status, "last_error": text[:500], "read_stopped_at": None}
    _change(connection, workspace_id, mailbox_id, now, **stopped)
    if before is not None and before.status != status:
        _record(connection, "mailbox_stopped", workspace_id, mailbox_id, text, now)


def cool_mailbox(
    connection: Connection,
    workspace_id: str,
    mailbox_id: str,
    text: str,
    now: datetime,
    *,
    began_at: datetime,
    hint_seconds: int | None,
) -> None:
    """Lets a throttled mailbox rest: 15 minutes, doubled each time in a row, or longer if the server said so.

    ``began_at``: when the try began that met it.
    """
    before = _lock(connection, workspace_id, mailbox_id)
    if before is None:
        return
    count = before.cool_count + 1 if before.is_news(began_at) else max(before.cool_count, 1)
    pause = cool_pause(count)
    if hint_seconds is not None:
        pause = max(pause, min(timedelta(seconds=hint_seconds), LONGEST_HINT))
    until = before.rest(now + pause)
    _change(connection, workspace_id, mailbox_id, now, cool_until=until, cool_count=count, last_error=text[:500])
    if count != before.cool_count:
        _record(connection, "mailbox_cooling", workspace_id, mailbox_id, text, now)


def note_unreachable(
    connection: Connection, workspace_id: str, mailbox_id: str, text: str, now: datetime, *, began_at: datetime
) -> None:
    """Lets a mailbox whose server does not answer rest: one minute, doubled each time in a row. See cool_mailbox."""
    before = _lock(connection, workspace_id, mailbox_id)
    if before is None:
        return
    failures = before.consecutive_failures
    failures = failures + 1 if before.is_news(began_at) else max(failures, 1)
    _change(
        connection,
        workspace_id,
        mailbox_id,
        now,
        cool_until=before.rest(now + unreachable_pause(failures)),
        consecutive_failures=failures,
        last_error=text[:500],
    )


def note_policy(connection: Connection, workspace_id: str, mailbox_id: str, text: str, now: datetime) -> None:
    """Counts a refusal on policy grounds; the third suspends the mailbox, whose reputation is at stake.

    Each is about a message of its own, so that it counts also while others were on their way.
    """
    before = _lock(connection, workspace_id, mailbox_id)
    if before is None:
        return
    strikes = before.policy_strikes + 1
    _change(connection, workspace_id, mailbox_id, now, policy_strikes=strikes, last_error=text[:500])
    if strikes >= POLICY_STRIKES:
        stop_mailbox(connection, workspace_id, mailbox_id, "suspended", f"Refused on policy grounds: {text}", now)


def _lock(connection: Connection, workspace_id: str, mailbox_id: str) -> _Health | None:
    """How the mailbox stands. Nobody else counts until this transaction ends."""
    row = connection.execute(
        select(
            *(Mailbox.status, Mailbox.cool_until),
            *(Mailbox.cool_count, Mailbox.consecutive_failures, Mailbox.policy_strikes),
        )
        .where(Mailbox.workspace_id == workspace_id, Mailbox.id == mailbox_id)
        .with_for_update()
    ).one_or_none()
    return _Health(*row) if row is not None else None


def _record(connection: Connection, kind: str, workspace_id: str, mailbox_id: str, text: str, now: datetime) -> None:
    record_event(connection, kind, Subject(workspace_id, mailbox_id=mailbox_id), now, {"text": text[:500]})


def _change(
    connection: Connection, workspace_id: str, mailbox_id: str, now: datetime, **values: str | int | datetime | None
) -> None:
    connection.execute(
        update(Mailbox)
        .where(Mailbox.workspace_id == workspace_id, Mailbox.id == mailbox_id)
        .values(updated_at=now, **values)
    )
