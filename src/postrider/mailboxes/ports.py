"""What the mailboxes feature needs of the outside world."""

from dataclasses import dataclass
from typing import Literal, Protocol

from postrider.kernel.secret import Secret

Security = Literal["tls", "starttls", "none"]
Provider = Literal["gmail", "outlook", "custom", "sandbox"]


@dataclass(frozen=True, slots=True)
class ServerAccess:
    """Where one mail server listens and how to sign in. ``tls``: from the first byte; ``none``: no TLS at all."""

    host: str
    port: int
    security: Security
    username: str
    password: Secret


@dataclass(frozen=True, slots=True)
class MailAccount:
    """One mailbox with everything that an adapter needs to send from it and read it."""

    workspace_id: str
    mailbox_id: str
    email: str
    provider: Provider
    smtp: ServerAccess | None
    imap: ServerAccess | None


class AccountChecker(Protocol):
    """Signs in once, to see whether an account works."""

    async def check_smtp(self, account: MailAccount) -> None:
        """Signs in by SMTP and out again. Raises: Upstream, with a coarse and harmless message."""

    async def check_imap(self, account: MailAccount) -> None:
        """Signs in by IMAP, opens INBOX read-only, and out again. Raises: Upstream."""
