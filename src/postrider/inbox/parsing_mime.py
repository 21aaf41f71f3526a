"""The MIME tree of a message, read without recursion, copies or unbounded work (pure).

The standard parser has no caps: nesting exhausts the stack, and one long header costs quadratic time. Here a part is a
pair of offsets into the raw bytes, every loop is bounded by a limit, and each limit that cut is named in ``defects``.
Source: RFC 2045 section 5, RFC 2046 section 5.1, RFC 2183, RFC 2231.
"""

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from postrider.inbox.parsing_headers import decode_charset, decode_parameters, decode_words, raw_text, undo_base64


@dataclass(frozen=True, slots=True)
class ParseLimits:
    """How much of one message is looked at. ``field_bytes``: of one header field; the rest of it is cut."""

    message_bytes: int = 26_214_400
    field_bytes: int = 65_536
    fields: int = 1_000
    depth: int = 20
    parts: int = 500
    addresses: int = 200
    references: int = 200
    text_chars: int = 200_000
    html_chars: int = 500_000
    attachments: int = 100


DEFAULT_LIMITS = ParseLimits()
DEFECT_DEPTH = "depth_cut"
DEFECT_PARTS = "parts_cut"
DEFECT_HEADERS = "headers_cut"
DEFECT_BOUNDARY = "boundary_missing"

