"""Links that work once: to set an installation up, and to set a new password."""

from typing import Final, Literal, NamedTuple

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session

from postrider.access.tables import OneTimeLink
from postrider.kernel.ids import random_text
from postrider.kernel.keyed import keyed_digest
from postrider.kernel.secret import Secret
from postrider.storage.leases import wall_ms_now

Purpose = Literal["setup", "reset"]
SETUP_MS: Final = 24 * 3_600_000
RESET_MS: Final = 3_600_000
KEY: Final = "one-time-links"
"""What the installation's key for links is derived for."""

_TOKEN_CHARACTERS: Final = 40


class Link(NamedTuple):
    """A link that still works. ``user_id``: whose password it sets; None where there is nobody yet."""

    purpose: str
    user_id: str | None


def make_link(session: Session, key: bytes, purpose: Purpose, user_id: str | None, lifetime_ms: int) -> Secret:
    """The token of a fresh link; older ones of the same purpose and person stop working."""
    now_ms, token = wall_ms_now(), random_text(_TOKEN_CHARACTERS)
    older = OneTimeLink.purpose == purpose
    if purpose == "reset":
        older &= OneTimeLink.user_id == user_id
    session.execute(delete(OneTimeLink).where(older | (OneTimeLink.expires_ms <= now_ms)))
    row = OneTimeLink(
        digest=keyed_digest(key, token.encode()),
        purpose=purpose,
        user_id=user_id,
        expires_ms=now_ms + lifetime_ms,
        used_ms=None,
    )
    session.add(row)
    session.flush()
    return Secret(token)


def find_link(session: Session, key: bytes, purpose: Purpose, token: str) -> Link | None:
    """The link of ``token`` if it works."""
    row = session.execute(select(OneTimeLink.purpose, OneTimeLink.user_id).where(*_works(key, purpose, token))).first()
    return None if row is None else Link(*row)


def use_link(session: Session, key: bytes, purpose: Purpose, token: str) -> Link | None:
    """The link of ``token``, which works no more from now on; None if it did not work."""
    row = session.execute(
        update(OneTimeLink)
        .where(*_works(key, purpose, token))
        .values(used_ms=wall_ms_now())
        .returning(OneTimeLink.purpose, OneTimeLink.user_id)
    ).first()
    return None if row is None else Link(*row)


def drop_links(session: Session, purpose: Purpose, user_id: str | None = None) -> None:
    """No link of this purpose works any more; ``user_id``: only those of that person."""
    mine = OneTimeLink.purpose == purpose
    session.execute(delete(OneTimeLink).where(mine if user_id is None else mine & (OneTimeLink.user_id == user_id)))


def _works(key: bytes, purpose: Purpose, token: str) -> tuple[ColumnElement[bool], ...]:
    return (
        OneTimeLink.digest == keyed_digest(key, token.encode()),
        OneTimeLink.purpose == purpose,
        OneTimeLink.used_ms.is_(None),
        OneTimeLink.expires_ms > wall_ms_now(),
    )
