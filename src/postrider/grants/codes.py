"""Codes: what a person said yes to, on its way through a browser, becomes a grant with its first tokens."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from postrider.access.queries import stored_autonomy
from postrider.access.safety import safety_of
from postrider.access.tables import Membership, Workspace
from postrider.grants.queries import (
    BAD_TARGET,
    UNSYNCHRONIZED,
    Issued,
    Refusal,
    issue_tokens,
    revoke_grant,
    role_of,
    sweep,
    write_down,
)
from postrider.grants.rules import Reach, challenge_of, reach_of, scope_list
from postrider.grants.tables import AuthorizationCode, Grant, OAuthClient
from postrider.grants.tokens import CODE_MS, digest_of, make_token
from postrider.kernel.ids import new_id
from postrider.kernel.policy import Autonomy
from postrider.kernel.secret import Secret

REPLAYED: Final = "its code was presented twice"
_MOST_PLACES: Final = 200
_BAD_CODE: Final = Refusal("invalid_grant", "The code is not valid: it may have been used, or be older than a minute.")


@dataclass(frozen=True, slots=True)
class Consented:
    """What a person said yes to, for an app at one redirect address. ``resource``: what the tokens will be good for."""

    client_id: str
    client_name: str
    user_id: str
    workspace_id: str
    redirect_uri: str
    challenge: str
    resource: str
    reach: Reach
    autonomy: Autonomy
    daily_sends: int | None


@dataclass(frozen=True, slots=True)
class Place:
    """A workspace that a person belongs to, and as what. ``first_day_sends``: its limit for a new app's first day."""

    workspace_id: str
    name: str
    role: str
    first_day_sends: int


@dataclass(frozen=True, slots=True)
class Presented:
    """A code as it came to the token endpoint. ``resource`` None: not named again."""

    code: str
    client_id: str
    redirect_uri: str
    verifier: str
    resource: str | None = None


def places_of(session: Session, user_id: str) -> list[Place]:
    """The living workspaces that somebody belongs to, the oldest first."""
    rows = session.execute(
        select(Workspace.id, Workspace.name, Membership.role)
        .join(Membership, Membership.workspace_id == Workspace.id)
        .where(Membership.user_id == user_id, Workspace.status == "active")
        .order_by(Workspace.created_at, Workspace.id)
        .limit(_MOST_PLACES)
    )
    return [
        Place(workspace_id, name, role, safety_of(session, workspace_id).first_day_sends)
        for workspace_id, name, role in rows
    ]


def issue_code(session: Session, key: bytes, consented: Consented, now_ms: int) -> Secret:
    """A code for what a person said yes to, good for one minute and one use."""
    sweep(session, now_ms)
    code = make_token("code")
    row = AuthorizationCode(
        digest=digest_of(code.reveal(), key),
        client_id=consented.client_id,
        user_id=consented.user_id,
        workspace_id=consented.workspace_id,
        redirect_uri=consented.redirect_uri,
        challenge=consented.challenge,
        resource=consented.resource,
        choices={
            "name": consented.client_name,
            "scopes": list(scope_list(consented.reach.scopes, consented.reach.toolsets)),
            "autonomy": consented.autonomy,
            "dailySends": consented.daily_sends,
        },
        expires_ms=now_ms + CODE_MS,
        used_ms=None,
        grant_id=None,
    )
    session.add(row)
    session.flush()
    return code


def redeem_code(session: Session, key: bytes, presented: Presented, now: datetime, now_ms: int) -> Issued | Refusal:
    """The first tokens of a new grant. A code that was used before ends the grant that it gave."""
    digest, grant_id = digest_of(presented.code, key), new_id("grt")
    fitting = update(AuthorizationCode).where(
        AuthorizationCode.digest == digest,
        AuthorizationCode.used_ms.is_(None),
        AuthorizationCode.expires_ms > now_ms,
        AuthorizationCode.client_id == presented.client_id,
        AuthorizationCode.redirect_uri == presented.redirect_uri,
        AuthorizationCode.challenge == (challenge_of(presented.verifier) or ""),
    )
    if presented.resource is not None:
        fitting = fitting.where(AuthorizationCode.resource == presented.resource)
    used = session.execute(fitting.values(used_ms=now_ms, grant_id=grant_id), execution_options=UNSYNCHRONIZED)
    code = session.get(AuthorizationCode, digest)
    if used.rowcount != 1 or code is None:  # type: ignore[attr-defined]  # of an UPDATE's result
        return _not_redeemed(session, code, presented, now)
    role = role_of(session, code.workspace_id, code.user_id)
    if role is None:
        return _BAD_CODE
    grant = _grant_of(session, code, grant_id, now)
    session.add(grant)
    known = update(OAuthClient).where(OAuthClient.id == code.client_id)
    session.execute(known.values(used=True), execution_options=UNSYNCHRONIZED)
    write_down(session, grant, "connect_app", now)
    return issue_tokens(session, key, grant, code.resource, reach_of(_texts(code.choices["scopes"])), None, now_ms)


def _not_redeemed(session: Session, code: AuthorizationCode | None, presented: Presented, now: datetime) -> Refusal:
    if code is None:
        return _BAD_CODE
    if code.used_ms is not None:
        if code.grant_id is not None:
            revoke_grant(session, code.workspace_id, code.grant_id, REPLAYED, now)
        return _BAD_CODE
    right_target = presented.resource in (None, code.resource)
    return _BAD_CODE if right_target else BAD_TARGET


def _grant_of(session: Session, code: AuthorizationCode, grant_id: str, now: datetime) -> Grant:
    chosen = reach_of(_texts(code.choices["scopes"]))
    daily = code.choices["dailySends"]
    return Grant(
        workspace_id=code.workspace_id,
        id=grant_id,
        client_id=code.client_id,
        client_name=str(code.choices["name"]),
        user_id=code.user_id,
        redirect_uri=code.redirect_uri,
        scopes=sorted(chosen.scopes),
        toolsets=None if chosen.toolsets is None else sorted(chosen.toolsets),
        autonomy=stored_autonomy(str(code.choices["autonomy"])),
        daily_sends=daily if isinstance(daily, int) else None,
        first_day_sends=safety_of(session, code.workspace_id).first_day_sends,
        created_at=now,
        last_used_at=None,
        revoked_at=None,
        revoked_reason=None,
    )


def _texts(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []
