"""What a yes was given to is what is acted on: nobody who comes or goes meanwhile. On both databases."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, event, insert, select, update
from sqlalchemy.pool import NullPool

from postrider.campaigns.tables import Campaign, Enrollment
from postrider.confirmations.tables import UsedToken
from postrider.dnc.tables import DncEntry
from postrider.inbox.tables import Conversation
from postrider.kernel.ids import new_id
from postrider.leads.tables import Lead
from postrider.mailboxes.tables import Mailbox
from tests.audit.audit_rig import audit_rows
from tests.conftest import Installation
from tests.features.campaign_rig import SEQUENCE, add_mailbox, lead_values, running_campaign, set_campaign
from tests.features.inbox_world import inbox
from tests.features.lead_rig import change
from tests.features.safety_rig import asked, call, caller, count, refused

Change = Callable[[Connection], object]
SMTP = {"host": "smtp.ann.test", "port": 587, "username": "ann", "password": "secret"}
ON_POSTGRESQL = pytest.mark.parametrize("settings", ["postgresql"], indirect=True)
"""SQLite has one writer: nobody comes in between."""


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
    assert error.error_code == "CONFLICT" and await count(installation, UsedToken) == 0
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
