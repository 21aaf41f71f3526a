"""Mailboxes, leads and enrollments put straight into the database, for tests of what campaigns do with them."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from postrider.access.queries import NewOwner
from postrider.agents.tables import Agent
from postrider.campaigns.tables import Campaign, DailyCount, Enrollment
from postrider.kernel.errors import Conflict
from postrider.kernel.ids import new_id
from postrider.leads.tables import Lead
from postrider.mailboxes.tables import Mailbox
from tests.conftest import START, Installation

FIRST: dict[str, Any] = {"type": "email", "subject": "Hello {{firstName|there}}", "body": "First words"}
WAIT: dict[str, Any] = {"type": "wait", "waitDays": 3}
SECOND: dict[str, Any] = {"type": "email", "body": "Second words"}
SEQUENCE = [FIRST, WAIT, SECOND]
ACCEPTED = START - timedelta(days=1)
"""When the last email to a lead that waits was accepted."""


async def add_mailbox(
    world: Installation, email: str = "ann@ann.test", owner: NewOwner | None = None, **given: Any
) -> str:
    """A mailbox that can send, unless ``given`` says otherwise; its id."""
    now = world.clock.now()
    values: dict[str, Any] = {
        "workspace_id": (owner or world.ann).workspace_id,
        "id": new_id("mbx"),
        "email": email,
        "display_name": "Ann Example",
        "provider": "sandbox",
        "daily_send_limit": 50,
        "signature": "Ann",
        "timezone": "Europe/Berlin",
        "sending_enabled": True,
        "status": "active",
        "tags": [],
        "cool_count": 0,
        "policy_strikes": 0,
        "consecutive_failures": 0,
        "total_sent": 0,
        "total_received": 0,
        "total_bounced": 0,
        "created_at": now,
        "updated_at": now,
    } | given
    await world.app.database.write(lambda session: session.add(Mailbox(**values)))
    return str(values["id"])


async def add_lead(
    world: Installation, campaign_id: str, email: str = "lea@acme.test", owner: NewOwner | None = None, **given: Any
) -> str:
    """A lead in the campaign; the enrollment's id. Names of the enrollment's columns go there, others to the lead."""
    columns = Enrollment.__table__.c.keys()
    of_lead = {name: value for name, value in given.items() if name not in columns}
    of_enrollment = {name: value for name, value in given.items() if name in columns}
    lead = lead_values(world, email, owner, **of_lead)
    enrollment = enrollment_values(world, campaign_id, lead["id"], owner, **of_enrollment)
    await world.app.database.write(lambda session: session.add_all([Lead(**lead), Enrollment(**enrollment)]))
    return str(enrollment["id"])


def lead_values(world: Installation, email: str, owner: NewOwner | None = None, **given: Any) -> dict[str, Any]:
    """The columns of a lead."""
    now = world.clock.now()
    return {
        "workspace_id": (owner or world.ann).workspace_id,
        "id": new_id("lead"),
        "email": email,
        "custom_fields": {},
        "email_verification_status": "unverified",
        "created_at": now,
        "updated_at": now,
    } | given


def enrollment_values(
    world: Installation, campaign_id: str, lead_id: str, owner: NewOwner | None = None, **given: Any
) -> dict[str, Any]:
    """The columns of an enrollment that nothing has been sent to."""
    now = world.clock.now()
    return {
        "workspace_id": (owner or world.ann).workspace_id,
        "id": new_id("cl"),
        "campaign_id": campaign_id,
        "lead_id": lead_id,
        "status": "pending",
        "next_step": 0,
        "last_step": -1,
        "queue": 1,
        "thread_ids": [],
        "soft_bounces": 0,
        "fence": 0,
        "created_at": now,
        "updated_at": now,
    } | given


async def enrollment_of(world: Installation, enrollment_id: str) -> Enrollment:
    """The enrollment as it stands now."""
    return await world.app.database.read(
        lambda session: session.scalars(select(Enrollment).where(Enrollment.id == enrollment_id)).one()
    )


async def campaign_row(world: Installation, campaign_id: str) -> Campaign:
    """The campaign as it is stored."""
    return await world.app.database.read(
        lambda session: session.scalars(select(Campaign).where(Campaign.id == campaign_id)).one()
    )


async def set_campaign(world: Installation, campaign_id: str, **values: Any) -> None:
    """Writes columns of a campaign, past its operations."""
    await world.app.database.write(
        lambda session: session.execute(update(Campaign).where(Campaign.id == campaign_id).values(**values))
    )


async def add_counts(world: Installation, campaign_id: str, day: str = "2026-03-02", **counts: int) -> None:
    """Counts of one day."""
    rows = [
        DailyCount(
            workspace_id=world.ann.workspace_id,
            campaign_id=campaign_id,
            day=day,
            mailbox_id="",
            step_id="",
            variant="",
            kind=kind,
            count=count,
        )
        for kind, count in counts.items()
    ]
    await world.app.database.write(lambda session: session.add_all(rows))


async def add_agent(world: Installation, owner: NewOwner | None = None) -> str:
    """An AI agent; its id."""
    now = world.clock.now()
    agent = Agent(
        workspace_id=(owner or world.ann).workspace_id,
        id=new_id("agent"),
        name="Robin",
        company_info={},
        persona={},
        is_default=True,
        is_active=True,
        usage={},
        created_at=now,
        updated_at=now,
    )
    await world.app.database.write(lambda session: session.add(agent))
    return agent.id


async def ready_campaign(world: Installation, *, leads: int = 1, **given: Any) -> dict[str, Any]:
    """A draft with a mailbox, two emails and a lead: it can start."""
    mailbox_id = await add_mailbox(world)
    fields = {"name": "Outreach", "sequence": SEQUENCE, "mailboxIds": [mailbox_id]} | given
    campaign: dict[str, Any] = await world.call("create_campaign", **fields)
    for number in range(leads):
        await add_lead(world, campaign["id"], f"lea{number or ''}@acme.test")
    return campaign


async def refusal(world: Installation, campaign_id: str, operation: str = "start_campaign") -> list[dict[str, str]]:
    """The problems that starting meets; nothing may have changed."""
    before = await world.call("get_campaign", id=campaign_id)
    with pytest.raises(Conflict) as refused:
        await world.call(operation, id=campaign_id)
    assert refused.value.error_code == "CAMPAIGN_NOT_READY"
    assert await world.call("get_campaign", id=campaign_id) == before
    problems: list[dict[str, str]] = refused.value.details["problems"]
    assert all(problem["message"] in refused.value.message for problem in problems)
    return problems


async def running_campaign(
    world: Installation, sequence: list[dict[str, Any]], mailbox_id: str | None = None
) -> dict[str, Any]:
    """An active campaign with a mailbox and no leads."""
    mailbox_id = mailbox_id or await add_mailbox(world)
    made: dict[str, Any] = await world.call(
        "create_campaign", name="Running", sequence=sequence, mailboxIds=[mailbox_id]
    )
    await set_campaign(world, made["id"], status="active", started_at=START)
    return made


async def add_waiting(world: Installation, campaign_id: str, next_step: int, wait_days: int = 3, **given: Any) -> str:
    """A lead that was sent everything before ``next_step`` and waits for it."""
    values: dict[str, Any] = {
        "status": "active",
        "queue": 0,
        "last_step": next_step - 1,
        "next_step": next_step,
        "last_accepted_at": ACCEPTED,
        "due_at": ACCEPTED + timedelta(days=wait_days),
        "email": f"l{next_step}@acme.test",
    }
    return await add_lead(world, campaign_id, **values | given)
