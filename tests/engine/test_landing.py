"""Whatever ends a loop, what it has on its way keeps its outcome: the next owner of its claims finds no doubt."""

import asyncio
from typing import Any

import anyio
import pytest
from sqlalchemy import delete
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from postrider.engine import replies as engine_replies
from postrider.engine import worker
from postrider.engine.passages import Passages
from postrider.engine.replies import ReplyLoop
from postrider.engine.transmission import begin_whole, carry_through, to_its_end
from postrider.inbox.reply_claims import ReplyTick
from postrider.inbox.reply_recovery import recover_replies
from postrider.sending.outcomes import Delivered, Outcome
from postrider.sending.recovery import recover_batch
from postrider.storage.tables import EngineLease
from tests.conftest import Installation
from tests.engine.receiver_rig import until
from tests.engine.reply_world import queue, replies, reply_attempts
from tests.engine.world import USERS, World, make_world, running_engine
from tests.features.inbox_world import inbox
from tests.integration.smtp_rig import transport_with
from tests.integration.smtp_sink import Rule, SmtpSink

LEADS = 3


class Gate:
    """Something that is written only once it may be, and how often that was."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.written: list[object] = []

    async def write(self, value: object) -> None:
        await self.open.wait()
        self.written.append(value)


async def cancelled_three_times(task: "asyncio.Task[Outcome]", gate: Gate) -> None:
    for _ in range(3):
        await anyio.lowlevel.checkpoint()
        task.cancel()
        await anyio.lowlevel.checkpoint()
    assert not task.done()
    gate.open.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_an_outcome_is_written_however_often_its_task_is_cancelled() -> None:
    gate = Gate()

    async def sending() -> Outcome:
        return Delivered("250 ok")

    await cancelled_three_times(
        asyncio.create_task(carry_through(sending(), gate.write, Passages().passage("mbx_1"))), gate
    )
    assert gate.written == [Delivered("250 ok")]


async def test_what_was_cut_off_before_its_dot_is_taken_back_however_often_its_task_is_cancelled() -> None:
    gate = Gate()

    async def sending() -> Outcome:
        await asyncio.Event().wait()
        raise AssertionError

    await cancelled_three_times(
        asyncio.create_task(carry_through(sending(), gate.write, Passages().passage("mbx_1"))), gate
    )
    assert len(gate.written) == 1


async def test_a_first_marker_is_taken_back_however_often_its_task_is_cancelled() -> None:
    gate = Gate()

    async def begin() -> Outcome:
        return Delivered("begun")

    async def slowly() -> Outcome:
        await gate.open.wait()
        return await begin()

    await cancelled_three_times(asyncio.create_task(begin_whole(slowly(), gate.write)), gate)
    assert gate.written == [Delivered("begun")]


async def test_work_that_is_itself_cancelled_ends() -> None:
    inner = asyncio.get_running_loop().create_future()
    outer = asyncio.create_task(to_its_end(inner))
    await anyio.lowlevel.checkpoint()
    inner.cancel()
    with anyio.fail_after(5), pytest.raises(asyncio.CancelledError):
        await outer


async def test_a_cancellation_is_not_lost_when_the_work_fails_after_it() -> None:
    gate = asyncio.Event()

    async def fail() -> None:
        await gate.wait()
        raise ValueError("too late")

    outer = asyncio.create_task(to_its_end(fail()))
    await anyio.lowlevel.checkpoint()
    outer.cancel()
    await anyio.lowlevel.checkpoint()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await outer
    assert outer.cancelled()


async def until_dotted(world: World) -> None:
    async def dotted() -> bool:
        return await world.count_attempts("dotted") == LEADS

    await until(dotted)


async def has_come_to(world: World, state: str) -> None:
    async def all_of_them() -> bool:
        return not await world.count_attempts("dotted")

    await until(all_of_them)
    assert {row.state for row in await world.attempts()} == {state}


async def test_a_lost_lease_leaves_nothing_unknown(installation: Installation) -> None:
    """Nobody else takes over meanwhile: the answers that are awaited are written down first."""
    async with SmtpSink([Rule("dot", delay_seconds=3)], users=USERS) as sink:
        world = await make_world(installation, port=sink.port, leads=LEADS)
        with capture_logs() as logs:
            async with running_engine(installation, transport_with()):
                await until_dotted(world)
                await installation.app.database.write(lambda s: s.execute(delete(EngineLease)))

                async def is_noticed() -> bool:
                    return "engine_lease_lost" in [entry["event"] for entry in logs]

                await until(is_noticed)
        await has_come_to(world, "sent")
    assert len(sink.accepted) == LEADS


async def test_a_loop_that_fails_leaves_nothing_unknown(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "FAILURE_RETRY_SECONDS", 0.05)
    fails, real = asyncio.Event(), ReplyLoop._round

    async def fail_once(self: ReplyLoop) -> object:
        if fails.is_set():
            fails.clear()
            raise ValueError("nobody expected this")
        return await real(self)

    monkeypatch.setattr(ReplyLoop, "_round", fail_once)
    async with SmtpSink([Rule("dot", delay_seconds=2)], users=USERS) as sink:
        world = await make_world(installation, port=sink.port, leads=LEADS)
        with capture_logs() as logs:
            async with running_engine(installation, transport_with()):
                await until_dotted(world)
                fails.set()
                installation.app.signals.wake("replies")

                async def has_restarted() -> bool:
                    return "engine_failed" in [entry["event"] for entry in logs]

                await until(has_restarted)
        await has_come_to(world, "sent")
    assert len(sink.accepted) == LEADS


async def test_a_reply_whose_claim_was_committed_without_an_answer_is_sent(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = installation.app.database
    real: Any = database.write
    lost: list[ReplyTick] = []

    async def write(work: object) -> object:
        result: object = await real(work)
        if isinstance(result, ReplyTick) and result.works and not lost:
            lost.append(result)
            raise OperationalError("COMMIT", {}, Exception("the answer to the commit was lost"))
        return result

    monkeypatch.setattr(database, "write", write)
    monkeypatch.setattr(engine_replies, "TRY_AGAIN_SECONDS", 0.05)
    async with SmtpSink(users=USERS) as sink:
        world, [conversation_id] = await inbox(installation, port=sink.port)
        await queue(installation, conversation_id)

        async def is_sent() -> bool:
            return [row.status for row in await replies(world)] == ["sent"]

        async with running_engine(installation, transport_with()):
            await until(is_sent)
    assert lost and len(sink.accepted) == 1
    assert [row.state for row in await reply_attempts(world)] == ["sent"]


async def test_an_answer_that_comes_after_another_engine_took_over_settles_what_that_one_called_unknown(
    installation: Installation,
) -> None:
    database, now = installation.app.database, installation.clock.now()
    async with SmtpSink([Rule("dot", delay_seconds=2)], users=USERS) as sink:
        world = await make_world(installation, port=sink.port, leads=LEADS)
        async with running_engine(installation, transport_with()):
            await until_dotted(world)
            owners = [row.lease_owner for row in await world.enrollments() if row.lease_owner is not None]
            taken = await database.write(lambda s: recover_batch(s, owners, now))
            assert taken == (0, LEADS) and await world.count_attempts("unknown") == LEADS

            async def all_are_sent() -> bool:
                return await world.count_attempts("sent") == LEADS

            await until(all_are_sent)
    assert {(row.status, row.hold_reason) for row in await world.enrollments()} == {("completed", None)}
    assert len(sink.accepted) == LEADS


async def test_a_late_answer_settles_a_reply_too(installation: Installation) -> None:
    database, now = installation.app.database, installation.clock.now()
    async with SmtpSink([Rule("dot", delay_seconds=2)], users=USERS) as sink:
        world, [conversation_id] = await inbox(installation, port=sink.port)
        await queue(installation, conversation_id)

        async def is_dotted() -> bool:
            return [row.state for row in await reply_attempts(world)] == ["dotted"]

        async def is_sent() -> bool:
            return [row.status for row in await replies(world)] == ["sent"]

        async with running_engine(installation, transport_with()):
            await until(is_dotted)
            [reply] = await replies(world)
            assert await database.write(lambda s: recover_replies(s, [str(reply.lease_owner)], now)) == (0, 1)
            await until(is_sent)
    assert len(sink.accepted) == 1
    assert [row.state for row in await reply_attempts(world)] == ["sent"]
