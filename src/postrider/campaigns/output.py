"""Campaigns as callers see them: one with everything, and the short form of lists."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, cast

from pydantic import Field

from postrider.campaigns.documents import SEG_PROVIDERS, ScheduleInput, SettingsInput, StepInput, Subsequence
from postrider.campaigns.states import CampaignStatus
from postrider.campaigns.tables import Campaign
from postrider.kernel.operation import Output
from postrider.storage.base import JsonObject


class CampaignStats(Output):
    """What came of the emails so far. ``delivered``: sent and not returned; opens and clicks count once per email."""

    sent: int
    delivered: int
    opened: int
    clicked: int
    replied: int
    bounced: int
    unsubscribed: int


def delivered(sent: int, returned: int) -> int:
    """How many emails arrived. ``returned``: sent, then bounced; one refused at once was never counted as sent."""
    return max(sent - returned, 0)


class LeadCounts(Output):
    """Leads in the campaign, and those of them that are being written to."""

    total: int
    active: int


class ConditionOut(Output):
    """One condition of a conditional variable."""

    field: str
    operator: str
    value: str | None
    output: str


class ConditionalVariableOut(Output):
    """A text that depends on the lead."""

    name: str
    conditions: list[ConditionOut]
    default_value: str


class VariantOut(Output):
    """One version of an email."""

    label: str
    subject: str
    body: str
    enabled: bool


class StepOut(Output):
    """One step. Null: what the other type of step has. The variants are what is sent."""

    id: str
    type: Literal["email", "wait"]
    name: str
    order: int
    subject: str | None
    body: str | None
    wait_days: int | None
    wait_hours: int | None
    use_conditional_variables: bool
    conditional_variables: list[ConditionalVariableOut]
    variants: list[VariantOut] | None


class TriggerOut(Output):
    """What enrols a lead in a subsequence."""

    type: Literal["ai_tag", "reply"]
    value: str | None


class SubsequenceStats(Output):
    """What a subsequence has sent."""

    sent: int


class SubsequenceOut(Output):
    """A nested follow-up flow."""

    id: str
    name: str
    status: Literal["active", "archived"]
    trigger: TriggerOut
    sequence: list[StepOut]
    added_count: int
    stats: SubsequenceStats


class ScheduleOut(Output):
    """When mail may leave."""

    timezone: str
    start_time: str
    end_time: str
    working_days: list[int]
    skip_national_holidays: bool
    use_lead_timezone: bool


class CnameTrackingOut(Output):
    """A tracking host of the user's own."""

    enabled: bool
    domain: str | None


class WebhookOut(Output):
    """Event deliveries of the campaign. The secret itself is never shown."""

    enabled: bool
    url: str | None
    has_secret: bool
    events: list[str]


class CopyFatigueOut(Output):
    """Finding and mending worn-out texts."""

    enabled: bool
    auto_regenerate: bool
    auto_resume: bool


class VariantOptimizationOut(Output):
    """Turning losing variants off."""

    enabled: bool
    minimum_sends_per_variant: int
    minimum_days: int
    optimization_metric: Literal["replyRate", "openRate", "clickRate"]
    keep_minimum_variants: int


class CampaignSettingsOut(Output):
    """How a campaign behaves."""

    track_opens: bool
    track_clicks: bool
    include_unsubscribe_link: bool
    cc: list[str]
    bcc: list[str]
    stop_on_reply: bool
    stop_on_auto_reply: bool
    stop_on_company_reply: bool
    skip_dnc: bool = Field(alias="skipDNC")
    daily_send_limit: int | None
    new_leads_per_day: int | None
    email_interval_minutes: int
    text_only: bool
    unknown_variables: Literal["hold", "blank", "block_launch"]
    esp_matching_mode: Literal["disabled", "auto", "strict"]
    seg_check_mode: Literal["disabled", "skip_all", "skip_providers"]
    seg_skip_providers: list[SEG_PROVIDERS]
    cname_tracking: CnameTrackingOut
    slack_channel_id: str | None
    positive_replies_only_slack: bool
    reply_notification_emails: list[str]
    positive_replies_only_email: bool
    ai_agent_id: str | None
    ai_agent_enabled: bool
    webhook: WebhookOut
    copy_fatigue_protection: CopyFatigueOut
    variant_optimization: VariantOptimizationOut


