"""What the checks look at: the ledger in the database, the sandbox's own list, and what the agent was told."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from postrider.adapters.sandbox import AcceptedMail
from postrider.demo.client import Facts
from postrider.demo.house import House
from postrider.inbox.tables import InboundMessage
from postrider.mailboxes.ports import MailAccount
from postrider.sending.foreseen import foresee
from postrider.sending.letter import Stationery
from postrider.sending.tables import Attempt, Event


@dataclass(frozen=True, slots=True)
class LeadState:
    """Where a lead stands. ``reason``: why it stopped or is held. ``next_at``: when its next email may leave.

    ``emails``: how many it was sent, as the agent is told.
    """

    lead_id: str
    email: str
    status: str
    reason: str | None
    next_at: datetime | None
    emails: int


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One attempt of the ledger. ``at``: when it was done."""

    lead_id: str
    step: int
    state: str
    message_id: str
    mailbox_id: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Foretold:
    """One email as it was planned before the start."""

    lead_id: str
    step: int
    mailbox_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Happening:
    """One event of the campaign."""

    kind: str
    lead_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that has to add up, ``now`` being the end of the demo.

    ``delivered``: messages the sandbox put into INBOX; ``stored``: those that are kept.
    """

    now: datetime

    leads: Sequence[LeadState]
    ledger: Sequence[LedgerLine]
    events: Sequence[Happening]
    accepted: Sequence[AcceptedMail]
    delivered: int
    stored: int
    imported: Facts
    plan: Facts
    foretold: Sequence[Foretold]
    stats: Facts
    daily: Sequence[Facts]

    def count(self, kind: str) -> int:
        """How many events of one kind there are."""
        return sum(event.kind == kind for event in self.events)

    def sent_to(self, lead_id: str) -> int:
        """How many emails of the campaign one lead got."""
        return sum(line.lead_id == lead_id and line.state == "sent" for line in self.ledger)


@dataclass(frozen=True, slots=True)
class Told:
    """What the agent learned through tools."""

    leads: Sequence[LeadState]
    imported: Facts
    plan: Facts
    foretold: Sequence[Foretold]
    stats: Facts
    daily: Sequence[Facts]


async def foretell(house: House, campaign_id: str) -> list[Foretold]:
    """What plan_campaign counts, email by email."""
    app, now = house.app, house.clock.now()
    stationery = Stationery.of(app.settings, app.vault)
    foreseen = await app.database.read(
        lambda session: foresee(
            session, house.owner.workspace_id, campaign_id, vault=app.vault, stationery=stationery, now=now
        )
    )
    return [Foretold(slot.lead_id, slot.step_index + 1, slot.mailbox_id, slot.at) for slot in foreseen.forecast.sends]


async def collect(house: House, campaign_id: str, mailboxes: Sequence[Facts], told: Told) -> Evidence:
    """The evidence on one campaign."""
    workspace_id = house.owner.workspace_id
    accounts = [MailAccount(workspace_id, box["id"], box["email"], "sandbox", None, None) for box in mailboxes]

    def read(session: Session) -> Evidence:
        return Evidence(
            now=house.clock.now(),
            leads=told.leads,
            ledger=_ledger(session, campaign_id),
            events=_events(session, campaign_id),
            accepted=house.sandbox.accepted,
            delivered=sum(len(house.sandbox.inbox(account)) for account in accounts),
            stored=session.scalar(select(func.count(InboundMessage.id))) or 0,
            imported=told.imported,
            plan=told.plan,
            foretold=told.foretold,
            stats=told.stats,
            daily=told.daily,
        )

    return await house.app.database.read(read)


def _ledger(session: Session, campaign_id: str) -> list[LedgerLine]:
    query = select(Attempt).where(Attempt.campaign_id == campaign_id, Attempt.purpose == "step").order_by(Attempt.id)
    return [
        LedgerLine(row.lead_id or "", (row.step_index or 0) + 1, row.state, row.message_id, row.mailbox_id, row.done_at)
        for row in session.scalars(query)
    ]


def _events(session: Session, campaign_id: str) -> list[Happening]:
    query = select(Event).where(Event.campaign_id == campaign_id).order_by(Event.at, Event.id)
    return [Happening(row.kind, row.lead_id or "", row.at) for row in session.scalars(query)]
