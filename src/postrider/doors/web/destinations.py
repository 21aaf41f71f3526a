"""Where a browser may be sent after signing in: to a path of ours, whatever the address said."""

import re
from typing import Final
from urllib.parse import urlsplit

HOME: Final = "/"
_LONGEST: Final = 4_000
_PATH: Final = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")
"""One slash, and after it printable ASCII without a backslash, which browsers read as a slash."""


def safe_next(wanted: str) -> str:
    """``wanted`` if it is a path of this server, else the first page."""
    if len(wanted) > _LONGEST or not _PATH.fullmatch(wanted):
        return HOME
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return HOME
    return HOME if parts.scheme or parts.netloc or parts.fragment else wanted


def leads_to_an_app(wanted: str) -> bool:
    """Whether the path belongs to the authorization of an app, which ends at an address of the app."""
    return wanted.startswith("/oauth/")
