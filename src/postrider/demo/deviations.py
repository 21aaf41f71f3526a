"""Where reality left the plan, email by email, and the recorded cause of each. Pure."""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from postrider.demo.evidence import Evidence, Foretold, Happening, LeadState, LedgerLine
from postrider.demo.scenario import SCHEDULE

Place = tuple[date, str]
"""A local day of the campaign, and a mailbox."""
Key = tuple[str, int]
"""One email: a lead and a step."""

ENDED_BY: Final = frozenset({"replied", "bounced", "unsubscribed", "complained"})
"""Events after which a lead must not be written to."""
_DELAYED_BY: Final = {"deferred": "retry", "auto_replied": "out of office"}
_RETRY: Final = "retry"
_RETRY_DAYS: Final = 4
"""Working days by which a retry may be late, its follow-ups with it: two for the tries, the rest for full days."""
_SLOT: Final = "moved by another lead's turn"
_SLOT_DAYS: Final = 3
"""Working days by which other people's slots may move an email."""
_ZONE: Final = ZoneInfo(str(SCHEDULE["timezone"]))
_SATURDAY: Final = 5


@dataclass(frozen=True, slots=True)
class Deviation:
    """An email that left on another day, from another mailbox, or not at all, or that nobody had planned.

    ``cause`` None: nothing on record explains it.
    """

    lead_id: str
    step: int
    planned: Place | None
    sent: Place | None
    cause: str | None


def place_of(at: datetime, mailbox_id: str) -> Place:
    """Where an email is counted."""
    return _day(at), mailbox_id


def planned_places(evidence: Evidence) -> Counter[Place]:
    """How many emails were foretold for each day and mailbox."""
    return Counter(place_of(one.at, one.mailbox_id) for one in evidence.foretold)


def sent_places(evidence: Evidence) -> Counter[Place]:
    """How many emails left on each day from each mailbox."""
    return Counter(place_of(line.at, line.mailbox_id) for line in evidence.ledger if line.state == "sent" and line.at)


def deviations(evidence: Evidence) -> list[Deviation]:
    """Every email whose day and mailbox are not those of the plan, with its cause.

    A cause is the lead's own wherever there is one. What is left may have moved up, back or over to another mailbox
    because others gave their slots up or took new ones, but only as far and as often as these slots can explain.
    """
    planned = {(one.lead_id, one.step): one for one in evidence.foretold}
    sent = {(line.lead_id, line.step): line for line in evidence.ledger if line.state == "sent" and line.at}
    found = [one for key in planned.keys() | sent.keys() if (one := _compared(key, planned.get(key), sent.get(key)))]
    causes = _own_causes(evidence, found, planned, sent)
    slots = _Slots(evidence, found, causes)
    for one in sorted(found, key=lambda one: (one.planned or one.sent or (date.max, ""), one.lead_id, one.step)):
        key = (one.lead_id, one.step)
        if key in planned and key not in causes and slots.explain(one, planned[key], sent):
            causes[key] = _SLOT
    boxes = _Boxes(planned.values(), sent)
    return [
        Deviation(*key, one.planned, one.sent, causes.get(key) if boxes.allow(key) else None)
        for key, one in sorted(((one.lead_id, one.step), one) for one in found)
    ]


def _compared(key: Key, planned: Foretold | None, sent: LedgerLine | None) -> Deviation | None:
    wanted = place_of(planned.at, planned.mailbox_id) if planned else None
    found = place_of(sent.at, sent.mailbox_id) if sent and sent.at else None
    return Deviation(*key, wanted, found, None) if wanted != found else None


def _own_causes(
    evidence: Evidence,
    found: Sequence[Deviation],
    planned: Mapping[Key, Foretold],
    sent: Mapping[Key, LedgerLine],
) -> dict[Key, str]:
    """The causes that are on record about the leads themselves."""
    leads = {lead.lead_id: lead for lead in evidence.leads}
    refused = {(one.lead_id, one.step): one.at for one in evidence.ledger if one.state == "rejected" and one.at}
    events = defaultdict(list)
    for event in evidence.events:
        events[event.lead_id].append(event)
    causes = {}
    for one in found:
        key, lead, own = (one.lead_id, one.step), leads.get(one.lead_id), events[one.lead_id]
        if key not in planned:
            continue
        line, tried = sent.get(key), refused.get(key)
        cause = _why_late(planned[key], line, own) if line else _why_never(planned[key], lead, own, evidence.now, tried)
        if cause is not None:
            causes[key] = cause
    return causes


def _why_late(planned: Foretold, line: LedgerLine, own: Sequence[Happening]) -> str | None:
    """What delayed an email of this lead; nothing makes one early."""
    assert line.at is not None
    cause = next((_DELAYED_BY[one.kind] for one in own if one.kind in _DELAYED_BY and one.at < line.at), None)
    days = _working_days(_day(planned.at), _day(line.at))
    return None if line.at < planned.at or (cause == _RETRY and days > _RETRY_DAYS) else cause


