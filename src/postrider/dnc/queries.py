"""Looking up and adding do-not-contact entries; shared by operations, the engine and the unsubscribe page."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import NamedTuple

from sqlalchemy import Connection, and_, or_, select, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningInsert

from postrider.dnc.rules import BINDING_SOURCES, WORDS, DncKey, DncKind, DncSource, keys_covering
from postrider.dnc.tables import DncEntry
from postrider.kernel.ids import new_id
from postrider.kernel.vault import Vault
from postrider.storage.base import insert_or_ignore


class HashedKey(NamedTuple):
    """One thing an entry can name, by its hash. ``value`` None: nobody knows any more what it was."""

    kind: DncKind
    value_hash: str
    value: str | None


def hash_value(vault: Vault, workspace_id: str, value: str) -> str:
    """The keyed hash under which a value is stored: of no use in another workspace or without the key."""
    return vault.fingerprint("dnc", f"{workspace_id}|{value}")


def hashes_covering(vault: Vault, workspace_id: str, email: str) -> list[str]:
    """The hashes of everything that, if listed, forbids mail to ``email``."""
    return [hash_value(vault, workspace_id, key.value) for key in keys_covering(email)]


def listed_reason(
    connection: Connection | Session, workspace_id: str, hashes: Sequence[str], *, binding_only: bool = False
) -> str | None:
    """Why an address is on the list, in words of ours that fit into an error; None when it is not.

    ``hashes``: from ``hashes_covering``. ``binding_only``: only what the person or their server said.
    """
    query = select(DncEntry.source).where(DncEntry.workspace_id == workspace_id, DncEntry.value_hash.in_(hashes))
    if binding_only:
        query = query.where(DncEntry.source.in_(BINDING_SOURCES))
    source = connection.execute(query.order_by(DncEntry.id).limit(1)).scalar()
    return None if source is None else WORDS.get(source, "listed")


def covered_emails(session: Session, vault: Vault, workspace_id: str, emails: Iterable[str]) -> dict[str, bool]:
    """Those of some hundreds of addresses that an entry covers, with whether one of these entries is binding.

    Only what may cover them is looked up, however long the list is.
    """
    by_key: dict[DncKey, list[str]] = {}
    for email in emails:
        for key in keys_covering(email):
            by_key.setdefault(key, []).append(email)
    by_hash = {hash_value(vault, workspace_id, key.value): covered for key, covered in by_key.items()}
    query = select(DncEntry.value_hash, DncEntry.source).where(
        DncEntry.workspace_id == workspace_id,
        DncEntry.kind.in_({key.kind for key in by_key}),
        DncEntry.value_hash.in_(by_hash),
    )
    found: dict[str, bool] = {}
    for value_hash, source in session.execute(query):
        for email in by_hash[value_hash]:
            found[email] = found.get(email, False) or source in BINDING_SOURCES
    return found


@cache
def _insert(dialect_name: str) -> ReturningInsert[tuple[str]]:
    return insert_or_ignore(DncEntry, dialect_name, "workspace_id", "kind", "value_hash").returning(DncEntry.id)


def add_entries(
    connection: Connection | Session,
    vault: Vault,
    workspace_id: str,
    keys: Iterable[DncKey],
    *,
    reason: str,
    source: DncSource,
    now: datetime,
) -> int:
    """Adds what is not listed yet; the number added. See ``add_hashed`` for what is."""
    wanted = {HashedKey(key.kind, hash_value(vault, workspace_id, key.value), key.value) for key in keys}
    return add_hashed(
        connection, workspace_id, sorted(wanted, key=lambda key: key.value_hash), reason=reason, source=source, now=now
    )


def add_hashed(
    connection: Connection | Session,
    workspace_id: str,
    keys: Sequence[HashedKey],
    *,
    reason: str,
    source: DncSource,
    now: datetime,
) -> int:
    """Adds what is not listed yet; the number added.

    An entry that somebody made by hand becomes binding when the person, or their server, now says the same.
    """
    if not keys:
        return 0
    rows = [
        {
            "workspace_id": workspace_id,
            "id": new_id("dnc"),
            "kind": key.kind,
            "value_hash": key.value_hash,
            "value": key.value,
            "reason": reason,
            "source": source,
            "created_at": now,
        }
        for key in keys
    ]
    if isinstance(connection, Session):
        connection = connection.connection()
    statement = _insert(connection.dialect.name)
    # The rows are given apart from the statement: as a part of it, it would be compiled anew each time.
    added = len(connection.execute(statement, rows).all())
    if source in BINDING_SOURCES and added < len(rows):
        connection.execute(
            update(DncEntry)
            .where(
                DncEntry.workspace_id == workspace_id,
                DncEntry.value_hash.in_([key.value_hash for key in keys]),
                DncEntry.source.not_in(BINDING_SOURCES),
            )
            .values(source=source, reason=reason)
        )
    return added


def listed_keys(session: Session, vault: Vault, workspace_id: str, keys: Sequence[DncKey]) -> set[DncKey]:
    """Those of ``keys`` that stand on the list themselves."""
    wanted: dict[tuple[str, str], DncKey] = {
        (key.kind, hash_value(vault, workspace_id, key.value)): key for key in keys
    }
    if not wanted:
        return set()
    match = or_(*(and_(DncEntry.kind == kind, DncEntry.value_hash == value) for kind, value in wanted))
    query = select(DncEntry.kind, DncEntry.value_hash).where(DncEntry.workspace_id == workspace_id, match)
    return {wanted[(kind, value)] for kind, value in session.execute(query)}
