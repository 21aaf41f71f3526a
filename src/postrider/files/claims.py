"""Uploads while they are being sent: a link takes one file, from one sender at a time.

A claim runs out by itself, so that a sender who dies gives the link back. Its time is wall time, as of any lease.
"""

from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, Update, and_, select, update
from sqlalchemy.orm import Session

from postrider.files.links import Linked
from postrider.files.queries import check_room, find_file
from postrider.files.tables import StoredFile
from postrider.kernel.errors import Conflict
from postrider.kernel.ids import random_text
from postrider.storage.leases import wall_ms

CLAIM_SECONDS: Final = 60
"""Longer than a sender may be silent, so that a claim that is renewed with what arrives does not run out."""


class Claim(NamedTuple):
    """Somebody is sending the file of ``linked``, which was announced with ``size_bytes``."""

    linked: Linked
    token: str
    size_bytes: int


def claim_upload(session: Session, linked: Linked, now: datetime) -> Claim | None:
    """The claim to send the file; None when no upload waits for one (any more).

    Raises: Conflict while somebody else is sending it, LimitReached when the workspace has no room for it.
    """
    row = find_file(session, linked, "upload", "open", now)
    if row is None:
        return None
    claim, now_ms = Claim(linked, random_text(26), row.size_bytes), wall_ms(session.get_bind().dialect.name)
    free = StoredFile.claimed_until_ms.is_(None) | (StoredFile.claimed_until_ms <= now_ms)
    taken = _open(linked).where(free).values(claim=claim.token, claimed_until_ms=now_ms + CLAIM_SECONDS * 1000)
    if not _changed(session, taken):
        raise Conflict("Somebody is sending a file to this address.", hint="Each address takes one file.")
    check_room(session, linked.workspace_id, 0, now)
    return claim


def renew_claim(session: Session, claim: Claim) -> bool:
    """Holds the claim for longer; False when somebody else has it, or the upload is gone."""
    until_ms = wall_ms(session.get_bind().dialect.name) + CLAIM_SECONDS * 1000
    return _changed(session, _open(claim.linked).where(_is_held(claim)).values(claimed_until_ms=until_ms))


def give_back(session: Session, claim: Claim) -> bool:
    """The link may be used again, unless the file was received after all; whether it was not, and never will be.

    Somebody who was cut off while it was being marked cannot know that otherwise.
    """
    _changed(session, _open(claim.linked).where(_is_held(claim)).values(claim=None, claimed_until_ms=None))
    counts = select(StoredFile.claim).where(_is_of(claim.linked))
    return session.scalar(counts) != claim.token


def receive_upload(session: Session, claim: Claim, now: datetime) -> bool:
    """Marks the file as there, under the name that has this claim; False when the claim was lost, or the upload is
    gone."""
    arrived = _open(claim.linked).where(_is_held(claim), StoredFile.expires_at > now)
    return _changed(session, arrived.values(state="ready", claimed_until_ms=None))


def _open(linked: Linked) -> Update:
    return update(StoredFile).where(_is_of(linked), StoredFile.state == "open")


def _is_of(linked: Linked) -> ColumnElement[bool]:
    return and_(StoredFile.workspace_id == linked.workspace_id, StoredFile.id == linked.file_id)


def _is_held(claim: Claim) -> ColumnElement[bool]:
    return StoredFile.claim == claim.token


def _changed(session: Session, statement: Update) -> bool:
    return session.execute(statement.returning(StoredFile.id)).scalar() is not None
