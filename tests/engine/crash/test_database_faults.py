"""The database goes away, loses answers, is locked by another process or finds the disk full, while mail is sent."""

import resource
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from sqlalchemy import make_url

from tests.engine.crash.crash_world import CrashWorld
from tests.engine.crash.engine_process import WAKE
from tests.engine.crash.lossy_proxy import LossyProxy
from tests.integration.smtp_sink import Rule

LEADS = 250
on_postgresql = pytest.mark.parametrize("settings", ["postgresql"], indirect=True)
on_sqlite = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)


@on_postgresql
async def test_sessions_that_are_cut_again_and_again_send_nothing_twice(crash: CrashWorld) -> None:
    """Every session of the engine is terminated every 300 ms, in whatever it is doing."""
    await crash.add_leads(LEADS)
    crash.sink.rules = [Rule("dot", delay_seconds=0.03)]
    engine = crash.start()
    cuts = 0
    async with anyio.create_task_group() as group:

        async def cut() -> None:
            nonlocal cuts
            while True:
                await anyio.sleep(0.3)
                cuts += await crash.cut_sessions()

        await crash.until_accepted(10)
        group.start_soon(cut)
        await crash.until_accepted(LEADS // 2)
        group.cancel_scope.cancel()
    await crash.until_settled()
    await engine.stop()
    audit = await crash.audit()
    print(f"{cuts} sessions cut: {audit}")
    assert cuts > 10
    audit.assert_clean()
    assert (audit.sent, audit.unknown) == (crash.leads, 0)


@on_postgresql
async def test_commits_whose_answers_are_lost_send_nothing_twice(crash: CrashWorld) -> None:
    await crash.add_leads(LEADS)
    url = make_url(crash.environment["POSTRIDER_DATABASE_URL"])
    async with LossyProxy(url.host or "127.0.0.1", url.port or 5432, every=10) as proxy:
        behind = url.set(host="127.0.0.1", port=proxy.port, query={"sslmode": "disable", "gssencmode": "disable"})
        engine = crash.start(POSTRIDER_DATABASE_URL=behind.render_as_string(hide_password=False))
        await crash.until_settled()
        await engine.stop()
    audit = await crash.audit()
    print(f"{proxy.lost} commits not heard of: {audit}")
    assert proxy.lost > 8
    audit.assert_clean()
    # An engine that lives knows that it sent no dot when it could not hear of the second marker's commit.
    assert (audit.sent, audit.unknown) == (crash.leads, 0)


@on_sqlite
async def test_a_database_that_another_process_locks_delays_and_sends_nothing_twice(crash: CrashWorld) -> None:
    """The lock is held for twice the lease, in the middle of sending."""
    await crash.add_leads(LEADS)
    crash.sink.rules = [Rule("dot", delay_seconds=0.02)]
    engine = crash.start()
    await crash.until_accepted(20)
    with sqlite3.connect(crash.installation.app.settings.sqlite_path, isolation_level=None, timeout=10) as other:
        other.execute("BEGIN IMMEDIATE")
        dotted = {row.message_id for row in await crash.world.attempts() if row.state in {"dotted", "sent"}}
        await anyio.sleep(2 * crash.lease_seconds)
        assert {mail.message_id for mail in crash.sink.accepted} <= dotted
        other.execute("ROLLBACK")
    other.close()
    await crash.until_settled()
    await engine.stop()
    audit = await crash.audit()
    print(audit)
    audit.assert_clean()
    assert (audit.sent, audit.unknown) == (crash.leads, 0)


@on_sqlite
async def test_a_full_disk_sends_nothing_without_its_row_and_goes_on_when_there_is_room(crash: CrashWorld) -> None:
    """The engine may write to no file any more: as on a full disk, but for this process alone."""
    await crash.add_leads(LEADS)
    crash.sink.rules = [Rule("dot", delay_seconds=0.02)]
    engine = crash.start()
    await crash.until_accepted(20)
    async with full_disk(engine.pid):
        await crash.sink_rests()
        dotted = {row.message_id for row in await crash.world.attempts() if row.state in {"dotted", "sent"}}
        assert await crash.count_open() > 0
        assert {mail.message_id for mail in crash.sink.accepted} <= dotted
    engine.send(WAKE)
    await crash.until_settled()
    await engine.stop()
    audit = await crash.audit()
    print(audit)
    audit.assert_clean()
    assert (audit.sent, audit.unknown) == (crash.leads, 0)


@asynccontextmanager
async def full_disk(pid: int) -> AsyncIterator[None]:
    """No file that the process writes may grow, or be written, beyond its first bytes."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (32, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
