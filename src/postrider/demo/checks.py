"""Whether the numbers add up. Pure: each check takes the evidence and says what does not fit, or nothing."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, time
from typing import Final
from zoneinfo import ZoneInfo

from postrider.demo.client import Facts
from postrider.demo.deviations import ENDED_BY, deviations, planned_places, sent_places
from postrider.demo.evidence import Evidence, Happening
from postrider.demo.scenario import EMAIL_STEPS, LEADS, MAILBOXES, SCHEDULE

Problem = str
Check = Callable[[Evidence], Iterator[Problem]]

_COUNTED: Final = {
    "sent": "sent",
    "replied": "replied",
    "autoReplied": "auto_replied",
    "bounced": "bounced",
    "unsubscribed": "unsubscribed",
    "complained": "complained",
    "opened": "opened",
    "clicked": "clicked",
    "unknown": "unknown",
}


@dataclass(frozen=True, slots=True)
class Result:
    """One check with what it found wrong."""

    title: str
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing was wrong."""
        return not self.problems


def every_lead_has_an_end_or_a_reason(evidence: Evidence) -> Iterator[Problem]:
    """Finished, stopped with a reason, or waiting: with a reason, or for an instant that is still to come."""
    for lead in evidence.leads:
        ended = lead.status == "completed" or lead.status in ENDED_BY
        waits = lead.status == "active" and lead.next_at is not None and lead.next_at > evidence.now
        if not ended and lead.reason is None and not waits:
            yield f"{lead.email} is {lead.status} without a reason or a date"


def ledger_and_provider_agree(evidence: Evidence) -> Iterator[Problem]:
    """Attempts that were sent, sent events, and the messages that the sandbox accepted are the same."""
    sent = {line.message_id for line in evidence.ledger if line.state == "sent"}
    taken = {mail.message_id for mail in evidence.accepted}
    numbers = (len(sent), evidence.count("sent"), len(evidence.accepted))
    if len(set(numbers)) != 1 or sent != taken:
        yield "the ledger has {}, events say {}, the sandbox took {}".format(*numbers)


def no_message_twice(evidence: Evidence) -> Iterator[Problem]:
    """No Message-ID reached the provider twice."""
    yield from _repeated("Message-ID", (mail.message_id for mail in evidence.accepted))


def no_step_twice(evidence: Evidence) -> Iterator[Problem]:
    """No lead got a step twice, and nobody got more emails than the sequence has."""
    yield from _repeated("step", (f"{line.lead_id}, email {line.step}" for line in evidence.ledger))
    for address, count in Counter(mail.recipients[0] for mail in evidence.accepted).items():
        if count > EMAIL_STEPS:
            yield f"{address} got {count} emails"


def analytics_equal_the_ledger(evidence: Evidence) -> Iterator[Problem]:
    """The counts that the agent was shown are those of the events."""
    for shown, kind in _COUNTED.items():
        told, happened = evidence.stats[shown], evidence.count(kind)
        if told != happened:
            yield f"analytics says {told} {shown}, the events say {happened}"
        by_day = sum(day["stats"][shown] for day in evidence.daily)
        if by_day != told:
            yield f"the days add up to {by_day} {shown}, the campaign to {told}"
    for lead in evidence.leads:
        sent = evidence.sent_to(lead.lead_id)
        if lead.emails != sent:
            yield f"{lead.email} is said to have got {lead.emails} emails, the ledger has {sent}"


def nobody_after_the_end(evidence: Evidence) -> Iterator[Problem]:
    """Nobody was written to after replying, bouncing, unsubscribing or complaining."""
    email_of = {lead.lead_id: lead.email for lead in evidence.leads}
    ended: dict[str, Happening] = {}
    for event in evidence.events:
        if event.kind in ENDED_BY:
            ended.setdefault(email_of.get(event.lead_id, event.lead_id), event)
    for mail in evidence.accepted:
        end = ended.get(mail.recipients[0])
        if end is not None and mail.accepted_at > end.at:
            yield f"{mail.recipients[0]} was written to after it had {end.kind}"


def held_leads_got_nothing(evidence: Evidence) -> Iterator[Problem]:
    """Whoever is held or on the do-not-contact list never got anything."""
    written = {mail.recipients[0] for mail in evidence.accepted}
    silent = [lead for lead in evidence.leads if lead.reason and evidence.sent_to(lead.lead_id) == 0]
    yield from (f"{lead.email} is out ({lead.reason}), but was written to" for lead in silent if lead.email in written)


