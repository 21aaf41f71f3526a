"""The forecast of one stored campaign, with whatever else sends from the same mailboxes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from postrider.campaigns.states import RUNNING
from postrider.campaigns.tables import Enrollment
from postrider.kernel.vault import Vault
from postrider.sending.capped import Capped
from postrider.sending.forecast import Forecast, forecast, next_email
from postrider.sending.foresight import Foresight
from postrider.sending.letter import Stationery
from postrider.sending.plan_queries import (
    CandidateRow,
    Setting,
    being_sent,
    candidate_of,
    count_planned,
    credentials_in,
    load_setting,
    look_up_credentials,
    planned_rows,
)
from postrider.sending.plan_state import Candidate, Slot
from postrider.sending.program import Program, Programs

MAX_PLANNED: Final = 100_000
"""Enrollments a plan looks at: far more than any set of mailboxes sends within the longest horizon."""


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a campaign would do. ``leads``: all that wait in it, also those that the plan did not look at."""

    setting: Setting
    program: Program
    forecast: Forecast
    leads: int


def foresee(
    session: Session,
    workspace_id: str,
    campaign_id: str,
    *,
    vault: Vault,
    stationery: Stationery,
    now: datetime,
    horizon_days: int = 30,
    starter: Capped | None = None,
) -> Foreseen:
    """The forecast of one campaign, running or not, from ``now`` on. ``starter``: who would start it, if it is not.

    Campaigns that share a mailbox or a credential's limit with it, or with one that does, take slots too: MAX_PLANNED
    enrollments of theirs.
    Raises: KeyError for a campaign that does not exist.
    """
    seed = stationery.choices_seed
    setting = load_setting(session, workspace_id, Programs(), seed, now, also=campaign_id, starter=starter)
    program = setting.programs[campaign_id]
    held_to = credentials_in(session, setting)
    look_up_credentials(session, setting, set[str | None]().union(*held_to.values()), now)
    foresight = Foresight(session, setting, vault, stationery, now)
    candidates: list[Candidate] = []
    room = MAX_PLANNED
    unfinished: set[str] = set()
    for each in _connected(setting, program, held_to):
        rows = planned_rows(session, each, room)
        room -= len(rows) if each is not program else 0
        foresight.look_at(each, rows)
        if len(rows) < _count_running(session, each):
            unfinished.add(each.campaign_id)
        candidates += _waiting(session, setting, each, rows, now)
    found = forecast(
        setting.state,
        candidates,
        now,
        horizon_days,
        campaign_id=campaign_id,
        obstacle=foresight.obstacle,
        unfinished=unfinished,
    )
    return Foreseen(setting, program, found, count_planned(session, program))


def _connected(setting: Setting, program: Program, held_to: Mapping[str, set[str | None]]) -> list[Program]:
    """``program`` and all that share mailboxes or a limit with it, directly or through others; itself first."""
    shared = {name: _shared(setting, each, held_to[name]) for name, each in setting.programs.items()}
    found, reached = [program], shared[program.campaign_id]
    others = [other for other in setting.programs.values() if other is not program]
    while near := [other for other in others if reached & shared[other.campaign_id]]:
        found += near
        reached = reached.union(*(shared[other.campaign_id] for other in near))
        others = [other for other in others if other not in near]
    return found


def _shared(setting: Setting, program: Program, held_to: set[str | None]) -> frozenset[str]:
    """Its mailboxes, and those with a limit that started or changed it or put leads there."""
    own = setting.state.campaigns[program.campaign_id].credential_ids
    return frozenset((*program.mailbox_ids, *setting.state.credentials.keys() & {*own, *held_to}))


def _count_running(session: Session, program: Program) -> int:
    query = select(func.count()).where(
        Enrollment.workspace_id == program.workspace_id,
        Enrollment.campaign_id == program.campaign_id,
        Enrollment.status.in_(RUNNING),
    )
    return session.scalar(query) or 0


def _waiting(
    session: Session, setting: Setting, program: Program, rows: Sequence[CandidateRow], now: datetime
) -> list[Candidate]:
    """What each enrollment waits for; those on their way at this moment (and counted already) for the email after."""
    leaving = being_sent(session, program)
    found = []
    for row in rows:
        candidate: Candidate | None = candidate_of(row)
        if row.id in leaving:
            slot = Slot(row.id, row.lead_id, row.campaign_id, row.next_step, leaving[row.id], now)
            candidate = next_email(candidate_of(row), slot, setting.state.campaigns[program.campaign_id])
        if candidate is not None:
            found.append(candidate)
    return found
