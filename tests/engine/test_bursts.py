"""Many messages of one mailbox are on their way when its server begins to refuse them: one trouble, counted once."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from postrider.adapters.smtp_pool import PoolLimits
from postrider.mailboxes.tables import Mailbox
from postrider.sending.tables import Event
from postrider.sending.trouble import cool_mailbox, note_policy, note_unreachable, stop_mailbox
from tests.conftest import Installation
from tests.engine.world import USERS, World, make_world, pass_time, running_engine
from tests.integration.smtp_rig import transport_with
from tests.integration.smtp_sink import Rule, SmtpSink

MINUTE = timedelta(minutes=1)
LEADS = 60
"""More than a mailbox has connections, and fewer than may be on their way."""


async def only_mailbox(world: World) -> Mailbox:
    """The world's mailbox as it stands."""
    [mailbox] = await world.rows(Mailbox)
    assert isinstance(mailbox, Mailbox)
    return mailbox


async def kinds(world: World) -> list[str]:
    """What was recorded of the mailbox."""
    return [row.kind for row in await world.rows(Event) if row.kind.startswith("mailbox_")]


async def test_a_throttled_burst_cools_the_mailbox_once(installation: Installation) -> None:
    rules = [Rule("mail", reply="421 4.7.0 too many messages, slow down")]
    async with SmtpSink(rules, users=USERS) as sink:
        world = await make_world(installation, port=sink.port, leads=LEADS)
        async with running_engine(installation, transport_with()) as engine:
            await pass_time(installation, engine, MINUTE)
            mailbox = await only_mailbox(world)
            assert mailbox.cool_count == 1 and mailbox.cool_until is not None
            assert mailbox.cool_until <= installation.clock.now() + 15 * MINUTE
            assert await kinds(world) == ["mailbox_cooling"]
            # Whoever waited for a connection meanwhile took the answer for its own.
            assert 1 <= len(sink.faults) <= PoolLimits().connections_per_account
            await pass_time(installation, engine, 15 * MINUTE)
            assert (await only_mailbox(world)).cool_count == 2
            sink.rules = []
            await pass_time(installation, engine, 30 * MINUTE)
    assert len(sink.accepted) == LEADS
    assert (await only_mailbox(world)).cool_count == 0


async def test_a_dead_server_is_one_failure_for_all_that_met_it(installation: Installation) -> None:
    world = await make_world(installation, port=1, leads=LEADS)
    async with running_engine(installation, transport_with()) as engine:
        await pass_time(installation, engine, MINUTE / 2)
        mailbox = await only_mailbox(world)
        assert mailbox.consecutive_failures == 1 and mailbox.cool_until is not None
        assert mailbox.cool_until <= installation.clock.now() + MINUTE
        await pass_time(installation, engine, MINUTE)
        assert (await only_mailbox(world)).consecutive_failures == 2
    assert {row.tries for row in await world.attempts()} == {0}


Trouble = Any
"""One of the functions that count."""


async def note(world: World, trouble: Trouble, now: timedelta, began_at: timedelta, **more: Any) -> Mailbox:
    """Trouble that a try which began at ``began_at`` meets at ``now``; the mailbox afterwards."""
    start, [mailbox_id] = world.installation.clock.now(), world.mailbox_ids

    def work(connection: Any) -> None:
        trouble(connection, world.workspace_id, mailbox_id, "no", start + now, began_at=start + began_at, **more)

    await world.installation.app.database.hot(work)
    return await only_mailbox(world)


async def test_only_a_try_that_began_after_the_rest_meets_new_trouble(installation: Installation) -> None:
    world, start = await make_world(installation, port=1), installation.clock.now()
    zero = timedelta()
    mailbox = await note(world, cool_mailbox, MINUTE, zero, hint_seconds=None)
    assert (mailbox.cool_count, mailbox.cool_until) == (1, start + 16 * MINUTE)
    # It waited for its connection, or hung, until the rest was over: the mailbox rests again, but not for longer.
    mailbox = await note(world, cool_mailbox, 20 * MINUTE, zero, hint_seconds=None)
    assert (mailbox.cool_count, mailbox.cool_until) == (1, start + 35 * MINUTE)
    mailbox = await note(world, cool_mailbox, 36 * MINUTE, 35 * MINUTE, hint_seconds=None)
    assert (mailbox.cool_count, mailbox.cool_until) == (2, start + 66 * MINUTE)
    assert await kinds(world) == ["mailbox_cooling", "mailbox_cooling"]


async def test_another_trouble_of_the_same_burst_shortens_no_rest(installation: Installation) -> None:
    world, start = await make_world(installation, port=1), installation.clock.now()
    zero = timedelta()
    mailbox = await note(world, note_unreachable, zero, zero)
    assert (mailbox.consecutive_failures, mailbox.cool_until) == (1, start + MINUTE)
    mailbox = await note(world, cool_mailbox, zero, zero, hint_seconds=None)
    assert (mailbox.cool_count, mailbox.cool_until) == (1, start + 15 * MINUTE)
    mailbox = await note(world, note_unreachable, zero, zero)
    assert (mailbox.consecutive_failures, mailbox.cool_until) == (1, start + 15 * MINUTE)
    mailbox = await note(world, cool_mailbox, zero, zero, hint_seconds=3600)
    assert (mailbox.cool_count, mailbox.cool_until) == (1, start + 60 * MINUTE)


async def test_strikes_at_the_same_time_are_all_counted_and_stop_the_mailbox_once(installation: Installation) -> None:
    world, now = await make_world(installation, port=1), installation.clock.now()
    [mailbox_id] = world.mailbox_ids
    database = installation.app.database

    def strike(session: Any) -> None:
        note_policy(session.connection(), world.workspace_id, mailbox_id, "spam", now)

    await asyncio.gather(*(database.write(strike) for _ in range(8)))
    mailbox = await only_mailbox(world)
    assert (mailbox.policy_strikes, mailbox.status) == (8, "suspended")
    assert await kinds(world) == ["mailbox_stopped"]


@pytest.mark.parametrize("times", [1, 5])
async def test_a_stop_is_recorded_once(installation: Installation, times: int) -> None:
    world, now = await make_world(installation, port=1), installation.clock.now()
    [mailbox_id] = world.mailbox_ids

    def stop(connection: Any) -> None:
        for number in range(times):
            stop_mailbox(connection, world.workspace_id, mailbox_id, "error", f"refused {number}", now)

    await installation.app.database.hot(stop)
    mailbox = await only_mailbox(world)
    assert (mailbox.status, mailbox.last_error) == ("error", f"refused {times - 1}")
    assert await kinds(world) == ["mailbox_stopped"]
