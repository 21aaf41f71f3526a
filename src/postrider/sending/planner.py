"""Which sends leave now, from which mailbox, when the next may, and why the others wait. Pure: instants come in.

The rules, in the order in which they are checked:

1. The wait after the previous email has passed (``due_at``), and the window is open for this lead.
2. The campaign is below its daily limit and, for a first email, its limit of new leads; days are local to its zone.
   All that one credential has started or put leads into is below its limit, if it has one; its days are those of UTC.
3. A follow-up leaves only from the mailbox that sent the first email. A first email takes the mailbox that has been
   free longest, then the one that sent fewest today. Mailboxes have a daily limit in their own zone and a pause between
   any two sends, which only ever starts from a send: lost time is not made up for.

Follow-ups go before new leads, and within both the one due first.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from postrider.kernel.zones import rfc3339
from postrider.sending.agenda import Agenda, closed_reason, hours_for
from postrider.sending.capped import CredentialState
from postrider.sending.plan_state import (
    BlockedReason,
    CampaignState,
    Candidate,
    Limit,
    MailboxState,
    PlannerState,
    Reason,
    Slot,
    Step,
    Wait,
)
from postrider.sending.seeded import gap_seconds, pick_variant
from postrider.sending.windows import open_hours

__all__ = [
    "BlockedReason",
    "CampaignState",
    "Candidate",
    "Check",
    "CredentialState",
    "Decision",
    "Explanation",
    "MailboxState",
    "MailboxVerdict",
    "PlannerState",
    "Reason",
    "Slot",
    "Step",
    "Wait",
    "decide",
    "explain",
    "gap_seconds",
    "pick_variant",
]

_MAX_LOOKS_AHEAD = 100


@dataclass(frozen=True, slots=True)
class Decision:
    """What leaves now, why the rest does not, and when to ask again (None: nothing changes by itself)."""

    slots: tuple[Slot, ...]
    waits: tuple[Wait, ...]
    next_at: datetime | None


@dataclass(frozen=True, slots=True)
class Check:
    """One check of ``explain``. ``until``: when it passes by itself, if it does not now and ever will."""

    name: str
    ok: bool
    detail: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class MailboxVerdict:
    """Whether one mailbox could send this email now (``reason`` None), else why not and until when."""

    mailbox_id: str
    reason: Reason | None
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """The verdict on one lead, every check in order, and when it could be sent if nobody else were waiting."""

    outcome: Slot | Wait
    checks: tuple[Check, ...]
    mailboxes: tuple[MailboxVerdict, ...]
    earliest: datetime | None


def decide(
    now: datetime,
    campaigns: Iterable[CampaignState],
    mailboxes: Iterable[MailboxState],
    candidates: Iterable[Candidate],
    seed: bytes,
    credentials: Iterable[CredentialState] = (),
) -> Decision:
    """What may leave at ``now``; nothing given is changed, so ``PlannerState.apply`` each slot that is taken.

    Pass every active campaign of these mailboxes, also those without candidates: they share the mailboxes' pause.
    ``credentials``: those with a limit that started the campaigns or put candidates there.

    Raises: KeyError when the campaign of a candidate is not given.
    """
    agenda = Agenda(PlannerState.of(campaigns, mailboxes, seed, credentials))
    for candidate in sorted(candidates, key=lambda c: (c.is_new, c.due_at, c.enrollment_id, c.step_index)):
        agenda.add(candidate)
    slots = tuple(slot for _, slot in agenda.run(now))
    return Decision(slots, tuple(agenda.waits(now)), agenda.next_at)


def explain(
    now: datetime,
    campaign: CampaignState,
    mailboxes: Iterable[MailboxState],
    candidate: Candidate,
    seed: bytes,
    other_campaigns: Iterable[CampaignState] = (),
    credentials: Iterable[CredentialState] = (),
) -> Explanation:
    """Why one lead is or is not sent its next email at ``now``, as if it were the only one waiting.

    ``other_campaigns``: the other active campaigns of these mailboxes, for the pause they share.
    """
    state = PlannerState.of([campaign, *other_campaigns], mailboxes, seed, credentials)
    outcome = _alone(now, state, candidate)
    verdicts = tuple(_mailbox_verdicts(now, state, campaign, candidate))
    checks = [_step_check(campaign, candidate), _due_check(now, candidate), *_hours_checks(now, campaign, candidate)]
    checks += _campaign_checks(now, state, campaign, candidate)
    checks.append(_mailbox_check(candidate, verdicts))
    return Explanation(outcome, tuple(checks), verdicts, _earliest(state, candidate, outcome))


def _alone(now: datetime, state: PlannerState, candidate: Candidate) -> Slot | Wait:
    agenda = Agenda(state.copy())
    agenda.add(candidate)
    sent = agenda.run(now)
    return sent[0][1] if sent else agenda.waits(now)[0]


def _earliest(state: PlannerState, candidate: Candidate, outcome: Slot | Wait) -> datetime | None:
    for _ in range(_MAX_LOOKS_AHEAD):
        if isinstance(outcome, Slot):
            return outcome.at
        if outcome.until is None:
            return None
        outcome = _alone(outcome.until, state, candidate)
    return None


def _step_check(campaign: CampaignState, candidate: Candidate) -> Check:
    total = len(campaign.steps)
    return Check("step", candidate.step_index < total, f"email {candidate.step_index + 1} of {total}")


def _due_check(now: datetime, candidate: Candidate) -> Check:
    ok = candidate.due_at <= now
    return Check("due", ok, f"due at {rfc3339(candidate.due_at)}", None if ok else candidate.due_at)


def _hours_checks(now: datetime, campaign: CampaignState, candidate: Candidate) -> list[Check]:
    zone, country = hours_for(campaign, candidate)
    hours = open_hours(campaign.window, zone, country)
    opens_at = hours.next_open(now)
    verdict = hours.day_verdict(now)
    in_hours = opens_at == now or closed_reason(hours, now) is Reason.HOLIDAY
    place = hours.country or "this zone"
    words = {
        "working": f"no national holiday of {place}",
        "holiday": f"a national holiday of {place}",
        "unknown": f"the holidays of {place} are not known for this day: sending anyway",
    }
    if campaign.window.holidays is None:
        words["working"] = "holidays are not skipped"
    return [
        Check("window", in_hours, f"sending hours in {zone or campaign.window.zone}", None if in_hours else opens_at),
        Check("holiday", verdict != "holiday", words[verdict], opens_at if verdict == "holiday" else None),
    ]


def _campaign_checks(now: datetime, state: PlannerState, campaign: CampaignState, candidate: Candidate) -> list[Check]:
    is_new_day = state.day(now, campaign.window.zone) > campaign.day
    sent, new = (0, 0) if is_new_day else (campaign.sent_today, campaign.new_today)
    checks = [_limit_check("campaign_daily_limit", state.daily_limit(now, campaign), sent, campaign.daily_cap)]
    if candidate.is_new:
        limit = state.new_leads_limit(now, campaign)
        checks.append(_limit_check("new_leads_limit", limit, new, campaign.new_leads_cap))
    credentials = state.credentials_of(campaign, candidate.credential_id)
    if credentials:
        limit = state.credential_limit(now, campaign, candidate.credential_id)
        detail = "; ".join(credential.told(now) for credential in credentials)
        checks.append(Check("credential_daily_limit", limit is None, detail, limit.until if limit else None))
    return checks


def _limit_check(name: str, limit: Limit | None, count: int, cap: int | None) -> Check:
    detail = "no limit" if cap is None else f"{count} of {cap} sent today"
    return Check(name, limit is None, detail, limit.until if limit else None)


def _mailbox_verdicts(
    now: datetime, state: PlannerState, campaign: CampaignState, candidate: Candidate
) -> Iterator[MailboxVerdict]:
    bound = (candidate.mailbox_id,) if candidate.mailbox_id else ()
    for mailbox_id in bound or (campaign.mailbox_ids if candidate.is_new else ()):
        mailbox = state.mailboxes.get(mailbox_id)
        if mailbox is None:
            yield MailboxVerdict(mailbox_id, Reason.MAILBOX_UNAVAILABLE, None)
        else:
            limit = state.mailbox_limits(now, campaign, mailbox)
            yield MailboxVerdict(mailbox_id, *(limit or (None, None)))


def _mailbox_check(candidate: Candidate, verdicts: tuple[MailboxVerdict, ...]) -> Check:
    ready = sum(verdict.reason is None for verdict in verdicts)
    untils = [verdict.until for verdict in verdicts if verdict.until]
    if not verdicts:
        detail = "no mailbox" if candidate.is_new else "the mailbox of the first email is not known"
    elif candidate.mailbox_id:
        detail = f"bound to {candidate.mailbox_id}: {verdicts[0].reason or 'ready'}"
    else:
        detail = f"{ready} of {len(verdicts)} mailboxes ready"
    return Check("mailbox", ready > 0, detail, min(untils, default=None) if not ready else None)
