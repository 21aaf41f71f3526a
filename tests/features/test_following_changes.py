"""Large campaigns: their leads follow an edit or a start batch by batch, and nothing is claimed before all have."""

import random
from typing import Any

import pytest
from sqlalchemy import update

from postrider.campaigns import following
from postrider.campaigns.following import STILL_FOLLOWING, follow_next_batch
from postrider.campaigns.moves import Moves
from postrider.campaigns.sequence import email_steps, read_steps
from postrider.campaigns.tables import Campaign, CampaignChange, Enrollment
from postrider.sending.claimant import Claimant
from postrider.sending.claims import claim_due
from postrider.sending.program import Programs
from tests.conftest import START, Installation
from tests.features.campaign_rig import (
    ACCEPTED,
    SEQUENCE,
    add_lead,
    add_waiting,
    campaign_row,
    enrollment_of,
    ready_campaign,
    running_campaign,
)
from tests.features.test_running_edits import emails_of, letters, place_of

LEADS = 11


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "BATCH_LEADS", 4)


async def follow_all(world: Installation) -> int:
    """The engine's part; how many batches it took."""
    batches = 0
    while await world.app.database.write(follow_next_batch):
        batches += 1
    return batches


async def claimable(world: Installation) -> int:
    claimant = Claimant("me", Programs(), world.app.vault)
    now = world.clock.now()
    tick = await world.app.database.write(lambda s: claim_due(s, claimant, world.ann.workspace_id, now, 100))
    return len(tick.claimed.slots) if tick.claimed is not None else 0


async def statuses(world: Installation) -> set[str]:
    return await world.app.database.read(
        lambda s: set(s.scalars(Enrollment.__table__.select().with_only_columns(Enrollment.status)))
    )


async def test_a_start_takes_in_the_leads_batch_by_batch_and_sends_when_all_are_in(installation: Installation) -> None:
    always = {"timezone": "UTC", "startTime": "00:00", "endTime": "23:59", "workingDays": [0, 1, 2, 3, 4, 5, 6]}
    made = await ready_campaign(installation, leads=LEADS, schedule=always)
    answer = await installation.call("start_campaign", id=made["id"])
    assert (answer["status"], STILL_FOLLOWING in answer["warnings"]) == ("active", True)
    assert await statuses(installation) == {"active", "pending"}
    assert STILL_FOLLOWING in (await installation.call("get_campaign", id=made["id"]))["warnings"]
    assert STILL_FOLLOWING in (await installation.call("plan_campaign", id=made["id"]))["warnings"]
    lead_id = (await installation.call("list_leads", limit=1))["items"][0]["id"]
    explained = await installation.call("explain_lead", id=made["id"], leadId=lead_id)
    assert [check["detail"] for check in explained["checks"] if check["name"] == "leads_follow"] == [STILL_FOLLOWING]
    assert await claimable(installation) == 0
    assert await follow_all(installation) == 2
    assert await statuses(installation) == {"active"}
    assert STILL_FOLLOWING not in (await installation.call("get_campaign", id=made["id"]))["warnings"]
    assert await claimable(installation) == 1


async def test_leads_added_while_others_follow_are_left_as_they_are(installation: Installation) -> None:
    made = await ready_campaign(installation, leads=LEADS)
    await installation.call("start_campaign", id=made["id"])
    ids = [{"email": f"new{number}@acme.test"} for number in range(3)]
    assert (await installation.call("add_leads_to_campaign", id=made["id"], leads=ids))["added"] == 3
    await installation.call("update_campaign", id=made["id"], sequence=[{"type": "email", "subject": "X", "body": "X"}])
    await follow_all(installation)
    rows = await installation.app.database.read(lambda s: list(s.query(Enrollment)))
    assert {(row.status, row.next_step, row.last_step, row.due_at) for row in rows} == {("active", 0, -1, START)}


