"""What the planner knows of campaigns, mailboxes and waiting enrollments, and the limits that may hold a send."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Literal, NamedTuple

from postrider.sending.capped import CredentialState
from postrider.sending.seeded import gap_seconds
from postrider.sending.windows import Window, day_start, local_day

BlockedReason = Literal["mailbox_busy", "mailbox_cooling", "mailbox_unavailable"]


class Reason(StrEnum):
    """Why a send does not leave now. A closed set: these words reach clients."""

    NO_STEP = "no_step"
    NOT_DUE = "not_due"
    OUTSIDE_WINDOW = "outside_window"
    HOLIDAY = "holiday"
    CAMPAIGN_DAILY_LIMIT = "campaign_daily_limit"
    NEW_LEADS_LIMIT = "new_leads_limit"
    CREDENTIAL_DAILY_LIMIT = "credential_daily_limit"
    MAILBOX_DAILY_LIMIT = "mailbox_daily_limit"
    MAILBOX_INTERVAL = "mailbox_interval"
    MAILBOX_BUSY = "mailbox_busy"
    MAILBOX_COOLING = "mailbox_cooling"
    MAILBOX_UNAVAILABLE = "mailbox_unavailable"
    NO_MAILBOX = "no_mailbox"


@dataclass(frozen=True, slots=True)
class Step:
    """One email of a sequence. ``wait_seconds`` counts from when the email before it was accepted."""

    step_id: str
    wait_seconds: int


@dataclass(frozen=True, slots=True)
class CampaignState:
    """An active campaign. ``sent_today`` and ``new_today`` count for ``day``, a local day in the window's zone.

    ``credential_ids``: who started it, and who has changed since what leaves. The limit of one that has any is shared
    by all of its campaigns.
    """

    campaign_id: str
    window: Window
    use_lead_timezone: bool
    daily_cap: int | None
    new_leads_cap: int | None
    interval_seconds: int
    mailbox_ids: tuple[str, ...]
    steps: tuple[Step, ...]
    day: date
    sent_today: int = 0
    new_today: int = 0
    credential_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MailboxState:
    """A mailbox. ``sent_today`` counts for ``day``, a local day in ``zone``. ``blocked_until`` None: until mended."""

    mailbox_id: str
    zone: str
    daily_cap: int
    day: date
    sent_today: int = 0
    last_sent_at: datetime | None = None
    free_at: datetime | None = None
    blocked: BlockedReason | None = None
    blocked_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """An enrollment and its next email. ``mailbox_id``: the one that sent the first email, None before it.

    ``credential_id``: who put the lead there or changed it, if its emails count on that credential's limit.
    """

    enrollment_id: str
    lead_id: str
    campaign_id: str
    step_index: int
    due_at: datetime
    mailbox_id: str | None = None
    lead_zone: str | None = None
    lead_country: str | None = None
    credential_id: str | None = None

    @property
    def is_new(self) -> bool:
        """Whether this is the first email to the lead."""
        return self.step_index == 0


@dataclass(frozen=True, slots=True)
class Slot:
    """A send that may leave at ``at``. ``credential_id``: as of its candidate."""

    enrollment_id: str
    lead_id: str
    campaign_id: str
    step_index: int
    mailbox_id: str
    at: datetime
    credential_id: str | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Why an enrollment sends nothing now. ``until``: before it nothing can change; None: not by itself."""

    enrollment_id: str
    reason: Reason
    until: datetime | None


class Limit(NamedTuple):
    """A reason that holds now, and the instant it lifts (None: not by itself)."""

    reason: Reason
    until: datetime | None


class _Today(NamedTuple):
    start: datetime
    end: datetime
    day: date


