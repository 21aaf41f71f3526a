"""Mailboxes as adapters and the engine need them."""

from collections.abc import Sequence
from datetime import datetime
from typing import cast
from zoneinfo import ZoneInfo

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from postrider.kernel.vault import Vault
from postrider.mailboxes.ports import MailAccount, Provider, Security, ServerAccess
from postrider.mailboxes.tables import Mailbox, SendDay
from postrider.storage.base import JsonObject


def secret_owner(workspace_id: str, mailbox_id: str, field: str) -> str:
    """What a mailbox's sealed password belongs to: it opens in this row and field only."""
    return f"{workspace_id}/{mailbox_id}/{field}"


def account_of(row: Mailbox, vault: Vault) -> MailAccount:
    """The account with its passwords opened. Raises: VaultError when the installation's key does not fit."""
    return MailAccount(
        workspace_id=row.workspace_id,
        mailbox_id=row.id,
        email=row.email,
        provider=cast("Provider", row.provider),
        smtp=_server(row, vault, "smtp", row.smtp, row.smtp_secret),
        imap=_server(row, vault, "imap", row.imap, row.imap_secret),
    )


def _server(
    row: Mailbox, vault: Vault, field: str, stored: JsonObject | None, sealed: bytes | None
) -> ServerAccess | None:
    if stored is None or sealed is None:
        return None
    return ServerAccess(
        host=str(stored["host"]),
        port=cast("int", stored["port"]),
        security=cast("Security", stored["security"]),
        username=str(stored["username"]),
        password=vault.open(sealed, secret_owner(row.workspace_id, row.id, field)),
    )


def used_today(session: Session, rows: Sequence[Mailbox], now: datetime) -> dict[str, int]:
    """How many emails each mailbox has sent (or is sending) on its own local day."""
    days = {row.id: now.astimezone(ZoneInfo(row.timezone)).date().isoformat() for row in rows}
    found = dict.fromkeys(days, 0)
    if not days:
        return found
    query = select(SendDay.owner_id, SendDay.sent).where(
        SendDay.workspace_id == rows[0].workspace_id, tuple_(SendDay.owner_id, SendDay.day).in_(days.items())
    )
    found.update(dict(session.execute(query).all()))
    return found
