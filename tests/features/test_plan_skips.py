"""A plan leaves out whoever will be held or is not to be contacted, found out as the sender will; on both databases."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, update
from sqlalchemy.engine import Connection, Engine

from postrider.campaigns.documents import SettingsInput, StepInput
from postrider.campaigns.tables import Enrollment
from postrider.leads.tables import Lead
from postrider.mailboxes.tables import Mailbox
from postrider.sending import foresight
from tests.conftest import Installation
from tests.engine.world import EMAIL, WAIT, World, make_world

COMPANY = StepInput(type="email", subject="Hello", body="<p>How is {{companyName}}?</p>")
LINK = StepInput(type="email", subject="Hello", body='<p><a href="{{website}}">Your page</a></p>')
FOLLOW_UP = StepInput(type="email", subject="", body="<p>Again, {{ Pet Name }}, {{company|you}}</p>")
SENDER = StepInput(type="email", subject="Hello", body="<p>Yours, {{senderName}}</p>")
SLOW = SettingsInput(email_interval_minutes=10)


async def change(world: World, table: type[Any], row_id: str, **values: Any) -> None:
    """Sets columns of one row."""
    statement = update(table).where(table.workspace_id == world.workspace_id, table.id == row_id).values(**values)
    await world.installation.app.database.write(lambda s: s.execute(statement) and None)


async def plan(world: World, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = await world.installation.call("plan_campaign", id=world.campaign_id, **more)
    return found


async def test_leads_that_lack_a_variable_are_skips_and_not_sends(installation: Installation) -> None:
    world = await make_world(installation, port=1, leads=4, steps=(COMPANY,), settings=SLOW)
    for lead_id in world.lead_ids[:3]:
        await change(world, Lead, lead_id, company_name="Acme")
    found = await plan(world)
    assert (found["plannedSends"], found["skips"]) == (3, {"missing_variable:companyName": 1})
    assert (found["leads"], found["waits"], found["leftOverEmails"]) == (4, {}, 0)


async def test_a_custom_field_counts_however_it_is_spelled(installation: Installation) -> None:
    world = await make_world(installation, port=1, leads=3, steps=(EMAIL, WAIT, FOLLOW_UP), settings=SLOW)
    await change(world, Lead, world.lead_ids[0], custom_fields={"pet_name": "Rex"})
    await change(world, Lead, world.lead_ids[1], custom_fields={"pet_name": "  "})
    found = await plan(world)
    # All get the first email; only the one with a pet gets the second.
    assert (found["plannedSends"], found["skips"]) == (4, {"missing_variable:Pet Name": 2})


async def test_blank_variables_stop_nobody_where_the_campaign_says_so(installation: Installation) -> None:
    settings = SettingsInput(email_interval_minutes=10, unknown_variables="blank")
    world = await make_world(installation, port=1, leads=2, steps=(COMPANY,), settings=settings)
    found = await plan(world)
    assert (found["plannedSends"], found["skips"]) == (2, {})


async def test_what_a_mailbox_lacks_is_found_mailbox_by_mailbox(installation: Installation) -> None:
    world = await make_world(installation, port=1, leads=2, mailboxes=2, steps=(SENDER,), settings=SLOW)
    await change(world, Mailbox, world.mailbox_ids[0], display_name="")
    found = await plan(world)
    assert (found["plannedSends"], found["skips"]) == (1, {"missing_variable:senderName": 1})


async def test_a_value_that_makes_a_forbidden_link_is_a_skip(installation: Installation) -> None:
    world = await make_world(installation, port=1, leads=2, steps=(LINK,), settings=SLOW)
    await change(world, Lead, world.lead_ids[0], website="javascript:alert(1)")
    await change(world, Lead, world.lead_ids[1], website="https://acme.test")
    found = await plan(world)
    assert (found["plannedSends"], found["skips"]) == (1, {"link_not_allowed:website": 1})


async def test_whoever_will_be_held_is_counted_beyond_the_horizon_too(installation: Installation) -> None:
    settings = SettingsInput(email_interval_minutes=10, daily_send_limit=1)
    world = await make_world(installation, port=1, leads=9, steps=(COMPANY,), settings=settings)
    await change(world, Lead, world.lead_ids[0], company_name="Acme")
    found = await plan(world, horizonDays=1)
    assert found["skips"] == {"missing_variable:companyName": 8}
    assert not found["endsAfterHorizon"]


@pytest.mark.parametrize("entry", ["lead1@lead1.test", "lead1.test"])
async def test_the_list_is_asked_for_the_leads_in_question_only(installation: Installation, entry: str) -> None:
    world = await make_world(installation, port=1, leads=3, settings=SLOW)
    others = [{"email": f"other{number}@elsewhere.test"} for number in range(40)]
    await installation.call("add_dnc_entries", entries=[{"email": entry}, *others])
    read = 0

    def count(conn: Connection, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool) -> None:
        nonlocal read
        if "FROM dnc_entries" in statement:
            assert "value_hash IN" in statement
            read += 1

    event.listen(Engine, "before_cursor_execute", count)
    try:
        found = await plan(world)
    finally:
        event.remove(Engine, "before_cursor_execute", count)
    assert (found["plannedSends"], found["skips"]) == (2, {"on_dnc": 1})
    assert read == 1


async def test_only_what_the_person_said_counts_where_the_list_is_not_skipped(installation: Installation) -> None:
    settings = SettingsInput(email_interval_minutes=10, skip_dnc=False)
    world = await make_world(installation, port=1, leads=2, settings=settings)
    await installation.call("add_dnc_entries", entries=[{"email": "lead0@lead0.test"}])
    assert (await plan(world))["skips"] == {}


async def test_leads_are_looked_at_in_chunks(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foresight, "_CHUNK", 2)
    world = await make_world(installation, port=1, leads=7, steps=(COMPANY,), settings=SLOW)
    await installation.call("add_dnc_entries", entries=[{"email": "lead6@lead6.test"}])
    await change(world, Lead, world.lead_ids[6], company_name="Acme")
    assert (await plan(world))["skips"] == {"missing_variable:companyName": 6, "on_dnc": 1}


async def test_an_email_that_is_on_its_way_is_not_planned_again(installation: Installation) -> None:
    world = await make_world(installation, port=1, leads=2, steps=(EMAIL, WAIT, EMAIL), settings=SLOW)
    [first, _] = await world.enrollments()
    claim = {"mailboxId": world.mailbox_ids[0], "mailboxDay": "2026-03-02", "campaignDay": "2026-03-02"}
    await change(world, Enrollment, first.id, lease_owner="engine", claim=claim | {"countsNew": True})
    found = await plan(world)
    assert found["plannedSends"] == 3


async def test_a_new_lead_waits_for_the_mailbox_that_is_free_first(installation: Installation) -> None:
    """One of two mailboxes cools down: what the other allows is what counts."""
    world = await make_world(installation, port=1, leads=1, mailboxes=2, settings=SLOW)
    now = installation.clock.now()
    sooner, later = now + timedelta(minutes=5), now + timedelta(hours=5)
    await change(world, Mailbox, world.mailbox_ids[0], cool_until=later)
    await change(world, Mailbox, world.mailbox_ids[1], free_at=sooner)
    found = await installation.call("explain_lead", id=world.campaign_id, leadId=world.lead_ids[0])
    assert found["nextPossibleAt"] == sooner.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert [check["name"] for check in found["checks"] if not check["ok"]] == ["mailbox"]


async def test_a_mailbox_that_cools_down_is_a_reason_with_an_end(installation: Installation) -> None:
    world = await make_world(installation, port=1, leads=1, settings=SLOW)
    until = installation.clock.now() + timedelta(hours=5)
    await change(world, Mailbox, world.mailbox_ids[0], cool_until=until)
    found = await installation.call("explain_lead", id=world.campaign_id, leadId=world.lead_ids[0])
    assert found["nextPossibleAt"] == until.isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def test_a_lead_that_must_not_be_written_to_has_no_next_instant_in_its_verdict(
    installation: Installation,
) -> None:
    world = await make_world(installation, port=1, leads=1, settings=SLOW)
    await installation.call("add_dnc_entries", entries=[{"email": "lead0@lead0.test"}])
    found = await installation.call("explain_lead", id=world.campaign_id, leadId=world.lead_ids[0])
    assert found["nextPossibleAt"] is None
    assert "do-not-contact" in found["verdict"] and "Next possible" not in found["verdict"]
