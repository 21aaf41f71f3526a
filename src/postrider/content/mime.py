"""The message writer: one typed message in, the octets for DATA out, with a fixed set of header fields."""

import binascii
import re
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from typing import Final
from urllib.parse import quote

from postrider.content.addresses import Address, NamedAddress
from postrider.content.headers import (
    LINE_LIMIT,
    check_header_value,
    check_list_uri,
    check_message_id,
    encode_text,
    fold,
    format_date,
    format_mailbox,
)
from postrider.kernel.errors import InvalidInput

MAX_BODY_LINE: Final = 76
"""Octets of an encoded body line. Source: RFC 2045 section 6.7."""

MAX_SUBJECT_OCTETS: Final = 998

# Never in a quoted-printable body (where "=" is "=3D"), and a 7bit body that holds it is encoded instead.
_BOUNDARY_START: Final = "=_"
_TOKEN: Final = r"[A-Za-z0-9!#$&^_.+-]{1,100}"
_CONTENT_TYPE: Final = re.compile(rf"{_TOKEN}/{_TOKEN}(?:; ?{_TOKEN}={_TOKEN})?")
_SIMPLE_FILENAME: Final = re.compile(r"[A-Za-z0-9 ._()+,-]{1,60}")
_NOT_7BIT: Final = re.compile(r"[^\t\n -~]|[ \t]$|=_", re.MULTILINE)
# Never ends inside an escape.
_PERCENT_PIECE: Final = re.compile(r".{1,48}(?<!%)(?<!%.)")
_WRITABLE_ADDRESS: Final = re.compile(r"""[^\s<>(),;:\\"\[\]@\x00-\x1f\x7f\ud800-\udfff]+@[A-Za-z0-9.-]+""")
_ONE_CLICK: Final = "List-Unsubscribe-Post: List-Unsubscribe=One-Click"


@dataclass(frozen=True)
class Attachment:
    """A file to send along. Keep the object for all messages of a step: its base64 text is made once."""

    filename: str
    content_type: str
    data: bytes

    @cached_property
    def part(self) -> bytes:
        """The finished MIME part. Raises: InvalidInput for a filename or type that cannot stand in a header."""
        head = (
            f"Content-Type: {self._safe_content_type()}",
            "Content-Transfer-Encoding: base64",
            f"Content-Disposition: attachment;{_filename_parameters(self.filename)}",
        )
        return "\r\n".join((*head, "", _base64_lines(self.data))).encode()

    def _safe_content_type(self) -> str:
        if not _CONTENT_TYPE.fullmatch(self.content_type):
            raise InvalidInput(
                "The attachment's content type is not valid.",
                field="content_type",
                hint="Give type/subtype, for example application/pdf.",
            )
        # Composite types must not be encoded in base64 (RFC 2045 section 6.4).
        if self.content_type.lower().startswith(("multipart/", "message/")):
            return "application/octet-stream"
        return self.content_type


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """All that a message says. Its headers are these fields and no others; blind copies live in the envelope only.

    ``html`` is None for text only. ``list_unsubscribe``: https and mailto URIs; ``one_click`` needs an https one.
    """

    sender_name: str
    sender: Address
    to: NamedAddress
    subject: str
    date: datetime
    message_id: str
    text: str
    html: str | None = None
    cc: tuple[NamedAddress, ...] = ()
    reply_to: Address | None = None
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    list_unsubscribe: tuple[str, ...] = ()
    one_click: bool = False
    attachments: tuple[Attachment, ...] = ()

    @property
    def needs_smtputf8(self) -> bool:
        """Whether an address in the headers has a non-ASCII local part (RFC 6532)."""
        named = [self.sender, self.to.address, *(copy.address for copy in self.cc)]
        return any(address.needs_smtputf8 for address in named) or bool(self.reply_to and self.reply_to.needs_smtputf8)


def build_message(message: Message) -> bytes:
    """The message in CRLF lines, 7bit or quoted-printable with base64 attachments; not dot-stuffed.

    The same message always gives the same octets.
    Raises: InvalidInput that names the field which cannot be sent as it is. Source: RFC 5322, RFC 2045 to 2049.
    """
    head = "\r\n".join(fold(field) for field in _header_fields(message))
    return b"%b\r\n%b" % (head.encode(), _body(message))


def _header_fields(message: Message) -> list[str]:
    """Every header field but those of the content, unfolded."""
    fields = [
        f"From: {_mailbox('sender', message.sender_name, message.sender, 'sender_name')}",
        f"To: {_mailbox('to', *message.to)}",
    ]
    if message.cc:
        fields.append("Cc: " + ", ".join([_mailbox("cc", *copy) for copy in message.cc]))
    if message.reply_to is not None:
        fields.append(f"Reply-To: {_mailbox('reply_to', '', message.reply_to)}")
    fields += [
        f"Subject: {_subject(message.subject)}",
        f"Date: {format_date(message.date)}",
        f"Message-ID: {check_message_id(message.message_id, 'message_id')}",
    ]
    if message.in_reply_to is not None:
        fields.append(f"In-Reply-To: {check_message_id(message.in_reply_to, 'in_reply_to')}")
    if message.references:
        fields.append("References: " + " ".join([check_message_id(id_, "references") for id_ in message.references]))
    fields += _unsubscribe_fields(message)
    fields.append("MIME-Version: 1.0")
    return fields