@dataclass(slots=True)
class PlannerState:
    """Counts and pauses of campaigns and mailboxes, moved forward by ``apply``: the one bookkeeping of all sends.

    ``credentials``: those with a limit that started or changed the campaigns or put leads there. An email counts on
    all of its own, and waits for whichever has no room.
    """

    seed: bytes
    campaigns: dict[str, CampaignState]
    mailboxes: dict[str, MailboxState]
    credentials: dict[str, CredentialState] = field(default_factory=dict)
    _intervals: dict[str, int] = field(init=False, repr=False)
    _today: dict[str, _Today] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._compare_intervals()

    @classmethod
    def of(
        cls,
        campaigns: Iterable[CampaignState],
        mailboxes: Iterable[MailboxState],
        seed: bytes,
        credentials: Iterable[CredentialState] = (),
    ) -> "PlannerState":
        """A state of its own; pass every active campaign of these mailboxes, since they share the interval."""
        return cls(
            seed,
            {c.campaign_id: c for c in campaigns},
            {m.mailbox_id: m for m in mailboxes},
            {c.credential_id: c for c in credentials},
        )

    def copy(self) -> "PlannerState":
        """The same state, to be moved forward independently."""
        return PlannerState(self.seed, dict(self.campaigns), dict(self.mailboxes), dict(self.credentials))

    def finish(self, campaign_id: str) -> None:
        """Takes out a campaign that has nothing left to do: its mailboxes no longer keep its interval."""
        del self.campaigns[campaign_id]
        self._compare_intervals()

    def interval_seconds(self, campaign: CampaignState, mailbox_id: str) -> int:
        """The pause between two sends of a mailbox: the largest of all campaigns that use it."""
        return max(campaign.interval_seconds, self._intervals.get(mailbox_id, 0))

    def campaign_limits(
        self, now: datetime, campaign: CampaignState, is_new: bool, credential_id: str | None
    ) -> Limit | None:
        """The limit of the campaign, or of those who cause the email, that is reached, if one is."""
        limit = self.daily_limit(now, campaign) or (self.new_leads_limit(now, campaign) if is_new else None)
        return limit or self.credential_limit(now, campaign, credential_id)

    def daily_limit(self, now: datetime, campaign: CampaignState) -> Limit | None:
        """The campaign's limit of emails a day, if reached."""
        count, cap = campaign.sent_today, campaign.daily_cap
        return self._reached(now, campaign.window.zone, campaign.day, count, cap, Reason.CAMPAIGN_DAILY_LIMIT)

    def new_leads_limit(self, now: datetime, campaign: CampaignState) -> Limit | None:
        """The campaign's limit of first emails a day, if reached."""
        count, cap = campaign.new_today, campaign.new_leads_cap
        return self._reached(now, campaign.window.zone, campaign.day, count, cap, Reason.NEW_LEADS_LIMIT)

    def credentials_of(self, campaign: CampaignState, credential_id: str | None) -> list[CredentialState]:
        """Those with a limit out of the campaign's own and who put the lead there (``credential_id``)."""
        names = dict.fromkeys((*campaign.credential_ids, credential_id))
        return [self.credentials[name] for name in names if name is not None and name in self.credentials]

    def credential_limit(self, now: datetime, campaign: CampaignState, credential_id: str | None) -> Limit | None:
        """The limit of one of them that is reached, if one is: the one that lifts last."""
        found = [credential.reached(now) for credential in self.credentials_of(campaign, credential_id)]
        untils = [reached.until for reached in found if reached is not None]
        if not untils:
            return None
        lifting = [until for until in untils if until is not None]
        return Limit(Reason.CREDENTIAL_DAILY_LIMIT, max(lifting) if len(lifting) == len(untils) else None)

    def mailbox_limits(self, now: datetime, campaign: CampaignState, mailbox: MailboxState) -> Limit | None:
        """What keeps the mailbox from sending for this campaign, if anything does."""
        if mailbox.blocked and (mailbox.blocked_until is None or mailbox.blocked_until > now):
            return Limit(Reason(mailbox.blocked), mailbox.blocked_until)
        count, cap = mailbox.sent_today, mailbox.daily_cap
        limit = self._reached(now, mailbox.zone, mailbox.day, count, cap, Reason.MAILBOX_DAILY_LIMIT)
        if limit:
            return limit
        free = self.free_from(campaign, mailbox)
        return Limit(Reason.MAILBOX_INTERVAL, free) if free and free > now else None

    def free_from(self, campaign: CampaignState, mailbox: MailboxState) -> datetime | None:
        """When the pause after the mailbox's last send ends; None before its first."""
        if mailbox.last_sent_at is None:
            return mailbox.free_at
        # A campaign with a larger interval may have started after that send was planned.
        free = mailbox.last_sent_at + timedelta(seconds=self.interval_seconds(campaign, mailbox.mailbox_id))
        return max(free, mailbox.free_at) if mailbox.free_at else free

    def sent_today(self, now: datetime, mailbox: MailboxState) -> int:
        """How many emails the mailbox has sent on the local day of ``now``."""
        return mailbox.sent_today if self.day(now, mailbox.zone) <= mailbox.day else 0

    def day(self, now: datetime, zone: str) -> date:
        """The local day of ``now`` in ``zone``."""
        known = self._today.get(zone)
        if known is None or not known.start <= now < known.end:
            day = local_day(now, zone)
            known = _Today(day_start(zone, day), day_start(zone, day + timedelta(days=1)), day)
            self._today[zone] = known
        return known.day

    def give_back(self, slot: Slot) -> None:
        """Uncounts a send that came to nothing, on the day on which it was counted; the pause of its mailbox stays."""
        campaign, mailbox = self.campaigns[slot.campaign_id], self.mailboxes[slot.mailbox_id]
        self.mailboxes[slot.mailbox_id] = replace(mailbox, sent_today=mailbox.sent_today - 1)
        self.campaigns[slot.campaign_id] = replace(
            campaign, sent_today=campaign.sent_today - 1, new_today=campaign.new_today - (slot.step_index == 0)
        )
        for credential in self.credentials_of(campaign, slot.credential_id):
            self.credentials[credential.credential_id] = credential.given_back(slot.at)

    def apply(self, slot: Slot) -> None:
        """Counts one send and starts the pause of its mailbox."""
        self.campaigns[slot.campaign_id] = self._counted(self.campaigns[slot.campaign_id], slot)
        campaign, mailbox = self.campaigns[slot.campaign_id], self.mailboxes[slot.mailbox_id]
        for credential in self.credentials_of(campaign, slot.credential_id):
            self.credentials[credential.credential_id] = credential.counted(slot.at)
        step_id = campaign.steps[slot.step_index].step_id
        gap = gap_seconds(
            self.seed,
            slot.mailbox_id,
            f"{slot.campaign_id}|{slot.lead_id}|{step_id}",
            self.interval_seconds(campaign, slot.mailbox_id),
        )
        free_at = slot.at + timedelta(seconds=gap)
        self.mailboxes[slot.mailbox_id] = replace(
            mailbox,
            day=max(mailbox.day, self.day(slot.at, mailbox.zone)),
            sent_today=self.sent_today(slot.at, mailbox) + 1,
            last_sent_at=max(mailbox.last_sent_at or slot.at, slot.at),
            free_at=max(mailbox.free_at or free_at, free_at),
        )

    def _compare_intervals(self) -> None:
        self._intervals = {}
        for campaign in self.campaigns.values():
            for mailbox_id in campaign.mailbox_ids:
                known = self._intervals.get(mailbox_id, 0)
                self._intervals[mailbox_id] = max(known, campaign.interval_seconds)

    def _counted(self, campaign: CampaignState, slot: Slot) -> CampaignState:
        today = self.day(slot.at, campaign.window.zone)
        same_day = today <= campaign.day
        return replace(
            campaign,
            day=max(campaign.day, today),
            sent_today=(campaign.sent_today if same_day else 0) + 1,
            new_today=(campaign.new_today if same_day else 0) + (slot.step_index == 0),
        )

    def _reached(
        self, now: datetime, zone: str, counted_day: date, count: int, cap: int | None, reason: Reason
    ) -> Limit | None:
        if cap is None:
            return None
        if cap <= 0:
            return Limit(reason, None)
        today = self.day(now, zone)
        if today < counted_day:
            # The clock went back: what was sent on this day is no longer known, so wait for the day that is.
            return Limit(reason, day_start(zone, counted_day))
        if today > counted_day or count < cap:
            return None
        return Limit(reason, day_start(zone, today + timedelta(days=1)))
