"""A keyed hash of what a transaction changes, for the audit row: what stood before, and what was written.

The ORM's rows and Core's statements are seen by themselves; what is handed straight to the driver is told with
``note_written``. Nothing is read for it: of rows that a single statement changed or deleted, ``before`` holds the
statement with its values, not what stood in them.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, event, inspect
from sqlalchemy.orm import InstanceState, Session

from postrider.kernel.vault import Vault

_PURPOSE: Final = "audit-rows"
_WATCH: Final = "postrider.changes"
_CHANGING: Final = ("INSERT", "UPDATE", "DELETE", "MERGE")
_CHANGING_LATER: Final = re.compile(rf"(?<!FOR )(?<!FOR NO KEY )\b(?:{'|'.join(_CHANGING)})\b", re.IGNORECASE)
"""In a statement that starts with WITH. One that only names such a word is taken for one that changes, too."""


class Hashes(NamedTuple):
    """Before and after (hex). None where nothing stood before, and where nothing was written."""

    before: str | None
    after: str | None


NO_HASHES: Final = Hashes(None, None)


class Changes:
    """What one transaction changes from here on, folded into two hashes."""

    def __init__(self, session: Session, vault: Vault) -> None:
        key = vault.derive(_PURPOSE)
        self._before, self._after = blake2b(key=key, digest_size=32), blake2b(key=key, digest_size=32)
        self._had = self._wrote = False
        self._session = session
        session.info[_WATCH] = self
        # To the connection of this transaction alone: it is closed with it, and the hot path stays as it is.
        event.listen(session.connection(), "before_cursor_execute", self._execute)

    def end(self) -> Hashes:
        """The hashes; from here on nothing is watched."""
        self._session.flush()
        self._session.info.pop(_WATCH, None)
        return Hashes(self._before.hexdigest() if self._had else None, self._after.hexdigest() if self._wrote else None)

    def written(self, statement: str, values: str) -> None:
        """Folds a changing statement in."""
        text = f"{statement}\0{values}\0".encode(errors="surrogatepass")
        self._wrote = True
        self._after.update(text)
        if not statement.startswith("INSERT"):
            self._had = True
            self._before.update(text)

    def stood(self, state: InstanceState[Any]) -> None:
        """Folds in what a row of the ORM held before it was changed."""
        held = dict(state.dict) | {name: old for name, old in state.committed_state.items() if name in state.dict}
        columns = [(name, held[name]) for name in sorted(held) if name in state.mapper.column_attrs]
        self._had = True
        self._before.update(f"{state.class_.__name__}\0{columns!r}\0".encode(errors="surrogatepass"))

    def _execute(self, _: Connection, __: object, statement: str, parameters: Any, ___: object, ____: bool) -> None:
        if _is_changing(statement) and self._session.info.get(_WATCH) is self:
            self.written(statement, repr(_plain(parameters)))


def _is_changing(statement: str) -> bool:
    """Whether a statement may change rows."""
    first = statement.lstrip()[:6].upper()
    return first.startswith(_CHANGING) or (first.startswith("WITH") and _CHANGING_LATER.search(statement) is not None)


def together(vault: Vault, parts: Sequence[Hashes]) -> Hashes:
    """The hashes of several transactions, in the order of their commits, as one pair."""
    key = vault.derive(_PURPOSE)
    return Hashes(_folded(key, [part.before for part in parts]), _folded(key, [part.after for part in parts]))


def _folded(key: bytes, hashes: Sequence[str | None]) -> str | None:
    given = [each for each in hashes if each is not None]
    return blake2b("\0".join(given).encode(), key=key, digest_size=32).hexdigest() if given else None


def note_written(session: Session, statement: str, columns: Mapping[str, Iterable[str | None]]) -> None:
    """Tells the watch, where there is one, of rows that a driver was given, column by column."""
    watch = session.info.get(_WATCH)
    if isinstance(watch, Changes):
        values = ("\x1f".join("" if text is None else text for text in column) for column in columns.values())
        watch.written(statement, "\x1e".join((*columns, *values)))


@event.listens_for(Session, "before_flush")
def _flushing(session: Session, _: object, __: object) -> None:
    watch = session.info.get(_WATCH)
    if isinstance(watch, Changes):
        for row in session.dirty:
            if session.is_modified(row):
                watch.stood(inspect(row))
        for row in session.deleted:
            watch.stood(inspect(row))


def _plain(parameters: Any) -> Any:
    """Parameters without the drivers' wrappers around JSON, which cut short what they show of it."""
    if isinstance(parameters, Mapping):
        return {name: getattr(value, "obj", value) for name, value in parameters.items()}
    if isinstance(parameters, Sequence) and not isinstance(parameters, str | bytes):
        return [
            _plain(value) if isinstance(value, tuple | dict) else getattr(value, "obj", value) for value in parameters
        ]
    return parameters
