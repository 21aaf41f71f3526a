"""Mail that would leave by a side door asks, too: imports that update, fills of what is started meanwhile, other
people's campaigns, and more than one call can do. On both databases."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import event, select

from postrider.campaigns.tables import Enrollment
from postrider.dispatch import Call
from postrider.jobs.tables import Job, JobChunk
from postrider.kernel.context import Actor
from postrider.kernel.errors import Conflict, LimitReached
from postrider.kernel.policy import Caps, covered_scopes
from postrider.leads.tables import Lead
from tests.conftest import Installation
from tests.features.campaign_rig import (
    SEQUENCE,
    add_lead,
    enrollment_of,
    enrollment_values,
    lead_values,
    ready_campaign,
    running_campaign,
    set_campaign,
)
from tests.features.lead_rig import run_job
from tests.features.safety_rig import answer, asked, call, caller, count, demand, refused

MERGE = {"csv": "email,firstName\nheld@acme.test,Hanna\n", "skipDuplicates": False}
HELD: dict[str, Any] = {"queue": 2, "hold_reason": "missing_variable: {{firstName}}"}


async def held_lead(world: Installation, campaign_id: str, status: str = "active") -> str:
    """A lead that is held for want of its first name; the enrollment's id."""
    return await add_lead(world, campaign_id, "held@acme.test", status=status, **HELD)


async def first_name(world: Installation) -> str | None:
    query = select(Lead.first_name).where(Lead.email == "held@acme.test")
    return await world.app.database.read(lambda session: session.scalar(query))


async def test_an_import_that_updates_asks_while_a_campaign_runs(installation: Installation) -> None:
    campaign = await running_campaign(installation, SEQUENCE)
    enrollment_id, agent = await held_lead(installation, campaign["id"]), caller(installation)
    await call(installation, agent, "import_leads_csv", csv=MERGE["csv"])
    assert await count(installation, Job) == 1, "one that leaves known leads alone asks nobody"
    details = await asked(installation, agent, "import_leads_csv", **MERGE)
    facts = details["facts"]
    assert (facts["cause"], facts["people"], facts["subject"]) == ("send", 1, campaign["id"])
    draft = await refused(installation, caller(installation, "draft"), "import_leads_csv", **MERGE)
    preparer = caller(installation, "free", scopes=covered_scopes(["prepare"]))
    missing = await refused(installation, preparer, "import_leads_csv", **MERGE)
    assert (draft.error_code, missing.error_code) == ("AUTONOMY_DRAFT", "INSUFFICIENT_SCOPE")
    assert await count(installation, Job) == 1
    started = await call(installation, agent, "import_leads_csv", **MERGE, confirmToken=details["confirmToken"])
    assert (await run_job(installation, started["jobId"]))["state"] == "finished"
    assert await first_name(installation) == "Hanna"
    assert (await enrollment_of(installation, enrollment_id)).hold_reason is None


async def test_a_file_is_not_read_in_for_a_yes_that_does_not_fit(installation: Installation) -> None:
    campaign, agent = await running_campaign(installation, SEQUENCE), caller(installation)
    order = {"id": campaign["id"], "csv": "email,Email\na@acme.test,b@acme.test\n"}
    fill, other = "import_campaign_leads_csv", caller(installation, credential_id="key_other")
    with time_machine.travel(datetime(2026, 3, 2, 8, tzinfo=UTC), tick=False) as wall:
        token = (await asked(installation, agent, fill, **order))["confirmToken"]
        await asked(installation, other, fill, **order, confirmToken=token)
        await asked(installation, agent, fill, **{**order, "tag": "other"}, confirmToken=token)
        tampered = token[:-1] + ("0" if token[-1] != "0" else "1")
        for bad in ("junk", "", tampered):
            await asked(installation, agent, fill, **order, confirmToken=bad)
        for _ in range(2):
            read_in = await refused(installation, agent, fill, **order, confirmToken=token)
            assert read_in.error_code == "VALIDATION_ERROR" and "same name" in read_in.message
        wall.shift(timedelta(minutes=10))
        await asked(installation, agent, fill, **order, confirmToken=token)


