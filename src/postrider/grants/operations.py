"""Connected apps: which ones people have let into the workspace, and how they are put out again."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final

from pydantic import Field
from sqlalchemy import select

from postrider.access.tables import User
from postrider.grants.apps import end_app, living_apps, living_grant, together
from postrider.grants.tables import Grant
from postrider.kernel.context import Context
from postrider.kernel.errors import NotFound
from postrider.kernel.ids import check_id
from postrider.kernel.operation import Effect, Input, Output, Rest, UntrustedText, operation

_MOST_SHOWN: Final = 200


class ListConnectedApps(Input):
    """Whose apps."""

    user_id: Annotated[str | None, Field(max_length=40, description="Only those that this person let in (usr_…).")] = (
        None
    )


class ConnectedApp(Output):
    """One app that somebody let in. ``clientId``: the https address of its description, if it was fetched from there;
    nobody has checked the name of any other. ``grantIds``: one for each time that the person said yes, the latest
    first. ``scopes``, ``toolsets`` (null: all), ``autonomy`` and ``dailySends`` (null: no limit of its own): the most
    that these allow together."""

    id: str
    grant_ids: list[str]
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
    """What was ended. ``stillConnected``: the app is not out, because this grant of it had ended before and the person
    has let it in again since: the id of the grant that lives. Null: it is out."""

    id: str
    name: UntrustedText
    revoked: bool
    still_connected: str | None


@operation(
    title="List connected apps",
    keywords="chatgpt claude cursor ai tools software linked hooked granted access login third party plugged",
    effect=Effect.READ,
    scope="administer",
    toolset="access",
    rest=Rest("GET", "/v1/connected-apps"),
)
def list_connected_apps(ctx: Context, request: ListConnectedApps) -> ConnectedApps:
    """List the apps that people have let into this workspace by signing in (OAuth), and what each may do.

    Shows up to 200 that are still connected: neither revoked nor unused for a month. An app that asked for more later
    stands here once for each person, with all it may do now; grantIds are the credentials that its calls are recorded
    under. API keys are not in the list. End one with revoke_connected_app.
    """
    person = None if request.user_id is None else check_id(request.user_id, "usr", "userId")
    apps = living_apps(ctx.session, ctx.workspace_id, person)[:_MOST_SHOWN]
    query = select(User.id, User.email).where(User.id.in_({grants[0].user_id for grants in apps}))
    emails = {row.id: row.email for row in ctx.session.execute(query)}
    return ConnectedApps(items=[_out(grants, emails[grants[0].user_id]) for grants in apps])


@operation(
    title="Revoke a connected app",
    keywords="chatgpt claude cursor ai tool software connection unhook granted permission access cut third party",
    effect=Effect.DESTRUCTIVE,
    scope="administer",
    toolset="access",
    rest=Rest("DELETE", "/v1/connected-apps/{id}"),
)
def revoke_connected_app(ctx: Context, request: RevokeConnectedApp) -> RevokedApp:
    """Take back all that a person let an app do, at once: all of its tokens stop working within one second.

    What it has started goes on (pause_workspace or pause_campaign stops that). The app can ask again, and a person
    decides again. Revoking one that is already revoked changes nothing; stillConnected then names the grant by which
    the app is back in.
    """
    grant_id = check_id(request.id, "grt", "id")
    grant = ctx.session.get(Grant, (ctx.workspace_id, grant_id))
    if grant is None:
        raise NotFound("Connected app not found", hint="list_connected_apps shows the ids.")
    end_app(ctx.session, grant, ctx.now)
    still = living_grant(ctx.session, grant)
    return RevokedApp(id=grant.id, name=grant.client_name, revoked=True, still_connected=still)


def _out(grants: Sequence[Grant], email: str) -> ConnectedApp:
    latest = grants[0]
    return ConnectedApp(
        id=latest.id,
        grant_ids=[grant.id for grant in grants],
        name=latest.client_name,
        client_id=latest.client_id,
        redirect_uri=latest.redirect_uri,
        user_id=latest.user_id,
        user_email=email,
        connected_at=grants[-1].created_at,
        **together(grants)._asdict(),
    )