def _why_never(
    planned: Foretold, lead: LeadState | None, own: Sequence[Happening], now: datetime, tried: datetime | None
) -> str | None:
    """What ended the lead before its turn or, when it was ``tried`` and refused, at it; or what it still waits for."""
    end = next((one for one in own if one.kind in ENDED_BY), None)
    until = end.at if end else now
    delay = next((_DELAYED_BY[one.kind] for one in own if one.kind in _DELAYED_BY and one.at < until), None)
    if end is not None:
        if tried is not None and end.kind == "bounced":
            return end.kind if _working_days(_day(planned.at), _day(tried)) <= _SLOT_DAYS else None
        # An end that came after the planned instant does not say why nothing was sent then.
        return end.kind if end.at <= planned.at or delay else None
    if lead is None or lead.reason is not None:
        return ("held" if lead.status == "active" else lead.status) if lead else None
    return delay if _waits(lead, now) else None


def _waits(lead: LeadState, now: datetime) -> bool:
    return lead.status == "active" and lead.next_at is not None and lead.next_at > now


class _Boxes:
    """Which mailboxes may write to whom: those of the plan, and to each lead always the same one."""

    def __init__(self, planned: Iterable[Foretold], sent: Mapping[Key, LedgerLine]) -> None:
        self._known = {one.mailbox_id for one in planned}
        self._sent = sent

    def allow(self, key: Key) -> bool:
        """Whether an email left from a mailbox that it may come from; so does one that never left."""
        line, first = self._sent.get(key), self._sent.get((key[0], 1))
        if line is None:
            return True
        return line.mailbox_id in self._known and first is not None and first.mailbox_id == line.mailbox_id


class _Slots:
    """The slots that leads with causes of their own gave up or took, and what follows from that for the others.

    Between two working days, one that was given up lets one email move up, and any may push one back; on each day and
    in each mailbox it makes a difference of one email.
    """

    def __init__(self, evidence: Evidence, found: Sequence[Deviation], causes: Mapping[Key, str]) -> None:
        caused = [one for one in found if (one.lead_id, one.step) in causes]
        elsewhere = {one.lead_id for one in caused}
        # One that was tried again on its day and from its mailbox is where it was planned: it took a slot all the same.
        again = [one.at for one in evidence.events if one.kind == "deferred" and one.lead_id not in elsewhere]
        self._given_up = sorted(one.planned[0] for one in caused if one.planned)
        self._all = sorted([*self._given_up, *(one.sent[0] for one in caused if one.sent), *map(_day, again)])
        planned, sent = planned_places(evidence), sent_places(evidence)
        self._differences = {place: abs(sent[place] - planned[place]) for place in planned.keys() | sent.keys()}
        self._moves: Counter[tuple[date, bool]] = Counter()
        self._leads = {lead.lead_id: lead for lead in evidence.leads}
        self._ends = {one.lead_id: one.at for one in reversed(evidence.events) if one.kind in ENDED_BY}
        self._now = evidence.now

    def explain(self, one: Deviation, planned: Foretold, sent: Mapping[Key, LedgerLine]) -> bool:
        """Whether slots explain this deviation beside those that were explained before."""
        wanted, found = _day(planned.at), one.sent[0] if one.sent else self._would_leave(one, sent)
        if found is None or _working_days(wanted, found) > _SLOT_DAYS:
            return False
        places = [place for place in (one.planned, one.sent) if place]
        if not self._until(min(wanted, found)) or any(self._differences[p] > self._until(p[0]) for p in places):
            return False
        slots = self._all if wanted < found else self._given_up
        borders = [(day, wanted < found) for day in _days_between(wanted, found)]
        if any(self._moves[border] >= bisect_right(slots, border[0]) for border in borders):
            return False
        self._moves.update(borders)
        return True

    def _until(self, day: date) -> int:
        """How many slots were given up or taken until the end of a day."""
        return bisect_right(self._all, day)

    def _would_leave(self, one: Deviation, sent: Mapping[Key, LedgerLine]) -> date | None:
        """The day of an email that did not leave: when the lead's turn comes, or when the lead ended meanwhile.

        None for a lead that was never written to: that needs a cause of its own.
        """
        lead = self._leads.get(one.lead_id)
        if lead is None or (one.lead_id, one.step - 1) not in sent:
            return None
        if lead.next_at is not None and _waits(lead, self._now):
            return _day(lead.next_at)
        return _day(self._ends[one.lead_id]) if one.lead_id in self._ends else None


def _day(at: datetime) -> date:
    return at.astimezone(_ZONE).date()


def _days_between(one: date, other: date) -> list[date]:
    """The working days from the earlier day, included, to the later, excluded: the ends that lie between them."""
    first, last = min(one, other), max(one, other)
    days = (first + timedelta(days=number) for number in range((last - first).days))
    return [day for day in days if day.weekday() < _SATURDAY]


def _working_days(one: date, other: date) -> int:
    return len(_days_between(one, other))
