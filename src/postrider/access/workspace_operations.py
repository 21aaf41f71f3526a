"""A workspace as a whole: who belongs to it, what it has decided, how much is in it."""

from datetime import datetime
from typing import Annotated, Final

from pydantic import Field
from sqlalchemy import ColumnElement, Select, column, func, select, table, true
from sqlalchemy.orm import Session

from postrider.access.causes import CAMPAIGNS
from postrider.access.house import house_of
from postrider.access.tables import Membership, User, Workspace
from postrider.kernel.context import Context
from postrider.kernel.errors import NotFound
from postrider.kernel.ids import check_id
from postrider.kernel.operation import Effect, Input, Output, Rest, operation

# Features above this one: their rows are counted by the names of some columns, which a test holds against them.
MAILBOXES: Final = table(
    "mailboxes", column("workspace_id"), column("status"), column("sending_enabled"), column("daily_send_limit")
)
LEADS: Final = table("leads", column("workspace_id"))
CONVERSATIONS: Final = table("conversations", column("workspace_id"))


class GetWorkspace(Input):
    """Which workspace."""

    id: Annotated[
        str | None, Field(max_length=40, description="The credential's own; may be left out. No other is reached.")
    ] = None


class MemberOut(Output):
    """Somebody who belongs to the workspace. ``role``: owner, admin or member."""

    user_id: str
    name: str
    email: str
    role: str
    joined_at: datetime


class WorkspaceSettings(Output):
    """What is decided for all of its mail. Empty lines are not written."""

    postal_address: str
    opt_out_line: str
    unsubscribe_headers: bool


class WorkspaceUsage(Output):
    """How much there is."""

    mailboxes: int
    leads: int
    campaigns: int
    active_campaigns: int
    conversations: int


class WorkspaceLimits(Output):
    """``sendsPerDay``: what the mailboxes that can send may send in a day, together. ``credentialSendsPerDay``: what
    the calling credential may cause in a day, null for no limit of its own."""

    sends_per_day: int
    credential_sends_per_day: int | None


class WorkspaceDetail(Output):
    """One workspace."""

    id: str
    name: str
    owner_id: str
    status: str
    paused: bool
    paused_at: datetime | None
    paused_reason: str | None
    members: list[MemberOut]
    settings: WorkspaceSettings
    usage: WorkspaceUsage
    limits: WorkspaceLimits
    created_at: datetime
    updated_at: datetime


@operation(
    title="Get the workspace",
    keywords="plan subscription quota usage used allow colleagues who belongs state mode volume monthly",
    effect=Effect.READ,
    short=True,
    rest=Rest("GET", "/v1/workspaces/{id}"),
)
def get_workspace(ctx: Context, request: GetWorkspace) -> WorkspaceDetail:
    """Show the workspace: its members, settings, usage and limits, and whether it is paused.

    A credential reaches one workspace; any other id is answered as if it did not exist.
    """
    if request.id is not None and check_id(request.id, "ws", "id") != ctx.workspace_id:
        raise NotFound("Workspace not found", hint="Leave the id out to get the credential's own workspace.")
    row = ctx.session.get_one(Workspace, ctx.workspace_id)
    house = house_of(ctx.session, ctx.workspace_id)
    return WorkspaceDetail(
        id=row.id,
        name=row.name,
        owner_id=row.owner_id,
        status=row.status,
        paused=row.paused_at is not None,
        paused_at=row.paused_at,
        paused_reason=row.paused_reason,
        members=_members(ctx.session, ctx.workspace_id),
        settings=WorkspaceSettings(
            postal_address=house.postal_address,
            opt_out_line=house.opt_out_line,
            unsubscribe_headers=house.unsubscribe_headers,
        ),
        usage=_usage(ctx.session, ctx.workspace_id),
        limits=WorkspaceLimits(
            sends_per_day=_sends_per_day(ctx.session, ctx.workspace_id),
            credential_sends_per_day=ctx.actor.caps.at(ctx.now),
        ),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _members(session: Session, workspace_id: str) -> list[MemberOut]:
    """Who joined first comes first."""
    query = (
        select(Membership, User)
        .join(User, User.id == Membership.user_id)
        .where(Membership.workspace_id == workspace_id)
        .order_by(Membership.created_at, Membership.user_id)
    )
    return [
        MemberOut(user_id=user.id, name=user.name, email=user.email, role=member.role, joined_at=member.created_at)
        for member, user in session.execute(query)
    ]


def _usage(session: Session, workspace_id: str) -> WorkspaceUsage:
    def counted(of_workspace: ColumnElement[str], *conditions: ColumnElement[bool]) -> int:
        query: Select[int] = select(func.count()).where(of_workspace == workspace_id, *conditions)
        return session.scalar(query) or 0

    return WorkspaceUsage(
        mailboxes=counted(MAILBOXES.c.workspace_id),
        leads=counted(LEADS.c.workspace_id),
        campaigns=counted(CAMPAIGNS.c.workspace_id),
        active_campaigns=counted(CAMPAIGNS.c.workspace_id, CAMPAIGNS.c.status == "active"),
        conversations=counted(CONVERSATIONS.c.workspace_id),
    )


def _sends_per_day(session: Session, workspace_id: str) -> int:
    may_send = (MAILBOXES.c.status == "active") & (MAILBOXES.c.sending_enabled == true())
    query = select(func.sum(MAILBOXES.c.daily_send_limit)).where(MAILBOXES.c.workspace_id == workspace_id, may_send)
    return session.scalar(query) or 0
