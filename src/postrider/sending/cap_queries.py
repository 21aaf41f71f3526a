"""What credentials with a limit have used of it: read and counted on rows like those of mailboxes and campaigns."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import Any, Final

from sqlalchemy import Connection, Select, and_, func, select, tuple_, union_all
from sqlalchemy.orm import InstrumentedAttribute, Session

from postrider.access.tables import ApiKey
from postrider.grants.tables import Grant
from postrider.kernel.errors import LimitReached
from postrider.kernel.policy import Caps
from postrider.kernel.zones import rfc3339
from postrider.mailboxes.tables import SendDay
from postrider.sending.capped import Capped, CredentialState, Reached, utc_day
from postrider.sending.usage import USED, give_days_back

_FIRST_DAY: Final = timedelta(days=1)


def with_caps(
    query: "Select[*tuple[Any, ...]]",
    workspace_id: InstrumentedAttribute[str],
    credential_id: InstrumentedAttribute[Any],
) -> "Select[*tuple[Any, ...]]":
    """``query`` with three columns more, for ``caps_in_row``: the limits of the credential that each row names.

    They come with a statement that is made anyway, so that they cost nothing where nobody has any.
    """
    return (
        query.outerjoin(ApiKey, ApiKey.id == credential_id)
        .outerjoin(Grant, and_(Grant.workspace_id == workspace_id, Grant.id == credential_id))
        .add_columns(
            func.coalesce(ApiKey.daily_sends, Grant.daily_sends),
            func.coalesce(ApiKey.first_day_sends, Grant.first_day_sends),
            func.coalesce(ApiKey.created_at, Grant.created_at),
        )
    )


def caps_in_row(credential_id: str | None, caps: Sequence[Any], now: datetime) -> Capped | None:
    """The credential with its limits from the columns that ``with_caps`` added; None where none holds at ``now``."""
    daily, first, created_at = caps
    if credential_id is None or created_at is None:
        return None
    capped = Capped(credential_id, Caps(daily, first, created_at + _FIRST_DAY))
    return capped if capped.holds(now) else None


def counted_days(capped: Capped, now: datetime) -> list[tuple[str, str]]:
    """The rows that tell what it has used, by owner and day: today's, and yesterday's if it is younger than a day."""
    days, until = {utc_day(now)}, capped.caps.first_day_until
    if capped.caps.first_day_sends is not None and until is not None and now < until:
        days.add(utc_day(until - _FIRST_DAY))
    return [(capped.credential_id, day.isoformat()) for day in sorted(days)]


def state_of(capped: Capped, used: Mapping[tuple[str, str], int], now: datetime) -> CredentialState:
    """What it has used, from the counts of ``counted_days``."""
    keys, today = counted_days(capped, now), utc_day(now)
    return CredentialState(
        credential_id=capped.credential_id,
        caps=capped.caps,
        day=today,
        sent_today=used.get((capped.credential_id, today.isoformat()), 0),
        sent_first=sum(used.get(key, 0) for key in keys),
    )


def read_state(connection: Connection | Session, workspace_id: str, capped: Capped, now: datetime) -> CredentialState:
    """The same, read from the database."""
    [state] = _read_states(connection, workspace_id, [capped], now)
    return state


def states_named(session: Session, workspace_id: str, names: Collection[str], now: datetime) -> list[CredentialState]:
    """Those of the named credentials that have a limit at ``now``, with what they have used of it."""
    keys = select(ApiKey.id, ApiKey.daily_sends, ApiKey.first_day_sends, ApiKey.created_at)
    apps = select(Grant.id, Grant.daily_sends, Grant.first_day_sends, Grant.created_at)
    named = union_all(
        keys.where(ApiKey.id.in_(names)), apps.where(Grant.workspace_id == workspace_id, Grant.id.in_(names))
    )
    found = [caps_in_row(credential_id, caps, now) for credential_id, *caps in session.execute(named)]
    capped = [each for each in found if each is not None]
    return _read_states(session, workspace_id, capped, now) if capped else []


def _read_states(
    connection: Connection | Session, workspace_id: str, capped: Sequence[Capped], now: datetime
) -> list[CredentialState]:
    days = [key for each in capped for key in counted_days(each, now)]
    query = select(SendDay.owner_id, SendDay.day, SendDay.sent).where(
        SendDay.workspace_id == workspace_id, tuple_(SendDay.owner_id, SendDay.day).in_(days)
    )
    used = {(owner_id, day): sent for owner_id, day, sent in connection.execute(query)}
    return [state_of(each, used, now) for each in capped]


def count_message(connection: Connection, workspace_id: str, capped: Capped, now: datetime) -> CredentialState | None:
    """Counts one message of the credential; where its limit is reached, counts nothing and gives back how it stands.

    To be called after ``count_alone``.
    """
    state = read_state(connection, workspace_id, capped, now)
    if state.reached(now) is not None:
        return state
    key = {"b_workspace_id": workspace_id, "b_owner_id": capped.credential_id, "b_day": utc_day(now).isoformat()}
    USED.run(connection, {**key, "b_sent": 1, "b_new_leads": 0})
    return None


def uncount_messages(connection: Connection | Session, counted: Iterable[tuple[str, str | None, datetime]]) -> None:
    """Takes back what ``count_message`` counted: workspace, credential (None: was not counted) and instant of each."""
    days = [(workspace_id, name, utc_day(at).isoformat()) for workspace_id, name, at in counted if name is not None]
    give_days_back(connection, days)


def limit_reached(state: CredentialState, reached: Reached, now: datetime) -> LimitReached:
    """What a caller is told whose limit is used up."""
    until = None if reached.until is None else rfc3339(reached.until)
    wait = None if reached.until is None else max(1, ceil((reached.until - now).total_seconds()))
    when = "" if until is None else f" There is room again at {until}."
    return LimitReached(
        f"This credential has used up the messages that it may cause: {state.told(now)}.{when}",
        code="CREDENTIAL_LIMIT",
        retry_after_seconds=wait,
        hint="Nothing was sent. Wait until then, or ask the person for a credential with a larger limit.",
        details={"guard": "credential_daily_limit", "resetsAt": until},
    )
