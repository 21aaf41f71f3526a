"""Tells a restored backup from the database that went on: a restored one knows less than it had sent, so it is held.

A counter rises in the database whenever an engine's lease is taken, renewed or dropped, and a copy of it stands in a
file beside the key. When the database is behind its file (or the file is missing though mail has been sent), nothing
goes out until a person has said that this database is the one to go on with (``postrider db release-hold``).
"""

import os
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, select, update
from sqlalchemy.orm import Session

from postrider.sending.tables import Attempt
from postrider.storage.base import insert_or_ignore
from postrider.storage.tables import Meta

_KEY: Final = "engine_beats"
FILE_NAME: Final = "engine.beats"


def beat(connection: Connection) -> int:
    """Raises the counter in the database; pass the new value to ``note`` once it is committed."""
    dialect = connection.dialect.name
    connection.execute(insert_or_ignore(Meta, dialect, "key").values(key=_KEY, value="0"))
    value = int(connection.execute(select(Meta.value).where(Meta.key == _KEY).with_for_update()).scalar_one()) + 1
    connection.execute(update(Meta).where(Meta.key == _KEY).values(value=str(value)))
    return value


def read_beats(session: Session | Connection) -> int:
    """The database's counter; 0 before the first beat."""
    found = session.execute(select(Meta.value).where(Meta.key == _KEY)).scalar()
    return int(found) if found else 0


def note(file: Path, beats: int) -> None:
    """Writes the counter beside the database, atomically; it never goes back."""
    if _noted(file) >= beats:
        return
    _write(file, beats)


def _write(file: Path, beats: int) -> None:
    """Replaces the file, on the disk before the name: a power cut leaves the old number or the new one."""
    temporary = file.with_name(f"{file.name}.{os.getpid()}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as written:
        written.write(str(beats))
        written.flush()
        os.fsync(written.fileno())
    temporary.replace(file)


def _noted(file: Path) -> int:
    try:
        return int(file.read_text())
    except FileNotFoundError:
        return -1
    except ValueError:
        # A damaged marker proves nothing: treat it as missing.
        return -1


def held_reason(session: Session, file: Path) -> str | None:
    """Why nothing may be sent from this database, or None when it is the one that went on."""
    # The file first: another engine may note a beat between the two, and only the database may seem ahead.
    noted = _noted(file)
    beats = read_beats(session)
    if noted > beats:
        return (
            f"The database is older than what was running here (beat {beats}, {noted} was reached): it looks like a "
            "restored backup, so nothing is sent. If it is the one to go on with: postrider db release-hold"
        )
    if noted == -1 and session.execute(select(Attempt.id).limit(1)).scalar() is not None:
        return (
            f"The database has sent mail, but {file.name} is missing from the data directory: it may be a restored "
            "backup, so nothing is sent. If it is the one to go on with: postrider db release-hold"
        )
    return None


def release_hold(session: Session, file: Path) -> int:
    """Accepts this database as the one to go on with; the beat it goes on from."""
    beats = read_beats(session)
    _write(file, beats)
    return beats
