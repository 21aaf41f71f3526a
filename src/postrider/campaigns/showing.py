"""What a person is shown of campaigns and leads before they say yes. Reads only.

Names, texts and addresses may be strangers': each stands in quotes.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from postrider.campaigns.bodies import text_of
from postrider.campaigns.documents import SettingsInput
from postrider.campaigns.reach import waits
from postrider.campaigns.sequence import EmailStep, email_steps, read_steps
from postrider.campaigns.tables import Campaign, Enrollment
from postrider.kernel.visible import first_few, in_quotes
from postrider.leads.tables import Lead
from postrider.mailboxes.tables import Mailbox

NAMED: Final = 5
"""Leads and mailboxes that are named; of the others, it is said how many they are."""
_MOST_TEXTS: Final = 40
_TEXT: Final = 200
"""Characters of a text that are shown."""


def launch_details(session: Session, row: Campaign, people: int) -> tuple[str, ...]:
    """Of a campaign that starts: what it is called, who writes to whom, and what."""
    first = select(Enrollment.lead_id).where(*waits(row)).order_by(Enrollment.id).limit(NAMED)
    to = f"To {leads_named(session, row.workspace_id, list(session.scalars(first)), people)}"
    name, senders, *texts = campaign_details(session, row)
    return (name, senders, to, *texts)


def campaign_details(session: Session, row: Campaign) -> tuple[str, ...]:
    """Of a campaign that runs: what it is called, from where it writes, and what."""
    query = select(Mailbox.email).where(Mailbox.workspace_id == row.workspace_id, Mailbox.id.in_(row.mailbox_ids))
    senders = [in_quotes(email) for email in session.scalars(query.order_by(Mailbox.created_at, Mailbox.id))]
    return (name_of(row), f"From {first_few(senders, NAMED)}", *_copies(row), *_texts(row))


def name_of(row: Campaign) -> str:
    """What the campaign is called."""
    return f"Campaign {in_quotes(row.name)}"


def leads_named(session: Session, workspace_id: str, lead_ids: Sequence[str], count: int) -> str:
    """The first of ``count`` leads by name and address. ``lead_ids``: of so many of them, at least of the first."""
    wanted = lead_ids[:NAMED]
    query = select(Lead.first_name, Lead.last_name, Lead.email).where(
        Lead.workspace_id == workspace_id, Lead.id.in_(wanted)
    )
    named = [in_quotes(" ".join(filter(None, each))) for each in session.execute(query.order_by(Lead.id))]
    return first_few(named, NAMED, count - len(named))


def _copies(row: Campaign) -> Iterator[str]:
    settings = SettingsInput.model_validate(row.settings)
    copies = [in_quotes(address) for address in (*settings.cc, *settings.bcc)]
    if copies:
        yield f"With copies to {first_few(copies, NAMED)}"


def _texts(row: Campaign) -> Sequence[str]:
    texts = [text for email in email_steps(read_steps(row.sequence)) for text in _variants(email)]
    left = len(texts) - _MOST_TEXTS
    return [*texts[:_MOST_TEXTS], f"… and {left:,} more texts"] if left > 0 else texts


def _variants(email: EmailStep) -> Iterator[str]:
    enabled = [variant for variant in email.variants if variant.enabled]
    for variant in enabled:
        which = f", variant {variant.label}" if len(enabled) > 1 else ""
        subject = in_quotes(variant.subject) if variant.subject else "that of the email before"
        yield f"Email {email.position + 1}{which}: subject {subject}, text {in_quotes(text_of(variant.body), _TEXT)}"
