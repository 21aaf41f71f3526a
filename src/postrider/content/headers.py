"""Header fields of outgoing mail: checked, encoded (RFC 2047) and folded (RFC 5322 section 2.2.3)."""

import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from datetime import datetime
from email.utils import format_datetime
from typing import Final, TypeVar

from postrider.content.addresses import Address, parse_domain
from postrider.kernel.errors import InvalidInput

LINE_LIMIT: Final = 76
"""Characters of a header line before it is folded. Source: RFC 2047 section 2, inside RFC 5322 section 2.1.1's 78."""

MAX_TOKEN_OCTETS: Final = 900
"""Longest text that may stand in one line unbroken: leaves room below the 998 octets of RFC 5322 section 2.1.1."""

MAX_REFERENCES: Final = 20

_Piece = TypeVar("_Piece", str, bytes)

_WORD_START: Final = "=?utf-8?"
_WORD_ROOM: Final = 75 - len("=?utf-8?q??=")

# Line separators count as controls: some readers break lines at them. Lone surrogates have no UTF-8 form.
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# Direction marks, overrides and isolates; zero-width, filler, blank and tag characters. The two joiners (U+200C,
# U+200D) stay allowed: Persian and Indic names and some emoji are not written without them.
_HIDDEN: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
    "\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_CONTROL_IN_LINES: Final = re.compile(r"(?![\t\r\n])" + _CONTROL.pattern)
_ONLY_JOINERS: Final = re.compile(r"[\u200c\u200d][\s\u200c\u200d]*")
_PLAIN_TEXT: Final = re.compile(r"[!-~]{1,60}(?: [!-~]{1,60})*")
_ATOMS: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_DOT_ATOM: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_MESSAGE_ID: Final = re.compile(rf"<[!-;=?-~]{{1,{MAX_TOKEN_OCTETS - 2}}}>")
_URI: Final = re.compile(r"(?:https|mailto):[!-;=?-~]+", re.IGNORECASE)
_REPLY_PREFIX: Final = re.compile(r"\s*(?:re(?:\[\d+\])?\s*:\s*)+", re.IGNORECASE)

# Only what every place of RFC 2047 section 5 allows, so that one encoding serves subjects and display names.
_Q_SAFE: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
_Q_BYTE: Final = tuple(chr(b) if b in _Q_SAFE else "_" if b == 0x20 else f"={b:02X}" for b in range(256))


def check_header_value(text: str, field: str) -> str:
    """``text`` itself, when no header can be injected with it.

    Raises: InvalidInput that names ``field`` for CR, LF, NUL and every other control or line separator.
    """
    found = _CONTROL.search(text)
    if found is None:
        return text
    raise InvalidInput(
        f"{field} holds a line break or control character (U+{ord(found.group()):04X} at position {found.start()}).",
        field=field,
        hint=f"Remove it: {field} is one line of text.",
    )


def check_name(text: str, field: str) -> str:
    """``text`` itself, when it may be shown as one line: a name, a subject, a reason.

    Raises: InvalidInput that names ``field`` for what ``check_header_value`` and ``check_visible`` refuse.
    """
    if text.isascii() and text.isprintable():
        return text
    return check_visible(check_header_value(text, field), field)


def without_hidden(text: str) -> str:
    """``text`` without the characters that turn its direction or cannot be seen (see check_visible)."""
    return text if text.isascii() else _HIDDEN.sub("", text)


def check_visible(text: str, field: str) -> str:
    """``text`` itself, of one or more lines, when a reader sees all that is in it.

    Raises: InvalidInput that names ``field`` for control characters, for characters that turn the direction of text or
    cannot be seen (with them a name shows as another one), and for joiners with nothing to join.
    """
    found = _HIDDEN.search(text) or _CONTROL_IN_LINES.search(text) or _ONLY_JOINERS.fullmatch(text)
    if found is None:
        return text
    raise InvalidInput(
        f"{field} holds an invisible or direction-changing character (U+{ord(text[found.start()]):04X} at position "
        f"{found.start()}).",
        field=field,
        hint=f"Type {field} anew, in visible characters: such a character often comes along with copied text.",
    )


def check_message_id(text: str, field: str) -> str:
    """``text`` itself, when it is one Message-ID in angle brackets. Raises: InvalidInput that names ``field``."""
    if _MESSAGE_ID.fullmatch(text):
        return text
    raise InvalidInput(f"{field} is not a Message-ID in angle brackets.", field=field)


def check_list_uri(text: str, field: str) -> str:
    """``text`` itself, when it may stand in List-Unsubscribe (https or mailto). Raises: InvalidInput."""
    if len(text) <= MAX_TOKEN_OCTETS and _URI.fullmatch(text):
        return text
    raise InvalidInput(f"{field} must be an https: or mailto: URI in plain ASCII.", field=field)