class CampaignOut(CampaignSettingsOut):
    """One campaign. Each setting stands at the top level, and again in ``settings``: there as a plain object, because
    every client loads the schema, and twice the same would double it."""

    id: str
    name: str
    user_id: str
    workspace_id: str
    status: CampaignStatus
    mailboxes: list[str]
    sequence: list[StepOut]
    subsequences: list[SubsequenceOut]
    sending_schedule: ScheduleOut
    settings: dict[str, object]
    stats: CampaignStats
    leads: LeadCounts
    revision: int
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    warnings: list[str]


class CampaignItem(Output):
    """A campaign in a list, without texts, schedule and settings. ``emailSteps``: how many emails its sequence has."""

    id: str
    name: str
    user_id: str
    workspace_id: str
    status: CampaignStatus
    mailboxes: list[str]
    email_steps: int
    stats: CampaignStats
    leads: LeadCounts
    revision: int
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    completed_at: datetime | None


def campaign_out(
    row: Campaign, stored: SettingsInput, stats: CampaignStats, leads: LeadCounts, warnings: Sequence[str]
) -> CampaignOut:
    """The whole campaign. ``stored``: its settings."""
    settings = _settings(stored)
    return CampaignOut(
        **dict(settings),
        id=row.id,
        name=row.name,
        user_id=row.user_id,
        workspace_id=row.workspace_id,
        status=cast("CampaignStatus", row.status),
        mailboxes=row.mailbox_ids,
        sequence=_steps([StepInput.model_validate(step) for step in row.sequence]),
        subsequences=[_subsequence(subsequence) for subsequence in row.subsequences],
        sending_schedule=ScheduleOut.model_validate(ScheduleInput.model_validate(row.schedule).model_dump()),
        settings=settings.model_dump(mode="json", by_alias=True),
        stats=stats,
        leads=leads,
        revision=row.revision,
        created_at=row.created_at,
        updated_at=row.updated_at,
        started_at=row.started_at,
        completed_at=row.completed_at,
        warnings=list(warnings),
    )


def campaign_item(row: Campaign, stats: CampaignStats, leads: LeadCounts) -> CampaignItem:
    """The campaign as one row of a list."""
    return CampaignItem(
        id=row.id,
        name=row.name,
        user_id=row.user_id,
        workspace_id=row.workspace_id,
        status=cast("CampaignStatus", row.status),
        mailboxes=row.mailbox_ids,
        email_steps=sum(step["type"] == "email" for step in row.sequence),
        stats=stats,
        leads=leads,
        revision=row.revision,
        created_at=row.created_at,
        updated_at=row.updated_at,
        started_at=row.started_at,
        completed_at=row.completed_at,
    )


# Stored documents are read by the models that wrote them, which fill in what did not exist then.


def _settings(stored: SettingsInput) -> CampaignSettingsOut:
    shown = stored.model_dump()
    shown["webhook"]["has_secret"] = bool(shown["webhook"].pop("secret"))
    return CampaignSettingsOut.model_validate(shown)


def _steps(steps: Sequence[StepInput]) -> list[StepOut]:
    return [StepOut.model_validate(step.model_dump()) for step in steps]


def _subsequence(document: JsonObject) -> SubsequenceOut:
    stored = Subsequence.model_validate(document)
    return SubsequenceOut(
        id=stored.id or "",
        name=stored.name,
        status=stored.status,
        trigger=TriggerOut(type=stored.trigger.type, value=stored.trigger.value),
        sequence=_steps(stored.sequence),
        added_count=stored.added_count,
        stats=SubsequenceStats(sent=stored.sent),
    )
