"""One inbound message made ready for its transaction: everything that can be decided without the database (pure)."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from postrider.inbox.classify import Label, Verdict, classify, suggest_label
from postrider.inbox.parsing import ParsedMail, Poison
from postrider.inbox.ports import FetchedMail

_MAX_HASHED_BYTES: Final = 262_144
_CLOCK_SKEW: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Reading:
    """What the message says, judged both ways: as an answer to a message of ours, and as mail out of the blue."""

    mail: ParsedMail
    as_answer: Verdict
    as_stranger: Verdict
    label: Label
    label_rule: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """A fetched message on its way into the inbox. ``dedupe_key``: the same for every copy of the same message."""

    fetched: FetchedMail
    received_at: datetime
    dedupe_key: str
    reading: Reading | None
    poison: str | None = None


def prepare(fetched: FetchedMail, parsed: ParsedMail | Poison, *, since: datetime, now: datetime) -> Arrival:
    """The arrival of a message. The server's date counts where it lies between ``since`` and ``now``, else ``now``."""
    received_at = now
    if fetched.internal_date is not None and since <= fetched.internal_date <= now + _CLOCK_SKEW:
        received_at = min(fetched.internal_date, now)
    if isinstance(parsed, Poison):
        return Arrival(fetched, received_at, poison_key(fetched.raw), None, parsed.reason)
    label, rule = suggest_label(parsed.new_text or parsed.text, subject=parsed.subject)
    reading = Reading(
        mail=parsed,
        as_answer=classify(parsed, references_ours=True, received_on=received_at.date()),
        as_stranger=classify(parsed, references_ours=False, received_on=received_at.date()),
        label=label,
        label_rule=rule,
    )
    return Arrival(fetched, received_at, dedupe_key(parsed, fetched.raw), reading)


def dedupe_key(mail: ParsedMail, raw: bytes) -> str:
    """What all copies of a message share, whatever folder or server they passed: its Message-ID and its body.

    The body counts because a Message-ID can be used twice; the other headers do not, because servers add to them.
    Without a Message-ID, author, date and subject stand in for it.
    """
    stamp = mail.date.isoformat() if mail.date is not None else ""
    identity = mail.message_id or "\n".join((mail.from_address or "", stamp, mail.subject))
    return _digest(identity.encode("utf-8", "replace"), _body(raw))


def poison_key(raw: bytes) -> str:
    """The key of a message of which nothing but its octets is known."""
    return _digest(b"poison", raw)


def _body(raw: bytes) -> bytes:
    """What follows the header, with plain line ends: some servers rewrite them."""
    plain = raw.replace(b"\r\n", b"\n")
    return plain.partition(b"\n\n")[2][:_MAX_HASHED_BYTES].rstrip()


def _digest(identity: bytes, body: bytes) -> str:
    return hashlib.sha256(len(identity).to_bytes(4, "big") + identity + body).hexdigest()