def encode_text(text: str, room: int) -> str:
    """Unstructured text for a header: as it is where that is exact, else encoded words joined by single spaces.

    ``room``: characters left in the first line after the field name.
    """
    if _PLAIN_TEXT.fullmatch(text) and "=?" not in text:
        return text
    return " ".join(_encoded_words(text, room)) if text else ""


def format_mailbox(name: str, address: Address, room: int = LINE_LIMIT - 6) -> str:
    """``Jane Doe <jane@acme.com>`` for an address header: the name quoted or encoded as it needs, the address never."""
    name = name.strip(" ")
    if not name:
        return f"<{address.wire}>"
    return f"{_phrase(name, room)} <{address.wire}>"


def fold(field: str) -> str:
    """A header field ``Name: value`` in lines of at most 76 characters where its spaces allow, joined by CRLF.

    ``value`` must have no two spaces in a row; the first word stays beside the name, as some readers need.
    """
    if len(field) <= LINE_LIMIT:
        return field
    words = field.split(" ")
    lines, line = [], " ".join(words[:2])
    for word in words[2:]:
        if len(line) + 1 + len(word) <= LINE_LIMIT:
            line = f"{line} {word}"
        else:
            lines.append(line)
            line = f" {word}"
    return "\r\n".join((*lines, line))


def format_date(moment: datetime) -> str:
    """RFC 5322 date with a numeric zone. Raises: ValueError for a naive ``moment``."""
    if moment.tzinfo is None:
        raise ValueError("A Date header needs an aware datetime.")
    return format_datetime(moment)


def message_id(random: str, sender_domain: str) -> str:
    """``<random@domain>``. Raises: InvalidInput for a domain that nobody owns, such as localhost."""
    if not _DOT_ATOM.fullmatch(random):
        raise InvalidInput("The random part of a Message-ID must be a dot-atom.", field="message_id")
    return f"<{random}@{parse_domain(sender_domain, 'sender_domain')}>"


def find_message_ids(text: str) -> tuple[str, ...]:
    """The well-formed Message-IDs in a received In-Reply-To or References header, in order; the rest is dropped."""
    return tuple(_MESSAGE_ID.findall(text))


def trim_references(ids: Iterable[str], limit: int = MAX_REFERENCES) -> tuple[str, ...]:
    """At most ``limit`` (two or more) different ids: the first, which names the thread, and the latest ones."""
    # A repeated id counts where it came last, except the first id: parents must stay next to their replies.
    given = list(ids)
    first = given[:1]
    later = list(dict.fromkeys(found for found in reversed(given[1:]) if found not in first))[::-1]
    return (*first, *later[-(limit - 1) :])


def reply_subject(subject: str) -> str:
    """``Re: `` once before ``subject``, however many it has already."""
    prefix = _REPLY_PREFIX.match(subject)
    return f"Re: {subject[prefix.end() :] if prefix else subject.lstrip()}"


def _phrase(name: str, room: int) -> str:
    """A display name as atoms, a quoted string, or encoded words. Source: RFC 5322 section 3.2.5."""
    if _PLAIN_TEXT.fullmatch(name) and "=?" not in name:
        if _ATOMS.fullmatch(name):
            return name
        quoted = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
        if len(quoted) <= MAX_TOKEN_OCTETS:
            return quoted
    return " ".join(_encoded_words(name, room))


def _encoded_words(text: str, room: int) -> Sequence[str]:
    """``text`` in RFC 2047 words that each hold whole characters: Q while it stays readable, else B."""
    encoded = [character.encode() for character in text]
    quoted = ["".join([_Q_BYTE[b] for b in octets]) for octets in encoded]
    first = min(_WORD_ROOM, room - len("=?utf-8?q??="))
    if sum(map(len, quoted)) <= 2 * sum(map(len, encoded)):
        return [f"{_WORD_START}q?{''.join(chunk)}?=" for chunk in _pack(quoted, first, _WORD_ROOM)]
    octet_chunks = _pack(encoded, first // 4 * 3, _WORD_ROOM // 4 * 3)
    return [f"{_WORD_START}b?{b64encode(b''.join(chunk)).decode()}?=" for chunk in octet_chunks]


def _pack(pieces: Sequence[_Piece], first_room: int, room: int) -> list[list[_Piece]]:
    """``pieces`` in order, in chunks whose lengths sum to at most ``first_room``, then ``room`` each."""
    chunks: list[list[_Piece]] = [[]]
    left = first_room
    for piece in pieces:
        if len(piece) > left:
            chunks.append([])
            left = room
        chunks[-1].append(piece)
        left -= len(piece)
    return [chunk for chunk in chunks if chunk]
