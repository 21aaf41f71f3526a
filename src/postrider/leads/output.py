"""A lead as callers see it. Everything but ids, states and instants was written by others and is not to be trusted."""

from collections.abc import Sequence
from datetime import datetime
from typing import cast

from postrider.kernel.operation import Output, UntrustedText
from postrider.kernel.visible import shown_text
from postrider.leads.rules import VerificationStatus
from postrider.leads.tables import Lead


class LeadOut(Output):
    """One lead. ``companyDomain``: what leads of one company share; null for free-mail addresses."""

    id: str
    email: str
    first_name: UntrustedText | None
    last_name: UntrustedText | None
    company_name: UntrustedText | None
    company_domain: str | None
    job_title: UntrustedText | None
    phone: UntrustedText | None
    linkedin_url: UntrustedText | None
    website: UntrustedText | None
    city: UntrustedText | None
    state: UntrustedText | None
    country: UntrustedText | None
    timezone: str | None
    notes: UntrustedText | None
    custom_fields: dict[str, UntrustedText]
    tags: list[UntrustedText]
    email_verification_status: VerificationStatus
    created_at: datetime
    updated_at: datetime


def lead_out(lead: Lead, tags: Sequence[str]) -> LeadOut:
    """The lead with its tags."""
    return LeadOut(
        id=lead.id,
        email=lead.email,
        first_name=lead.first_name,
        last_name=lead.last_name,
        company_name=lead.company_name,
        company_domain=lead.company_domain,
        job_title=lead.job_title,
        phone=lead.phone,
        linkedin_url=lead.linkedin_url,
        website=lead.website,
        city=lead.city,
        state=lead.state,
        country=lead.country,
        timezone=lead.timezone,
        notes=lead.notes,
        custom_fields={shown_text(name): value for name, value in custom_texts(lead).items()},
        tags=list(tags),
        email_verification_status=cast("VerificationStatus", lead.email_verification_status),
        created_at=lead.created_at,
        updated_at=lead.updated_at,
    )


def custom_texts(lead: Lead) -> dict[str, str]:
    """The lead's custom fields."""
    return {name: str(value) for name, value in lead.custom_fields.items() if value is not None}