async def test_a_file_is_not_read_in_for_a_yes_that_was_used(installation: Installation) -> None:
    campaign, agent = await running_campaign(installation, SEQUENCE), caller(installation)
    order = {"id": campaign["id"], "csv": "email\na@acme.test\n"}
    token = (await asked(installation, agent, "import_campaign_leads_csv", **order))["confirmToken"]
    await call(installation, agent, "import_campaign_leads_csv", **order, confirmToken=token)
    stored = await count(installation, JobChunk)
    await asked(installation, agent, "import_campaign_leads_csv", **order, confirmToken=token)
    assert await count(installation, JobChunk) == stored


async def test_the_yes_to_an_import_that_updates_is_one_to_the_file_and_to_who_is_there(
    installation: Installation,
) -> None:
    campaign, agent = await running_campaign(installation, SEQUENCE), caller(installation, kind="local")
    await held_lead(installation, campaign["id"])
    folder = installation.app.settings.import_dir
    folder.mkdir(parents=True, exist_ok=True)
    file, order = folder / "leads.csv", {"path": "leads.csv", "skipDuplicates": False}
    file.write_text("email,firstName\nheld@acme.test,Hanna\n")
    token = (await asked(installation, agent, "import_leads_csv", **order))["confirmToken"]
    file.write_text("email,firstName\nheld@acme.test,Hanno\n")
    token = (await asked(installation, agent, "import_leads_csv", **order, confirmToken=token))["confirmToken"]
    await add_lead(installation, campaign["id"], "other@acme.test", status="active")
    await asked(installation, agent, "import_leads_csv", **order, confirmToken=token)
    assert await count(installation, Job) == 0


@pytest.mark.parametrize("state", ["draft", "paused"])
async def test_an_import_that_updates_asks_nobody_while_nothing_leaves(installation: Installation, state: str) -> None:
    campaign = await ready_campaign(installation, leads=0)
    await set_campaign(installation, campaign["id"], status=state)
    await held_lead(installation, campaign["id"], "pending")
    started = await call(installation, caller(installation, "draft"), "import_leads_csv", **MERGE)
    assert (await run_job(installation, started["jobId"]))["state"] == "finished"
    assert await first_name(installation) == "Hanna"


async def test_an_import_that_updates_ends_where_a_campaign_was_started_meanwhile(installation: Installation) -> None:
    campaign = await ready_campaign(installation, leads=0)
    enrollment_id = await held_lead(installation, campaign["id"], "pending")
    ids = [
        (await call(installation, who, "import_leads_csv", **MERGE))["jobId"]
        for who in (caller(installation, "draft"), caller(installation), caller(installation, "free"))
    ]
    await installation.call("start_campaign", id=campaign["id"])
    for job_id in ids[:2]:
        job = await run_job(installation, job_id)
        assert job["state"] == "failed" and campaign["id"] in job["error"] and "nobody has agreed" in job["error"]
        assert "Import the file again to have the facts shown" in job["error"]
        assert await first_name(installation) is None
        assert (await enrollment_of(installation, enrollment_id)).hold_reason == HELD["hold_reason"]
    assert (await run_job(installation, ids[2]))["state"] == "finished"
    assert await first_name(installation) == "Hanna"


async def test_an_import_into_a_draft_ends_where_it_was_started_meanwhile(installation: Installation) -> None:
    campaign = await ready_campaign(installation)
    order = {"id": campaign["id"], "csv": "email\nnew@acme.test\n"}
    agents = (caller(installation, "draft"), caller(installation), caller(installation, "free"))
    ids = [(await call(installation, who, "import_campaign_leads_csv", **order))["jobId"] for who in agents]
    await installation.call("start_campaign", id=campaign["id"])
    for job_id in ids[:2]:
        job = await run_job(installation, job_id)
        assert job["state"] == "failed" and "nobody has agreed" in job["error"]
    assert await count(installation, Enrollment) == 1
    assert (await run_job(installation, ids[2]))["state"] == "finished"
    assert await count(installation, Enrollment) == 2


