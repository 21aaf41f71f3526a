"""Signed addresses of one file: for fetching it, or for sending it. They run out, and say nothing about the file."""

import hmac
import re
from typing import Final, Literal, NamedTuple

from postrider.kernel.keyed import keyed_digest
from postrider.kernel.vault import Vault

Purpose = Literal["fetch", "send"]

_FORM: Final = re.compile(r"(ws_[0-9a-z]{26})\.(file_[0-9a-z]{26})\.([0-9]{13})\.([0-9a-f]{64})")
LONGEST: Final = 200


class Linked(NamedTuple):
    """The file that a link leads to."""

    workspace_id: str
    file_id: str


def sign_link(vault: Vault, purpose: Purpose, linked: Linked, expires_ms: int) -> str:
    """The last part of an address that works until ``expires_ms`` (milliseconds since 1970)."""
    return f"{linked.workspace_id}.{linked.file_id}.{expires_ms}.{_mac(vault, purpose, linked, expires_ms)}"


def read_link(vault: Vault, purpose: Purpose, token: str, now_ms: int) -> Linked | None:
    """The file, if the link was signed here for this purpose and has not run out."""
    match = _FORM.fullmatch(token) if len(token) <= LONGEST else None
    if match is None:
        return None
    linked, expires_ms = Linked(match.group(1), match.group(2)), int(match.group(3))
    good = hmac.compare_digest(match.group(4), _mac(vault, purpose, linked, expires_ms))
    return linked if good and now_ms < expires_ms else None


def _mac(vault: Vault, purpose: Purpose, linked: Linked, expires_ms: int) -> str:
    text = "\0".join((purpose, linked.workspace_id, linked.file_id, str(expires_ms)))
    return keyed_digest(vault.derive("file-links"), text.encode()).hex()
