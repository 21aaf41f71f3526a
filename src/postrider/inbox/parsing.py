"""One inbound message as data: any bytes in, a ``ParsedMail`` out (pure, total, bounded).

Everything in it was written by a stranger: names, subject, text and file names are for reading, never for deciding.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from postrider.content.addresses import NamedAddress
from postrider.content.html import html_to_text, sanitise_html, seen_html
from postrider.inbox.dsn import ArfReport, DsnReport, Sender, read_arf, read_dsn
from postrider.inbox.parsing_clean import visible_line, visible_text
from postrider.inbox.parsing_headers import parse_addresses, parse_date, parse_ids
from postrider.inbox.parsing_mime import DEFAULT_LIMITS, Headers, ParseLimits, Part, read_tree
from postrider.inbox.parsing_reply import new_text, unquoted_html

__all__ = ["DEFAULT_LIMITS", "Attachment", "ParseLimits", "ParsedMail", "Poison", "SignalHeaders", "parse_mail"]

MAX_SUBJECT_CHARS = 1_000
MAX_FILENAME_CHARS = 255

_AUTO_REPLY_HEADERS = (
    "x-autoreply",
    "x-autorespond",
    "x-autoresponder",
    "x-auto-reply-from",
    "x-mail-autoreply",
)


@dataclass(frozen=True, slots=True)
class Attachment:
    """What a message carries beside its text: a harmless file name, its declared type, its decoded size."""

    filename: str
    content_type: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class SignalHeaders:
    """The headers that tell machines from people; values in lower case, None when absent.

    ``auto_reply``: those of the X-Autoreply family that are set to anything but "no".
    """

    auto_submitted: str | None
    precedence: str | None
    auto_reply: tuple[str, ...]
    response_suppress: str | None
    inbox_rules_loop: bool
    list_id: str | None
    list_unsubscribe_mailto: tuple[str, ...]
    report_type: str | None
    delivered_to: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ParsedMail:
    """A message after parsing. Ids keep their angle brackets; addresses are strictly parsed; times are UTC.

    ``return_path``: empty for the null path, None when the header is absent. ``text``: the best plain text;
    ``new_text``: that without quotes. ``defects``: stable names of what was cut or broken.
    """

    message_id: str | None
    in_reply_to: tuple[str, ...]
    references: tuple[str, ...]
    from_address: str | None
    from_name: str
    to: tuple[str, ...]
    cc: tuple[str, ...]
    subject: str
    date: datetime | None
    return_path: str | None
    text: str
    html: str | None
    new_text: str
    signals: SignalHeaders
    attachments: tuple[Attachment, ...]
    dsn: DsnReport | None
    arf: ArfReport | None
    defects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Poison:
    """A message that could not be parsed within its limits of time and memory; keep its raw bytes aside."""

    reason: Literal["timeout", "memory", "crashed"]


def parse_mail(raw: bytes, limits: ParseLimits = DEFAULT_LIMITS) -> ParsedMail:
    """The message behind any bytes. Never raises: what does not fit is cut or left out, and named in ``defects``."""
    defects: set[str] = set()
    if len(raw) > limits.message_bytes:
        raw = raw[: limits.message_bytes]
        defects.add("message_cut")
    root = read_tree(raw, limits, defects)
    headers = root.headers
    in_reply_to = _ids(headers, "in-reply-to", limits, defects)
    references = _ids(headers, "references", limits, defects)
    sender = _sender(headers, defects)
    subject = visible_line(headers.text("subject"), MAX_SUBJECT_CHARS)
    return_path = _return_path(headers)
    text, html, own_text = _bodies(root, limits, defects)
    source = Sender(sender.address.text if sender else None, return_path, subject)
    return ParsedMail(
        message_id=_message_id(headers, defects),
        in_reply_to=in_reply_to,
        references=references,
        from_address=sender.address.text if sender else None,
        from_name=sender.name if sender else "",
        to=_emails(headers, "to", limits, defects),
        cc=_emails(headers, "cc", limits, defects),
        subject=subject,
        date=_date(headers, defects),
        return_path=return_path,
        text=text,
        html=html,
        new_text=own_text,
        signals=_signals(root),
        attachments=_attachments(root, limits, defects),
        dsn=read_dsn(root, text, source, in_reply_to + tuple(reversed(references))),
        arf=read_arf(root),
        defects=tuple(sorted(defects)),
    )


def _ids(headers: Headers, name: str, limits: ParseLimits, defects: set[str]) -> tuple[str, ...]:
    ids, cut = parse_ids(headers.joined(name), limits.references)
    if cut:
        defects.add(f"{name.replace('-', '_')}_cut")
    return ids


def _message_id(headers: Headers, defects: set[str]) -> str | None:
    value = headers.first("message-id")
    ids, _ = parse_ids(value or "", 1)
    if not ids:
        defects.add("message_id_missing" if value is None else "message_id_invalid")
        return None
    return ids[0]


def _sender(headers: Headers, defects: set[str]) -> NamedAddress | None:
    """The one author. Several From headers or several authors are how a forged sender hides, so they count as none."""
    found, more = parse_addresses(headers.first("from") or "", 2)
    if headers.count("from") == 1 and len(found) == 1 and not more:
        return found[0]
    defects.add("from_invalid" if headers.count("from") else "from_missing")
    return None


def _emails(headers: Headers, name: str, limits: ParseLimits, defects: set[str]) -> tuple[str, ...]:
    found, cut = parse_addresses(headers.joined(name), limits.addresses)
    if cut:
        defects.add(f"{name}_cut")
    return tuple(dict.fromkeys(one.address.text for one in found))


def _date(headers: Headers, defects: set[str]) -> datetime | None:
    when = parse_date(headers.first("date") or "")
    if when is None:
        defects.add("date_invalid" if headers.count("date") else "date_missing")
    return when


def _return_path(headers: Headers) -> str | None:
    value = headers.first("return-path")
    if value is None:
        return None
    if value.strip() in ("<>", ""):
        return ""
    found, _ = parse_addresses(value, 1)
    return found[0].address.text if found else None


def _signals(root: Part) -> SignalHeaders:
    headers = root.headers
    unsubscribe, _ = parse_addresses(_mailto_targets(headers.joined("list-unsubscribe")), 5)
    delivered, _ = parse_addresses(f"{headers.joined('delivered-to')}, {headers.joined('x-original-to')}", 10)
    return SignalHeaders(
        auto_submitted=_word(headers, "auto-submitted"),
        precedence=_word(headers, "precedence"),
        auto_reply=tuple(
            name for name in _AUTO_REPLY_HEADERS if (value := _word(headers, name)) is not None and value != "no"
        ),
        response_suppress=_word(headers, "x-auto-response-suppress"),
        inbox_rules_loop=headers.count("x-ms-exchange-inbox-rules-loop") > 0,
        list_id=_word(headers, "list-id"),
        list_unsubscribe_mailto=tuple(one.address.text for one in unsubscribe),
        report_type=root.params.get("report-type", "").lower()[:60] or None
        if root.content_type == "multipart/report"
        else None,
        delivered_to=tuple(dict.fromkeys(one.address.text for one in delivered)),
    )


def _word(headers: Headers, name: str) -> str | None:
    return visible_line(headers.first(name) or "", 200).lower() or None


def _mailto_targets(value: str) -> str:
    links = (link.strip().strip("<>") for link in value.split(","))
    return ", ".join(link[7:].partition("?")[0] for link in links if link.lower().startswith("mailto:"))


def _attachments(root: Part, limits: ParseLimits, defects: set[str]) -> tuple[Attachment, ...]:
    found: list[Attachment] = []
    for part in root.walk():
        if part.children or part.main_type == "multipart" or not _is_attachment(part):
            continue
        if len(found) >= limits.attachments:
            defects.add("attachments_cut")
            break
        found.append(Attachment(_harmless_name(part.filename), part.content_type, len(part.body())))
    return tuple(found)


def _is_attachment(part: Part) -> bool:
    if part.content_type in ("text/plain", "text/html"):
        return part.disposition == "attachment" or bool(part.filename)
    return part.content_type not in ("message/delivery-status", "message/feedback-report")


def _harmless_name(name: str) -> str:
    base = name.replace("\\", "/").rpartition("/")[2]
    return visible_line(base, MAX_FILENAME_CHARS).lstrip(". ") or "attachment"


def _bodies(root: Part, limits: ParseLimits, defects: set[str]) -> tuple[str, str | None, str]:
    """Text, sanitised HTML and new text of the readable parts."""
    plain = _joined(_readable(root, "text/plain"), limits.text_chars, defects)
    source = _joined(_readable(root, "text/html"), limits.html_chars, defects)
    html = visible_text(sanitise_html(seen_html(source))) if source.strip() else None
    if plain.strip() or html is None:
        text = visible_text(plain).strip()
        return text, html, new_text(text)
    text = visible_text(html_to_text(source))[: limits.text_chars].strip()
    own = visible_text(html_to_text(unquoted_html(source)))[: limits.text_chars].strip()
    return text, html, new_text(own or text)


def _readable(root: Part, content_type: str) -> Iterator[Part]:
    return (
        part
        for part in root.walk()
        if part.content_type == content_type and not part.children and not _is_attachment(part)
    )


def _joined(parts: Iterator[Part], max_chars: int, defects: set[str]) -> str:
    pieces: list[str] = []
    left = max_chars
    for part in parts:
        if left <= 0:
            defects.add("text_cut")
            break
        text, known = part.text(left + 1)
        if not known:
            defects.add("charset_unknown")
        if len(text) > left:
            defects.add("text_cut")
        pieces.append(text[:left])
        left -= len(pieces[-1])
    return "\n".join(pieces)
