"""What a reply may be, and how it joins its thread (pure)."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from postrider.content.addresses import parse_address
from postrider.content.headers import find_message_ids, reply_subject
from postrider.content.html import html_to_text, looks_like_html, plain_to_html, sanitise_html
from postrider.inbox.parsing_clean import visible_line
from postrider.kernel.errors import InvalidInput
from postrider.kernel.zones import rfc3339

OPEN: Final = "open"
"""State of a conversation that lists show."""

MAX_COPIES: Final = 5
MAX_BODY_CHARACTERS: Final = 100_000
MAX_SUBJECT_CHARACTERS: Final = 500
LONGEST_AHEAD: Final = timedelta(days=365)

SHOWN_AS_SCHEDULED: Final = ("pending", "sending", "failed")
PERSONAL: Final = frozenset({"reply", "auto_reply", "unsubscribe"})
"""Kinds of inbound messages that a reply can answer; bounces and reports are not part of the exchange."""

UNKNOWN: Final = "unknown: the mail server took the message and did not answer; it may have arrived"
"""How a reply with an unknown outcome starts its error. Its status is ``failed``: it is never sent again by itself."""


def reply_html(body: str) -> str:
    """The HTML that a reply is sent as; plain text becomes paragraphs. Raises: InvalidInput when nothing is left.

    A reply is sent as it is written, so that a template variable in it is refused.
    """
    html = sanitise_html(body if looks_like_html(body) else plain_to_html(body))
    if not html_to_text(html).strip() and "<img" not in html:
        raise InvalidInput("body has nothing that a reader would see.", field="body", hint="Write the reply's text.")
    start = html.find("{{")
    if start >= 0 and "}}" in html[start:]:
        raise InvalidInput(
            "body holds a template variable; a reply is sent exactly as it is written.",
            field="body",
            hint="Write the value instead, for example the first name that get_conversation shows.",
        )
    return html


def sending_instant(scheduled_for: datetime | None, now: datetime) -> datetime:
    """When a reply is due: now, or the instant asked for, at most a year ahead. Raises: InvalidInput."""
    if scheduled_for is None:
        return now
    if scheduled_for.tzinfo is None:
        raise InvalidInput(
            "scheduledFor has no time zone.", field="scheduledFor", hint="Write it like 2026-03-05T09:00:00Z."
        )
    if scheduled_for <= now:
        raise InvalidInput(
            f"scheduledFor lies in the past (now is {rfc3339(now)}).",
            field="scheduledFor",
            hint="Give a future instant, or leave it out to send at once.",
        )
    if scheduled_for - now > LONGEST_AHEAD:
        raise InvalidInput(
            "scheduledFor is more than a year ahead.",
            field="scheduledFor",
            hint=f"The latest instant is {rfc3339(now + LONGEST_AHEAD)}.",
        )
    return scheduled_for.astimezone(UTC)


def copy_addresses(cc: Sequence[str], bcc: Sequence[str], lead_email: str) -> tuple[list[str], list[str]]:
    """Canonical cc and bcc, each address once and never the lead's own. Raises: InvalidInput that names the entry."""
    seen = {lead_email}

    def canonical(addresses: Sequence[str], field: str) -> list[str]:
        found = []
        for number, text in enumerate(addresses):
            address = parse_address(text, f"{field}[{number}]").key
            if address not in seen:
                seen.add(address)
                found.append(address)
        return found

    return canonical(cc, "cc"), canonical(bcc, "bcc")


class Answered(NamedTuple):
    """The message that a reply answers: the last one of the thread. ``earlier``: Message-IDs before it, oldest first.

    ``subject``: what the thread was begun under, else its own; it may be a stranger's words.
    """

    message_id: str
    earlier: tuple[str, ...]
    subject: str


class Threading(NamedTuple):
    """The header fields that keep a reply in its thread."""

    subject: str
    in_reply_to: str | None
    references: tuple[str, ...]


def thread_headers(answered: Answered | None) -> Threading:
    """Subject, In-Reply-To and References of a reply. Only well-formed ids are repeated (RFC 5322 section 3.6.4)."""
    if answered is None:
        return Threading("Re:", None, ())
    ids = find_message_ids(" ".join((*answered.earlier, answered.message_id)))
    parent = find_message_ids(answered.message_id)
    subject = reply_subject(visible_line(answered.subject, MAX_SUBJECT_CHARACTERS)).rstrip()
    return Threading(subject, parent[0] if parent else None, tuple(dict.fromkeys(ids)) if parent else ())
