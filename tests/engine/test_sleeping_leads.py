"""Leads that sleep because it is closed where they are: an edit of the place counts at once, whoever makes it."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import update

from postrider.leads.tables import Lead
from postrider.sending.housekeeping import put_to_sleep
from postrider.sending.plan_queries import candidate_of, due_rows, load_setting
from postrider.sending.planner import decide
from postrider.sending.program import Programs
from tests.conftest import Installation
from tests.engine.world import ALWAYS, USERS, World, make_world, running_engine
from tests.features.lead_rig import change, import_csv
from tests.integration.smtp_rig import transport_with
from tests.integration.smtp_sink import SmtpSink

FRIDAY = datetime(2026, 3, 6, 10, tzinfo=UTC)
MONDAY_IN_TOKYO = datetime(2026, 3, 9, 0, tzinfo=UTC)
OFFICE_HOURS = ALWAYS.model_copy(
    update={
        "use_lead_timezone": True,
        "start_time": "09:00",
        "end_time": "17:00",
        "working_days": [1, 2, 3, 4, 5],
    }
)
OFFICE_DAYS = ALWAYS.model_copy(update={"skip_national_holidays": True})


async def closed_world(
    installation: Installation, port: int, *, schedule: Any = OFFICE_HOURS, at: datetime = FRIDAY, **place: str
) -> World:
    """A campaign with one lead, at an instant at which it is closed for the lead's place."""
    installation.clock.advance_to(at)
    world = await make_world(installation, port=port, emails=["lea@lea.test"], schedule=schedule)
    await change(installation, update(Lead).where(Lead.id == world.lead_ids[0]).values(**place))
    return world


async def told(installation: Installation, world: World) -> tuple[str | None, set[str]]:
    """What explain_lead says comes next, and every day that plan_campaign has mail on."""
    explained = await installation.call("explain_lead", id=world.campaign_id, leadId=world.lead_ids[0])
    plan = await installation.call("plan_campaign", id=world.campaign_id)
    return explained["nextPossibleAt"], {day["date"] for day in plan["days"]}


async def test_an_edited_timezone_wakes_the_lead_at_once(installation: Installation) -> None:
    async with SmtpSink(users=USERS) as sink:
        world = await closed_world(installation, sink.port, timezone="Asia/Tokyo")
        async with running_engine(installation, transport_with()) as engine:
            await engine.rest.quiet()
            [asleep] = await world.enrollments()
            assert (asleep.sleep_until, sink.accepted) == (MONDAY_IN_TOKYO, [])
            assert await told(installation, world) == ("2026-03-09T00:00:00.000Z", {"2026-03-09"})
            await installation.call("update_lead", id=world.lead_ids[0], timezone="Europe/London")
            await engine.rest.quiet()
    assert [mail.recipients for mail in sink.accepted] == [("lea@lea.test",)]


async def test_explanation_and_plan_agree_with_the_engine_after_an_edit(installation: Installation) -> None:
    async with SmtpSink(users=USERS) as sink:
        world = await closed_world(installation, sink.port, timezone="Asia/Tokyo")
        async with running_engine(installation, transport_with()) as engine:
            await engine.rest.quiet()
        await installation.call("update_lead", id=world.lead_ids[0], timezone="Europe/London")
        assert await told(installation, world) == ("2026-03-06T10:00:00.000Z", {"2026-03-06"})
        async with running_engine(installation, transport_with()) as engine:
            await engine.rest.quiet()
    assert len(sink.accepted) == 1


async def test_an_edited_country_wakes_the_lead_from_its_holiday(installation: Installation) -> None:
    unity = datetime(2026, 10, 3, 10, tzinfo=UTC)
    async with SmtpSink(users=USERS) as sink:
        world = await closed_world(installation, sink.port, schedule=OFFICE_DAYS, at=unity, country="Germany")
        async with running_engine(installation, transport_with()) as engine:
            await engine.rest.quiet()
            [asleep] = await world.enrollments()
            assert asleep.sleep_until == datetime(2026, 10, 4, tzinfo=UTC)
            await installation.call("update_lead", id=world.lead_ids[0], country="Sweden")
            await engine.rest.quiet()
    assert len(sink.accepted) == 1


@pytest.mark.parametrize("skip", [True, False])
async def test_an_import_that_changes_the_timezone_wakes_the_lead(installation: Installation, *, skip: bool) -> None:
    async with SmtpSink(users=USERS) as sink:
        world = await closed_world(installation, sink.port, timezone="Asia/Tokyo")
        async with running_engine(installation, transport_with()) as engine:
            await engine.rest.quiet()
        csv = "email,timezone\nlea@lea.test,Europe/London\n"
        await import_csv(installation, "import_leads_csv", csv, skipDuplicates=skip)
        async with running_engine(installation, transport_with()) as engine:
            await engine.rest.quiet()
        [row] = await world.enrollments()
    assert (len(sink.accepted), row.sleep_until) == ((0, MONDAY_IN_TOKYO) if skip else (1, None))


@pytest.mark.parametrize("edit", ["lead", "campaign"])
async def test_whoever_was_edited_since_the_look_is_not_put_to_sleep(installation: Installation, edit: str) -> None:
    """An engine has read the lead by its old place and says so only after the edit."""
    app = installation.app
    world = await closed_world(installation, 1, timezone="Asia/Tokyo")

    def look(session: Any) -> Any:
        setting = load_setting(session, world.workspace_id, Programs(), b"seed", FRIDAY)
        [program] = setting.programs.values()
        rows = due_rows(session, program, FRIDAY, queue=1, limit=5, mailbox_ids=None)
        found = decide(FRIDAY, setting.campaign_states, setting.mailbox_states, map(candidate_of, rows), b"seed")
        return setting, {row.id: row for row in rows}, found.waits

    seen = await app.database.read(look)
    if edit == "lead":
        await installation.call("update_lead", id=world.lead_ids[0], timezone="Europe/London")
    else:
        schedule = OFFICE_HOURS.model_copy(update={"use_lead_timezone": False})
        given = schedule.model_dump(mode="json", by_alias=True)
        await installation.call("update_campaign", id=world.campaign_id, schedule=given)
    assert await app.database.write(lambda s: put_to_sleep(s, *seen)), "it is looked at again"
    [row] = await world.enrollments()
    assert row.sleep_until is None
    seen = await app.database.read(look)
    await app.database.write(lambda s: put_to_sleep(s, *seen))
    assert [row.sleep_until for row in await world.enrollments()] == [None]
