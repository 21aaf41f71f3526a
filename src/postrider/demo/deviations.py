"""Where reality left the plan, email by email, and the recorded cause of each. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from postrider.demo.evidence import Evidence, Foretold, Happening, LeadState, LedgerLine
from postrider.demo.scenario import SCHEDULE

Place = tuple[date, str]
"""A local day of the campaign, and a mailbox."""

ENDED_BY: Final = frozenset({"replied", "bounced", "unsubscribed", "complained"})
"""Events after which a lead must not be written to."""
_DELAYED_BY: Final = {"deferred": "retry", "auto_replied": "out of office"}
_LATE_SLOT: Final = "late slot"
_ZONE: Final = ZoneInfo(str(SCHEDULE["timezone"]))


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
    return at.astimezone(_ZONE).date(), mailbox_id


def planned_places(evidence: Evidence) -> Counter[Place]:
    """How many emails were foretold for each day and mailbox."""
    return Counter(place_of(one.at, one.mailbox_id) for one in evidence.foretold)


def sent_places(evidence: Evidence) -> Counter[Place]:
    """How many emails left on each day from each mailbox."""
    return Counter(place_of(line.at, line.mailbox_id) for line in evidence.ledger if line.state == "sent" and line.at)


def deviations(evidence: Evidence) -> list[Deviation]:
    """Every email whose day and mailbox are not those of the plan, with its cause."""
    planned = {(one.lead_id, one.step): one for one in evidence.foretold}
    sent = {(line.lead_id, line.step): line for line in evidence.ledger if line.state == "sent"}
    return list(_compared(evidence, planned, sent))


def _compared(
    evidence: Evidence, planned: dict[tuple[str, int], Foretold], sent: dict[tuple[str, int], LedgerLine]
) -> Iterator[Deviation]:
    leads = {lead.lead_id: lead for lead in evidence.leads}
    for key in sorted(planned.keys() | sent.keys()):
        one, line = planned.get(key), sent.get(key)
        wanted = place_of(one.at, one.mailbox_id) if one else None
        found = place_of(line.at, line.mailbox_id) if line and line.at else None
        if wanted != found:
            cause = _cause(evidence.events, leads.get(key[0]), one, line) if one else None
            yield Deviation(*key, wanted, found, cause)


def _cause(
    events: Sequence[Happening], lead: LeadState | None, planned: Foretold, sent: LedgerLine | None
) -> str | None:
    """What is on record: about the lead itself; else about others before, whose slots went to somebody else."""
    until = sent.at if sent else None
    own = [one for one in events if one.lead_id == planned.lead_id and (until is None or one.at < until)]
    earliest = min(planned.at, until) if until else planned.at
    moved = any(one.kind in ENDED_BY or one.kind in _DELAYED_BY for one in events if one.at <= earliest)
    delay = next((_DELAYED_BY[one.kind] for one in own if one.kind in _DELAYED_BY), _LATE_SLOT if moved else None)
    if sent is None and (lead is None or lead.status != "active" or lead.reason is not None):
        end = next((one for one in own if one.kind in ENDED_BY), None)
        if end is None:
            return _standing(lead)
        # An end that came after the planned instant does not say why nothing was sent then.
        return end.kind if end.at <= planned.at or delay else None
    return delay


def _standing(lead: LeadState | None) -> str | None:
    """Why a lead without an event that ended it gets nothing more: held, or the state that it was stopped in."""
    if lead is None or lead.reason is None:
        return None
    return "held" if lead.status == "active" else lead.status
