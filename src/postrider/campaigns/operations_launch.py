"""Campaigns: start, pause and resume."""

from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from postrider.campaigns.compiling import compile_variant
from postrider.campaigns.confirming import launch_facts
from postrider.campaigns.documents import CampaignRef, ScheduleInput, SettingsInput
from postrider.campaigns.edits import CURED_OUTSIDE, Change
from postrider.campaigns.following import STILL_FOLLOWING, apply_change
from postrider.campaigns.launch import Problem, Surroundings, mailbox_problems, sender_problems, warnings_for
from postrider.campaigns.missing import MAX_CHECKED, Reading, find_gaps
from postrider.campaigns.queries import document_problems, find_campaign, has_leads, surroundings_of
from postrider.campaigns.sequence import email_steps, read_steps
from postrider.campaigns.states import CampaignStatus
from postrider.campaigns.tables import Campaign
from postrider.kernel.context import Context, OutsideContext
from postrider.kernel.errors import Conflict
from postrider.kernel.operation import Effect, Output, Rest, operation
from postrider.kernel.policy import Facts

STARTABLE: Final = ("draft", "paused")
RESUMABLE: Final = ("paused",)


class CampaignStarted(Output):
    """The campaign runs. ``warnings``: what makes it send less than one may expect."""

    id: str
    status: CampaignStatus
    warnings: list[str]


class CampaignPaused(Output):
    """The campaign's new state."""

    id: str
    status: CampaignStatus


def start_facts(ctx: Context, request: CampaignRef) -> Facts:
    """What starting would do. Raises: NotFound, Conflict."""
    return _launch_facts(ctx, request, STARTABLE, "started", "Starting")


def resume_facts(ctx: Context, request: CampaignRef) -> Facts:
    """What resuming would do. Raises: NotFound, Conflict."""
    return _launch_facts(ctx, request, RESUMABLE, "resumed", "Resuming")


def _launch_facts(ctx: Context, request: CampaignRef, states: Sequence[str], verb: str, doing: str) -> Facts:
    row = _in_state(find_campaign(ctx, request.id, lock=ctx.locks), states, verb)
    # Not the leads' missing values, which take long to find: they are looked for once somebody has said yes.
    _refuse(row, _problems(ctx, row, surroundings_of(ctx, row), _reading(ctx, row).needed()))
    return launch_facts(ctx.session, row, ctx.now, doing)


@operation(
    title="Start a campaign",
    keywords="switch turn begin live send first release",
    effect=Effect.WRITE,
    scope="send",
    idempotent=True,
    open_world=True,
    audit="effect",
    core=True,
    confirm=start_facts,
    rest=Rest("POST", "/v1/campaigns/{id}/start"),
)
async def start_campaign(ctx: OutsideContext, request: CampaignRef) -> CampaignStarted:
    """Start a draft or paused campaign: from now on it sends real email, within its schedule and limits.

    It needs a mailbox that can send, an email step with words in every enabled variant, and a lead; settings that are
    not supported yet must be off. With unknownVariables=block_launch, every lead must have a value for each variable
    used without a fallback. All that is missing is listed at once, and nothing is changed. Pending leads become active,
    and leads held for policy_rejection are tried again. Look before you start: preview_email. Stop with pause_campaign.
    """
    return await _launch(ctx, request.id, STARTABLE, "started")


@operation(
    title="Pause a campaign",
    keywords="switch turn single wait temporarily break moment",
    effect=Effect.WRITE,
    idempotent=True,
    core=True,
    rest=Rest("POST", "/v1/campaigns/{id}/pause"),
)
def pause_campaign(ctx: Context, request: CampaignRef) -> CampaignPaused:
    """Pause an active campaign: once this returns, nothing more leaves than what was already at its last byte.

    Leads keep their place and their due dates; go on with resume_campaign.
    """
    row = find_campaign(ctx, request.id, lock=True)
    if row.status != "active":
        raise _wrong_state(row, "paused", "active")
    row.status = "paused"
    row.updated_at = ctx.now
    ctx.wake("sender")
    return CampaignPaused(id=row.id, status="paused")


@operation(
    title="Resume a campaign",
    keywords="switch turn again carry go unfreeze",
    effect=Effect.WRITE,
    scope="send",
    idempotent=True,
    open_world=True,
    audit="effect",
    core=True,
    confirm=resume_facts,
    rest=Rest("POST", "/v1/campaigns/{id}/resume"),
)
async def resume_campaign(ctx: OutsideContext, request: CampaignRef) -> CampaignStarted:
    """Resume a paused campaign; the same is needed as for start_campaign.

    What came due meanwhile is sent at the normal rate, not at once. Leads added meanwhile become active;
    leads held for policy_rejection are tried again.
    """
    return await _launch(ctx, request.id, RESUMABLE, "resumed")


_NEXT_STEPS = {
    "draft": "Start it with start_campaign.",
    "active": "It is running already; nothing was changed.",
    "paused": "Go on with resume_campaign.",
    "completed": "Every lead is done. Add leads (add_leads_to_campaign) and it becomes active again.",
    "archived": "An archived campaign stays as it is; create a new one.",
}


