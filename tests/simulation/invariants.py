"""What holds after every simulation, whatever happened: read from the tables and from what the provider accepted."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from postrider.adapters.sandbox import AcceptedMail
from postrider.campaigns.states import QUEUE_HELD, UNKNOWN_OUTCOME
from postrider.campaigns.tables import Campaign, DailyCount, Enrollment
from postrider.leads.tables import Lead
from postrider.mailboxes.tables import Mailbox
from postrider.sending.public_holidays import country_code, country_of_zone, holiday_verdict
from postrider.sending.tables import Attempt, Event
from tests.simulation.stage import Stage

ENDED_BY = {"replied", "bounced", "unsubscribed", "complained"}


@dataclass(frozen=True)
class Send:
    """One message that the provider accepted, with what the ledger knows of it."""

    at: datetime
    attempt: Attempt
    mail: AcceptedMail


Place = tuple[datetime, str | None, str | None]


@dataclass
class Audit:
    """Everything there is to look at when a simulation is over.

    ``emails``: the fewest that each campaign ever had. ``places``: of leads that were edited, zone and country before
    each instant. ``unexplained``: enrollments that are overdue although explain_lead names nothing that holds them up.
    """

    now: datetime
    sends: list[Send]
    accepted: int
    attempts: list[Attempt]
    enrollments: list[Enrollment]
    events: list[Event]
    counts: Counter[tuple[str, str]]
    leads: dict[str, Lead]
    mailboxes: dict[str, Mailbox]
    campaigns: dict[str, Campaign]
    emails: dict[str, int]
    places: dict[str, list[Place]]
    unexplained: list[str]

    @classmethod
    async def of(cls, stage: Stage) -> "Audit":
        attempts = [row for row in await stage.rows(Attempt) if row.purpose == "step"]
        known = {row.message_id: row for row in attempts}
        counts: Counter[tuple[str, str]] = Counter()
        for row in await stage.rows_of(DailyCount, DailyCount.day):
            counts[row.campaign_id, row.kind] += row.count
        mails = stage.sandbox.accepted
        return cls(
            stage.now,
            [Send(mail.accepted_at, known[mail.message_id], mail) for mail in mails if mail.message_id in known],
            len(mails),
            attempts,
            await stage.rows(Enrollment),
            await stage.rows(Event),
            counts,
            {row.id: row for row in await stage.rows(Lead)},
            {row.id: row for row in await stage.rows(Mailbox)},
            {row.id: row for row in await stage.rows(Campaign)},
            dict(stage.fewest_emails),
            dict(stage.places),
            await unexplained(stage),
        )

    def problems(self) -> list[str]:
        """Everything that does not hold."""
        checks = (
            self._accepted_is_the_ledger,
            self._nobody_twice,
            self._nobody_lost,
            self._nobody_forgotten,
            self._nobody_past_the_end,
            self._limits,
            self._pauses,
            self._hours,
            self._waits,
            self._nobody_after_the_end,
            self._counts,
        )
        return [f"{check.__name__.strip('_')}: {problem}" for check in checks for problem in check()]

    def _accepted_is_the_ledger(self) -> Iterator[str]:
        taken = {send.attempt.id for send in self.sends}
        if len(self.sends) != self.accepted:
            yield f"{self.accepted} were accepted, {len(self.sends)} stand in the ledger"
        for row in self.attempts:
            if row.state == "sent" and row.id not in taken:
                yield f"{row.id} is called sent and was never accepted"
            if row.state not in ("sent", "unknown") and row.id in taken:
                yield f"{row.id} was accepted and is called {row.state}"
            if row.state in ("sending", "dotted"):
                yield f"{row.id} is left {row.state}"

    def _nobody_twice(self) -> Iterator[str]:
        messages = Counter(send.mail.message_id for send in self.sends)
        steps = Counter((send.attempt.campaign_id, send.attempt.lead_id, send.attempt.step_id) for send in self.sends)
        yield from (f"{key} {count} times" for key, count in (messages | steps).items() if count > 1)

    def _nobody_lost(self) -> Iterator[str]:
        for row in self.enrollments:
            # Emails that an edit appends do not call back who was through already.
            emails = self.emails[row.campaign_id]
            done = row.status == "completed" and row.next_step >= emails
            stopped = row.status not in ("active", "pending", "paused", "completed") and row.stop_reason
            waits = row.status in ("active", "pending") and (row.hold_reason or row.due_at is not None)
            if not (done or stopped or waits) or row.lease_owner is not None:
                yield f"{row.id} is {row.status}, step {row.next_step} of {emails}, {row.stop_reason}, {row.due_at}"

    def _nobody_forgotten(self) -> Iterator[str]:
        yield from (f"{enrollment_id} could leave and is overdue" for enrollment_id in self.unexplained)

    def _nobody_past_the_end(self) -> Iterator[str]:
        for row in self.enrollments:
            campaign = self.campaigns[row.campaign_id]
            emails = sum(step["type"] == "email" for step in campaign.sequence)
            waits = row.status == "active" and row.hold_reason != UNKNOWN_OUTCOME
            if campaign.status == "active" and waits and row.next_step >= emails:
                yield f"{row.id} is active and waits for email {row.next_step + 1} of {emails}"

    def _limits(self) -> Iterator[str]:
        used: Counter[tuple[str, str, Any]] = Counter()
        for send in self.sends:
            row, campaign = send.attempt, self.campaigns[str(send.attempt.campaign_id)]
            box, zone = self.mailboxes[row.mailbox_id], str(campaign.schedule["timezone"])
            used["box", box.id, send.at.astimezone(ZoneInfo(box.timezone)).date()] += 1
            used["sent", campaign.id, send.at.astimezone(ZoneInfo(zone)).date()] += 1
            used["new", campaign.id, send.at.astimezone(ZoneInfo(zone)).date()] += row.step_index == 0
        for (what, owner, day), count in used.items():
            limit: Any = self.mailboxes[owner].daily_send_limit if what == "box" else None
            if what != "box":
                limit = self.campaigns[owner].settings.get("dailySendLimit" if what == "sent" else "newLeadsPerDay")
            if limit is not None and count > limit:
                yield f"{what} of {owner} on {day}: {count} of {limit}"

    def _pauses(self) -> Iterator[str]:
        by_box: defaultdict[str, list[Send]] = defaultdict(list)
        for send in sorted(self.sends, key=lambda send: send.at):
            by_box[send.attempt.mailbox_id].append(send)
        for box, sends in by_box.items():
            for earlier, later in pairwise(sends):
                pauses = [self._interval(one) for one in (earlier, later)]
                if later.at - earlier.at < max(pauses):
                    yield f"{box} paused {later.at - earlier.at} of {max(pauses)} before {later.at}"

    def _interval(self, send: Send) -> timedelta:
        minutes: Any = self.campaigns[str(send.attempt.campaign_id)].settings["emailIntervalMinutes"]
        return timedelta(minutes=minutes)

    def _hours(self) -> Iterator[str]:
        for send in self.sends:
            places = list(self._places(send))
            if not any(self._was_open(send, zone, country) for zone, country in places):
                lead = self.leads[str(send.attempt.lead_id)]
                yield f"{lead.email} was written to at {send.at:%a %d %b %H:%M} UTC in {places}"

    def _places(self, send: Send) -> Iterator[tuple[str | None, str | None]]:
        """Zone and country of the lead when it was written to: two, if it was edited at that very instant."""
        lead = self.leads[str(send.attempt.lead_id)]
        for until, zone, country in self.places.get(lead.id, ()):
            if send.at <= until:
                yield zone, country
            if send.at < until:
                return
        yield lead.timezone, lead.country

    def _was_open(self, send: Send, own_zone: str | None, own_country: str | None) -> bool:
        schedule: dict[str, Any] = self.campaigns[str(send.attempt.campaign_id)].schedule
        zone = (own_zone if schedule["useLeadTimezone"] else None) or schedule["timezone"]
        day = send.at.astimezone(ZoneInfo(zone))
        began = day - timedelta(days=1) if self._is_morning_after(day, schedule) else day
        country = country_code(own_country) or country_of_zone(schedule["timezone"])
        is_off = schedule["skipNationalHolidays"] and holiday_verdict(country, began.date()) == "holiday"
        return not day.fold and not is_off and self._is_open(day, began, schedule)

    @staticmethod
    def _is_morning_after(day: datetime, schedule: dict[str, Any]) -> bool:
        return bool(schedule["endTime"] < schedule["startTime"] and f"{day:%H:%M}" < schedule["endTime"])

    @staticmethod
    def _is_open(day: datetime, began: datetime, schedule: dict[str, Any]) -> bool:
        start, end, clock = schedule["startTime"], schedule["endTime"], f"{day:%H:%M}"
        in_hours = start <= clock < end if start < end else clock >= start or clock < end
        return in_hours and began.isoweekday() % 7 in schedule["workingDays"]

    def _waits(self) -> Iterator[str]:
        by_lead: defaultdict[tuple[Any, Any], list[Send]] = defaultdict(list)
        for send in self.sends:
            by_lead[send.attempt.campaign_id, send.attempt.lead_id].append(send)
        for (campaign_id, lead_id), sends in by_lead.items():
            waits = _waits_of(self.campaigns[campaign_id].sequence)
            for earlier, later in pairwise(sorted(sends, key=lambda send: send.at)):
                # Of a step that was taken out the wait is not known any more.
                if later.at - earlier.at < waits.get(str(later.attempt.step_id), timedelta(0)):
                    yield f"{lead_id} got {later.attempt.step_id} after {later.at - earlier.at}"

    def _nobody_after_the_end(self) -> Iterator[str]:
        ended: dict[str, datetime] = {}
        for one in self.events:
            if one.kind in ENDED_BY and one.lead_id is not None:
                ended[one.lead_id] = min(one.at, ended.get(one.lead_id, one.at))
        for send in self.sends:
            lead_id = str(send.attempt.lead_id)
            if lead_id in ended and send.at > ended[lead_id]:
                yield f"{lead_id} was written to at {send.at}, after the end at {ended[lead_id]}"

    def _counts(self) -> Iterator[str]:
        events = Counter((one.campaign_id, one.kind) for one in self.events if one.campaign_id)
        states = Counter(row.campaign_id for row in self.attempts if row.state == "sent")
        for campaign_id in self.campaigns:
            for kind in ("sent", "replied", "auto_replied", "bounced", "unsubscribed", "complained"):
                if self.counts[campaign_id, kind] != events[campaign_id, kind]:
                    yield f"{campaign_id} counts {self.counts[campaign_id, kind]} {kind} of {events[campaign_id, kind]}"
            if events[campaign_id, "sent"] != states[campaign_id]:
                yield f"{campaign_id}: {events[campaign_id, 'sent']} sent events, {states[campaign_id]} attempts sent"


async def unexplained(stage: Stage) -> list[str]:
    """Enrollments that are overdue although nothing holds them up."""
    overdue = (Enrollment.status == "active", Enrollment.queue != QUEUE_HELD, Enrollment.due_at <= stage.now)
    return [row.id for row in await stage.rows(Enrollment, *overdue) if not await _is_explained(stage, row)]


async def _is_explained(stage: Stage, row: Enrollment) -> bool:
    """Whether explain_lead names a check that fails, or a later instant."""
    [workspace] = [one for one in stage.workspaces if one.id == row.workspace_id]
    told = await stage.call(workspace, "explain_lead", id=row.campaign_id, leadId=row.lead_id)
    next_at = told["nextPossibleAt"]
    is_later = next_at is not None and datetime.fromisoformat(next_at) > stage.now
    return is_later or any(not check["ok"] for check in told["checks"])


def _waits_of(sequence: list[Any]) -> dict[str, timedelta]:
    """The wait before each email, by its id."""
    found, wait = {}, timedelta(0)
    for step in sequence:
        if step["type"] == "wait":
            wait += timedelta(days=step.get("waitDays") or 0, hours=step.get("waitHours") or 0)
        else:
            found[str(step.get("id") or step.get("_id"))], wait = wait, timedelta(0)
    return found
