"""The documents a campaign is made of: sequence, schedule, settings, subsequences. The same models check what comes in
and describe what is stored and shown."""

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, AliasChoices, Field

from postrider.kernel.misfits import Allowed
from postrider.kernel.operation import Input
from postrider.kernel.page import MAX_LIMIT
from postrider.kernel.zones import check_zone

MAX_STEPS: Final = 50
MAX_BODY_CHARACTERS: Final = 100_000
MAX_COPIES: Final = 5
MAX_SUBSEQUENCES: Final = 100
MAX_MAILBOXES: Final = 500
MAX_SECRET_CHARACTERS: Final = 500
SEG_PROVIDERS = Literal[
    "proofpoint",
    "mimecast",
    "barracuda",
    "cisco",
    "forcepoint",
    "sophos",
    "trendmicro",
    "symantec",
    "mcafee",
    "microsoft_atp",
    "google_postini",
]
assert MAX_LIMIT >= MAX_STEPS

CampaignId = Annotated[str, Field(max_length=40, description="Campaign id (camp_…).")]
Subject = Annotated[str, Field(max_length=2_000)]
Body = Annotated[str, Field(max_length=MAX_BODY_CHARACTERS)]
Emails = Annotated[list[Annotated[str, Field(max_length=320)]], Field(max_length=MAX_COPIES)]
ClockTime = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$"), Allowed("a time as HH:MM, such as 08:30")]
Ids = Annotated[list[Annotated[str, Field(max_length=40)]], Field(max_length=MAX_MAILBOXES)]
Zone = Annotated[str, Field(max_length=64), AfterValidator(check_zone)]


class CampaignRef(Input):
    """Which campaign."""

    id: CampaignId


class ConditionInput(Input):
    """One condition of a conditional variable; ``value`` is not used by has_value and no_value."""

    field: Annotated[str, Field(min_length=1, max_length=100)]
    operator: Literal["has_value", "no_value", "equals", "not_equals", "contains", "not_contains"]
    value: Annotated[str | None, Field(max_length=1_000)] = None
    output: Annotated[str, Field(max_length=10_000)]


class ConditionalVariableInput(Input):
    """A named text that depends on the lead, used as {{cond:name}}: the first condition that holds gives it."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    conditions: Annotated[list[ConditionInput], Field(min_length=1, max_length=20)]
    default_value: Annotated[str, Field(max_length=10_000)] = ""


class VariantInput(Input):
    """One version of an email step, for A/B tests."""

    label: Annotated[
        str,
        Field(pattern=r"^[A-Z]$", description="One letter A-Z, unique within the step."),
        Allowed("one capital letter, such as B"),
    ]
    subject: Subject = ""
    body: Body = ""
    enabled: bool = True


class StepInput(Input):
    """One step: an email, or a wait before the next email.

    A step that keeps its ``id`` is the same step after an edit; a lead never gets the same step twice.
    """

    id: Annotated[str | None, Field(validation_alias=AliasChoices("id", "_id"), max_length=40)] = None
    type: Literal["email", "wait"]
    name: Annotated[str | None, Field(max_length=200)] = None
    order: Annotated[int | None, Field(ge=0, le=1_000)] = None
    subject: Annotated[Subject | None, Field(description="Empty on a follow-up: same thread.")] = None
    body: Annotated[Body | None, Field(description="HTML or plain text, with {{variables}} and {spin|tax}.")] = None
    wait_days: Annotated[int | None, Field(ge=0, le=365)] = None
    wait_hours: Annotated[int | None, Field(ge=0, le=8_760)] = None
    use_conditional_variables: bool = False
    conditional_variables: Annotated[list[ConditionalVariableInput], Field(max_length=50)] = []
    variants: Annotated[list[VariantInput] | None, Field(max_length=26)] = None


class TriggerInput(Input):
    """What enrols a lead in a subsequence. ``value``: the AI tag, for ai_tag."""

    type: Literal["ai_tag", "reply"]
    value: Annotated[str | None, Field(max_length=60)] = None


class SubsequenceInput(Input):
    """A nested follow-up flow (stored; not yet run, so a campaign with an active one cannot start)."""

    id: Annotated[str | None, Field(validation_alias=AliasChoices("id", "_id"), max_length=40)] = None
    name: Annotated[str, Field(max_length=200)] = ""
    status: Literal["active", "archived"] = "active"
    trigger: TriggerInput
    sequence: Annotated[list[StepInput], Field(max_length=MAX_STEPS)] = []


class Subsequence(SubsequenceInput):
    """A subsequence as it is stored. ``added_count``: leads that ever entered; ``sent``: emails it has sent."""

    added_count: int = 0
    sent: int = 0

    @property
    def is_used(self) -> bool:
        """Whether anybody entered it: from then on its trigger is fixed."""
        return self.added_count > 0 or self.sent > 0


class ScheduleInput(Input):
    """When mail may leave. ``endTime`` before ``startTime`` is a window over midnight. Days: 0 = Sunday … 6."""

    timezone: Annotated[Zone, Field(description="IANA name, such as Europe/Berlin.")] = "America/New_York"
    start_time: ClockTime = "09:00"
    end_time: ClockTime = "17:00"
    working_days: Annotated[list[Annotated[int, Field(ge=0, le=6)]], Field(min_length=1, max_length=7)] = [
        1,
        2,
        3,
        4,
        5,
    ]
    skip_national_holidays: bool = True
    use_lead_timezone: Annotated[bool, Field(description="Use the lead's own zone where it is known.")] = False


class CnameTracking(Input):
    """A tracking host of the user's own (not yet honoured)."""

    enabled: bool = False
    domain: Annotated[str | None, Field(max_length=253)] = None


