"""The hot lane when something fails: one job's error is its own; what ends the transaction is everybody's."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.orm import Session

from postrider.storage.sqlite import SqliteDatabase

SCHEMA = (
    "CREATE TABLE notes (word TEXT PRIMARY KEY)",
    "CREATE TABLE answers (word TEXT REFERENCES notes (word) DEFERRABLE INITIALLY DEFERRED)",
)
FIRST, LAST = "first", "last"
"""What the jobs before and after the bad one write."""


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    opened = SqliteDatabase(str(tmp_path / "data.sqlite3"))
    await opened.write(create)
    yield opened
    await opened.close()


def create(session: Session) -> None:
    for statement in SCHEMA:
        session.execute(text(statement))


class Note:
    """A hot job that writes a word, then does what it is given, and counts how often it was run."""

    def __init__(self, word: str, then: Callable[[Connection], object] = lambda _: None) -> None:
        self.word = word
        self.then = then
        self.runs = 0

    def __call__(self, connection: Connection) -> str:
        self.runs += 1
        connection.execute(text("INSERT INTO notes VALUES (:word)"), {"word": self.word})
        self.then(connection)
        return self.word


def fail(connection: Connection) -> None:
    raise LookupError("in the middle of a job")


def break_a_rule(connection: Connection) -> None:
    """A statement fails; the transaction stands."""
    connection.execute(text("INSERT INTO notes VALUES (:word)"), {"word": FIRST})


def roll_everything_back(connection: Connection) -> None:
    """A statement fails, and the transaction is gone."""
    connection.execute(text("INSERT OR ROLLBACK INTO notes VALUES (:word)"), {"word": FIRST})


def fill_the_disk(connection: Connection) -> None:
    """The database may not grow any more; SQLite then ends the transaction by itself."""
    pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 1}")
    connection.execute(text("INSERT INTO notes VALUES (zeroblob(1000000))"))


def answer_nothing(connection: Connection) -> None:
    """Every statement is fine, and COMMIT fails: there is no such note."""
    connection.execute(text("INSERT INTO answers VALUES ('never written')"))


async def in_one_group(database: SqliteDatabase, *jobs: Note) -> list[object]:
    """What the callers of some hot jobs get that wait when the writer comes to look."""
    working, free = threading.Event(), threading.Event()

    def keep_busy(session: Session) -> None:
        working.set()
        assert free.wait(10)

    busy = asyncio.create_task(database.write(keep_busy))
    assert await asyncio.to_thread(working.wait, 10)
    callers = [asyncio.create_task(database.hot(job)) for job in jobs]
    await asyncio.sleep(0)
    free.set()
    await busy
    return list(await asyncio.gather(*callers, return_exceptions=True))


async def written(database: SqliteDatabase) -> set[str]:
    return set(await database.read(lambda s: s.scalars(text("SELECT word FROM notes")).all()))


async def assert_goes_on(database: SqliteDatabase) -> None:
    """Both lanes work as if nothing had been."""
    before = await written(database)
    assert await in_one_group(database, Note("x"), Note("y")) == ["x", "y"]
    await database.write(lambda s: s.execute(text("INSERT INTO notes VALUES ('z')")) and None)
    assert await written(database) == before | {"x", "y", "z"}


async def test_a_group_runs_each_job_once(database: SqliteDatabase) -> None:
    jobs = [Note("one"), Note("two"), Note("three")]
    assert await in_one_group(database, *jobs) == ["one", "two", "three"]
    assert [job.runs for job in jobs] == [1, 1, 1]


@pytest.mark.parametrize(("trouble", "error"), [(fail, LookupError), (break_a_rule, IntegrityError)])
@pytest.mark.parametrize("place", [0, 1, 2])
async def test_a_job_that_fails_is_undone_alone_and_its_caller_alone_hears_of_it(
    database: SqliteDatabase, trouble: Callable[[Connection], None], error: type[Exception], place: int
) -> None:
    await database.write(lambda s: s.execute(text("INSERT INTO notes VALUES (:word)"), {"word": FIRST}) and None)
    jobs = [Note("one"), Note("two")]
    jobs.insert(place, Note("bad", trouble))
    results = await in_one_group(database, *jobs)
    assert isinstance(results.pop(place), error)
    assert results == ["one", "two"]
    assert await written(database) == {FIRST, "one", "two"}
    # They were one group: all that had been run before the failure was run again, each on its own.
    assert [job.runs for job in jobs] == [2 if number <= place else 1 for number in range(3)]
    await assert_goes_on(database)


async def test_two_bad_jobs_of_a_group_each_get_their_own_error(database: SqliteDatabase) -> None:
    def fail_too(connection: Connection) -> None:
        raise ValueError("another")

    results = await in_one_group(database, Note("bad", fail), Note("good"), Note("worse", fail_too))
    assert [type(result) for result in results] == [LookupError, str, ValueError]
    assert await written(database) == {"good"}


@pytest.mark.parametrize(
    ("trouble", "error"), [(roll_everything_back, IntegrityError), (fill_the_disk, OperationalError)]
)
async def test_an_error_that_ends_the_transaction_is_everybody_s(
    database: SqliteDatabase, trouble: Callable[[Connection], None], error: type[DBAPIError]
) -> None:
    """Those before it have lost what they wrote, so nobody is told that it was done."""
    jobs = [Note(FIRST), Note("bad", trouble), Note(LAST)]
    results = await in_one_group(database, *jobs)
    assert [type(result) for result in results] == [error, error, error]
    assert await written(database) == set()
    assert [job.runs for job in jobs] == [2, 2, 0]
    await database.hot(lambda c: c.exec_driver_sql("PRAGMA max_page_count = 1000000") and None)
    await assert_goes_on(database)


async def test_a_commit_that_fails_is_everybody_s_failure(database: SqliteDatabase) -> None:
    jobs = [Note(FIRST), Note("bad", answer_nothing), Note(LAST)]
    results = await in_one_group(database, *jobs)
    assert [type(result) for result in results] == [IntegrityError] * 3
    assert await written(database) == set()
    await assert_goes_on(database)


async def test_a_commit_that_fails_after_a_job_did_leaves_that_job_its_own_error(database: SqliteDatabase) -> None:
    jobs = [Note(FIRST), Note("bad", fail), Note("worse", answer_nothing)]
    results = await in_one_group(database, *jobs)
    assert [type(result) for result in results] == [IntegrityError, LookupError, IntegrityError]
    assert await written(database) == set()
    await assert_goes_on(database)


async def test_an_operation_whose_commit_fails_tells_its_caller_and_leaves_nothing(database: SqliteDatabase) -> None:
    with pytest.raises(IntegrityError):
        await database.write(lambda s: answer_nothing(s.connection()))
    assert await database.read(lambda s: s.scalar(text("SELECT count(*) FROM answers"))) == 0
    await assert_goes_on(database)
