"""Replies of an engine that got so far and then is no more: never twice, never lost, the unknown called unknown."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import update

from postrider.inbox.reply_claims import claim_replies
from postrider.inbox.reply_ledger import begin_reply, dot_reply
from postrider.inbox.reply_settle import ReplySettlement
from postrider.inbox.reply_work import ReplyBegun, ReplyWork
from postrider.kernel.errors import Conflict
from postrider.sending.guards import Objection
from postrider.sending.outcomes import Delivered
from postrider.storage.leases import take_lease
from postrider.storage.tables import EngineLease
from tests.conftest import Installation
from tests.engine.reply_world import SECOND, parsed, queue, replies, reply_attempts, run_for, write
from tests.engine.world import USERS
from tests.features.inbox_world import inbox, list_on_dnc
from tests.integration.smtp_sink import SmtpSink


class Gone:
    """An engine of another process: it takes a lease, works up to a point, and dies."""

    def __init__(self, installation: Installation, owner: str = "gone") -> None:
        self.installation = installation
        self.owner = owner

    async def claims(self) -> list[ReplyWork]:
        app, now = self.installation.app, self.installation.clock.now()
        await app.database.hot(lambda c: take_lease(c, self.owner, 600))
        tick = await app.database.write(lambda s: claim_replies(s, app.vault, self.owner, now, 10, {}))
        return tick.works

    async def begins(self, work: ReplyWork, message_id: str = "<begun@acme.test>") -> ReplyBegun | Objection:
        now = self.installation.clock.now()
        return await self.installation.app.database.hot(lambda c: begin_reply(c, work, message_id, now))

    async def dots(self, work: ReplyWork, begun: ReplyBegun) -> Objection | None:
        now = self.installation.clock.now()
        return await self.installation.app.database.hot(lambda c: dot_reply(c, work, begun, now))

    async def settles(self, work: ReplyWork, begun: ReplyBegun) -> None:
        app, now = self.installation.app, self.installation.clock.now()
        await app.database.hot(
            lambda c: ReplySettlement(c, app.vault, work, now).settle(begun, Delivered("250 late news"))
        )

    async def dies(self) -> None:
        await write(self.installation, update(EngineLease).where(EngineLease.owner == self.owner).values(expires_ms=1))


@pytest.mark.parametrize("marker", ["claimed", "sending"])
async def test_a_kill_before_the_dot_costs_nothing_and_doubles_nothing(installation: Installation, marker: str) -> None:
    async with SmtpSink(users=USERS) as sink:
        world, [conversation_id] = await inbox(installation, port=sink.port)
        await queue(installation, conversation_id)
        gone = Gone(installation)
        [work] = await gone.claims()
        if marker == "sending":
            assert isinstance(await gone.begins(work), ReplyBegun)
        await gone.dies()
        await run_for(installation, timedelta(minutes=1), times=2)
        assert len(sink.accepted) == 1
    [attempt], [row] = await reply_attempts(world), await replies(world)
    assert (attempt.state, row.status) == ("sent", "sent")
    assert (attempt.message_id == "<begun@acme.test>") == (marker == "sending")
    assert parsed(sink.accepted[0].data)["Message-ID"] == attempt.message_id


async def test_a_kill_after_the_dot_is_unknown_and_never_sent_again(installation: Installation) -> None:
    async with SmtpSink(users=USERS) as sink:
        world, [conversation_id] = await inbox(installation, port=sink.port)
        await queue(installation, conversation_id)
        gone = Gone(installation)
        [work] = await gone.claims()
        begun = await gone.begins(work)
        assert isinstance(begun, ReplyBegun)
        assert await gone.dots(work, begun) is None
        await gone.dies()
        await run_for(installation, timedelta(days=3))
        assert sink.accepted == []
    [attempt], [row] = await reply_attempts(world), await replies(world)
    assert (attempt.state, row.status) == ("unknown", "failed")
    # The zombie's news comes after the take-over, and is refused.
    await gone.settles(work, begun)
    [attempt], [row] = await reply_attempts(world), await replies(world)
    assert (attempt.state, row.status) == ("unknown", "failed")


async def test_a_zombie_can_neither_begin_nor_dot_after_the_take_over(installation: Installation) -> None:
    async with SmtpSink(users=USERS) as sink:
        world, ids = await inbox(installation, port=sink.port, leads=2)
        for conversation_id in ids:
            await queue(installation, conversation_id)
        gone = Gone(installation)
        begun_work, idle_work = await gone.claims()
        begun = await gone.begins(begun_work)
        assert isinstance(begun, ReplyBegun)
        await gone.dies()
        await run_for(installation, SECOND)
        assert await gone.dots(begun_work, begun) == Objection(
            "claim_holds", "claim_lost", "another engine has taken this over"
        )
        assert isinstance(await gone.begins(idle_work), Objection)
        assert len(sink.accepted) == 2
    assert {row.status for row in await replies(world)} == {"sent"}


async def test_two_engines_never_claim_the_same_reply(installation: Installation) -> None:
    _, ids = await inbox(installation, leads=6)
    for conversation_id in ids:
        await queue(installation, conversation_id)
    one, two = Gone(installation, "one"), Gone(installation, "two")
    rounds = [await asyncio.gather(one.claims(), two.claims()) for _ in range(2)]
    claimed = [work.reply_id for pair in rounds for works in pair for work in works]
    assert len(claimed) == len(set(claimed)) >= 4


async def test_a_cancellation_and_a_claim_at_once_have_one_winner(installation: Installation) -> None:
    world, ids = await inbox(installation, leads=8)
    app = installation.app
    queued = [await queue(installation, conversation_id) for conversation_id in ids]
    gone = Gone(installation)

    async def cancel(number: int) -> bool:
        try:
            await installation.call("cancel_scheduled_reply", id=ids[number], replyId=queued[number])
        except Conflict:
            return False
        return True

    claims = [asyncio.create_task(gone.claims())]
    cancels = [asyncio.create_task(cancel(number)) for number in range(8)]
    claims.append(asyncio.create_task(gone.claims()))
    claimed = {work.reply_id for task in claims for work in await task}
    cancelled = {reply_id for reply_id, task in zip(queued, cancels, strict=True) if await task}
    assert claimed | cancelled == set(queued)
    assert not claimed & cancelled
    statuses = {row.id: row.status for row in await replies(world)}
    assert {key for key, status in statuses.items() if status == "cancelled"} == cancelled
    assert app.signals.events["replies"].is_set()


async def test_what_forbids_the_reply_between_the_markers_keeps_the_dot_back(installation: Installation) -> None:
    world, [conversation_id] = await inbox(installation)
    await queue(installation, conversation_id)
    gone = Gone(installation)
    [work] = await gone.claims()
    begun = await gone.begins(work)
    assert isinstance(begun, ReplyBegun)
    await list_on_dnc(world, "lead0@lead0.test", "unsubscribe")
    found = await gone.dots(work, begun)
    assert found is not None
    assert found.reason == "on_dnc"
