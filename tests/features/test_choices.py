"""What a yes was given to is what is acted on: nobody who comes or goes meanwhile. On both databases."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, event, insert, select, update
from sqlalchemy.pool import NullPool

from postrider.adapters.sandbox import Sandbox
from postrider.campaigns.tables import Campaign, Enrollment
from postrider.confirmations.tables import UsedToken
from postrider.dnc.tables import DncEntry
from postrider.inbox.tables import Conversation
from postrider.kernel.clock import SystemClock
from postrider.kernel.context import Context
from postrider.kernel.ids import new_id
from postrider.kernel.policy import Caps
from postrider.leads.tables import Lead
from postrider.mailboxes.tables import Mailbox
from postrider.sending.ports import MailTransport
from postrider.sending.tables import Attempt
from postrider.storage.base import Base
from tests.audit.audit_rig import audit_rows
from tests.conftest import Installation
from tests.features.campaign_rig import (
    SEQUENCE,
    add_lead,
    add_mailbox,
    campaign_row,
    lead_values,
    ready_campaign,
    running_campaign,
    set_campaign,
)
from tests.features.inbox_world import inbox
from tests.features.lead_rig import change
from tests.features.safety_rig import asked, call, caller, count, refused

Change = Callable[[Connection], object]
SMTP = {"host": "smtp.ann.test", "port": 587, "username": "ann", "password": "secret"}
ON_POSTGRESQL = pytest.mark.parametrize("settings", ["postgresql"], indirect=True)
"""SQLite has one writer: nobody comes in between."""


@pytest.fixture
def ports() -> dict[type, object]:
    """Mail leaves, to nowhere."""
    return {MailTransport: Sandbox(SystemClock(), shares=()).transport}


@contextmanager
def others_between_yes_and_effect(world: Installation, *changes: Change) -> Iterator[None]:
    """What others commit, over connections of their own, when the facts have been read and the yes is being used up."""
    url = world.app.settings.database_url
    assert url is not None
    others = create_engine(url, poolclass=NullPool)
    waiting = list(changes)

    def act(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.startswith("INSERT INTO used_confirm_tokens") and waiting:
            with others.begin() as connection:
                for each in waiting:
                    each(connection)
            waiting.clear()

    engine = world.app.database._engine  # type: ignore[attr-defined]  # PostgreSQL's, which is the one looked at here
    event.listen(engine, "before_cursor_execute", act)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", act)
    assert not waiting, "the yes was not used"


async def new_lead(world: Installation, email: str) -> Change:
    values = lead_values(world, email)
    return lambda connection: connection.execute(insert(Lead).values(**values))


@ON_POSTGRESQL
async def test_a_lead_that_comes_behind_the_yes_is_not_deleted(installation: Installation) -> None:
    await installation.call("create_lead", email="a@acme.test")
    agent, choice = caller(installation), {"deleteAll": True}
    token = (await asked(installation, agent, "delete_leads", **choice))["confirmToken"]
    with others_between_yes_and_effect(installation, await new_lead(installation, "new@acme.test")):
        done = await call(installation, agent, "delete_leads", **choice, confirmToken=token)
    assert done["deleted"] == 1
    assert [each["email"] for each in (await installation.call("list_leads"))["items"]] == ["new@acme.test"]


@ON_POSTGRESQL
async def test_leads_of_a_campaign_that_is_started_behind_the_yes_are_protected(installation: Installation) -> None:
    campaign = await running_campaign(installation, SEQUENCE)
    await set_campaign(installation, campaign["id"], status="paused")
    await installation.call("add_leads_to_campaign", id=campaign["id"], leads=[{"email": "a@acme.test"}])
    agent, choice = caller(installation), {"deleteAll": True}
    token = (await asked(installation, agent, "delete_leads", **choice))["confirmToken"]
    start = update(Campaign).where(Campaign.id == campaign["id"]).values(status="active")
    with others_between_yes_and_effect(installation, lambda connection: connection.execute(start)):
        error = await refused(installation, agent, "delete_leads", **choice, confirmToken=token)
    assert error.error_code == "LEADS_IN_ACTIVE_CAMPAIGNS"
    assert await count(installation, Lead) == 1


@ON_POSTGRESQL
async def test_a_conversation_that_comes_behind_the_yes_stays_in_the_inbox(installation: Installation) -> None:
    _, [first, second] = await inbox(installation, leads=2)
    await change(installation, update(Conversation).where(Conversation.id == second).values(status="removed"))
    agent, choice = caller(installation), {"selectAll": True}
    token = (await asked(installation, agent, "delete_conversations", **choice))["confirmToken"]
    back = update(Conversation).where(Conversation.id == second).values(status="open")
    with others_between_yes_and_effect(installation, lambda connection: connection.execute(back)):
        done = await call(installation, agent, "delete_conversations", **choice, confirmToken=token)
    assert done["deleted"] == 1
    assert [each["id"] for each in (await installation.call("list_conversations"))["items"]] == [second]
    assert first != second


async def listed(world: Installation) -> dict[str, str]:
    """The do-not-contact list of the workspace: who, and by whose word."""
    query = select(DncEntry.value, DncEntry.source).where(DncEntry.workspace_id == world.ann.workspace_id)
    rows = await world.app.database.read(lambda session: session.execute(query).all())
    return {row.value: row.source for row in rows}


@ON_POSTGRESQL
async def test_who_is_listed_behind_the_yes_stays_listed_and_so_does_who_says_no_then(
    installation: Installation,
) -> None:
    await installation.call("add_dnc_entries", entries=[{"email": "a@acme.test"}, {"email": "b@acme.test"}])
    agent, choice = caller(installation), {"selectAll": True}
    token = (await asked(installation, agent, "remove_dnc_entries", **choice))["confirmToken"]

    def added(connection: Connection) -> object:
        row = connection.execute(select(DncEntry.__table__).where(DncEntry.value == "a@acme.test")).mappings().one()
        new = {**row, "id": new_id("dnc"), "value": "new@acme.test", "value_hash": "other"}
        return connection.execute(insert(DncEntry).values(**new))

    def said_no(connection: Connection) -> object:
        update_of = update(DncEntry).where(DncEntry.value == "b@acme.test")
        return connection.execute(update_of.values(source="unsubscribe"))

    with others_between_yes_and_effect(installation, added, said_no):
        done = await call(installation, agent, "remove_dnc_entries", **choice, confirmToken=token)
    assert done == {"deleted": 1, "kept": 1}
    assert await listed(installation) == {"b@acme.test": "unsubscribe", "new@acme.test": "manual"}


@ON_POSTGRESQL
async def test_a_lead_that_comes_behind_the_yes_is_not_written_to(installation: Installation) -> None:
    campaign, agent = await running_campaign(installation, SEQUENCE), caller(installation)
    await installation.call("create_lead", email="a@acme.test")
    everybody = {"id": campaign["id"], "selectAll": True}
    token = (await asked(installation, agent, "add_leads_to_campaign", **everybody))["confirmToken"]
    with others_between_yes_and_effect(installation, await new_lead(installation, "new@acme.test")):
        done = await call(installation, agent, "add_leads_to_campaign", **everybody, confirmToken=token)
    assert (done["added"], done["matched"]) == (1, 1)
    assert await count(installation, Enrollment) == 1


@ON_POSTGRESQL
async def test_the_yes_to_a_mailbox_that_somebody_else_has_mended_meanwhile_is_left(installation: Installation) -> None:
    mailbox_id = await add_mailbox(installation, status="error")
    agent, order = caller(installation), {"email": "ann@ann.test", "smtp": SMTP}
    token = (await asked(installation, agent, "create_mailbox", **order))["confirmToken"]
    mended = update(Mailbox).where(Mailbox.id == mailbox_id).values(status="active")
    with others_between_yes_and_effect(installation, lambda connection: connection.execute(mended)):
        error = await refused(installation, agent, "create_mailbox", **order, confirmToken=token)
    assert error.error_code == "CONFLICT" and await count(installation, UsedToken, is_used=True) == 0
    assert [row.outcome for row in await audit_rows(installation)] == ["refused", "started", "refused"]


async def test_a_yes_to_a_choice_is_one_to_those_very_leads(installation: Installation) -> None:
    campaign, agent = await running_campaign(installation, SEQUENCE), caller(installation)
    goes, comes, newest = (f"lead_{number:026}" for number in range(3))
    people = [
        lead_values(installation, f"{lead_id}@acme.test", id=lead_id, country=country)
        for lead_id, country in ((goes, "DE"), (comes, "FR"), (newest, "DE"))
    ]
    await installation.app.database.write(lambda session: session.add_all(Lead(**each) for each in people))
    order = {"id": campaign["id"], "filters": {"country": "DE"}}
    first = await asked(installation, agent, "add_leads_to_campaign", **order)
    await installation.call("update_lead", id=goes, country="FR")
    await installation.call("update_lead", id=comes, country="DE")
    again = await asked(installation, agent, "add_leads_to_campaign", **order, confirmToken=first["confirmToken"])
    assert again["facts"]["people"] == first["facts"]["people"] == 2, "as many, and the newest is the same"
    assert await count(installation, Enrollment) == 0
    await call(installation, agent, "add_leads_to_campaign", **order, confirmToken=again["confirmToken"])
    assert [await count(installation, Enrollment, lead_id=each) for each in (goes, comes, newest)] == [0, 1, 1]


@ON_POSTGRESQL
@pytest.mark.parametrize("table", [Campaign, Lead, Mailbox])
async def test_a_test_email_is_the_one_that_was_agreed_to(installation: Installation, table: type[Base]) -> None:
    campaign, agent = await ready_campaign(installation), caller(installation)
    stored = await campaign_row(installation, campaign["id"])
    edited = json.loads(json.dumps(stored.sequence).replace("First words", "Other words"))
    before: dict[type[Base], dict[str, Any]] = {
        Campaign: {"sequence": stored.sequence, "revision": stored.revision},
        Lead: {"first_name": "Lea"},
        Mailbox: {"signature": "Ann"},
    }
    changed: dict[type[Base], dict[str, Any]] = {
        Campaign: {"sequence": edited, "revision": stored.revision + 1},
        Lead: {"first_name": "Leo"},
        Mailbox: {"signature": "Ann, who sells more"},
    }
    await change(installation, update(table).values(before[table]))
    [lead] = (await installation.call("list_leads"))["items"]
    order = {"id": campaign["id"], "sequenceStep": 0, "mailboxId": stored.mailbox_ids[0], "leadId": lead["id"]}
    token = (await asked(installation, agent, "send_test_email", **order))["confirmToken"]
    edit = update(table).values(changed[table])
    with others_between_yes_and_effect(installation, lambda connection: connection.execute(edit)):
        error = await refused(installation, agent, "send_test_email", **order, confirmToken=token)
    assert error.error_code == "CHANGED_MEANWHILE"
    assert await count(installation, Attempt) == 0
    await change(installation, update(table).values(before[table]))
    sent = await call(installation, agent, "send_test_email", **order, confirmToken=token)
    assert "First words" in sent["preview"]["text"], "the yes has come back"
    assert await count(installation, Attempt, state="sent") == 1


@ON_POSTGRESQL
async def test_a_test_email_leaves_where_only_counts_have_changed_meanwhile(installation: Installation) -> None:
    campaign, agent = await ready_campaign(installation), caller(installation)
    [mailbox_id] = (await campaign_row(installation, campaign["id"])).mailbox_ids
    order = {"id": campaign["id"], "sequenceStep": 0, "mailboxId": mailbox_id, "customEmail": "me@ann.test"}
    token = (await asked(installation, agent, "send_test_email", **order))["confirmToken"]
    counted = update(Mailbox).values(total_sent=7, updated_at=installation.clock.now())
    with others_between_yes_and_effect(installation, lambda connection: connection.execute(counted)):
        await call(installation, agent, "send_test_email", **order, confirmToken=token)
    assert await count(installation, Attempt, state="sent") == 1


async def paused_workspace(world: Installation) -> tuple[str, str]:
    """Two campaigns, the first active and the second paused, in a workspace that is paused."""
    first = await running_campaign(world, SEQUENCE)
    second = await running_campaign(world, SEQUENCE, await add_mailbox(world, "bea@ann.test"))
    await set_campaign(world, second["id"], status="paused")
    await world.call("pause_workspace")
    return first["id"], second["id"]


async def test_the_yes_to_resuming_the_workspace_is_one_to_those_very_campaigns(installation: Installation) -> None:
    agent, [first, second] = caller(installation), await paused_workspace(installation)
    token = (await asked(installation, agent, "resume_workspace"))["confirmToken"]
    await set_campaign(installation, first, status="paused")
    await set_campaign(installation, second, status="active")
    token = (await asked(installation, agent, "resume_workspace", confirmToken=token))["confirmToken"]
    await add_lead(installation, second, status="active")
    again = await asked(installation, agent, "resume_workspace", confirmToken=token)
    assert again["facts"]["people"] == 1 and "(1, with 1 lead)" in again["facts"]["summary"]
    assert not (await call(installation, agent, "resume_workspace", confirmToken=again["confirmToken"]))["paused"]


@ON_POSTGRESQL
async def test_a_campaign_that_is_started_behind_the_yes_to_resuming_is_not_counted_on_it(
    installation: Installation,
) -> None:
    agent, [first, second] = caller(installation, caps=Caps(5)), await paused_workspace(installation)
    token = (await asked(installation, agent, "resume_workspace"))["confirmToken"]
    start = update(Campaign).where(Campaign.id == second).values(status="active")
    with others_between_yes_and_effect(installation, lambda connection: connection.execute(start)):
        await call(installation, agent, "resume_workspace", confirmToken=token)
    held = [(await campaign_row(installation, each)).held_to for each in (first, second)]
    assert held == [[agent.credential_id], None]


async def test_a_choice_for_one_request_is_not_given_to_another(installation: Installation) -> None:
    app, looked = installation.app, list[str]()

    def choose(ctx: Context, request: str) -> str:
        looked.append(request)
        return request.upper()

    def inside(ctx: Context) -> None:
        assert [ctx.once(choose, "these"), ctx.once(choose, "these")] == ["THESE", "THESE"]
        with pytest.raises(ValueError, match="another request"):
            ctx.once(choose, "those")

    now, actor = app.clock.now(), installation.actor()
    await app.database.read(lambda session: inside(Context(session, actor, now, app.settings, app.vault)))
    assert looked == ["these"]
