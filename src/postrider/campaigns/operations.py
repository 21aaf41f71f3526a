"""Campaigns: create, list, read and edit. Starting and stopping them: operations_launch.py."""

from typing import Annotated, Any, Final, NamedTuple

from pydantic import AfterValidator, Field

from postrider.access.causes import CAMPAIGNS, hold_campaigns
from postrider.access.house import pause_warnings
from postrider.campaigns.checking import check_storable, checked_name
from postrider.campaigns.confirming import edit_facts
from postrider.campaigns.documents import (
    MAX_STEPS,
    MAX_SUBSEQUENCES,
    CampaignId,
    CampaignRef,
    MailboxSelectors,
    ScheduleInput,
    SettingsInput,
    StepInput,
    SubsequenceInput,
)
from postrider.campaigns.drafting import (
    draft_mailboxes,
    draft_schedule,
    draft_sequence,
    draft_settings,
    draft_subsequences,
)
from postrider.campaigns.edits import CURABLE, Change, bound_elsewhere
from postrider.campaigns.following import apply_change
from postrider.campaigns.moves import Moves
from postrider.campaigns.output import CampaignItem, CampaignOut, campaign_item
from postrider.campaigns.queries import (
    campaign_page,
    document_problems,
    figures_of,
    find_campaign,
    show_campaign,
)
from postrider.campaigns.sequence import email_steps, read_steps
from postrider.campaigns.states import CampaignStatus
from postrider.campaigns.tables import Campaign
from postrider.kernel.context import Context
from postrider.kernel.errors import Conflict, InvalidInput
from postrider.kernel.ids import new_id
from postrider.kernel.operation import Effect, Rest, operation
from postrider.kernel.page import Page, PageInput
from postrider.kernel.policy import Facts
from postrider.storage.base import JsonObject

CampaignName = Annotated[str, Field(max_length=200, description="For you; recipients never see it.")]
Steps = Annotated[
    list[StepInput],
    Field(max_length=MAX_STEPS, description="Emails and waits in order; the first is an email."),
]
Subsequences = Annotated[list[SubsequenceInput], Field(max_length=MAX_SUBSEQUENCES)]


class CreateCampaign(MailboxSelectors):
    """A new campaign."""

    name: Annotated[CampaignName, AfterValidator(checked_name)]
    sequence: Steps | None = None
    subsequences: Subsequences | None = None
    schedule: ScheduleInput | None = None
    settings: SettingsInput | None = None


class UpdateCampaign(MailboxSelectors):
    """What changes; what is left out stays."""

    id: CampaignId
    name: Annotated[CampaignName, AfterValidator(checked_name)] | None = None
    sequence: Annotated[
        Steps | None,
        Field(description="The whole new list. A step keeps its identity by id; one without id by its place."),
    ] = None
    subsequences: Annotated[Subsequences | None, Field(description="The whole new list, matched by id.")] = None
    schedule: Annotated[ScheduleInput | None, Field(description="Only the fields given change.")] = None
    settings: Annotated[SettingsInput | None, Field(description="Only the fields given change.")] = None


class Content(NamedTuple):
    """Everything of a campaign that an edit can change."""

    name: str
    sequence: list[JsonObject]
    subsequences: list[JsonObject]
    schedule: JsonObject
    settings: JsonObject
    mailbox_ids: list[str]


_SENT: Final = ("sequence", "subsequences", "schedule", "settings", "mailbox_ids")
"""The parts of the content that recipients notice."""


class ListCampaigns(PageInput):
    """Which campaigns."""

    status: Annotated[
        CampaignStatus | None, Field(description="Only these; archived ones are listed only if asked for here.")
    ] = None
    search: Annotated[str | None, Field(max_length=200, description="Part of the name, whatever its case.")] = None


class CampaignList(Page[CampaignItem]):
    """Campaigns, newest first. ``warnings``: what holds all of them, such as a paused workspace."""

    warnings: list[str]


