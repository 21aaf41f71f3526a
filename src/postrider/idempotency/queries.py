"""Keys that make a repeated call harmless: the first one counts, its repetitions get the same answer for a day."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, delete, select, tuple_, update
from sqlalchemy.orm import Session

from postrider.idempotency.tables import IdempotencyKey
from postrider.kernel.errors import Conflict, InvalidInput
from postrider.storage.base import JsonObject, insert_or_ignore

KEPT: Final = timedelta(hours=24)
_FORM: Final = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True, slots=True)
class KeyedCall:
    """One call with its key. ``arguments_hash``: of the checked arguments."""

    workspace_id: str
    credential_id: str
    key: str
    operation: str
    arguments_hash: str


class KeptAnswer(NamedTuple):
    """What the first call with a key answered. ``undo_id``: what takes it back."""

    output: JsonObject
    undo_id: str | None


def check_key(key: str) -> str:
    """The key. Raises: InvalidInput."""
    if not _FORM.fullmatch(key):
        raise InvalidInput(
            "The idempotency key has to be 1 to 255 visible ASCII characters without spaces.",
            field="Idempotency-Key",
            hint="Use a fresh UUID for each thing that you want to happen once.",
        )
    return key


def begin_keyed(session: Session, call: KeyedCall, now: datetime) -> KeptAnswer | None:
    """Reserves the key for this call; what the first call with it answered, if there was one.

    Raises: Conflict when the key was used for another call, its first call has not ended, or its answer is not kept.
    """
    same = _same(call)
    expired = IdempotencyKey.created_at < now - KEPT
    session.execute(delete(IdempotencyKey).where(*same, expired))
    dialect = session.get_bind().dialect.name
    reserve = insert_or_ignore(IdempotencyKey, dialect, "workspace_id", "credential_id", "key")
    values = {
        "workspace_id": call.workspace_id,
        "credential_id": call.credential_id,
        "key": call.key,
        "operation": call.operation,
        "arguments_hash": call.arguments_hash,
        "state": "running",
        "output": None,
        "created_at": now,
    }
    # Another transaction that holds the same key is waited for here, so that the row below is its final one.
    if session.execute(reserve.values(values).returning(IdempotencyKey.key)).scalar() is not None:
        return None
    return find_answer(session, call, now)


def find_answer(session: Session, call: KeyedCall, now: datetime) -> KeptAnswer | None:
    """What the first call with this key answered; None when there was none. Raises: see ``begin_keyed``."""
    row = session.execute(select(IdempotencyKey).where(*_same(call), IdempotencyKey.created_at >= now - KEPT)).scalar()
    if row is None:
        return None
    if (row.operation, row.arguments_hash) != (call.operation, call.arguments_hash):
        raise Conflict(
            f"This idempotency key was used for another call ({row.operation}) within the last 24 hours.",
            code="IDEMPOTENCY_KEY_REUSED",
            hint="Use a new key for a new call; repeat a call with its own arguments, unchanged.",
        )
    if row.state != "done":
        raise Conflict(
            "The first call with this idempotency key has not ended, or was cut off.",
            code="IDEMPOTENCY_KEY_IN_USE",
            hint="Look whether it was done before you call again with a new key.",
        )
    if row.output is None:
        raise Conflict(
            "This was done by the first call with this idempotency key; its answer is shown once and not kept.",
            code="IDEMPOTENT_ANSWER_NOT_KEPT",
            hint="Use what the first call answered, or call with a new key to have it done again.",
        )
    return KeptAnswer(row.output, row.undo_id)


def finish_keyed(session: Session, call: KeyedCall, output: JsonObject | None, undo_id: str | None) -> None:
    """Keeps the answer of a call that was done, None for one that is shown once, and what takes the call back."""
    done = {"state": "done", "output": output, "undo_id": undo_id}
    session.execute(update(IdempotencyKey).where(*_same(call)).values(done))


def release_keyed(session: Session, call: KeyedCall) -> None:
    """Gives the key back: the call has failed, so that it may be made again."""
    session.execute(delete(IdempotencyKey).where(*_same(call), IdempotencyKey.state == "running"))


def sweep_keys(session: Session, now: datetime, most: int) -> int:
    """Forgets keys of more than a day ago, at most so many; how many."""
    key = (IdempotencyKey.workspace_id, IdempotencyKey.credential_id, IdempotencyKey.key)
    old = select(*key).where(IdempotencyKey.created_at < now - KEPT).limit(most)
    return session.connection().execute(delete(IdempotencyKey).where(tuple_(*key).in_(old))).rowcount


def _same(call: KeyedCall) -> tuple[ColumnElement[bool], ...]:
    return (
        IdempotencyKey.workspace_id == call.workspace_id,
        IdempotencyKey.credential_id == call.credential_id,
        IdempotencyKey.key == call.key,
    )
