"""SIGSTOP for twice the lease, then SIGCONT: whoever was thought dead sends nothing that another has taken over."""

import signal
import time

import anyio
import pytest

from tests.engine.crash.crash_world import CrashWorld, mail_to, until
from tests.engine.crash.engine_process import SPRUNG, WAKE, EngineProcess, Trap
from tests.integration.smtp_sink import Rule

FROZEN = "lead3@lead3.test"
"""The message on whose account the engine is stopped."""

two_engines = pytest.mark.parametrize("settings", ["postgresql"], indirect=True)
alone = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)


async def stopped_at_data(crash: CrashWorld) -> EngineProcess:
    """An engine that is stopped with the answer to its DATA waiting to be read."""
    stopped = anyio.Event()

    def watch(stage: object, addresses: object) -> None:
        engine.send(signal.SIGSTOP)
        stopped.set()

    crash.sink.rules, crash.sink.watcher = [Rule("data", do="note", match=FROZEN, times=1)], watch
    engine = crash.start()
    with anyio.fail_after(20):
        await stopped.wait()
    return engine


async def stopped_after_the_marker(crash: CrashWorld) -> EngineProcess:
    """An engine that is stopped with its second marker committed and the dot not sent."""
    engine = crash.start(Trap("marker", signal.SIGSTOP, match=FROZEN))
    await until(lambda: engine.has_logged(SPRUNG))
    return engine


async def stays_stopped(crash: CrashWorld) -> None:
    """Returns after twice the lease: here the time that passes is the fault itself."""
    since, seconds = time.monotonic(), 2 * crash.lease_seconds
    await until(lambda: time.monotonic() - since > seconds)


async def state_of_frozen(crash: CrashWorld) -> tuple[str, int]:
    """State and tries of the attempt in question."""
    [attempt] = [row for row in await crash.world.attempts() if row.recipient == FROZEN]
    return attempt.state, attempt.tries


async def go_on(crash: CrashWorld, *engines: EngineProcess) -> None:
    """New leads are sent to by engines that have lived through it, and these end well."""
    await crash.add_leads(20)
    for engine in engines:
        engine.send(WAKE)
    await crash.until_settled()
    for engine in engines:
        await engine.stop()
    (await crash.audit()).assert_clean()


@two_engines
async def test_a_zombie_without_the_marker_sends_nothing(crash: CrashWorld) -> None:
    zombie = await stopped_at_data(crash)
    other = crash.start()
    await crash.until_settled()
    await stays_stopped(crash)
    without_marker = {row.message_id for row in await crash.world.attempts("sent")}
    accepted = len(crash.sink.accepted)
    zombie.send(signal.SIGCONT)
    await until(lambda: zombie.has_logged("engine_lease_lost"))
    assert not without_marker & {mail.message_id for mail in crash.sink.accepted[accepted:]}
    await go_on(crash, zombie, other)
    assert await state_of_frozen(crash) == ("sent", 2)
    assert len(mail_to(crash.sink, FROZEN)) == 1


@two_engines
async def test_a_zombie_with_the_marker_sends_that_message_at_most_and_its_answer_settles_it(
    crash: CrashWorld,
) -> None:
    zombie = await stopped_after_the_marker(crash)
    other = crash.start()
    await crash.until_settled()
    await stays_stopped(crash)
    assert mail_to(crash.sink, FROZEN) == []
    zombie.send(signal.SIGCONT)
    await until(lambda: len(mail_to(crash.sink, FROZEN)) == 1 and zombie.has_logged("engine_lease_lost"))
    await go_on(crash, zombie, other)
    # Others had called the outcome unknown by then; the answer that the zombie got proves what became of it.
    assert await state_of_frozen(crash) == ("sent", 1)
    assert len(mail_to(crash.sink, FROZEN)) == 1


@alone
async def test_an_engine_that_wakes_up_alone_takes_its_claims_up_anew(crash: CrashWorld) -> None:
    zombie = await stopped_at_data(crash)
    await stays_stopped(crash)
    assert mail_to(crash.sink, FROZEN) == []
    zombie.send(signal.SIGCONT)
    await until(lambda: zombie.has_logged("engine_lease_lost"))
    await crash.until_settled()
    await go_on(crash, zombie)
    assert await state_of_frozen(crash) == ("sent", 2)
    assert len(mail_to(crash.sink, FROZEN)) == 1


@alone
async def test_an_engine_that_wakes_up_alone_with_the_marker_sends_that_message_once(crash: CrashWorld) -> None:
    zombie = await stopped_after_the_marker(crash)
    await stays_stopped(crash)
    zombie.send(signal.SIGCONT)
    await until(lambda: len(mail_to(crash.sink, FROZEN)) == 1 and zombie.has_logged("engine_lease_lost"))
    await crash.until_settled()
    await go_on(crash, zombie)
    # Whether the answer or the loss of the lease is noted first, nobody sends it again.
    assert (await state_of_frozen(crash))[0] in {"sent", "unknown"}
    assert len(mail_to(crash.sink, FROZEN)) == 1


@two_engines
async def test_an_engine_stopped_in_a_transaction_does_not_stop_the_others(crash: CrashWorld) -> None:
    """A stopped process keeps the locks of its transaction; the server ends that before long."""
    await crash.add_leads(200)
    first = crash.start()
    await until(lambda: len(crash.sink.accepted) > 20)
    for _ in range(20):
        first.send(signal.SIGSTOP)
        if await crash.has_open_transaction():
            break
        first.send(signal.SIGCONT)
    other = crash.start()
    await crash.until_settled()
    first.send(signal.SIGCONT)
    await until(lambda: first.has_logged("engine_lease_lost"))
    await go_on(crash, first, other)
