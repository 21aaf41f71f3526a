"""unknownVariables = block_launch: a start is refused while a lead lacks a value, on both databases."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import insert

from postrider.campaigns.missing import MAX_CHECKED
from postrider.campaigns.tables import Enrollment
from postrider.kernel.errors import Conflict
from postrider.kernel.ids import new_id
from postrider.leads.tables import Lead
from tests.conftest import Installation
from tests.features.campaign_rig import (
    FIRST,
    WAIT,
    add_lead,
    add_mailbox,
    enrollment_values,
    lead_values,
    ready_campaign,
    refusal,
)


def emails(*bodies: str) -> list[dict[str, Any]]:
    return [step for body in bodies for step in (WAIT, {"type": "email", "body": body})][1:]


async def blocked(world: Installation, *bodies: str, **lead: Any) -> list[str]:
    """What start says about one lead under block_launch; empty when it starts."""
    mailbox_id = await add_mailbox(world, f"m{next(COUNT)}@ann.test")
    made = await world.call(
        "create_campaign",
        name="x",
        sequence=emails(*bodies),
        mailboxIds=[mailbox_id],
        settings={"unknownVariables": "block_launch"},
    )
    await add_lead(world, made["id"], f"l{next(COUNT)}@acme.test", **lead)
    try:
        await world.call("start_campaign", id=made["id"])
    except Conflict as refused:
        return [problem["message"] for problem in refused.details["problems"]]
    return []


COUNT: Iterator[int] = iter(range(1_000_000))


async def test_block_launch_names_lead_and_variable(installation: Installation) -> None:
    found = await blocked(installation, "{{firstName}} at {{Company}} and {{Ice Breaker}}", first_name="Lea")
    assert len(found) == 1
    assert found[0].startswith("l") and found[0].endswith("has no value for {{Company}}, {{Ice Breaker}}")


async def test_block_launch_lets_through_what_is_filled_or_may_stay_empty(installation: Installation) -> None:
    fine: list[tuple[str, dict[str, Any]]] = [
        ("{{firstName}} {{email}} {{contact}} {{weekday}} {{senderName}}", {"first_name": "Lea"}),
        ("{{firstName|there}} {{company|}}", {}),
        ("{{#if company}}at {{company}}{{else}}there{{/if}}", {}),
        ("{{ice_breaker}}", {"custom_fields": {"Ice Breaker": "Nice"}}),
        ("{{company}}", {"custom_fields": {"company": "Acme"}}),
        ("{{fullName}}", {"last_name": "Lang"}),
    ]
    for body, lead in fine:
        assert await blocked(installation, body, **lead) == [], body


async def test_block_launch_looks_at_values_of_blanks_and_into_conditions(installation: Installation) -> None:
    bad: list[tuple[str, dict[str, Any]]] = [
        ("{{company}}", {"company_name": "   "}),
        ("{{#if firstName}}{{company}}{{/if}}", {"first_name": "Lea"}),
        ("{{fullName}}", {}),
        ("{{ice_breaker}}", {"custom_fields": {"Ice Breaker": ""}}),
    ]
    for body, lead in bad:
        assert len(await blocked(installation, body, **lead)) == 1, body


async def test_block_launch_looks_only_at_emails_that_are_still_to_come(installation: Installation) -> None:
    assert await blocked(installation, "{{company}}", "{{firstName}}", first_name="Lea", next_step=1, last_step=0) == []
    assert len(await blocked(installation, "x", "{{company}}", next_step=1, last_step=0)) == 1


async def test_block_launch_passes_over_leads_that_get_nothing_more(installation: Installation) -> None:
    assert await blocked(installation, "{{company}}", status="unsubscribed") == []


async def test_block_launch_names_the_first_leads_of_many(installation: Installation) -> None:
    made = await ready_campaign(
        installation, sequence=emails("{{company}}"), settings={"unknownVariables": "block_launch"}
    )
    for number in range(12):
        await add_lead(installation, made["id"], f"m{number}@acme.test", company_name="Acme" if number % 2 else None)
    problems = await refusal(installation, made["id"])
    assert len(problems) == 7
    for number in range(12, 24):
        await add_lead(installation, made["id"], f"m{number}@acme.test")
    problems = await refusal(installation, made["id"])
    assert len(problems) == 11
    assert "there may be more" in problems[-1]["message"]


async def test_block_launch_refuses_what_no_mailbox_fills(installation: Installation) -> None:
    mailbox_id = await add_mailbox(installation, "bare@ann.test", signature="")
    made = await installation.call(
        "create_campaign",
        name="x",
        sequence=[{**FIRST, "body": "x {{signature}} {{unsubscribe_url}}"}],
        mailboxIds=[mailbox_id],
        settings={"unknownVariables": "block_launch"},
    )
    await add_lead(installation, made["id"])
    assert [problem["message"] for problem in await refusal(installation, made["id"])] == [
        "{{unsubscribe_url}} has no value without a public https address",
        "bare@ann.test has no value for {{signature}}; complete the mailbox",
    ]


async def test_block_launch_says_so_when_there_are_more_leads_than_it_looks_at(installation: Installation) -> None:
    body = "{{ice_breaker}}"
    made = await ready_campaign(
        installation, sequence=emails(body), settings={"unknownVariables": "block_launch"}, leads=0
    )
    people = [lead_values(installation, f"p{n}@acme.test", custom_fields={body[2:-2]: "x"}) for n in range(MAX_CHECKED)]
    places = [enrollment_values(installation, made["id"], person["id"]) for person in people]
    await installation.app.database.write(
        lambda session: (session.execute(insert(Lead), people), session.execute(insert(Enrollment), places))
    )
    answer = await installation.call("start_campaign", id=made["id"])
    assert not any("were checked" in warning for warning in answer["warnings"])
    await installation.call("pause_campaign", id=made["id"])
    await add_lead(installation, made["id"], "beyond@acme.test", id=new_id("cl"))
    answer = await installation.call("resume_campaign", id=made["id"])
    assert any("Only the first 10,000 leads were checked" in warning for warning in answer["warnings"])
