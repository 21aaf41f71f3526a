"""The state of a workspace as the planner needs it; the engine, plans and explanations all read it here."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, bindparam, func, or_, select, tuple_
from sqlalchemy.orm import Session

from postrider.campaigns.following import all_leads_follow
from postrider.campaigns.states import QUEUE_FOLLOW_UP, QUEUE_NEW
from postrider.campaigns.tables import Campaign, Enrollment
from postrider.leads.tables import Lead
from postrider.mailboxes.tables import Mailbox, SendDay
from postrider.sending.cap_queries import caps_in_row, counted_days, state_of, states_named, with_caps
from postrider.sending.capped import Capped, CredentialState
from postrider.sending.guards import MAILBOX_WORKS
from postrider.sending.plan_state import BlockedReason, CampaignState, Candidate, MailboxState, PlannerState
from postrider.sending.program import Program, Programs
from postrider.sending.windows import local_day

_ENROLLMENTS: Final = Enrollment.__table__
_E: Final = _ENROLLMENTS.c
_LEADS: Final = Lead.__table__.c
_WAITING: Final = ("active", "pending")
_JOIN: Final = and_(_LEADS.workspace_id == _E.workspace_id, _LEADS.id == _E.lead_id)


def _campaigns(wanted: ColumnElement[bool]) -> "Select[*tuple[Any, ...]]":
    """Campaigns with the limits of whoever started them. Built once: this is asked with every tick."""
    query = select(Campaign).where(Campaign.workspace_id == bindparam("b_workspace_id"), wanted)
    query = query.order_by(Campaign.created_at, Campaign.id)
    return with_caps(query, Campaign.workspace_id, Campaign.credential_id)


_IS_ACTIVE: Final = and_(Campaign.status == "active", all_leads_follow())
_ACTIVE: Final = _campaigns(_IS_ACTIVE)
_ACTIVE_AND_ONE: Final = _campaigns(or_(_IS_ACTIVE, Campaign.id == bindparam("b_also")))


@dataclass(frozen=True, slots=True)
class Setting:
    """The active campaigns of a workspace with their mailboxes, and what each has used of its day."""

    workspace_id: str
    programs: dict[str, Program]
    mailboxes: dict[str, Mailbox]
    state: PlannerState

    @property
    def campaign_states(self) -> list[CampaignState]:
        """Every active campaign, as the planner wants them."""
        return list(self.state.campaigns.values())

    @property
    def mailbox_states(self) -> list[MailboxState]:
        """Every mailbox of these campaigns."""
        return list(self.state.mailboxes.values())

    @property
    def credential_states(self) -> list[CredentialState]:
        """Every credential with a limit that these campaigns or, as far as looked up, their leads are held to."""
        return list(self.state.credentials.values())


def load_setting(
    session: Session,
    workspace_id: str,
    programs: Programs,
    seed: bytes,
    now: datetime,
    *,
    also: str | None = None,
    starter: Capped | None = None,
    busy: Collection[str] = (),
) -> Setting:
    """The state to plan with. ``also``: a campaign to include although it is not active (for a plan).

    ``starter``: who would start that one, and whose limits it would then be held to.
    ``busy``: mailboxes that have as much on its way as they may (for an engine).
    A campaign whose leads still follow a change of it is left out until they all have.
    """
    query = _ACTIVE_AND_ONE if also else _ACTIVE
    rows = session.execute(query, {"b_workspace_id": workspace_id, "b_also": also}).all()
    found = {row.id: programs.of(row) for row, *_ in rows}
    capped = {row.id: _capped(row, caps, starter, now) for row, *caps in rows}
    ids = {mailbox_id for program in found.values() for mailbox_id in program.mailbox_ids}
    mailboxes = {
        row.id: row
        for row in session.scalars(select(Mailbox).where(Mailbox.workspace_id == workspace_id, Mailbox.id.in_(ids)))
    }
    credentials = {each.credential_id: each for each in capped.values() if each is not None}
    used = _used_days(session, workspace_id, found.values(), mailboxes.values(), credentials.values(), now)
    held_to = {row.id: _held_to(row, capped[row.id]) for row, *_ in rows}
    campaign_states = []
    for program in found.values():
        day = local_day(now, program.window.zone)
        sent, new = used.get((program.campaign_id, day.isoformat()), (0, 0))
        campaign_states.append(program.state(day, sent, new, held_to[program.campaign_id]))
    states = [_mailbox_state(row, used, now, row.id in busy) for row in mailboxes.values()]
    sent_by = {key: sent for key, (sent, _) in used.items()}
    limits = [state_of(each, sent_by, now) for each in credentials.values()]
    setting = Setting(workspace_id, found, mailboxes, PlannerState.of(campaign_states, states, seed, limits))
    look_up_credentials(session, setting, set[str]().union(*held_to.values()), now)
    return setting


def look_up_credentials(
    session: Session, setting: Setting, names: Iterable[str | None], now: datetime
) -> list[CredentialState]:
    """Takes those of ``names`` that have a limit into the state; gives back which are new there."""
    wanted = {name for name in names if name is not None} - setting.state.credentials.keys()
    found = states_named(session, setting.workspace_id, sorted(wanted), now) if wanted else []
    setting.state.credentials.update((each.credential_id, each) for each in found)
    return found


def credentials_in(session: Session, setting: Setting) -> dict[str, set[str | None]]:
    """Who put leads that still wait into each campaign, where they count on a limit."""
    query = select(Enrollment.campaign_id, Enrollment.credential_id).where(
        Enrollment.workspace_id == setting.workspace_id,
        Enrollment.campaign_id.in_(list(setting.programs)),
        Enrollment.status.in_(_WAITING),
        Enrollment.credential_id.is_not(None),
    )
    found: dict[str, set[str | None]] = {campaign_id: set() for campaign_id in setting.programs}
    for campaign_id, credential_id in session.execute(query.distinct()):
        found[campaign_id].add(credential_id)
    return found


def _capped(row: Campaign, caps: Sequence[Any], starter: Capped | None, now: datetime) -> Capped | None:
    """Whose limits the campaign is held to, or would be if ``starter`` started it."""
    if row.status != "active" and starter is not None:
        return starter if starter.holds(now) else None
    return caps_in_row(row.credential_id, caps, now)


def _held_to(row: Campaign, starter: Capped | None) -> tuple[str, ...]:
    """Those whose limits the campaign is held to; who has changed it no longer counts once it is started again."""
    changed_by = (row.held_to or ()) if row.status == "active" else ()
    return (*(() if starter is None else (starter.credential_id,)), *changed_by)


def _used_days(
    session: Session,
    workspace_id: str,
    programs: Iterable[Program],
    mailboxes: Iterable[Mailbox],
    credentials: Iterable[Capped],
    now: datetime,
) -> dict[tuple[str, str], tuple[int, int]]:
    keys = [(program.campaign_id, local_day(now, program.window.zone).isoformat()) for program in programs]
    keys += [(row.id, local_day(now, row.timezone).isoformat()) for row in mailboxes]
    keys += [key for capped in credentials for key in counted_days(capped, now)]
    if not keys:
        return {}
    query = select(SendDay).where(SendDay.workspace_id == workspace_id, tuple_(SendDay.owner_id, SendDay.day).in_(keys))
    return {(row.owner_id, row.day): (row.sent, row.new_leads) for row in session.scalars(query)}


def _mailbox_state(
    row: Mailbox, used: dict[tuple[str, str], tuple[int, int]], now: datetime, is_busy: bool
) -> MailboxState:
    day = local_day(now, row.timezone)
    blocked: BlockedReason | None = None
    until: datetime | None = None
    if row.status != MAILBOX_WORKS or not row.sending_enabled:
        blocked = "mailbox_unavailable"
    elif row.cool_until is not None and row.cool_until > now:
        blocked, until = "mailbox_cooling", row.cool_until
    elif is_busy:
        blocked = "mailbox_busy"
    return MailboxState(
        mailbox_id=row.id,
        zone=row.timezone,
        daily_cap=row.daily_send_limit,
        day=day,
        sent_today=used.get((row.id, day.isoformat()), (0, 0))[0],
        last_sent_at=row.last_sent_at,
        free_at=row.free_at,
        blocked=blocked,
        blocked_until=until,
    )


class CandidateRow(NamedTuple):
    """An enrollment that waits for its next email, with what the planner and the sender need of it."""

    id: str
    campaign_id: str
    lead_id: str
    next_step: int
    due_at: datetime
    mailbox_id: str | None
    credential_id: str | None
    fence: int
    thread_subject: str | None
    thread_ids: list[str]
    zone: str | None
    country: str | None


def due_rows(
    session: Session,
    program: Program,
    now: datetime,
    *,
    queue: int,
    limit: int,
    mailbox_ids: Sequence[str] | None,
    used_up: Sequence[str] = (),
) -> list[CandidateRow]:
    """Enrollments of one campaign and queue that are due and free, first due first, with the lead's zone and country.

    ``mailbox_ids``: only those bound to one of these (follow-ups). ``used_up``: credentials that have no room, whose
    leads are left out, so that others behind them do not starve.
    """
    query = _candidates(program, _E.queue == queue).where(
        _E.due_at <= now,
        _E.lease_owner.is_(None),
        or_(_E.sleep_until.is_(None), _E.sleep_until <= now),
    )
    if mailbox_ids is not None:
        query = query.where(_E.mailbox_id.in_(mailbox_ids))
    if used_up:
        query = query.where(or_(_E.credential_id.is_(None), _E.credential_id.not_in(used_up)))
    query = query.order_by(_E.due_at, _E.id).limit(limit)
    return [CandidateRow(*row) for row in session.connection().execute(query)]


def planned_rows(session: Session, program: Program, limit: int) -> list[CandidateRow]:
    """Enrollments that a plan looks at: every follow-up and the new leads next in line, also those not yet active."""
    found: list[CandidateRow] = []
    for queue in (QUEUE_FOLLOW_UP, QUEUE_NEW):
        query = _candidates(program, _E.queue == queue, statuses=_WAITING)
        query = query.where(_E.due_at.is_not(None)).order_by(_E.due_at, _E.id).limit(limit - len(found))
        found += [CandidateRow(*row) for row in session.connection().execute(query)]
    return found


def count_planned(session: Session, program: Program) -> int:
    """How many enrollments ``planned_rows`` has without a limit."""
    queues = _E.queue.in_((QUEUE_FOLLOW_UP, QUEUE_NEW))
    query = _candidates(program, queues, statuses=_WAITING).where(_E.due_at.is_not(None))
    return session.scalar(query.with_only_columns(func.count(), maintain_column_froms=True)) or 0


def being_sent(session: Session, program: Program) -> dict[str, str]:
    """The enrollments of the campaign that an engine has claimed, each with the mailbox it was counted on."""
    query = select(Enrollment.id, Enrollment.claim).where(
        Enrollment.workspace_id == program.workspace_id,
        Enrollment.campaign_id == program.campaign_id,
        Enrollment.lease_owner.is_not(None),
    )
    return {row_id: str(claim["mailboxId"]) for row_id, claim in session.execute(query) if claim is not None}


def _candidates(
    program: Program, queue: ColumnElement[bool], statuses: Sequence[str] = ("active",)
) -> "Select[*tuple[Any, ...]]":
    # Core columns, not mapped rows: this runs for every email that is sent.
    return (
        select(
            *(_E.id, _E.campaign_id, _E.lead_id, _E.next_step, _E.due_at, _E.mailbox_id, _E.credential_id),
            *(_E.fence, _E.thread_subject, _E.thread_ids, _LEADS.timezone, _LEADS.country),
        )
        .join_from(_ENROLLMENTS, Lead.__table__, _JOIN)
        .where(
            _E.workspace_id == program.workspace_id,
            _E.campaign_id == program.campaign_id,
            _E.status.in_(statuses) if len(statuses) > 1 else _E.status == statuses[0],
            queue,
        )
    )


def candidate_of(row: CandidateRow) -> Candidate:
    """The planner's view of one enrollment."""
    return Candidate(
        enrollment_id=row.id,
        lead_id=row.lead_id,
        campaign_id=row.campaign_id,
        step_index=row.next_step,
        due_at=row.due_at,
        mailbox_id=row.mailbox_id,
        lead_zone=row.zone,
        lead_country=row.country,
        credential_id=row.credential_id,
    )


def next_due(session: Session, program: Program, now: datetime) -> datetime | None:
    """The next instant at which an enrollment of the campaign becomes due or wakes up."""
    scope = (
        Enrollment.workspace_id == program.workspace_id,
        Enrollment.campaign_id == program.campaign_id,
        Enrollment.status == "active",
    )
    due = [
        session.scalar(
            select(func.min(Enrollment.due_at)).where(*scope, Enrollment.queue == queue, Enrollment.due_at > now)
        )
        for queue in (QUEUE_FOLLOW_UP, QUEUE_NEW)
    ]
    if program.schedule.use_lead_timezone or program.schedule.skip_national_holidays:
        due.append(session.scalar(select(func.min(Enrollment.sleep_until)).where(*scope, Enrollment.sleep_until > now)))
    return min((instant for instant in due if instant is not None), default=None)
