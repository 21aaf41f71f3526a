"""The planner's core: candidates in lines, each line asleep until the instant at which its first one may be tried.

Candidates of one campaign, zone, country, mailbox, credential and kind (new or follow-up) pass exactly the same checks,
so when the first of a line must wait, all of it must. ``run`` may therefore be called once, to decide the present, or
over and over with the clock moved to ``next_at``, to foresee what the engine will do.
"""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from postrider.sending.plan_state import CampaignState, Candidate, Limit, PlannerState, Reason, Slot, Wait
from postrider.sending.public_holidays import country_code
from postrider.sending.seeded import rank
from postrider.sending.windows import OpenHours, is_zone, open_hours

_NEVER = datetime.max.replace(tzinfo=UTC)
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_PAUSES = frozenset({Reason.MAILBOX_INTERVAL})
_LIMITS = frozenset(
    {
        Reason.CAMPAIGN_DAILY_LIMIT,
        Reason.NEW_LEADS_LIMIT,
        Reason.CREDENTIAL_DAILY_LIMIT,
        Reason.MAILBOX_DAILY_LIMIT,
    }
)

Obstacle = Callable[[Candidate, str], str | None]
"""Why a candidate gets nothing from a mailbox (by id) when its turn comes; None: it is sent."""


class _LineKey(NamedTuple):
    campaign_id: str
    is_new: bool
    mailbox_id: str | None
    credential_id: str | None
    zone: str | None
    country: str | None


@dataclass(slots=True)
class Line:
    """Candidates that share every check but their due date, first due first."""

    campaign_id: str
    is_new: bool
    mailbox_id: str | None
    credential_id: str | None
    hours: OpenHours
    waiting: list[tuple[datetime, str, Candidate]] = field(default_factory=list)
    limit: Limit | None = None
    wakes_at: datetime | None = None

    @property
    def due_at(self) -> datetime:
        """When the first candidate is due."""
        return self.waiting[0][0]

    def waits(self, now: datetime) -> Iterator[Wait]:
        """Why each candidate still in line is not sent at ``now``, once the agenda has run for it."""
        limit = self.limit or Limit(Reason.NOT_DUE, None)
        if limit.reason is Reason.NOT_DUE:
            # Asleep until the first opening after a due date that lies in the past by now.
            limit = Limit(closed_reason(self.hours, now), limit.until)
        for due_at, enrollment_id, _ in sorted(self.waiting, key=lambda entry: entry[:2]):
            if due_at > now:
                yield Wait(enrollment_id, Reason.NOT_DUE, self.hours.next_open(due_at))
            else:
                yield Wait(enrollment_id, *limit)


class _Rank(NamedTuple):
    """The order in which mailboxes take new leads: longest free, fewest sent today, then by hash."""

    free_from: datetime
    sent_today: int
    tie: int
    mailbox_id: str


class _Pool:
    """The mailboxes of one campaign at one instant, best first."""

    def __init__(self, state: PlannerState, campaign_id: str, now: datetime) -> None:
        self._state = state
        self._campaign_id = campaign_id
        self._now = now
        self._limits: list[Limit] = []
        self._ready: list[_Rank] = []
        for mailbox_id in set(state.campaigns[campaign_id].mailbox_ids):
            rank_now = self._rank(mailbox_id)
            if rank_now:
                self._ready.append(rank_now)
        heapq.heapify(self._ready)

    def best(self) -> str | Limit:
        """The mailbox that takes the next new lead, or why none does."""
        while self._ready:
            best = self._ready[0]
            current = self._rank(best.mailbox_id)
            if current == best:
                return best.mailbox_id
            if current is None:
                heapq.heappop(self._ready)
            else:
                heapq.heapreplace(self._ready, current)
        if not self._limits:
            return Limit(Reason.NO_MAILBOX, None)
        return min(self._limits, key=lambda limit: (limit.until or _NEVER, limit.reason))

    def _rank(self, mailbox_id: str) -> _Rank | None:
        """None: the mailbox is held by a limit, which is noted, since within an instant none lifts."""
        state, campaign = self._state, self._state.campaigns[self._campaign_id]
        mailbox = state.mailboxes.get(mailbox_id)
        if mailbox is None:
            return None
        limit = state.mailbox_limits(self._now, campaign, mailbox)
        if limit:
            self._limits.append(limit)
            return None
        free_from = state.free_from(campaign, mailbox) or _LONG_AGO
        tie = rank(state.seed, "mailbox", self._campaign_id, mailbox_id)
        return _Rank(free_from, state.sent_today(self._now, mailbox), tie, mailbox_id)


