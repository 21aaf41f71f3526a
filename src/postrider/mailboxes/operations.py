"""Mailboxes: connect one (verified by signing in), list and look."""

from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, Field
from sqlalchemy import func, or_, select

from postrider.access.causes import hold_campaigns_of_mailbox
from postrider.content.addresses import parse_address
from postrider.content.headers import check_name
from postrider.kernel.context import Context, OutsideContext
from postrider.kernel.errors import Conflict, InvalidInput, NotFound, Upstream
from postrider.kernel.ids import check_id, new_id
from postrider.kernel.operation import Effect, Input, Output, Rest, UntrustedText, operation
from postrider.kernel.page import Page, PageInput
from postrider.kernel.policy import Facts
from postrider.kernel.secret import Secret
from postrider.kernel.zones import check_zone, rfc3339_milliseconds
from postrider.mailboxes.hosts import IMAP_PORTS, SMTP_PORTS, check_host, check_port
from postrider.mailboxes.ports import AccountChecker, MailAccount, Security
from postrider.mailboxes.queries import account_of, secret_owner, used_today
from postrider.mailboxes.rules import ServerKind, security_of, trouble_text, why_not_sending
from postrider.mailboxes.tables import Mailbox
from postrider.storage.base import JsonObject
from postrider.storage.paging import newest_first, next_cursor


class ServerInput(Input):
    """One mail server. Without ``security``: ``secure`` true is TLS from the first byte, false is STARTTLS."""

    host: Annotated[str, Field(min_length=1, max_length=253)]
    port: Annotated[int | None, Field(ge=1, le=65_535, description="587 or 465 for SMTP, 993 or 143 for IMAP.")] = None
    secure: bool | None = None
    security: Annotated[Security | None, Field(description="tls, starttls, or none (loopback only).")] = None
    username: Annotated[str | None, Field(max_length=320, description="The address if omitted.")] = None
    password: Annotated[Secret, Field(description="Stored encrypted, never shown.")]


class CreateMailbox(Input):
    """An account to send from and to read replies in."""

    email: Annotated[str, Field(max_length=320)]
    display_name: Annotated[str, Field(max_length=200, description="The name that recipients see.")] = ""
    provider: Literal["custom", "gmail", "outlook", "sandbox"] = "custom"
    smtp: Annotated[ServerInput | None, Field(description="Outgoing server; not for sandbox.")] = None
    imap: Annotated[ServerInput | None, Field(description="Incoming server; without it replies are not read.")] = None
    daily_send_limit: Annotated[int, Field(ge=1, le=500, description="Emails per day in the mailbox's zone.")] = 50
    timezone: Annotated[str, Field(max_length=64), AfterValidator(check_zone)] = "UTC"
    signature: Annotated[str, Field(max_length=10_000, description="HTML or text for {{signature}}.")] = ""
    tags: Annotated[list[Annotated[str, Field(min_length=1, max_length=60)]], Field(max_length=50)] = []


class ListMailboxes(PageInput):
    """Newest first."""

    status: Literal["pending", "active", "error", "suspended"] | None = None
    provider: Literal["custom", "gmail", "outlook", "sandbox"] | None = None
    search: Annotated[str | None, Field(max_length=320, description="Part of address or name.")] = None


class GetMailbox(Input):
    """Which mailbox."""

    id: Annotated[str, Field(max_length=40, description="Mailbox id, from list_mailboxes.")]


class ServerOut(Output):
    """A mail server, without its password."""

    host: str
    port: int
    security: str
    username: str


class MailboxOut(Output):
    """One mailbox. ``status``: pending (not checked yet), active, error (``lastError`` says why), suspended.

    ``sendingEnabled``: what its owner wants; ``notSending``: why nothing leaves from it all the same, null if it may.
    ``lastError`` names the side that failed: SMTP (sending) or IMAP (reading). ``coolUntil``: the server asked for a
    pause. Rates are percentages with one decimal. ``warmup`` and ``setupStatus`` (with its healthScore) are null:
    Postrider neither warms mailboxes up nor checks their DNS.
    """

    id: str
    email: str
    display_name: str
    provider: str
    connection_type: str
    status: str
    sending_enabled: bool
    not_sending: str | None
    last_error: UntrustedText | None
    daily_send_limit: int
    sent_today: int
    timezone: str
    signature: str
    tags: list[str]
    smtp: ServerOut | None
    imap: ServerOut | None
    total_sent: int
    total_received: int
    total_bounced: int
    bounce_rate: float
    consecutive_failures: int
    cool_until: datetime | None
    warmup: None
    setup_status: None
    last_sent_at: datetime | None
    last_polled_at: datetime | None
    created_at: datetime
    updated_at: datetime


def connect_facts(ctx: Context, request: CreateMailbox) -> Facts | None:
    """Through which servers mail would go; None for the sandbox, which has none. Raises: InvalidInput, Conflict."""
    _check_servers(request, ctx.settings.allow_private_hosts)
    row = _mendable(ctx, parse_address(request.email).key, lock=False)
    if request.provider == "sandbox":
        return None
    servers = [("sent", request.smtp), ("read", request.imap)]
    hosts = [f"{done} through {server.host}" for done, server in servers if server is not None]
    return Facts(
        summary=f"Mail of {parse_address(request.email).key} is {' and '.join(hosts)}, with the password given.",
        subject=row.id if row is not None else ctx.workspace_id,
        revision="" if row is None else f"{row.id}/{rfc3339_milliseconds(row.updated_at)}",
        cause="connect",
        people=0,
    )


@operation(
    title="Connect a mailbox",
    keywords="gmail google outlook office365 microsoft exchange password server host login domain",
    effect=Effect.WRITE,
    scope="administer",
    rest=Rest("POST", "/v1/mailboxes"),
    confirm=connect_facts,
)
async def create_mailbox(ctx: OutsideContext, request: CreateMailbox) -> MailboxOut:
    """Connect a mailbox by SMTP (to send) and IMAP (to read replies); both sign-ins are tried before it answers.

    A mailbox whose sign-in fails is kept with status error and lastError. Call again with the same address to mend it:
    unless it is active, it takes the servers and passwords as now given and whatever else is given, is checked again
    and keeps its id; once both sign-ins work it starts afresh, with no pause and no strikes. An active mailbox is a
    conflict. Provider sandbox needs no servers: it sends to scripted prospects inside Postrider, for trying things out.
    """
    _check_servers(request, ctx.settings.allow_private_hosts)
    account = await ctx.write(lambda tx: _keep(tx, request))
    troubles = await _verify(ctx.port(AccountChecker), account)
    return await ctx.write(lambda tx: _finish(tx, account, troubles))


def _check_servers(request: CreateMailbox, allow_private: bool) -> None:
    if request.provider == "sandbox":
        if request.smtp is not None or request.imap is not None:
            raise InvalidInput("A sandbox mailbox has no servers.", field="smtp", hint="Leave smtp and imap out.")
        return
    if request.smtp is None:
        raise InvalidInput(
            "smtp is required: host, port, username and password of the outgoing server.",
            field="smtp",
            hint="Or use provider sandbox to try things out without a server.",
        )
    for name, server in (("smtp", request.smtp), ("imap", request.imap)):
        if server is None:
            continue
        check_host(server.host, f"{name}.host")
        if server.port is not None and not allow_private:
            check_port(server.port, SMTP_PORTS if name == "smtp" else IMAP_PORTS, f"{name}.port")
        if server.security == "none" and not allow_private:
            raise InvalidInput(
                f"{name}.security none would send the password in the clear.",
                field=f"{name}.security",
                hint="Use tls or starttls; none is for loopback, with POSTRIDER_ALLOW_PRIVATE_HOSTS=true.",
            )


def _keep(ctx: Context, request: CreateMailbox) -> MailAccount:
    """The account as it is now stored, new or to be mended, and not checked yet. Raises: Conflict when it works."""
    email = parse_address(request.email).key
    row = _mendable(ctx, email, lock=True)
    if row is None:
        row = _fresh(ctx, email)
        ctx.session.add(row)
        given = set(CreateMailbox.model_fields)
    else:
        given = request.model_fields_set
    _fill(ctx, row, request, given)
    ctx.session.flush()
    return account_of(row, ctx.vault)


def _mendable(ctx: Context, email: str, *, lock: bool) -> Mailbox | None:
    """The mailbox of that address that may be mended, if there is one. Raises: Conflict when it works."""
    known = select(Mailbox).where(Mailbox.workspace_id == ctx.workspace_id, Mailbox.email == email)
    row = ctx.session.scalar(known.with_for_update() if lock else known)
    if row is not None and row.status == "active":
        raise Conflict(
            f"A mailbox with the address {email} exists already.",
            hint="See it with get_mailbox.",
            details={"mailboxId": row.id},
        )
    return row


def _fresh(ctx: Context, email: str) -> Mailbox:
    return Mailbox(
        workspace_id=ctx.workspace_id,
        id=new_id("mbx"),
        email=email,
        sending_enabled=True,
        cool_count=0,
        policy_strikes=0,
        consecutive_failures=0,
        total_sent=0,
        total_received=0,
        total_bounced=0,
        created_at=ctx.now,
    )


def _fill(ctx: Context, row: Mailbox, request: CreateMailbox, given: AbstractSet[str]) -> None:
    """What the caller says about the mailbox; of the fields that are not about its servers, those ``given``."""
    if "display_name" in given:
        row.display_name = check_name(request.display_name.strip(), "displayName")
    if "daily_send_limit" in given:
        row.daily_send_limit = request.daily_send_limit
    if "signature" in given:
        row.signature = request.signature
    if "timezone" in given:
        row.timezone = request.timezone
    if "tags" in given:
        row.tags = list(dict.fromkeys(request.tags))
    row.provider = request.provider
    row.smtp, row.smtp_secret = _stored(ctx, row, "smtp", request.smtp)
    row.imap, row.imap_secret = _stored(ctx, row, "imap", request.imap)
    row.status = "pending"
    row.updated_at = ctx.now


def _stored(
    ctx: Context, row: Mailbox, kind: ServerKind, server: ServerInput | None
) -> tuple[JsonObject | None, bytes | None]:
    if server is None:
        return None, None
    port, security = security_of(kind, server.port, server.secure, server.security)
    stored: JsonObject = {
        "host": check_host(server.host, f"{kind}.host"),
        "port": port,
        "security": security,
        "username": server.username or row.email,
    }
    return stored, ctx.vault.seal(server.password, secret_owner(row.workspace_id, row.id, kind))


class _Troubles(NamedTuple):
    """What is wrong with an account's servers; None for one that works or is not given."""

    smtp: str | None
    imap: str | None


async def _verify(checker: AccountChecker, account: MailAccount) -> _Troubles:
    return _Troubles(
        smtp=await _trouble(checker.check_smtp, account) if account.smtp is not None else None,
        imap=await _trouble(checker.check_imap, account) if account.imap is not None else None,
    )


async def _trouble(check: Callable[[MailAccount], Awaitable[None]], account: MailAccount) -> str | None:
    try:
        await check(account)
    except Upstream as error:
        return error.message
    return None


def _finish(ctx: Context, account: MailAccount, troubles: _Troubles) -> MailboxOut:
    row = ctx.session.get_one(Mailbox, (ctx.workspace_id, account.mailbox_id), with_for_update=True)
    # Of two calls at once, only the one whose servers and passwords are stored knows whether they work.
    if row.status == "pending" and account_of(row, ctx.vault) == account:
        works = troubles == (None, None)
        row.status = "active" if works else "error"
        row.last_error, row.read_error = troubles
        row.read_stopped_at = ctx.now if troubles.smtp is None and troubles.imap is not None else None
        row.updated_at = ctx.now
        if works:
            row.cool_until = None
            row.cool_count = row.consecutive_failures = row.policy_strikes = 0
            if ctx.capped_by is not None:
                hold_campaigns_of_mailbox(ctx.session, ctx.workspace_id, ctx.capped_by, row.id)
        ctx.wake("receiver")
        ctx.wake("sender")
    return _out(row, used_today(ctx.session, [row], ctx.now)[row.id])


@operation(
    title="List mailboxes",
    keywords="addresses broken errors working connected which problems ok",
    effect=Effect.READ,
    rest=Rest("GET", "/v1/mailboxes"),
    core=True,
)
def list_mailboxes(ctx: Context, request: ListMailboxes) -> Page[MailboxOut]:
    """List the mailboxes of the workspace with their health: status, last error, limits, what was sent today, bounces.

    Passwords are never shown. A mailbox in status error or suspended sends nothing until it is mended.
    """
    query = select(Mailbox).where(Mailbox.workspace_id == ctx.workspace_id)
    if request.status is not None:
        query = query.where(Mailbox.status == request.status)
    if request.provider is not None:
        query = query.where(Mailbox.provider == request.provider)
    if request.search:
        part = request.search.lower()
        query = query.where(
            or_(
                Mailbox.email.contains(part, autoescape=True),
                func.lower(Mailbox.display_name).contains(part, autoescape=True),
            )
        )
    total = ctx.session.scalar(select(func.count()).select_from(query.subquery())) or 0
    rows = list(ctx.session.scalars(newest_first(query, Mailbox.id, request, "mailboxes")))
    cursor = next_cursor([row.id for row in rows], request, "mailboxes")
    rows = rows[: request.limit]
    used = used_today(ctx.session, rows, ctx.now)
    return Page[MailboxOut](
        items=[_out(row, used[row.id]) for row in rows],
        limit=request.limit,
        total=total,
        has_more=cursor is not None,
        next_cursor=cursor,
    )


@operation(
    title="Get a mailbox",
    keywords="address server host port settings configuration details problem error wrong configured daily",
    effect=Effect.READ,
    short=True,
    rest=Rest("GET", "/v1/mailboxes/{id}"),
)
def get_mailbox(ctx: Context, request: GetMailbox) -> MailboxOut:
    """Show one mailbox with its servers (never passwords), limits, what it has sent, and its last error."""
    row = ctx.session.get(Mailbox, (ctx.workspace_id, check_id(request.id, "mbx", "id")))
    if row is None:
        raise NotFound("Mailbox not found", hint="See list_mailboxes.")
    return _out(row, used_today(ctx.session, [row], ctx.now)[row.id])


def _out(row: Mailbox, sent_today: int) -> MailboxOut:
    return MailboxOut(
        id=row.id,
        email=row.email,
        display_name=row.display_name,
        provider=row.provider,
        connection_type="sandbox" if row.provider == "sandbox" else "smtp",
        status=row.status,
        sending_enabled=row.sending_enabled,
        not_sending=why_not_sending(row.status, enabled=row.sending_enabled),
        last_error=trouble_text(row.last_error, row.read_error),
        daily_send_limit=row.daily_send_limit,
        sent_today=sent_today,
        timezone=row.timezone,
        signature=row.signature,
        tags=list(row.tags),
        smtp=ServerOut.model_validate(row.smtp) if row.smtp else None,
        imap=ServerOut.model_validate(row.imap) if row.imap else None,
        total_sent=row.total_sent,
        total_received=row.total_received,
        total_bounced=row.total_bounced,
        bounce_rate=round(100 * row.total_bounced / row.total_sent, 1) if row.total_sent else 0.0,
        consecutive_failures=row.consecutive_failures,
        cool_until=row.cool_until,
        warmup=None,
        setup_status=None,
        last_sent_at=row.last_sent_at,
        last_polled_at=row.last_polled_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
