"""Grants give tokens, and tokens name callers. Every decision is one statement of its transaction.

What a caller of the token endpoint did wrong is a value, not an exception: an exception would roll back the revocation
that a replay brings about.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, or_, select, update
from sqlalchemy.orm import Session

from postrider.access.last_use import GRAIN
from postrider.access.people_rules import scopes_of
from postrider.access.queries import stored_autonomy
from postrider.access.tables import Membership, Workspace
from postrider.audit.queries import Deed, record
from postrider.grants.rules import Reach, both, reach_of, scope_list
from postrider.grants.tables import AuthorizationCode, Grant, Token
from postrider.grants.tokens import (
    ACCESS_MS,
    KEPT_MS,
    REFRESH_MS,
    TokenKind,
    digest_of,
    make_token,
)
from postrider.kernel.context import Actor, Door
from postrider.kernel.errors import NotFound, Unauthenticated
from postrider.kernel.policy import Caps
from postrider.kernel.secret import Secret

REUSED: Final = "a refresh token was presented twice"
BY_CLIENT: Final = "the app gave it up"
_SWEPT_AT_ONCE: Final = 500
UNSYNCHRONIZED: Final = {"synchronize_session": False}
"""For statements whose rows nobody holds."""


@dataclass(frozen=True, slots=True)
class Issued:
    """Fresh tokens, shown once. ``reach``: of the access token."""

    access: Secret
    refresh: Secret
    reach: Reach


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there are no tokens, in the words of RFC 6749 section 5.2."""

    error: str
    description: str


_BAD_REFRESH: Final = Refusal("invalid_grant", "The refresh token is not valid (any more). Ask the person again.")
BAD_TARGET: Final = Refusal("invalid_target", "The resource is not the one that was authorized.")


def issue_tokens(
    session: Session, key: bytes, grant: Grant, resource: str, whole: Reach, narrow: Reach | None, now_ms: int
) -> Issued:
    """An access token for ``narrow`` (None: ``whole``), and a refresh token for ``whole``."""
    sweep(session, now_ms)
    reach = narrow or whole
    lasting: tuple[tuple[TokenKind, Reach, int], ...] = (("access", reach, ACCESS_MS), ("refresh", whole, REFRESH_MS))
    made: dict[TokenKind, Secret] = {}
    for kind, allowed, lasts_ms in lasting:
        token = made[kind] = make_token(kind)
        session.add(
            Token(
                digest=digest_of(token.reveal(), key),
                kind=kind,
                workspace_id=grant.workspace_id,
                grant_id=grant.id,
                scopes=list(scope_list(allowed.scopes, allowed.toolsets)),
                resource=resource,
                expires_ms=now_ms + lasts_ms,
                used_ms=None,
            )
        )
    session.flush()
    return Issued(made["access"], made["refresh"], reach)


