"""Header values as data: charsets, encoded words, parameters, addresses, message ids, dates (pure, linear, total).

Source: RFC 2047 sections 2 and 6.2, RFC 2231 sections 3 and 4, RFC 5322 sections 3.3, 3.4 and 3.6.4.
"""

import base64
import binascii
import codecs
import re
import string
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import unquote_to_bytes

from postrider.content.addresses import Address, NamedAddress, parse_address
from postrider.inbox.parsing_clean import visible_line
from postrider.kernel.errors import InvalidInput

MAX_NAME_CHARS = 200
_MAX_PARAMETERS = 50
_MAX_PARAMETER_CHARS = 2_000
_MAX_STRUCTURED_CHARS = 8_000
_MAX_ADDRESS_CHARS = 1_000

_CHARSET_NAME = re.compile(r"[A-Za-z0-9._:-]{1,40}")
# Codecs that are no charset of mail, and cost quadratic time or mean something else.
_REFUSED_CODECS = frozenset({"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined", "mbcs", "oem"})
# What senders mean by these names is the larger set. Source: WHATWG Encoding, section 4.2.
_WIDER_CODECS = {"iso8859-1": "cp1252", "ascii": "cp1252", "gb2312": "gb18030", "gbk": "gb18030", "euc_kr": "cp949"}
_ENCODED_WORD = re.compile(r"=\?([A-Za-z0-9._:-]{1,40})(?:\*[A-Za-z0-9-]{0,20})?\?([BbQq])\?([^?]{0,2000})\?=")
_NOT_BASE64 = bytes(set(range(256)) - set(string.ascii_letters.encode() + string.digits.encode() + b"+/"))
_ID = re.compile(r"<([^<>]{1,998})>")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_BLANK = re.compile(r"\s+")


