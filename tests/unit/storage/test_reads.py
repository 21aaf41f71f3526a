"""Reads keep their connections: each still has a snapshot of its own, and leaves nothing behind."""

import asyncio
import sqlite3
import threading
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


def thread(session: Session) -> str:
    numbers(session)
    return threading.current_thread().name


def count_long(session: Session) -> tuple[str, int | None]:
    counting = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) SELECT count(*) FROM n"
    return threading.current_thread().name, session.scalar(text(counting))


async def test_a_short_read_needs_no_thread_and_sees_what_was_committed(database: SqliteDatabase) -> None:
    here = threading.current_thread().name
    assert await database.read(thread, short=True) == here
    assert await database.read(thread) != here
    for number in range(READERS * 3):
        await database.write(insert)
        assert await database.read(numbers, short=True) == list(range(number + 1))


async def test_a_read_that_is_not_short_after_all_goes_on_in_a_thread(database: SqliteDatabase) -> None:
    here = threading.current_thread().name
    for _ in range(3):
        name, counted = await database.read(count_long, short=True)
        assert (name != here, counted) == (True, 200_000)
        assert await database.read(thread, short=True) == here


async def test_many_short_reads_are_no_long_one(database: SqliteDatabase) -> None:
    """SQLite counts the steps of a statement on from one run to the next."""
    await database.write(insert)
    for _ in range(3_000):
        assert await database.read(numbers, short=True) == [0]


async def test_a_short_read_waits_for_nobody(database: SqliteDatabase, tmp_path: Path) -> None:
    """Its change is thrown away like that of every read; here it meets a lock, and waits in a thread."""
    with sqlite3.connect(tmp_path / "data.sqlite3", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(database.read(insert, short=True))
        assert await database.read(numbers, short=True) == []
        assert not waiting.done()
        other.execute("COMMIT")
    await waiting
    assert await database.read(numbers, short=True) == []


async def test_short_reads_of_a_second_loop_and_their_errors_are_like_any_other(database: SqliteDatabase) -> None:
    assert await database.read(thread, short=True) == threading.current_thread().name
    elsewhere = await asyncio.to_thread(lambda: asyncio.run(database.read(thread, short=True)))
    assert elsewhere.startswith("sqlite-read")
    with pytest.raises(LookupError):
        await database.read(fail_after_reading, short=True)
    await database.read(read_on_after_the_end, short=True)
    await database.write(insert)
    assert await database.read(numbers, short=True) == [0]
    await database.close()
    with pytest.raises(RuntimeError, match="closed"):
        await database.read(numbers, short=True)


async def test_what_a_read_changes_is_thrown_away(database: SqliteDatabase) -> None:
    for _ in range(READERS * 2):
        await database.read(insert)
    assert await database.read(numbers) == []
    await database.write(insert)
    assert await database.read(numbers) == [0]
