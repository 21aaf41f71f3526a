"""What a claim used of the day limits, and how it is given back when nothing was sent."""

import zlib
from collections import Counter
from collections.abc import Iterable
from typing import Final, cast

from sqlalchemy import Connection, bindparam, text, update
from sqlalchemy.orm import Session

from postrider.mailboxes.tables import SendDay
from postrider.sending.work import Claim
from postrider.storage.base import JsonObject, insert_or_add
from postrider.storage.prepared import Prepared

_Day = tuple[str, str, str]
"""Workspace, owner and day: the key of what was used."""

USED: Final = Prepared(
    lambda dialect: insert_or_add(SendDay, dialect, ("workspace_id", "owner_id", "day"), "sent", "new_leads").values(
        {column.name: bindparam(f"b_{column.name}") for column in SendDay.__table__.c}
    )
)
"""Adds to what an owner has used of a day."""
_GIVE_BACK: Final = (
    update(SendDay)
    .where(
        SendDay.workspace_id == bindparam("b_workspace_id"),
        SendDay.owner_id == bindparam("b_owner_id"),
        SendDay.day == bindparam("b_day"),
        SendDay.sent >= bindparam("b_count"),
    )
    .values(sent=SendDay.sent - bindparam("b_count"), new_leads=SendDay.new_leads - bindparam("b_new"))
)


def count_alone(connection: Connection | Session, workspace_id: str) -> None:
    """Until this transaction ends, nobody else counts sends of the workspace (SQLite has one writer anyway).

    To be called before any row is locked.
    """
    if isinstance(connection, Session):
        connection = connection.connection()
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": zlib.crc32(workspace_id.encode())})


def stored_claim(mailbox_id: str, claim: Claim) -> JsonObject:
    """What an enrollment keeps of its claim."""
    credentials: JsonObject = {"credentialIds": [*claim.credential_ids], "credentialDay": claim.credential_day}
    return {
        "mailboxId": mailbox_id,
        "mailboxDay": claim.mailbox_day,
        "campaignDay": claim.campaign_day,
        "countsNew": claim.counts_new,
        **(credentials if claim.credential_ids else {}),
    }


def give_back(connection: Connection | Session, workspace_id: str, campaign_id: str, claim: JsonObject) -> None:
    """Takes one send off the days that a stored claim was counted on."""
    give_all_back(connection, [(workspace_id, campaign_id, claim)])


def give_all_back(connection: Connection | Session, claims: Iterable[tuple[str, str, JsonObject]]) -> None:
    """The same for many claims, each with its workspace and campaign.

    In the order of the rows' keys: two transactions that took them crosswise would wait for each other.
    """
    used: Counter[_Day] = Counter()
    new: Counter[_Day] = Counter()
    for workspace_id, campaign_id, claim in claims:
        used[workspace_id, str(claim["mailboxId"]), str(claim["mailboxDay"])] += 1
        if claim["campaignDay"] is not None:
            key = (workspace_id, campaign_id, str(claim["campaignDay"]))
            used[key] += 1
            new[key] += bool(claim["countsNew"])
        for credential_id in cast("list[str]", claim.get("credentialIds", [])):
            used[workspace_id, credential_id, str(claim["credentialDay"])] += 1
    _give_back_counts(connection, used, new)


def give_days_back(connection: Connection | Session, days: Iterable[tuple[str, str, str]]) -> None:
    """Takes one message off each day that is named: workspace, owner and day."""
    _give_back_counts(connection, Counter(days), Counter())


def _give_back_counts(connection: Connection | Session, used: Counter[_Day], new: Counter[_Day]) -> None:
    for key, count in sorted(used.items()):
        values = dict(zip(("b_workspace_id", "b_owner_id", "b_day"), key, strict=True))
        connection.execute(_GIVE_BACK, {**values, "b_count": count, "b_new": new[key]})
