"""Taking leads out of campaigns, pausing and resuming them there, and putting all of that back as it was."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import Field
from sqlalchemy import String, bindparam, func, select, update
from sqlalchemy.orm import Session

from postrider.campaigns.following import catch_up
from postrider.campaigns.states import RUNNING
from postrider.campaigns.tables import Campaign, Enrollment
from postrider.kernel.context import Context
from postrider.kernel.errors import InvalidInput
from postrider.storage.base import JsonObject
from postrider.storage.rows import CHUNK, packed, unpacked
from postrider.undo.queries import RESTARTS, RESTARTS_IN

MOST_AT_ONCE: Final = 1_000
"""Leads of one call: 50 ms for those of a campaign, 150 ms to delete them."""
NAMED: Final = 10
"""Ids that an error names at most."""
Ids = Annotated[list[Annotated[str, Field(max_length=40)]], Field(max_length=MOST_AT_ONCE)]

CHANGED_SINCE: Final = "changed_since"
CAMPAIGN_ENDED: Final = "campaign_archived_or_gone"
WRITTEN_TO: Final = ("active", "pending")

_KEPT: Final = (
    "id",
    "campaign_id",
    "lead_id",
    "status",
    "stop_reason",
    "stop_detail",
    "hold_reason",
    "queue",
    "due_at",
    "sleep_until",
    "next_step",
    "last_step",
    "updated_at",
)
"""What an enrollment had before, and by which it is known again."""
_RESTORED: Final = _KEPT[3:10]
_TABLE: Final = Enrollment.__table__
_RESTORE: Final = (
    update(Enrollment)
    .where(
        Enrollment.workspace_id == bindparam("b_workspace_id"),
        Enrollment.id == bindparam("b_id"),
        # Whatever has happened to it since counts: a message that was on its way, a reply, another call.
        Enrollment.updated_at == bindparam("b_changed_at"),
        Enrollment.status == bindparam("b_left_as"),
        Enrollment.next_step == bindparam("b_next_step"),
        Enrollment.last_step == bindparam("b_last_step"),
    )
    .values({name: bindparam(f"v_{name}") for name in (*_RESTORED, "updated_at")})
    .values(credential_id=func.coalesce(bindparam("b_capped_by", type_=String()), Enrollment.credential_id))
)


def lock_campaigns(session: Session, workspace_id: str, campaign_ids: Iterable[str]) -> dict[str, Campaign]:
    """The campaigns by id, locked in one order, so that nobody deadlocks."""
    query = select(Campaign).where(Campaign.workspace_id == workspace_id, Campaign.id.in_(list(campaign_ids)))
    return {row.id: row for row in session.scalars(query.order_by(Campaign.id).with_for_update())}


def held_enrollments(session: Session, workspace_id: str, ids: Sequence[str]) -> list[JsonObject]:
    """What these enrollments hold now, for ``restore_enrollments``."""
    columns = [_TABLE.c[name] for name in _KEPT]
    found = list[JsonObject]()
    for start in range(0, len(ids), CHUNK):
        chunk = (Enrollment.workspace_id == workspace_id, Enrollment.id.in_(ids[start : start + CHUNK]))
        found += [packed(row._asdict()) for row in session.execute(select(*columns).where(*chunk).with_for_update())]
    return found


def change_enrollments(
    session: Session, workspace_id: str, ids: Sequence[str], values: Mapping[str, object], now: datetime
) -> None:
    """Sets the same ``values`` in all of them. What is under way for one asks before its last byte, and stops."""
    for start in range(0, len(ids), CHUNK):
        chunk = (Enrollment.workspace_id == workspace_id, Enrollment.id.in_(ids[start : start + CHUNK]))
        session.execute(update(Enrollment).where(*chunk).values(**values, updated_at=now))


def removed_values() -> dict[str, object]:
    """What makes an enrollment one that is out of its campaign; its history stays."""
    return {"status": "removed", "due_at": None, "sleep_until": None, "hold_reason": None}


def restarts_of(held: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """How many of them would be written to again once they are restored, and by which campaigns: for an undo record."""
    again = [str(row["campaign_id"]) for row in held if row["status"] in WRITTEN_TO]
    return {RESTARTS: len(again), RESTARTS_IN: sorted(set(again))}


def restore_enrollments(
    ctx: Context, held: Sequence[Mapping[str, Any]], changed_at: str, left_as: Mapping[str, str] | str
) -> tuple[int, dict[str, int]]:
    """Gives enrollments back what they held, unless anything has happened to them since; how many, and what is kept.

    ``changed_at``: when they were changed; ``left_as``: the status they were given, or each one's by its id. Their
    places are not touched, so that nobody gets a step again.
    """
    session, workspace_id = ctx.session, ctx.workspace_id
    campaigns = lock_campaigns(session, workspace_id, {str(row["campaign_id"]) for row in held})
    restored, kept = 0, {CAMPAIGN_ENDED: 0, CHANGED_SINCE: 0}
    for campaign_id in sorted({str(row["campaign_id"]) for row in held}):
        rows = [row for row in held if row["campaign_id"] == campaign_id]
        campaign = campaigns.get(campaign_id)
        if campaign is None or campaign.status == "archived":
            kept[CAMPAIGN_ENDED] += len(rows)
            continue
        catch_up(session, campaign, [str(row["lead_id"]) for row in rows])
        values = [_parameters(campaign, row, changed_at, left_as, ctx.capped_by) for row in rows]
        back = session.connection().execute(_RESTORE, values).rowcount
        restored, kept[CHANGED_SINCE] = restored + back, kept[CHANGED_SINCE] + len(rows) - back
        if back:
            _note(ctx, campaign, running=any(row["status"] in RUNNING for row in rows))
    return restored, kept


def _parameters(
    campaign: Campaign,
    row: Mapping[str, Any],
    changed_at: str,
    left_as: Mapping[str, str] | str,
    capped_by: str | None,
) -> dict[str, object]:
    held = unpacked(Enrollment, row)
    if held["status"] == "pending" and campaign.status == "active":
        # The campaign was started meanwhile, which makes pending leads active.
        held["status"] = "active"
    return {
        "b_workspace_id": campaign.workspace_id,
        "b_id": held["id"],
        "b_changed_at": datetime.fromisoformat(changed_at),
        "b_left_as": left_as if isinstance(left_as, str) else left_as[str(held["id"])],
        "b_next_step": held["next_step"],
        "b_last_step": held["last_step"],
        "b_capped_by": capped_by if held["status"] in WRITTEN_TO else None,
        **{f"v_{name}": held[name] for name in (*_RESTORED, "updated_at")},
    }


def _note(ctx: Context, campaign: Campaign, *, running: bool) -> None:
    if running and campaign.status == "completed":
        campaign.status, campaign.completed_at = "active", None
    campaign.revision += 1
    campaign.updated_at = ctx.now
    ctx.wake("sender")


def at_once(count: int, remaining: int, one: str, many: str) -> str:
    """How many one call changes, and of how many that are chosen, in words: "1 lead is" where it is one."""
    of_all = f" of {count + remaining:,}" if remaining else ""
    return f"{count:,}{of_all} {one if count + remaining == 1 else many}"


def empty_filters() -> InvalidInput:
    """The error for filters that choose nothing."""
    return InvalidInput("filters is empty.", field="filters", hint="Leave it out, or give one of its fields a value.")
