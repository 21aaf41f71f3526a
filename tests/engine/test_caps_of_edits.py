"""What a credential with a limit changes of the mail of others counts on it too: on both databases."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from postrider.campaigns.tables import Campaign
from postrider.kernel.errors import LimitReached
from postrider.leads.tables import Lead
from postrider.mailboxes.tables import Mailbox
from postrider.sending.claimant import Claimant
from postrider.sending.claims import claim_due
from postrider.sending.program import Programs
from postrider.storage.leases import take_lease
from tests.conftest import START, Installation
from tests.engine.caps_rig import Post, call, capped, counted, run_until
from tests.engine.reply_world import write
from tests.engine.test_caps_of_fills import MONDAY, TUESDAY, WEDNESDAY, fill, named, per_day, running
from tests.engine.world import World
from tests.features.campaign_rig import campaign_row

LATER = timedelta(hours=1)
END_OF_MONDAY = datetime(2026, 3, 2, 23, tzinfo=UTC)
WIDE: dict[str, Any] = {"settings": {"dailySendLimit": 100}}


async def stopped(installation: Installation, house: str, beside: World | None = None, leads: int = 4) -> World:
    """A campaign of somebody without a limit that sends nothing, because it may send nothing a day."""
    world = await running(installation, named(house, leads), beside=beside)
    await installation.call("update_campaign", id=world.campaign_id, settings={"dailySendLimit": 0})
    return world


async def held_to(installation: Installation, world: World) -> list[str]:
    return (await campaign_row(installation, world.campaign_id)).held_to or []


async def stamps(world: World) -> Counter[str | None]:
    return Counter(row.credential_id for row in await world.enrollments())


@pytest.mark.parametrize("by_grant", [False, True])
async def test_campaigns_of_others_that_are_let_loose_count_together(
    installation: Installation, by_grant: bool
) -> None:
    first = await stopped(installation, "one")
    worlds = [first, *[await stopped(installation, house, first) for house in ("two", "three")]]
    actor = await capped(installation, daily=4, by_grant=by_grant)
    for world in worlds:
        await call(installation, actor, "update_campaign", id=world.campaign_id, **WIDE)
    post = Post(installation.clock)
    await run_until(installation, post, END_OF_MONDAY)
    assert post.per_day == {MONDAY: 4}
    assert await counted(installation, actor.credential_id) == {"2026-03-02": 4}
    [waiting, *_] = [row for world in worlds for row in await world.enrollments() if row.status == "active"]
    told = await installation.call("explain_lead", id=waiting.campaign_id, leadId=waiting.lead_id)
    [check] = [check for check in told["checks"] if check["name"] == "credential_daily_limit"]
    assert (check["ok"], check["until"]) == (False, "2026-03-03T00:00:00.000Z")
    await run_until(installation, post, END_OF_MONDAY + timedelta(days=2))
    assert post.per_day == {MONDAY: 4, TUESDAY: 4, WEDNESDAY: 4}


async def test_a_plan_foresees_it_also_through_another_campaign(installation: Installation) -> None:
    world, actor = await stopped(installation, "acme"), await capped(installation, daily=4)
    other = await stopped(installation, "other", world, leads=3)
    for each, mailbox_id in zip((world, other), world.mailbox_ids, strict=True):
        own = update(Campaign).where(Campaign.id == each.campaign_id).values(mailbox_ids=[mailbox_id])
        await write(installation, own)
        await call(installation, actor, "update_campaign", id=each.campaign_id, **WIDE)
    plans = [await installation.call("plan_campaign", id=each.campaign_id) for each in (world, other)]
    post = Post(installation.clock)
    await run_until(installation, post, END_OF_MONDAY + timedelta(days=1))
    for planned, house in zip(plans, ("acme", "other"), strict=True):
        happened = {day.isoformat(): count for day, count in per_day(post, house).items()}
        assert {day["date"]: day["total"] for day in planned["days"]} == happened
    assert post.per_day == {MONDAY: 4, TUESDAY: 3}


@pytest.mark.parametrize(
    "edit",
    [
        {"settings": {"newLeadsPerDay": 50}},
        {"settings": {"emailIntervalMinutes": 1}},
        {"schedule": {"workingDays": [1, 2, 3]}},
        {"schedule": {"useLeadTimezone": True}},
        {"sequence": [{"type": "email", "subject": "Other", "body": "Other"}]},
        {"mailboxEmails": ["sender0@acme.test"]},
    ],
    ids=str,
)
async def test_every_edit_of_what_leaves_counts(installation: Installation, edit: dict[str, Any]) -> None:
    world, actor = await running(installation, named("acme", 3)), await capped(installation, daily=3)
    await call(installation, actor, "update_campaign", id=world.campaign_id, **edit)
    assert await held_to(installation, world) == [actor.credential_id]
    assert await stamps(world) == {None: 3}


async def test_a_new_name_and_what_is_started_later_do_not_count(installation: Installation) -> None:
    world, actor = await running(installation, named("acme", 3)), await capped(installation, daily=3)
    await call(installation, actor, "update_campaign", id=world.campaign_id, name="Other")
    assert await held_to(installation, world) == []
    await call(installation, actor, "pause_campaign", id=world.campaign_id)
    await call(installation, actor, "update_campaign", id=world.campaign_id, **WIDE)
    assert await held_to(installation, world) == []
    await installation.call("resume_campaign", id=world.campaign_id)
    post = Post(installation.clock)
    await run_until(installation, post, END_OF_MONDAY)
    assert post.per_day == {MONDAY: 3} and await counted(installation, actor.credential_id) == {}


async def test_whoever_starts_it_again_takes_it_over(installation: Installation) -> None:
    world, actor = await stopped(installation, "acme"), await capped(installation, daily=4)
    await call(installation, actor, "update_campaign", id=world.campaign_id, **WIDE)
    await fill(installation, installation.actor(), world, named("more", 3))
    post = Post(installation.clock)
    await run_until(installation, post, START + LATER)
    assert post.per_day == {MONDAY: 4}
    await installation.call("pause_campaign", id=world.campaign_id)
    await installation.call("resume_campaign", id=world.campaign_id)
    await run_until(installation, post, END_OF_MONDAY)
    assert post.per_day == {MONDAY: 7} and await counted(installation, actor.credential_id) == {"2026-03-02": 4}


async def test_it_counts_on_all_who_started_and_changed_it(installation: Installation) -> None:
    world = await stopped(installation, "acme", leads=3)
    starter, wide, few = [await capped(installation, daily=daily) for daily in (9, 8, 4)]
    await write(installation, update(Campaign).values(credential_id=starter.credential_id))
    for actor in (wide, few, wide):
        limit = {"dailySendLimit": 10 + actor.caps.daily_sends} if actor.caps.daily_sends else {}
        await call(installation, actor, "update_campaign", id=world.campaign_id, settings=limit)
    assert await held_to(installation, world) == [wide.credential_id, few.credential_id]
    await fill(installation, installation.actor(), world, named("more", 3))
    post = Post(installation.clock)
    await run_until(installation, post, END_OF_MONDAY)
    assert post.per_day == {MONDAY: 4}
    for actor in (starter, wide, few):
        assert await counted(installation, actor.credential_id) == {"2026-03-02": 4}


async def test_a_workspace_resumed_by_one_still_counts_on_the_other(installation: Installation) -> None:
    await running(installation, named("acme", 3))
    starter, resumer = await capped(installation, daily=2), await capped(installation, daily=9)
    await write(installation, update(Campaign).values(credential_id=starter.credential_id))
    await installation.call("pause_workspace")
    await call(installation, resumer, "resume_workspace")
    post = Post(installation.clock)
    await run_until(installation, post, END_OF_MONDAY)
    assert post.per_day == {MONDAY: 2}
    for actor in (starter, resumer):
        assert await counted(installation, actor.credential_id) == {"2026-03-02": 2}


async def test_more_people_of_others_than_there_is_room_for_are_refused(installation: Installation) -> None:
    world, actor = await stopped(installation, "acme"), await capped(installation, daily=3)
    with pytest.raises(LimitReached) as refused:
        await call(installation, actor, "update_campaign", id=world.campaign_id, **WIDE)
    assert refused.value.details["people"] == 4 and await held_to(installation, world) == []
    await write(installation, update(Campaign).values(held_to=[actor.credential_id]))
    await call(installation, actor, "update_campaign", id=world.campaign_id, **WIDE)


async def test_leads_whose_hours_open_count_on_whoever_moved_them(installation: Installation) -> None:
    world, actor = await running(installation, named("acme", 3)), await capped(installation, daily=1)
    hours = {"startTime": "06:00", "endTime": "20:00", "useLeadTimezone": True}
    await installation.call("update_campaign", id=world.campaign_id, schedule=hours)
    away = update(Lead).where(Lead.id.in_(world.lead_ids)).values(timezone="Pacific/Kiritimati")
    await write(installation, away)
    post = Post(installation.clock)
    for lead_id in world.lead_ids[:2]:
        await call(installation, actor, "update_lead", id=lead_id, timezone="Europe/London")
    assert await stamps(world) == {actor.credential_id: 2, None: 1}
    await run_until(installation, post, START + LATER)
    assert post.per_day == {MONDAY: 1} and await counted(installation, actor.credential_id) == {"2026-03-02": 1}


async def test_leads_of_one_that_another_changes_count_on_both(installation: Installation) -> None:
    world, filler, editor = (
        await running(installation),
        await capped(installation, daily=9),
        await capped(installation, daily=1),
    )
    await fill(installation, filler, world, named("acme", 2))
    rows = [row for row in await world.enrollments() if row.status == "active"]
    await call(installation, editor, "update_lead", id=rows[0].lead_id, firstName="Hanna")
    assert await held_to(installation, world) == [editor.credential_id]
    assert await stamps(world) == {filler.credential_id: 2, None: 1}
    post = Post(installation.clock)
    await run_until(installation, post, END_OF_MONDAY)
    assert post.per_day == {MONDAY: 1}
    for actor in (filler, editor):
        assert await counted(installation, actor.credential_id) == {"2026-03-02": 1}


@pytest.mark.parametrize(("entry", "covered"), [("p0@acme.test", 1), ("acme.test", 2)])
async def test_who_leaves_the_do_not_contact_list_counts_on_whoever_took_them_off(
    installation: Installation, entry: str, covered: int
) -> None:
    people = ["p0@acme.test", "p1@mail.acme.test", "p2@xacme.test"]
    world, actor = await running(installation, people), await capped(installation, daily=1)
    await installation.call("add_dnc_entries", entries=[{"email": entry}])
    await call(installation, actor, "remove_dnc_entries", emails=[entry])
    marked = {row.lead_id for row in await world.enrollments() if row.credential_id == actor.credential_id}
    assert marked == set(world.lead_ids[:covered])


async def test_campaigns_of_a_mailbox_that_is_mended_count(installation: Installation) -> None:
    world, actor = await running(installation, named("acme", 2)), await capped(installation, daily=1)
    other = await running(installation, named("other", 2), beside=world)
    own = update(Campaign).where(Campaign.id == other.campaign_id).values(mailbox_ids=world.mailbox_ids[1:])
    await write(installation, own)
    await write(installation, update(Mailbox).values(status="error"))
    email = (await installation.call("get_mailbox", id=world.mailbox_ids[0]))["email"]
    await call(installation, actor, "create_mailbox", email=email, provider="sandbox")
    assert await held_to(installation, world) == [actor.credential_id]
    assert await held_to(installation, other) == []


async def test_a_plan_counts_the_follow_up_of_an_email_on_its_way(installation: Installation) -> None:
    app, actor = installation.app, await capped(installation, daily=1)
    world = await running(installation, follow_up=True)
    for name in named("acme", 2):
        await fill(installation, actor, world, [name])
    claimant, now = Claimant("engine", Programs(), app.vault), installation.clock.now()
    await app.database.hot(lambda c: take_lease(c, "engine", 60))
    await app.database.write(lambda s: claim_due(s, claimant, world.workspace_id, now, 10))
    leaving = [row for row in await world.enrollments() if row.lease_owner is not None]
    assert len(leaving) == 1
    planned = await installation.call("plan_campaign", id=world.campaign_id)
    # One first email is left for Tuesday; both follow-ups wait for a day of their own.
    assert {day["date"]: day["total"] for day in planned["days"]} == {
        "2026-03-03": 1,
        "2026-03-04": 1,
        "2026-03-05": 1,
    }