async def test_an_import_that_was_agreed_to_goes_on_behind_a_pause(installation: Installation) -> None:
    campaign, agent = await running_campaign(installation, SEQUENCE), caller(installation)
    order = {"id": campaign["id"], "csv": "email\nnew@acme.test\n"}
    token = (await asked(installation, agent, "import_campaign_leads_csv", **order))["confirmToken"]
    started = await call(installation, agent, "import_campaign_leads_csv", **order, confirmToken=token)
    assert (await run_job(installation, started["jobId"]))["state"] == "finished"
    assert await count(installation, Enrollment, status="active") == 1


@pytest.mark.parametrize("by_choice", [False, True])
async def test_adding_ends_where_the_campaign_was_started_between_two_batches(
    installation: Installation, by_choice: bool
) -> None:
    campaign = await ready_campaign(installation, leads=0)
    people = [lead_values(installation, f"p{number:03}@acme.test") for number in range(501)]
    chosen: dict[str, Any] = {"leads": [{"email": person["email"]} for person in people]}
    if by_choice:
        await installation.app.database.write(lambda s: s.add_all(Lead(**person) for person in people))
        chosen = {"selectAll": True}

    async def started_by_another(done: int, total: int | None, message: str) -> None:
        await set_campaign(installation, campaign["id"], status="active")

    async def add(actor: Actor) -> None:
        order = Call("add_leads_to_campaign", {"id": campaign["id"], **chosen}, actor, progress=started_by_another)
        await installation.app.dispatcher.call(order)

    with pytest.raises(Conflict) as ended:
        await add(caller(installation))
    assert ended.value.error_code == "STARTED_MEANWHILE"
    assert await count(installation, Enrollment) == await count(installation, Enrollment, status="pending") == 500
    await set_campaign(installation, campaign["id"], status="draft")
    await add(caller(installation, "free"))
    assert await count(installation, Enrollment) == 501


def capped(world: Installation, daily: int) -> Actor:
    return caller(world, "free", credential_id="key_capped", caps=Caps(daily))


async def test_a_limit_holds_for_filling_and_editing_the_campaigns_of_others(installation: Installation) -> None:
    campaign, agent = await running_campaign(installation, SEQUENCE), capped(installation, 2)
    three = {"id": campaign["id"], "leads": [{"email": f"p{number}@acme.test"} for number in range(3)]}
    error = await refused(installation, agent, "add_leads_to_campaign", **three)
    assert isinstance(error, LimitReached) and error.error_code == "CREDENTIAL_LIMIT"
    assert (error.details["room"], error.details["people"]) == (2, 3)
    csv = {"id": campaign["id"], "csv": "email\na@b.test\nb@b.test\nc@b.test\n"}
    assert (await refused(installation, agent, "import_campaign_leads_csv", **csv)).error_code == "CREDENTIAL_LIMIT"
    assert await count(installation, Enrollment) == 0
    await call(installation, agent, "add_leads_to_campaign", **{**three, "leads": three["leads"][:2]})
    await installation.call("add_leads_to_campaign", **three)
    edit = {"id": campaign["id"], "sequence": [{**SEQUENCE[0], "subject": "New"}]}
    assert (await refused(installation, agent, "update_campaign", **edit)).error_code == "CREDENTIAL_LIMIT"


async def test_in_its_own_campaign_the_engine_counts(installation: Installation) -> None:
    campaign, agent = await running_campaign(installation, SEQUENCE), capped(installation, 2)
    await set_campaign(installation, campaign["id"], credential_id=agent.credential_id)
    people = [{"email": f"p{number}@acme.test"} for number in range(3)]
    await call(installation, agent, "add_leads_to_campaign", id=campaign["id"], leads=people)
    assert await count(installation, Enrollment) == 3


