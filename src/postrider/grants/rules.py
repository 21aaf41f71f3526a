"""What a connected app may ask for and where its answers may go: pure decisions.

The words on the wire are the five scope bundles, and ``toolset:name`` for each toolset that a grant is narrowed to.
"""

import base64
import hashlib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode, urlsplit

from postrider.content.headers import without_hidden
from postrider.kernel.policy import covered_scopes

BUNDLES: Final = ("read", "prepare", "send", "delete", "administer")
"""Every scope, the tamest first."""

ASKED_BY_DEFAULT: Final = ("read", "prepare")
"""What an app gets to ask for that does not say what it wants."""

TOOLSET: Final = "toolset:"
LONGEST_URI: Final = 1_000
_MOST_WORDS: Final = 100
_LONGEST_NAME: Final = 100

_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_URI_TEXT: Final = re.compile(r"[A-Za-z0-9!$%&'()*+,./:;=?@\[\]_~-]+")
"""No space, no backslash, no fragment, nothing that a browser would repair."""

_APP_SCHEME: Final = re.compile(
    r"(?!(?:https?|javascript|data|file|vbscript|ftp|wss?):)[a-z][a-z0-9+.-]*://[a-z0-9.-]+/[\w./-]*"
)
_WEB: Final = re.compile(r"https://([A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::([0-9]{1,5}))?((?:[/?].*)?)")
_LOOPBACK: Final = re.compile(r"http://(127\.0\.0\.1|\[::1\]|localhost)(?::([0-9]{1,5}))?((?:[/?].*)?)")
_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


@dataclass(frozen=True, slots=True)
class Reach:
    """What may be done: the scope bundles as they were named, and the toolsets (None: all)."""

    scopes: frozenset[str]
    toolsets: frozenset[str] | None = None

    @property
    def covered(self) -> frozenset[str]:
        """The scopes with those that they include."""
        return covered_scopes(self.scopes)

    def within(self, other: "Reach") -> bool:
        """Whether ``other`` allows all of it."""
        narrow = other.toolsets is None or (self.toolsets is not None and self.toolsets <= other.toolsets)
        return narrow and self.covered <= other.covered


def read_scope(text: str, toolsets: Collection[str]) -> Reach | None:
    """What a ``scope`` parameter asks for; None when nothing of it can be granted.

    Words of other servers are passed over. A toolset that does not exist is not: without it the rest would reach
    further than was asked for.
    """
    words = text.split()
    if not words:
        return Reach(frozenset(ASKED_BY_DEFAULT))
    named = frozenset(word.removeprefix(TOOLSET) for word in words if word.startswith(TOOLSET))
    scopes = frozenset(words) & frozenset(BUNDLES)
    if len(words) > _MOST_WORDS or not scopes or not named <= set(toolsets):
        return None
    return Reach(scopes, named or None)


def scope_words(reach: Reach) -> str:
    """The ``scope`` parameter for ``reach``, with what each scope includes."""
    return " ".join(scope_list(reach.covered, reach.toolsets))


def scope_list(scopes: Iterable[str], toolsets: Iterable[str] | None) -> list[str]:
    """The words in a fixed order."""
    known = frozenset(scopes)
    return [scope for scope in BUNDLES if scope in known] + [TOOLSET + name for name in sorted(toolsets or ())]


def reach_of(words: Iterable[str]) -> Reach:
    """The reach that stored words stand for."""
    kept = list(words)
    named = frozenset(word.removeprefix(TOOLSET) for word in kept if word.startswith(TOOLSET))
    return Reach(frozenset(kept) & frozenset(BUNDLES), named or None)


def both(one: Reach, other: Reach) -> Reach:
    """What both allow."""
    if one.toolsets is None or other.toolsets is None:
        toolsets = other.toolsets if one.toolsets is None else one.toolsets
    else:
        toolsets = one.toolsets & other.toolsets
    return Reach(one.covered & other.covered, toolsets)


def is_challenge(text: str) -> bool:
    """Whether ``text`` can be an S256 challenge. Source: RFC 7636 section 4.2."""
    return _CHALLENGE.fullmatch(text) is not None


def challenge_of(verifier: str) -> str | None:
    """The S256 challenge of a verifier; None for what cannot be one. Source: RFC 7636 section 4.1."""
    if _VERIFIER.fullmatch(verifier) is None:
        return None
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def redirect_problem(uri: str) -> str | None:
    """Why an app may not have its answers sent to ``uri``; None when it may: https, or http on loopback."""
    if len(uri) > LONGEST_URI or _URI_TEXT.fullmatch(uri) is None:
        return f"has to be at most {LONGEST_URI} plain characters without a fragment"
    match = _WEB.fullmatch(uri) or _LOOPBACK.fullmatch(uri)
    if match is None:
        return "has to be https, or http on 127.0.0.1, [::1] or localhost, without user name"
    if match.group(2) is not None and not 0 < int(match.group(2)) < 65536:
        return "has a port that does not exist"
    if "*" in uri.partition("?")[0]:
        return "has a wildcard, and every address has to be named"
    if any(part in (".", "..") for part in match.group(3).partition("?")[0].lower().replace("%2e", ".").split("/")):
        return "has dots in its path that lead elsewhere"
    return None


def is_app_scheme(uri: str) -> bool:
    """Whether ``uri`` is an address in a scheme of the app's own, as cursor://… is. It is never used, but an app that
    names it beside others is let in for those."""
    return len(uri) <= LONGEST_URI and _APP_SCHEME.fullmatch(uri) is not None


def redirect_matches(registered: Iterable[str], presented: str) -> bool:
    """Whether ``presented`` is one of the addresses that an app has named, character by character.

    On loopback the port is free: native apps get one from the system. Source: RFC 8252 section 7.3.
    """
    if redirect_problem(presented) is not None:
        return False
    native = _LOOPBACK.fullmatch(presented)
    for known in registered:
        if known == presented:
            return True
        other = _LOOPBACK.fullmatch(known)
        if native and other and (native.group(1), native.group(3)) == (other.group(1), other.group(3)):
            return True
    return False


def with_answer(redirect_uri: str, answer: dict[str, str]) -> str:
    """The redirect address with the parameters of an answer behind its own."""
    return f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{urlencode(answer)}"


def document_problem(client_id: str) -> str | None:
    """Why ``client_id`` cannot be the address of a client's metadata document; None when it can.

    Source: draft-ietf-oauth-client-id-metadata-document, section 3.
    """
    if redirect_problem(client_id) is not None or not client_id.startswith("https://"):
        return "has to be a plain https address without fragment, user name and dots in its path"
    parts = urlsplit(client_id)
    if parts.path in ("", "/") or parts.query or "?" in client_id:
        return "has to have a path and no query"
    return None


def is_document(client_id: str) -> bool:
    """Whether a client id is meant as the address of a document. Ids that we give out have no colon."""
    return ":" in client_id


def shown_name(text: str) -> str:
    """What a stranger calls their app, as one short line in which everything can be seen."""
    return " ".join(without_hidden(_UNPRINTABLE.sub(" ", text)).split())[:_LONGEST_NAME].strip()
