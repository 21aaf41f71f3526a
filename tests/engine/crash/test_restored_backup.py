"""A restored backup knows less than it has sent: nothing leaves before a person says so."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from postrider.sending.epoch import FILE_NAME, held_reason, release_hold
from tests.engine.crash.crash_world import CrashWorld, until
from tests.engine.crash.engine_process import WAKE, EngineProcess

pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)


async def back_up(crash: CrashWorld, target: Path) -> None:
    """A copy of the database as an administrator makes it, whoever uses it."""
    path = crash.installation.app.settings.sqlite_path
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)


async def restore(crash: CrashWorld, backup: Path) -> None:
    """Puts the copy in the place of the database, while nobody has it open."""
    path = crash.installation.app.settings.sqlite_path
    await crash.close_app()
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    shutil.copyfile(backup, path)
    await crash.open_app()


async def reason(crash: CrashWorld) -> str | None:
    """Why the engine holds still, if it does."""
    app = crash.installation.app
    return await app.database.read(lambda s: held_reason(s, app.settings.data_dir / FILE_NAME))


async def stays_held(crash: CrashWorld) -> EngineProcess:
    """An engine on the restored copy, which has looked and sends nothing."""
    accepted = len(crash.sink.accepted)
    states = [(row.id, row.state) for row in await crash.world.attempts()]
    engine = crash.start()
    await until(lambda: engine.has_logged("engine_held"))
    await crash.add_leads(5)
    engine.send(WAKE)
    await crash.sink_rests()
    assert len(crash.sink.accepted) == accepted
    assert [(row.id, row.state) for row in await crash.world.attempts()] == states
    return engine


async def test_a_restored_backup_is_held_until_a_person_releases_it(crash: CrashWorld, tmp_path: Path) -> None:
    first = crash.start()
    await crash.until_settled()
    await first.stop()
    await back_up(crash, tmp_path / "backup")
    known = len(crash.sink.accepted)
    await crash.add_leads(20)
    second = crash.start()
    await crash.until_settled()
    await second.stop()
    assert await reason(crash) is None
    await restore(crash, tmp_path / "backup")
    assert "restored backup" in str(await reason(crash))
    third = await stays_held(crash)
    app = crash.installation.app
    await app.database.write(lambda s: release_hold(s, app.settings.data_dir / FILE_NAME))
    await crash.until_settled()
    await third.stop()
    # The copy does not know the twenty; it goes on with the five that it was given since.
    assert len(crash.sink.accepted) == known + 20 + 5
    assert await reason(crash) is None


async def test_a_backup_made_while_mail_is_sent_is_held_as_soon_as_that_batch_is_through(
    crash: CrashWorld, tmp_path: Path
) -> None:
    """Killed and restored within moments: what the copy shows as waiting has been sent."""
    await crash.add_leads(100)
    engine = crash.start()
    await crash.until_accepted(10)
    await back_up(crash, tmp_path / "backup")
    with closing(sqlite3.connect(tmp_path / "backup")) as copy:
        [(copied,)] = copy.execute("SELECT value FROM meta WHERE key = 'engine_beats'")
    await crash.until_settled()
    file = crash.installation.app.settings.data_dir / FILE_NAME
    await until(lambda: int(file.read_text()) > int(copied), seconds=crash.lease_seconds / 3)
    engine.send(9)
    await crash.gone(engine)
    await restore(crash, tmp_path / "backup")
    assert await crash.count_open() > 0
    assert "restored backup" in str(await reason(crash))
    (await stays_held(crash)).send(9)


async def test_a_database_that_was_killed_and_not_restored_is_not_held(crash: CrashWorld) -> None:
    """However early the first kill comes, the next start goes on."""
    engine = crash.start()
    await crash.until_accepted(1)
    engine.send(9)
    await crash.gone(engine)
    assert await reason(crash) is None
    again = crash.start()
    await crash.until_settled()
    await again.stop()
    (await crash.audit()).assert_clean()
