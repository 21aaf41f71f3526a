"""Loads what the sender needs for the sends it has claimed, in a few statements for the whole batch."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Select, bindparam, select
from sqlalchemy.orm import Session

from postrider.access.house import house_of
from postrider.campaigns.tables import Campaign
from postrider.content.template import LeadFacts
from postrider.dnc.queries import hash_value, hashes_covering, listed_reason
from postrider.kernel.ids import random_text
from postrider.kernel.vault import Vault, VaultError
from postrider.leads.tables import Lead
from postrider.mailboxes.queries import account_of
from postrider.mailboxes.tables import Mailbox
from postrider.sending.agenda import hours_for
from postrider.sending.claimant import Claimant
from postrider.sending.composing import choose_variant
from postrider.sending.plan_queries import CandidateRow, Setting, candidate_of
from postrider.sending.plan_state import Slot
from postrider.sending.program import Program
from postrider.sending.tables import UnsubscribeToken
from postrider.sending.windows import open_hours
from postrider.sending.work import Claim, Recipient, Sender, StepWork, Thread
from postrider.storage.base import JsonObject, insert_or_replace
from postrider.storage.prepared import Prepared

TOKEN_CHARACTERS = 32


@dataclass(frozen=True, slots=True)
class Claimed:
    """Sends that were claimed and counted, before what they say has been loaded."""

    setting: Setting
    slots: Sequence[Slot]
    rows: dict[str, CandidateRow]
    claims: dict[str, Claim]
    senders: dict[str, Sender]

    @property
    def enrollment_ids(self) -> list[str]:
        """Whose sends these are."""
        return [slot.enrollment_id for slot in self.slots]


def load_works(session: Session, claimant: Claimant, claimed: Claimed) -> list[StepWork]:
    """The works for what was claimed, in order. It only reads, so that it keeps no writer waiting."""
    setting, slots, rows, claims = claimed.setting, claimed.slots, claimed.rows, claimed.claims
    vault = claimant.vault
    wanted = {slot.lead_id for slot in slots}
    leads = _load_leads(session, setting.workspace_id, wanted)
    tokens = _tokens_of(session, vault, setting.workspace_id, leads.values())
    copies = {
        campaign_id: _copies_of(session, vault, setting.programs[campaign_id])
        for campaign_id in {slot.campaign_id for slot in slots}
    }
    house = house_of(session, setting.workspace_id)
    works = []
    for slot in slots:
        program, lead, row = setting.programs[slot.campaign_id], leads[slot.lead_id], rows[slot.enrollment_id]
        email = program.emails[slot.step_index]
        copied = copies[slot.campaign_id]
        works.append(
            StepWork(
                workspace_id=setting.workspace_id,
                enrollment_id=slot.enrollment_id,
                program=program,
                email=email,
                variant=choose_variant(claimant.seed, lead.id, email.id, program.variants(email)).label,
                recipient=recipient_of(setting.workspace_id, lead, vault, tokens[lead.id]),
                sender=claimed.senders[slot.mailbox_id],
                thread=Thread(row.thread_subject, tuple(row.thread_ids)),
                claim=claims[slot.enrollment_id],
                planned_at=slot.at,
                house=house,
                closes_at=_window_end(setting, slot, row),
                copies=copied.cc,
                blind_copies=copied.bcc,
                copy_hashes=copied.hashes,
            )
        )
    return works


def _window_end(setting: Setting, slot: Slot, row: CandidateRow) -> datetime | None:
    """When the sending window in which ``slot`` was planned ends for its lead."""
    campaign = setting.state.campaigns[slot.campaign_id]
    return open_hours(campaign.window, *hours_for(campaign, candidate_of(row))).closes_at(slot.at)


_ENSURE_TOKEN: Final = Prepared(
    lambda dialect: insert_or_replace(UnsubscribeToken, dialect, ("workspace_id", "email_hash"), "lead_id").values(
        {column.name: bindparam(f"v_{column.name}", type_=column.type) for column in UnsubscribeToken.__table__.c}
    )
)


class LeadRow(NamedTuple):
    """The columns of a lead that mail is written with."""

    id: str
    email: str
    first_name: str | None
    last_name: str | None
    company_name: str | None
    job_title: str | None
    phone: str | None
    linkedin_url: str | None
    city: str | None
    state: str | None
    country: str | None
    website: str | None
    custom_fields: JsonObject


def _load_leads(session: Session, workspace_id: str, ids: Iterable[str]) -> dict[str, LeadRow]:
    query = _lead_rows(workspace_id, ids)
    return {row[0]: LeadRow(*row) for row in session.connection().execute(query)}


def _lead_rows(workspace_id: str, ids: Iterable[str]) -> Select[Any]:
    columns = Lead.__table__.c
    return select(*(columns[name] for name in LeadRow._fields)).where(
        columns.workspace_id == workspace_id, columns.id.in_(list(ids))
    )


def open_senders(setting: Setting, slots: Sequence[Slot], vault: Vault) -> tuple[dict[str, Sender], list[str]]:
    """The mailboxes of ``slots`` with their passwords opened, and those of them whose password does not open."""
    senders: dict[str, Sender] = {}
    unreadable: list[str] = []
    for mailbox_id in sorted({slot.mailbox_id for slot in slots}):
        try:
            senders[mailbox_id] = sender_of(setting.mailboxes[mailbox_id], vault)
        except VaultError:
            unreadable.append(mailbox_id)
    return senders, unreadable


def sender_of(row: Mailbox, vault: Vault) -> Sender:
    """A mailbox as the sender needs it. Raises: VaultError."""
    return Sender(account_of(row, vault), row.display_name, row.signature)


def recipient_of(workspace_id: str, lead: LeadRow | Lead, vault: Vault, token: str) -> Recipient:
    """A lead as the sender needs it."""
    return Recipient(
        lead_id=lead.id,
        email=lead.email,
        facts=lead_facts(lead),
        custom=lead_custom(lead),
        hashes=hashes_covering(vault, workspace_id, lead.email),
        token=token,
    )


def lead_facts(lead: LeadRow | Lead) -> LeadFacts:
    """What the lead variables are made from."""
    return LeadFacts(
        email=lead.email,
        first_name=lead.first_name,
        last_name=lead.last_name,
        company_name=lead.company_name,
        job_title=lead.job_title,
        phone=lead.phone,
        linkedin_url=lead.linkedin_url,
        city=lead.city,
        state=lead.state,
        country=lead.country,
        website=lead.website,
    )


def lead_custom(lead: LeadRow | Lead) -> dict[str, str | None]:
    """The lead's own variables."""
    return {name: str(value) for name, value in lead.custom_fields.items() if value is not None}