class CampaignWebhook(Input):
    """Event deliveries of one campaign (not yet honoured). ``secret`` is stored sealed, and so longer than given."""

    enabled: bool = False
    url: Annotated[str | None, Field(max_length=2_000)] = None
    secret: Annotated[str | None, Field(max_length=3_000, description="At most 500 characters; never shown.")] = None
    events: Annotated[list[Annotated[str, Field(max_length=60)]], Field(max_length=50)] = []


class CopyFatigueProtection(Input):
    """Finds worn-out texts (not yet honoured)."""

    enabled: bool = False
    auto_regenerate: bool = False
    auto_resume: bool = False


class VariantOptimization(Input):
    """Turns losing variants off (not yet honoured)."""

    enabled: bool = False
    minimum_sends_per_variant: Annotated[int, Field(ge=1, le=100_000)] = 25
    minimum_days: Annotated[int, Field(ge=0, le=365)] = 3
    optimization_metric: Literal["replyRate", "openRate", "clickRate"] = "replyRate"
    keep_minimum_variants: Annotated[int, Field(ge=1, le=26)] = 1


class SettingsInput(Input):
    """How a campaign behaves."""

    track_opens: bool = True
    track_clicks: bool = True
    include_unsubscribe_link: Annotated[bool, Field(description="Add a footer link; the headers are sent anyway.")] = (
        False
    )
    cc: Emails = []
    bcc: Emails = []
    stop_on_reply: bool = True
    stop_on_auto_reply: bool = False
    stop_on_company_reply: bool = False
    skip_dnc: Annotated[bool, Field(alias="skipDNC", validation_alias=AliasChoices("skipDNC", "skip_dnc"))] = True
    daily_send_limit: Annotated[int | None, Field(ge=0, le=100_000)] = None
    new_leads_per_day: Annotated[int | None, Field(ge=0, le=100_000)] = None
    email_interval_minutes: Annotated[int, Field(ge=0, le=1_440, description="Gap per mailbox, in minutes.")] = 15
    text_only: bool = False
    unknown_variables: Annotated[
        Literal["hold", "blank", "block_launch"],
        Field(description="A variable without a value: hold the lead, leave blank, or refuse to start."),
    ] = "hold"
    esp_matching_mode: Literal["disabled", "auto", "strict", "custom"] = "disabled"
    seg_check_mode: Literal["disabled", "skip_all", "skip_providers", "use_specific_mailboxes"] = "disabled"
    seg_skip_providers: list[SEG_PROVIDERS] = []
    cname_tracking: CnameTracking = CnameTracking()
    slack_channel_id: Annotated[str | None, Field(max_length=60)] = None
    positive_replies_only_slack: bool = False
    reply_notification_emails: Emails = []
    positive_replies_only_email: bool = True
    ai_agent_id: Annotated[str | None, Field(max_length=40)] = None
    ai_agent_enabled: bool = False
    webhook: CampaignWebhook = CampaignWebhook()
    copy_fatigue_protection: CopyFatigueProtection = CopyFatigueProtection()
    variant_optimization: VariantOptimization = VariantOptimization()


class MailboxSelectors(Input):
    """Which mailboxes a campaign sends from: all that any of these name, each once."""

    mailboxes: Annotated[Ids | None, Field(description="Mailbox ids (older name of mailboxIds).")] = None
    mailbox_ids: Annotated[Ids | None, Field(description="Mailbox ids.")] = None
    mailbox_emails: Annotated[
        list[Annotated[str, Field(max_length=320)]] | None,
        Field(max_length=MAX_MAILBOXES, description="Mailboxes by address."),
    ] = None
    mailbox_tags: Annotated[
        list[Annotated[str, Field(max_length=60)]] | None,
        Field(max_length=50, description="Every mailbox that has any of these tags now."),
    ] = None
    mailbox_provider: Annotated[
        str | None, Field(max_length=60, description="Every mailbox of this provider now, such as gmail.")
    ] = None

    @property
    def is_given(self) -> bool:
        """Whether any selector is there; an empty list is one that chooses nothing."""
        given = (self.mailboxes, self.mailbox_ids, self.mailbox_emails, self.mailbox_tags, self.mailbox_provider)
        return any(selector is not None for selector in given)
