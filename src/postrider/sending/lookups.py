"""Finding what a caller names, in the caller's workspace and nowhere else."""

from sqlalchemy import select

from postrider.campaigns.tables import Campaign, Enrollment
from postrider.kernel.context import Context
from postrider.kernel.errors import NotFound
from postrider.kernel.ids import check_id, kind_of
from postrider.leads.tables import Lead
from postrider.mailboxes.tables import Mailbox


def find_mailbox(ctx: Context, mailbox_id: str, field: str = "mailboxId") -> Mailbox:
    """The mailbox. Raises: NotFound, InvalidInput for an id of another kind."""
    row = ctx.session.get(Mailbox, (ctx.workspace_id, check_id(mailbox_id, "mbx", field)))
    if row is None:
        raise NotFound("Mailbox not found", hint="See list_mailboxes.")
    return row


def find_lead(ctx: Context, lead_id: str, field: str = "leadId") -> Lead:
    """The lead, by its own id or by that of one of its enrollments. Raises: NotFound, InvalidInput for other kinds."""
    if kind_of(lead_id) == "cl":
        enrollment = ctx.session.get(Enrollment, (ctx.workspace_id, lead_id))
        lead_id = enrollment.lead_id if enrollment is not None else "lead_" + "0" * 26
    row = ctx.session.get(Lead, (ctx.workspace_id, check_id(lead_id, "lead", field)))
    if row is None:
        raise NotFound("Lead not found", hint="See list_leads.")
    return row


def find_enrollment(ctx: Context, campaign: Campaign, lead: Lead) -> Enrollment:
    """The lead's enrollment in the campaign. Raises: NotFound."""
    row = ctx.session.scalar(
        select(Enrollment).where(
            Enrollment.workspace_id == ctx.workspace_id,
            Enrollment.campaign_id == campaign.id,
            Enrollment.lead_id == lead.id,
        )
    )
    if row is None:
        raise NotFound("Lead not found in this campaign", hint="Add it with add_leads_to_campaign.")
    return row
