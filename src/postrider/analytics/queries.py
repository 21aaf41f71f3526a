"""Sums over the daily counts; never over single events, so that they cost the same whatever has been sent."""

from collections import Counter
from collections.abc import Sequence
from datetime import date

from sqlalchemy import func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from postrider.campaigns.tables import DailyCount, Enrollment

Counts = Counter[str]


def counts_by(
    session: Session,
    workspace_id: str,
    *columns: InstrumentedAttribute[str],
    campaign_id: str | None = None,
    start: date | None = None,
    end: date | None = None,
) -> dict[tuple[str, ...], Counts]:
    """Counts of every kind, grouped by ``columns``; days are UTC, ``start`` and ``end`` inclusive."""
    query = select(*columns, DailyCount.kind, func.sum(DailyCount.count)).where(
        DailyCount.workspace_id == workspace_id, DailyCount.campaign_id != ""
    )
    if campaign_id is not None:
        query = query.where(DailyCount.campaign_id == campaign_id)
    if start is not None:
        query = query.where(DailyCount.day >= start.isoformat())
    if end is not None:
        query = query.where(DailyCount.day <= end.isoformat())
    found: dict[tuple[str, ...], Counts] = {}
    for *key, kind, count in session.execute(query.group_by(*columns, DailyCount.kind)):
        found.setdefault(tuple(key), Counter())[kind] += int(count)
    return found


def leads_by_status(session: Session, workspace_id: str, campaign_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """How many leads of each campaign are in which state."""
    query = (
        select(Enrollment.campaign_id, Enrollment.status, func.count())
        .where(Enrollment.workspace_id == workspace_id, Enrollment.campaign_id.in_(campaign_ids))
        .group_by(Enrollment.campaign_id, Enrollment.status)
    )
    found: dict[str, dict[str, int]] = {campaign_id: {} for campaign_id in campaign_ids}
    for campaign_id, status, count in session.execute(query):
        found[campaign_id][status] = count
    return found


def percent(part: int, whole: int) -> float:
    """``part`` of ``whole`` in percent with one decimal; 0 when there is no whole."""
    return round(100 * part / whole, 1) if whole else 0.0