_FIELD_END = re.compile(rb"\n(?![ \t])")
_BLANK_LINE = re.compile(rb"\n\r?\n")
_FIELD_NAME = re.compile(rb"[!-9;-~]{1,200}(?=[ \t]{0,20}:)")
_CONTENT_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,127}/[a-z0-9!#$&^_.+-]{1,127}")
_MAX_BOUNDARY_BYTES = 200


class Headers:
    """The header fields of one part in their order, names in lower case, values unfolded but not decoded."""

    __slots__ = ("_size", "_values")

    def __init__(self) -> None:
        self._values: dict[str, list[str]] = {}
        self._size = 0

    def add(self, name: str, value: str) -> None:
        """Keeps one more field."""
        self._values.setdefault(name, []).append(value)
        self._size += 1

    def first(self, name: str) -> str | None:
        """The raw value of the first field of that name (lower case), or None."""
        values = self._values.get(name)
        return values[0] if values else None

    def count(self, name: str) -> int:
        """How many fields of that name there are."""
        return len(self._values.get(name, ()))

    def joined(self, name: str) -> str:
        """All raw values of that name in one line, separated by a comma and a blank."""
        return ", ".join(self._values.get(name, ()))

    def text(self, name: str) -> str:
        """The first value of that name with its encoded words decoded; empty when absent."""
        return decode_words(self.first(name) or "").strip()

    def __len__(self) -> int:
        return self._size


@dataclass(slots=True)
class Part:
    """One part of a message: its headers, its type, and where its body lies in ``raw``."""

    raw: bytes
    headers: Headers
    start: int
    end: int
    content_type: str
    params: dict[str, str]
    depth: int
    children: list["Part"] = field(default_factory=list)

    @property
    def main_type(self) -> str:
        """The type without its subtype: text, multipart, message…"""
        return self.content_type.partition("/")[0]

    def walk(self) -> Iterator["Part"]:
        """This part and all below it, in the order of the message."""
        stack = [self]
        while stack:
            part = stack.pop()
            yield part
            stack.extend(reversed(part.children))

    def body(self, max_bytes: int | None = None) -> bytes:
        """The body with its transfer encoding undone; ``max_bytes`` bounds what is read of the encoded form."""
        end = self.end if max_bytes is None else min(self.end, self.start + max_bytes)
        return _undo_transfer_encoding(
            self.raw[self.start : end], self.headers.first("content-transfer-encoding") or ""
        )

    def text(self, max_chars: int) -> tuple[str, bool]:
        """The body as text in its declared charset, and whether that charset was usable."""
        text, known = decode_charset(self.body(max_chars * 8), self.params.get("charset", ""))
        return text[:max_chars], known

    @property
    def disposition(self) -> str:
        """``inline``, ``attachment``, or empty when not stated."""
        return (self.headers.first("content-disposition") or "").partition(";")[0].strip().lower()[:40]

    @property
    def filename(self) -> str:
        """The decoded file name as the sender wrote it; empty when there is none."""
        given = decode_parameters(self.headers.first("content-disposition") or "").get("filename", "")
        return decode_words(given or self.params.get("name", ""))


def read_tree(raw: bytes, limits: ParseLimits, defects: set[str]) -> Part:
    """The tree of a whole message. Never raises; what was cut or broken is added to ``defects``."""
    root = _read_part(raw, 0, len(raw), 0, "text/plain", limits, defects)
    pending, count = [root], 1
    while pending:
        parent = pending.pop()
        if parent.main_type != "multipart":
            continue
        if parent.depth >= limits.depth:
            defects.add(DEFECT_DEPTH)
            continue
        default_type = "message/rfc822" if parent.content_type == "multipart/digest" else "text/plain"
        for start, end in _body_spans(parent, defects):
            if count >= limits.parts:
                defects.add(DEFECT_PARTS)
                break
            count += 1
            child = _read_part(raw, start, end, parent.depth + 1, default_type, limits, defects)
            parent.children.append(child)
        pending.extend(reversed(parent.children))
    return root


def read_headers(raw: bytes, start: int, end: int, limits: ParseLimits, defects: set[str]) -> tuple[Headers, int]:
    """The header fields from ``start`` on, and the offset where the body begins. Source: RFC 5322 section 2.2."""
    headers, position = Headers(), start
    while position < end:
        line_end = _line_end(raw, position, end)
        if raw[position : position + 2] == b"\r\n" or raw[position : position + 1] == b"\n":
            return headers, line_end
        name = _FIELD_NAME.match(raw, position, min(line_end, position + 240))
        if name is None:
            # The envelope line of mbox files and a stray continuation are passed over; anything else begins the body.
            if not raw.startswith((b"From ", b" ", b"\t"), position, line_end):
                return headers, position
            position = line_end
            continue
        if len(headers) >= limits.fields:
            defects.add(DEFECT_HEADERS)
            blank = _BLANK_LINE.search(raw, position - 1, end)
            return headers, blank.end() if blank else end
        value_start = raw.index(b":", name.end()) + 1
        position = _field_end(raw, value_start, end)
        if position - value_start > limits.field_bytes:
            defects.add(DEFECT_HEADERS)
        value = raw[value_start : min(position, value_start + limits.field_bytes)]
        headers.add(name.group().decode("ascii").lower(), _unfold(raw_text(value)))
    return headers, end


def _read_part(
    raw: bytes, start: int, end: int, depth: int, default_type: str, limits: ParseLimits, defects: set[str]
) -> Part:
    headers, body_start = read_headers(raw, start, end, limits, defects)
    declared = headers.first("content-type")
    content_type = (declared or default_type).partition(";")[0].strip().lower()[:255]
    if not _CONTENT_TYPE.fullmatch(content_type):
        content_type = "text/plain"
    params = decode_parameters(declared) if declared else {}
    return Part(raw, headers, body_start, end, content_type, params, depth)


def _line_end(raw: bytes, position: int, end: int) -> int:
    found = raw.find(b"\n", position, end)
    return end if found < 0 else found + 1


def _field_end(raw: bytes, position: int, end: int) -> int:
    found = _FIELD_END.search(raw, position, end)
    return found.end() if found else end


def _unfold(value: str) -> str:
    return value.replace("\r", "").replace("\n", "").replace("\0", "").strip()


def _body_spans(part: Part, defects: set[str]) -> Iterator[tuple[int, int]]:
    boundary = part.params.get("boundary", "").rstrip().encode("utf-8", "replace")[:_MAX_BOUNDARY_BYTES]
    span_start: int | None = None
    if boundary:
        delimiter = re.compile(rb"\n--" + re.escape(boundary) + rb"(--)?[ \t\r]{0,100}(?=\n|\Z)")
        # A body begins behind a line end, which the first delimiter may need.
        for found in delimiter.finditer(part.raw, max(part.start - 1, 0), part.end):
            if span_start is not None:
                yield span_start, _before_line_break(part.raw, span_start, found.start() + 1)
            span_start = min(found.end() + 1, part.end)
            if found.group(1):
                return
    defects.add(DEFECT_BOUNDARY)
    if span_start is not None:
        yield span_start, part.end


def _before_line_break(raw: bytes, start: int, position: int) -> int:
    if position > start and raw[position - 1] == 0x0A:
        position -= 1
    if position > start and raw[position - 1] == 0x0D:
        position -= 1
    return position


def _undo_transfer_encoding(body: bytes, declared: str) -> bytes:
    encoding = declared.partition(";")[0].strip().lower()[:40]
    if encoding == "base64":
        return undo_base64(body)
    if encoding == "quoted-printable":
        return binascii.a2b_qp(body)
    return body
