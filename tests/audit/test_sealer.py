"""The engine chains what was committed, by itself and soon, also beside another engine."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from sqlalchemy import delete

from postrider.app import build, engine_of
from postrider.audit.tables import AuditHead
from postrider.engine.sealer import SealerLoop
from postrider.engine.worker import run_when_free
from postrider.logs import configure_logs
from postrider.settings import Settings
from tests.audit.audit_rig import audit_rows, first_break, run, seal, walked
from tests.conftest import Installation

PROMISED_SECONDS = 10


@asynccontextmanager
async def engine_at_work(installation: Installation) -> AsyncIterator[None]:
    """The whole engine, as a process has it."""
    stop = asyncio.Event()
    task = asyncio.create_task(run_when_free(engine_of(installation.app), stop))
    try:
        yield
    finally:
        stop.set()
        with anyio.fail_after(30):
            await task


def loop_of(installation: Installation) -> SealerLoop:
    app = installation.app
    return SealerLoop(app.database, app.clock, app.vault)


async def until_sealed(installation: Installation, rows: int) -> None:
    while (await walked(installation)).rows < rows:
        await anyio.sleep(0.05)


async def test_with_an_engine_every_row_is_sealed_within_ten_seconds(installation: Installation) -> None:
    async with engine_at_work(installation):
        for number in range(3):
            await installation.call("create_tag", name=f"tag {number}")
            with anyio.fail_after(PROMISED_SECONDS):
                await until_sealed(installation, number + 1)
    assert await first_break(installation) is None


async def test_an_engine_seals_what_another_process_without_one_has_committed(
    installation: Installation, settings: Settings
) -> None:
    server = build(settings, clock=installation.clock)
    beside = Installation(server, installation.clock, installation.ann, installation.bob)
    try:
        async with engine_at_work(installation):
            await beside.call("create_tag", name="x")
            with anyio.fail_after(PROMISED_SECONDS):
                await until_sealed(beside, 1)
    finally:
        await server.close()


async def test_several_engines_make_one_chain(installation: Installation, settings: Settings) -> None:
    other = build(settings, clock=installation.clock)
    loops = [loop_of(installation), SealerLoop(other.database, other.clock, other.vault)]
    try:
        for number in range(30):
            calls = [installation.call("create_tag", name=f"{number} {each}") for each in range(3)]
            await asyncio.gather(*calls, *(loop.seal_all() for loop in loops))
        while await loops[0].seal_all():
            pass
        await loops[0].seal_all()
    finally:
        await other.close()
    walk = await walked(installation)
    assert (walk.rows, walk.first_break) == (90, None)


async def test_every_workspace_has_a_chain_of_its_own(installation: Installation) -> None:
    await installation.call("create_tag", name="x")
    await installation.call("create_tag", owner=installation.bob, name="x")
    await loop_of(installation).seal_all()
    for owner in (installation.ann, installation.bob):
        walk = await walked(installation, owner.workspace_id)
        assert (walk.rows, walk.first_break) == (1, None)


async def test_a_broken_chain_does_not_keep_others_from_being_sealed_and_is_logged_once(
    installation: Installation,
) -> None:
    log = io.StringIO()
    configure_logs("WARNING", as_json=True, stream=log)
    await installation.call("create_tag", name="x")
    await seal(installation)
    await run(installation, delete(AuditHead))
    await installation.call("create_tag", name="y")
    await installation.call("create_tag", owner=installation.bob, name="y")
    loop = loop_of(installation)
    try:
        for _ in range(3):
            assert await loop.seal_all() is False
    finally:
        configure_logs("WARNING", as_json=False)
    [line] = log.getvalue().splitlines()
    told = json.loads(line)
    assert (told["event"], told["workspace_id"]) == ("audit_chain_broken", installation.ann.workspace_id)
    assert (await walked(installation, installation.bob.workspace_id)).rows == 1
    assert [row.number for row in await audit_rows(installation)] == [1, None]


async def test_a_stopped_loop_ends_at_once(installation: Installation) -> None:
    loop = loop_of(installation)
    task = asyncio.create_task(loop.run())
    await anyio.sleep(0)
    loop.stop()
    with anyio.fail_after(2):
        await task
