"""The leads of a campaign: how far each has come, and every email it was sent."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, cast

from pydantic import Field
from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session

from postrider.campaigns.documents import StepInput
from postrider.campaigns.queries import find_campaign
from postrider.campaigns.sequence import (
    GONE,
    SequencePlace,
    StepNumber,
    StepPlace,
    email_steps,
    place_of,
    step_places,
)
from postrider.campaigns.states import EnrollmentStatus
from postrider.campaigns.tables import Campaign, Enrollment
from postrider.kernel.context import Context
from postrider.kernel.operation import Effect, Output, Rest, UntrustedText, operation
from postrider.kernel.page import Page, PageInput
from postrider.leads.queries import search_conditions
from postrider.leads.tables import Lead
from postrider.sending.tables import Attempt
from postrider.storage.paging import newest_first, next_cursor


class ListCampaignLeads(PageInput):
    """Newest first."""

    id: Annotated[str, Field(max_length=40, description="Id of the campaign (camp_…).")]
    status: Annotated[EnrollmentStatus | None, Field(description="Removed leads are shown only when asked for.")] = None
    search: Annotated[str | None, Field(max_length=320, description="Words in address, name or company.")] = None


class CampaignLeadPerson(Output):
    """Who it is."""

    id: str
    email: str
    first_name: UntrustedText | None
    last_name: UntrustedText | None
    company_name: UntrustedText | None


class SentEmail(Output):
    """One email of the sequence to this lead. ``state`` as in explain_lead; ``step`` null: edited out since."""

    step_id: str | None
    step: StepNumber | None
    sequence_step: SequencePlace | None
    variant: str | None
    state: str
    sent_at: datetime | None
    opened_at: datetime | None
    clicked_at: datetime | None


class CampaignLeadOut(Output):
    """One lead in one campaign. Email ``nextStep`` of ``totalSteps`` comes next, not before ``nextSendAt``.

    ``nextStep`` counts emails from 1, waits not counted, and is null after the last one; ``nextSequenceStep`` is the
    same email as preview_email counts (from 0, with waits).
    ``holdReason``: what must be mended before it goes on. ``stopReason``: why it ended, as a word; ``stopDetail``: the
    same as text, perhaps in a mail server's words.
    """

    id: str
    status: EnrollmentStatus
    next_step: int | None
    next_sequence_step: int | None
    total_steps: int
    next_send_at: datetime | None
    hold_reason: str | None
    stop_reason: str | None
    stop_detail: UntrustedText | None
    replied_at: datetime | None
    bounced_at: datetime | None
    lead: CampaignLeadPerson
    email_history: list[SentEmail]
    created_at: datetime
    updated_at: datetime


@operation(
    title="List a campaign's leads",
    keywords="audience recipients enrolled progress stage received sent opened replied bounced who",
    effect=Effect.READ,
    rest=Rest("GET", "/v1/campaigns/{id}/leads"),
    core=True,
)
def list_campaign_leads(ctx: Context, request: ListCampaignLeads) -> Page[CampaignLeadOut]:
    """List the leads of a campaign, newest first: status, how far each has come, and the emails it was sent.

    Filter by status (pending, active, paused, completed, replied, bounced, unsubscribed, stopped, failed, removed) or
    by words in address, name or company. nextSendAt is the earliest instant; limits and sending windows may move it.
    Why a lead waits says explain_lead; mend a holdReason with update_lead.
    """
    campaign = find_campaign(ctx, request.id)
    conditions: list[ColumnElement[bool]] = [
        Enrollment.workspace_id == ctx.workspace_id,
        Enrollment.campaign_id == campaign.id,
        Enrollment.status == request.status if request.status else Enrollment.status != "removed",
        *search_conditions(request.search),
    ]
    joined = and_(Lead.workspace_id == Enrollment.workspace_id, Lead.id == Enrollment.lead_id)
    query = select(Enrollment, Lead).join(Lead, joined).where(*conditions)
    rows = ctx.session.execute(newest_first(query, Enrollment.id, request, "campaign_leads")).all()
    cursor = next_cursor([row[0].id for row in rows], request, "campaign_leads")
    total = select(func.count()).select_from(Enrollment).where(*conditions)
    if request.search:
        total = total.join(Lead, joined)
    shown = rows[: request.limit]
    return Page[CampaignLeadOut](
        items=_items(ctx.session, campaign, shown),
        limit=request.limit,
        total=ctx.session.scalar(total) or 0,
        has_more=cursor is not None,
        next_cursor=cursor,
    )


def _items(session: Session, campaign: Campaign, rows: Sequence[tuple[Enrollment, Lead]]) -> list[CampaignLeadOut]:
    emails = email_steps([StepInput.model_validate(step) for step in campaign.sequence])
    ids = [enrollment.id for enrollment, _ in rows]
    history = _history(session, campaign.workspace_id, ids, step_places(emails))
    coming = dict(enumerate(map(place_of, emails)))
    return [
        CampaignLeadOut(
            id=enrollment.id,
            status=cast("EnrollmentStatus", enrollment.status),
            next_step=coming.get(enrollment.next_step, GONE).step,
            next_sequence_step=coming.get(enrollment.next_step, GONE).sequence_step,
            total_steps=len(emails),
            next_send_at=_next_send(enrollment),
            hold_reason=enrollment.hold_reason,
            stop_reason=enrollment.stop_reason,
            stop_detail=enrollment.stop_detail,
            replied_at=enrollment.replied_at,
            bounced_at=enrollment.bounced_at,
            lead=CampaignLeadPerson(
                id=lead.id,
                email=lead.email,
                first_name=lead.first_name,
                last_name=lead.last_name,
                company_name=lead.company_name,
            ),
            email_history=history.get(enrollment.id, []),
            created_at=enrollment.created_at,
            updated_at=enrollment.updated_at,
        )
        for enrollment, lead in rows
    ]


def _next_send(enrollment: Enrollment) -> datetime | None:
    if enrollment.status != "active" or enrollment.hold_reason is not None or enrollment.due_at is None:
        return None
    return max(enrollment.due_at, enrollment.sleep_until or enrollment.due_at)


def _history(
    session: Session, workspace_id: str, enrollment_ids: Sequence[str], places: Mapping[str, StepPlace]
) -> dict[str, list[SentEmail]]:
    """The sequence's emails to each enrollment, in the order of their first attempts."""
    query = select(Attempt).where(
        Attempt.workspace_id == workspace_id, Attempt.enrollment_id.in_(enrollment_ids), Attempt.purpose == "step"
    )
    found: dict[str, list[SentEmail]] = {}
    for attempt in session.scalars(query.order_by(Attempt.first_try_at, Attempt.id)):
        assert attempt.enrollment_id is not None
        place = places.get(attempt.step_id or "", GONE)
        found.setdefault(attempt.enrollment_id, []).append(
            SentEmail(
                step_id=attempt.step_id,
                step=place.step,
                sequence_step=place.sequence_step,
                variant=attempt.variant,
                state=attempt.state,
                sent_at=attempt.done_at if attempt.state == "sent" else None,
                opened_at=attempt.opened_at,
                clicked_at=attempt.clicked_at,
            )
        )
    return found