def all_mail_in_its_window(evidence: Evidence) -> Iterator[Problem]:
    """Every email left on a working day, within the window, and no mailbox passed its daily limit."""
    zone = ZoneInfo(str(SCHEDULE["timezone"]))
    opens, closes = (time.fromisoformat(str(SCHEDULE[name])) for name in ("startTime", "endTime"))
    limits = {str(mailbox["email"]): int(str(mailbox["dailySendLimit"])) for mailbox in MAILBOXES}
    used: Counter[tuple[str, str]] = Counter()
    for mail in evidence.accepted:
        local = mail.accepted_at.astimezone(zone)
        used[mail.sender, local.date().isoformat()] += 1
        if local.weekday() > 4 or not opens <= local.time() < closes:
            yield f"{mail.recipients[0]} was written to at {local:%a %H:%M}"
    yield from (f"{box} sent {count} on {day}" for (box, day), count in used.items() if count > limits[box])


def every_reply_is_kept_once(evidence: Evidence) -> Iterator[Problem]:
    """Each message that came in is stored, once."""
    if evidence.delivered != evidence.stored:
        yield f"{evidence.delivered} messages came in, {evidence.stored} are stored"


def every_row_was_imported(evidence: Evidence) -> Iterator[Problem]:
    """The file's leads are in the campaign, and the bad row was named."""
    if len(evidence.leads) != LEADS:
        yield f"{len(evidence.leads)} leads are in the campaign, the file has {LEADS}"
    if len(evidence.imported["errors"]) != 1:
        yield f"the import named {len(evidence.imported['errors'])} bad rows instead of 1"


def the_plan_is_accounted_for(evidence: Evidence) -> Iterator[Problem]:
    """For each day and mailbox, what was planned was sent; every email that was not has a recorded cause."""
    told = {(date.fromisoformat(day["date"]), box): n for day in evidence.plan["days"] for box, n in _boxes(day)}
    foretold = planned_places(evidence)
    if told != foretold:
        yield f"plan_campaign tells of {sum(told.values())} emails, its own forecast of {foretold.total()}"
    for one in deviations(evidence):
        if one.cause is None:
            yield f"{one.lead_id}, email {one.step}: planned for {one.planned}, sent {one.sent}, without a cause"
    lost = Counter(one.planned for one in deviations(evidence) if one.planned)
    won = Counter(one.sent for one in deviations(evidence) if one.sent)
    sent = sent_places(evidence)
    for place in foretold.keys() | sent.keys():
        if foretold[place] - lost[place] + won[place] != sent[place]:
            yield f"{place}: {foretold[place]} planned, {lost[place]} elsewhere, {won[place]} more, {sent[place]} sent"


def _boxes(day: Facts) -> Iterator[tuple[str, int]]:
    yield from day["mailboxes"].items()


CHECKS: Final[tuple[tuple[str, Check], ...]] = (
    ("All rows of the file are leads of the campaign; the bad one was reported", every_row_was_imported),
    ("Every lead is finished, stopped with a reason, or waiting with a reason", every_lead_has_an_end_or_a_reason),
    ("Sent events = attempts sent = messages that the provider accepted", ledger_and_provider_agree),
    ("No Message-ID twice", no_message_twice),
    ("No lead got a step twice", no_step_twice),
    ("Counts in analytics equal the ledger, in all and day by day", analytics_equal_the_ledger),
    ("Nobody was written to after a reply, bounce, complaint or unsubscribe", nobody_after_the_end),
    ("Held and do-not-contact leads got nothing", held_leads_got_nothing),
    ("Every email left within its window and under its mailbox's limit", all_mail_in_its_window),
    ("Every message that came in is stored once", every_reply_is_kept_once),
    ("Each day and mailbox sent what was planned, or a recorded cause says why not", the_plan_is_accounted_for),
)


def run_checks(evidence: Evidence) -> list[Result]:
    """Every check with its findings."""
    return [Result(title, tuple(check(evidence))) for title, check in CHECKS]


def _repeated(what: str, values: Iterator[str]) -> Iterator[Problem]:
    yield from (f"{what} {value} occurs {count} times" for value, count in Counter(values).items() if count > 1)
