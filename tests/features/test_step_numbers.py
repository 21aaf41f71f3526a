"""One lead, one email, one number: every answer counts steps alike; on both databases."""

from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy import insert, update
from sqlalchemy.orm import Session

from postrider.campaigns.tables import Enrollment
from postrider.kernel.ids import new_id
from postrider.sending.tables import Attempt
from tests.conftest import Installation
from tests.features.campaign_rig import add_lead, enrollment_of, ready_campaign
from tests.features.inbox_world import attempt_values, inbox

EMAIL = {"type": "email", "subject": "Hello", "body": "One"}
AGAIN = {"type": "email", "subject": "", "body": "Two"}
SEQUENCE = [EMAIL, {"type": "wait", "waitDays": 1}, AGAIN, {"type": "wait", "waitDays": 1}, {**AGAIN, "body": "Three"}]


async def sent_two(world: Installation) -> tuple[dict[str, Any], str]:
    """A campaign whose lead was sent the first two of its three emails."""
    made = await ready_campaign(world, leads=0, sequence=SEQUENCE)
    enrollment = await enrollment_of(world, await add_lead(world, made["id"]))
    now = world.clock.now()
    for index, at in ((0, now), (1, now + timedelta(days=1))):
        values = {
            **attempt_values_of(world, enrollment, made["mailboxes"][0], at),
            "step_id": made["sequence"][2 * index]["id"],
            "step_index": index,
        }
        await world.app.database.write(partial(_insert, values=values))
    follows = {"status": "active", "next_step": 2, "last_step": 1, "due_at": now + timedelta(days=2), "queue": 0}
    statement = update(Enrollment).where(Enrollment.id == enrollment.id).values(**follows)
    await world.app.database.write(lambda s: s.execute(statement) and None)
    return made, enrollment.lead_id


def _insert(session: Session, *, values: dict[str, Any]) -> None:
    session.execute(insert(Attempt), values)


def attempt_values_of(world: Installation, enrollment: Enrollment, mailbox_id: str, at: Any) -> dict[str, Any]:
    class _World:
        workspace_id = world.ann.workspace_id
        mailbox_ids = (mailbox_id,)

    attempt_id = new_id("att")
    return attempt_values(_World(), enrollment, attempt_id, f"<{attempt_id}@x.test>", at)  # type: ignore[arg-type]


def places(rows: list[dict[str, Any]]) -> list[tuple[str, int | None, int | None]]:
    return [(row["stepId"], row["step"], row["sequenceStep"]) for row in rows]


async def test_a_step_has_one_number_in_every_answer(installation: Installation) -> None:
    made, lead_id = await sent_two(installation)
    ids = [step["id"] for step in made["sequence"]]
    (item,) = (await installation.call("list_campaign_leads", id=made["id"]))["items"]
    explained = await installation.call("explain_lead", id=made["id"], leadId=lead_id)
    figures = await installation.call("get_campaign_analytics", id=made["id"])
    short = await installation.call("get_campaign_performance", id=made["id"])
    sent = [(ids[0], 1, 0), (ids[2], 2, 2)]

    assert places(item["emailHistory"]) == places(explained["attempts"]) == sent
    assert places(figures["steps"]) == places(short["steps"]) == [*sent, (ids[4], 3, 4)]
    for each in (item, explained):
        assert (each["nextStep"], each["nextSequenceStep"]) == (3, 4)
    assert item["totalSteps"] == 3


async def test_the_place_in_an_answer_is_what_preview_takes(installation: Installation) -> None:
    made, lead_id = await sent_two(installation)
    (item,) = (await installation.call("list_campaign_leads", id=made["id"]))["items"]
    common = {"id": made["id"], "leadId": lead_id, "mailboxId": made["mailboxes"][0]}
    texts = [
        (await installation.call("preview_email", sequenceStep=place, **common))["text"]
        for place in (*(email["sequenceStep"] for email in item["emailHistory"]), item["nextSequenceStep"])
    ]
    assert texts == ["One", "Two", "Three"]


async def test_the_samples_of_a_plan_count_alike(installation: Installation) -> None:
    made = await ready_campaign(installation, leads=0, sequence=SEQUENCE)
    await installation.call("add_leads_to_campaign", id=made["id"], leads=[{"email": "a@acme.test"}])
    plan = await installation.call("plan_campaign", id=made["id"])
    assert [(each["step"], each["sequenceStep"], each["text"]) for each in plan["samples"]] == [
        (1, 0, "One"),
        (2, 2, "Two"),
        (3, 4, "Three"),
    ]


async def test_after_the_last_email_there_is_no_next_one(installation: Installation) -> None:
    made, lead_id = await sent_two(installation)
    statement = update(Enrollment).values(next_step=3, last_step=2, status="completed", due_at=None)
    await installation.app.database.write(lambda s: s.execute(statement) and None)
    (item,) = (await installation.call("list_campaign_leads", id=made["id"]))["items"]
    explained = await installation.call("explain_lead", id=made["id"], leadId=lead_id)
    for each in (item, explained):
        assert (each["nextStep"], each["nextSequenceStep"]) == (None, None)


async def test_an_email_that_was_edited_out_keeps_its_id_alone(installation: Installation) -> None:
    made, lead_id = await sent_two(installation)
    kept = [step for place, step in enumerate(made["sequence"]) if place in (0, 3, 4)]
    edited = await installation.call(
        "update_campaign", id=made["id"], sequence=[{**step, "order": place} for place, step in enumerate(kept)]
    )
    gone = made["sequence"][2]["id"]
    assert gone not in {step["id"] for step in edited["sequence"]}
    explained = await installation.call("explain_lead", id=made["id"], leadId=lead_id)
    assert places(explained["attempts"]) == [(kept[0]["id"], 1, 0), (gone, None, None)]


async def test_the_messages_of_a_thread_count_alike(installation: Installation) -> None:
    world, [conversation_id] = await inbox(installation)
    campaign = await installation.call("get_campaign", id=world.campaign_id)
    step_id = campaign["sequence"][0]["id"]
    statement = update(Attempt).values(step_id=step_id)
    await installation.app.database.write(lambda s: s.execute(statement) and None)
    sent, answer = (await installation.call("get_conversation", id=conversation_id))["messages"]
    assert places([sent, answer]) == [(step_id, 1, 0), (None, None, None)]
