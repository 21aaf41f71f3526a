"""Who is calling: keys to actors; and the making of users, workspaces and keys."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, select
from sqlalchemy.orm import Session

from postrider.access.keys import KeyKind, NewKey, hash_key, make_key, read_lookup, same_digest
from postrider.access.tables import ApiKey, Membership, User, Workspace
from postrider.kernel.context import ALL_SCOPES, Actor, Door
from postrider.kernel.errors import InvalidInput, NotFound, Unauthenticated
from postrider.kernel.ids import new_id
from postrider.kernel.policy import AUTONOMIES, Autonomy, Caps, covered_scopes
from postrider.kernel.secret import Secret
from postrider.tags.queries import seed_tags

_BAD_KEY: Final = "The API key is missing or not valid."
HOW_TO_SEND_A_KEY: Final = (
    "Send a key as X-Api-Key or as Authorization: Bearer. "
    "Keys are made on the page API keys, or with: postrider keys create"
)
_MOST_NAMED: Final = 20
_DUMMY_DIGEST: Final = bytes(32)


@dataclass(frozen=True, slots=True)
class NewOwner:
    """What ``init`` made: the secrets are shown once."""

    user_id: str
    workspace_id: str
    platform_key: Secret
    workspace_key: Secret


def authenticate_key(
    session: Session, pepper: bytes, presented: str | None, workspace_id: str | None, door: Door, now: datetime
) -> Actor:
    """The actor behind a presented key. ``workspace_id``: what a platform key named in X-Workspace-Id.

    Raises: Unauthenticated (one text for every bad key), InvalidInput when a platform key names no workspace,
    NotFound when it names one that its user does not belong to.
    """
    lookup = read_lookup(presented or "")
    row = session.scalar(select(ApiKey).where(ApiKey.lookup == (lookup or "")))
    # The hash is computed and compared whether or not the key exists: the answer takes the same path.
    good = same_digest(row.digest if row else _DUMMY_DIGEST, hash_key(presented or "", pepper))
    if row is None or not good or row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now):
        raise Unauthenticated(_BAD_KEY, hint=HOW_TO_SEND_A_KEY)
    if row.workspace_id is None:
        return _platform_actor(session, row, workspace_id, door)
    if _live_workspace(session, row.workspace_id) is None:
        raise Unauthenticated(_BAD_KEY, hint=HOW_TO_SEND_A_KEY)
    if workspace_id is not None and workspace_id != row.workspace_id:
        raise NotFound(
            "Workspace not found.", hint="A workspace key reaches its own workspace; leave X-Workspace-Id out."
        )
    return _actor("workspace_key", row, row.workspace_id, door)


def _platform_actor(session: Session, row: ApiKey, workspace_id: str | None, door: Door) -> Actor:
    if workspace_id is None:
        raise InvalidInput(
            "A platform key must say which workspace it means.",
            field="X-Workspace-Id",
            hint="Send the header X-Workspace-Id, or use a workspace key.",
        )
    member = session.get(Membership, (workspace_id, row.user_id))
    if member is None or _live_workspace(session, workspace_id) is None:
        raise NotFound("Workspace not found.", hint="Name a workspace that the key's user belongs to.")
    return _actor("platform_key", row, workspace_id, door)


def _live_workspace(session: Session, workspace_id: str) -> Workspace | None:
    workspace = session.get(Workspace, workspace_id)
    return workspace if workspace is not None and workspace.status == "active" else None


def _actor(kind: KeyKind, row: ApiKey, workspace_id: str, door: Door) -> Actor:
    return Actor(
        kind,
        row.id,
        row.user_id,
        workspace_id,
        covered_scopes(row.scopes),
        stored_autonomy(row.autonomy),
        door,
        toolsets=None if row.toolsets is None else frozenset(row.toolsets),
        caps=Caps(row.daily_sends, row.first_day_sends, row.created_at + timedelta(days=1)),
    )


def stored_autonomy(stored: str) -> Autonomy:
    """The autonomy that a row names; the tightest for a word that this program does not know."""
    return next((each for each in AUTONOMIES if each == stored), AUTONOMIES[0])


def create_owner(
    session: Session, pepper: bytes, email: str, name: str, workspace_name: str, now: datetime
) -> NewOwner:
    """A user (or the existing one of that address), a new workspace owned by them, and both keys."""
    user = session.scalar(select(User).where(User.email == email))
    if user is None:
        user = create_user(session, email, name, now)
    workspace = create_workspace(session, user.id, workspace_name, now)
    platform, own = make_key("platform_key", pepper), make_key("workspace_key", pepper)
    session.add(_key_row(platform, f"{name}: platform", user.id, None, now))
    session.add(_key_row(own, f"{workspace_name}: workspace", user.id, workspace.id, now))
    return NewOwner(user.id, workspace.id, platform.secret, own.secret)


def create_user(session: Session, email: str, name: str, now: datetime) -> User:
    """A new person, who cannot sign in yet."""
    user = User(
        id=new_id("usr"),
        email=email,
        name=name,
        password_hash=None,
        oidc_issuer=None,
        oidc_subject=None,
        created_at=now,
    )
    session.add(user)
    session.flush()
    return user


def create_workspace(session: Session, owner_id: str, name: str, now: datetime) -> Workspace:
    """A new workspace with its owner as first member and the labels it starts with."""
    workspace = Workspace(
        id=new_id("ws"),
        name=name,
        owner_id=owner_id,
        status="active",
        settings={},
        paused_at=None,
        paused_reason=None,
        created_at=now,
        updated_at=now,
    )
    session.add(workspace)
    session.flush()
    session.add(Membership(workspace_id=workspace.id, user_id=owner_id, role="owner", created_at=now))
    seed_tags(session, workspace.id, now)
    return workspace


def local_actor(session: Session, workspace: str | None, *, only_one: bool = False) -> Actor | None:
    """The installation's owner, for stdio and the CLI: in ``workspace`` (id or name), else in the first one.

    ``only_one``: instead of the first of several, none. None when there is no workspace yet.
    Raises: NotFound when the named one does not exist; InvalidInput, naming them, when several could be meant.
    """
    query = select(Workspace).where(Workspace.status == "active").order_by(Workspace.created_at, Workspace.id)
    rows = list(session.scalars(query))
    if workspace is not None:
        rows = [row for row in rows if workspace == row.id] or [row for row in rows if workspace == row.name]
        if not rows:
            raise NotFound(f"There is no workspace {workspace!r} here.", hint="Leave it out, or run: postrider init")
    if len(rows) > 1 and (only_one or workspace is not None):
        raise InvalidInput(
            f"There are several workspaces: {', '.join(f'{row.name} ({row.id})' for row in rows[:_MOST_NAMED])}"
            f"{' and more' if len(rows) > _MOST_NAMED else ''}.",
            field="--workspace",
            hint=f"Say which one, by its id or by a name of its own: --workspace {rows[0].id}",
        )
    if not rows:
        return None
    return Actor("local", "local", rows[0].owner_id, rows[0].id, ALL_SCOPES, "confirm", "stdio")


def _key_row(key: NewKey, name: str, user_id: str, workspace_id: str | None, now: datetime) -> ApiKey:
    return ApiKey(
        id=new_id("key"),
        lookup=key.lookup,
        digest=key.digest,
        name=name,
        user_id=user_id,
        workspace_id=workspace_id,
        scopes=sorted(ALL_SCOPES),
        autonomy="free",
        toolsets=None,
        daily_sends=None,
        first_day_sends=None,
        created_at=now,
        expires_at=None,
        last_used_at=None,
        revoked_at=None,
    )


def lock_workspace(connection: Connection | Session, workspace_id: str) -> None:
    """Waits for second markers being written (PostgreSQL); those after it see what this transaction changes.

    Whatever stops or suppresses calls it first, so that after its call has returned only messages whose final dot was
    allowed before can still leave. SQLite has one writer: no marker is ever being written beside this transaction.
    """
    bind = connection.get_bind() if isinstance(connection, Session) else connection
    if bind.dialect.name != "sqlite":
        connection.execute(select(Workspace.id).where(Workspace.id == workspace_id).with_for_update())