@operation(
    title="Create a campaign",
    keywords="write prepare first series newsletter blast mails steps begin",
    effect=Effect.WRITE,
    core=True,
    rest=Rest("POST", "/v1/campaigns"),
)
def create_campaign(ctx: Context, request: CreateCampaign) -> CampaignOut:
    """Create a campaign as a draft; nothing is sent before start_campaign.

    Only name is required. The sequence alternates email and wait steps and begins with an email. Texts take
    {{firstName}}, {{companyName|your team}} (with a fallback), {spin|tax}, {{#if field}}…{{else}}…{{/if}} and custom
    fields; each is checked now, and errors say where. A follow-up without subject continues the thread. Mailboxes are
    the union of ids, emails, tags and provider, chosen once, now. Times are local to schedule.timezone.

    Some settings are stored but not supported yet: warnings names them, and start_campaign refuses them.
    Next: add_leads_to_campaign, preview_email, start_campaign.
    """
    check_storable(request)
    campaign_id = new_id("camp")
    row = Campaign(
        workspace_id=ctx.workspace_id,
        id=campaign_id,
        user_id=ctx.actor.user_id,
        name=request.name,
        status="draft",
        revision=1,
        sequence=draft_sequence(request.sequence or ()),
        subsequences=draft_subsequences(request.subsequences or ()),
        schedule=draft_schedule(request.schedule or ScheduleInput()),
        settings=draft_settings(ctx, campaign_id, request.settings or SettingsInput()),
        mailbox_ids=draft_mailboxes(ctx, request),
        credential_id=None,
        started_at=None,
        completed_at=None,
        created_at=ctx.now,
        updated_at=ctx.now,
    )
    ctx.session.add(row)
    ctx.session.flush()
    return show_campaign(ctx, row.id)


@operation(
    title="List campaigns",
    keywords="running active overview everything sending",
    effect=Effect.READ,
    core=True,
    rest=Rest("GET", "/v1/campaigns"),
)
def list_campaigns(ctx: Context, request: ListCampaigns) -> CampaignList:
    """List campaigns, newest first, with status, results so far and numbers of leads.

    Filter by status or part of the name; archived campaigns only with status=archived. Sequences, schedules and
    settings are left out: get_campaign has them.
    """
    search = (request.search or "").strip() or None
    rows, total, cursor = campaign_page(ctx.session, ctx.workspace_id, request, status=request.status, search=search)
    ids = [row.id for row in rows]
    figures = figures_of(ctx.session, ctx.workspace_id, ids)
    return CampaignList(
        items=[campaign_item(row, *figures[row.id]) for row in rows],
        limit=request.limit,
        total=total,
        has_more=cursor is not None,
        next_cursor=cursor,
        warnings=pause_warnings(ctx.session, ctx.workspace_id),
    )


@operation(
    title="Get a campaign",
    keywords="wording copy content body subject steps delays details configuration read",
    effect=Effect.READ,
    short=True,
    core=True,
    rest=Rest("GET", "/v1/campaigns/{id}"),
)
def get_campaign(ctx: Context, request: CampaignRef) -> CampaignOut:
    """Get one campaign: sequence with texts, schedule, settings, mailboxes, results so far and numbers of leads.

    warnings says what would keep it from starting or make it send less than expected.
    """
    return show_campaign(ctx, request.id)


def update_facts(ctx: Context, request: UpdateCampaign) -> Facts | None:
    """What an edit changes of what is sent; None for a campaign that does not run. Raises: what the edit raises."""
    row = find_campaign(ctx, request.id, lock=ctx.locks)
    if row.status != "active":
        return None
    check_storable(request)
    before, after = _content(row), _edited(ctx, row, request)
    changed = _changed(before, after)
    if changed:
        _check_still_runs(row.status, after)
    given = request.model_dump(mode="json", exclude={"id", "name"}, exclude_unset=True)
    return edit_facts(ctx.session, row, [part.replace("_ids", "es") for part in changed], given)


