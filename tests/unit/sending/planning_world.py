"""Builders for planner tests, and an engine of twenty lines that plans, sends at once, and waits."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from postrider.sending.forecast import next_email
from postrider.sending.planner import (
    CampaignState,
    Candidate,
    CredentialState,
    MailboxState,
    PlannerState,
    Slot,
    Step,
    decide,
)
from postrider.sending.windows import HolidayRule, Window

SEED = b"a seed for tests"
MONDAY = datetime(2026, 3, 2, 15, tzinfo=UTC)
"""10:00 in New York, 16:00 in Berlin."""
WEEKDAYS = frozenset(range(1, 6))
EVERY_DAY = frozenset(range(7))
DAY_SECONDS = 86_400


def office_hours(
    zone: str = "America/New_York", start: int = 9, end: int = 17, *, holidays: HolidayRule | None = None
) -> Window:
    """Monday to Friday from ``start`` to ``end`` o'clock."""
    return Window(zone, start * 60, end * 60, WEEKDAYS, holidays)


def always(zone: str = "UTC") -> Window:
    """A window that is open all the time."""
    return Window(zone, 0, 1440, EVERY_DAY)


def campaign(
    campaign_id: str = "cmp_a",
    *,
    window: Window | None = None,
    mailboxes: Iterable[str] = ("mbx_a",),
    interval_seconds: int = 900,
    daily_cap: int | None = None,
    new_leads_cap: int | None = None,
    waits: tuple[int, ...] = (0, 3 * DAY_SECONDS),
    use_lead_timezone: bool = False,
    day: datetime = MONDAY,
    sent_today: int = 0,
    new_today: int = 0,
) -> CampaignState:
    """An active campaign with one email per entry of ``waits``."""
    steps = tuple(Step(f"{campaign_id}_step_{index}", wait) for index, wait in enumerate(waits))
    return CampaignState(
        campaign_id,
        window or always(),
        use_lead_timezone,
        daily_cap,
        new_leads_cap,
        interval_seconds,
        tuple(mailboxes),
        steps,
        day.date(),
        sent_today,
        new_today,
    )


def mailbox(
    mailbox_id: str = "mbx_a", *, zone: str = "UTC", daily_cap: int = 50, sent_today: int = 0, day: datetime = MONDAY
) -> MailboxState:
    """A healthy mailbox that has not sent yet."""
    return MailboxState(mailbox_id, zone, daily_cap, day.date(), sent_today)


def lead(
    name: str, campaign_id: str = "cmp_a", *, due_at: datetime = MONDAY, step: int = 0, bound: str | None = None
) -> Candidate:
    """An enrollment whose next email is number ``step``."""
    return Candidate(f"enr_{name}", f"lead_{name}", campaign_id, step, due_at, bound)


def leads(count: int, campaign_id: str = "cmp_a", *, due_at: datetime = MONDAY) -> list[Candidate]:
    """New leads that are all due at once."""
    return [lead(f"{campaign_id}_{number:04}", campaign_id, due_at=due_at) for number in range(count)]


class ToyEngine:
    """Decides, sends and waits as the real engine does, with a memory for its state and its queue."""

    def __init__(
        self,
        campaigns: Iterable[CampaignState],
        mailboxes: Iterable[MailboxState],
        queue: Iterable[Candidate],
        credentials: Iterable[CredentialState] = (),
    ) -> None:
        self.state = PlannerState.of(campaigns, mailboxes, SEED, credentials)
        self.queue = {candidate.enrollment_id: candidate for candidate in queue}
        self.sends: list[Slot] = []

    def wake(self, now: datetime) -> datetime | None:
        """Sends what may leave at ``now``; answers when to wake next."""
        state = self.state
        given = (state.campaigns.values(), state.mailboxes.values(), self.queue.values())
        decision = decide(now, *given, state.seed, state.credentials.values())
        soon = [decision.next_at] if decision.next_at else []
        for slot in decision.slots:
            self.state.apply(slot)
            self.sends.append(slot)
            candidate = self.queue.pop(slot.enrollment_id)
            follow_up = next_email(candidate, slot, self.state.campaigns[slot.campaign_id])
            if follow_up:
                self.queue[slot.enrollment_id] = follow_up
                soon.append(max(follow_up.due_at, now))
        soon += [now] * self._finish_campaigns()
        return min(soon, default=None)

    def _finish_campaigns(self) -> int:
        """Takes out the campaigns that have nobody left; how many these were."""
        busy = {candidate.campaign_id for candidate in self.queue.values()}
        over = [name for name in self.state.campaigns if name not in busy]
        for name in over:
            self.state.finish(name)
        return len(over)

    def run(self, start: datetime, days: float) -> list[Slot]:
        """Every send from ``start`` for ``days``."""
        now: datetime | None = start
        while now is not None and now < start + timedelta(days=days):
            now = self.wake(now)
        return self.sends
