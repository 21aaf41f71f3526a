"""What a draft may hold, whoever wrote it: words only, and no link that this workspace has not used itself (pure).

A model that has been talked into something by the mail it answers is expected here. Nothing it writes is trusted: it
has no say in recipients or headers, and links, the way out of a mail, are taken from a list.
"""

import json
import re
from collections.abc import Iterable
from html import unescape
from typing import Final

from postrider.content.html import html_to_text, looks_like_html
from postrider.inbox.parsing_clean import visible_text

MAX_ACTIVE: Final = 3
MAX_DRAFT_CHARACTERS: Final = 4_000
MAX_ANSWER_CHARACTERS: Final = 20_000
MAX_SOURCE_CHARACTERS: Final = 200_000
MAX_LINKS: Final = 100
REMOVED: Final = "[link removed]"

# Not \b: an underscore is no part of a link's beginning or end, as in _emphasis_.
_START: Final = r"(?<![^\W_])"
_END: Final = r"(?![^\W_])"
_DOT: Final = r"[.\u2024\u3002\ufe52\uff0e\uff61]"
_LABEL: Final = r"[^\W_](?:[\w-]{0,61}[^\W_])?"
_SCHEME_URL: Final = _START + r"[a-z][a-z0-9+.-]{1,20}:/{1,3}[^\s<>\"'`]+"
_BARE_SCHEME: Final = (
    _START
    + r"(?:javascript|data|vbscript|mailto|file|sms|tel|callto|skype|tg|whatsapp|blob|about|view-source):[^\s<>\"'`]+"
)
_NETWORK_PATH: Final = r"(?:\\\\|//)[^\s/\\<>\"'`][^\s<>\"'`]*"
_IP: Final = rf"{_START}\d{{1,3}}(?:\.\d{{1,3}}){{3}}{_END}(?:[:/][^\s<>\"'`]*)?"
_TOP: Final = rf"(?:xn--[\w-]{{1,59}}|[^\W\d_]{{2,24}}){_END}"
_HOST: Final = rf"(?:[\w.+%-]{{1,64}}@)?{_START}{_LABEL}(?:{_DOT}{_LABEL}){{0,8}}{_DOT}{_TOP}"
_HOST_AND_PATH: Final = rf"{_HOST}(?::\d{{1,5}})?(?:[/?#][^\s<>\"'`]*)?"
_LINK: Final = re.compile("|".join((_SCHEME_URL, _BARE_SCHEME, _NETWORK_PATH, _IP, _HOST_AND_PATH)), re.IGNORECASE)
# Possessive, so that nothing that matched is ever tried again.
_MARKDOWN: Final = re.compile(r"!?\[([^\]\n]{0,300}+)\]\([ \t]{0,10}+([^)\s]{1,2000}+)[^)\n]{0,300}+\)")
_ENTITY: Final = re.compile(r"&(?:#[0-9]{1,7}|#x[0-9a-f]{1,6}|[a-z0-9]{2,32});", re.IGNORECASE)
_TRAILING: Final = ".,;:!?)]}>*_'\"`…"
_MARKUP_ROUNDS: Final = 3
_NO_BRACKETS: Final = str.maketrans("", "", "<>")
_FENCE: Final = re.compile(r"\A\s*```[a-z]{0,10}\s*\n(.*?)\n?```\s*\Z", re.DOTALL | re.IGNORECASE)
_BLANK_LINES: Final = re.compile(r"\n[ \t]*(?:\n[ \t]*){2,}")


