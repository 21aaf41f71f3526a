"""Events and the counts that follow from them, always written together in one transaction."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection, bindparam, insert
from sqlalchemy.orm import Session

from postrider.campaigns.tables import DailyCount
from postrider.kernel.ids import new_id
from postrider.sending.tables import Attempt, Event
from postrider.storage.base import JsonObject, insert_or_add
from postrider.storage.prepared import Prepared

COUNTED: Final = frozenset(
    {
        "sent",
        "opened",
        "clicked",
        "replied",
        "auto_replied",
        "bounced",
        "returned",
        "unsubscribed",
        "complained",
        "unknown",
        "failed",
    }
)
"""Kinds that analytics adds up. ``opened`` and ``clicked`` are written once per message."""

_EVENT: Final = Prepared(
    lambda _: insert(Event).values(
        {column.name: bindparam(column.name, type_=column.type) for column in Event.__table__.c}
    )
)
_COUNT_KEY: Final = ("workspace_id", "campaign_id", "day", "mailbox_id", "step_id", "variant", "kind")
_COUNT: Final = Prepared(
    lambda dialect: insert_or_add(DailyCount, dialect, _COUNT_KEY, "count").values(
        {column.name: bindparam(f"v_{column.name}", type_=column.type) for column in DailyCount.__table__.c}
    )
)


class Subject(NamedTuple):
    """What an event is about. Fields are None where they do not apply."""

    workspace_id: str
    campaign_id: str | None = None
    enrollment_id: str | None = None
    lead_id: str | None = None
    mailbox_id: str | None = None
    attempt_id: str | None = None
    step_id: str | None = None
    variant: str | None = None

    @classmethod
    def of(cls, attempt: Attempt) -> "Subject":
        """For an event that is about one outgoing message."""
        return cls(
            workspace_id=attempt.workspace_id,
            campaign_id=attempt.campaign_id,
            enrollment_id=attempt.enrollment_id,
            lead_id=attempt.lead_id,
            mailbox_id=attempt.mailbox_id,
            attempt_id=attempt.id,
            step_id=attempt.step_id,
            variant=attempt.variant,
        )


def record_event(
    connection: Connection | Session, kind: str, subject: Subject, now: datetime, data: JsonObject | None = None
) -> None:
    """Writes one event and, where analytics counts its kind, adds it to the day's counts."""
    record_events(connection, kind, [subject], now, data)


def record_events(
    connection: Connection | Session,
    kind: str,
    subjects: Sequence[Subject],
    now: datetime,
    data: JsonObject | None = None,
) -> None:
    """The same for several subjects at once."""
    raw = connection.connection() if isinstance(connection, Session) else connection
    _EVENT.many(raw, [_event(kind, subject, now, data) for subject in subjects])
    if kind in COUNTED:
        counts = Counter(_count_key(kind, subject, now) for subject in subjects)
        # In the order of the keys: two transactions that took them crosswise would wait for each other.
        _COUNT.many(raw, [_count(key, counts[key]) for key in sorted(counts)])


def add_count(connection: Connection | Session, kind: str, subject: Subject, now: datetime, by: int = 1) -> None:
    """Adds one to the count of ``kind`` on the UTC day of ``now``. ``by`` -1: takes back what proved to be wrong."""
    raw = connection.connection() if isinstance(connection, Session) else connection
    _COUNT.run(raw, _count(_count_key(kind, subject, now), by))


def _event(kind: str, subject: Subject, now: datetime, data: JsonObject | None) -> dict[str, object]:
    return {
        "workspace_id": subject.workspace_id,
        "id": new_id("evt"),
        "at": now,
        "kind": kind,
        "campaign_id": subject.campaign_id,
        "enrollment_id": subject.enrollment_id,
        "lead_id": subject.lead_id,
        "mailbox_id": subject.mailbox_id,
        "attempt_id": subject.attempt_id,
        "data": data or {},
    }


def _count_key(kind: str, subject: Subject, now: datetime) -> tuple[str, ...]:
    """The values of the columns ``_COUNT_KEY``; an id that an event has none of is empty."""
    return (
        subject.workspace_id,
        subject.campaign_id or "",
        now.date().isoformat(),
        subject.mailbox_id or "",
        subject.step_id or "",
        subject.variant or "",
        kind,
    )


def _count(key: tuple[str, ...], by: int) -> dict[str, object]:
    return {**{f"v_{name}": value for name, value in zip(_COUNT_KEY, key, strict=True)}, "v_count": by}
