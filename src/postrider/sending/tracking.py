"""What the public pages do: opens, clicks and unsubscribing, each by a token that vouches for what it means.

Every hit is kept with its verdict, person or program; only a person's first open and first click of a message count.
"""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, select, update
from sqlalchemy.orm import Session

from postrider.access.queries import lock_workspace
from postrider.campaigns.tables import Enrollment
from postrider.content.links import Purpose, TrackedTarget, open_target
from postrider.dnc.queries import HashedKey, add_hashed, hash_value
from postrider.kernel.vault import Vault
from postrider.leads.tables import Lead
from postrider.sending.events import Subject, add_count, record_event
from postrider.sending.hits import BURST_SECONDS, HitVerdict, Seen, is_burst, judge
from postrider.sending.letter import tracking_keys
from postrider.sending.stops import unsubscribe_lead
from postrider.sending.tables import Attempt, Event, UnsubscribeToken
from postrider.storage.base import JsonObject

__all__ = ["Seen", "record_click", "record_open", "unsubscribe", "unsubscribe_by_token", "unsubscribe_known"]

HITS_KEPT: Final = 50
"""Hits of one message that are kept; beyond that only what counts is written, so that nobody can flood the events."""

_MAX_URL_CHARS: Final = 500
_BURST: Final = timedelta(seconds=BURST_SECONDS)
_CLICKS: Final = ("clicked", "click", "machine_clicked")
_HITS: Final = ("opened", "open", "machine_opened", *_CLICKS)
_THIS_ATTEMPT: Final = and_(Attempt.workspace_id == bindparam("b_workspace_id"), Attempt.id == bindparam("b_id"))
_ATTEMPT: Final = select(
    Attempt.campaign_id,
    Attempt.enrollment_id,
    Attempt.lead_id,
    Attempt.mailbox_id,
    Attempt.step_id,
    Attempt.variant,
    Attempt.copies,
    Attempt.sending_at,
    Attempt.dotted_at,
    Attempt.opened_at,
    Attempt.clicked_at,
).where(_THIS_ATTEMPT)
_HITS_OF: Final = (
    select(Event.id, Event.kind, Event.at, Event.data)
    .where(
        Event.workspace_id == bindparam("b_workspace_id"),
        Event.enrollment_id == bindparam("b_enrollment_id"),
        Event.attempt_id == bindparam("b_id"),
        Event.kind.in_(_HITS),
    )
    .order_by(Event.at.desc())
    .limit(HITS_KEPT + 1)
)


class _Way(NamedTuple):
    """The words for one kind of hit: the one that counts, one more of the same, and a program's."""

    first: str
    again: str
    machine: str
    column: str


_OPEN: Final = _Way("opened", "open", "machine_opened", "opened_at")
_CLICK: Final = _Way("clicked", "click", "machine_clicked", "clicked_at")


def record_open(connection: Connection, vault: Vault, token: str, seen: Seen, now: datetime) -> bool:
    """Records that the pixel was fetched. False for a token that is not ours."""
    return _record(connection, vault, token, "open", seen, now) is not None


def record_click(connection: Connection, vault: Vault, token: str, seen: Seen, now: datetime) -> str | None:
    """Records that a link was followed, and gives its target. None for a token that is not ours: lead nowhere then."""
    target = _record(connection, vault, token, "click", seen, now)
    return target.url if target is not None else None


def unsubscribe_known(session: Session, token: str) -> bool:
    """Whether ``unsubscribe`` would do anything for this token. Changes nothing."""
    return _token_row(session, token) is not None


def unsubscribe(session: Session, vault: Vault, token: str, now: datetime) -> bool:
    """Lists the token's address and stops its lead in every campaign; the same however often. False: not our token.

    Works for ever, also when lead and campaign are gone: the token's hash is the one the list looks up.
    """
    return unsubscribe_by_token(session, vault, token, now, how="by link") is not None


def unsubscribe_by_token(
    session: Session, vault: Vault, token: str, now: datetime, *, how: str, workspace_id: str | None = None
) -> str | None:
    """As ``unsubscribe``, naming the way; the workspace it took effect in. ``workspace_id``: in this one only."""
    row = _token_row(session, token)
    if row is None or workspace_id not in (None, row.workspace_id):
        return None
    # First of all, as everybody does who stops something: whoever locks in another order waits for each other.
    lock_workspace(session, row.workspace_id)
    lead = session.get(Lead, (row.workspace_id, row.lead_id)) if row.lead_id is not None else None
    if lead is not None and hash_value(vault, row.workspace_id, lead.email) == row.email_hash:
        unsubscribe_lead(session, vault, row.workspace_id, lead.email, now, how=how, attempt=None)
    else:
        key = HashedKey("email", row.email_hash, None)
        reason = f"unsubscribed: {how}"
        add_hashed(session, row.workspace_id, [key], reason=reason, source="unsubscribe", now=now)
    return row.workspace_id