class AllowedLinks:
    """The links of the workspace's own texts. A whole address is allowed as it stands, and its bare host."""

    def __init__(self, texts: Iterable[str], addresses: Iterable[str] = ()) -> None:
        self._links: dict[str, str] = {}
        self._hosts: set[str] = set()
        for text in texts:
            # Of HTML, both what is read and what stands in attributes, each link as it leads: not as markup writes it.
            for source in (
                (_ENTITY.sub(lambda found: unescape(found.group()), text), html_to_text(text))
                if looks_like_html(text)
                else (text,)
            ):
                for found in _LINK.finditer(source[:MAX_SOURCE_CHARACTERS]):
                    self._add(found.group())
        for address in addresses:
            self._links.setdefault(_key(address), address)

    def _add(self, link: str) -> None:
        link = link.rstrip(_TRAILING)
        if len(self._links) >= MAX_LINKS or "{{" in link:
            return
        self._links.setdefault(_key(link), link)
        host = _host(link)
        if host is not None:
            self._hosts.add(host)

    def __contains__(self, link: str) -> bool:
        return _key(link) in self._links or _key(link).removesuffix("/") in self._hosts

    def shown(self) -> list[str]:
        """The links as they stand in the texts."""
        return sorted(self._links.values())


def safe_draft(text: str, allowed: AllowedLinks) -> str:
    """``text`` as it may be shown for sending: plain, visible characters, allowed links only, of bounded length."""
    plain = visible_text(_without_markup(text[:MAX_ANSWER_CHARACTERS]))
    plain = _MARKDOWN.sub(lambda found: f"{found.group(1)} {found.group(2)}".strip(), plain)
    cleaned = _LINK.sub(lambda found: _kept(found.group(), allowed), plain)
    cleaned = _BLANK_LINES.sub("\n\n", cleaned).strip()
    return _shortened(cleaned)


def _without_markup(text: str) -> str:
    """``text`` that no later reader will take for HTML: markup can be wrapped in markup."""
    for _ in range(_MARKUP_ROUNDS):
        if not looks_like_html(text):
            return text
        text = html_to_text(text)
    return text.translate(_NO_BRACKETS)


def _kept(link: str, allowed: AllowedLinks) -> str:
    bare = link.rstrip(_TRAILING)
    tail = link[len(bare) :]
    return link if bare in allowed else f"{REMOVED}{tail}"


def _shortened(text: str) -> str:
    """At most ``MAX_DRAFT_CHARACTERS``, cut at the end of a line or sentence where there is one."""
    if len(text) <= MAX_DRAFT_CHARACTERS:
        return text
    start = text[:MAX_DRAFT_CHARACTERS]
    end = max(start.rfind("\n"), start.rfind(". ") + 1, MAX_DRAFT_CHARACTERS // 2)
    return start[:end].rstrip()


def _key(link: str) -> str:
    """The same for every way to write a link that leads to the same place by its letters alone."""
    scheme, mark, rest = link.partition("://")
    if not mark:
        return link.casefold().removesuffix("/") if not re.search(r"[/?#]", link) else _cased(link)
    return f"{scheme.casefold()}://{_cased(rest)}"


def _cased(rest: str) -> str:
    """Host in lower case; path and query as they are, for servers tell their cases apart."""
    end = next((number for number, char in enumerate(rest) if char in "/?#"), len(rest))
    return rest[:end].casefold() + rest[end:].removesuffix("/")


def _host(link: str) -> str | None:
    """The host of a web link; None for what is none, such as an address of a person."""
    scheme, mark, rest = link.partition("://")
    if mark and scheme.casefold() not in ("http", "https"):
        return None
    host = re.split(r"[/?#:]", rest if mark else link, maxsplit=1)[0].casefold()
    return None if "@" in host or not host else host


class UnreadableAnswer(ValueError):
    """The model's answer is not what was asked for; the text says what is wrong, in words for the model."""


def read_answer(text: str) -> str:
    """The body in the model's JSON answer. Raises: UnreadableAnswer."""
    fenced = _FENCE.match(text)
    try:
        found = json.loads(fenced.group(1) if fenced else text)
    except (ValueError, RecursionError):
        raise UnreadableAnswer("The answer is not one JSON object.") from None
    if not isinstance(found, dict) or set(found) != {"body"}:
        raise UnreadableAnswer('The JSON object must have exactly one field, "body".')
    body = found["body"]
    if not isinstance(body, str) or not body.strip():
        raise UnreadableAnswer('"body" must be a text that is not empty.')
    return body