async def test_a_message_under_way_moves_at_once_and_is_not_moved_again(installation: Installation) -> None:
    made = await running_campaign(installation, letters("AB"))
    leads = [await add_waiting(installation, made["id"], 1, email=f"l{number}@acme.test") for number in range(LEADS)]
    claimed, unknown = leads[-1], leads[-2]
    lease = update(Enrollment).where(Enrollment.id == claimed).values(lease_owner="me", last_step=1)
    held = (
        update(Enrollment).where(Enrollment.id == unknown).values(queue=2, hold_reason="unknown_outcome", last_step=1)
    )
    await installation.app.database.write(lambda s: [s.execute(lease), s.execute(held)].clear())
    await installation.call("update_campaign", id=made["id"], sequence=letters("XAYB", emails_of(made)))
    for lead in (claimed, unknown):
        assert await place_of(installation, lead) == (3, 3)
    # Their outcomes come by the new sequence.
    onward = update(Enrollment).where(Enrollment.id.in_((claimed, unknown)))
    values = {"next_step": 1, "last_step": 0, "lease_owner": None}
    await installation.app.database.write(lambda s: s.execute(onward.values(**values)) and None)
    await follow_all(installation)
    assert {await place_of(installation, lead) for lead in leads[:-2]} == {(1, 2)}
    assert {await place_of(installation, lead) for lead in (claimed, unknown)} == {(0, 1)}


async def test_a_removed_lead_that_comes_back_meanwhile_follows_first(installation: Installation) -> None:
    made = await running_campaign(installation, letters("AB"))
    leads = [await add_waiting(installation, made["id"], 1, email=f"l{number}@acme.test") for number in range(LEADS)]
    gone = update(Enrollment).where(Enrollment.id == leads[-1]).values(status="removed", due_at=None)
    await installation.app.database.write(lambda s: s.execute(gone) and None)
    await installation.call("update_campaign", id=made["id"], sequence=letters("XAB", emails_of(made)))
    back = [{"email": f"l{LEADS - 1}@acme.test"}]
    assert (await installation.call("add_leads_to_campaign", id=made["id"], leads=back))["added"] == 1
    assert await place_of(installation, leads[-1]) == (1, 2)
    await follow_all(installation)
    assert {await place_of(installation, lead) for lead in leads} == {(1, 2)}


async def test_edits_upon_edits_bring_everybody_where_single_edits_would(installation: Installation) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    made = await running_campaign(installation, letters("ABCD"))
    leads = {
        await add_waiting(installation, made["id"], place % 4, email=f"l{place}@acme.test"): (place % 4 - 1, place % 4)
        for place in range(LEADS)
    }
    for _ in range(12):
        before = email_steps(read_steps((await campaign_row(installation, made["id"])).sequence))
        order = [step.id for step in before] + ["new"]
        chance.shuffle(order)
        steps = edited(order[: chance.randint(1, 6)])
        await installation.call("update_campaign", id=made["id"], sequence=steps)
        after = email_steps(read_steps((await campaign_row(installation, made["id"])).sequence))
        leads = {lead: moved(Moves.between(before, after), *place) for lead, place in leads.items()}
        for _ in range(chance.randint(0, 3)):
            await installation.app.database.write(follow_next_batch)
    await follow_all(installation)
    assert {lead: await place_of(installation, lead) for lead in leads} == leads


def edited(order: list[str]) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = []
    for step_id in order:
        named = {} if step_id == "new" else {"id": step_id}
        steps += [{"type": "wait", "waitDays": 1}] if steps else []
        steps.append({"type": "email", "subject": "S", "body": "B", **named})
    return steps


def moved(moves: Moves | None, last: int, following_step: int) -> tuple[int, int]:
    if moves is None:
        return last, following_step
    places = moves.retry if last == following_step else moves.following
    return moves.last.get(last, last), places.get(following_step, following_step)


async def test_an_edit_and_a_cure_reach_the_last_lead(installation: Installation) -> None:
    made = await running_campaign(installation, SEQUENCE)
    held = [
        await add_lead(
            installation, made["id"], f"l{number}@acme.test", status="active", queue=2, hold_reason="missing_variable:x"
        )
        for number in range(LEADS)
    ]
    await installation.call("update_campaign", id=made["id"], settings={"textOnly": True})
    assert (await enrollment_of(installation, held[-1])).queue == 2
    await follow_all(installation)
    assert {(await enrollment_of(installation, lead)).queue for lead in held} == {1}
    left = await installation.app.database.read(lambda s: (s.query(CampaignChange).count(), s.query(Campaign).count()))
    assert left == (0, 1)


async def test_new_waits_count_from_the_email_before_for_the_last_lead_too(installation: Installation) -> None:
    made = await running_campaign(installation, SEQUENCE)
    leads = [await add_waiting(installation, made["id"], 1, email=f"l{number}@acme.test") for number in range(LEADS)]
    steps = made["sequence"]
    steps[1]["waitDays"] = 5
    await installation.call("update_campaign", id=made["id"], sequence=steps)
    await follow_all(installation)
    waits = {(await enrollment_of(installation, lead)).due_at for lead in leads}
    assert {(due - ACCEPTED).days for due in waits if due is not None} == {5}