def refresh_tokens(
    session: Session,
    key: bytes,
    presented: str,
    client_id: str,
    asked: Reach | None,
    resource: str | None,
    now: datetime,
    now_ms: int,
) -> Issued | Refusal:
    """The next tokens of a grant. A refresh token that was used before ends the whole grant, without a grace window.

    ``asked``: what the access token is to be narrowed to.
    """
    digest = digest_of(presented, key)
    token = session.scalar(select(Token).where(Token.digest == digest, Token.kind == "refresh"))
    if token is None or token.expires_ms <= now_ms:
        return _BAD_REFRESH
    # The lock orders those who refresh, redeem and revoke within one family (SQLite has one writer anyway).
    grant = session.scalar(
        select(Grant)
        .where(Grant.workspace_id == token.workspace_id, Grant.id == token.grant_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if grant is None or grant.revoked_at is not None or grant.client_id != client_id:
        return _BAD_REFRESH
    if token.used_ms is None:
        if resource not in (None, token.resource):
            return BAD_TARGET
        if asked is not None and not asked.within(reach_of(token.scopes)):
            return Refusal("invalid_scope", "That is more than was granted. Ask the person again.")
        if role_of(session, grant.workspace_id, grant.user_id) is None:
            return _BAD_REFRESH
    unused = update(Token).where(Token.digest == digest, Token.used_ms.is_(None))
    used = session.execute(unused.values(used_ms=now_ms), execution_options=UNSYNCHRONIZED)
    if used.rowcount != 1:  # type: ignore[attr-defined]  # of an UPDATE's result
        revoke_grant(session, grant.workspace_id, grant.id, REUSED, now)
        return _BAD_REFRESH
    return issue_tokens(session, key, grant, token.resource, reach_of(token.scopes), asked, now_ms)


def authenticate_token(
    session: Session, key: bytes, presented: str, resource: str, workspace_id: str | None, door: Door, now_ms: int
) -> Actor:
    """The actor behind an access token for ``resource``. ``workspace_id``: what X-Workspace-Id names.

    Raises: Unauthenticated (one text for every bad token), NotFound when another workspace is named.
    """
    found = session.execute(
        select(Token, Grant, Membership.role)
        .join(Grant, (Grant.workspace_id == Token.workspace_id) & (Grant.id == Token.grant_id))
        .join(Membership, (Membership.workspace_id == Grant.workspace_id) & (Membership.user_id == Grant.user_id))
        .join(Workspace, Workspace.id == Grant.workspace_id)
        .where(
            Token.digest == digest_of(presented, key),
            Token.kind == "access",
            Token.resource == resource,
            Token.expires_ms > now_ms,
            Grant.revoked_at.is_(None),
            Workspace.status == "active",
        )
    ).first()
    if found is None:
        raise Unauthenticated(
            "The access token is not valid here: it has run out, was taken back, or is for another server.",
            code="INVALID_TOKEN",
            hint="Refresh it, or let the person sign in again.",
        )
    token, grant, role = found
    if workspace_id is not None and workspace_id != grant.workspace_id:
        raise NotFound(
            "Workspace not found.", hint="A connected app reaches the workspace that it was let into, and no other."
        )
    return grant_actor(grant, both(reach_of(token.scopes), granted_reach(grant)), role, door)


def granted_reach(grant: Grant) -> Reach:
    """What the person allowed."""
    return Reach(frozenset(grant.scopes), None if grant.toolsets is None else frozenset(grant.toolsets))


def grant_actor(grant: Grant, reach: Reach, role: str, door: Door) -> Actor:
    """The caller that a grant is, with no more than its person may decide themselves."""
    return Actor(
        "oauth_grant",
        grant.id,
        grant.user_id,
        grant.workspace_id,
        reach.covered & scopes_of(role),
        stored_autonomy(grant.autonomy),
        door,
        toolsets=reach.toolsets,
        client_id=grant.client_id,
        caps=Caps(grant.daily_sends, grant.first_day_sends, grant.created_at + timedelta(days=1)),
    )


def revoke_token(session: Session, key: bytes, presented: str, client_id: str, now: datetime) -> Refusal | None:
    """Takes an access token back, or with a refresh token the whole grant. An unknown one is as good as revoked.

    Source: RFC 7009 section 2.
    """
    digest = digest_of(presented, key)
    token = session.get(Token, digest)
    grant = session.get(Grant, (token.workspace_id, token.grant_id)) if token is not None else None
    if token is None or grant is None:
        return None
    if grant.client_id != client_id:
        return Refusal("invalid_grant", "The token was issued to another client.")
    if token.kind == "refresh":
        revoke_grant(session, grant.workspace_id, grant.id, BY_CLIENT, now)
    else:
        session.execute(delete(Token).where(Token.digest == digest), execution_options=UNSYNCHRONIZED)
    return None


def revoke_grant(session: Session, workspace_id: str, grant_id: str, reason: str, now: datetime) -> bool:
    """Ends a grant and all of its tokens; False when it had ended before. Writes down who was cut off."""
    if not end_grant(session, workspace_id, grant_id, reason, now):
        return False
    grant = session.get_one(Grant, (workspace_id, grant_id))
    write_down(session, grant, "revoke_connected_app", now)
    return True


def end_grant(session: Session, workspace_id: str, grant_id: str, reason: str, now: datetime) -> bool:
    """Ends a grant and all of its tokens; False when there is none that lives."""
    living = update(Grant).where(Grant.workspace_id == workspace_id, Grant.id == grant_id, Grant.revoked_at.is_(None))
    ended = session.execute(living.values(revoked_at=now, revoked_reason=reason), execution_options=UNSYNCHRONIZED)
    tokens = delete(Token).where(Token.workspace_id == workspace_id, Token.grant_id == grant_id)
    session.execute(tokens, execution_options=UNSYNCHRONIZED)
    return bool(ended.rowcount)  # type: ignore[attr-defined]  # of an UPDATE's result


def note_grant_use(connection: Connection, workspace_id: str, grant_id: str, now: datetime) -> None:
    """Writes down that a grant is in use, to the minute."""
    connection.execute(
        update(Grant)
        .where(
            Grant.workspace_id == workspace_id,
            Grant.id == grant_id,
            or_(Grant.last_used_at.is_(None), Grant.last_used_at <= now - GRAIN),
        )
        .values(last_used_at=now)
    )


def sweep(session: Session, now_ms: int) -> None:
    """Forgets some of the codes and tokens that have run out."""
    codes = (
        select(AuthorizationCode.digest)
        .where(AuthorizationCode.expires_ms < now_ms - KEPT_MS)
        .order_by(AuthorizationCode.expires_ms)
        .limit(_SWEPT_AT_ONCE)
    )
    tokens = select(Token.digest).where(Token.expires_ms < now_ms).order_by(Token.expires_ms).limit(_SWEPT_AT_ONCE)
    for statement in (
        delete(AuthorizationCode).where(AuthorizationCode.digest.in_(codes)),
        delete(Token).where(Token.digest.in_(tokens)),
    ):
        session.execute(statement, execution_options=UNSYNCHRONIZED)


def role_of(session: Session, workspace_id: str, user_id: str) -> str | None:
    """What somebody is in a living workspace."""
    return session.scalar(
        select(Membership.role)
        .join(Workspace, Workspace.id == Membership.workspace_id)
        .where(Membership.workspace_id == workspace_id, Membership.user_id == user_id, Workspace.status == "active")
    )


def write_down(session: Session, grant: Grant, operation: str, now: datetime) -> None:
    actor = grant_actor(grant, granted_reach(grant), "owner", "web")
    effect = "write" if operation == "connect_app" else "destructive"
    record(session, Deed(actor, operation, effect, "done", arguments_hash="", target_id=grant.id), now)
