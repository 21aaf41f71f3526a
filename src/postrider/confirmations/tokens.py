"""Confirm tokens: proof that the facts of a grave call were shown to whoever makes it. Works once, for ten minutes.

A token is bound to operation, arguments, credential, and to the revision of what it is done to. It does not prove that
a person has agreed: where one has to, see approvals.
"""

import hmac
import re
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, delete, select, tuple_, update
from sqlalchemy.orm import Session

from postrider.confirmations.rules import MOST_GIVEN_BACK
from postrider.confirmations.tables import UsedToken
from postrider.kernel.context import Actor
from postrider.kernel.ids import random_text
from postrider.kernel.keyed import keyed_digest
from postrider.kernel.policy import Facts
from postrider.kernel.vault import Vault
from postrider.storage.base import insert_or_ignore

LIFETIME_MS: Final = 600_000
_NONCE: Final = 26
_FORM: Final = re.compile(r"ct_([0-9a-z]{26})_([0-9]{13})_([0-9a-f]{64})")


class BoundCall(NamedTuple):
    """What a yes is given to. ``arguments_hash``: of the checked arguments, defaults filled in."""

    operation: str
    arguments_hash: str
    workspace_id: str
    credential_id: str
    user_id: str
    revision: str


def bound_call(operation: str, arguments_hash: str, actor: Actor, facts: Facts) -> BoundCall:
    """What a yes to this call is bound to."""
    return BoundCall(operation, arguments_hash, actor.workspace_id, actor.credential_id, actor.user_id, facts.revision)


def call_hash(vault: Vault, call: BoundCall) -> str:
    """A keyed hash of the whole call."""
    return vault.fingerprint("confirmed-call", "\0".join(call))


def issue_token(vault: Vault, call: BoundCall, now_ms: int) -> str:
    """A fresh token for ``call``. ``now_ms``: wall time, milliseconds since 1970."""
    nonce, expires_ms = random_text(_NONCE), now_ms + LIFETIME_MS
    return f"ct_{nonce}_{expires_ms}_{_mac(vault, call, nonce, expires_ms)}"


def use_token(session: Session, vault: Vault, call: BoundCall, token: str, now_ms: int) -> bool:
    """Whether ``token`` was issued for exactly this call, has not run out and was never used; it is used up now.

    The mark belongs to the transaction: if that is rolled back, the token can be used again.
    """
    good = _read(vault, call, token, now_ms)
    if good is None:
        return False
    dialect = session.get_bind().dialect.name
    mark = insert_or_ignore(UsedToken, dialect, "workspace_id", "nonce").returning(UsedToken.nonce)
    values = {"nonce": good.nonce, "expires_ms": good.expires_ms, "is_used": True, "given_back": 0}
    if session.execute(mark.values({"workspace_id": call.workspace_id, **values})).scalar() is not None:
        return True
    free = (*_row(call.workspace_id, good.nonce), UsedToken.is_used.is_(False))
    again = update(UsedToken).where(*free).values(is_used=True).returning(UsedToken.nonce)
    return session.execute(again).scalar() is not None


def token_fits(session: Session, vault: Vault, call: BoundCall, token: str, now_ms: int) -> bool:
    """What ``use_token`` would say; the token stays as it is."""
    good = _read(vault, call, token, now_ms)
    if good is None:
        return False
    return not session.scalar(select(UsedToken.is_used).where(*_row(call.workspace_id, good.nonce)))


def give_token_back(session: Session, workspace_id: str, token: str) -> bool:
    """Lets a used token be used again: nothing has come of the call that used it. Whether it can be: it was not given
    back too often before."""
    match = _FORM.fullmatch(token)
    if match is None:
        return False
    used = (*_row(workspace_id, match.group(1)), UsedToken.is_used, UsedToken.given_back < MOST_GIVEN_BACK)
    back = update(UsedToken).where(*used).values(is_used=False, given_back=UsedToken.given_back + 1)
    return session.execute(back.returning(UsedToken.nonce)).scalar() is not None


def sweep_tokens(session: Session, now_ms: int, most: int) -> int:
    """Forgets used tokens that have run out, at most so many; how many."""
    key = (UsedToken.workspace_id, UsedToken.nonce)
    out = select(*key).where(UsedToken.expires_ms <= now_ms).limit(most)
    return session.connection().execute(delete(UsedToken).where(tuple_(*key).in_(out))).rowcount


class _Good(NamedTuple):
    nonce: str
    expires_ms: int


def _read(vault: Vault, call: BoundCall, token: str, now_ms: int) -> _Good | None:
    """What a token holds that was issued for exactly this call and has not run out; None of any other."""
    match = _FORM.fullmatch(token)
    if match is None:
        return None
    good = _Good(match.group(1), int(match.group(2)))
    is_ours = hmac.compare_digest(match.group(3), _mac(vault, call, *good))
    return good if is_ours and now_ms < good.expires_ms else None


def _row(workspace_id: str, nonce: str) -> tuple[ColumnElement[bool], ...]:
    return (UsedToken.workspace_id == workspace_id, UsedToken.nonce == nonce)


def _mac(vault: Vault, call: BoundCall, nonce: str, expires_ms: int) -> str:
    text = "\0".join((nonce, str(expires_ms), *call))
    return keyed_digest(vault.derive("confirm-tokens"), text.encode()).hex()