async def test_a_limit_holds_for_undoing_in_the_campaigns_of_others(installation: Installation) -> None:
    campaign, agent = await running_campaign(installation, SEQUENCE), capped(installation, 2)
    for number in range(3):
        await add_lead(installation, campaign["id"], f"p{number}@acme.test", status="active")
    removal = {"id": campaign["id"], "action": "remove", "selectAll": True}
    undo_id = (
        await answer(installation, caller(installation, "free"), "bulk_action_campaign_leads", **removal)
    ).undo_id
    error = await refused(installation, agent, "undo_operation", id=undo_id)
    assert error.error_code == "CREDENTIAL_LIMIT" and error.details["people"] == 3
    await set_campaign(installation, campaign["id"], credential_id=agent.credential_id)
    assert (await call(installation, agent, "undo_operation", id=undo_id))["restored"] == 3


async def test_a_limit_holds_for_imports_that_update_and_for_resuming_leads(installation: Installation) -> None:
    campaign, agent = await running_campaign(installation, SEQUENCE), capped(installation, 1)
    for number in range(2):
        await add_lead(installation, campaign["id"], f"p{number}@acme.test", status="paused")
    csv = "email,firstName\np0@acme.test,A\np1@acme.test,B\n"
    resume = {"id": campaign["id"], "action": "resume", "selectAll": True}
    for operation, arguments in (
        ("import_leads_csv", {"csv": csv, "skipDuplicates": False}),
        ("bulk_action_campaign_leads", resume),
    ):
        error = await refused(installation, agent, operation, **arguments)
        assert error.error_code == "CREDENTIAL_LIMIT", operation
    assert await count(installation, Enrollment, status="paused") == 2


async def test_what_remains_for_further_calls_counts_for_the_demand_of_a_person(installation: Installation) -> None:
    campaign, agent = await running_campaign(installation, SEQUENCE), caller(installation)
    people = [lead_values(installation, f"p{number:04}@acme.test") for number in range(1_001)]
    places = [enrollment_values(installation, campaign["id"], each["id"], status="active") for each in people]
    await installation.app.database.write(lambda s: s.add_all(Lead(**each) for each in people))
    await installation.app.database.write(lambda s: s.add_all(Enrollment(**each) for each in places))
    removal = {"id": campaign["id"], "action": "remove", "selectAll": True}
    deletion = {"deleteAll": True, "force": True}
    calls = (("bulk_action_campaign_leads", removal), ("delete_leads", deletion))
    for operation, arguments in calls:
        facts = (await asked(installation, agent, operation, **arguments))["facts"]
        assert facts["people"] == 1_001 and "1,000 of 1,001" in facts["summary"], operation
    await demand(installation, approvalAbove=1_000)
    for operation, arguments in calls:
        assert (await refused(installation, agent, operation, **arguments)).error_code == "APPROVAL_NEEDED", operation


@pytest.mark.parametrize("operation", ["delete_campaign", "bulk_action_campaign_leads"])
async def test_the_workspace_is_locked_before_the_campaign_as_by_the_second_markers(
    installation: Installation, operation: str
) -> None:
    campaign, agent = await running_campaign(installation, SEQUENCE), caller(installation)
    await add_lead(installation, campaign["id"], status="active")
    given: dict[str, Any] = {"id": campaign["id"]}
    if operation == "bulk_action_campaign_leads":
        given |= {"action": "remove", "selectAll": True}
    token = (await asked(installation, agent, operation, **given))["confirmToken"]
    locked: list[str] = []
    engine = await installation.app.database.read(lambda session: session.get_bind())

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if "FOR UPDATE" in statement:
            locked.extend(table for table in ("workspaces", "campaigns") if f"FROM {table}" in statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        await call(installation, agent, operation, **given, confirmToken=token)
    finally:
        event.remove(engine, "before_cursor_execute", note)
    is_postgres = engine.dialect.name == "postgresql"
    assert locked[:2] == (["workspaces", "campaigns"] if is_postgres else [])
