"""Leads and campaigns together: put leads into a campaign, import into one, change a lead that campaigns wait for."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Final, NamedTuple

from pydantic import Field
from sqlalchemy import select

from postrider.campaigns.confirming import FILLS_AND_SENDS, Agreed, check_agreed, filling_facts, lead_edit_facts
from postrider.campaigns.enrollments import Enrolled, campaign_to_fill, enroll, follow_lead_edits, present_leads
from postrider.campaigns.import_steps import campaign_order
from postrider.campaigns.lead_entries import NO_LEAD, EntryError, LeadEntry, WantedEntry, read_entries
from postrider.campaigns.queries import find_campaign
from postrider.campaigns.reach import values_of, values_of_all
from postrider.content.addresses import normalise_email
from postrider.jobs.operations import JobStarted
from postrider.kernel.arguments import digest_of
from postrider.kernel.context import Context, OutsideContext
from postrider.kernel.errors import InvalidInput
from postrider.kernel.ids import check_id
from postrider.kernel.operation import Effect, Input, Output, Rest, Selection, UntrustedText, operation
from postrider.kernel.policy import Facts
from postrider.leads.columns import LeadColumns
from postrider.leads.fields import LeadFields
from postrider.leads.imports import FILE_FIELD, MAX_LISTED_ERRORS, CsvInput, most_rows, start_import
from postrider.leads.output import LeadOut, custom_texts, lead_out
from postrider.leads.queries import LeadFilter, find_lead, lead_conditions, replace_tags, tags_of
from postrider.leads.rules import (
    MAX_TAGS,
    LeadDraft,
    VerificationStatus,
    check_custom_names,
    check_custom_value,
    check_field,
    lead_tags,
    merge_custom,
)
from postrider.leads.tables import Lead
from postrider.leads.writing import write_leads

MAX_ENTRIES: Final = 5_000
_BATCH: Final = 500
"""Leads per transaction: about 20 ms."""

CampaignId = Annotated[str, Field(max_length=40, description="Id of the campaign (camp_…).")]
LeadIds = Annotated[list[Annotated[str, Field(max_length=40)]], Field(max_length=MAX_ENTRIES)]


class LeadFilters(Selection):
    """Which leads of the workspace; all that are given must hold. Null counts as left out, a blank value is refused."""

    tags: Annotated[list[str], Field(max_length=MAX_TAGS, description="Leads with any of these tags.")] = []
    search: Annotated[str | None, Field(max_length=320, description="Words in address, name or company.")] = None
    email_verification_status: VerificationStatus | None = None
    country: Annotated[str | None, Field(max_length=320, description="The whole country field, in any case.")] = None
    lead_ids: Annotated[LeadIds | None, Field(description="Only these leads.")] = None


class AddLeadsToCampaign(Input):
    """Whom to add: leads, filters or selectAll."""

    id: CampaignId
    leads: Annotated[list[LeadEntry], Field(max_length=MAX_ENTRIES)] = []
    filters: LeadFilters | None = None
    select_all: Annotated[bool, Field(description="All leads of the workspace.")] = False
    exclude_ids: Annotated[LeadIds, Field(description="Leads to leave out, with filters or selectAll.")] = []

    @property
    def takes_all(self) -> bool:
        return self.select_all or self.filters is not None


class EntryErrorOut(Output):
    """An entry of leads that was not added. ``index``: its place, from 0; ``entry``: its standard fields, as given."""

    index: int
    entry: dict[str, UntrustedText]
    message: str


class AddedLeads(Output):
    """``skipped``: in the campaign already. ``matched``: added and skipped, for filters and selectAll.

    ``errors``: entries that were not added (the first 1,000); they count neither as added nor as skipped.
    """

    added: int
    skipped: int
    matched: int | None
    errors: list[EntryErrorOut]


class ImportCampaignLeadsCsv(CsvInput):
    """A CSV file of leads for one campaign."""

    id: CampaignId


class UpdateLead(LeadFields):
    """What changes; what is left out stays. Null empties a field or removes a custom field."""

    id: Annotated[str, Field(max_length=40, description="Id of the lead (lead_…).")]
    email: Annotated[str | None, Field(max_length=320, description="Cannot be changed; may be repeated.")] = None


class _Added(NamedTuple):
    added: int
    skipped: int
    errors: list[EntryError]


def add_facts(ctx: Context, request: AddLeadsToCampaign) -> Facts | None:
    """Who would be written to; None where the campaign does not run. Raises: NotFound, InvalidInput."""
    _check_choice(request)
    row = find_campaign(ctx, request.id, lock=ctx.locks)
    if row.status not in FILLS_AND_SENDS:
        return None
    if request.leads:
        return filling_facts(ctx.session, row, len(request.leads), _values_of(ctx, request), ctx.now)
    ids = ctx.once(_matches, request)
    revision = f"{digest_of(ids)}/{values_of(ctx.session, ctx.workspace_id, ids)}"
    return filling_facts(ctx.session, row, len(ids), revision, ctx.now)


def _values_of(ctx: Context, request: AddLeadsToCampaign) -> str:
    """What changes with the values of those leads that entries name and that are used as they are."""
    wanted = [each.lead for each in read_entries(request.leads).wanted]
    ids = [lead for lead in wanted if isinstance(lead, str)]
    addresses = [lead.email for lead in wanted if isinstance(lead, LeadDraft)]
    return values_of(ctx.session, ctx.workspace_id, ids, addresses)


@operation(
    title="Add leads to a campaign",
    keywords="audience target tagged existing assign include subscribe recipients",
    effect=Effect.WRITE,
    rest=Rest("POST", "/v1/campaigns/{id}/leads"),
    idempotent=True,
    core=True,
    open_world=False,
    confirm=add_facts,
)
async def add_leads_to_campaign(ctx: OutsideContext, request: AddLeadsToCampaign) -> AddedLeads:
    """Put leads into a campaign, in one of three ways: leads (up to 5,000 entries, each with leadId or email),
    filters (tags, search, emailVerificationStatus, country, leadIds), or selectAll with excludeIds.

    An email that is unknown creates a lead with the entry's fields; a known one is used as it is. Leads that are in
    the campaign already are skipped, so that repeating the call is safe. In an active campaign the leads are active at
    once and get their first email when its schedule allows; otherwise they wait until it starts. A completed campaign
    becomes active again. Nobody gets a step twice, even after having been removed. Check with plan_campaign who will
    get what, and when.
    """
    _check_choice(request)
    await ctx.read(lambda c: find_campaign(c, request.id).id)
    if request.leads:
        return await _add_entries(ctx, request)
    return await _add_matches(ctx, request)


def _check_choice(request: AddLeadsToCampaign) -> None:
    """Raises: InvalidInput unless leads are chosen in exactly one way."""
    given = [bool(request.leads), request.filters is not None and request.filters.chooses, request.select_all]
    if sum(given) == 1:
        return
    if any(given):
        raise InvalidInput("Give only one of leads, filters and selectAll.", field="leads")
    raise InvalidInput(
        "Provide leads array, filters, or selectAll: true",
        field="leads",
        hint="An empty filter selects nobody; selectAll: true selects all leads of the workspace.",
    )


async def _add_entries(ctx: OutsideContext, request: AddLeadsToCampaign) -> AddedLeads:
    entries = await asyncio.to_thread(read_entries, request.leads)
    added = skipped = 0
    errors = list(entries.errors)
    for start in range(0, len(entries.wanted), _BATCH):
        part = entries.wanted[start : start + _BATCH]
        done = await ctx.write(partial(_add_part, campaign_id=request.id, wanted=part, agreed=_agreed(ctx)))
        added, skipped, errors = added + done.added, skipped + done.skipped, errors + done.errors
        await ctx.progress(start + len(part), len(entries.wanted), "Adding leads")
    listed = [
        EntryErrorOut(index=error.place, entry=error.entry, message=error.message)
        for error in sorted(errors, key=lambda error: error.place)[:MAX_LISTED_ERRORS]
    ]
    return AddedLeads(added=added, skipped=skipped, matched=None, errors=listed)


def _agreed(ctx: OutsideContext) -> Agreed:
    return Agreed(ctx.sends_agreed, None if ctx.agreed is None else ctx.agreed.content_digest)


def _add_part(ctx: Context, *, campaign_id: str, wanted: Sequence[WantedEntry], agreed: Agreed) -> _Added:
    # Locked first, as everywhere, so that two such transactions cannot wait for each other.
    check_agreed(campaign_to_fill(ctx.session, ctx.workspace_id, campaign_id), agreed)
    drafts: dict[str, LeadDraft] = {}
    for each in wanted:
        if isinstance(each.lead, LeadDraft):
            # The first entry of an address counts, as it does when the others come in a later batch.
            drafts.setdefault(each.lead.email, each.lead)
    written = write_leads(ctx.session, ctx.workspace_id, LeadColumns.of(list(drafts.values())), ctx.now, merge=False)
    by_email = written.existing | written.created
    named = present_leads(ctx.session, ctx.workspace_id, [each.lead for each in wanted if isinstance(each.lead, str)])
    ids: list[str] = []
    errors: list[EntryError] = []
    for each in wanted:
        lead = each.lead
        found = by_email.get(lead.email) if isinstance(lead, LeadDraft) else lead if lead in named else None
        if found is None:
            errors.append(each.refused(NO_LEAD))
        else:
            ids.append(found)
    unique = list(dict.fromkeys(ids))
    enrolled = _enroll(ctx, campaign_id=campaign_id, lead_ids=unique, agreed=agreed) if ids else Enrolled(0, 0)
    return _Added(enrolled.added, len(ids) - enrolled.added, errors)


async def _add_matches(ctx: OutsideContext, request: AddLeadsToCampaign) -> AddedLeads:
    """Batch by batch, those who were counted for a yes, else those there are now."""
    ids = await ctx.once(_matches, request)
    added = skipped = 0
    for start in range(0, len(ids), _BATCH):
        part = ids[start : start + _BATCH]
        done = await ctx.write(partial(_enroll, campaign_id=request.id, lead_ids=part, agreed=_agreed(ctx)))
        added, skipped = added + done.added, skipped + done.skipped
        await ctx.progress(start + len(part), len(ids), "Adding leads")
    return AddedLeads(added=added, skipped=skipped, matched=added + skipped, errors=[])


def _matches(ctx: Context, request: AddLeadsToCampaign) -> list[str]:
    """The ids of the leads that filters or selectAll choose, the oldest first."""
    query = select(Lead.id).where(*lead_conditions(ctx.workspace_id, _filter_of(request))).order_by(Lead.id)
    return list(ctx.session.scalars(query))


def _enroll(ctx: Context, *, campaign_id: str, lead_ids: Sequence[str], agreed: Agreed) -> Enrolled:
    campaign = campaign_to_fill(ctx.session, ctx.workspace_id, campaign_id)
    check_agreed(campaign, agreed)
    there = present_leads(ctx.session, ctx.workspace_id, lead_ids)
    enrolled = enroll(
        ctx.session, campaign, [lead_id for lead_id in lead_ids if lead_id in there], ctx.now, capped_by=ctx.capped_by
    )
    if enrolled.added and campaign.status == "active":
        ctx.wake("sender")
    return enrolled


def _filter_of(request: AddLeadsToCampaign) -> LeadFilter:
    filters = request.filters or LeadFilters()
    return LeadFilter(
        search=filters.search,
        tags=filters.tags,
        verification=filters.email_verification_status,
        country=filters.country,
        lead_ids=filters.lead_ids,
        exclude_ids=request.exclude_ids,
    )


def import_facts(ctx: Context, request: ImportCampaignLeadsCsv) -> Facts | None:
    """How many the file can hold; None where the campaign does not run. Raises: NotFound, InvalidInput, Forbidden."""
    row = find_campaign(ctx, request.id, lock=ctx.locks)
    if row.status not in FILLS_AND_SENDS:
        return None
    most, digest = most_rows(ctx, request)
    # Known leads are used as they are, and the file is not read yet: an edit of any lead counts.
    revision = f"{digest}/{values_of_all(ctx.session, ctx.workspace_id)}"
    return filling_facts(ctx.session, row, most, revision, ctx.now)


@operation(
    title="Import leads into a campaign",
    keywords="audience directly straight recipients start mailing rows same time",
    effect=Effect.WRITE,
    rest=Rest(
        "POST",
        "/v1/campaigns/{id}/leads/import/csv",
        aliases=("/v1/campaigns/{id}/leads/import-csv",),
        file_field=FILE_FIELD,
        waits_for_job=True,
    ),
    idempotent=True,
    open_world=False,
    audit="effect",
    confirm=import_facts,
)
async def import_campaign_leads_csv(ctx: OutsideContext, request: ImportCampaignLeadsCsv) -> JobStarted:
    """Create leads from a CSV file and put them into a campaign, in one go.

    The file is read as import_leads_csv reads it: text in csv (256 kB) or a path on this machine, at most 50 MB and
    50,000 rows, columns recognised by name or by mapping. A known address is used as it is and not changed; a lead that
    is in the campaign already is skipped. In an active campaign the new leads are active at once.

    The answer is a job: ask get_job for its result {leads: {created, existing, failed}, campaign: {added, skipped},
    totalRows, errors}; errors lists the first 1,000 rows that were refused. Next: plan_campaign.
    """
    await ctx.read(lambda c: campaign_to_fill(c.session, c.workspace_id, check_id(request.id, "camp", "id")).id)
    return await start_import(ctx, request, campaign_order(request.id))


def update_lead_facts(ctx: Context, request: UpdateLead) -> Facts | None:
    """Whose emails change; None where no running campaign writes to the lead. Raises: what the edit raises."""
    lead = find_lead(ctx.session, ctx.workspace_id, request.id, to_change=ctx.locks)
    if not _edited(lead, request):
        return None
    return lead_edit_facts(ctx.session, ctx.workspace_id, lead.id, lead.updated_at)


@operation(
    title="Update a lead",
    keywords="wrong misspelled typo record details phone city company job title name moved outdated assign",
    effect=Effect.WRITE,
    rest=Rest("PATCH", "/v1/leads/{id}"),
    idempotent=True,
    confirm=update_lead_facts,
)
def update_lead(ctx: Context, request: UpdateLead) -> LeadOut:
    """Change a lead's fields. Custom fields are merged: those named change, null removes one, the others stay.

    Tags are replaced as a whole. The email address cannot be changed: create another lead. Emails of campaigns that
    were held because of a value (hold reason missing_variable or link_not_allowed) go on at once, and a new timezone or
    country counts at once.
    """
    lead = find_lead(ctx.session, ctx.workspace_id, request.id, to_change=True)
    for column, value in _edited(lead, request).items():
        setattr(lead, column, value)
    if request.tags is not None:
        replace_tags(ctx.session, ctx.workspace_id, lead.id, lead_tags(request.tags))
    lead.updated_at = ctx.now
    if follow_lead_edits(ctx.session, ctx.workspace_id, [lead.id], ctx.now, capped_by=ctx.capped_by):
        ctx.wake("sender")
    return lead_out(lead, tags_of(ctx.session, ctx.workspace_id, [lead.id])[lead.id])


def _edited(lead: Lead, request: UpdateLead) -> dict[str, object]:
    """The columns of the lead that are given a value. Raises: InvalidInput."""
    if request.email is not None and normalise_email(request.email) != lead.email:
        raise InvalidInput(
            "email cannot be changed after a lead has been created.",
            field="email",
            hint="Leave it out, or create a new lead with the other address.",
        )
    lead_tags(request.tags or ())  # They are no column; but what is refused is refused before anybody is asked.
    given = request.lead_object()
    edited = dict[str, object]()
    for column, text in given.fields.items():
        edited[column] = check_field(column, text.strip()) or None if text else None
    if given.custom:
        changes = {name: check_custom_value(name, text) if text else None for name, text in given.custom.items()}
        merged = merge_custom(custom_texts(lead), changes)
        check_custom_names(merged)
        edited["custom_fields"] = dict(merged)
    return edited
