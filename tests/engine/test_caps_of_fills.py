"""Leads count on the limit of whoever put them into a campaign or let them go on, whoever started it: on both
databases."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, update

from postrider.access.tables import ApiKey
from postrider.campaigns.documents import StepInput
from postrider.campaigns.tables import Campaign, Enrollment
from postrider.kernel.context import Actor
from postrider.kernel.errors import LimitReached
from postrider.sending.claimant import Claimant
from postrider.sending.claims import claim_due
from postrider.sending.outcomes import Outcome, Rejected
from postrider.sending.program import Programs
from postrider.sending.recovery import recover_batch
from postrider.storage.leases import take_lease
from tests.conftest import START, Installation
from tests.engine.caps_rig import Post, call, capped, counted, run_until
from tests.engine.reply_world import write
from tests.engine.world import EMAIL, FOLLOW_UP, World, make_world
from tests.features.campaign_rig import add_lead
from tests.features.lead_rig import run_job

MONDAY, TUESDAY, WEDNESDAY = (date(2026, 3, day) for day in (2, 3, 4))
LATER = timedelta(hours=1)


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


async def running(
    installation: Installation, people: Sequence[str] = (), *, beside: World | None = None, follow_up: bool = False
) -> World:
    """A campaign that somebody without a limit has started, with ``people`` of theirs; on mailboxes of ``beside``."""
    steps = (EMAIL, StepInput(type="wait", wait_days=1), FOLLOW_UP) if follow_up else (EMAIL,)
    emails = people or [f"done@{'second' if beside else 'first'}.test"]
    world = await make_world(installation, port=1, mailboxes=0 if beside else 2, emails=emails, steps=steps)
    if beside:
        own = update(Campaign).where(Campaign.id == world.campaign_id)
        await write(installation, own.values(mailbox_ids=beside.mailbox_ids))
    if not people:
        done = update(Enrollment).where(Enrollment.campaign_id == world.campaign_id)
        await write(installation, done.values(status="completed", due_at=None))
    return world


async def fill(installation: Installation, actor: Actor, world: World, names: Sequence[str]) -> None:
    leads = [{"email": name} for name in names]
    await call(installation, actor, "add_leads_to_campaign", id=world.campaign_id, leads=leads)


def named(house: str, count: int, first: int = 0) -> list[str]:
    return [f"p{number}@{house}.test" for number in range(first, first + count)]


def per_day(post: Post, house: str) -> dict[date, int]:
    return dict(Counter(at.date() for address, at in post.taken if address.endswith(f"@{house}.test")))


async def credentials(world: World) -> Counter[str | None]:
    return Counter(row.credential_id for row in await world.enrollments() if row.status == "active")


@pytest.mark.parametrize("by_grant", [False, True])
async def test_small_fills_add_up_to_the_limit_and_the_rest_leaves_the_next_day(
    installation: Installation, by_grant: bool
) -> None:
    world, actor = await running(installation), await capped(installation, daily=10, by_grant=by_grant)
    for start in (0, 4, 8):
        await fill(installation, actor, world, named("acme", 4, start))
    post = Post(installation.clock)
    await run_until(installation, post, START + LATER)
    assert post.per_day == {MONDAY: 10}
    [waiting, _] = [row for row in await world.enrollments() if row.status == "active"]
    told = await installation.call("explain_lead", id=world.campaign_id, leadId=waiting.lead_id)
    [check] = [check for check in told["checks"] if check["name"] == "credential_daily_limit"]
    assert (check["ok"], check["until"]) == (False, "2026-03-03T00:00:00.000Z")
    assert check["detail"].startswith("10 of 10 sent today (UTC)") and actor.credential_id in check["detail"]
    assert "credential daily limit" in told["verdict"]
    assert told["nextPossibleAt"] == "2026-03-03T00:00:00.000Z"
    await run_until(installation, post, midnight(WEDNESDAY))
    assert post.per_day == {MONDAY: 10, TUESDAY: 2}
    assert await counted(installation, actor.credential_id) == {"2026-03-02": 10, "2026-03-03": 2}


async def test_what_others_put_there_goes_on_while_it_waits(installation: Installation) -> None:
    world, actor = await running(installation), await capped(installation, daily=2)
    await fill(installation, actor, world, named("agent", 2))
    await fill(installation, actor, world, named("agent", 2, 2))
    await fill(installation, installation.actor(), world, named("people", 5))
    post = Post(installation.clock)
    await run_until(installation, post, START + LATER)
    assert per_day(post, "agent") == {MONDAY: 2} and per_day(post, "people") == {MONDAY: 5}


async def test_more_than_one_look_of_those_that_wait_does_not_keep_others_back(installation: Installation) -> None:
    world, actor = await running(installation), await capped(installation, daily=2)
    await write(installation, update(Campaign).values(credential_id=actor.credential_id))
    await fill(installation, actor, world, named("agent", 400))
    await write(installation, update(Campaign).values(credential_id=None))
    installation.clock.advance_to(START + timedelta(minutes=1))
    await fill(installation, installation.actor(), world, named("people", 3))
    post = Post(installation.clock)
    await run_until(installation, post, START + LATER)
    assert per_day(post, "agent") == {MONDAY: 2} and per_day(post, "people") == {MONDAY: 3}


async def test_an_import_counts_on_whoever_ordered_it(installation: Installation) -> None:
    world, actor = await running(installation), await capped(installation, daily=3)
    for start in (0, 2):
        csv = "\n".join(["email", *named("acme", 2, start)])
        job = await call(installation, actor, "import_campaign_leads_csv", id=world.campaign_id, csv=csv)
        assert (await run_job(installation, job["jobId"]))["state"] == "finished"
    post = Post(installation.clock)
    await run_until(installation, post, midnight(TUESDAY) + LATER)
    assert post.per_day == {MONDAY: 3, TUESDAY: 1}


async def test_it_stays_so_when_somebody_else_resumes_the_campaign(installation: Installation) -> None:
    world, actor = await running(installation), await capped(installation, daily=2)
    for start in (0, 2):
        await fill(installation, actor, world, named("agent", 2, start))
    await fill(installation, installation.actor(), world, named("people", 3))
    post = Post(installation.clock)
    await run_until(installation, post, START + LATER)
    await installation.call("pause_campaign", id=world.campaign_id)
    await installation.call("resume_campaign", id=world.campaign_id)
    await run_until(installation, post, midnight(TUESDAY) + LATER)
    assert per_day(post, "agent") == {MONDAY: 2, TUESDAY: 2} and per_day(post, "people") == {MONDAY: 3}


async def test_an_email_counts_on_who_started_the_campaign_and_on_who_put_the_lead_there(
    installation: Installation,
) -> None:
    world, starter, filler = (
        await running(installation),
        await capped(installation, daily=5),
        await capped(installation, daily=2),
    )
    for start in (0, 2):
        await fill(installation, filler, world, named("filler", 2, start))
    await fill(installation, installation.actor(), world, named("people", 4))
    await call(installation, starter, "pause_campaign", id=world.campaign_id)
    await call(installation, starter, "resume_campaign", id=world.campaign_id)
    post = Post(installation.clock)
    await run_until(installation, post, START + LATER)
    assert per_day(post, "filler") == {MONDAY: 2} and per_day(post, "people") == {MONDAY: 3}
    assert await counted(installation, starter.credential_id) == {"2026-03-02": 5}
    assert await counted(installation, filler.credential_id) == {"2026-03-02": 2}
    await run_until(installation, post, midnight(TUESDAY) + LATER)
    assert per_day(post, "filler") == {MONDAY: 2, TUESDAY: 2} and per_day(post, "people") == {MONDAY: 3, TUESDAY: 1}


async def test_follow_ups_count_on_whoever_put_the_lead_there(installation: Installation) -> None:
    world, actor = await running(installation, follow_up=True), await capped(installation, daily=3)
    await fill(installation, actor, world, named("acme", 3))
    post = Post(installation.clock)
    await run_until(installation, post, START + LATER)
    await fill(installation, installation.actor(), world, named("people", 2))
    installation.clock.advance_to(midnight(TUESDAY) + LATER)
    other = await running(installation, beside=world)
    await fill(installation, actor, other, named("other", 2))
    await run_until(installation, post, midnight(TUESDAY) + timedelta(hours=12))
    assert per_day(post, "other") == {TUESDAY: 2} and per_day(post, "acme") == {MONDAY: 3, TUESDAY: 1}
    await run_until(installation, post, midnight(WEDNESDAY) + LATER)
    assert per_day(post, "acme") == {MONDAY: 3, TUESDAY: 1, WEDNESDAY: 2}


async def test_the_first_day_of_a_new_credential_holds_for_its_fills(installation: Installation) -> None:
    world, actor = await running(installation), await capped(installation, first=3, age=timedelta(hours=2))
    for start in (0, 2):
        await fill(installation, actor, world, named("acme", 2, start))
    post = Post(installation.clock)
    await run_until(installation, post, midnight(TUESDAY) + LATER)
    assert post.per_day == {MONDAY: 3}
    await run_until(installation, post, midnight(TUESDAY) + timedelta(hours=7))
    assert post.per_day == {MONDAY: 3, TUESDAY: 1}, "24 hours after it was made"


async def test_a_plan_foresees_it_also_through_another_campaign(installation: Installation) -> None:
    world, actor = await running(installation), await capped(installation, daily=3)
    other = await running(installation, beside=world)
    for each, mailbox_id in zip((world, other), world.mailbox_ids, strict=True):
        own = update(Campaign).where(Campaign.id == each.campaign_id)
        await write(installation, own.values(mailbox_ids=[mailbox_id]))
    for each, house in ((world, "here"), (other, "there")):
        for start in (0, 2):
            await fill(installation, actor, each, named(house, 2, start))
    planned = await installation.call("plan_campaign", id=world.campaign_id)
    post = Post(installation.clock)
    await run_until(installation, post, midnight(WEDNESDAY) + LATER)
    happened = {day.isoformat(): count for day, count in per_day(post, "here").items()}
    assert {day["date"]: day["total"] for day in planned["days"]} == happened
    assert post.per_day == {MONDAY: 3, TUESDAY: 3, WEDNESDAY: 2}


async def test_leads_that_are_added_again_count_on_whoever_added_them_last(installation: Installation) -> None:
    world, actor = await running(installation), await capped(installation, daily=2)
    await fill(installation, actor, world, named("acme", 2))
    assert await credentials(world) == {actor.credential_id: 2}
    removal = {"id": world.campaign_id, "action": "remove", "selectAll": True}
    await installation.call("bulk_action_campaign_leads", **removal)
    await fill(installation, installation.actor(), world, named("acme", 2))
    assert await credentials(world) == {None: 2}


async def test_leads_that_go_on_count_on_whoever_let_them(installation: Installation) -> None:
    world, actor = await running(installation, named("people", 2)), await capped(installation, daily=1)
    choice = {"id": world.campaign_id, "selectAll": True}
    await installation.call("bulk_action_campaign_leads", action="pause", **choice)
    for lead_id in world.lead_ids:
        one = {"id": world.campaign_id, "leadIds": [lead_id], "action": "resume"}
        await call(installation, actor, "bulk_action_campaign_leads", **one)
    post = Post(installation.clock)
    await run_until(installation, post, midnight(TUESDAY) + LATER)
    assert post.per_day == {MONDAY: 1, TUESDAY: 1}


async def test_removals_taken_back_count_on_whoever_took_them_back(installation: Installation) -> None:
    world, actor = await running(installation, named("people", 2)), await capped(installation, daily=2)
    choice: dict[str, Any] = {"id": world.campaign_id, "selectAll": True}
    for undoer, expected in (
        (installation.actor(), None),
        (actor, actor.credential_id),
        (installation.actor(), actor.credential_id),
    ):
        await installation.call("bulk_action_campaign_leads", action="remove", **choice)
        [entry] = (await installation.call("list_undo_entries"))["items"]
        await call(installation, undoer, "undo_operation", id=entry["id"])
        assert await credentials(world) == {expected: 2}


async def test_held_leads_count_on_whoever_gives_the_missing_value(installation: Installation) -> None:
    world, actor = await running(installation), await capped(installation, daily=1)
    waiting: dict[str, Any] = {"status": "active", "due_at": START}
    for number in range(2):
        held: dict[str, Any] = {"queue": 2, "hold_reason": "missing_variable: {{firstName}}", **waiting}
        await add_lead(installation, world.campaign_id, f"held{number}@acme.test", **held)
    await add_lead(installation, world.campaign_id, "free@acme.test", **waiting)
    for row in await world.enrollments():
        if row.status == "active":
            await call(installation, actor, "update_lead", id=row.lead_id, firstName="Hanna")
    assert await credentials(world) == {actor.credential_id: 3}
    post = Post(installation.clock)
    await run_until(installation, post, midnight(TUESDAY) + LATER)
    assert post.per_day == {MONDAY: 1, TUESDAY: 1}


async def test_held_leads_count_on_whoever_mends_the_campaign(installation: Installation) -> None:
    world, actor = await running(installation), await capped(installation, daily=2)
    held: dict[str, Any] = {"queue": 2, "hold_reason": "bad_template: {{", "status": "active", "due_at": START}
    await add_lead(installation, world.campaign_id, "held@acme.test", **held)
    await add_lead(installation, world.campaign_id, "free@acme.test", **{**held, "queue": 1, "hold_reason": None})
    mended = [{"type": "email", "subject": "Mended", "body": "Mended"}]
    await call(installation, actor, "update_campaign", id=world.campaign_id, sequence=mended)
    await fill(installation, installation.actor(), world, named("more", 1))
    post = Post(installation.clock)
    await run_until(installation, post, midnight(TUESDAY) + LATER)
    assert post.per_day == {MONDAY: 2, TUESDAY: 1}


async def test_a_revoked_credential_still_holds_what_it_put_there(installation: Installation) -> None:
    world, actor = await running(installation), await capped(installation, daily=1)
    for name in named("acme", 2):
        await fill(installation, actor, world, [name])
    await write(installation, update(ApiKey).where(ApiKey.id == actor.credential_id).values(revoked_at=START))
    post = Post(installation.clock)
    await run_until(installation, post, midnight(TUESDAY) + LATER)
    assert post.per_day == {MONDAY: 1, TUESDAY: 1}


async def test_a_workspace_that_is_resumed_counts_on_a_credential_with_a_limit(installation: Installation) -> None:
    world = await running(installation, named("people", 3))
    few, actor = await capped(installation, daily=2), await capped(installation, daily=3)
    await installation.call("pause_workspace")
    with pytest.raises(LimitReached) as refused:
        await call(installation, few, "resume_workspace")
    assert refused.value.error_code == "CREDENTIAL_LIMIT" and refused.value.details["people"] == 3
    await call(installation, actor, "resume_workspace")
    post = Post(installation.clock)
    await run_until(installation, post, START + LATER)
    assert await counted(installation, actor.credential_id) == {"2026-03-02": 3}
    # Somebody without a limit changes nothing of it.
    await fill(installation, installation.actor(), world, named("more", 1))
    await installation.call("pause_workspace")
    await installation.call("resume_workspace")
    await run_until(installation, post, midnight(TUESDAY) + LATER)
    assert per_day(post, "more") == {TUESDAY: 1}


async def test_what_is_not_sent_is_given_back_and_leaves_room_for_the_next(installation: Installation) -> None:
    world, actor = await running(installation), await capped(installation, daily=2)
    for start in (0, 2):
        await fill(installation, actor, world, named("acme", 2, start))
    tried: list[str] = []

    def answer(address: str) -> Outcome | None:
        tried.append(address)
        return Rejected("hard", "rcpt", 550, "5.1.1", "No such user") if address == tried[0] else None

    post = Post(installation.clock, answer)
    await run_until(installation, post, START + LATER)
    assert {address for address, _ in post.taken} == set(tried[1:]) and len(tried) == 3
    assert await counted(installation, actor.credential_id) == {"2026-03-02": 2}


async def test_claims_of_an_engine_that_died_are_given_back_to_both(installation: Installation) -> None:
    app, world = installation.app, await running(installation)
    starter, filler = await capped(installation, daily=5), await capped(installation, daily=5)
    await fill(installation, filler, world, named("acme", 3))
    await write(installation, update(Campaign).values(credential_id=starter.credential_id))
    await app.database.hot(lambda c: take_lease(c, "gone", 60))
    claimant, now = Claimant("gone", Programs(), app.vault), installation.clock.now()
    await app.database.write(lambda s: claim_due(s, claimant, world.workspace_id, now, 10))
    for actor in (starter, filler):
        assert await counted(installation, actor.credential_id) == {"2026-03-02": 3}
    await app.database.write(lambda s: recover_batch(s, ["gone"], now))
    for actor in (starter, filler):
        assert await counted(installation, actor.credential_id) == {}


async def test_without_limits_no_statement_is_added_to_a_claim(installation: Installation) -> None:
    app, world, statements = installation.app, await running(installation, named("people", 2)), list[str]()
    claimant, now = Claimant("engine", Programs(), app.vault), installation.clock.now()

    def claim(session: Any) -> None:
        engine = session.get_bind()
        note = lambda *given: statements.append(given[2])  # noqa: E731
        event.listen(engine, "before_cursor_execute", note)
        try:
            claim_due(session, claimant, world.workspace_id, now, 10)
        finally:
            event.remove(engine, "before_cursor_execute", note)

    await app.database.hot(lambda c: take_lease(c, "engine", 60))
    await app.database.write(claim)
    assert not [each for each in statements if "FROM api_keys" in each or "UNION" in each]
    assert len([each for each in statements if "FROM send_days" in each]) == 1


async def test_a_tick_that_uses_a_limit_up_is_followed_by_another(installation: Installation) -> None:
    app, world, actor = installation.app, await running(installation), await capped(installation, daily=2)
    await write(installation, update(Campaign).values(credential_id=actor.credential_id))
    await fill(installation, actor, world, named("agent", 5))
    await write(installation, update(Campaign).values(credential_id=None))
    installation.clock.advance_to(START + timedelta(minutes=1))
    await fill(installation, installation.actor(), world, named("people", 1))
    claimant, now = Claimant("engine", Programs(), app.vault), installation.clock.now()
    await app.database.hot(lambda c: take_lease(c, "engine", 60))
    ticks = [await app.database.write(lambda s: claim_due(s, claimant, world.workspace_id, now, 4)) for _ in range(2)]
    assert [len(tick.claimed.slots) if tick.claimed else 0 for tick in ticks] == [2, 1]
    assert [(tick.more, tick.next_at) for tick in ticks] == [(True, midnight(TUESDAY)), (False, midnight(TUESDAY))]
