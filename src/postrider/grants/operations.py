"""Connected apps: which ones people have let into the workspace, and how they are put out again."""

from datetime import datetime
from typing import Annotated, Final

from pydantic import Field
from sqlalchemy import select

from postrider.access.tables import User
from postrider.grants.queries import end_grant
from postrider.grants.tables import Grant, Token
from postrider.kernel.context import Context
from postrider.kernel.errors import NotFound
from postrider.kernel.ids import check_id
from postrider.kernel.operation import Effect, Input, Output, Rest, UntrustedText, operation
from postrider.storage.leases import wall_ms_now

TAKEN_BACK: Final = "taken back"
_MOST_SHOWN: Final = 200


class ListConnectedApps(Input):
    """Takes nothing."""


class ConnectedApp(Output):
    """One app that somebody let in. ``clientId``: the https address of its description, if it was fetched from there;
    nobody has checked the name of any other. ``scopes``, ``toolsets`` (null: all), ``autonomy`` and ``dailySends``
    (null: no limit of its own) are what the person chose."""

    id: str
    name: UntrustedText
    client_id: UntrustedText
    redirect_uri: UntrustedText
    user_id: str
    user_email: str
    scopes: list[str]
    toolsets: list[str] | None
    autonomy: str
    daily_sends: int | None
    connected_at: datetime
    last_used_at: datetime | None


class ConnectedApps(Output):
    """The latest first."""

    items: list[ConnectedApp]


class RevokeConnectedApp(Input):
    """Which one."""

    id: Annotated[str, Field(max_length=40, description="Of the connected app (grt_), from list_connected_apps.")]


class RevokedApp(Output):
    """What was ended."""

    id: str
    name: UntrustedText
    revoked: bool


@operation(
    title="List connected apps",
    effect=Effect.READ,
    scope="administer",
    toolset="access",
    rest=Rest("GET", "/v1/connected-apps"),
)
def list_connected_apps(ctx: Context, request: ListConnectedApps) -> ConnectedApps:
    """List the apps that people have let into this workspace by signing in (OAuth), and what each may do.

    Shows up to 200 that are still connected: neither revoked nor unused for a month. Each sign-in makes one entry, so
    an app may stand here twice. API keys are not in the list. End one with revoke_connected_app.
    """
    living = (
        select(Token.digest)
        .where(
            Token.workspace_id == Grant.workspace_id,
            Token.grant_id == Grant.id,
            Token.used_ms.is_(None),
            Token.expires_ms > wall_ms_now(),
        )
        .exists()
    )
    rows = ctx.session.execute(
        select(Grant, User.email)
        .join(User, User.id == Grant.user_id)
        .where(Grant.workspace_id == ctx.workspace_id, Grant.revoked_at.is_(None), living)
        .order_by(Grant.id.desc())
        .limit(_MOST_SHOWN)
    )
    return ConnectedApps(items=[_out(grant, email) for grant, email in rows])


@operation(
    title="Revoke a connected app",
    effect=Effect.DESTRUCTIVE,
    scope="administer",
    toolset="access",
    rest=Rest("DELETE", "/v1/connected-apps/{id}"),
)
def revoke_connected_app(ctx: Context, request: RevokeConnectedApp) -> RevokedApp:
    """Take back what an app was allowed: all of its tokens stop working within one second.

    What it has started goes on (pause_workspace or pause_campaign stops that). The app can ask again, and a person
    decides again. Revoking one that is already revoked changes nothing.
    """
    grant_id = check_id(request.id, "grt", "id")
    grant = ctx.session.get(Grant, (ctx.workspace_id, grant_id))
    if grant is None:
        raise NotFound("Connected app not found", hint="list_connected_apps shows the ids.")
    end_grant(ctx.session, ctx.workspace_id, grant_id, TAKEN_BACK, ctx.now)
    return RevokedApp(id=grant.id, name=grant.client_name, revoked=True)


def _out(grant: Grant, email: str) -> ConnectedApp:
    return ConnectedApp(
        id=grant.id,
        name=grant.client_name,
        client_id=grant.client_id,
        redirect_uri=grant.redirect_uri,
        user_id=grant.user_id,
        user_email=email,
        scopes=grant.scopes,
        toolsets=grant.toolsets,
        autonomy=grant.autonomy,
        daily_sends=grant.daily_sends,
        connected_at=grant.created_at,
        last_used_at=grant.last_used_at,
    )
