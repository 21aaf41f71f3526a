"""Leads whose next step was taken out of the sequence come to their end, whatever becomes of their mailboxes."""

from datetime import timedelta
from typing import Any

from sqlalchemy import update

from postrider.campaigns.states import QUEUE_FOLLOW_UP, QUEUE_HELD, UNKNOWN_OUTCOME
from postrider.campaigns.tables import Campaign, Enrollment
from postrider.engine.outgoing import CLAIM_LIMIT
from postrider.mailboxes.tables import Mailbox
from postrider.sending.claimant import Claimant
from postrider.sending.claims import Tick, claim_due
from postrider.sending.housekeeping import ENDED_AT_ONCE
from postrider.sending.program import Programs
from postrider.storage.leases import take_lease
from tests.conftest import Installation
from tests.engine.world import EMAIL, FOLLOW_UP, WAIT, World, make_world, running_engine
from tests.features.lead_rig import change
from tests.integration.smtp_rig import transport_with


async def waiting_world(installation: Installation, *, leads: int, mailboxes: int = 1, emails: int = 2) -> World:
    """Leads that have had the first email and are to get the second tomorrow, from the first mailbox."""
    steps = [EMAIL, *(step for _ in range(emails - 1) for step in (WAIT, FOLLOW_UP))]
    world = await make_world(installation, port=1, leads=leads, mailboxes=mailboxes, steps=steps)
    now = installation.clock.now()
    await change(
        installation,
        update(Enrollment).values(
            next_step=1,
            last_step=0,
            queue=QUEUE_FOLLOW_UP,
            mailbox_id=world.mailbox_ids[0],
            last_accepted_at=now - timedelta(days=2),
            due_at=now + timedelta(days=1),
        ),
    )
    return world


async def remove_last_step(world: World) -> None:
    """The last email and the wait before it go, as a user takes them out."""
    found = await world.installation.call("get_campaign", id=world.campaign_id)
    kept = [{key: step[key] for key in step if key != "order"} for step in found["sequence"][:-2]]
    await world.installation.call("update_campaign", id=world.campaign_id, sequence=kept)


async def campaign_status(world: World) -> str:
    return str((await world.installation.call("get_campaign", id=world.campaign_id))["status"])


async def tick(world: World, limit: int = CLAIM_LIMIT) -> Tick:
    app, now = world.installation.app, world.installation.clock.now()
    await app.database.hot(lambda c: take_lease(c, "me", 60))
    claimant = Claimant("me", Programs(), app.vault)
    return await app.database.write(lambda s: claim_due(s, claimant, world.workspace_id, now, limit))


async def assert_all_end(world: World) -> None:
    async with running_engine(world.installation, transport_with()) as engine:
        await remove_last_step(world)
        await engine.rest.quiet()
    assert {(row.status, row.due_at) for row in await world.enrollments()} == {("completed", None)}
    assert await campaign_status(world) == "completed"


async def test_leads_of_a_mailbox_in_error_are_completed_and_so_is_the_campaign(installation: Installation) -> None:
    world = await waiting_world(installation, leads=3)
    await change(installation, update(Mailbox).values(status="error"))
    await assert_all_end(world)


async def test_leads_of_a_mailbox_the_campaign_no_longer_uses_are_completed(installation: Installation) -> None:
    world = await waiting_world(installation, leads=3, mailboxes=2)
    await change(installation, update(Campaign).values(mailbox_ids=world.mailbox_ids[1:]))
    await assert_all_end(world)


async def test_leads_with_nothing_due_are_completed(installation: Installation) -> None:
    world = await waiting_world(installation, leads=2)
    await change(installation, update(Enrollment).values(due_at=None))
    await assert_all_end(world)


async def test_ended_leads_do_not_keep_a_follow_up_waiting(installation: Installation) -> None:
    """More ended leads, all due before it, than several ticks looked at."""
    world = await waiting_world(installation, leads=CLAIM_LIMIT * 3 + 1)
    last = (await world.enrollments())[-1]
    now = installation.clock.now()
    others = update(Enrollment).where(Enrollment.id != last.id)
    await change(installation, others.values(next_step=2, last_step=1, due_at=now - timedelta(hours=1)))
    await change(installation, update(Enrollment).where(Enrollment.id == last.id).values(due_at=now))
    claimed = (await tick(world)).claimed
    assert claimed is not None
    assert [slot.enrollment_id for slot in claimed.slots] == [last.id]


async def test_one_tick_ends_a_bounded_number_and_asks_for_the_next(installation: Installation) -> None:
    world = await waiting_world(installation, leads=ENDED_AT_ONCE + 3)
    await change(installation, update(Enrollment).values(next_step=2, last_step=1))
    assert (await tick(world)).more
    assert await statuses(world) == {"active": 3, "completed": ENDED_AT_ONCE}
    await tick(world)
    assert await statuses(world) == {"completed": ENDED_AT_ONCE + 3}
    assert await campaign_status(world) == "completed"


async def statuses(world: World) -> dict[str, int]:
    found = [row.status for row in await world.enrollments()]
    return {status: found.count(status) for status in sorted(set(found))}


async def test_who_is_under_way_or_has_left_is_not_ended_here(installation: Installation) -> None:
    world = await waiting_world(installation, leads=5)
    await change(installation, update(Enrollment).values(next_step=2, last_step=1))
    states: list[dict[str, Any]] = [
        {"lease_owner": "me"},
        {"queue": QUEUE_HELD, "hold_reason": UNKNOWN_OUTCOME, "due_at": None},
        {"status": "removed", "due_at": None},
        {"status": "paused"},
        {"queue": QUEUE_HELD, "hold_reason": "policy_rejection: 550 No"},
    ]
    rows = await world.enrollments()
    for row, values in zip(rows, states, strict=True):
        await change(installation, update(Enrollment).where(Enrollment.id == row.id).values(**values))
    await tick(world)
    found = {row.id: row.status for row in await world.enrollments()}
    assert [found[row.id] for row in rows] == ["active", "active", "removed", "paused", "completed"]