def _mailbox(field: str, name: str, address: Address, name_field: str | None = None) -> str:
    check_header_value(name, name_field or field)
    # An address may be built without the parser; a space or bracket in it would start a second recipient.
    if not _WRITABLE_ADDRESS.fullmatch(address.wire):
        raise InvalidInput(f"{field} holds an address that cannot be written into a header.", field=field)
    return format_mailbox(name, address)


def _subject(text: str) -> str:
    encoded = encode_text(check_header_value(text, "subject").strip(" "), LINE_LIMIT - len("Subject: "))
    if len(encoded) > MAX_SUBJECT_OCTETS:
        raise InvalidInput(
            f"subject takes {len(encoded)} octets once encoded; the limit is {MAX_SUBJECT_OCTETS}.",
            field="subject",
            hint="Shorten it: mail programs show about 60 characters.",
        )
    return encoded


def _unsubscribe_fields(message: Message) -> list[str]:
    """List-Unsubscribe and its one-click mate. Source: RFC 2369 section 3.2, RFC 8058 section 3.1."""
    uris = [check_list_uri(uri, "list_unsubscribe") for uri in message.list_unsubscribe]
    if message.one_click and not any(uri.lower().startswith("https:") for uri in uris):
        raise InvalidInput("One-click unsubscribing needs an https URI.", field="list_unsubscribe")
    if not uris:
        return []
    listed = "List-Unsubscribe: " + ", ".join([f"<{uri}>" for uri in uris])
    return [listed, _ONE_CLICK] if message.one_click else [listed]


def _body(message: Message) -> bytes:
    body = _text_part("plain", message.text)
    if message.html is not None:
        body = _multipart("alternative", message.message_id, [body, _text_part("html", message.html)])
    if message.attachments:
        body = _multipart("mixed", message.message_id, [body, *(file.part for file in message.attachments)])
    return body


def _text_part(subtype: str, text: str) -> bytes:
    """A text part, in 7bit when that is exact and in quoted-printable otherwise."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.endswith("\n"):
        text += "\n"
    # Lengths first: they are cheap, and decide for nearly every HTML body.
    if max(map(len, text.split("\n"))) <= MAX_BODY_LINE and _NOT_7BIT.search(text) is None:
        encoding, body = b"7bit", text.encode()
    else:
        encoding, body = b"quoted-printable", binascii.b2a_qp(_utf8(text, subtype))
    return b"Content-Type: text/%b; charset=utf-8\r\nContent-Transfer-Encoding: %b\r\n\r\n%b" % (
        subtype.encode(),
        encoding,
        body.replace(b"\n", b"\r\n"),
    )


def _utf8(text: str, subtype: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        field = "html" if subtype == "html" else "text"
        raise InvalidInput(f"{field} holds half a character (a lone surrogate).", field=field) from None


def _multipart(kind: str, seed: str, parts: list[bytes]) -> bytes:
    """``parts``, which end with CRLF, between boundaries derived from ``seed``: a retry gives the same octets."""
    boundary = f"{_BOUNDARY_START}{kind[:3]}_{sha256(seed.encode()).hexdigest()[:24]}".encode()
    lines = [b'Content-Type: multipart/%b;\r\n boundary="%b"\r\n\r\n' % (kind.encode(), boundary)]
    lines += [b"--%b\r\n%b" % (boundary, part) for part in parts]
    lines.append(b"--%b--\r\n" % boundary)
    return b"".join(lines)


def _base64_lines(data: bytes) -> str:
    text = binascii.b2a_base64(data, newline=False).decode()
    lines = [text[start : start + MAX_BODY_LINE] for start in range(0, len(text), MAX_BODY_LINE)]
    return "\r\n".join((*lines, ""))


def _filename_parameters(filename: str) -> str:
    """The filename for Content-Disposition, folded: as it is, or in UTF-8 and pieces. Source: RFC 2231 section 4."""
    filename = check_header_value(filename, "filename").strip()
    if not filename:
        raise InvalidInput("An attachment needs a filename.", field="filename")
    if _SIMPLE_FILENAME.fullmatch(filename):
        return f'\r\n filename="{filename}"'
    encoded = quote(filename, safe="")
    pieces = _PERCENT_PIECE.findall(encoded)
    if len(pieces) == 1:
        return f"\r\n filename*=utf-8''{encoded}"
    pieces[0] = f"utf-8''{pieces[0]}"
    return ";".join(f"\r\n filename*{number}*={piece}" for number, piece in enumerate(pieces))
