"""What came of it all: by campaign, step and variant, by mailbox, by day."""

from collections import Counter
from datetime import date, timedelta
from typing import Annotated

from pydantic import Field
from sqlalchemy import func, select

from postrider.access.house import pause_warnings
from postrider.analytics.days import DEFAULT_DAYS, FirstDay, LastDay, check_days
from postrider.analytics.queries import Counts, counts_by, leads_by_status
from postrider.analytics.stats import Stats, stats_of
from postrider.campaigns.queries import find_campaign
from postrider.campaigns.sequence import SequencePlace, StepNumber, place_of
from postrider.campaigns.tables import Campaign, DailyCount
from postrider.kernel.context import Context
from postrider.kernel.operation import Effect, Input, Output, Rest, UntrustedText, operation
from postrider.kernel.page import Page, PageInput
from postrider.mailboxes.queries import used_today
from postrider.mailboxes.rules import trouble_text
from postrider.mailboxes.tables import Mailbox
from postrider.sending.program import Program, read_program
from postrider.storage.paging import newest_first, next_cursor


class CampaignInfo(Output):
    """Which campaign."""

    id: str
    name: str
    status: str


class VariantStats(Output):
    """One variant of one step."""

    label: str
    subject: str
    enabled: bool
    stats: Stats


class StepStats(Output):
    """One email of the sequence. ``step`` is null for one that an edit has taken out."""

    step_id: str
    step: StepNumber | None
    sequence_step: SequencePlace | None
    name: str
    stats: Stats
    variants: list[VariantStats]


class GetCampaignAnalytics(Input):
    """Which campaign, and which days (UTC, inclusive); all of them if omitted."""

    id: Annotated[str, Field(max_length=40, description="Campaign id.")]
    from_: FirstDay = None
    to: LastDay = None


class CampaignAnalytics(Output):
    """Everything about one campaign. ``warnings``: what holds it although its status is active."""

    campaign: CampaignInfo
    stats: Stats
    steps: list[StepStats]
    leads: dict[str, int]
    total_leads: int
    total_replied: int
    warnings: list[str]


@operation(
    title="Campaign analytics",
    keywords="success successful performing better best compare ab test winner version opens funnel detailed",
    effect=Effect.READ,
    rest=Rest("GET", "/v1/campaigns/{id}/analytics"),
    core=True,
)
def get_campaign_analytics(ctx: Context, request: GetCampaignAnalytics) -> CampaignAnalytics:
    """Show how a campaign does: totals with rates, each step with its A/B variants, leads by status, replies.

    Opens are counted once per message and machine opens are left out; they are a hint, replies are the measure.
    """
    return _figures(ctx, request)


def _figures(ctx: Context, request: GetCampaignAnalytics) -> CampaignAnalytics:
    row = find_campaign(ctx, request.id)
    check_days(request.from_, request.to)
    program = read_program(row)
    by_variant = counts_by(
        ctx.session,
        ctx.workspace_id,
        DailyCount.step_id,
        DailyCount.variant,
        campaign_id=row.id,
        start=request.from_,
        end=request.to,
    )
    total: Counts = Counter()
    for counts in by_variant.values():
        total.update(counts)
    leads = leads_by_status(ctx.session, ctx.workspace_id, [row.id])[row.id]
    return CampaignAnalytics(
        campaign=CampaignInfo(id=row.id, name=row.name, status=row.status),
        stats=stats_of(total),
        steps=_steps(program, by_variant),
        leads=leads,
        total_leads=sum(count for status, count in leads.items() if status != "removed"),
        total_replied=total["replied"],
        warnings=pause_warnings(ctx.session, ctx.workspace_id),
    )


def _steps(program: Program, by_variant: dict[tuple[str, ...], Counts]) -> list[StepStats]:
    found = []
    known = {email.id: email for email in program.emails}
    gone = sorted({step_id for step_id, _ in by_variant} - set(known) - {""})
    for step_id in [*known, *gone]:
        own = {variant: counts for (step, variant), counts in by_variant.items() if step == step_id}
        total: Counts = Counter()
        for counts in own.values():
            total.update(counts)
        email = known.get(step_id)
        texts = {variant.label: variant for variant in email.variants} if email else {}
        labels = [*texts, *sorted(set(own) - set(texts) - {""})]
        found.append(
            StepStats(
                step_id=step_id,
                step=place_of(email).step,
                sequence_step=place_of(email).sequence_step,
                name=(email.step.name or "") if email else "(removed step)",
                stats=stats_of(total),
                variants=[
                    VariantStats(
                        label=label,
                        subject=texts[label].subject if label in texts else "",
                        enabled=texts[label].enabled if label in texts else False,
                        stats=stats_of(own.get(label, Counter())),
                    )
                    for label in labels
                ],
            )
        )
    return found


class GetCampaignPerformance(Input):
    """Which campaign."""

    id: Annotated[str, Field(max_length=40, description="Campaign id.")]


class StepPerformance(Output):
    """One email of the sequence."""

    step_id: str
    step: StepNumber | None
    sequence_step: SequencePlace | None
    name: str
    sent: int
    opened: int
    clicked: int
    bounced: int


class CampaignPerformance(Output):
    """The same figures as get_campaign_analytics in short, without variants."""

    campaign: CampaignInfo
    stats: Stats
    steps: list[StepPerformance]
    leads: dict[str, int]
    total_replied: int


