"""Which of our messages an inbound one is about.

Strong: it names one of our Message-IDs, which only those know who got the message. Weak: somebody whom this mailbox
wrote to lately uses that address; addresses can be forged, so a weak match never suppresses anybody.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute, Session

from postrider.content.addresses import parse_address
from postrider.inbox.dsn import ArfReport, DsnReport
from postrider.inbox.parsing import ParsedMail
from postrider.kernel.errors import InvalidInput
from postrider.sending.tables import Attempt

Strength = Literal["strong", "weak", "none"]

RECENT: Final = timedelta(days=60)
_MAX_IDS: Final = 50
_LEFT: Final = ("sent", "dotted", "unknown")
_ANSWERABLE: Final = ("step", "reply")
# Amazon SES answers with the left part of the Message-ID that it puts in place of ours.
_SES_ID: Final = re.compile(r"([\w.-]{20,200})@(?:[a-z0-9-]+\.)?(?:email\.)?amazonses\.com", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Match:
    """What an inbound message is about, and how sure that is.

    An attempt with strength none: the message names its Message-ID, so it left, but does not fit in other ways.
    """

    strength: Strength
    attempt: Attempt | None = None

    @property
    def names_it(self) -> bool:
        """Whether the message names the attempt's Message-ID, rather than merely coming from its recipient."""
        return self.attempt is not None and self.strength != "weak"


UNMATCHED: Final = Match("none")


def address_key(text: str | None) -> str | None:
    """The canonical form of an address that a stranger wrote, or None when it is not one."""
    if text is None:
        return None
    try:
        return parse_address(text).key
    except InvalidInput:
        return None


class SentMail:
    """Our messages that some inbound ones may name, by every id they go by; read once for a whole batch."""

    def __init__(self, session: Session, workspace_id: str, mails: Iterable[ParsedMail]) -> None:
        self._by_id: dict[str, Attempt] = {}
        wanted = {spelling for mail in mails for each in _ids_of(mail) for spelling in _spellings(each)}
        columns: tuple[InstrumentedAttribute[str] | InstrumentedAttribute[str | None], ...] = (
            Attempt.message_id,
            Attempt.server_id,
            Attempt.found_id,
        )
        for column in columns if wanted else ():
            query = select(column, Attempt).where(Attempt.workspace_id == workspace_id, column.in_(sorted(wanted)))
            for name, attempt in session.execute(query):
                self._by_id.setdefault(name or "", attempt)

    def named(self, ids: Iterable[str | None]) -> Attempt | None:
        """Our message that has the first of these Message-IDs that is ours."""
        spellings = (spelling for each in ids if each for spelling in _spellings(each))
        return next((self._by_id[spelling] for spelling in spellings if spelling in self._by_id), None)

    def same_as(self, mail: ParsedMail) -> Attempt | None:
        """Our message of which ``mail`` is a copy."""
        return self.named([mail.message_id])

    def answered_by(self, mail: ParsedMail) -> Attempt | None:
        """Our message that ``mail`` answers, by In-Reply-To, else by the latest of its References."""
        return self.named(_answered_ids(mail))

    def reported_by(self, report: DsnReport) -> Match:
        """Our message that a delivery report is about. It must name both its Message-ID and its recipient.

        With the one but not the other the match is none, though the attempt is given: the message did leave.
        """
        attempt = self.named([report.original_message_id])
        if attempt is None:
            return UNMATCHED
        named = (address for one in report.recipients for address in (one.final_recipient, one.original_recipient))
        return Match("strong" if attempt.recipient in map(address_key, named) else "none", attempt)

    def complained_of(self, report: ArfReport) -> Match:
        """Our message that a complaint is about; many providers leave the recipient out, but it must not be another."""
        attempt = self.named([report.original_message_id])
        if attempt is None:
            return UNMATCHED
        fits = report.original_recipient is None or address_key(report.original_recipient) == attempt.recipient
        return Match("strong" if fits else "none", attempt)


def recent_attempt(
    session: Session, workspace_id: str, mailbox_id: str, mail: ParsedMail, now: datetime
) -> Attempt | None:
    """The last message that this mailbox sent to the author of ``mail`` within 60 days."""
    sender = address_key(mail.from_address)
    if sender is None:
        return None
    query = select(Attempt).where(
        Attempt.workspace_id == workspace_id,
        Attempt.recipient == sender,
        Attempt.mailbox_id == mailbox_id,
        Attempt.purpose.in_(_ANSWERABLE),
        Attempt.state.in_(_LEFT),
        Attempt.sending_at >= now - RECENT,
    )
    return session.scalars(query.order_by(Attempt.sending_at.desc()).limit(1)).one_or_none()


def _ids_of(mail: ParsedMail) -> Iterable[str]:
    reported = (report.original_message_id for report in (mail.dsn, mail.arf) if report is not None)
    return (each for each in (mail.message_id, *reported, *_answered_ids(mail)) if each)


def _answered_ids(mail: ParsedMail) -> list[str]:
    return list(dict.fromkeys((*mail.in_reply_to, *reversed(mail.references))))[:_MAX_IDS]


def _spellings(message_id: str) -> Sequence[str]:
    """The ways in which the ledger may hold an id: servers report theirs without angle brackets."""
    bare = message_id.strip("<> ")
    amazon = _SES_ID.fullmatch(bare)
    return (f"<{bare}>", bare, *([amazon.group(1)] if amazon else []))