class Agenda:
    """Everything that waits to be sent. ``run`` moves ``state`` forward; pass a copy to keep your own.

    ``obstacle``: for a forecast. Whoever it objects to is claimed with the others, found out and given back, as by the
    engine: the mailbox begins its pause, the limits have room again afterwards, and the candidate goes to ``stopped``.
    """

    def __init__(self, state: PlannerState, obstacle: Obstacle | None = None) -> None:
        self.state = state
        self.stopped: list[tuple[Candidate, str]] = []
        self._obstacle = obstacle
        self._lines: dict[_LineKey, Line] = {}
        self._asleep: list[tuple[datetime, int, Line]] = []
        self._pushes = 0
        self._present: set[str] = set()
        self._without_step: list[Candidate] = []

    @property
    def remaining(self) -> list[Candidate]:
        """The candidates not sent, line by line."""
        waiting = (entry[-1] for line in self._lines.values() for entry in line.waiting)
        return [*waiting, *self._without_step]

    @property
    def next_at(self) -> datetime | None:
        """The next instant at which something may leave; None when nothing ever may."""
        while self._asleep and self._is_stale(self._asleep[0]):
            heapq.heappop(self._asleep)
        return self._asleep[0][0] if self._asleep else None

    def waits(self, now: datetime) -> list[Wait]:
        """Why each remaining candidate is not sent at ``now``, the instant of the latest run."""
        waits = [wait for line in self._lines.values() for wait in line.waits(now)]
        return waits + [Wait(candidate.enrollment_id, Reason.NO_STEP, None) for candidate in self._without_step]

    def add(self, candidate: Candidate) -> None:
        """Puts a candidate in its line, unless its enrollment waits already.

        Raises: KeyError when its campaign is not in the state.
        """
        if candidate.enrollment_id in self._present:
            return
        self._present.add(candidate.enrollment_id)
        if candidate.step_index >= len(self.state.campaigns[candidate.campaign_id].steps):
            self._without_step.append(candidate)
            return
        line = self._line_of(candidate)
        is_first = not line.waiting or candidate.due_at < line.due_at
        heapq.heappush(line.waiting, (candidate.due_at, candidate.enrollment_id, candidate))
        if is_first and (line.limit is None or line.limit.reason is Reason.NOT_DUE):
            self._sleep_until_due(line)

    def run(self, now: datetime) -> list[tuple[Candidate, Slot]]:
        """Everything that may leave at ``now``, in order: follow-ups, then new leads, each by due date."""
        pools: dict[str, _Pool] = {}
        sent: list[tuple[Candidate, Slot]] = []
        given_back: list[Slot] = []
        ready = [self._turn(line) for line in self._wake(now)]
        heapq.heapify(ready)
        while ready:
            line = heapq.heappop(ready)[-1]
            slot = self._try(line, now, pools)
            if slot is None:
                continue
            candidate = heapq.heappop(line.waiting)[-1]
            self._present.discard(slot.enrollment_id)
            self.state.apply(slot)
            reason = self._obstacle(candidate, slot.mailbox_id) if self._obstacle else None
            if reason is None:
                sent.append((candidate, slot))
            else:
                self.stopped.append((candidate, reason))
                given_back.append(slot)
            if not line.waiting:
                line.limit = line.wakes_at = None
            elif line.due_at <= now:
                heapq.heappush(ready, self._turn(line))
            else:
                self._sleep_until_due(line)
        if given_back:
            self._give_back(given_back, now)
        return sent

    def finish(self, campaign_id: str, now: datetime) -> None:
        """Takes out a campaign that has nothing left; lines that wait for a pause look again, it may be shorter now."""
        self.state.finish(campaign_id)
        self._look_again(_PAUSES, now)

    def _give_back(self, slots: list[Slot], now: datetime) -> None:
        for slot in slots:
            self.state.give_back(slot)
        self._look_again(_LIMITS, now)

    def _look_again(self, reasons: frozenset[Reason], now: datetime) -> None:
        for line in self._lines.values():
            if line.waiting and line.limit is not None and line.limit.reason in reasons:
                self._sleep(line, line.limit._replace(until=now))

    def _try(self, line: Line, now: datetime, pools: dict[str, _Pool]) -> Slot | None:
        candidate = line.waiting[0][-1]
        choice = self._choose(line, now, pools)
        if isinstance(choice, Limit):
            until = line.hours.next_open(choice.until) if choice.until else None
            self._sleep(line, Limit(choice.reason, until))
            return None
        return Slot(
            enrollment_id=candidate.enrollment_id,
            lead_id=candidate.lead_id,
            campaign_id=candidate.campaign_id,
            step_index=candidate.step_index,
            mailbox_id=choice,
            at=now,
            credential_id=candidate.credential_id,
        )

    def _choose(self, line: Line, now: datetime, pools: dict[str, _Pool]) -> str | Limit:
        campaign = self.state.campaigns[line.campaign_id]
        opens_at = line.hours.next_open(now)
        if opens_at != now:
            return Limit(closed_reason(line.hours, now), opens_at)
        limit = self.state.campaign_limits(now, campaign, line.is_new, line.credential_id)
        if limit:
            return limit
        if line.mailbox_id is not None or not line.is_new:
            return self._bound(line, campaign, now)
        if line.campaign_id not in pools:
            pools[line.campaign_id] = _Pool(self.state, line.campaign_id, now)
        return pools[line.campaign_id].best()

    def _bound(self, line: Line, campaign: CampaignState, now: datetime) -> str | Limit:
        if line.mailbox_id is None:
            return Limit(Reason.NO_MAILBOX, None)
        mailbox = self.state.mailboxes.get(line.mailbox_id)
        if mailbox is None:
            return Limit(Reason.MAILBOX_UNAVAILABLE, None)
        return self.state.mailbox_limits(now, campaign, mailbox) or line.mailbox_id

    def _line_of(self, candidate: Candidate) -> Line:
        campaign = self.state.campaigns[candidate.campaign_id]
        zone, country = hours_for(campaign, candidate)
        # One without a limit makes no line of its own.
        credential_id = candidate.credential_id if candidate.credential_id in self.state.credentials else None
        key = _LineKey(candidate.campaign_id, candidate.is_new, candidate.mailbox_id, credential_id, zone, country)
        line = self._lines.get(key)
        if line is None:
            line = Line(*key[:4], hours=open_hours(campaign.window, zone, country))
            self._lines[key] = line
        return line

    def _wake(self, now: datetime) -> list[Line]:
        woken: list[Line] = []
        while self._asleep and self._asleep[0][0] <= now:
            entry = heapq.heappop(self._asleep)
            if not self._is_stale(entry):
                entry[-1].wakes_at = None
                woken.append(entry[-1])
        return woken

    def _sleep_until_due(self, line: Line) -> None:
        self._sleep(line, Limit(Reason.NOT_DUE, line.hours.next_open(line.due_at)))

    def _sleep(self, line: Line, limit: Limit) -> None:
        line.limit, line.wakes_at = limit, limit.until
        if limit.until is not None:
            self._pushes += 1
            heapq.heappush(self._asleep, (limit.until, self._pushes, line))

    @staticmethod
    def _is_stale(entry: tuple[datetime, int, Line]) -> bool:
        return entry[-1].wakes_at != entry[0]

    @staticmethod
    def _turn(line: Line) -> tuple[bool, datetime, str, Line]:
        due_at, enrollment_id, _ = line.waiting[0]
        return (line.is_new, due_at, enrollment_id, line)


def closed_reason(hours: OpenHours, now: datetime) -> Reason:
    """Which word tells why mail does not leave while closed."""
    return Reason.HOLIDAY if hours.is_holiday(now) else Reason.OUTSIDE_WINDOW


def hours_for(campaign: CampaignState, candidate: Candidate) -> tuple[str | None, str | None]:
    """The zone and country that replace the campaign's for this lead; None where they do not."""
    own_zone = campaign.use_lead_timezone and candidate.lead_zone and is_zone(candidate.lead_zone)
    zone = candidate.lead_zone if own_zone and candidate.lead_zone != campaign.window.zone else None
    country = country_code(candidate.lead_country) if campaign.window.holidays else None
    return zone, country
