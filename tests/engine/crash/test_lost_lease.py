"""A process that lost its lease while a server hangs after the dot still ends when it is told to."""

import time

import pytest
from sqlalchemy import delete

from postrider.storage.tables import EngineLease
from tests.engine.crash.crash_world import CrashWorld, until
from tests.integration.smtp_sink import Rule


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
async def test_sigterm_ends_a_process_that_lost_its_lease(crash: CrashWorld) -> None:
    crash.sink.rules = [Rule("dot", do="hang", match="lead3@", times=1)]
    engine = crash.start()
    await until(lambda: len(crash.sink.accepted) == 7 and len(crash.sink.faults) == 1)
    await crash.installation.app.database.write(lambda s: s.execute(delete(EngineLease)))
    started = time.monotonic()
    await until(lambda: engine.has_logged("engine_lease_lost"))
    await engine.stop()
    assert time.monotonic() - started < 30
    [attempt] = await crash.world.attempts("unknown")
    assert attempt.recipient == "lead3@lead3.test"
    assert await crash.world.count_attempts("sent") == 7