def _wrong_state(row: Campaign, verb: str, wanted: str) -> Conflict:
    return Conflict(
        f"The campaign is {row.status}; only a campaign that is {wanted} can be {verb}.",
        hint=_NEXT_STEPS[row.status],
        details={"status": row.status},
    )


class _Gaps(NamedTuple):
    """What block_launch says of the leads, and the revision of the campaign that it was said of."""

    revision: int
    problems: list[Problem]
    warnings: list[str]


async def _launch(ctx: OutsideContext, campaign_id: str, states: Sequence[str], verb: str) -> CampaignStarted:
    # Thousands of leads may have to be looked at: before the transaction that holds up other writers.
    gaps = await ctx.read(lambda c: _gaps(c, _in_state(find_campaign(c, campaign_id), states, verb)))
    return await ctx.effect(partial(_run, campaign_id=campaign_id, states=states, verb=verb, gaps=gaps))


def _in_state(row: Campaign, states: Sequence[str], verb: str) -> Campaign:
    if row.status not in states:
        raise _wrong_state(row, verb, " or ".join(states))
    return row


def _run(ctx: Context, *, campaign_id: str, states: Sequence[str], verb: str, gaps: _Gaps) -> CampaignStarted:
    """Makes the campaign and its pending leads active, if nothing is missing. Raises: Conflict listing what is."""
    row = _in_state(find_campaign(ctx, campaign_id, lock=True), states, verb)
    if row.revision != gaps.revision:
        gaps = _gaps(ctx, row)
    around = surroundings_of(ctx, row)
    needed = _reading(ctx, row).needed()
    _refuse(row, [*_problems(ctx, row, around, needed), *gaps.problems])
    settings = SettingsInput.model_validate(row.settings)
    warnings = warnings_for(settings, row.mailbox_ids, needed, around) + gaps.warnings
    row.status = "active"
    row.credential_id, row.held_to = ctx.actor.credential_id, []
    row.started_at = row.started_at or ctx.now
    row.updated_at = ctx.now
    ctx.session.flush()
    if not apply_change(ctx.session, row, Change(ctx.now, row.revision, releases=CURED_OUTSIDE, activates=True)):
        warnings.append(STILL_FOLLOWING)
        ctx.wake("jobs")
    ctx.wake("sender")
    return CampaignStarted(id=row.id, status="active", warnings=warnings)


def _problems(ctx: Context, row: Campaign, around: Surroundings, needed: dict[str, str]) -> list[Problem]:
    """What keeps the campaign from starting, the values of its leads aside."""
    problems = document_problems(row)
    if row.mailbox_ids:
        problems += mailbox_problems(row.mailbox_ids, around.mailboxes)
    if not has_leads(ctx.session, ctx.workspace_id, row.id):
        problems.append(Problem("leads", "the campaign has no leads; add some with add_leads_to_campaign"))
    if SettingsInput.model_validate(row.settings).unknown_variables == "block_launch":
        problems += sender_problems(needed, around.mailboxes, tracks=around.tracks)
    return problems


def _refuse(row: Campaign, problems: Sequence[Problem]) -> None:
    if problems:
        raise Conflict(
            f"The campaign cannot start: {'; '.join(problem.message for problem in problems)}.",
            code="CAMPAIGN_NOT_READY",
            hint="Mend these and call again; nothing was changed.",
            details={"status": row.status, "problems": [problem._asdict() for problem in problems]},
        )


def _reading(ctx: Context, row: Campaign) -> Reading:
    zone = ZoneInfo(ScheduleInput.model_validate(row.schedule).timezone)
    emails = [
        (email, [compile_variant(email.step, variant, f"sequence[{email.order}]") for variant in email.variants])
        for email in email_steps(read_steps(row.sequence))
    ]
    # The purpose is the sender's own, so that a choice made here is the one that will be sent.
    return Reading(row, emails, ctx.vault.derive("choices"), ctx.now.astimezone(zone).date())


def _gaps(ctx: Context, row: Campaign) -> _Gaps:
    """Which leads lack a value, where the campaign asks for all of them."""
    if SettingsInput.model_validate(row.settings).unknown_variables != "block_launch":
        return _Gaps(row.revision, [], [])
    gaps, all_checked = find_gaps(ctx.session, _reading(ctx, row))
    problems = []
    for gap in gaps:
        named = ", ".join(f"{{{{{name}}}}}" for name in gap.variables)
        problems.append(Problem("leads", f"{gap.email} ({gap.lead_id}) has no value for {named}"))
    if gaps and not all_checked:
        problems.append(Problem("leads", "there may be more; a fallback spares them all: {{companyName|your team}}"))
    if all_checked or gaps:
        return _Gaps(row.revision, problems, [])
    only_some = (
        f"Only the first {MAX_CHECKED:,} leads were checked for missing values; of the others, each that lacks "
        "one is held when its turn comes."
    )
    return _Gaps(row.revision, [], [only_some])