@operation(
    title="Campaign performance",
    keywords="key short success successful opens clicks sent bounced step detail nutshell",
    effect=Effect.READ,
    rest=Rest("GET", "/v1/analytics/campaigns/{id}"),
)
def get_campaign_performance(ctx: Context, request: GetCampaignPerformance) -> CampaignPerformance:
    """Show one campaign in short: totals, sent/opened/clicked/bounced per step, leads by status, replies.

    get_campaign_analytics has the variants too.
    """
    whole = _figures(ctx, GetCampaignAnalytics(id=request.id))
    return CampaignPerformance(
        campaign=whole.campaign,
        stats=whole.stats,
        steps=[
            StepPerformance(
                step_id=step.step_id,
                step=step.step,
                sequence_step=step.sequence_step,
                name=step.name,
                sent=step.stats.sent,
                opened=step.stats.opened,
                clicked=step.stats.clicked,
                bounced=step.stats.bounced,
            )
            for step in whole.steps
        ],
        leads=whole.leads,
        total_replied=whole.total_replied,
    )


class GetAnalyticsOverview(Input):
    """Which days (UTC, inclusive); all of them if omitted."""

    from_: FirstDay = None
    to: LastDay = None


class CampaignCounts(Output):
    """How many campaigns are in which state; archived ones are counted but not in the total."""

    total: int
    draft: int
    active: int
    paused: int
    completed: int
    archived: int


class AnalyticsOverview(Output):
    """The whole workspace."""

    stats: Stats
    campaigns: CampaignCounts


@operation(
    title="Workspace overview",
    keywords="whole altogether total time since beginning overall success",
    effect=Effect.READ,
    rest=Rest("GET", "/v1/analytics/overview"),
    core=True,
)
def get_analytics_overview(ctx: Context, request: GetAnalyticsOverview) -> AnalyticsOverview:
    """Show totals and rates over all campaigns of the workspace, archived ones included, and how many there are."""
    check_days(request.from_, request.to)
    counts = counts_by(ctx.session, ctx.workspace_id, start=request.from_, end=request.to).get((), Counter())
    query = select(Campaign.status, func.count()).where(Campaign.workspace_id == ctx.workspace_id)
    states = Counter(dict(ctx.session.execute(query.group_by(Campaign.status)).all()))
    return AnalyticsOverview(
        stats=stats_of(counts),
        campaigns=CampaignCounts(
            total=states.total() - states["archived"],
            **{state: states[state] for state in ("draft", "active", "paused", "completed", "archived")},
        ),
    )


class GetDailyAnalytics(Input):
    """Which days (UTC, inclusive): the last 30 if omitted, 366 at most. Of which campaign: all of them if omitted."""

    campaign_id: Annotated[str | None, Field(max_length=40, description="Campaign id; all if omitted.")] = None
    from_: FirstDay = None
    to: LastDay = None


class DayStats(Output):
    """One UTC day, over all campaigns or the one asked for."""

    date: date
    stats: Stats


class DailyAnalytics(Output):
    """Every day of the range, empty ones too, oldest first."""

    items: list[DayStats]


@operation(
    title="Daily analytics",
    keywords="day week month last days curve course history date best weekday growth time",
    effect=Effect.READ,
    rest=Rest("GET", "/v1/analytics/daily"),
)
def get_daily_analytics(ctx: Context, request: GetDailyAnalytics) -> DailyAnalytics:
    """Show what happened day by day over all campaigns, or in one (UTC days, empty days included, oldest first)."""
    check_days(request.from_, request.to)
    campaign_id = find_campaign(ctx, request.campaign_id).id if request.campaign_id is not None else None
    end = request.to or ctx.now.date()
    start = request.from_ or end - timedelta(days=DEFAULT_DAYS - 1)
    check_days(start, end)
    found = counts_by(ctx.session, ctx.workspace_id, DailyCount.day, campaign_id=campaign_id, start=start, end=end)
    days = [start + timedelta(days=number) for number in range((end - start).days + 1)]
    return DailyAnalytics(
        items=[DayStats(date=day, stats=stats_of(found.get((day.isoformat(),), Counter()))) for day in days]
    )


class GetMailboxAnalytics(PageInput):
    """Which days (UTC, inclusive); all of them if omitted."""

    from_: FirstDay = None
    to: LastDay = None


class MailboxStats(Output):
    """One mailbox: its state and limits, and what left from it."""

    id: str
    email: str
    status: str
    last_error: UntrustedText | None
    daily_send_limit: int
    sent_today: int
    warmup: None
    stats: Stats


@operation(
    title="Mailbox analytics",
    keywords="addresses compare best worst quota limit left remaining deliverability used busiest",
    effect=Effect.READ,
    rest=Rest("GET", "/v1/analytics/mailboxes"),
)
def get_mailbox_analytics(ctx: Context, request: GetMailboxAnalytics) -> Page[MailboxStats]:
    """Show how each mailbox does: sends, replies, bounce rate, daily limit and what of it is used today."""
    check_days(request.from_, request.to)
    query = select(Mailbox).where(Mailbox.workspace_id == ctx.workspace_id)
    total = ctx.session.scalar(select(func.count(Mailbox.id)).where(Mailbox.workspace_id == ctx.workspace_id)) or 0
    rows = list(ctx.session.scalars(newest_first(query, Mailbox.id, request, "mailbox_analytics")))
    cursor = next_cursor([row.id for row in rows], request, "mailbox_analytics")
    rows = rows[: request.limit]
    counts = counts_by(ctx.session, ctx.workspace_id, DailyCount.mailbox_id, start=request.from_, end=request.to)
    used = used_today(ctx.session, rows, ctx.now)
    return Page[MailboxStats](
        items=[
            MailboxStats(
                id=row.id,
                email=row.email,
                status=row.status,
                last_error=trouble_text(row.last_error, row.read_error),
                daily_send_limit=row.daily_send_limit,
                sent_today=used[row.id],
                warmup=None,
                stats=stats_of(counts.get((row.id,), Counter())),
            )
            for row in rows
        ],
        limit=request.limit,
        total=total,
        has_more=cursor is not None,
        next_cursor=cursor,
    )
