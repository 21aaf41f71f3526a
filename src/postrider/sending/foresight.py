"""Who of a plan would be held or left out when their turn comes, found out as the sender finds it out."""

from collections.abc import Collection, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from postrider.campaigns.launch import SENDER_KEYS
from postrider.campaigns.sequence import EmailStep
from postrider.content.template import LeadFacts, TemplateError, lead_values
from postrider.dnc.queries import covered_emails
from postrider.kernel.vault import Vault
from postrider.leads.tables import Lead
from postrider.mailboxes.tables import Mailbox
from postrider.sending.composing import choose_variant
from postrider.sending.forecast import DNC_REASON
from postrider.sending.letter import Stationery, facts_of_sender
from postrider.sending.plan_queries import CandidateRow, Setting
from postrider.sending.plan_state import Candidate
from postrider.sending.program import Program
from postrider.sending.rehearsal import Reader, words_for
from postrider.sending.work_queries import LeadRow, lead_facts

_CHUNK: Final = 500
_ALWAYS: Final = frozenset({"email", "contact", "today", "weekday"})
_SAMPLE_TOKEN: Final = "plan"
_COLUMNS: Final = Lead.__table__.c


@dataclass(frozen=True, slots=True)
class _Demand:
    """What the emails of a campaign ask for. ``keys``: of the lead. ``everyone``: no lead is safe by its keys alone."""

    keys: frozenset[str]
    everyone: bool


class Foresight:
    """The obstacles that the candidates of a plan will meet.

    Few leads lack anything, so their values are compared with what the compiled templates ask for; only those that may
    lack something are kept, and rendered when their turn comes.
    """

    def __init__(self, session: Session, setting: Setting, vault: Vault, stationery: Stationery, now: datetime) -> None:
        self._session = session
        self._setting = setting
        self._vault = vault
        self._stationery = stationery
        self._now = now
        self._suspects: dict[tuple[str, str], LeadRow] = {}
        self._listed: dict[str, bool] = {}

    def look_at(self, program: Program, rows: Sequence[CandidateRow]) -> None:
        """Reads what is needed of the leads of ``rows``, candidates of one campaign, in chunks."""
        demand = _demand(program, self._setting.mailboxes, self._stationery)
        for start in range(0, len(rows), _CHUNK):
            chunk = [row.lead_id for row in rows[start : start + _CHUNK]]
            emails: dict[str, str] = {}
            for lead in self._leads(chunk):
                emails[lead.email] = lead.id
                if demand.everyone or not demand.keys <= _keys_of(lead):
                    self._suspects[program.campaign_id, lead.id] = lead
            found = covered_emails(self._session, self._vault, program.workspace_id, emails)
            self._listed.update({emails[email]: binding for email, binding in found.items()})

    def obstacle(self, candidate: Candidate, mailbox_id: str) -> str | None:
        """Why the sender would not send this email from that mailbox: ``missing_variable:<name>``, ``on_dnc`` …"""
        program = self._setting.programs[candidate.campaign_id]
        lead = self._suspects.get((candidate.campaign_id, candidate.lead_id))
        mailbox = self._setting.mailboxes.get(mailbox_id)
        if lead is not None and mailbox is not None:
            reason = self._hold_reason(program, program.emails[candidate.step_index], lead, mailbox)
            if reason is not None:
                return reason
        binding = self._listed.get(candidate.lead_id)
        return DNC_REASON if binding or (binding is not None and program.settings.skip_dnc) else None

    def _hold_reason(self, program: Program, email: EmailStep, lead: LeadRow, mailbox: Mailbox) -> str | None:
        try:
            variant = choose_variant(self._stationery.choices_seed, lead.id, email.id, program.variants(email))
        except TemplateError as error:
            return f"bad_template: {error.message}"
        reader = Reader(lead.id, lead_facts(lead), _texts(lead), _SAMPLE_TOKEN)
        composed = words_for(program, email, variant, reader, mailbox, self._stationery, self._now)
        return composed.hold_reason

    def _leads(self, ids: Collection[str]) -> Iterator[LeadRow]:
        workspace_id = self._setting.workspace_id
        query = select(*(_COLUMNS[name] for name in LeadRow._fields)).where(
            _COLUMNS.workspace_id == workspace_id, _COLUMNS.id.in_(ids)
        )
        return (LeadRow(*row) for row in self._session.connection().execute(query))


def _demand(program: Program, mailboxes: dict[str, Mailbox], stationery: Stationery) -> _Demand:
    if program.settings.unknown_variables == "blank":
        return _Demand(frozenset(), everyone=False)
    keys: set[str] = set()
    try:
        variants = [variant for email in program.emails for variant in program.variants(email)]
    except TemplateError:
        return _Demand(frozenset(), everyone=True)
    for variant in variants:
        keys |= variant.needed_variables().keys()
    senders = [mailboxes[name] for name in program.mailbox_ids if name in mailboxes]
    everyone = (
        any(variant.makes_links() for variant in variants)
        or ("unsubscribeurl" in keys and stationery.public_url is None)
        or any(not keys & SENDER_KEYS <= _keys_of_sender(sender) for sender in senders)
    )
    return _Demand(frozenset(keys) - SENDER_KEYS - _ALWAYS - {"unsubscribeurl"}, everyone)


def _keys_of(lead: LeadRow) -> AbstractSet[str]:
    return lead_values(lead_facts(lead), custom=_texts(lead)).common.keys()


def _keys_of_sender(mailbox: Mailbox) -> AbstractSet[str]:
    facts = facts_of_sender(mailbox.email, mailbox.display_name, mailbox.signature)
    return lead_values(LeadFacts(mailbox.email), facts).common.keys()


def _texts(lead: LeadRow) -> dict[str, str]:
    return {name: str(value) for name, value in lead.custom_fields.items() if value is not None}
