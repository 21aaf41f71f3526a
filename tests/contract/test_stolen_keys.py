"""Credentials at rest and at the door: a database tells no key, and a guess learns nothing from how it is refused."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from postrider.access import queries
from postrider.access.keys import same_digest
from postrider.access.queries import authenticate_key
from postrider.access.tables import ApiKey
from postrider.kernel.errors import Unauthenticated
from tests.conftest import START, Installation

KEY_BITS = 160


def presented(installation: Installation) -> dict[str, str | None]:
    """Every way in which a key can be bad, and a good one."""
    good = installation.ann.workspace_key.reveal()
    other = installation.bob.workspace_key.reveal()
    return {
        "good": good,
        "none": None,
        "empty": "",
        "no key at all": "Basic abc",
        "unknown": "sk_0123456789_" + "0" * 32,
        "secret of another": good[: good.rindex("_")] + other[other.rindex("_") :],
        "cut": good[:-1],
        "longer": good + "0",
        "upper case": good.upper(),
        "revoked": other,
    }


async def revoke(installation: Installation, lookup: str) -> None:
    def write(session: Session) -> None:
        row = session.query(ApiKey).filter_by(lookup=lookup).one()
        row.revoked_at = START

    await installation.app.database.write(write)


async def test_every_presented_key_is_compared_once_in_constant_time(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path of the code is asserted, not its time: whatever is presented, one comparison by compare_digest."""
    other = installation.bob.workspace_key.reveal()
    await revoke(installation, other[: other.rindex("_")])
    compared: list[tuple[int, int]] = []

    def watched(stored: bytes, given: bytes) -> bool:
        compared.append((len(stored), len(given)))
        return same_digest(stored, given)

    monkeypatch.setattr(queries, "same_digest", watched)
    pepper = installation.app.vault.derive("api-keys")
    refusals: set[tuple[str, str | None, str]] = set()
    for name, key in presented(installation).items():
        compared.clear()

        def look(session: Session, key: str | None = key) -> str:
            return authenticate_key(session, pepper, key, None, "v1", START).credential_id

        if name == "good":
            assert await installation.app.database.read(look)
        else:
            with pytest.raises(Unauthenticated) as refused:
                await installation.app.database.read(look)
            refusals.add((refused.value.message, refused.value.hint, refused.value.error_code))
        assert compared == [(32, 32)], name
    assert len(refusals) == 1


async def test_keys_are_too_long_to_guess(installation: Installation) -> None:
    for key in (installation.ann.workspace_key, installation.ann.platform_key):
        secret = key.reveal().rpartition("_")[2]
        assert len(secret) * 5 == KEY_BITS and KEY_BITS >= 128


@pytest.mark.parametrize("what", ["secret part", "whole key"])
async def test_a_stolen_database_holds_no_key(installation: Installation, what: str) -> None:
    take: dict[str, Callable[[str], str]] = {
        "secret part": lambda key: key.rpartition("_")[2],
        "whole key": lambda key: key,
    }
    owners = (installation.ann, installation.bob)
    keys = [key.reveal() for owner in owners for key in (owner.workspace_key, owner.platform_key)]
    stolen = await _everything_stored(installation)
    assert "ann@ann.test" in stolen
    for key in keys:
        assert take[what](key) not in stolen


async def _everything_stored(installation: Installation) -> str:
    """Every value of every table as text; on SQLite also the octets of the file and its write-ahead log."""
    from postrider.storage.base import Base

    def dump(session: Session) -> str:
        values = [
            repr(value)
            for table in Base.metadata.sorted_tables
            for row in session.execute(table.select())
            for value in row
        ]
        return "\n".join(values)

    text = await installation.app.database.read(dump)
    path = installation.app.settings.sqlite_path
    if installation.app.database.dialect_name == "sqlite":
        with sqlite3.connect(path) as connection:
            text += "\n".join(connection.iterdump())
        for file in (path, Path(f"{path}-wal")):
            text += file.read_bytes().decode("latin-1") if file.exists() else ""
    return text
