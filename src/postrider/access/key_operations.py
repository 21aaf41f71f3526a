"""API keys of a workspace: list them, make one that may do no more than its maker, take one back."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, Field
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from postrider.access.keys import make_key
from postrider.access.queries import stored_autonomy
from postrider.access.safety import safety_of
from postrider.access.tables import ApiKey
from postrider.content.headers import check_name
from postrider.kernel.context import Actor, Context
from postrider.kernel.errors import Forbidden, InvalidInput, NotFound
from postrider.kernel.ids import check_id, new_id
from postrider.kernel.misfits import Allowed
from postrider.kernel.operation import Effect, Input, Output, Rest, Scope, operation
from postrider.kernel.policy import AUTONOMIES, Autonomy, Facts, covered_scopes

MOST_SENDS: Final = 1_000_000
KeyStatus = Literal["active", "expired", "revoked"]
Toolset = Annotated[
    str,
    Field(min_length=1, max_length=40, pattern=r"^[a-z_]+$"),
    Allowed("the name of a toolset, such as leads"),
]


class ListApiKeys(Input):
    """Takes nothing."""


class CreateApiKey(Input):
    """What the key is for, and what it may do at most."""

    name: Annotated[str, Field(min_length=1, max_length=100, description="What it is for, on one line.")]
    scopes: Annotated[
        list[Scope],
        Field(min_length=1, max_length=5, description="Each of send, delete and administer includes prepare and read."),
    ]
    autonomy: Annotated[
        Autonomy,
        Field(
            description="readonly: reads. draft: prepares. confirm: grave calls want a yes to the facts. free: acts."
        ),
    ] = "confirm"
    toolsets: Annotated[
        list[Toolset] | None,
        Field(min_length=1, max_length=30, description="Only these; left out, all that the caller has."),
    ] = None
    daily_sends: Annotated[
        int | None, Field(ge=0, le=MOST_SENDS, description="Messages in a UTC day; left out, no limit of its own.")
    ] = None
    first_day_sends: Annotated[
        int | None, Field(ge=0, le=MOST_SENDS, description="In its first 24 hours; left out, the workspace's setting.")
    ] = None
    expires_at: Annotated[AwareDatetime | None, Field(description="With a zone; left out, never.")] = None


class RevokeApiKey(Input):
    """Which key."""

    id: Annotated[str, Field(max_length=40)]


class ApiKeyOut(Output):
    """One key, without its secret. ``begins``: how it begins, to recognise it by. ``toolsets`` null: all."""

    id: str
    name: str
    begins: str
    status: KeyStatus
    scopes: list[str]
    toolsets: list[str] | None
    autonomy: str
    daily_sends: int | None
    first_day_sends: int | None
    user_id: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class ApiKeyList(Output):
    """All keys of the workspace, the newest first; also those that work no more."""

    items: list[ApiKeyOut]


class NewApiKey(ApiKeyOut):
    """A key just made. ``key`` is shown this once."""

    key: str


@operation(
    title="List API keys",
    keywords="integrations developers scripts rights expire zapier crm programmatic existing",
    effect=Effect.READ,
    scope="administer",
    rest=Rest("GET", "/v1/api-keys"),
    toolset="access",
)
def list_api_keys(ctx: Context, request: ListApiKeys) -> ApiKeyList:
    """List the API keys of the workspace with what each may do. Secrets are never shown again.

    Platform keys, which reach every workspace of a person, are not among them: see postrider keys list.
    """
    query = select(ApiKey).where(ApiKey.workspace_id == ctx.workspace_id).order_by(ApiKey.id.desc())
    return ApiKeyList(items=[_out(row, ctx.now) for row in ctx.session.scalars(query)])


def _creation_facts(ctx: Context, request: CreateApiKey) -> Facts:
    _check_reach(ctx, request)
    scopes = ", ".join(sorted(set(request.scopes)))
    return Facts(
        summary=f"Making an API key lets whoever holds it {scopes} in this workspace, with autonomy "
        f"{request.autonomy}, without signing in.",
        subject=ctx.workspace_id,
        revision="",
        cause="connect",
        people=0,
    )


@operation(
    title="Create an API key",
    keywords="integration developer script crm zapier workflow programmatic rights read limited connect",
    effect=Effect.WRITE,
    scope="administer",
    rest=Rest("POST", "/v1/api-keys", status=201),
    toolset="access",
    confirm=_creation_facts,
    sensitive=True,
)
def create_api_key(ctx: Context, request: CreateApiKey) -> NewApiKey:
    """Create an API key for this workspace. The answer holds the key, which cannot be shown again.

    It may never do more than the credential that makes it: scopes, autonomy, toolsets. A credential with a limit of its
    own on sending makes no keys that send, and a connected app makes none at all: they would outlive its revocation.
    """
    _check_reach(ctx, request)
    key = make_key("workspace_key", ctx.vault.derive("api-keys"))
    first = request.first_day_sends
    row = ApiKey(
        id=new_id("key"),
        lookup=key.lookup,
        digest=key.digest,
        name=request.name.strip(),
        user_id=ctx.actor.user_id,
        workspace_id=ctx.workspace_id,
        scopes=sorted(set(request.scopes)),
        autonomy=request.autonomy,
        toolsets=_toolsets(ctx.actor, request.toolsets),
        daily_sends=request.daily_sends,
        first_day_sends=safety_of(ctx.session, ctx.workspace_id).first_day_sends if first is None else first,
        created_at=ctx.now,
        expires_at=request.expires_at,
        last_used_at=None,
        revoked_at=None,
    )
    ctx.session.add(row)
    ctx.session.flush()
    return NewApiKey(**_out(row, ctx.now).model_dump(), key=key.secret.reveal())


@operation(
    title="Revoke an API key",
    keywords="integration script leaked stolen lost invalid invalidate left access block rotate compromised",
    effect=Effect.DESTRUCTIVE,
    scope="administer",
    rest=Rest("DELETE", "/v1/api-keys/{id}"),
    toolset="access",
)
def revoke_api_key(ctx: Context, request: RevokeApiKey) -> ApiKeyOut:
    """Take an API key back for good: within a second no call with it is answered. Doing it twice is fine.

    What was begun with it goes on: campaigns stay started. See pause_workspace.
    """
    key_id = check_id(request.id, "key", "id")
    row = ctx.session.get(ApiKey, key_id)
    if row is None or row.workspace_id != ctx.workspace_id:
        raise NotFound("API key not found", hint="See list_api_keys.")
    end_key(ctx.session, key_id, ctx.now)
    ctx.session.refresh(row)
    return _out(row, ctx.now)


def end_key(session: Session, key_id: str, now: datetime) -> bool:
    """Takes a key back; False when it had been before, or when there is none."""
    ended = update(ApiKey).where(ApiKey.id == key_id, ApiKey.revoked_at.is_(None)).values(revoked_at=now)
    return session.execute(ended.returning(ApiKey.id)).scalar() is not None


def platform_keys(session: Session, now: datetime) -> list[ApiKeyOut]:
    """The keys that reach every workspace of a person, the newest first: for whoever has the machine."""
    query = select(ApiKey).where(ApiKey.workspace_id.is_(None)).order_by(ApiKey.id.desc())
    return [_out(row, now) for row in session.scalars(query)]


def _check_reach(ctx: Context, request: CreateApiKey) -> None:
    """Raises: InvalidInput, Forbidden where the key would reach further than the credential that makes it."""
    if ctx.actor.kind == "oauth_grant":
        raise Forbidden(
            "A connected app makes no keys: they would go on working after the app was put out.",
            code="APP_MAKES_NO_KEYS",
            hint="A person makes the key on the keys page, or with: postrider keys create",
        )
    actor = ctx.actor
    if not check_name(request.name, "name").strip():
        raise InvalidInput("name is empty.", field="name", hint="Say what the key is for, on one line.")
    if request.expires_at is not None and request.expires_at <= ctx.now:
        raise InvalidInput("expiresAt has passed already.", field="expiresAt", hint="Give a later instant, or none.")
    beyond = sorted(covered_scopes(request.scopes) - actor.scopes)
    if beyond:
        raise _further(f"the scope {beyond[0]!r}")
    if AUTONOMIES.index(request.autonomy) > AUTONOMIES.index(actor.autonomy):
        raise _further(f"the autonomy {request.autonomy!r}")
    unknown = sorted(set(request.toolsets or ()) - ctx.toolsets)
    if unknown:
        raise InvalidInput(
            f"There is no toolset {unknown[0]!r}.",
            field="toolsets",
            hint=f"The toolsets are {', '.join(sorted(ctx.toolsets))}.",
        )
    _toolsets(actor, request.toolsets)
    if "send" in request.scopes and actor.caps.at(ctx.now) is not None:
        # Each key counts for itself: with two of them, twice as much would leave.
        raise Forbidden(
            "A credential that may send so much in a day makes no keys that send.",
            code="KEY_TOO_STRONG",
            hint="Leave the scope send out, or let a person make the key on the page for API keys.",
        )


def _toolsets(actor: Actor, wanted: Sequence[str] | None) -> list[str] | None:
    """What the key is narrowed to. Raises: Forbidden for a toolset that the caller does not have."""
    if wanted is None:
        return None if actor.toolsets is None else sorted(actor.toolsets)
    if actor.toolsets is not None and not set(wanted) <= actor.toolsets:
        raise _further(f"the toolset {min(set(wanted) - actor.toolsets)!r}")
    return sorted(set(wanted))


def _further(what: str) -> Forbidden:
    return Forbidden(
        f"A key may not do more than the credential that makes it, which lacks {what}.",
        code="KEY_TOO_STRONG",
        hint="Ask for less, or let a person make the key on the page for API keys.",
    )


def _status(row: ApiKey, now: datetime) -> KeyStatus:
    if row.revoked_at is not None:
        return "revoked"
    return "expired" if row.expires_at is not None and row.expires_at <= now else "active"


def _out(row: ApiKey, now: datetime) -> ApiKeyOut:
    return ApiKeyOut(
        id=row.id,
        name=row.name,
        begins=f"{row.lookup}_",
        status=_status(row, now),
        scopes=list(row.scopes),
        toolsets=None if row.toolsets is None else list(row.toolsets),
        autonomy=stored_autonomy(row.autonomy),
        daily_sends=row.daily_sends,
        first_day_sends=row.first_day_sends,
        user_id=row.user_id,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )
