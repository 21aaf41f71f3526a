"""The apps themselves: those that registered, and those whose metadata document was fetched."""

import hmac
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from postrider.grants.descriptions import AUTH_METHODS, AuthMethod, Description
from postrider.grants.tables import OAuthClient
from postrider.kernel.errors import LimitReached
from postrider.kernel.ids import random_text
from postrider.kernel.keyed import keyed_digest
from postrider.kernel.secret import Secret
from postrider.storage.base import insert_or_replace

MOST_UNUSED: Final = 1_000
"""So many apps may be registered that nobody has ever let in."""

UNUSED_MS: Final = 24 * 3_600_000
DOCUMENT_MS: Final = 3_600_000
"""How long a fetched document is believed."""

_CLIENT_PREFIX: Final = "pr_app_"
_SECRET_PREFIX: Final = "pr_cs_"
_SWEPT_AT_ONCE: Final = 200
_METHOD: Final = "auth_method"


@dataclass(frozen=True, slots=True)
class Client:
    """An app. ``secret_digest`` None: a public client. ``fresh``: its document need not be fetched again."""

    id: str
    kind: Literal["document", "registered"]
    name: str
    redirect_uris: tuple[str, ...]
    auth_method: AuthMethod
    secret_digest: bytes | None
    fresh: bool

    @property
    def host(self) -> str | None:
        """Where its description was fetched from, so that the name is known to be that host's; None: nobody knows."""
        return urlsplit(self.id).netloc if self.kind == "document" else None

    def holds(self, secret: str | None, key: bytes) -> bool:
        """Whether ``secret`` is the client's; a public client has none."""
        if self.secret_digest is None:
            return secret is None
        return hmac.compare_digest(self.secret_digest, keyed_digest(key, (secret or "").encode()))


@dataclass(frozen=True, slots=True)
class Registered:
    """A client just registered. ``secret`` is shown once."""

    id: str
    secret: Secret | None


def find_client(session: Session, client_id: str, now_ms: int) -> Client | None:
    """The app of that id, if it is known here."""
    row = session.get(OAuthClient, client_id)
    if row is None:
        return None
    document = row.kind == "document"
    return Client(
        id=row.id,
        kind="document" if document else "registered",
        name=row.name,
        redirect_uris=tuple(row.redirect_uris),
        auth_method=_auth_method(row),
        secret_digest=row.secret_digest,
        fresh=not document or now_ms - row.fetched_ms < DOCUMENT_MS,
    )


def _auth_method(row: OAuthClient) -> AuthMethod:
    kept = row.details.get(_METHOD)
    return next((each for each in AUTH_METHODS if each == kept), "none")


def register_client(
    session: Session, key: bytes, description: Description, now_ms: int, most_unused: int = MOST_UNUSED
) -> Registered:
    """A new client as it described itself. Raises: LimitReached while too many wait for their first use."""
    sweep_clients(session, now_ms)
    unused = select(func.count()).where(OAuthClient.kind == "registered", OAuthClient.used.is_(False))
    if (session.scalar(unused) or 0) >= most_unused:
        raise LimitReached(
            "Too many apps have registered here without being used.",
            retry_after_seconds=3_600,
            hint="Try again later, or use a client id metadata document.",
        )
    secret = None if description.auth_method == "none" else Secret(_SECRET_PREFIX + random_text(32))
    row = OAuthClient(
        id=_CLIENT_PREFIX + random_text(26),
        kind="registered",
        name=description.name,
        redirect_uris=list(description.redirect_uris),
        details={**description.details, _METHOD: description.auth_method},
        secret_digest=None if secret is None else keyed_digest(key, secret.reveal().encode()),
        used=False,
        created_ms=now_ms,
        fetched_ms=now_ms,
    )
    session.add(row)
    session.flush()
    return Registered(row.id, secret)


def keep_document(session: Session, url: str, description: Description, now_ms: int) -> None:
    """Stores what the document at ``url`` said, in the place of what it said before."""
    sweep_clients(session, now_ms)
    replaced = ("name", "redirect_uris", "details", "fetched_ms")
    statement = insert_or_replace(OAuthClient, session.get_bind().dialect.name, ("id",), *replaced)
    session.execute(
        statement,
        {
            "id": url,
            "kind": "document",
            "name": description.name,
            "redirect_uris": list(description.redirect_uris),
            "details": description.details,
            "secret_digest": None,
            "used": False,
            "created_ms": now_ms,
            "fetched_ms": now_ms,
        },
    )


def sweep_clients(session: Session, now_ms: int) -> None:
    """Forgets some of the apps that nobody let in within a day."""
    old = (
        select(OAuthClient.id)
        .where(
            OAuthClient.kind.in_(("document", "registered")),
            OAuthClient.used.is_(False),
            OAuthClient.created_ms < now_ms - UNUSED_MS,
        )
        .limit(_SWEPT_AT_ONCE)
    )
    session.execute(delete(OAuthClient).where(OAuthClient.id.in_(old)))
