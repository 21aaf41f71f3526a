"""kill -9 at random times, again and again, on one database."""

import random

import anyio
import pytest

from tests.engine.crash.crash_world import LANES, CrashWorld, seeded

KILLS = 20
LATEST_SECONDS = 0.35
"""The kill comes at any time from the start of the process until then."""


async def test_twenty_kills_at_random_send_nothing_twice_and_lose_nothing(crash: CrashWorld) -> None:
    await _kill_again_and_again(crash, KILLS, seeded("random"))


@pytest.mark.soak
async def test_three_hundred_kills_at_random_send_nothing_twice_and_lose_nothing(crash: CrashWorld) -> None:
    await _kill_again_and_again(crash, 300, seeded("soak"))


async def _kill_again_and_again(crash: CrashWorld, kills: int, chance: random.Random) -> None:
    dotted: set[str] = set()
    for _ in range(kills):
        await crash.add_leads(chance.randint(4, 30))
        engine = crash.start()
        await anyio.sleep(chance.uniform(0.02, LATEST_SECONDS))
        engine.send(9)
        await crash.gone(engine)
        fresh = {row.id for row in await crash.world.attempts("dotted")} - dotted
        assert len(fresh) <= 2 * LANES
        dotted |= fresh
    last = crash.start()
    await crash.until_settled()
    await last.stop()
    audit = await crash.audit()
    print(f"{kills} kills: {audit}")
    audit.assert_clean()
    assert audit.sent + audit.unknown == crash.leads
    assert audit.unknown == len(dotted)
