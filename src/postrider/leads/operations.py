"""The workspace's leads: find, look at, create. (Changing and importing them is in campaigns: it also frees
enrollments.)"""

from typing import Annotated

from pydantic import Field
from sqlalchemy import select

from postrider.kernel.context import Context
from postrider.kernel.errors import Conflict
from postrider.kernel.operation import Effect, Input, Rest, operation
from postrider.kernel.page import Page, PageInput
from postrider.leads.columns import LeadColumns
from postrider.leads.fields import LeadFields
from postrider.leads.output import LeadOut, lead_out
from postrider.leads.queries import (
    LeadFilter,
    count_leads,
    find_lead,
    lead_conditions,
    tags_of,
)
from postrider.leads.rules import MAX_TAGS, VerificationStatus, draft_lead, lead_tags
from postrider.leads.tables import Lead
from postrider.leads.writing import find_ids, write_leads
from postrider.storage.paging import newest_first, next_cursor

Search = Annotated[
    str | None, Field(max_length=320, description="Words that stand in address, name or company; all must be there.")
]
Tags = Annotated[list[str], Field(max_length=MAX_TAGS, description="Leads with any of these tags.")]


class ListLeads(PageInput):
    """Newest first."""

    search: Search = None
    tags: Tags = []
    email_verified: Annotated[bool | None, Field(description="Only valid addresses, or only the others.")] = None
    email_verification_status: VerificationStatus | None = None


class GetLead(Input):
    """Which lead."""

    id: Annotated[str, Field(max_length=40, description="Id of the lead (lead_…).")]


class CreateLead(LeadFields):
    """A new lead."""

    email: Annotated[str, Field(max_length=320, description="One plain address, unique in the workspace.")]


@operation(
    title="List leads",
    keywords="search database crm address book company industry city country verified who directory",
    effect=Effect.READ,
    rest=Rest("GET", "/v1/leads"),
    core=True,
)
def list_leads(ctx: Context, request: ListLeads) -> Page[LeadOut]:
    """Find leads of the workspace, newest first: by words in address, name or company, by tags, by verification.

    All filters given must hold; of several tags one is enough. Go on with nextCursor while hasMore. To put everybody
    whom a filter finds into a campaign, give the same filter to add_leads_to_campaign instead of collecting ids.
    """
    conditions = lead_conditions(
        ctx.workspace_id,
        LeadFilter(request.search, request.tags, request.email_verification_status, request.email_verified),
    )
    query = newest_first(select(Lead).where(*conditions), Lead.id, request, "leads")
    rows = list(ctx.session.scalars(query))
    cursor = next_cursor([row.id for row in rows], request, "leads")
    rows = rows[: request.limit]
    tags = tags_of(ctx.session, ctx.workspace_id, [row.id for row in rows])
    return Page[LeadOut](
        items=[lead_out(row, tags[row.id]) for row in rows],
        limit=request.limit,
        total=count_leads(ctx.session, conditions),
        has_more=cursor is not None,
        next_cursor=cursor,
    )


@operation(
    title="Get a lead",
    keywords="profile record card everything stored data details columns job title address person",
    effect=Effect.READ,
    short=True,
    rest=Rest("GET", "/v1/leads/{id}"),
)
def get_lead(ctx: Context, request: GetLead) -> LeadOut:
    """Look at one lead with all its fields, custom fields and tags.

    What was sent to it stands in list_campaign_leads; why it is not being written to, in explain_lead.
    """
    lead = find_lead(ctx.session, ctx.workspace_id, request.id)
    return lead_out(lead, tags_of(ctx.session, ctx.workspace_id, [lead.id])[lead.id])


@operation(
    title="Create a lead",
    keywords="hand manually single enter store record database business somebody add",
    effect=Effect.WRITE,
    rest=Rest("POST", "/v1/leads"),
)
def create_lead(ctx: Context, request: CreateLead) -> LeadOut:
    """Create one lead. Keys that are no standard field become custom fields, which templates use as {{name}}.

    An address that the workspace has already is a conflict that names the lead: use update_lead then. For many leads
    use import_leads_csv; to create leads straight into a campaign, add_leads_to_campaign.
    """
    given = request.lead_object()
    draft = draft_lead(
        request.email,
        {column: text for column, text in given.fields.items() if text},
        {name: text for name, text in given.custom.items() if text},
        lead_tags(request.tags or ()),
        clean=False,
    )
    written = write_leads(ctx.session, ctx.workspace_id, LeadColumns.of([draft]), ctx.now, merge=False)
    if not written.created:
        raise Conflict(
            "A lead with this email address exists already.",
            hint="Change it with update_lead; details.leadId names it.",
            details={"leadId": find_ids(ctx.session, ctx.workspace_id, [draft.email])[draft.email]},
        )
    lead = find_lead(ctx.session, ctx.workspace_id, written.created[draft.email])
    return lead_out(lead, tags_of(ctx.session, ctx.workspace_id, [lead.id])[lead.id])
