"""Links of a rendered message: listing, rewriting for click tracking, the open pixel, and the signed tokens of both."""

import binascii
import hmac
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from html import escape, unescape
from typing import Final, Literal

from postrider.kernel.keyed import keyed_digest

Purpose = Literal["click", "open"]

MAX_TOKEN_CHARACTERS: Final = 8192
"""Longest token that is looked at: a target URL of 2,000 characters, encoded, with room to spare."""

_TAG_BYTES: Final = 16
_FORMAT: Final = "1"
_KEY_ID: Final = re.compile(r"[a-z0-9]{1,16}")
_WEB_URL: Final = re.compile(r"https?://[^\s\x00-\x20\x7f]+", re.IGNORECASE)

# Possessive groups keep this linear on hostile input: nothing that matched is ever tried again.
_VALUE: Final = r"""(?:"[^"]*"|'[^']*'|[^\s"'<>]+)"""
_ANCHOR_HREF: Final = re.compile(
    rf"""(<a(?:\s++(?!href\s*=)[^\s"'<>=]++(?:\s*+=\s*+{_VALUE})?+)*+\s++href\s*+=\s*+)({_VALUE})""", re.IGNORECASE
)
_ENTITY: Final = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z0-9]{2,32});")
_BODY_END: Final = re.compile(r"</body\s*>", re.IGNORECASE)
_write_json: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_PIXEL: Final = '<img src="{}" width="1" height="1" alt="" style="display:none">'


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key for tracking tokens. ``id``: 1 to 16 of a-z and 0-9; it stands in every token, so that keys can rotate."""

    id: str
    secret: bytes


@dataclass(frozen=True, slots=True)
class TrackedTarget:
    """What a token vouches for. ``url`` and ``link_index`` are empty and 0 for an open."""

    purpose: Purpose
    workspace_id: str
    attempt_id: str
    link_index: int = 0
    url: str = ""


def link_targets(html: str, keep: Container[str] = ()) -> list[str]:
    """The web addresses of all tracked links, in order: position n is the index that ``rewrite_links`` gives it."""
    urls = (_attribute_text(match.group(2)) for match in _ANCHOR_HREF.finditer(html))
    return [url for url in urls if _is_tracked(url, keep)]


def rewrite_links(html: str, make_url: Callable[[int, str], str], keep: Container[str] = ()) -> str:
    """``html`` with every http(s) link led through ``make_url(index, target)``; all else stays as it is.

    ``keep``: addresses to leave alone, above all the unsubscribe link. mailto:, tel: and anchors are never touched.
    """
    index = 0

    def replace(match: re.Match[str]) -> str:
        nonlocal index
        url = _attribute_text(match.group(2))
        if not _is_tracked(url, keep):
            return match.group()
        tracked = make_url(index, url)
        index += 1
        return f'{match.group(1)}"{escape(tracked)}"'

    return _ANCHOR_HREF.sub(replace, html)


def add_pixel(html: str, url: str) -> str:
    """``html`` with an invisible image at ``url`` as its last element."""
    pixel = _PIXEL.format(escape(url))
    ends = [match.start() for match in _BODY_END.finditer(html)] or [len(html)]
    return html[: ends[-1]] + pixel + html[ends[-1] :]


def sign_target(key: SigningKey, target: TrackedTarget) -> str:
    """A URL-safe token for ``target``. Raises: ValueError for a click whose target is not an http(s) address."""
    if not _KEY_ID.fullmatch(key.id):
        raise ValueError("A signing key's id is 1 to 16 of a-z and 0-9.")
    if not _is_sound(target):
        raise ValueError("Only http and https addresses can be tracked.")
    fields = [target.purpose, target.workspace_id, target.attempt_id, target.link_index, target.url]
    body = _encode(_write_json(fields).encode())
    signed = f"{_FORMAT}{key.id}.{body}"
    return f"{signed}.{_tag(key.secret, signed)}"


def open_target(keys: Mapping[str, bytes], token: str, purpose: Purpose) -> TrackedTarget | None:
    """What a token vouches for, or None when it is forged, altered, meant for another purpose or of an unknown key.

    ``keys``: secrets by key id, all that may still be out in sent mail.
    """
    if len(token) > MAX_TOKEN_CHARACTERS or not token.isascii() or not token.startswith(_FORMAT):
        return None
    signed, _, tag = token.rpartition(".")
    key_id, _, body = signed[len(_FORMAT) :].partition(".")
    secret = keys.get(key_id)
    # The texts are compared, not the bits: base64 has several spellings for the same octets.
    if secret is None or not hmac.compare_digest(_tag(secret, signed).encode(), tag.encode()):
        return None
    target = _read_fields(body)
    return target if target is not None and target.purpose == purpose and _is_sound(target) else None


def _read_fields(body: str) -> TrackedTarget | None:
    """The fields of a token whose signature was found good; None when another version wrote them differently."""
    try:
        fields = json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (ValueError, binascii.Error):
        return None
    match fields:
        case [("click" | "open") as purpose, str(workspace_id), str(attempt_id), int(link_index), str(url)]:
            return TrackedTarget(purpose, workspace_id, attempt_id, link_index, url)
    return None


def _is_sound(target: TrackedTarget) -> bool:
    return target.purpose == "open" or _WEB_URL.fullmatch(target.url) is not None


def _is_tracked(url: str, keep: Container[str]) -> bool:
    return _WEB_URL.fullmatch(url) is not None and url not in keep


def _attribute_text(raw: str) -> str:
    """The text of an attribute value as it stands in HTML, quotes included."""
    text = raw[1:-1] if raw[0] in "\"'" else raw
    # Only references with a semicolon: in "?a=1&copy=2" browsers see no copyright sign, html.unescape would.
    return (_ENTITY.sub(lambda found: unescape(found.group()), text) if "&" in text else text).strip()


def _encode(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode()


def _tag(secret: bytes, signed: str) -> str:
    """128 bits of HMAC-SHA256 over key id, format and fields, bound to this use of the key."""
    return _encode(keyed_digest(secret, b"postrider tracking\n" + signed.encode())[:_TAG_BYTES])
