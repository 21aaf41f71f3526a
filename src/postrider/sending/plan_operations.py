"""What a campaign would do: who gets what, when, and from whom."""

import hashlib
from collections import Counter
from datetime import date, datetime
from typing import Annotated, Final

from pydantic import Field
from sqlalchemy import func, select

from postrider.access.house import house_of
from postrider.campaigns.documents import CampaignRef
from postrider.campaigns.operations_launch import start_campaign, start_facts
from postrider.campaigns.queries import campaign_warnings, find_campaign
from postrider.campaigns.sequence import SequencePlace, StepNumber
from postrider.campaigns.states import QUEUE_HELD
from postrider.campaigns.tables import Campaign, Enrollment
from postrider.confirmations.demands import token_for
from postrider.kernel.arguments import hash_arguments
from postrider.kernel.context import Context
from postrider.kernel.errors import Conflict
from postrider.kernel.operation import Effect, Input, Output, Rest, UntrustedText, operation, operation_of
from postrider.leads.tables import Lead
from postrider.sending.capped import Capped
from postrider.sending.content_operations import reader_of
from postrider.sending.forecast import Forecast
from postrider.sending.foreseen import MAX_PLANNED, Foreseen, foresee
from postrider.sending.letter import Stationery
from postrider.sending.plan_state import Slot
from postrider.sending.program import Program
from postrider.sending.rehearsal import rehearse

MAX_SAMPLES: Final = 3


class PlanCampaign(Input):
    """Which campaign, and how far ahead."""

    id: Annotated[str, Field(max_length=40, description="Campaign id.")]
    horizon_days: Annotated[int, Field(ge=1, le=90)] = 30


class PlannedDay(Output):
    """How many emails leave on one local day of the campaign, in all and from each mailbox (by id)."""

    date: date
    total: int
    mailboxes: dict[str, int]


class Sample(Output):
    """One email of the plan, as it would be sent. ``at`` None: not within the horizon."""

    at: datetime | None
    lead_id: str
    to: str
    mailbox_id: str
    step: StepNumber
    sequence_step: SequencePlace
    variant: str
    subject: UntrustedText
    text: UntrustedText


class CampaignPlan(Output):
    """The plan to the horizon; beyond it one count and an end date.

    Every figure is of this campaign alone. ``skips``: leads that are out or held already, by reason, and leads that
    will be held (``missing_variable:<name>``) or left out (``on_dnc``) when their turn comes, perhaps after some
    emails; beyond the horizon their next email is looked at. ``waits``: other leads not finished at the horizon, by
    what holds them.
    ``contentHash`` changes with every change of the campaign's content, recipients, mailboxes or settings.
    ``confirmToken``: what start_campaign wants of a credential that has to confirm, for ten minutes and as long as
    nothing changes; null where it would want none, or would be refused.
    """

    campaign_id: str
    status: str
    revision: int
    content_hash: str
    horizon_days: int
    leads: int
    planned_sends: int
    first_send_at: datetime | None
    ends_at: datetime | None
    ends_after_horizon: bool
    left_over_emails: int
    days: list[PlannedDay]
    mailboxes: dict[str, str]
    skips: dict[str, int]
    waits: dict[str, int]
    samples: list[Sample]
    warnings: list[str]
    confirm_token: str | None


@operation(
    title="Plan a campaign",
    keywords="many mails messages go day week month tomorrow finished last duration long volume capacity",
    effect=Effect.READ,
    rest=Rest("POST", "/v1/campaigns/{id}/plan"),
    core=True,
)
def plan_campaign(ctx: Context, request: PlanCampaign) -> CampaignPlan:
    """Foresee what a campaign will send: emails per day and mailbox, who is skipped and why, the end date, samples.

    Works on drafts too: plan before start_campaign. The same planner does the sending, so plan and reality agree as
    long as nothing outside happens (replies, bounces, edits). Nothing is changed or sent.
    """
    row = find_campaign(ctx, request.id)
    stationery = Stationery.of(ctx.settings, ctx.vault)
    foreseen = foresee(
        ctx.session,
        ctx.workspace_id,
        row.id,
        vault=ctx.vault,
        stationery=stationery,
        now=ctx.now,
        horizon_days=request.horizon_days,
        starter=Capped(ctx.actor.credential_id, ctx.actor.caps),
    )
    program, found = foreseen.program, foreseen.forecast
    mailboxes = foreseen.setting.mailboxes
    return CampaignPlan(
        campaign_id=row.id,
        status=row.status,
        revision=row.revision,
        content_hash=content_hash(program, foreseen.leads),
        horizon_days=request.horizon_days,
        leads=foreseen.leads,
        planned_sends=len(found.sends),
        first_send_at=found.sends[0].at if found.sends else None,
        ends_at=found.ends_at,
        ends_after_horizon=found.truncated,
        left_over_emails=found.left_over,
        days=_days(found),
        mailboxes={key: value.email for key, value in mailboxes.items() if key in program.mailbox_ids},
        skips=dict(_skips(ctx, program) + Counter(found.stopped)),
        waits={reason.value: count for reason, count in found.waits.items()},
        samples=_samples(ctx, foreseen, stationery),
        warnings=_warnings(ctx, row, foreseen),
        confirm_token=_start_token(ctx, row.id),
    )


