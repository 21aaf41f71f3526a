"""Plans and explanations: of the campaign asked about, and in words that say what to do; on both databases."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from postrider.campaigns.launch import NO_LEGAL_LINES, NO_PUBLIC_ADDRESS, WORKSPACE_PAUSED
from postrider.campaigns.states import QUEUE_HELD
from postrider.campaigns.tables import Campaign, Enrollment
from postrider.mailboxes.tables import Mailbox
from postrider.sending import foreseen, plan_operations, plan_queries
from tests.conftest import Installation
from tests.engine.world import World, make_world


async def share_a_mailbox(installation: Installation, *, mine: int, theirs: int, daily: int) -> World:
    """A campaign of ``mine`` leads beside one of ``theirs``, both on one mailbox of ``daily`` emails a day."""
    world = await make_world(installation, port=1, leads=mine)
    other = await make_world(
        installation, port=1, mailboxes=0, emails=[f"p{number}@other.test" for number in range(theirs)]
    )
    [mailbox_id] = world.mailbox_ids

    def write(session: Any) -> None:
        session.execute(update(Campaign).where(Campaign.id == other.campaign_id).values(mailbox_ids=[mailbox_id]))
        session.execute(update(Mailbox).where(Mailbox.id == mailbox_id).values(daily_send_limit=daily))

    await installation.app.database.write(write)
    return world


async def test_a_plan_tells_of_its_own_campaign_only(installation: Installation) -> None:
    world = await share_a_mailbox(installation, mine=3, theirs=200, daily=5)
    plan = await installation.call("plan_campaign", id=world.campaign_id)
    assert (plan["leads"], plan["plannedSends"], plan["leftOverEmails"]) == (3, 3, 0)
    assert (plan["waits"], plan["endsAfterHorizon"]) == ({}, False)
    assert plan["endsAt"] is not None
    assert sum(day["total"] for day in plan["days"]) == 3


async def test_leads_beyond_those_planned_are_counted_and_named(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_operations, "MAX_PLANNED", 4)
    monkeypatch.setattr(foreseen, "MAX_PLANNED", 4)
    world = await share_a_mailbox(installation, mine=6, theirs=9, daily=100)
    plan = await installation.call("plan_campaign", id=world.campaign_id)
    assert (plan["leads"], plan["plannedSends"]) == (6, 4)
    assert "Only the first 4 of 6 leads are in the plan; its end is too early." in plan["warnings"]


async def test_other_campaigns_are_read_up_to_one_limit_over_all(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await share_a_mailbox(installation, mine=1, theirs=9, daily=100)
    third = await make_world(installation, port=1, mailboxes=0, emails=[f"q{number}@third.test" for number in range(9)])
    read: list[int] = []
    rows = plan_queries.planned_rows

    def counted(session: Any, program: Any, limit: int) -> object:
        found = rows(session, program, limit)
        read.append(len(found))
        return found

    def share(session: Any) -> None:
        values = update(Campaign).where(Campaign.id == third.campaign_id).values(mailbox_ids=world.mailbox_ids)
        session.execute(values)

    await installation.app.database.write(share)
    monkeypatch.setattr(foreseen, "planned_rows", counted)
    monkeypatch.setattr(foreseen, "MAX_PLANNED", 12)
    await installation.call("plan_campaign", id=world.campaign_id)
    assert read == [1, 9, 3]


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("missing_variable:companyName", ["no value for this lead", "update_lead or update_campaign"]),
        ("bad_template: no end of {{", ["cannot be written", "update_lead or update_campaign"]),
        ("unknown_outcome", ["never answered", "not sent again", "Sent folder"]),
        ("policy_rejection", ["refused our mail", "list_mailboxes"]),
        ("something_else", ["checks"]),
    ],
)
async def test_the_verdict_on_a_held_lead_says_what_to_do(
    installation: Installation, reason: str, words: list[str]
) -> None:
    world = await make_world(installation, port=1, leads=1)
    held = update(Enrollment).values(queue=QUEUE_HELD, hold_reason=reason)
    await installation.app.database.write(lambda session: session.execute(held) and None)
    found = await installation.call("explain_lead", id=world.campaign_id, leadId=world.lead_ids[0])
    assert found["verdict"].startswith(f"Held: {reason}. ")
    assert [word for word in words if word not in found["verdict"]] == []
    if reason in ("unknown_outcome", "policy_rejection"):
        assert "update_lead" not in found["verdict"]


async def test_a_verdict_says_each_thing_once_and_writes_instants_as_fields_do(installation: Installation) -> None:
    world = await make_world(installation, port=1, leads=1)
    later = installation.clock.now() + timedelta(days=2)
    await installation.app.database.write(
        lambda session: session.execute(update(Enrollment).values(due_at=later)) and None
    )
    found = await installation.call("explain_lead", id=world.campaign_id, leadId=world.lead_ids[0])
    assert found["verdict"] == "Not now: due at 2026-03-04T08:00:00Z. Next possible: 2026-03-04T08:00:00Z."
    assert "+00:00" not in str(found)


async def test_resuming_a_workspace_wakes_campaigns_and_replies(installation: Installation) -> None:
    events = installation.app.signals.events
    await installation.call("pause_workspace")
    for event in events.values():
        event.clear()
    await installation.call("resume_workspace")
    assert {name for name, event in events.items() if event.is_set()} == {"sender", "replies"}


@pytest.mark.parametrize("status", ["draft", "active"])
async def test_a_plan_warns_of_all_that_starting_warns_of(installation: Installation, status: str) -> None:
    world = await make_world(installation, port=1, leads=2)
    change = update(Campaign).where(Campaign.id == world.campaign_id).values(status=status)
    await installation.app.database.write(lambda session: session.execute(change))
    await installation.call("pause_workspace")
    plan = await installation.call("plan_campaign", id=world.campaign_id)
    assert plan["plannedSends"] == 2
    assert plan["warnings"][:3] == [WORKSPACE_PAUSED, NO_PUBLIC_ADDRESS, NO_LEGAL_LINES]
    assert plan["warnings"] == (await installation.call("get_campaign", id=world.campaign_id))["warnings"]
    await installation.call("resume_workspace")
    assert WORKSPACE_PAUSED not in (await installation.call("plan_campaign", id=world.campaign_id))["warnings"]
