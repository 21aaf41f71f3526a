"""What comes back from the sandbox's prospects and their providers, as the octets a mailbox would hold. Pure."""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from html import unescape
from typing import Final
from urllib.parse import unquote, urlsplit

from postrider.content.addresses import NamedAddress, parse_address
from postrider.content.headers import find_message_ids, format_date, reply_subject, trim_references
from postrider.content.mime import Message, build_message
from postrider.inbox.parsing_headers import parse_addresses
from postrider.inbox.parsing_mime import DEFAULT_LIMITS, Part, read_tree

_QUOTED_CHARS: Final = 4_000
_READ_CHARS: Final = 500_000
_MOST_IMAGES: Final = 5
_ENTRY: Final = re.compile(r"<([^<>\s]+)>")
_IMAGE: Final = re.compile(r"<img\b[^>]*?\bsrc=\"(https?://[^\"]+)\"", re.IGNORECASE)
_LINK: Final = re.compile(r"<a\b[^>]*?\bhref=\"(https?://[^\"]+)\"", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Letter:
    """What a prospect sees of a message that came. ``images`` and ``links``: addresses in the order of the page."""

    recipient: str
    recipient_name: str
    sender: NamedAddress
    subject: str
    message_id: str
    references: tuple[str, ...]
    text: str
    one_click_url: str | None
    mailto: str | None
    images: tuple[str, ...]
    links: tuple[str, ...]
    headers: bytes
    came_at: datetime


def read_letter(raw: bytes, recipient: str, message_id: str, came_at: datetime) -> Letter | None:
    """The message as its reader sees it; None when nobody could answer it."""
    root = read_tree(raw, DEFAULT_LIMITS, set())
    headers = root.headers
    senders, _ = parse_addresses(headers.first("reply-to") or headers.first("from") or "", 1)
    if not senders:
        return None
    recipients, _ = parse_addresses(headers.first("to") or "", 1)
    html = _text_of(root, "text/html")
    entries = _ENTRY.findall(headers.first("list-unsubscribe") or "")
    pages = [entry for entry in entries if entry.lower().startswith("https:")]
    return Letter(
        recipient=recipient,
        recipient_name=(recipients[0].name if recipients else "") or _name_in(recipient),
        sender=senders[0],
        subject=headers.text("subject"),
        message_id=message_id,
        references=find_message_ids(headers.first("references") or ""),
        text=_text_of(root, "text/plain")[:_QUOTED_CHARS],
        one_click_url=next(iter(pages), None) if headers.count("list-unsubscribe-post") else None,
        mailto=next((entry for entry in entries if entry.lower().startswith("mailto:")), None),
        images=tuple(unescape(url) for url in _IMAGE.findall(html)[:_MOST_IMAGES]),
        links=tuple(url for found in _LINK.findall(html) if (url := unescape(found)) not in pages),
        headers=raw.partition(b"\r\n\r\n")[0] + b"\r\n",
        came_at=came_at,
    )


def write_reply(letter: Letter, text: str, now: datetime) -> bytes:
    """A person's answer above the quoted message. ``{name}`` in ``text`` becomes the sender's name."""
    first_name = letter.sender.name.partition(" ")[0] or "there"
    signed = f"{text.replace('{name}', first_name)}\n\nBest,\n{letter.recipient_name.partition(' ')[0]}"
    quote = "\n".join(f"> {line}".rstrip() for line in letter.text.splitlines())
    heading = f"On {letter.came_at:%a, %d %b %Y at %H:%M}, {letter.sender.address.wire} wrote:"
    return _received(
        letter, _answer(letter, reply_subject(letter.subject), f"{signed}\n\n{heading}\n{quote}", now), now
    )


def write_auto_reply(letter: Letter, back_on: date, now: datetime) -> bytes:
    """An absence notice. Source: RFC 3834 section 3."""
    text = (
        f"Thank you for your message.\n\nI am out of the office until {back_on:%A}, {back_on.day} {back_on:%B %Y} "
        "and will answer when I am back.\n\n"
        f"{letter.recipient_name}"
    )
    raw = _answer(letter, f"Automatic reply: {letter.subject}", text, now)
    return _received(letter, b"Auto-Submitted: auto-replied\r\nX-Auto-Response-Suppress: All\r\n" + raw, now, path="")


def write_unsubscribe(letter: Letter, now: datetime) -> bytes | None:
    """What a mail program sends for its unsubscribe button (RFC 2369); None when the message offers no mailto."""
    if letter.mailto is None:
        return None
    parts = urlsplit(letter.mailto)
    subject = next((unquote(field[8:]) for field in parts.query.split("&") if field.startswith("subject=")), "")
    message = Message(
        sender_name=letter.recipient_name,
        sender=parse_address(letter.recipient),
        to=NamedAddress("", parse_address(unquote(parts.path))),
        subject=subject or "unsubscribe",
        date=now,
        message_id=_message_id(letter, "unsubscribe"),
        text="This message was sent by a mail program because its user pressed Unsubscribe.",
    )
    return _received(letter, build_message(message), now)


def write_dsn(letter: Letter, now: datetime) -> bytes:
    """A failed delivery's report from the recipient's server. Source: RFC 3464 section 2, RFC 6522 section 3."""
    host = f"mx.{letter.recipient.rpartition('@')[2]}"
    explanation = (
        f"This is the mail system at host {host}.\r\n\r\n"
        f"Your message to <{letter.recipient}> could not be delivered: the address is unknown.\r\n"
    )
    status = (
        f"Reporting-MTA: dns; {host}\r\nArrival-Date: {format_date(letter.came_at)}\r\n\r\n"
        f"Final-Recipient: rfc822; {letter.recipient}\r\nAction: failed\r\nStatus: 5.1.1\r\n"
        f"Remote-MTA: dns; {host}\r\n"
        f"Diagnostic-Code: smtp; 550 5.1.1 <{letter.recipient}>: Recipient address rejected: User unknown\r\n"
    )
    head = _report_head(letter, "Mail Delivery System <mailer-daemon@" + host[3:] + ">", now, "dsn")
    subject = b"Subject: Undelivered Mail Returned to Sender\r\nAuto-Submitted: auto-replied\r\n"
    report = _report(letter, "delivery-status", explanation, status, "text/rfc822-headers")
    return _received(letter, head + subject + report, now, path="")


def write_complaint(letter: Letter, now: datetime) -> bytes:
    """What a provider passes on when somebody presses Junk. Source: RFC 5965 section 3."""
    explanation = f"This is an abuse report for a message received at <{letter.recipient}>.\r\n"
    fields = (
        "Feedback-Type: abuse\r\nUser-Agent: Sandbox-FBL/1.0\r\nVersion: 1\r\n"
        f"Original-Mail-From: <{letter.sender.address.wire}>\r\nOriginal-Rcpt-To: <{letter.recipient}>\r\n"
        f"Arrival-Date: {format_date(letter.came_at)}\r\n"
    )
    head = _report_head(letter, "Feedback Loop <fbl@" + letter.recipient.rpartition("@")[2] + ">", now, "arf")
    subject = b"Subject: Abuse report\r\n"
    report = _report(letter, "feedback-report", explanation, fields, "text/rfc822-headers")
    return _received(letter, head + subject + report, now)


def _answer(letter: Letter, subject: str, text: str, now: datetime) -> bytes:
    return build_message(
        Message(
            sender_name=letter.recipient_name,
            sender=parse_address(letter.recipient),
            to=letter.sender,
            subject=subject,
            date=now,
            message_id=_message_id(letter, subject + text),
            text=text,
            in_reply_to=letter.message_id,
            references=trim_references((*letter.references, letter.message_id)),
        )
    )


def _report_head(letter: Letter, sender: str, now: datetime, kind: str) -> bytes:
    lines = (
        f"From: {sender}",
        f"To: {letter.sender.address.wire}",
        f"Date: {format_date(now)}",
        f"Message-ID: {_message_id(letter, kind)}",
        "MIME-Version: 1.0",
    )
    return ("\r\n".join(lines) + "\r\n").encode()


def _report(letter: Letter, kind: str, explanation: str, fields: str, original_type: str) -> bytes:
    """A multipart/report: what people read, what machines read, and whose headers it is about."""
    mark = f"=_report_{sha256(letter.message_id.encode()).hexdigest()[:24]}"
    parts = (
        ("text/plain; charset=utf-8", explanation.encode()),
        (f"message/{kind}", fields.encode()),
        (original_type, letter.headers),
    )
    head = f'Content-Type: multipart/report; report-type={kind};\r\n boundary="{mark}"\r\n\r\n'.encode()
    body = b"".join(
        b"--%b\r\nContent-Type: %b\r\n\r\n%b\r\n" % (mark.encode(), content_type.encode(), content)
        for content_type, content in parts
    )
    return head + body + f"--{mark}--\r\n".encode()


def _received(letter: Letter, raw: bytes, now: datetime, path: str | None = None) -> bytes:
    """The message with what the receiving provider writes above it. ``path``: empty for the null path (RFC 5321)."""
    return_path = letter.recipient if path is None else path
    host = letter.recipient.rpartition("@")[2]
    trace = (
        f"Return-Path: <{return_path}>\r\nDelivered-To: {letter.sender.address.wire}\r\n"
        f"Received: from mx.{host} by sandbox.test with ESMTPS;\r\n {format_date(now)}\r\n"
    )
    return trace.encode() + raw


def _message_id(letter: Letter, what: str) -> str:
    digest = sha256(f"{letter.message_id}|{letter.recipient}|{what}".encode()).hexdigest()[:32]
    return f"<{digest}@{parse_address(letter.recipient).ascii_domain}>"


def _text_of(root: Part, content_type: str) -> str:
    found = next((part for part in root.walk() if part.content_type == content_type), None)
    return found.text(_READ_CHARS)[0] if found is not None else ""


def _name_in(address: str) -> str:
    """A readable name made of the local part."""
    local = address.partition("@")[0].partition("+")[0]
    return " ".join(word.capitalize() for word in re.split(r"[._-]+", local) if word) or address


def back_after(now: datetime, days: int) -> date:
    """The first working day at least ``days`` after ``now``."""
    day = now.date() + timedelta(days=days)
    return day + timedelta(days=max(0, 7 - day.weekday()) if day.weekday() > 4 else 0)
