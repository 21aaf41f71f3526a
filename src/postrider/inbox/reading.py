"""The right to read a mailbox, which one engine has at a time, and what reading it finds out about its server."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, literal, select, update
from sqlalchemy.orm import Session

from postrider.inbox.ports import FolderCursor
from postrider.inbox.queries import READ_STATES, MailboxKey, folder_cursors
from postrider.kernel.vault import Vault
from postrider.mailboxes.ports import MailAccount
from postrider.mailboxes.queries import account_of
from postrider.mailboxes.tables import Mailbox
from postrider.sending.events import Subject, record_event
from postrider.storage.base import JsonObject
from postrider.storage.leases import is_alive, wall_ms_now

FIRST_LOOK_BACK: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ReadJob:
    """A mailbox to read and how far it was read. ``since``: older mail is nothing to us."""

    account: MailAccount
    cursors: tuple[FolderCursor, ...]
    since: datetime


def claim_reading(connection: Connection, key: MailboxKey, owner: str) -> bool:
    """Whether ``owner`` may read the mailbox now: nobody else does, or whoever did is gone."""
    this = (Mailbox.workspace_id == key.workspace_id, Mailbox.id == key.mailbox_id)
    row = connection.execute(select(Mailbox.read_lease_owner).where(*this)).one_or_none()
    if row is None:
        return False
    holder = row.read_lease_owner
    if holder == owner:
        return True
    if holder is not None and _lives(connection, holder):
        return False
    taken = connection.execute(
        update(Mailbox)
        .where(*this, Mailbox.read_lease_owner.is_not_distinct_from(holder))
        .values(read_lease_owner=owner)
    )
    return taken.rowcount == 1


def release_reading(connection: Connection, owner: str) -> None:
    """Lets other engines read what ``owner`` read."""
    connection.execute(update(Mailbox).where(Mailbox.read_lease_owner == owner).values(read_lease_owner=None))


def load_job(session: Session, vault: Vault, key: MailboxKey, wall_now: datetime) -> ReadJob | None:
    """What it takes to read the mailbox; None when it is not to be read (any more). Raises: VaultError.

    ``wall_now``: the server's time, by which it dates its mail; business time may run ahead of it.
    """
    row = session.get(Mailbox, key)
    if row is None or row.status not in READ_STATES:
        return None
    since = min(row.created_at, wall_now) - FIRST_LOOK_BACK
    return ReadJob(account_of(row, vault), folder_cursors(session, key), since)


def note_read(connection: Connection, key: MailboxKey, now: datetime) -> bool:
    """Reading works; trouble with it is over. True: that let the mailbox send again."""
    this = (Mailbox.workspace_id == key.workspace_id, Mailbox.id == key.mailbox_id)
    connection.execute(update(Mailbox).where(*this).values(last_polled_at=now, read_error=None))
    resumed = connection.execute(
        update(Mailbox)
        .where(*this, Mailbox.read_stopped_at.is_not(None), Mailbox.status == "error")
        .values(status="active", read_stopped_at=None, updated_at=now)
    )
    if resumed.rowcount:
        record_event(connection, "mailbox_resumed", Subject(key.workspace_id, mailbox_id=key.mailbox_id), now)
    return resumed.rowcount == 1


def note_trouble(connection: Connection, key: MailboxKey, message: str, *, passing: bool, now: datetime) -> None:
    """The mailbox could not be read.

    What does not pass by itself, such as a refused sign-in, also keeps it from sending until it is read again: nobody
    would hear that a lead has answered or wants no more mail. A mailbox that is stopped already stays as it is.
    """
    this = (Mailbox.workspace_id == key.workspace_id, Mailbox.id == key.mailbox_id)
    connection.execute(update(Mailbox).where(*this).values(read_error=message[:500], updated_at=now))
    if passing:
        return
    stopped = connection.execute(
        update(Mailbox).where(*this, Mailbox.status == "active").values(status="error", read_stopped_at=now)
    )
    if stopped.rowcount:
        data: JsonObject = {"text": f"IMAP: {message}"[:500]}
        record_event(connection, "mailbox_stopped", Subject(key.workspace_id, mailbox_id=key.mailbox_id), now, data)


def _lives(connection: Connection, owner: str) -> bool:
    alive = select(literal(1)).where(is_alive(connection.dialect.name))
    return connection.execute(alive, {"owner": owner, "now_ms": wall_ms_now()}).scalar() is not None
