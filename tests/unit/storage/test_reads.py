"""Reads keep their connections: each still has a snapshot of its own, and leaves nothing behind."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from postrider.storage.sqlite import READERS, SqliteDatabase


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    opened = SqliteDatabase(str(tmp_path / "data.sqlite3"))
    await opened.write(create)
    yield opened
    await opened.close()


def create(session: Session) -> None:
    session.execute(text("CREATE TABLE numbers (number INTEGER)"))


def insert(session: Session) -> None:
    session.execute(text("INSERT INTO numbers SELECT count(*) FROM numbers"))


def numbers(session: Session) -> list[int]:
    return list(session.scalars(text("SELECT number FROM numbers ORDER BY number")))


def fail_after_reading(session: Session) -> None:
    numbers(session)
    raise LookupError("in the middle of a read")


def read_on_after_the_end(session: Session) -> None:
    numbers(session)
    session.commit()
    numbers(session)


async def test_every_read_sees_what_was_committed_before_it(database: SqliteDatabase) -> None:
    for number in range(READERS * 3):
        await database.write(insert)
        assert await database.read(numbers) == list(range(number + 1))


async def test_a_read_that_fails_leaves_no_old_snapshot_behind(database: SqliteDatabase) -> None:
    for number in range(READERS * 3):
        await database.write(insert)
        with pytest.raises(LookupError):
            await database.read(fail_after_reading)
        await database.read(read_on_after_the_end)
        assert len(await database.read(numbers)) == number + 1


async def test_what_a_read_changes_is_thrown_away(database: SqliteDatabase) -> None:
    for _ in range(READERS * 2):
        await database.read(insert)
    assert await database.read(numbers) == []
    await database.write(insert)
    assert await database.read(numbers) == [0]