def raw_text(value: bytes) -> str:
    """Header bytes as text: UTF-8 where it fits (RFC 6532), else Windows-1252."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data":
            return value[: error.start].decode("utf-8")  # cut at a limit, inside its last character
        return value.decode("cp1252", "replace")


def decode_charset(value: bytes, charset: str) -> tuple[str, bool]:
    """The bytes as text, and whether the declared charset was usable; else UTF-8, then Windows-1252."""
    codec = _codec(charset)
    if codec in ("utf-8", "cp1252", None):
        return raw_text(value), codec is not None or not charset
    try:
        return value.decode(codec, "replace"), True
    except (LookupError, ValueError):
        return raw_text(value), False


def _codec(charset: str) -> str | None:
    name = charset.strip().strip("'\"")
    if not name:
        return "utf-8"
    if not _CHARSET_NAME.fullmatch(name):
        return None
    try:
        found = codecs.lookup(name).name
    except (LookupError, ValueError):
        return None
    if found in _REFUSED_CODECS:
        return None
    return _WIDER_CODECS.get(found, found)


def decode_words(value: str) -> str:
    """The value with its RFC 2047 encoded words decoded; neighbours in one charset are joined before decoding."""
    if "=?" not in value:
        return value
    out: list[str] = []
    charset, pending, position = "", b"", 0
    for word in _ENCODED_WORD.finditer(value):
        between = value[position : word.start()]
        # Blanks between two encoded words are not shown; those beside ordinary text are.
        neighbour = position > 0 and not between.strip()
        if not neighbour or word.group(1).lower() != charset:
            out.append(decode_charset(pending, charset)[0])
            out.append("" if neighbour else between)
            pending = b""
        charset, position = word.group(1).lower(), word.end()
        pending += _word_bytes(word.group(2), word.group(3))
    return "".join(out) + decode_charset(pending, charset)[0] + value[position:]


def _word_bytes(encoding: str, payload: str) -> bytes:
    data = payload.encode("ascii", "ignore")
    if encoding in "Qq":
        return binascii.a2b_qp(data, header=True)
    return undo_base64(data)


def undo_base64(data: bytes) -> bytes:
    """What the Base64 letters in ``data`` stand for; anything else among them is passed over (RFC 2045 section 6.8)."""
    letters = data.translate(None, _NOT_BASE64)
    whole = len(letters) - (1 if len(letters) % 4 == 1 else 0)
    return base64.b64decode(letters[:whole] + b"=" * (-whole % 4))


def split_quoted(value: str, separator: str) -> Iterator[str]:
    """The pieces of a structured value between separators that stand outside quotes, comments and angle brackets."""
    start, depth, quoted, angle, escaped = 0, 0, False, False, False
    for position, char in enumerate(value):
        if escaped:
            escaped = False
        elif char == "\\" and (quoted or depth):
            escaped = True
        elif char == '"' and not depth:
            quoted = not quoted
        elif quoted:
            continue
        elif char == "(":
            depth += 1
        elif char == ")":
            depth = max(0, depth - 1)
        elif depth:
            continue
        elif char in "<>":
            angle = char == "<"
        elif char == separator and not angle:
            yield value[start:position]
            start = position + 1
    yield value[start:]


def decode_parameters(value: str) -> dict[str, str]:
    """The parameters of a structured header, names in lower case, RFC 2231 pieces joined; the first of a name wins."""
    plain: dict[str, str] = {}
    pieces: dict[str, list[tuple[int, bool, str]]] = {}
    for number, item in enumerate(split_quoted(value[:_MAX_STRUCTURED_CHARS], ";")):
        if number == 0:
            continue
        if number > _MAX_PARAMETERS:
            break
        raw_name, equals, raw_value = item.partition("=")
        name, text = raw_name.strip().lower(), _unquoted(raw_value.strip()[:_MAX_PARAMETER_CHARS])
        base, star, section = name.partition("*")
        if not equals:
            continue
        if not star:
            plain.setdefault(name, text)
        else:
            index = section.rstrip("*")
            order = int(index) if index.isascii() and index.isdigit() and len(index) < 4 else 0
            pieces.setdefault(base, []).append((order, section == "" or section.endswith("*"), text))
    return {**plain, **{name: _joined_pieces(parts) for name, parts in pieces.items()}}


def _joined_pieces(parts: list[tuple[int, bool, str]]) -> str:
    charset, out = "", b""
    for number, (_, extended, text) in enumerate(sorted(parts, key=lambda part: part[0])):
        if extended and number == 0 and text.count("'") >= 2:
            charset, _, text = text.split("'", 2)
        out += unquote_to_bytes(text) if extended else text.encode("utf-8", "replace")
    return decode_charset(out, charset)[0]


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value.startswith('"') and value.endswith('"'):
        value = value[1:-1]
        return re.sub(r"\\(.)", r"\1", value) if "\\" in value else value
    return value.strip('"')


def parse_addresses(value: str, limit: int) -> tuple[tuple[NamedAddress, ...], bool]:
    """The strictly valid mailboxes of an address header in order (at most ``limit``), and whether there were more.

    Groups are opened, what does not parse is left out.
    """
    found: list[NamedAddress] = []
    for number, item in enumerate(_mailboxes(value)):
        if number >= limit:
            return tuple(found), True
        if (address := parse_mailbox(item)) is not None:
            found.append(address)
    return tuple(found), False


def _mailboxes(value: str) -> Iterator[str]:
    for item in split_quoted(value, ","):
        for piece in split_quoted(item, ";"):
            *_, last = split_quoted(piece, ":")
            if last.strip():
                yield last


def parse_mailbox(item: str) -> NamedAddress | None:
    """One ``Name <local@domain>`` or bare address; None unless it can mean exactly one mailbox.

    A name that itself holds an unquoted ``@`` is accepted only when it repeats the address (CVE-2023-27043).
    """
    item = item.strip()
    if not item or len(item) > _MAX_ADDRESS_CHARS:
        return None
    bare, comment = _without_comments(item)
    bare = bare.strip()
    if not bare.endswith(">"):
        address = _strict(bare)
        return NamedAddress(_shown_name(comment), address) if address else None
    name, _, spec = bare[:-1].rpartition("<")
    address = _strict(spec.strip())
    name = name.strip()
    if address is None:
        return None
    unquoted = _QUOTED.sub("", name)
    if any(char in unquoted for char in '<>"'):
        return None
    if "@" in unquoted and unquoted.strip("'").casefold() != address.text.casefold():
        return None
    return NamedAddress(_shown_name(name or comment), address)


def _strict(spec: str) -> Address | None:
    try:
        return parse_address(spec)
    except InvalidInput:
        return None


def _shown_name(name: str) -> str:
    return visible_line(decode_words(_unquoted(name.strip())), MAX_NAME_CHARS).strip("'\" ")


def _without_comments(item: str) -> tuple[str, str]:
    """The item outside its comments, and the text of the comments."""
    if "(" not in item:
        return item, ""
    outside: list[str] = []
    inside: list[str] = []
    depth, quoted, escaped = 0, False, False
    for char in item:
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == '"' and not depth:
            quoted = not quoted
        elif char == "(" and not quoted:
            depth += 1
            continue
        elif char == ")" and depth:
            depth -= 1
            continue
        (inside if depth else outside).append(char)
    return "".join(outside), "".join(inside)


def parse_ids(value: str, limit: int) -> tuple[tuple[str, ...], bool]:
    """The message ids of a header, each in its angle brackets, without repeats, and whether some were left out.

    When there are too many, the first and the latest are kept: the thread's root and its nearest ancestors.
    """
    found = dict.fromkeys(f"<{_BLANK.sub('', match)}>" for match in _ID.findall(value))
    ids = tuple(one for one in found if one != "<>" and one.isprintable())
    if not ids and "<" not in value and (token := value.strip()) and len(token) <= 998 and _bare_id(token):
        ids = (f"<{token}>",)
    if len(ids) <= limit:
        return ids, False
    return ids[:1] + ids[-(limit - 1) :] if limit > 1 else ids[:limit], True


def _bare_id(token: str) -> bool:
    return "@" in token and token.isprintable() and not any(char.isspace() for char in token)


def parse_date(value: str) -> datetime | None:
    """The instant of a Date header in UTC; None when it cannot be read."""
    try:
        when = parsedate_to_datetime(value[:100])
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
