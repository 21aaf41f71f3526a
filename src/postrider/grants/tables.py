"""Connected apps: OAuth clients, what people granted them, and the codes and tokens in between.

Codes and tokens are stored as keyed hashes. ``…_ms``: wall time, milliseconds since 1970.
"""

from sqlalchemy import BigInteger, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from postrider.storage.base import Base, Id, Instant, Json, JsonStrings, LongText, ShortText

CLIENT_ID_CHARACTERS = 1_000


class OAuthClient(Base):
    """An app as it described itself. ``kind``: document (its id is the https address of its metadata document) or
    registered (RFC 7591). ``details``: the metadata as it was accepted. ``used``: somebody has granted it something.
    """

    __tablename__ = "oauth_clients"
    __table_args__ = (Index("ix_oauth_clients_unused", "kind", "used", "created_ms"),)

    id: Mapped[str] = mapped_column(String(CLIENT_ID_CHARACTERS), primary_key=True)
    kind: Mapped[ShortText]
    name: Mapped[ShortText]
    redirect_uris: Mapped[JsonStrings]
    details: Mapped[Json]
    secret_digest: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    used: Mapped[bool]
    created_ms: Mapped[int] = mapped_column(BigInteger)
    fetched_ms: Mapped[int] = mapped_column(BigInteger)


class Grant(Base):
    """What a person let an app do in a workspace: a credential, and the family that its tokens belong to.

    ``toolsets`` None: all. ``daily_sends``, ``first_day_sends``: see kernel.policy.Caps.
    """

    __tablename__ = "oauth_grants"
    __table_args__ = (Index("ix_oauth_grants_user", "user_id"),)

    workspace_id: Mapped[Id] = mapped_column(primary_key=True)
    id: Mapped[Id] = mapped_column(primary_key=True)
    client_id: Mapped[str] = mapped_column(String(CLIENT_ID_CHARACTERS))
    client_name: Mapped[ShortText]
    user_id: Mapped[Id]
    redirect_uri: Mapped[LongText]
    scopes: Mapped[JsonStrings]
    toolsets: Mapped[JsonStrings | None]
    autonomy: Mapped[ShortText]
    daily_sends: Mapped[int | None]
    first_day_sends: Mapped[int | None]
    created_at: Mapped[Instant]
    last_used_at: Mapped[Instant | None]
    revoked_at: Mapped[Instant | None]
    revoked_reason: Mapped[ShortText | None]


class AuthorizationCode(Base):
    """A code on its way through a browser; works once. ``choices``: the grant as it will be made."""

    __tablename__ = "oauth_codes"
    __table_args__ = (Index("ix_oauth_codes_expires_ms", "expires_ms"),)

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    client_id: Mapped[str] = mapped_column(String(CLIENT_ID_CHARACTERS))
    user_id: Mapped[Id]
    workspace_id: Mapped[Id]
    redirect_uri: Mapped[LongText]
    challenge: Mapped[ShortText]
    resource: Mapped[LongText]
    choices: Mapped[Json]
    expires_ms: Mapped[int] = mapped_column(BigInteger)
    used_ms: Mapped[int | None] = mapped_column(BigInteger)
    grant_id: Mapped[Id | None]


class Token(Base):
    """An access or refresh token. ``used_ms``: when a refresh token was exchanged for the next one."""

    __tablename__ = "oauth_tokens"
    __table_args__ = (
        Index("ix_oauth_tokens_grant", "workspace_id", "grant_id"),
        Index("ix_oauth_tokens_expires_ms", "expires_ms"),
    )

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    kind: Mapped[ShortText]
    workspace_id: Mapped[Id]
    grant_id: Mapped[Id]
    scopes: Mapped[JsonStrings]
    resource: Mapped[LongText]
    expires_ms: Mapped[int] = mapped_column(BigInteger)
    used_ms: Mapped[int | None] = mapped_column(BigInteger)
