"""Link targets made from lead data: which ones may be sent, and which ones are Loom videos."""

import re
from dataclasses import dataclass

LINK_ATTRIBUTES = frozenset(
    ("action", "background", "cite", "data", "formaction", "href", "longdesc", "poster", "src", "srcset", "xlink:href")
)
SAFE_SCHEMES = frozenset(("http", "https", "mailto", "tel"))
SCRIPT_SCHEMES = frozenset(("javascript", "vbscript", "data"))

# Browsers drop these before they read the scheme: "java\tscript:" runs.
_IGNORED_BY_BROWSERS = re.compile(r"[\x00-\x20\x7f]+")
_LOOM_ADDRESS = re.compile(
    r"(?:https?://)?(?P<rest>(?:www\.)?loom\.com/share/(?P<id>[a-z0-9-]{1,100})/?(?:\?[\w.~%=&+-]*)?)",
    re.IGNORECASE | re.ASCII,
)


def scheme_of(url: str) -> str | None:
    """The scheme a browser would see, in lower case; None for a relative address."""
    head, colon, _ = _IGNORED_BY_BROWSERS.sub("", url).partition(":")
    if not colon or any(mark in head for mark in "/?#"):
        return None
    return head.lower()


def is_safe_link(url: str) -> bool:
    """True for an absolute address of a page, a mail or a call; also for none at all, and for a place in the mail.

    A mail has no address of its own: what is relative leads nowhere, or (``//host``) to where its value wants.
    """
    return scheme_of(url) in SAFE_SCHEMES or url.strip()[:1] in ("", "#")


def may_begin_link(text: str) -> bool:
    """True for an author's words that do not name a scheme which no mail may have; what follows decides the rest."""
    scheme = scheme_of(text)
    return scheme is None or scheme in SAFE_SCHEMES


@dataclass(frozen=True, slots=True)
class LoomVideo:
    """A shared Loom video: the page to open, and the animated picture that stands for it in a mail."""

    url: str
    thumbnail_url: str


def loom_video(address: str) -> LoomVideo | None:
    """The video behind a ``loom.com/share/…`` address, without asking the network; None for anything else."""
    match = _LOOM_ADDRESS.fullmatch(address.strip())
    if match is None:
        return None
    return LoomVideo(
        url="https://" + match["rest"],
        thumbnail_url=f"https://cdn.loom.com/sessions/thumbnails/{match['id']}-with-play.gif",
    )
