"""The kill switch: stop everything that sends in a workspace, and let it go on."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from postrider.access.tables import Workspace
from postrider.content.headers import check_name
from postrider.kernel.context import Context
from postrider.kernel.operation import Effect, Input, Output, Rest, operation


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


@operation(
    title="Resume the workspace",
    effect=Effect.WRITE,
    scope="send",
    rest=Rest("POST", "/v1/workspace/resume"),
    idempotent=True,
)
def resume_workspace(ctx: Context, request: ResumeWorkspace) -> WorkspaceState:
    """Let a paused workspace send again. Campaigns go on at their normal rate; nothing is caught up in a burst."""
    row = _locked(ctx)
    row.paused_at = None
    row.paused_reason = None
    row.updated_at = ctx.now
    ctx.wake("sender")
    ctx.wake("replies")
    return _state(row)


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
