"""People who are signed in at a browser: a row for each, found by a keyed hash of what its cookie holds."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from postrider.access.tables import User, WebSession
from postrider.kernel.ids import random_text
from postrider.kernel.keyed import keyed_digest
from postrider.kernel.secret import Secret

DAY_MS: Final = 86_400_000
IDLE_MS: Final = 14 * DAY_MS
"""How long somebody stays signed in who does not come back."""

LONGEST_MS: Final = 90 * DAY_MS
"""After that even somebody who comes every day signs in again."""

_RENEW_MS: Final = 3_600_000
_TOKEN_CHARACTERS: Final = 52


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Whose session it is. ``stale``: it should be renewed."""

    digest: bytes
    user_id: str
    email: str
    name: str
    stale: bool


def begin_session(session: Session, key: bytes, user_id: str, now_ms: int) -> Secret:
    """What the cookie of a fresh session holds. ``key``: the installation's for sessions; sweeps out what ran out."""
    token = random_text(_TOKEN_CHARACTERS)
    session.execute(delete(WebSession).where(WebSession.expires_ms <= now_ms))
    session.add(
        WebSession(
            digest=_digest(key, token),
            user_id=user_id,
            created_ms=now_ms,
            used_ms=now_ms,
            expires_ms=now_ms + IDLE_MS,
        )
    )
    session.flush()
    return Secret(token)


def find_session(session: Session, key: bytes, token: str, now_ms: int) -> SignedIn | None:
    """Who holds ``token``; None when it never was one, has run out or was ended."""
    digest = _digest(key, token)
    found = session.execute(
        select(WebSession.used_ms, User.id, User.email, User.name)
        .join(User, User.id == WebSession.user_id)
        .where(WebSession.digest == digest, WebSession.expires_ms > now_ms)
    ).first()
    if found is None:
        return None
    used_ms, user_id, email, name = found
    return SignedIn(digest, user_id, email, name, stale=now_ms - used_ms > _RENEW_MS)


def renew_session(session: Session, digest: bytes, now_ms: int) -> None:
    """Keeps a session for another IDLE_MS, though never beyond LONGEST_MS in all."""
    row = session.get(WebSession, digest)
    if row is not None:
        row.used_ms = now_ms
        row.expires_ms = min(now_ms + IDLE_MS, row.created_ms + LONGEST_MS)


def end_session(session: Session, key: bytes, token: str) -> None:
    """Ends the session that ``token`` holds."""
    session.execute(delete(WebSession).where(WebSession.digest == _digest(key, token)))


def end_all_sessions(session: Session, user_id: str) -> None:
    """Signs a person out everywhere."""
    session.execute(delete(WebSession).where(WebSession.user_id == user_id))


def _digest(key: bytes, token: str) -> bytes:
    return keyed_digest(key, token.encode())
