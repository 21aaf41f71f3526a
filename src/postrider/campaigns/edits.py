"""What a change of a campaign does to the leads that are already in it: a few statements, however many they are.

Nobody is sent a step twice: positions follow the steps' ids, and the ledger of attempts is keyed by them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, and_, case, func, literal, or_, select, true, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from postrider.campaigns.moves import Moves
from postrider.campaigns.states import QUEUE_FOLLOW_UP, QUEUE_HELD, QUEUE_NEW, RUNNING
from postrider.campaigns.tables import Campaign, Enrollment
from postrider.storage.base import JsonObject, UtcDateTime
from postrider.storage.instants import seconds_after

CURABLE: Final = ("missing_variable", "bad_template", "link_not_allowed")
"""What hold reasons start with that an edit may have cured; if it has not, the sender holds the lead again."""

CURED_OUTSIDE: Final = ("policy_rejection",)
"""Hold reasons whose cure is outside the campaign, in a mailbox: whoever starts the campaign again says it is done."""

Scope = Sequence[ColumnElement[bool]]
"""Conditions that choose enrollments of one campaign."""

_Expression = ColumnElement[Any] | InstrumentedAttribute[Any]

_RETRIES: Final = Enrollment.next_step == Enrollment.last_step
"""The step that comes next has been attempted, and is to be tried again."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a campaign's leads have to follow. ``at``: when it was asked for; ``revision``: the campaign's since then.

    ``releases``: leads whose hold reason starts with one of these go on. ``wakes``: the planner looks again at leads
    that it had put to sleep by the old sending hours. ``activates``: leads that waited for the start become active.
    """

    at: datetime
    revision: int
    moves: Moves | None = None
    releases: tuple[str, ...] = ()
    wakes: bool = False
    activates: bool = False

    def to_json(self) -> JsonObject:
        """As JSON values, for ``from_json``."""
        found: JsonObject = _CHANGE.dump_python(self, mode="json")
        return found

    @classmethod
    def from_json(cls, document: JsonObject) -> "Change":
        """What ``to_json`` made."""
        return _CHANGE.validate_python(document)


_CHANGE: Final = TypeAdapter(Change)


def in_campaign(row: Campaign) -> Scope:
    """All enrollments of the campaign."""
    return Enrollment.workspace_id == row.workspace_id, Enrollment.campaign_id == row.id


def is_needed(session: Session, row: Campaign, change: Change) -> bool:
    """Whether any lead may have to follow ``change``."""
    wanted = [_held(change.releases)] if change.releases else []
    wanted += [(Enrollment.status == "pending",)] if change.activates else []
    return (
        (change.moves is not None and row.started_at is not None)
        or change.wakes
        or any(
            session.scalar(select(Enrollment.id).where(*in_campaign(row), *each).limit(1)) is not None
            for each in wanted
        )
    )


def follow(session: Session, change: Change, scope: Scope) -> None:
    """Lets the enrollments in ``scope`` follow ``change``; doing so again changes nothing."""
    if change.moves is not None:
        _carry_over(session, change, change.moves, scope)
    if change.releases:
        _release(session, change, scope)
    if change.wakes:
        _update(session, (*scope, Enrollment.sleep_until.is_not(None)), sleep_until=None)
    if change.activates:
        due_at = func.coalesce(Enrollment.due_at, literal(change.at, UtcDateTime))
        pending = (*scope, Enrollment.status == "pending")
        _update(session, pending, status="active", due_at=due_at, updated_at=change.at)


def follow_ahead(session: Session, change: Change, scope: Scope) -> None:
    """Lets the enrollments in ``scope`` follow ``change`` before the others' turn comes, which then leaves them out."""
    follow(session, change, scope)
    if change.moves is not None:
        _update(session, (*scope, Enrollment.moved_revision < change.revision), moved_revision=change.revision)


def _carry_over(session: Session, change: Change, moves: Moves, scope: Scope) -> None:
    """Moves leads from one sequence to the other.

    Who waits for a follow-up waits for what comes after the last step attempted, from when the email before was
    accepted; who has nothing left to get is due now, and completed by the engine. Completed leads stay so.
    """
    _update(
        session,
        (*scope, Enrollment.moved_revision < change.revision, _fits(moves)),
        moved_revision=change.revision,
        last_step=_lookup(moves.last, Enrollment.last_step),
        next_step=case(
            (_RETRIES, _lookup(moves.retry, Enrollment.next_step)),
            else_=_lookup(moves.following, Enrollment.next_step),
        ),
        due_at=_due(moves, session.get_bind().dialect.name, change.at),
        updated_at=change.at,
    )


def _fits(moves: Moves) -> ColumnElement[bool]:
    """Whether an enrollment is one that ``moves`` says anything of."""
    return or_(
        Enrollment.last_step.in_(list(moves.last)),
        and_(_RETRIES, Enrollment.next_step.in_(list(moves.retry))),
        and_(~_RETRIES, Enrollment.next_step.in_([*moves.following, *moves.waits, *moves.ended])),
    )


def _lookup(moves: dict[int, int], column: InstrumentedAttribute[int]) -> _Expression:
    return case(moves, value=column, else_=column) if moves else column


def _due(moves: Moves, dialect_name: str, now: datetime) -> _Expression:
    waiting = and_(Enrollment.due_at.is_not(None), ~_RETRIES, Enrollment.status.in_(RUNNING))
    cases = [
        (
            and_(waiting, Enrollment.next_step == position, Enrollment.last_accepted_at.is_not(None)),
            seconds_after(Enrollment.last_accepted_at, seconds, dialect_name),
        )
        for position, seconds in moves.waits.items()
    ]
    if moves.ended:
        cases.append((and_(waiting, Enrollment.next_step.in_(list(moves.ended))), literal(now, UtcDateTime)))
    return case(*cases, else_=Enrollment.due_at) if cases else Enrollment.due_at


def _release(session: Session, change: Change, scope: Scope) -> None:
    queue = case((Enrollment.next_step == 0, QUEUE_NEW), else_=QUEUE_FOLLOW_UP)
    _update(session, (*scope, *_held(change.releases)), queue=queue, hold_reason=None, updated_at=change.at)


def _held(reasons: Sequence[str]) -> Scope:
    return (
        Enrollment.status.in_(RUNNING),
        Enrollment.queue == QUEUE_HELD,
        or_(*(Enrollment.hold_reason.startswith(reason, autoescape=True) for reason in reasons)),
    )


def _update(session: Session, scope: Scope, **values: object) -> None:
    statement = update(Enrollment).where(*scope).values(values)
    session.execute(statement.execution_options(synchronize_session=False))


def bound_elsewhere(session: Session, row: Campaign) -> list[str]:
    """Mailboxes that running leads are bound to and that the campaign no longer uses."""
    query = select(Enrollment.mailbox_id).where(
        *in_campaign(row),
        Enrollment.status.in_(RUNNING),
        Enrollment.mailbox_id.is_not(None),
        Enrollment.mailbox_id.not_in(row.mailbox_ids) if row.mailbox_ids else true(),
    )
    return [mailbox_id for mailbox_id in session.scalars(query.distinct()) if mailbox_id]