@operation(
    title="Update a campaign",
    keywords="wording copy content body subject steps days weekdays hours delay timing senders replace rewrite",
    effect=Effect.WRITE,
    idempotent=True,
    core=True,
    confirm=update_facts,
    rest=Rest("PATCH", "/v1/campaigns/{id}"),
)
def update_campaign(ctx: Context, request: UpdateCampaign) -> CampaignOut:
    """Change a campaign in any state but archived; what is left out stays as it is.

    schedule and settings change field by field. sequence and subsequences replace the whole list: read them with
    get_campaign, edit, and send them back with their ids. Any mailbox selector replaces all mailboxes.

    A running campaign goes on: emails not yet attempted get the new text, nobody gets a step twice, and waits count
    from the email before. Leads past an inserted step do not get it; leads that wait for a removed step go on with the
    next one. Leads held for a missing variable or a bad template are tried again.
    """
    check_storable(request)
    row = find_campaign(ctx, request.id, lock=True)
    if row.status == "archived":
        raise Conflict(
            "The campaign is archived and cannot be changed.",
            hint="Create a new campaign.",
            details={"status": row.status},
        )
    before = _content(row)
    after = _edited(ctx, row, request)
    if after == before:
        return show_campaign(ctx, row.id)
    _check_still_runs(row.status, after)
    for part, value in after._asdict().items():
        setattr(row, part, value)
    row.revision += 1
    row.updated_at = ctx.now
    ctx.session.flush()
    if ctx.capped_by is not None and _changed(before, after):
        hold_campaigns(ctx.session, ctx.workspace_id, ctx.capped_by, CAMPAIGNS.c.id == row.id)
    _follow_up(ctx, row, before)
    return show_campaign(ctx, row.id, _left_behind(ctx, row, before))


def _edited(ctx: Context, row: Campaign, request: UpdateCampaign) -> Content:
    """The content with what was given. Raises: InvalidInput."""
    if request.sequence is not None and not request.sequence and row.started_at is not None:
        raise InvalidInput(
            "sequence cannot be emptied once the campaign has been started: leads have their place in it.",
            field="sequence",
            hint="Leave at least one email, or pause the campaign.",
        )
    kept = _content(row)
    given: dict[str, Any] = {}
    if request.name is not None:
        given["name"] = request.name
    if request.sequence is not None:
        given["sequence"] = draft_sequence(request.sequence, row.sequence)
    if request.subsequences is not None:
        given["subsequences"] = draft_subsequences(request.subsequences, row.subsequences)
    if request.schedule is not None:
        given["schedule"] = draft_schedule(request.schedule, row.schedule)
    if request.settings is not None:
        given["settings"] = draft_settings(ctx, row.id, request.settings, row.settings)
    if request.is_given:
        given["mailbox_ids"] = draft_mailboxes(ctx, request)
    return kept._replace(**given)


def _content(row: Campaign) -> Content:
    return Content(row.name, row.sequence, row.subsequences, row.schedule, row.settings, row.mailbox_ids)


def _changed(before: Content, after: Content) -> list[str]:
    return [part for part in _SENT if getattr(before, part) != getattr(after, part)]


def _check_still_runs(status: str, after: Content) -> None:
    """Accepts an edit that leaves a campaign able to run which does, or will as soon as it gets a lead.

    Raises: Conflict.
    """
    problems = document_problems(Campaign(**after._asdict())) if status in ("active", "completed") else []
    if problems:
        words = "; ".join(problem.message for problem in problems)
        raise Conflict(
            f"The campaign is {status}, and could not go on so: {words}.",
            hint="Change these fields too, or pause the campaign first (pause_campaign). Nothing was changed.",
            details={"status": status, "problems": [problem._asdict() for problem in problems]},
        )


def _follow_up(ctx: Context, row: Campaign, before: Content) -> None:
    """What the edit changes for the leads that are in the campaign already."""
    moves = None
    if row.sequence != before.sequence:
        old, new = (email_steps(read_steps(documents)) for documents in (before.sequence, row.sequence))
        moves = Moves.between(old, new)
    may_cure = row.sequence != before.sequence or row.settings != before.settings
    change = Change(
        at=ctx.now,
        revision=row.revision,
        moves=moves,
        releases=CURABLE if may_cure else (),
        wakes=row.schedule != before.schedule,
    )
    if not apply_change(ctx.session, row, change):
        ctx.wake("jobs")
    if row.status == "active":
        ctx.wake("sender")


def _left_behind(ctx: Context, row: Campaign, before: Content) -> list[str]:
    """A warning when leads wait for follow-ups from mailboxes that the campaign no longer uses."""
    if set(before.mailbox_ids) <= set(row.mailbox_ids):
        return []
    bound = bound_elsewhere(ctx.session, row)
    if not bound:
        return []
    return [
        f"Follow-ups leave from the mailbox of the first email. Leads that began with {', '.join(bound)} get nothing "
        "more until the campaign uses it again."
    ]
