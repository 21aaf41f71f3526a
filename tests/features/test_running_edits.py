"""What an edit does to the leads of a running campaign, on both databases."""

from datetime import datetime, timedelta
from typing import Any

from tests.conftest import START, Installation
from tests.features.campaign_rig import (
    ACCEPTED,
    FIRST,
    SECOND,
    SEQUENCE,
    WAIT,
    add_mailbox,
    add_waiting,
    enrollment_of,
    running_campaign,
)


async def place_of(world: Installation, enrollment_id: str) -> tuple[int, int]:
    row = await enrollment_of(world, enrollment_id)
    return row.last_step, row.next_step


def emails_of(campaign: dict[str, Any]) -> dict[str, str]:
    """The ids of the emails by their subjects."""
    return {step["subject"]: step["id"] for step in campaign["sequence"] if step["type"] == "email"}


def ids_of(campaign: dict[str, Any]) -> list[str]:
    return [step["id"] for step in campaign["sequence"]]


# Sequences are written as letters: emails with waits of three days between them.


def letters(text: str, ids: dict[str, str] | None = None) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = []
    for letter in text:
        if steps:
            steps.append(WAIT)
        named = {"id": ids[letter]} if ids and letter in ids else {}
        steps.append({"type": "email", "subject": letter, "body": letter, **named})
    return steps


RUNNING_EDITS = [
    # before, after, with ids, next step of the lead before → (last, next) after
    ("AB", "AXB", True, 1, (0, 1)),
    ("AB", "AXB", False, 1, (0, 1)),
    ("AB", "XAB", True, 1, (1, 2)),
    ("AB", "XAB", True, 0, (-1, 0)),
    ("ABC", "AC", True, 1, (0, 1)),
    ("ABC", "AC", True, 2, (0, 1)),
    ("ABC", "BC", True, 1, (-1, 0)),
    ("ABC", "BC", True, 2, (0, 1)),
    ("ABC", "C", True, 2, (-1, 0)),
    ("ABC", "AB", False, 2, (1, 2)),
    ("ABC", "A", True, 1, (0, 1)),
    ("ABC", "CAB", True, 1, (1, 2)),
    ("ABC", "BAC", True, 1, (1, 2)),
    ("ABC", "CBA", True, 2, (2, 3)),
    ("AB", "ABX", True, 2, (1, 2)),
    ("AB", "XY", False, 1, (0, 1)),
]


async def test_a_running_edit_moves_leads_with_the_steps_they_have_had(installation: Installation) -> None:
    mailbox_id = await add_mailbox(installation)
    for number, (before, after, with_ids, next_step, expected) in enumerate(RUNNING_EDITS):
        made = await running_campaign(installation, letters(before), mailbox_id)
        lead = await add_waiting(installation, made["id"], next_step, email=f"l{number}@acme.test")
        ids = emails_of(made) if with_ids else None
        await installation.call("update_campaign", id=made["id"], sequence=letters(after, ids))
        found = await place_of(installation, lead)
        assert found == expected, f"{before} → {after}, waiting for {next_step}"


async def test_a_lead_that_has_had_a_step_never_comes_before_it_again(installation: Installation) -> None:
    made = await running_campaign(installation, letters("ABC"))
    leads = [await add_waiting(installation, made["id"], next_step) for next_step in range(3)]
    emails = emails_of(made)
    edited = await installation.call("update_campaign", id=made["id"], sequence=letters("CXBA", emails))
    order = [step["subject"] for step in edited["sequence"] if step["type"] == "email"]
    for had, lead in zip(("", "A", "AB"), leads, strict=True):
        _, next_step = await place_of(installation, lead)
        assert not set(had) & set(order[next_step:])


async def test_a_step_to_be_tried_again_is_followed_to_its_new_place(installation: Installation) -> None:
    made = await running_campaign(installation, letters("ABC"))
    retry_at = START + timedelta(minutes=15)
    tried = await add_waiting(installation, made["id"], 1, last_step=1, due_at=retry_at)
    emails = emails_of(made)
    await installation.call("update_campaign", id=made["id"], sequence=letters("AXBC", emails))
    assert await place_of(installation, tried) == (2, 2)
    assert (await enrollment_of(installation, tried)).due_at == retry_at
    await installation.call("update_campaign", id=made["id"], sequence=letters("AC", emails))
    assert await place_of(installation, tried) == (0, 1)


async def test_completed_leads_stay_completed_when_a_step_is_added(installation: Installation) -> None:
    made = await running_campaign(installation, letters("AB"))
    done = await add_waiting(installation, made["id"], 2, status="completed", due_at=None)
    await installation.call("update_campaign", id=made["id"], sequence=letters("ABC"))
    row = await enrollment_of(installation, done)
    assert (row.status, row.next_step, row.due_at) == ("completed", 2, None)


def waits(*days: int) -> list[dict[str, Any]]:
    """A sequence of emails with these waits between them."""
    steps: list[dict[str, Any]] = [FIRST]
    for count in days:
        steps += [{"type": "wait", "waitDays": count}, SECOND]
    return steps


async def due_of(world: Installation, enrollment_id: str) -> datetime | None:
    return (await enrollment_of(world, enrollment_id)).due_at


