"""kill -9 at random times, again and again, on one database."""

import random
import signal

import anyio
import pytest

from tests.engine.crash.crash_world import LANES, CrashWorld, seeded
from tests.integration.smtp_sink import Rule

KILLS = 20
START_EVERY = 5
"""One kill in so many comes while the engine starts and takes over what was left; the others while it sends."""
START_SECONDS = 0.35
"""The former come at any time from the start of the process until then."""
SENDING_SECONDS = 0.06
"""The latter come at any time from the first accepted message of that life until then."""
DOT_SECONDS = (0.01, 0.04)
"""How long the server thinks about each message: so long that most lives last longer than that on any machine."""


async def test_twenty_kills_at_random_send_nothing_twice_and_lose_nothing(crash: CrashWorld) -> None:
    await _kill_again_and_again(crash, KILLS, seeded("random"))


@pytest.mark.soak
async def test_three_hundred_kills_at_random_send_nothing_twice_and_lose_nothing(crash: CrashWorld) -> None:
    await _kill_again_and_again(crash, 300, seeded("soak"))


async def _kill_again_and_again(crash: CrashWorld, kills: int, chance: random.Random) -> None:
    dotted: set[str] = set()
    in_flight = past_the_marker = 0
    for number in range(1, kills + 1):
        await crash.add_leads(chance.randint(20, 40))
        before = await crash.on_their_way()
        await _live_and_die(crash, chance, starting=number % START_EVERY == 0)
        left = await crash.on_their_way() - before
        fresh = {each.attempt_id for each in left if each.state == "dotted"} - dotted
        assert len(fresh) <= 2 * LANES
        in_flight += bool(left)
        past_the_marker += bool(fresh)
        dotted |= fresh
    print(f"{kills} kills: {in_flight} found something on its way, {past_the_marker} something past its marker")
    assert in_flight > kills * 0.5
    assert past_the_marker > kills * 0.25
    last = crash.start()
    await crash.until_settled()
    await last.stop()
    audit = await crash.audit()
    print(audit)
    audit.assert_clean()
    assert audit.sent + audit.unknown == crash.leads
    assert audit.unknown == len(dotted)


async def _live_and_die(crash: CrashWorld, chance: random.Random, *, starting: bool) -> None:
    crash.sink.rules = [Rule("dot", delay_seconds=chance.uniform(*DOT_SECONDS))]
    engine = crash.start()
    if starting:
        await anyio.sleep(chance.uniform(0.02, START_SECONDS))
    else:
        await crash.until_accepted(1)
        await anyio.sleep(chance.uniform(0, SENDING_SECONDS))
    engine.send(signal.SIGKILL)
    await crash.gone(engine)
