"""Takes one batch of a folder's mail in: stored, matched, acted on, and the cursor moved, in one transaction.

A kill at any point leaves either all of it or nothing, and every message counts once: copies, rescans and second
deliveries have the same key.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import structlog
from sqlalchemy import update
from sqlalchemy.orm import Session

from postrider.access.queries import lock_workspace
from postrider.inbox.arrivals import Arrival, Reading
from postrider.inbox.classify import Verdict
from postrider.inbox.effects import Effects
from postrider.inbox.matching import UNMATCHED, Match, SentMail, address_key, recent_attempt
from postrider.inbox.parsing import ParsedMail
from postrider.inbox.ports import FolderCursor
from postrider.inbox.queries import MailboxKey, keys_elsewhere, known_keys, own_addresses
from postrider.inbox.tables import InboundMessage
from postrider.kernel.ids import new_id
from postrider.kernel.vault import Vault
from postrider.mailboxes.tables import Mailbox, MailboxFolder
from postrider.sending.program import Programs
from postrider.sending.tables import Attempt
from postrider.storage.away import is_away

log = structlog.get_logger(__name__)

MAX_RAW_BYTES: Final = 26_214_400
_MAX_IDS: Final = 50
_PERSONAL: Final = frozenset({"reply", "unsubscribe", "auto_reply"})
_OWN: Final = frozenset({"own", "warmup"})


@dataclass(frozen=True, slots=True)
class Intake:
    """What became of a batch. ``matched``: messages that are about something we sent."""

    stored: int
    known: int
    matched: int


@dataclass(frozen=True, slots=True)
class Intaker:
    """Takes mail in for one installation, on behalf of the engine ``owner``."""

    vault: Vault
    programs: Programs
    owner: str

    def take_in(
        self, session: Session, key: MailboxKey, cursor: FolderCursor, arrivals: Sequence[Arrival], now: datetime
    ) -> Intake | None:
        """Stores and applies what is new in ``arrivals`` and moves the cursor; None when another engine reads now."""
        # First of all: second markers wait for this transaction, or it for them, and nobody waits in a circle.
        lock_workspace(session, key.workspace_id)
        mailbox = session.get(Mailbox, key)
        if mailbox is None or mailbox.read_lease_owner != self.owner:
            return None
        known = known_keys(session, key, [arrival.dedupe_key for arrival in arrivals])
        fresh = {arrival.dedupe_key: arrival for arrival in arrivals if arrival.dedupe_key not in known}
        effects = Effects(session, self.vault, self.programs, now)
        batch = _Batch(effects, key, cursor, [each.reading.mail for each in fresh.values() if each.reading])
        rows = [batch.take(arrival) for arrival in fresh.values()]
        _move_cursor(session, key, cursor, now)
        _count_received(session, key, sum(row.kind not in _OWN for row in rows))
        matched = sum(row.match != "none" for row in rows)
        return Intake(len(rows), len(arrivals) - len(rows), matched)


class _Batch:
    """The messages of one transaction, with what has to be known of all of them read at once."""

    def __init__(self, effects: Effects, key: MailboxKey, cursor: FolderCursor, mails: Sequence[ParsedMail]) -> None:
        session = effects.session
        self._effects = effects
        self._session = session
        self._key = key
        self._cursor = cursor
        self._sent = SentMail(session, key.workspace_id, mails)
        self._elsewhere = keys_elsewhere(session, key, [mail.message_id for mail in mails])
        self._own = own_addresses(session, key.workspace_id) if mails else frozenset[str]()

    def take(self, arrival: Arrival) -> InboundMessage:
        """The stored message, acted on. What trips us up is set aside with its octets, so that the mailbox goes on."""
        try:
            with self._session.begin_nested():
                if arrival.reading is not None:
                    return self._understood(arrival, arrival.reading)
        except Exception as error:
            if is_away(error):
                raise  # the database's trouble, not the message's
            # Only the kind of error: its text may hold the stranger's words.
            mailbox_id, uid = self._key.mailbox_id, arrival.fetched.uid
            log.error("mail_set_aside", mailbox_id=mailbox_id, uid=uid, error=type(error).__name__)
            arrival = replace(arrival, poison="failed")
        row = _poison_row(self._key, self._cursor, arrival)
        self._session.add(row)
        self._session.flush()
        return row

    def _understood(self, arrival: Arrival, reading: Reading) -> InboundMessage:
        mail, sent = reading.mail, self._sent
        row = _row(self._key, self._cursor, arrival, reading)
        answered, ours = sent.answered_by(mail), sent.same_as(mail)
        verdict = reading.as_answer if answered is not None else reading.as_stranger
        row.kind, row.rule, row.sub_kind = verdict.kind, verdict.rule, verdict.sub_kind
        if ours is not None:
            self._effects.prove_sent(ours, row.received_at, "own copy")
        if (kind := self._own_kind(mail.from_address, ours, answered)) is not None:
            row.kind, row.rule, row.sub_kind = kind, "own_mail", None
        elif arrival.dedupe_key in self._elsewhere:
            row.rule = "other_mailbox"
        else:
            found = self._match(mail, verdict, answered)
            row.match = found.strength
            self._effects.apply(row, reading, verdict, found)
        self._session.add(row)
        self._session.flush()
        return row

    def _own_kind(self, sender: str | None, ours: Attempt | None, answered: Attempt | None) -> str | None:
        """own: a copy of what we sent. warmup: part of it. None for a stranger, or a colleague who is a lead."""
        if answered is not None and answered.purpose == "warmup":
            return "warmup"
        if ours is not None:
            return "own"
        author = address_key(sender)
        is_lead = answered is not None and answered.recipient == author
        return "own" if author in self._own and not is_lead else None

    def _match(self, mail: ParsedMail, verdict: Verdict, answered: Attempt | None) -> Match:
        """What of ours the message is about."""
        match verdict.kind:
            case "bounce" | "delay" | "delivered_notice" if mail.dsn is not None:
                return self._sent.reported_by(mail.dsn)
            case "complaint" | "unsubscribe" if mail.arf is not None:
                return self._sent.complained_of(mail.arf)
            case "bounce" | "delay" | "delivered_notice" | "complaint":
                return UNMATCHED
            case _ if answered is not None:
                return Match("strong", answered)
            case kind if kind in _PERSONAL:
                key = self._key
                recent = recent_attempt(self._session, key.workspace_id, key.mailbox_id, mail, self._effects.now)
                return Match("weak", recent) if recent is not None else UNMATCHED
        return UNMATCHED


def _row(key: MailboxKey, cursor: FolderCursor, arrival: Arrival, reading: Reading) -> InboundMessage:
    mail = reading.mail
    defects = [*mail.defects, *(["truncated"] if arrival.fetched.truncated else [])]
    ids = list(dict.fromkeys((*mail.references, *mail.in_reply_to)))[-_MAX_IDS:]
    row = _bare_row(key, cursor, arrival)
    row.message_id = _storable(mail.message_id) if mail.message_id is not None else None
    row.thread_ids = [_storable(each) for each in ids]
    row.from_email = _storable(mail.from_address) if mail.from_address is not None else None
    row.from_name = _storable(mail.from_name)
    row.subject = _storable(mail.subject)
    row.text = _storable(mail.text)
    row.new_text = _storable(mail.new_text)
    row.html = _storable(mail.html) if mail.html is not None else None
    row.defects = defects
    row.attachments = [
        {
            "filename": _storable(each.filename),
            "contentType": _storable(each.content_type),
            "sizeBytes": each.size_bytes,
        }
        for each in mail.attachments
    ]
    return row


def _poison_row(key: MailboxKey, cursor: FolderCursor, arrival: Arrival) -> InboundMessage:
    """A message of which nothing is known but that it came; a person can look at its octets."""
    row = _bare_row(key, cursor, arrival)
    row.kind, row.rule = "poison", arrival.poison or "failed"
    row.raw = arrival.fetched.raw[:MAX_RAW_BYTES]
    return row


def _bare_row(key: MailboxKey, cursor: FolderCursor, arrival: Arrival) -> InboundMessage:
    return InboundMessage(
        workspace_id=key.workspace_id,
        id=new_id("msg"),
        mailbox_id=key.mailbox_id,
        conversation_id=None,
        enrollment_id=None,
        attempt_id=None,
        kind="",
        rule="",
        sub_kind=None,
        match="none",
        dedupe_key=arrival.dedupe_key,
        message_id=None,
        thread_ids=[],
        from_email=None,
        from_name="",
        subject="",
        text="",
        new_text="",
        html=None,
        attachments=[],
        defects=[],
        raw=None,
        size_bytes=arrival.fetched.size_bytes,
        received_at=arrival.received_at,
        read_at=None,
        folder=cursor.folder,
        uid_validity=cursor.uid_validity,
        uid=arrival.fetched.uid,
    )


def _storable(text: str) -> str:
    """Text that both databases take: no NUL, no lone surrogates."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


def _move_cursor(session: Session, key: MailboxKey, cursor: FolderCursor, now: datetime) -> None:
    session.merge(
        MailboxFolder(
            workspace_id=key.workspace_id,
            mailbox_id=key.mailbox_id,
            folder=cursor.folder,
            role=cursor.role,
            uid_validity=cursor.uid_validity,
            last_uid=cursor.last_uid,
            rescan_to=cursor.rescan_to,
            updated_at=now,
        )
    )
    session.flush()


def _count_received(session: Session, key: MailboxKey, received: int) -> None:
    if received:
        session.execute(
            update(Mailbox)
            .where(Mailbox.workspace_id == key.workspace_id, Mailbox.id == key.mailbox_id)
            .values(total_received=Mailbox.total_received + received)
        )
