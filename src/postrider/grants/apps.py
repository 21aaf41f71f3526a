"""Connected apps as people see them: one for all the times that somebody has let the same app in."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from postrider.access.queries import stored_autonomy
from postrider.grants.queries import UNSYNCHRONIZED, end_grant
from postrider.grants.tables import AuthorizationCode, Grant, Token
from postrider.grants.tokens import KEPT_MS
from postrider.kernel.policy import AUTONOMIES, Autonomy, covered_scopes
from postrider.storage.leases import wall_ms_now

TAKEN_BACK: Final = "taken back"


class AppKey(NamedTuple):
    """What makes two grants those of one app. Apps on a person's own machine come back to another port each time."""

    client_id: str
    redirect_host: str | None
    user_id: str


class Together(NamedTuple):
    """What an app may do by all of its grants. ``toolsets`` None: all. ``daily_sends`` None: no limit of its own."""

    scopes: list[str]
    toolsets: list[str] | None
    autonomy: Autonomy
    daily_sends: int | None
    last_used_at: datetime | None


def app_key(grant: Grant) -> AppKey:
    """The app that a grant belongs to."""
    return AppKey(grant.client_id, urlsplit(grant.redirect_uri).hostname, grant.user_id)


def living_apps(session: Session, workspace_id: str, user_id: str | None = None) -> list[list[Grant]]:
    """The grants that still have a token, by app; the latest first, both the apps and the grants of each.

    ``user_id``: of this person only.
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
    query = select(Grant).where(Grant.workspace_id == workspace_id, Grant.revoked_at.is_(None), living)
    if user_id is not None:
        query = query.where(Grant.user_id == user_id)
    apps: dict[AppKey, list[Grant]] = {}
    for grant in session.scalars(query.order_by(Grant.id.desc())):
        apps.setdefault(app_key(grant), []).append(grant)
    return list(apps.values())


def end_app(session: Session, grant: Grant, now: datetime) -> None:
    """Ends every grant of the app that ``grant`` belongs to, and the codes on their way to be one. One that had ended
    before ends no other: the person may have let the app in again since."""
    if grant.revoked_at is not None:
        return
    # Before the grants are looked for: whoever is redeeming a code holds its row, and has added the grant then.
    _end_codes(session, grant)
    query = select(Grant).where(
        Grant.workspace_id == grant.workspace_id,
        Grant.client_id == grant.client_id,
        Grant.user_id == grant.user_id,
        Grant.revoked_at.is_(None),
    )
    # In one order, so that two who do it at once wait for each other instead of blocking each other.
    for each in session.scalars(query.order_by(Grant.id)).all():
        if app_key(each) == app_key(grant):
            end_grant(session, each.workspace_id, each.id, TAKEN_BACK, now)


def living_grant(session: Session, grant: Grant) -> str | None:
    """By which grant the app that ``grant`` belongs to is still in; None when it is out."""
    found = living_apps(session, grant.workspace_id, grant.user_id)
    return next((grants[0].id for grants in found if app_key(grants[0]) == app_key(grant)), None)


def _end_codes(session: Session, grant: Grant) -> None:
    now_ms = wall_ms_now()
    query = select(AuthorizationCode.digest, AuthorizationCode.redirect_uri).where(
        AuthorizationCode.workspace_id == grant.workspace_id,
        AuthorizationCode.client_id == grant.client_id,
        AuthorizationCode.user_id == grant.user_id,
        AuthorizationCode.used_ms.is_(None),
        # Also such as have run out by this machine's clock only; older ones are being swept.
        AuthorizationCode.expires_ms > now_ms - KEPT_MS,
    )
    found = session.execute(query.order_by(AuthorizationCode.digest).with_for_update()).all()
    digests = [digest for digest, uri in found if urlsplit(uri).hostname == app_key(grant).redirect_host]
    used = update(AuthorizationCode).where(AuthorizationCode.digest.in_(digests)).values(used_ms=now_ms)
    session.execute(used, execution_options=UNSYNCHRONIZED)


def together(grants: Sequence[Grant]) -> Together:
    """The most that the grants of one app allow."""
    sending = [grant for grant in grants if "send" in covered_scopes(grant.scopes)]
    # Each limit counts for its own grant; of one that does not send it says nothing.
    limits = [grant.daily_sends for grant in sending or grants[:1]]
    named = [grant.toolsets for grant in grants]
    uses = [grant.last_used_at for grant in grants if grant.last_used_at is not None]
    return Together(
        scopes=sorted({scope for grant in grants for scope in grant.scopes}),
        toolsets=None if None in named else sorted({toolset for each in named for toolset in each or ()}),
        autonomy=max((stored_autonomy(grant.autonomy) for grant in grants), key=AUTONOMIES.index),
        daily_sends=None if None in limits else sum(limit or 0 for limit in limits),
        last_used_at=max(uses, default=None),
    )