async def test_a_changed_wait_counts_from_when_the_email_before_was_accepted(installation: Installation) -> None:
    made = await running_campaign(installation, waits(3, 3))
    first, second = [await add_waiting(installation, made["id"], next_step) for next_step in (1, 2)]
    await installation.call("update_campaign", id=made["id"], sequence=waits(5, 3))
    assert await due_of(installation, first) == ACCEPTED + timedelta(days=5)
    assert await due_of(installation, second) == ACCEPTED + timedelta(days=3)


async def test_an_inserted_step_is_due_after_its_own_wait(installation: Installation) -> None:
    made = await running_campaign(installation, waits(3))
    lead = await add_waiting(installation, made["id"], 1)
    ids = ids_of(made)
    steps = [{**FIRST, "id": ids[0]}, {"type": "wait", "waitDays": 1}, SECOND, WAIT, {**SECOND, "id": ids[2]}]
    await installation.call("update_campaign", id=made["id"], sequence=steps)
    assert await due_of(installation, lead) == ACCEPTED + timedelta(days=1)


async def test_who_waits_for_a_step_that_became_the_first_waits_as_long_as_before(installation: Installation) -> None:
    made = await running_campaign(installation, waits(3))
    lead = await add_waiting(installation, made["id"], 1)
    await installation.call("update_campaign", id=made["id"], sequence=[{**SECOND, "id": ids_of(made)[2]}])
    assert await place_of(installation, lead) == (-1, 0)
    assert await due_of(installation, lead) == ACCEPTED + timedelta(days=3)


async def test_who_has_nothing_left_to_get_is_due_now_for_the_engine_to_complete(installation: Installation) -> None:
    made = await running_campaign(installation, waits(3))
    waiting = await add_waiting(installation, made["id"], 1)
    stopped = await add_waiting(installation, made["id"], 1, email="s@acme.test", status="replied", due_at=None)
    await installation.call("update_campaign", id=made["id"], sequence=[FIRST])
    assert await due_of(installation, waiting) == START
    assert await due_of(installation, stopped) is None


async def test_a_date_that_was_put_off_stays_when_the_wait_did_not_change(installation: Installation) -> None:
    made = await running_campaign(installation, waits(3))
    back_at = START + timedelta(days=20)
    away = await add_waiting(installation, made["id"], 1, due_at=back_at)
    steps = waits(3)
    steps[2] = {"type": "email", "body": "New words"}
    await installation.call("update_campaign", id=made["id"], sequence=steps)
    assert await due_of(installation, away) == back_at


async def test_an_edit_of_the_text_keeps_ids_places_and_dates(installation: Installation) -> None:
    made = await running_campaign(installation, SEQUENCE)
    lead = await add_waiting(installation, made["id"], 1)
    before = await enrollment_of(installation, lead)
    edited = await installation.call(
        "update_campaign", id=made["id"], sequence=[{**FIRST, "body": "Other words"}, WAIT, SECOND]
    )
    assert ids_of(edited) == ids_of(made)
    after = await enrollment_of(installation, lead)
    assert (after.next_step, after.due_at, after.updated_at) == (before.next_step, before.due_at, before.updated_at)


async def test_an_edit_lets_go_on_who_was_held_for_what_it_may_have_cured(installation: Installation) -> None:
    made = await running_campaign(installation, SEQUENCE)
    held: dict[str, tuple[int, str | None]] = {}
    for reason, next_step, queue in (
        ("missing_variable:company", 0, 1),
        ("missing_variable:company", 1, 0),
        ("bad_template: no such thing", 1, 0),
        ("unknown_outcome", 1, 2),
        ("policy_rejection", 1, 2),
    ):
        address = f"l{len(held)}@acme.test"
        lead = await add_waiting(installation, made["id"], next_step, queue=2, hold_reason=reason, email=address)
        held[lead] = (queue, reason if queue == 2 else None)
    await installation.call("update_campaign", id=made["id"], settings={"unknownVariables": "blank"})
    rows = {lead: await enrollment_of(installation, lead) for lead in held}
    assert {lead: (row.queue, row.hold_reason) for lead, row in rows.items()} == held


async def test_new_sending_hours_wake_leads_that_slept_by_the_old_ones(installation: Installation) -> None:
    made = await running_campaign(installation, SEQUENCE)
    lead = await add_waiting(installation, made["id"], 1, sleep_until=START + timedelta(days=1))
    await installation.call("update_campaign", id=made["id"], name="Other name")
    assert (await enrollment_of(installation, lead)).sleep_until is not None
    await installation.call("update_campaign", id=made["id"], schedule={"useLeadTimezone": True})
    assert (await enrollment_of(installation, lead)).sleep_until is None


async def test_an_edit_of_one_campaign_leaves_the_leads_of_others_alone(installation: Installation) -> None:
    made = await running_campaign(installation, letters("AB"))
    other = await installation.call("create_campaign", name="other", sequence=letters("AB"))
    lead = await add_waiting(installation, other["id"], 1)
    before = await enrollment_of(installation, lead)
    await installation.call("update_campaign", id=made["id"], sequence=letters("A"))
    after = await enrollment_of(installation, lead)
    assert (after.next_step, after.due_at, after.updated_at) == (before.next_step, before.due_at, before.updated_at)
