"""Delivery reports and complaints found in a message: the standard forms first, then what old servers write (pure).

Source: RFC 3464 section 2 (delivery status), RFC 5965 section 3 (feedback reports), RFC 6522 (multipart/report).
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.message import Message
from typing import Literal

from flufl.bounce import all_failures

from postrider.content.addresses import parse_address
from postrider.inbox.parsing_clean import visible_line
from postrider.inbox.parsing_headers import decode_words, parse_addresses, parse_ids
from postrider.inbox.parsing_mime import DEFAULT_LIMITS, Headers, Part, read_headers
from postrider.kernel.errors import InvalidInput

Action = Literal["failed", "delayed", "delivered", "relayed", "expanded"]

MAX_DIAGNOSTIC_CHARS = 1_000
_MAX_RECIPIENTS = 100
_MAX_REPORT_BYTES = 262_144
_MAX_SCAN_CHARS = 65_536
_MAX_SCAN_LINE_CHARS = 1_000
_MAX_FLUFL_PARTS = 10

STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d]|\.\d)")
_REPLY_CODE = re.compile(r"(?<![\d.])[45]\d\d(?=[ -])(?! ?[.-]\d)")
_DAEMONS = frozenset({"mailer-daemon", "mail-daemon", "mailerdaemon", "mdaemon", "postmaster", "mail.delivery"})
_BOUNCE_SUBJECT = re.compile(
    r"undeliver|delivery (?:status notification|(?:has )?fail|report|incomplete|delayed)|failed delivery|"
    r"returned (?:mail|to sender)|mail delivery (?:fail|system|sub)|mail system error|failure notice|"
    r"message (?:delivery|not delivered|could not be delivered)|unzustellbar|nicht zugestellt|non remis|"
    r"échec de (?:la )?remise|no se puede entregar|no entregado|mancato recapito|onbestelbaar"
)
_ANSWER_SUBJECT = re.compile(r"\s*(?:re|aw|antw|sv|rv|odp|vs)\s?:")
_DELAY_WORDS = re.compile(
    r"delayed|not yet been delivered|will (?:continue|keep) (?:to try|trying)|still being retried"
)
_COPY_BELOW = re.compile(
    r"^\s*-{2,}.{0,60}(?:copy of|original|returned) (?:the |this )?(?:message|headers|mail)|"
    r"^\s*-{3,} ?(?:below this line|original message|the header|this is a copy)|^\s*original message headers:",
    re.MULTILINE,
)
# Gmail: "Your message wasn't delivered to X because…"; Exchange: "Your message to X couldn't be delivered."; and kin.
_NAMED_RECIPIENT = re.compile(
    r"(?:delivered to|delivering your message to|message to|delivery to|recipients?:|mailbox|user|address)"
    r"[\s:*<\"']{1,10}([^\s<>\"'*,;()\[\]]{1,64}@[a-z0-9.-]{1,253}[a-z0-9])"
)
_MESSAGE_ID_LINE = re.compile(r"^[> \t]{0,8}message-id:[ \t]{0,8}(<[^<>\s]{1,990}>)", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class DsnRecipient:
    """What one report says of one address. ``status``: an enhanced code like 5.1.1, or None when none is given."""

    final_recipient: str
    original_recipient: str | None
    action: Action
    status: str | None
    diagnostic: str | None
    remote_mta: str | None


@dataclass(frozen=True, slots=True)
class DsnReport:
    """A delivery report. ``standard``: False when it was guessed from the wording and not read by RFC 3464."""

    recipients: tuple[DsnRecipient, ...]
    original_message_id: str | None
    original_to: str | None
    standard: bool


@dataclass(frozen=True, slots=True)
class ArfReport:
    """A recipient's complaint as a mail provider passes it on. ``feedback_type``: abuse, fraud, not-spam…"""

    feedback_type: str
    original_recipient: str | None
    original_message_id: str | None


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sent the message that may be a report. ``return_path``: empty for the null path, None when unknown."""

    address: str | None
    return_path: str | None
    subject: str


def read_arf(root: Part) -> ArfReport | None:
    """The complaint in a ``multipart/report`` of type feedback-report; None for any other message."""
    if root.content_type != "multipart/report":
        return None
    for part in root.children:
        if part.content_type == "message/feedback-report":
            fields = _fields(part.body(_MAX_REPORT_BYTES), 0)[0]
            message_id, _ = _original(root)
            kind = visible_line(fields.text("feedback-type"), 40).lower() or "other"
            return ArfReport(kind, _address(fields.first("original-rcpt-to")), message_id)
    return None


def read_dsn(root: Part, text: str, sender: Sender, answered_ids: tuple[str, ...]) -> DsnReport | None:
    """The delivery report that the message is; None for any other message.

    ``answered_ids``: In-Reply-To and References, which name the original where the report holds no copy of it.
    """
    message_id, original_to = _original(root)
    recipients = tuple(_standard_recipients(root)) if root.content_type == "multipart/report" else ()
    standard = bool(recipients)
    if not recipients:
        if not _is_bounce(sender, text):
            return None
        guessed = _guessed_recipients(root, text, sender, original_to)
        # Who writes is reached: a postmaster who is a lead answers, and reports nothing about himself.
        recipients = tuple(one for one in guessed if one.final_recipient != sender.address)
    if not recipients:
        return None
    if message_id is None and (line := _MESSAGE_ID_LINE.search(text[:_MAX_SCAN_CHARS])):
        message_id = line.group(1)
    return DsnReport(recipients, message_id or next(iter(answered_ids), None), original_to, standard)


def _standard_recipients(root: Part) -> Iterator[DsnRecipient]:
    for part in root.children:
        if part.content_type not in ("message/delivery-status", "message/global-delivery-status"):
            continue
        body = part.body(_MAX_REPORT_BYTES)
        position = 0
        for _ in range(_MAX_RECIPIENTS + 1):
            if position >= len(body):
                return
            fields, following = _fields(body, position)
            if (recipient := _standard_recipient(fields)) is not None:
                yield recipient
            position = max(following, position + 1)


def _standard_recipient(fields: Headers) -> DsnRecipient | None:
    final = _address(fields.first("final-recipient"))
    original = _address(fields.first("original-recipient"))
    found = STATUS.search(fields.first("status") or "")
    status = found.group(1) if found else None
    action = _action(fields.first("action") or "", status)
    if action is None or not (final or original):
        return None
    diagnostic = visible_line(_without_type(fields.text("diagnostic-code")), MAX_DIAGNOSTIC_CHARS)
    remote = visible_line(_without_type(fields.text("remote-mta")), 255).lower()
    return DsnRecipient(final or original or "", original, action, status, diagnostic or None, remote or None)


def _action(declared: str, status: str | None) -> Action | None:
    word = declared.strip().lower()
    if word.startswith(("fail", "error")):  # OpenSMTPD writes "error"
        return "failed"
    if word.startswith("delay"):
        return "delayed"
    if word.startswith("deliver"):
        return "delivered"
    if word.startswith("relay"):
        return "relayed"
    if word.startswith("expand"):
        return "expanded"
    by_class: dict[str, Action] = {"5": "failed", "4": "delayed", "2": "delivered"}
    return by_class[status[0]] if status else None


def _fields(body: bytes, start: int) -> tuple[Headers, int]:
    while body[start : start + 1] in (b"\r", b"\n"):
        start += 1
    headers, following = read_headers(body, start, len(body), DEFAULT_LIMITS, set())
    if following <= start:
        line_break = body.find(b"\n", start)
        following = len(body) if line_break < 0 else line_break + 1
    return headers, following


def _original(root: Part) -> tuple[str | None, str | None]:
    """Message-ID and first recipient of the mail that a report returns."""
    for part in root.walk():
        if part.content_type in ("message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers"):
            headers, _ = _fields(part.body(_MAX_REPORT_BYTES), 0)
            ids, _ = parse_ids(headers.first("message-id") or "", 1)
            to, _ = parse_addresses(headers.first("to") or "", 1)
            if ids or to:
                return (ids[0] if ids else None), (to[0].address.text if to else None)
    return None, None


def _address(value: str | None) -> str | None:
    """The address behind ``rfc822;``, with or without angle brackets; None unless it is a valid one."""
    if not value:
        return None
    try:
        return parse_address(_without_type(decode_words(value[:1_000])).strip("<> \t"), "recipient").text
    except InvalidInput:
        return None


def _without_type(value: str) -> str:
    kind, semicolon, rest = value.partition(";")
    return rest.strip() if semicolon and len(kind) <= 20 and " " not in kind.strip() else value.strip()


def is_daemon(address: str | None) -> bool:
    """Whether the address is one that mail servers write reports from."""
    local = (address or "").partition("@")[0].lower()
    return local in _DAEMONS or local.startswith(("mailer-daemon", "microsoftexchange329e"))


def _is_bounce(sender: Sender, text: str) -> bool:
    """Whether a mail without the structure of a report is one. People write as postmaster, too."""
    null_path, subject = sender.return_path == "", sender.subject.lower()
    names_failure = _BOUNCE_SUBJECT.search(subject) is not None
    if not is_daemon(sender.address):
        return null_path and names_failure
    if null_path or (sender.return_path is not None and not is_daemon(sender.return_path)):
        return null_path
    if names_failure and not _ANSWER_SUBJECT.match(subject):
        return True
    return _diagnostic(_report_text(text).split("\n"))[0] is not None


def _guessed_recipients(root: Part, text: str, sender: Sender, original_to: str | None) -> tuple[DsnRecipient, ...]:
    scanned = _report_text(text)
    failed_header = root.headers.joined("x-failed-recipients")
    failed = {one.address.text for one in parse_addresses(failed_header, _MAX_RECIPIENTS)[0]}
    delayed: set[str] = set()
    if not failed:
        delayed, failed = _flufl(root, sender)
    if not (failed or delayed):
        named = (_address(found.group(1)) for found in _NAMED_RECIPIENT.finditer(scanned.lower()))
        failed = {address for address in named if address}
    subject = sender.subject.lower()
    if not (failed or delayed) and original_to and _BOUNCE_SUBJECT.search(subject):
        failed = {original_to}
    if _DELAY_WORDS.search(subject) or (not delayed and _DELAY_WORDS.search(scanned.lower())):
        delayed, failed = delayed | failed, set()
    both = [(address, "failed") for address in failed] + [(address, "delayed") for address in delayed - failed]
    return tuple(
        _guessed(address, "failed" if word == "failed" else "delayed", scanned)
        for address, word in sorted(both)[:_MAX_RECIPIENTS]
    )


def _guessed(address: str, action: Action, scanned: str) -> DsnRecipient:
    after = max(scanned.lower().find(address), 0)
    diagnostic, status = _diagnostic(scanned[after:].split("\n"))
    if diagnostic is None:
        diagnostic, status = _diagnostic(scanned.split("\n"))
    return DsnRecipient(address, None, action, status, diagnostic, None)


def _diagnostic(lines: Iterable[str]) -> tuple[str | None, str | None]:
    """The first line with an enhanced status, else the first with a three-digit reply code."""
    bare: str | None = None
    for line in lines:
        if found := STATUS.search(line):
            return visible_line(line, MAX_DIAGNOSTIC_CHARS), found.group(1)
        if bare is None and _REPLY_CODE.search(line):
            bare = visible_line(line, MAX_DIAGNOSTIC_CHARS)
    return bare, None


def _report_text(text: str) -> str:
    """What the server wrote itself: bounded, without the copy of the original below it."""
    bounded = "\n".join(line[:_MAX_SCAN_LINE_CHARS] for line in text[:_MAX_SCAN_CHARS].split("\n"))
    below = _COPY_BELOW.search(bounded.lower())
    return bounded[: below.start()] if below else bounded


def _flufl(root: Part, sender: Sender) -> tuple[set[str], set[str]]:
    """Addresses with a temporary and with a permanent failure as flufl.bounce sees them, on a bounded copy."""
    message = _bounded_copy(root, depth=0)
    message["From"] = sender.address or ""
    message["Subject"] = sender.subject.encode("ascii", "replace").decode("ascii")
    try:
        temporary, permanent = all_failures(message)
    except Exception:  # its detectors are written for well-formed bounces; a mail that upsets one is simply not known
        return set(), set()
    return _valid(temporary), _valid(permanent)


def _valid(addresses: Iterable[bytes]) -> set[str]:
    return {address for raw in addresses if (address := _address(raw.decode("ascii", "replace")))}


def _bounded_copy(part: Part, depth: int) -> Message:
    message = Message()
    if part.children and depth < 2:
        message["Content-Type"] = part.content_type if part.main_type == "multipart" else "multipart/mixed"
        for child in part.children[:_MAX_FLUFL_PARTS]:
            message.attach(_bounded_copy(child, depth + 1))
        return message
    message["Content-Type"] = part.content_type if part.main_type == "text" else "text/plain"
    text = part.text(_MAX_SCAN_CHARS)[0] if part.main_type == "text" else ""
    lines = (line[:_MAX_SCAN_LINE_CHARS] for line in text.replace("\r\n", "\n").split("\n"))
    message.set_payload("\n".join(lines).encode("ascii", "replace").decode("ascii"))
    return message
