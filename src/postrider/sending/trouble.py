"""What trouble with a mail server does to the mailbox."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, select, update

from postrider.mailboxes.tables import Mailbox
from postrider.sending.events import Subject, record_event
from postrider.sending.retries import LONGEST_HINT, POLICY_STRIKES, cool_pause, unreachable_pause

UNREADABLE: Final = (
    "Its stored password does not open with this installation's key. Start Postrider with the key it was stored under, "
    "or connect the mailbox again."
)


def stop_mailbox(
    connection: Connection, workspace_id: str, mailbox_id: str, status: str, text: str, now: datetime
) -> None:
    """Takes a mailbox out of use until a person has mended it. ``status``: error or suspended. It is still read."""
    stopped = {"status": status, "last_error": text[:500], "read_stopped_at": None}
    _change(connection, workspace_id, mailbox_id, now, **stopped)
    record_event(connection, "mailbox_stopped", Subject(workspace_id, mailbox_id=mailbox_id), now, {"text": text[:500]})


def cool_mailbox(
    connection: Connection, workspace_id: str, mailbox_id: str, text: str, now: datetime, hint_seconds: int | None
) -> None:
    """Lets a throttled mailbox rest: 15 minutes, doubled each time in a row, or longer if the server said so."""
    count = _current(connection, workspace_id, mailbox_id)[0] + 1
    pause = cool_pause(count)
    if hint_seconds is not None:
        pause = max(pause, min(timedelta(seconds=hint_seconds), LONGEST_HINT))
    _change(connection, workspace_id, mailbox_id, now, cool_until=now + pause, cool_count=count, last_error=text[:500])
    record_event(connection, "mailbox_cooling", Subject(workspace_id, mailbox_id=mailbox_id), now, {"text": text[:500]})


def note_unreachable(connection: Connection, workspace_id: str, mailbox_id: str, text: str, now: datetime) -> None:
    """Lets a mailbox whose server does not answer rest: one minute, doubled each time in a row."""
    failures = _current(connection, workspace_id, mailbox_id)[1] + 1
    _change(
        connection,
        workspace_id,
        mailbox_id,
        now,
        cool_until=now + unreachable_pause(failures),
        consecutive_failures=failures,
        last_error=text[:500],
    )


def note_policy(connection: Connection, workspace_id: str, mailbox_id: str, text: str, now: datetime) -> None:
    """Counts a refusal on policy grounds; the third suspends the mailbox, whose reputation is at stake."""
    strikes = _current(connection, workspace_id, mailbox_id)[2] + 1
    _change(connection, workspace_id, mailbox_id, now, policy_strikes=strikes, last_error=text[:500])
    if strikes >= POLICY_STRIKES:
        stop_mailbox(connection, workspace_id, mailbox_id, "suspended", f"Refused on policy grounds: {text}", now)


def _current(connection: Connection, workspace_id: str, mailbox_id: str) -> tuple[int, int, int]:
    row = connection.execute(
        select(Mailbox.cool_count, Mailbox.consecutive_failures, Mailbox.policy_strikes).where(
            Mailbox.workspace_id == workspace_id, Mailbox.id == mailbox_id
        )
    ).one_or_none()
    return (row[0], row[1], row[2]) if row else (0, 0, 0)


def _change(
    connection: Connection, workspace_id: str, mailbox_id: str, now: datetime, **values: str | int | datetime | None
) -> None:
    connection.execute(
        update(Mailbox)
        .where(Mailbox.workspace_id == workspace_id, Mailbox.id == mailbox_id)
        .values(updated_at=now, **values)
    )
