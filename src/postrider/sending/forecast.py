"""The plan: every send up to a horizon, found by running the planner forward as the engine will run it."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final, TypeVar

from postrider.sending.agenda import Agenda, Obstacle, hours_for
from postrider.sending.plan_state import CampaignState, Candidate, PlannerState, Reason, Slot
from postrider.sending.windows import open_hours

_OfCampaign = TypeVar("_OfCampaign", Candidate, Slot)
DNC_REASON: Final = "on_dnc"
"""The one obstacle that ends an enrollment. Whoever meets another is held, so that its campaign goes on."""


@dataclass(frozen=True, slots=True)
class UnknownHolidays:
    """Holidays are to be skipped, but the data has none for this country and year. Mail goes out on any day."""

    country: str | None
    year: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """What will be sent if nothing happens from outside: no reply, bounce, refusal or edit.

    ``per_day``: sends by local day of the campaign and by mailbox. ``stopped``: enrollments whose next email meets an
    obstacle, by reason; beyond the horizon only the next one is looked at. ``waits``: other enrollments not finished at
    the horizon, by the reason that holds them. ``left_over``: their emails still to be sent. ``ends_at``: the last
    send; when ``truncated``, work goes on beyond the horizon and this is an estimate from the rate so far (None: no
    rate). What waits for something that does not come by itself has no part in ``ends_at``.
    """

    sends: list[Slot]
    per_day: dict[date, dict[str, int]]
    stopped: dict[str, int]
    waits: dict[Reason, int]
    left_over: int
    ends_at: datetime | None
    truncated: bool
    unknown_holidays: tuple[UnknownHolidays, ...]


def next_email(candidate: Candidate, slot: Slot, campaign: CampaignState) -> Candidate | None:
    """The candidate for the email after ``slot``, if it is accepted at once; None after the last."""
    index = slot.step_index + 1
    if index >= len(campaign.steps):
        return None
    due_at = slot.at + timedelta(seconds=campaign.steps[index].wait_seconds)
    return replace(candidate, step_index=index, due_at=due_at, mailbox_id=candidate.mailbox_id or slot.mailbox_id)


def forecast(
    state: PlannerState,
    candidates: Iterable[Candidate],
    start: datetime,
    horizon_days: int = 30,
    *,
    campaign_id: str | None = None,
    obstacle: Obstacle | None = None,
    unfinished: Collection[str] = (),
) -> Forecast:
    """Every send from ``start`` up to the horizon; ``state`` is left as it is.

    ``campaign_id``: tells of this campaign alone, while the others still take their slots.
    ``obstacle``: why an email is not sent when its turn comes.
    ``unfinished``: campaigns that do not end with their candidates, because others wait for something else.

    Raises: KeyError when the campaign of a candidate is not in the state.
    """
    course = _Course(state, candidates, obstacle, unfinished)
    end = start + timedelta(days=horizon_days)
    sends = _told(campaign_id, course.run(start, end))
    remaining, stopped = course.outlook(campaign_id)
    told = {candidate.enrollment_id for candidate in remaining}
    waits = [wait for wait in course.agenda.waits(end - timedelta(microseconds=1)) if wait.enrollment_id in told]
    stuck = {wait.enrollment_id for wait in waits if wait.until is None}
    moving = [candidate for candidate in remaining if candidate.enrollment_id not in stuck]
    return Forecast(
        sends=sends,
        per_day=_per_day(state, sends),
        stopped=dict(stopped),
        waits=dict(Counter(wait.reason for wait in waits)),
        left_over=sum(_emails_left(state, candidate) for candidate in remaining),
        ends_at=_estimated_end(state, moving, sends, end) if moving else _last(sends),
        truncated=bool(moving),
        unknown_holidays=_unknown_holidays(state, _told(campaign_id, course.known), start, end),
    )


class _Course:
    """The run of an agenda from one instant at which something may leave to the next."""

    def __init__(
        self,
        state: PlannerState,
        candidates: Iterable[Candidate],
        obstacle: Obstacle | None,
        unfinished: Collection[str],
    ) -> None:
        self.agenda = Agenda(state.copy(), obstacle)
        self.known = list(candidates)
        self._state = state
        self._obstacle = obstacle
        self._open = Counter({name: 0 for name in state.campaigns if name not in unfinished})
        for candidate in self.known:
            self.agenda.add(candidate)
            self._change(candidate, 1)

    def run(self, start: datetime, end: datetime) -> list[Slot]:
        """Every send of every campaign in [start, end)."""
        sends: list[Slot] = []
        now: datetime | None = start
        while now is not None and now < end:
            seen = len(self.agenda.stopped)
            for candidate, slot in self.agenda.run(now):
                sends.append(slot)
                self._go_on(candidate, slot)
            for candidate, reason in self.agenda.stopped[seen:]:
                if reason == DNC_REASON:
                    self._change(candidate, -1)
            self._finish(now)
            next_at = self.agenda.next_at
            now = max(now, next_at) if next_at else None
        return sends

    def outlook(self, campaign_id: str | None) -> tuple[list[Candidate], Counter[str]]:
        """Who waits at the end of the run, and how many met an obstacle or will with their next email, by reason."""
        met = [candidate for candidate, _ in self.agenda.stopped]
        told = {candidate.enrollment_id for candidate in _told(campaign_id, met)}
        stopped = Counter(reason for candidate, reason in self.agenda.stopped if candidate.enrollment_id in told)
        waiting = []
        for candidate in _told(campaign_id, self.agenda.remaining):
            reason = self._foreseen(candidate)
            if reason is None:
                waiting.append(candidate)
            else:
                stopped[reason] += 1
        return waiting, stopped

    def _foreseen(self, candidate: Candidate) -> str | None:
        campaign = self._state.campaigns[candidate.campaign_id]
        mailbox_id = candidate.mailbox_id or next(iter(campaign.mailbox_ids), None)
        if self._obstacle is None or mailbox_id is None or candidate.step_index >= len(campaign.steps):
            return None
        return self._obstacle(candidate, mailbox_id)

    def _go_on(self, candidate: Candidate, slot: Slot) -> None:
        following = next_email(candidate, slot, self._state.campaigns[slot.campaign_id])
        if following is None:
            self._change(candidate, -1)
        else:
            self.agenda.add(following)

    def _change(self, candidate: Candidate, by: int) -> None:
        if candidate.campaign_id in self._open:
            self._open[candidate.campaign_id] += by

    def _finish(self, now: datetime) -> None:
        """Takes out the campaigns whose last enrollment has ended."""
        for campaign_id in [name for name, count in self._open.items() if count == 0]:
            del self._open[campaign_id]
            self.agenda.finish(campaign_id, now)


def _told(campaign_id: str | None, found: Iterable[_OfCampaign]) -> list[_OfCampaign]:
    """Those of the campaign; all of them for None."""
    return [one for one in found if campaign_id is None or one.campaign_id == campaign_id]


def _per_day(state: PlannerState, sends: list[Slot]) -> dict[date, dict[str, int]]:
    counting = state.copy()
    per_day: dict[date, dict[str, int]] = {}
    for slot in sends:
        counts = per_day.setdefault(counting.day(slot.at, state.campaigns[slot.campaign_id].window.zone), {})
        counts[slot.mailbox_id] = counts.get(slot.mailbox_id, 0) + 1
    return dict(sorted(per_day.items()))


def _emails_left(state: PlannerState, candidate: Candidate) -> int:
    return max(0, len(state.campaigns[candidate.campaign_id].steps) - candidate.step_index)


def _last(sends: list[Slot]) -> datetime | None:
    return sends[-1].at if sends else None


def _estimated_end(state: PlannerState, moving: list[Candidate], sends: list[Slot], end: datetime) -> datetime | None:
    if not sends:
        return None
    emails = sum(_emails_left(state, candidate) for candidate in moving)
    by_rate = end + (end - sends[0].at) * emails / len(sends)
    return max([by_rate, *(_due_end(state, candidate, end) for candidate in moving)])


def _due_end(state: PlannerState, candidate: Candidate, end: datetime) -> datetime:
    later = state.campaigns[candidate.campaign_id].steps[candidate.step_index + 1 :]
    return max(candidate.due_at, end) + timedelta(seconds=sum(step.wait_seconds for step in later))


def _unknown_holidays(
    state: PlannerState, candidates: list[Candidate], start: datetime, end: datetime
) -> tuple[UnknownHolidays, ...]:
    keys = {(c.campaign_id, *hours_for(state.campaigns[c.campaign_id], c)) for c in candidates}
    unknown: set[tuple[str | None, int]] = set()
    for campaign_id, zone, country in keys:
        hours = open_hours(state.campaigns[campaign_id].window, zone, country)
        years = range(start.year, end.year + 1)
        unknown.update((hours.country, year) for year in years if hours.verdict(date(year, 1, 2)) == "unknown")
    return tuple(UnknownHolidays(*pair) for pair in sorted(unknown, key=lambda pair: (pair[0] or "", pair[1])))