def is_as_loaded(connection: Connection, work: StepWork) -> bool:
    """Whether campaign and lead are what ``work`` was made from. Nobody changes them until this transaction ends."""
    revision = connection.execute(
        select(Campaign.revision)
        .where(Campaign.workspace_id == work.workspace_id, Campaign.id == work.program.campaign_id)
        .with_for_update(read=True)
    ).scalar()
    row = connection.execute(
        _lead_rows(work.workspace_id, [work.recipient.lead_id]).with_for_update(read=True)
    ).one_or_none()
    if row is None or revision != work.program.revision:
        return False
    lead = LeadRow(*row)
    return (lead_facts(lead), lead_custom(lead)) == (work.recipient.facts, work.recipient.custom)


def ensure_tokens(
    session: Session, vault: Vault, workspace_id: str, lead_ids: Sequence[str], now: datetime
) -> dict[str, str]:
    """One token for the address of each lead, made on first use and the same for ever after; the addresses by lead.

    A token goes on when its lead is deleted and made anew.
    """
    if not lead_ids:
        return {}
    leads = Lead.__table__.c
    query = select(leads.id, leads.email).where(leads.workspace_id == workspace_id, leads.id.in_(list(lead_ids)))
    connection = session.connection()
    emails: dict[str, str] = {row[0]: row[1] for row in connection.execute(query)}
    rows = [
        {
            "v_workspace_id": workspace_id,
            "v_email_hash": hash_value(vault, workspace_id, email),
            "v_token": _new_token(),
            "v_lead_id": lead_id,
            "v_created_at": now,
        }
        for lead_id, email in emails.items()
    ]
    _ENSURE_TOKEN.many(connection, rows)
    return emails


def ensure_token(
    session: Session, vault: Vault, workspace_id: str, email: str, lead_id: str | None, now: datetime
) -> str:
    """The token of one address, made on first use. ``lead_id``: who has the address now, if anybody has."""
    columns = UnsubscribeToken.__table__.c
    value = hash_value(vault, workspace_id, email)
    connection = session.connection()
    query = select(columns.token).where(columns.workspace_id == workspace_id, columns.email_hash == value)
    known = connection.execute(query).scalar()
    if known is not None and lead_id is None:
        return str(known)
    row = {
        "v_workspace_id": workspace_id,
        "v_email_hash": value,
        "v_token": _new_token(),
        "v_lead_id": lead_id,
        "v_created_at": now,
    }
    _ENSURE_TOKEN.run(connection, row)
    return str(connection.execute(query).scalar_one())


def _tokens_of(session: Session, vault: Vault, workspace_id: str, leads: Iterable[LeadRow]) -> dict[str, str]:
    hashes = {lead.id: hash_value(vault, workspace_id, lead.email) for lead in leads}
    columns = UnsubscribeToken.__table__.c
    query = select(columns.email_hash, columns.token).where(
        columns.workspace_id == workspace_id, columns.email_hash.in_(list(hashes.values()))
    )
    known: dict[str, str] = {row[0]: row[1] for row in session.connection().execute(query)}
    return {lead_id: known[value] for lead_id, value in hashes.items()}


def _new_token() -> str:
    """160 random bits in lower-case characters that survive any mail client."""
    return random_text(TOKEN_CHARACTERS)


class Copies(NamedTuple):
    """Who gets a copy, openly and blind, and for each of them the hashes of all that, if listed, forbids it."""

    cc: tuple[str, ...]
    bcc: tuple[str, ...]
    hashes: dict[str, list[str]]


def allowed_copies(
    session: Session, vault: Vault, workspace_id: str, cc: Sequence[str], bcc: Sequence[str], *, binding_only: bool
) -> Copies:
    """``cc`` and ``bcc`` without those on the do-not-contact list. ``binding_only``: see ``listed_reason``.

    Both markers ask the same again (``Question.copies``).
    """
    hashes = {address: hashes_covering(vault, workspace_id, address) for address in (*cc, *bcc)}
    allowed = {
        address: own
        for address, own in hashes.items()
        if listed_reason(session, workspace_id, own, binding_only=binding_only) is None
    }
    return Copies(
        tuple(address for address in cc if address in allowed),
        tuple(address for address in bcc if address in allowed),
        allowed,
    )


def _copies_of(session: Session, vault: Vault, program: Program) -> Copies:
    settings = program.settings
    return allowed_copies(session, vault, program.workspace_id, settings.cc, settings.bcc, binding_only=False)