def _token_row(session: Session, token: str) -> UnsubscribeToken | None:
    return session.scalars(select(UnsubscribeToken).where(UnsubscribeToken.token == token)).one_or_none()


def _record(
    connection: Connection, vault: Vault, token: str, purpose: Purpose, seen: Seen, now: datetime
) -> TrackedTarget | None:
    target = open_target(tracking_keys(vault), token, purpose)
    if target is None or seen.method == "HEAD":
        return target
    key = {"b_workspace_id": target.workspace_id, "b_id": target.attempt_id}
    # Clicks of one message are judged one after the other, so that each sees those before it.
    statement = _ATTEMPT.with_for_update() if purpose == "click" else _ATTEMPT
    attempt = connection.execute(statement, key).one_or_none()
    # A test message has no lead whose opens could be counted; a deleted one has nobody to count for.
    if attempt is not None and attempt.enrollment_id is not None:
        _Hit(connection, target, attempt, now).record(seen)
    return target


class _Hit:
    """One fetch of a pixel or link of a message that we sent."""

    def __init__(
        self, connection: Connection, target: TrackedTarget, attempt: "Row[*tuple[object, ...]]", now: datetime
    ) -> None:
        self._connection = connection
        self._target = target
        self._attempt = attempt
        self._now = now
        self._way = _OPEN if target.purpose == "open" else _CLICK
        self._subject = Subject(
            workspace_id=target.workspace_id,
            campaign_id=attempt.campaign_id,
            enrollment_id=attempt.enrollment_id,
            lead_id=attempt.lead_id,
            mailbox_id=attempt.mailbox_id,
            attempt_id=target.attempt_id,
            step_id=attempt.step_id,
            variant=attempt.variant,
        )

    def record(self, seen: Seen) -> None:
        """Writes the hit under its verdict."""
        attempt = self._attempt
        verdict = judge(seen, (self._now - (attempt.dotted_at or attempt.sending_at)).total_seconds())
        known = list(self._connection.execute(_HITS_OF, self._key() | {"b_enrollment_id": attempt.enrollment_id}))
        if self._target.purpose == "click":
            recent = [row for row in known if row.kind in _CLICKS and row.at > self._now - _BURST]
            if is_burst({self._target.link_index, *(int(row.data.get("link", -1)) for row in recent)}):
                verdict = HitVerdict(True, "burst")
                for row in recent:
                    self._take_back(row)
        if not verdict.machine and self._claim_first():
            self._write(self._way.first, verdict)
        elif len(known) < HITS_KEPT:
            self._write(self._way.machine if verdict.machine else self._way.again, verdict)

    def _claim_first(self) -> bool:
        """Whether this is the first hit by a person; the two rows that say so are written in the sender's order."""
        column = self._way.column
        if getattr(self._attempt, column) is not None:
            return False
        self._stamp_enrollment(getattr(Enrollment, column).is_(None), self._now)
        done = self._connection.execute(
            update(Attempt).where(_THIS_ATTEMPT, getattr(Attempt, column).is_(None)).values({column: self._now}),
            self._key(),
        )
        return done.rowcount == 1

    def _take_back(self, row: "Row[*tuple[object, ...]]") -> None:
        """Calls an earlier click a program's: several that came at once prove what one could not."""
        if row.kind == _CLICK.machine:
            return
        data = {**row.data, "verdict": "burst"}
        self._connection.execute(
            update(Event)
            .where(Event.workspace_id == self._target.workspace_id, Event.id == row.id)
            .values(kind=_CLICK.machine, data=data)
        )
        if row.kind == _CLICK.first:
            self._stamp_enrollment(Enrollment.clicked_at == row.at, None)
            self._connection.execute(update(Attempt).where(_THIS_ATTEMPT).values(clicked_at=None), self._key())
            add_count(self._connection, _CLICK.first, self._subject, row.at, by=-1)

    def _stamp_enrollment(self, if_so: ColumnElement[bool], value: datetime | None) -> None:
        self._connection.execute(
            update(Enrollment)
            .where(
                Enrollment.workspace_id == self._target.workspace_id,
                Enrollment.id == self._attempt.enrollment_id,
                if_so,
            )
            .values({self._way.column: value})
        )

    def _write(self, kind: str, verdict: HitVerdict) -> None:
        data: JsonObject = {"verdict": verdict.rule}
        if self._target.purpose == "click":
            data |= {"link": self._target.link_index, "url": self._target.url[:_MAX_URL_CHARS]}
        if self._attempt.copies:
            # Others got the same links, so it may have been one of them.
            data["weak"] = True
        record_event(self._connection, kind, self._subject, self._now, data)

    def _key(self) -> dict[str, str]:
        return {"b_workspace_id": self._target.workspace_id, "b_id": self._target.attempt_id}
