"""One tick of the sender for one workspace: plan, claim and count, in a single transaction.

What is claimed is counted at once (day limits, pauses), so that the next tick and other engines see it; what in the end
is not sent is given back by the outcome. On PostgreSQL a workspace's ticks are serialised by an advisory lock.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from sqlalchemy import bindparam, null, update
from sqlalchemy.orm import Session

from postrider.access.tables import Workspace
from postrider.campaigns.states import QUEUE_FOLLOW_UP, QUEUE_NEW
from postrider.campaigns.tables import Enrollment
from postrider.mailboxes.tables import Mailbox
from postrider.sending.capped import utc_day
from postrider.sending.claimant import Claimant
from postrider.sending.housekeeping import end_leads, finish_campaigns, put_to_sleep
from postrider.sending.plan_queries import (
    CandidateRow,
    Setting,
    candidate_of,
    due_rows,
    load_setting,
    look_up_credentials,
    next_due,
)
from postrider.sending.plan_state import PlannerState, Reason, Slot
from postrider.sending.planner import Decision, decide
from postrider.sending.trouble import UNREADABLE, stop_mailbox
from postrider.sending.usage import USED, count_alone, stored_claim
from postrider.sending.work import Claim
from postrider.sending.work_queries import Claimed, ensure_tokens, open_senders
from postrider.storage.prepared import Prepared

_LEASE: Final = Prepared(
    lambda _: (
        update(Enrollment)
        .where(Enrollment.workspace_id == bindparam("b_workspace_id"), Enrollment.id == bindparam("b_id"))
        .values(
            lease_owner=bindparam("b_owner"), fence=Enrollment.fence + 1, sleep_until=null(), claim=bindparam("b_claim")
        )
    )
)

_OCCUPIED: Final = Prepared(
    lambda _: (
        update(Mailbox)
        .where(Mailbox.workspace_id == bindparam("b_workspace_id"), Mailbox.id == bindparam("b_id"))
        .values(last_sent_at=bindparam("b_last_sent_at"), free_at=bindparam("b_free_at"))
    )
)


@dataclass(frozen=True, slots=True)
class Tick:
    """What one tick claimed, and when to look again (``more``: at once)."""

    claimed: Claimed | None
    next_at: datetime | None
    more: bool


NOTHING_CLAIMED: Final = Tick(None, None, False)


def claim_due(
    session: Session, claimant: Claimant, workspace_id: str, now: datetime, limit: int, busy: Collection[str] = ()
) -> Tick:
    """Claims at most ``limit`` sends that may leave at ``now``, and none from mailboxes that are ``busy``."""
    count_alone(session, workspace_id)
    workspace = session.get(Workspace, workspace_id)
    if workspace is None or workspace.status != "active" or workspace.paused_at is not None:
        return NOTHING_CLAIMED
    setting = load_setting(session, workspace_id, claimant.programs, claimant.seed, now, busy=busy)
    if not setting.programs:
        return NOTHING_CLAIMED
    changed = end_leads(session, setting, now)
    rows = {row.id: row for row in _due_with_room(session, setting, now, limit)}
    decision = decide(
        now,
        setting.campaign_states,
        setting.mailbox_states,
        map(candidate_of, rows.values()),
        claimant.seed,
        setting.credential_states,
    )
    slots = decision.slots[:limit]
    changed = put_to_sleep(session, setting, rows, decision.waits) or changed
    changed = finish_campaigns(session, setting, rows, now) or changed
    claimed = _claim(session, claimant, setting, slots, rows, now)
    wakes = [decision.next_at, *_mailbox_wakes(setting, now), *_credential_wakes(setting, now)]
    wakes += [next_due(session, program, now) for program in setting.programs.values()]
    next_at = min((wake for wake in wakes if wake is not None and wake > now), default=None)
    more = changed or len(decision.slots) > limit or len(slots) == limit or _has_used_up(rows, decision)
    return Tick(claimed, next_at, more)


def _due_with_room(session: Session, setting: Setting, now: datetime, limit: int) -> list[CandidateRow]:
    """Candidates that might leave now, but for those of credentials that have used up their limits.

    Such credentials become known by their leads: where nobody has put leads there under a limit, nothing is asked.
    """
    asked: set[str | None] = set()
    while True:
        rows = _due(session, setting, now, limit, _used_up(setting, now))
        names = {row.credential_id for row in rows} - asked
        asked |= names
        if not any(each.reached(now) for each in look_up_credentials(session, setting, names, now)):
            return rows


def _used_up(setting: Setting, now: datetime) -> list[str]:
    return [name for name, credential in setting.state.credentials.items() if credential.reached(now)]


def _credential_wakes(setting: Setting, now: datetime) -> list[datetime | None]:
    """When each credential that has used up its limits has room again."""
    reached = [credential.reached(now) for credential in setting.credential_states]
    return [each.until for each in reached if each is not None]


def _has_used_up(rows: dict[str, CandidateRow], decision: Decision) -> bool:
    """Whether a credential has used up its limits with this tick: then those behind its leads were not looked at."""
    return bool(decision.slots) and any(
        wait.reason is Reason.CREDENTIAL_DAILY_LIMIT and rows[wait.enrollment_id].credential_id is not None
        for wait in decision.waits
    )


def _due(session: Session, setting: Setting, now: datetime, limit: int, used_up: Sequence[str]) -> list[CandidateRow]:
    """Follow-ups of mailboxes that are free, and the new leads next in line."""
    free = [
        mailbox_id
        for mailbox_id, mailbox in setting.state.mailboxes.items()
        if not any(
            setting.state.mailbox_limits(now, campaign, mailbox)
            for campaign in setting.state.campaigns.values()
            if mailbox_id in campaign.mailbox_ids
        )
    ]
    found: list[CandidateRow] = []
    for program in setting.programs.values():
        due = partial(due_rows, session, program, now, used_up=used_up)
        found += due(queue=QUEUE_FOLLOW_UP, limit=limit, mailbox_ids=free)
        found += due(queue=QUEUE_NEW, limit=limit if free else 1, mailbox_ids=None)
    return found


def _mailbox_wakes(setting: Setting, now: datetime) -> list[datetime | None]:
    """When each mailbox that cannot send now may again."""
    limits = [
        setting.state.mailbox_limits(now, campaign, setting.state.mailboxes[mailbox_id])
        for campaign in setting.state.campaigns.values()
        for mailbox_id in campaign.mailbox_ids
        if mailbox_id in setting.state.mailboxes
    ]
    return [limit.until for limit in limits if limit is not None]


def _claim(
    session: Session,
    claimant: Claimant,
    setting: Setting,
    slots: Sequence[Slot],
    rows: dict[str, CandidateRow],
    now: datetime,
) -> Claimed | None:
    """Leases the enrollments of ``slots`` and counts them, but for those of a mailbox whose password does not open."""
    senders, unreadable = open_senders(setting, slots, claimant.vault)
    for mailbox_id in unreadable:
        stop_mailbox(session.connection(), setting.workspace_id, mailbox_id, "error", UNREADABLE, now)
    slots = [slot for slot in slots if slot.mailbox_id in senders]
    if not slots:
        return None
    counted = setting.state.copy()
    claims: dict[str, Claim] = {}
    for slot in slots:
        counted.apply(slot)
        program = setting.programs[slot.campaign_id]
        credentials = counted.credentials_of(counted.campaigns[slot.campaign_id], slot.credential_id)
        claims[slot.enrollment_id] = Claim(
            owner=claimant.owner,
            fence=rows[slot.enrollment_id].fence + 1,
            mailbox_day=counted.day(now, setting.mailboxes[slot.mailbox_id].timezone).isoformat(),
            campaign_day=counted.day(now, program.window.zone).isoformat(),
            counts_new=slot.step_index == 0,
            credential_ids=tuple(credential.credential_id for credential in credentials),
            credential_day=utc_day(now).isoformat() if credentials else None,
        )
    _LEASE.many(
        session.connection(),
        [
            {
                "b_workspace_id": setting.workspace_id,
                "b_id": slot.enrollment_id,
                "b_owner": claimant.owner,
                "b_claim": stored_claim(slot.mailbox_id, claims[slot.enrollment_id]),
            }
            for slot in slots
        ],
    )
    _count(session, setting, slots, claims)
    _occupy(session, counted, {slot.mailbox_id for slot in slots}, setting.workspace_id)
    ensure_tokens(session, claimant.vault, setting.workspace_id, [slot.lead_id for slot in slots], now)
    return Claimed(setting, slots, rows, claims, senders)


def _count(session: Session, setting: Setting, slots: Sequence[Slot], claims: dict[str, Claim]) -> None:
    used: Counter[tuple[str, str]] = Counter()
    new: Counter[tuple[str, str]] = Counter()
    for slot in slots:
        claim = claims[slot.enrollment_id]
        used[slot.mailbox_id, claim.mailbox_day] += 1
        assert claim.campaign_day is not None
        used[slot.campaign_id, claim.campaign_day] += 1
        new[slot.campaign_id, claim.campaign_day] += claim.counts_new
        for credential_id in claim.credential_ids:
            assert claim.credential_day is not None
            used[credential_id, claim.credential_day] += 1
    USED.many(
        session.connection(),
        [
            {
                "b_workspace_id": setting.workspace_id,
                "b_owner_id": owner_id,
                "b_day": day,
                "b_sent": count,
                "b_new_leads": new[owner_id, day],
            }
            for (owner_id, day), count in sorted(used.items())
        ],
    )


def _occupy(session: Session, counted: PlannerState, mailbox_ids: set[str], workspace_id: str) -> None:
    """Starts the pause of each mailbox that was given something to send."""
    states = [counted.mailboxes[mailbox_id] for mailbox_id in sorted(mailbox_ids)]
    _OCCUPIED.many(
        session.connection(),
        [
            {
                "b_workspace_id": workspace_id,
                "b_id": state.mailbox_id,
                "b_last_sent_at": state.last_sent_at,
                "b_free_at": state.free_at,
            }
            for state in states
        ],
    )
