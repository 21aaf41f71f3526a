"""Which leads of a campaign lack a value for a variable that a coming email uses without a fallback."""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields
from datetime import date
from typing import Final

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from postrider.campaigns.compiling import CompiledVariant
from postrider.campaigns.launch import SENDER_KEYS
from postrider.campaigns.sequence import EmailStep
from postrider.campaigns.states import RUNNING
from postrider.campaigns.tables import Campaign, Enrollment
from postrider.content.template import Chooser, LeadFacts, SenderFacts, Values, lead_values, variable_key
from postrider.leads.tables import Lead

MAX_CHECKED: Final = 10_000
"""Leads looked at one by one in a start; those beyond are held one by one when their turn comes."""
MAX_NAMED: Final = 10
_BATCH: Final = 500

_ANY_SENDER: Final = SenderFacts("sender@sender.test", "First Last", signature="signature")
"""What mailboxes lack is found out mailbox by mailbox, not lead by lead."""

_FACTS: Final = tuple(field.name for field in fields(LeadFacts))
_COLUMNS: Final[dict[str, tuple[InstrumentedAttribute[str | None], ...]]] = {
    "fullname": (Lead.first_name, Lead.last_name)
} | {variable_key(name): (getattr(Lead, name),) for name in _FACTS}
_ALWAYS: Final = SENDER_KEYS | {"email", "contact", "today", "weekday", "unsubscribeurl"}


@dataclass(frozen=True, slots=True)
class Gap:
    """A lead, and the variables that it has no value for."""

    lead_id: str
    email: str
    variables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """A campaign's emails with their variants compiled, and what their choices depend on."""

    row: Campaign
    emails: Sequence[tuple[EmailStep, Sequence[CompiledVariant]]]
    seed: bytes
    today: date

    def needed(self) -> dict[str, str]:
        """The variables that enabled variants use somewhere without a fallback: key to name."""
        found: dict[str, str] = {}
        for _, variants in self.emails:
            for variant in variants:
                found |= variant.needed_variables() if variant.enabled else {}
        return found

    def missing(self, lead_id: str, next_step: int, values: Values) -> tuple[str, ...]:
        """The variables without a value in the emails that are still to come, whichever variant it will be."""
        names: dict[str, None] = {}
        for email, variants in self.emails[next_step:]:
            for variant in variants:
                if not variant.enabled:
                    continue
                chooser = Chooser(self.seed, self.row.id, lead_id, email.id, variant.label)
                for template in (variant.subject, variant.html):
                    names |= dict.fromkeys(template.render(values, chooser).missing)
        return tuple(names)


def find_gaps(session: Session, reading: Reading) -> tuple[list[Gap], bool]:
    """The first leads with a gap, and whether all leads were looked at."""
    needed = reading.needed().keys() - _ALWAYS
    gaps: list[Gap] = []
    if not needed:
        return gaps, True
    for checked, suspect in enumerate(_suspects(session, reading, needed)):
        lead_id, email, next_step, values = suspect
        if checked == MAX_CHECKED:
            return gaps, False
        # Most needs are met, and a condition or a choice may do without: only a render tells.
        names = () if needed <= values.common.keys() else reading.missing(lead_id, next_step, values)
        if names:
            gaps.append(Gap(lead_id, email, names))
        if len(gaps) == MAX_NAMED:
            return gaps, False
    return gaps, True


def _suspects(session: Session, reading: Reading, needed: AbstractSet[str]) -> Iterator[tuple[str, str, int, Values]]:
    """Running leads that may lack one of ``needed``, oldest first: id, address, next step and values."""
    columns = [getattr(Lead, name) for name in _FACTS]
    query = (
        select(Enrollment.next_step, Lead.id, Lead.custom_fields, *columns)
        .join(Lead, and_(Lead.workspace_id == Enrollment.workspace_id, Lead.id == Enrollment.lead_id))
        .where(
            Enrollment.workspace_id == reading.row.workspace_id,
            Enrollment.campaign_id == reading.row.id,
            Enrollment.status.in_(RUNNING),
        )
        .order_by(Enrollment.id)
        .limit(MAX_CHECKED + 1)
    )
    # A custom field may be spelled in many ways, so only the standard ones can be looked for in the database.
    if needed <= _COLUMNS.keys():
        query = query.where(or_(*(_blank(_COLUMNS[key]) for key in needed)))
    with session.execute(query, execution_options={"yield_per": _BATCH}) as found:
        for next_step, lead_id, custom, *facts in found:
            lead = LeadFacts(**dict(zip(_FACTS, facts, strict=True)))
            texts = {name: str(value) for name, value in custom.items() if value is not None}
            values = lead_values(
                lead, _ANY_SENDER, custom=texts, unsubscribe_url="https://unsubscribe.test", today=reading.today
            )
            yield lead_id, lead.email, next_step, values


def _blank(columns: Sequence[InstrumentedAttribute[str | None]]) -> ColumnElement[bool]:
    return and_(*(func.trim(func.coalesce(column, "")) == "" for column in columns))