def _start_token(ctx: Context, campaign_id: str) -> str | None:
    """What ``start_campaign`` would ask the same caller for, once it has shown these facts."""
    start, request = operation_of(start_campaign), CampaignRef(id=campaign_id)
    narrowed = ctx.actor.toolsets is not None and start.toolset not in ctx.actor.toolsets
    if narrowed or start.scope not in ctx.actor.scopes:
        return None
    try:
        facts = start_facts(ctx, request)
    except Conflict:
        return None
    return token_for(ctx, start.name, hash_arguments(ctx.vault, request), facts)


def content_hash(program: Program, leads: int) -> str:
    """A digest of what the plan was made from."""
    text = f"{program.campaign_id}|{program.revision}|{leads}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _days(found: Forecast) -> list[PlannedDay]:
    return [PlannedDay(date=day, total=sum(used.values()), mailboxes=dict(used)) for day, used in found.per_day.items()]


def _skips(ctx: Context, program: Program) -> Counter[str]:
    """Leads that are out already, by their state, and those held, by what holds them."""
    scope = (Enrollment.workspace_id == ctx.workspace_id, Enrollment.campaign_id == program.campaign_id)
    found: Counter[str] = Counter()
    query = select(Enrollment.status, Enrollment.queue, Enrollment.hold_reason, func.count()).where(*scope)
    grouped = ctx.session.execute(query.group_by(Enrollment.status, Enrollment.queue, Enrollment.hold_reason))
    for status, queue, hold_reason, count in grouped:
        if status in ("active", "pending"):
            if queue == QUEUE_HELD:
                found[f"held:{hold_reason}"] += count
        else:
            found[status] += count
    return found


def _samples(ctx: Context, foreseen: Foreseen, stationery: Stationery) -> list[Sample]:
    """The first email of each step that the plan holds, rendered."""
    program = foreseen.program
    first: dict[int, Slot] = {}
    for slot in foreseen.forecast.sends:
        first.setdefault(slot.step_index, slot)
    legal_lines = house_of(ctx.session, ctx.workspace_id).legal_lines
    samples = []
    for index, slot in sorted(first.items())[:MAX_SAMPLES]:
        lead = ctx.session.get_one(Lead, (ctx.workspace_id, slot.lead_id))
        mailbox = foreseen.setting.mailboxes[slot.mailbox_id]
        rehearsed = rehearse(
            program, program.emails[index], reader_of(lead), mailbox, stationery, ctx.now, legal_lines=legal_lines
        )
        samples.append(
            Sample(
                at=slot.at,
                lead_id=lead.id,
                to=lead.email,
                mailbox_id=mailbox.id,
                step=index + 1,
                sequence_step=program.emails[index].order,
                variant=rehearsed.variant,
                subject=rehearsed.composed.subject,
                text=rehearsed.composed.text[:1_500],
            )
        )
    return samples


def _warnings(ctx: Context, row: Campaign, foreseen: Foreseen) -> list[str]:
    program, leads = foreseen.program, foreseen.leads
    warnings = campaign_warnings(ctx, row)
    if leads > MAX_PLANNED:
        warnings.append(f"Only the first {MAX_PLANNED:,} of {leads:,} leads are in the plan; its end is too early.")
    if not program.mailbox_ids:
        warnings.append("The campaign has no mailbox: nothing can be sent. Assign one with update_campaign.")
    if not program.emails:
        warnings.append("The campaign has no email step: nothing can be sent. Write one with update_campaign.")
    warnings += [
        f"National holidays of {unknown.country or 'this zone'} in {unknown.year} are not known: mail is sent on them."
        for unknown in foreseen.forecast.unknown_holidays
    ]
    return warnings
