"""The kill switch: stop everything that sends in a workspace, and let it go on."""

from datetime import datetime
from typing import Annotated, Final

from pydantic import Field
from sqlalchemy import ColumnElement, func, select

from postrider.access.causes import CAMPAIGNS, ENROLLMENTS, hold_campaigns
from postrider.access.tables import Workspace
from postrider.content.headers import check_name
from postrider.kernel.arguments import digest_of
from postrider.kernel.context import Context
from postrider.kernel.operation import Effect, Input, Output, Rest, operation
from postrider.kernel.policy import Facts
from postrider.kernel.visible import first_few, in_quotes
from postrider.kernel.words import counted
from postrider.kernel.zones import rfc3339_milliseconds

_NAMED: Final = 5
"""Campaigns that are named; of the others, it is said how many they are."""


class PauseWorkspace(Input):
    """Why, for whoever looks later."""

    reason: Annotated[str, Field(max_length=500, description="One line of text.")] = ""


class ResumeWorkspace(Input):
    """Takes nothing."""


class WorkspaceState(Output):
    """Whether the workspace may send."""

    id: str
    name: str
    paused: bool
    paused_at: datetime | None
    paused_reason: str | None


@operation(
    title="Pause the workspace",
    keywords="emergency panic kill switch everything whole immediately sending",
    effect=Effect.WRITE,
    rest=Rest("POST", "/v1/workspace/pause"),
    idempotent=True,
    core=True,
)
def pause_workspace(ctx: Context, request: PauseWorkspace) -> WorkspaceState:
    """Stop everything that sends in this workspace at once: campaigns, replies, tests. Nothing is lost.

    Messages already handed over to a mail server still leave. Use resume_workspace to go on. Use it whenever something
    looks wrong; campaigns keep their own state.
    """
    check_name(request.reason, "reason")
    row = _locked(ctx)
    if row.paused_at is None:
        row.paused_at = ctx.now
        row.paused_reason = request.reason or None
        row.updated_at = ctx.now
    return _state(row)


def resume_facts(ctx: Context, request: ResumeWorkspace) -> Facts | None:
    """What goes on; None where nothing is paused."""
    row = _locked(ctx) if ctx.locks else ctx.session.get_one(Workspace, ctx.workspace_id)
    if row.paused_at is None:
        return None
    going_on = ctx.once(_going_on, request)
    people = sum(going_on.values())
    return Facts(
        summary=f"The workspace {row.id} is paused since {rfc3339_milliseconds(row.paused_at)}. Resuming lets "
        f"everything go on: active campaigns ({len(going_on):,}, with {counted(people, 'lead', 'leads')}), replies "
        "that wait, tests.",
        subject=row.id,
        revision=f"{rfc3339_milliseconds(row.paused_at)}/{digest_of(going_on)}",
        cause="send",
        people=people,
        leaves_from=tuple(going_on),
        details=_named(ctx, list(going_on)),
    )


def _named(ctx: Context, campaign_ids: list[str]) -> tuple[str, ...]:
    """What the first of the campaigns are called, if there are any."""
    first = CAMPAIGNS.c.id.in_(campaign_ids[:_NAMED])
    query = select(CAMPAIGNS.c.name).where(_active_campaigns(ctx), first).order_by(CAMPAIGNS.c.id)
    names = [in_quotes(name) for name in ctx.session.scalars(query)]
    return (f"Active campaigns: {first_few(names, _NAMED, len(campaign_ids) - len(names))}",) if names else ()


@operation(
    title="Resume the workspace",
    keywords="emergency lift end everything whole sending again switch start freeze",
    effect=Effect.WRITE,
    scope="send",
    rest=Rest("POST", "/v1/workspace/resume"),
    idempotent=True,
    confirm=resume_facts,
)
def resume_workspace(ctx: Context, request: ResumeWorkspace) -> WorkspaceState:
    """Let a paused workspace send again. Campaigns go on at their normal rate; nothing is caught up in a burst."""
    row = _locked(ctx)
    if row.paused_at is not None and ctx.capped_by is not None:
        theirs = CAMPAIGNS.c.id.in_(list(ctx.once(_going_on, request)))
        hold_campaigns(ctx.session, ctx.workspace_id, ctx.capped_by, theirs)
    row.paused_at = None
    row.paused_reason = None
    row.updated_at = ctx.now
    ctx.wake("sender")
    ctx.wake("replies")
    return _state(row)


def _going_on(ctx: Context, request: ResumeWorkspace) -> dict[str, int]:
    """The active campaigns, and how many are written to in each."""
    places = ENROLLMENTS.c
    theirs = (places.workspace_id == CAMPAIGNS.c.workspace_id) & (places.campaign_id == CAMPAIGNS.c.id)
    found = select(CAMPAIGNS.c.id, func.count(places.campaign_id)).select_from(
        CAMPAIGNS.outerjoin(ENROLLMENTS, theirs & (places.status == "active"))
    )
    query = found.where(_active_campaigns(ctx)).group_by(CAMPAIGNS.c.id).order_by(CAMPAIGNS.c.id)
    return dict(ctx.session.execute(query).all())


def _active_campaigns(ctx: Context) -> ColumnElement[bool]:
    return (CAMPAIGNS.c.workspace_id == ctx.workspace_id) & (CAMPAIGNS.c.status == "active")


def _locked(ctx: Context) -> Workspace:
    # FOR UPDATE waits for second markers being written: after this call has returned, no further message gets its dot.
    return ctx.session.get_one(Workspace, ctx.workspace_id, with_for_update=True)


def _state(row: Workspace) -> WorkspaceState:
    return WorkspaceState(
        id=row.id,
        name=row.name,
        paused=row.paused_at is not None,
        paused_at=row.paused_at,
        paused_reason=row.paused_reason,
    )
