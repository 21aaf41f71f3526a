"""No credential causes more than its limit: campaigns it started, replies it wrote and its tests add up, on both
databases."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, update

from postrider.campaigns.tables import Campaign
from postrider.inbox.reply_work import ReplyBegun
from postrider.kernel.errors import LimitReached, Upstream
from postrider.sending.claimant import Claimant
from postrider.sending.claims import claim_due
from postrider.sending.guards import Objection
from postrider.sending.outcomes import Deferred, Outcome, Rejected, Unknown
from postrider.sending.plan_queries import load_setting
from postrider.sending.ports import MailTransport
from postrider.sending.program import Programs
from postrider.sending.recovery import recover_batch
from postrider.sending.trials import ABANDONED_AFTER, close_abandoned
from postrider.storage.leases import take_lease
from tests.conftest import START, Installation
from tests.engine.caps_rig import OLD, Post, call, capped, counted, run_until
from tests.engine.reply_world import replies, write
from tests.engine.test_reply_crashes import Gone
from tests.engine.world import World, make_world
from tests.features.inbox_world import inbox

MONDAY, TUESDAY, WEDNESDAY = (date(2026, 3, day) for day in (2, 3, 4))


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


@pytest.fixture
def ports() -> dict[type, object]:
    return {}


async def started_with(installation: Installation, credential_id: str | None, *worlds: World) -> None:
    """Makes the campaigns ones that this credential has started."""
    ids = [world.campaign_id for world in worlds]
    await write(installation, update(Campaign).where(Campaign.id.in_(ids)).values(credential_id=credential_id))


async def two_campaigns(installation: Installation, leads: int = 5, mailbox_ids: Sequence[str] = ()) -> list[World]:
    """Campaigns that send from the same mailbox: a new one, if none is given."""
    worlds: list[World] = []
    for name in range(2):
        people = [f"p{number}@c{name}.test" for number in range(leads)]
        world = await make_world(installation, port=1, mailboxes=0 if mailbox_ids else 1, emails=people)
        mailbox_ids = world.mailbox_ids = list(mailbox_ids or world.mailbox_ids)
        worlds.append(world)
    ids = [world.campaign_id for world in worlds]
    await write(installation, update(Campaign).where(Campaign.id.in_(ids)).values(mailbox_ids=list(mailbox_ids)))
    return worlds


@pytest.mark.parametrize("by_grant", [False, True])
async def test_campaigns_of_one_credential_share_its_day(installation: Installation, by_grant: bool) -> None:
    worlds = await two_campaigns(installation)
    actor = await capped(installation, daily=3, by_grant=by_grant)
    await started_with(installation, actor.credential_id, *worlds)
    post = Post(installation.clock)
    await run_until(installation, post, midnight(WEDNESDAY) + timedelta(hours=3))
    assert post.per_day == {MONDAY: 3, TUESDAY: 3, WEDNESDAY: 3}
    assert {address.partition("@")[2] for address, _ in post.taken} == {"c0.test", "c1.test"}
    assert await counted(installation, actor.credential_id) == {"2026-03-02": 3, "2026-03-03": 3, "2026-03-04": 3}


async def test_the_first_day_lasts_24_hours_over_two_days_and_then_the_normal_limit_holds(
    installation: Installation,
) -> None:
    [world, _] = await two_campaigns(installation, leads=9)
    actor = await capped(installation, daily=4, first=2, age=timedelta(hours=2))
    await started_with(installation, actor.credential_id, world)
    post = Post(installation.clock)
    await run_until(installation, post, midnight(TUESDAY) + timedelta(hours=5, minutes=59))
    mine = [at for address, at in post.taken if address.endswith("c0.test")]
    assert mine == [START, START], "two in 24 hours, not two on each day"
    await run_until(installation, post, midnight(WEDNESDAY) + timedelta(hours=1))
    mine = [at for address, at in post.taken if address.endswith("c0.test")][2:]
    assert mine == [midnight(TUESDAY) + timedelta(hours=6)] * 4 + [midnight(WEDNESDAY)] * 3


async def test_a_campaign_that_another_credential_starts_again_is_held_to_that_ones_limit(
    installation: Installation,
) -> None:
    [world, _] = await two_campaigns(installation, leads=9)
    few, many = await capped(installation, daily=2), await capped(installation, daily=5)
    await started_with(installation, few.credential_id, world)
    post = Post(installation.clock)
    await run_until(installation, post, START + timedelta(hours=1))
    assert sum(address.endswith("c0.test") for address, _ in post.taken) == 2
    await call(installation, many, "pause_campaign", id=world.campaign_id)
    await call(installation, many, "resume_campaign", id=world.campaign_id)
    await run_until(installation, post, START + timedelta(hours=2))
    assert sum(address.endswith("c0.test") for address, _ in post.taken) == 2 + 5
    assert await counted(installation, many.credential_id) == {"2026-03-02": 5}


async def test_plan_and_explanation_name_the_limit_and_when_it_lifts(installation: Installation) -> None:
    [world, other] = await two_campaigns(installation, leads=4)
    actor = await capped(installation, daily=3)
    await started_with(installation, actor.credential_id, world, other)
    planned = await installation.call("plan_campaign", id=world.campaign_id)
    post = Post(installation.clock)
    await run_until(installation, post, START + timedelta(hours=1))
    rows = [row for row in await world.enrollments() if row.status == "active"]
    told = await installation.call("explain_lead", id=rows[0].campaign_id, leadId=rows[0].lead_id)
    [check] = [check for check in told["checks"] if check["name"] == "credential_daily_limit"]
    assert (check["ok"], check["until"]) == (False, "2026-03-03T00:00:00.000Z")
    assert check["detail"].startswith("3 of 3 sent today (UTC)")
    assert told["nextPossibleAt"] == "2026-03-03T00:00:00.000Z"
    waits = (await installation.call("plan_campaign", id=world.campaign_id, horizonDays=1))["waits"]
    assert set(waits) <= {"credential_daily_limit"}
    await run_until(installation, post, midnight(WEDNESDAY) + timedelta(hours=3))
    happened = [at.date().isoformat() for address, at in post.taken if address.endswith("c0.test")]
    assert {day["date"]: day["total"] for day in planned["days"]} == {
        day: happened.count(day) for day in sorted(set(happened))
    }


async def test_a_draft_is_planned_with_the_limits_of_whoever_asks(installation: Installation) -> None:
    [world, _] = await two_campaigns(installation, leads=4)
    await write(installation, update(Campaign).values(status="draft"))
    actor = await capped(installation, daily=1)
    held = await call(installation, actor, "plan_campaign", id=world.campaign_id)
    free = await installation.call("plan_campaign", id=world.campaign_id)
    assert [day["total"] for day in held["days"]] == [1, 1, 1, 1]
    assert [day["total"] for day in free["days"]] == [4]


async def test_a_reply_beyond_the_limit_waits_for_the_next_day(installation: Installation) -> None:
    world, ids = await inbox(installation, leads=3)
    actor = await capped(installation, daily=2)
    for conversation_id in ids:
        await call(installation, actor, "send_reply", id=conversation_id, body="Thanks!")
    post = Post(installation.clock)
    await run_until(installation, post, START + timedelta(hours=1))
    assert post.per_day == {MONDAY: 2}
    [waiting] = [row for row in await replies(world) if row.status != "sent"]
    assert (waiting.status, waiting.scheduled_for) == ("pending", midnight(TUESDAY))
    assert "2 of 2 sent today" in str(waiting.error)
    await run_until(installation, post, midnight(TUESDAY) + timedelta(hours=1))
    assert post.per_day == {MONDAY: 2, TUESDAY: 1}
    assert await counted(installation, actor.credential_id) == {"2026-03-02": 2, "2026-03-03": 1}


async def test_replies_that_begin_at_once_share_the_last_of_a_limit(installation: Installation) -> None:
    _, ids = await inbox(installation, leads=4)
    actor = await capped(installation, daily=2)
    for conversation_id in ids:
        await call(installation, actor, "send_reply", id=conversation_id, body="Thanks!")
    # Two engines: each takes two of a mailbox at a time.
    one, two = Gone(installation, "one"), Gone(installation, "two")
    works = [(engine, work) for engine in (one, two) for work in await engine.claims()]
    begun = await asyncio.gather(*(engine.begins(work, f"<{work.reply_id}@acme.test>") for engine, work in works))
    assert len(works) == 4
    assert sum(isinstance(each, ReplyBegun) for each in begun) == 2
    assert {each.reason for each in begun if isinstance(each, Objection)} == {"credential_daily_limit"}
    assert await counted(installation, actor.credential_id) == {"2026-03-02": 2}


async def test_steps_replies_and_tests_add_up(installation: Installation) -> None:
    world, [conversation_id] = await inbox(installation)
    [other, _] = await two_campaigns(installation, 1, world.mailbox_ids)
    actor = await capped(installation, daily=3)
    await started_with(installation, actor.credential_id, other)
    post = Post(installation.clock)
    use_post(installation, post)
    await call(installation, actor, "send_reply", id=conversation_id, body="Thanks!")
    await run_until(installation, post, START + timedelta(minutes=1))
    test = {"id": world.campaign_id, "sequenceStep": 0, "mailboxId": world.mailbox_ids[0], "customEmail": "me@me.test"}
    await call(installation, actor, "send_test_email", **test)
    assert await counted(installation, actor.credential_id) == {"2026-03-02": 3}
    with pytest.raises(LimitReached) as refused:
        await call(installation, actor, "send_test_email", **test)
    assert refused.value.error_code == "CREDENTIAL_LIMIT"
    assert refused.value.retry_after_seconds == (midnight(TUESDAY) - installation.clock.now()).total_seconds()
    await installation.call("send_test_email", **test)
    assert await counted(installation, actor.credential_id) == {"2026-03-02": 3}


def use_post(installation: Installation, post: Post) -> None:
    """Tests leave through the port, too."""
    ports = installation.app.ports
    assert isinstance(ports, dict)
    ports[MailTransport] = post


REFUSALS: Sequence[tuple[Outcome, bool, int]] = (
    (Rejected("hard", "rcpt", 550, "5.1.1", "No such user"), True, 0),
    (Rejected("policy", "rcpt", 550, "5.7.1", "No"), True, 0),
    (Rejected("soft", "rcpt", 452, "4.2.2", "Full"), True, 0),
    (Deferred("transient", "rcpt", 451, "4.3.0", "Later"), True, 0),
    (Deferred("throttle", "connect", 421, "4.7.0", "Too many"), True, 0),
    (Rejected("other", "dot", 554, "5.0.0", "No"), False, 0),
    (Unknown("lost"), False, 1),
)
"""An outcome, whether it comes before the dot, and what stays counted of one message."""


@pytest.mark.parametrize(("outcome", "before_dot", "stays"), REFUSALS)
async def test_what_is_not_sent_is_given_back(
    installation: Installation, outcome: Outcome, before_dot: bool, stays: int
) -> None:
    world, [conversation_id] = await inbox(installation)
    [other, _] = await two_campaigns(installation, 1, world.mailbox_ids)
    step, reply = await capped(installation, daily=5), await capped(installation, daily=5)
    await started_with(installation, step.credential_id, other)
    await call(installation, reply, "send_reply", id=conversation_id, body="Thanks!")
    post = Post(installation.clock, lambda _: outcome, before_dot)
    await run_until(installation, post, START + timedelta(seconds=30))
    for actor in (step, reply):
        assert sum((await counted(installation, actor.credential_id)).values()) == stays


async def test_a_test_that_is_refused_is_given_back(installation: Installation) -> None:
    [world, _] = await two_campaigns(installation, leads=1)
    actor = await capped(installation, daily=5)
    use_post(installation, Post(installation.clock, lambda _: REFUSALS[0][0]))
    test = {"id": world.campaign_id, "sequenceStep": 0, "mailboxId": world.mailbox_ids[0], "customEmail": "me@me.test"}
    with pytest.raises(Upstream):
        await call(installation, actor, "send_test_email", **test)
    assert await counted(installation, actor.credential_id) == {}


@pytest.mark.parametrize(("is_dotted", "stays"), [(False, 0), (True, 1)])
async def test_a_reply_of_an_engine_that_died_counts_only_if_it_may_have_left(
    installation: Installation, is_dotted: bool, stays: int
) -> None:
    world, [conversation_id] = await inbox(installation)
    actor = await capped(installation, daily=5)
    await call(installation, actor, "send_reply", id=conversation_id, body="Thanks!")
    gone = Gone(installation)
    [work] = await gone.claims()
    begun = await gone.begins(work)
    assert isinstance(begun, ReplyBegun)
    if is_dotted:
        assert await gone.dots(work, begun) is None
    assert await counted(installation, actor.credential_id) == {"2026-03-02": 1}
    await gone.dies()
    # Nobody can be written to meanwhile, so that only the recovery is seen.
    await installation.call("pause_workspace")
    await run_until(installation, Post(installation.clock), START + timedelta(minutes=1))
    assert sum((await counted(installation, actor.credential_id)).values()) == stays
    assert [row.status for row in await replies(world)] == ["failed" if is_dotted else "pending"]


async def test_steps_of_an_engine_that_died_are_given_back(installation: Installation) -> None:
    app, [world, _] = installation.app, await two_campaigns(installation, leads=3)
    actor = await capped(installation, daily=2)
    await started_with(installation, actor.credential_id, world)
    await app.database.hot(lambda c: take_lease(c, "gone", 60))
    claimant, now = Claimant("gone", Programs(), app.vault), installation.clock.now()
    await app.database.write(lambda s: claim_due(s, claimant, world.workspace_id, now, 10))
    assert await counted(installation, actor.credential_id) == {"2026-03-02": 2}
    await app.database.write(lambda s: recover_batch(s, ["gone"], now))
    assert await counted(installation, actor.credential_id) == {}


async def test_a_test_that_was_abandoned_before_its_dot_is_given_back(installation: Installation) -> None:
    app, [world, _] = installation.app, await two_campaigns(installation, leads=1)
    actor = await capped(installation, daily=2)

    class Broken(Post):
        async def send(self, account: Any, envelope: Any, marker: Any) -> Outcome:
            return Unknown("lost")

    use_post(installation, Broken(installation.clock))
    test = {"id": world.campaign_id, "sequenceStep": 0, "mailboxId": world.mailbox_ids[0], "customEmail": "me@me.test"}
    with pytest.raises(Upstream):
        await call(installation, actor, "send_test_email", **test)
    [attempt] = await world.attempts()
    assert attempt.credential_id == actor.credential_id
    await write(installation, update(type(attempt)).values(state="sending"))
    await app.database.write(lambda s: close_abandoned(s, START + ABANDONED_AFTER + timedelta(minutes=1)))
    assert await counted(installation, actor.credential_id) == {}


async def test_a_call_that_would_send_is_refused_once_the_day_is_used_up(installation: Installation) -> None:
    world, [conversation_id] = await inbox(installation)
    actor, none = await capped(installation, daily=1), await capped(installation, daily=0)
    reply = {"id": conversation_id, "body": "Thanks!"}
    await call(installation, actor, "send_reply", **reply)
    await run_until(installation, Post(installation.clock), START + timedelta(minutes=1))
    for operation, arguments in (("send_reply", reply), ("resume_campaign", {"id": world.campaign_id})):
        with pytest.raises(LimitReached) as refused:
            await call(installation, actor, operation, **arguments)
        assert refused.value.details["resetsAt"] == "2026-03-03T00:00:00Z"
        assert refused.value.retry_after_seconds == (midnight(TUESDAY) - installation.clock.now()).total_seconds()
    with pytest.raises(LimitReached) as refused:
        await call(installation, none, "send_reply", **reply)
    assert refused.value.retry_after_seconds is None
    # What sends nothing goes on, and so does everybody else.
    await call(installation, actor, "get_conversation", id=conversation_id)
    await call(installation, actor, "create_tag", name="Later")
    await installation.call("send_reply", **reply)
    installation.clock.advance_to(midnight(TUESDAY))
    await call(installation, actor, "send_reply", **reply)
    assert len(await replies(world)) == 3


async def test_another_workspace_and_another_credential_are_not_counted(installation: Installation) -> None:
    [world, _] = await two_campaigns(installation, leads=3)
    actor = await capped(installation, daily=1)
    await started_with(installation, actor.credential_id, world)
    post = Post(installation.clock)
    await run_until(installation, post, START + timedelta(hours=1))
    assert sorted(address.partition("@")[2] for address, _ in post.taken) == ["c0.test"] + ["c1.test"] * 3


async def test_a_limit_costs_no_statement(installation: Installation) -> None:
    app, [world, _] = installation.app, await two_campaigns(installation, leads=1)
    statements: list[str] = []

    async def planning() -> int:
        def work(session: Any) -> None:
            engine = session.get_bind()
            count = lambda *given: statements.append(given[2])  # noqa: E731
            event.listen(engine, "before_cursor_execute", count)
            try:
                load_setting(session, world.workspace_id, Programs(), b"seed", START)
            finally:
                event.remove(engine, "before_cursor_execute", count)

        statements.clear()
        await app.database.read(work)
        return len(statements)

    without = await planning()
    actor = await capped(installation, daily=3, first=1, age=OLD)
    await started_with(installation, actor.credential_id, world)
    assert await planning() == without == 3
