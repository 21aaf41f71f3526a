"""A workspace with mailboxes, a campaign and leads, put straight into the tables, and an engine on it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import anyio
from sqlalchemy import func, insert, select

from postrider.campaigns.documents import ScheduleInput, SettingsInput, StepInput
from postrider.campaigns.sequence import normalise_sequence
from postrider.campaigns.states import QUEUE_NEW
from postrider.campaigns.tables import Campaign, Enrollment
from postrider.engine.worker import Engine, Outside, run_when_free
from postrider.kernel.ids import new_id
from postrider.kernel.secret import Secret
from postrider.leads.tables import Lead
from postrider.mailboxes.queries import secret_owner
from postrider.mailboxes.tables import Mailbox
from postrider.sending.ports import MailTransport
from postrider.sending.tables import Attempt
from tests.conftest import Installation

EMAIL = StepInput(type="email", subject="Hello {{firstName|there}}", body="<p>Hi {{firstName|there}}</p>")
WAIT = StepInput(type="wait", wait_days=3)
FOLLOW_UP = StepInput(type="email", subject="", body="<p>Again, {{firstName|there}}</p>")
USERS = {"user": "password"}
ALWAYS = ScheduleInput(
    timezone="UTC",
    start_time="00:00",
    end_time="23:59",
    working_days=[0, 1, 2, 3, 4, 5, 6],
    skip_national_holidays=False,
)


def mailbox_values(workspace_id: str, mailbox_id: str, number: int, now: datetime, **more: Any) -> dict[str, Any]:
    """The columns of a mailbox that works."""
    values: dict[str, Any] = {
        "workspace_id": workspace_id,
        "id": mailbox_id,
        "email": f"sender{number}@acme.test",
        "display_name": f"Sender {number}",
        "provider": "custom",
        "smtp": None,
        "smtp_secret": None,
        "imap": None,
        "imap_secret": None,
        "daily_send_limit": 1_000_000,
        "signature": "",
        "timezone": "UTC",
        "sending_enabled": True,
        "status": "active",
        "last_error": None,
        "tags": [],
        "cool_until": None,
        "cool_count": 0,
        "policy_strikes": 0,
        "consecutive_failures": 0,
        "last_sent_at": None,
        "free_at": None,
        "total_sent": 0,
        "total_received": 0,
        "total_bounced": 0,
        "last_polled_at": None,
        "read_lease_owner": None,
        "created_at": now,
        "updated_at": now,
    }
    return values | more


def lead_values(workspace_id: str, lead_id: str, email: str, now: datetime, **more: Any) -> dict[str, Any]:
    """The columns of a lead."""
    names = ("first_name", "last_name", "company_name", "job_title", "phone", "linkedin_url", "website")
    places = ("city", "state", "country", "timezone", "notes")
    empty = dict.fromkeys((*names, *places))
    return {
        **empty,
        "workspace_id": workspace_id,
        "id": lead_id,
        "email": email,
        "company_domain": email.rpartition("@")[2],
        "custom_fields": {},
        "email_verification_status": "unverified",
        "created_at": now,
        "updated_at": now,
        **more,
    }


def enrollment_values(workspace_id: str, campaign_id: str, lead_id: str, now: datetime) -> dict[str, Any]:
    """The columns of a fresh enrollment in an active campaign."""
    empty = dict.fromkeys(
        ("stop_reason", "hold_reason", "sleep_until", "mailbox_id", "thread_subject", "last_accepted_at", "opened_at")
    )
    stamps = dict.fromkeys(("clicked_at", "replied_at", "bounced_at", "unsubscribed_at", "lease_owner", "claim"))
    return {
        **empty,
        **stamps,
        "workspace_id": workspace_id,
        "id": new_id("cl"),
        "campaign_id": campaign_id,
        "lead_id": lead_id,
        "status": "active",
        "next_step": 0,
        "last_step": -1,
        "queue": QUEUE_NEW,
        "due_at": now,
        "thread_ids": [],
        "soft_bounces": 0,
        "fence": 0,
        "created_at": now,
        "updated_at": now,
    }


@dataclass
class World:
    """One workspace's campaign on an installation."""

    installation: Installation
    campaign_id: str
    mailbox_ids: list[str]
    lead_ids: list[str] = field(default_factory=list)

    @property
    def workspace_id(self) -> str:
        return self.installation.ann.workspace_id

    async def rows(self, table: type[Any], *where: Any) -> list[Any]:
        query = select(table).where(table.workspace_id == self.workspace_id, *where).order_by(table.id)
        return await self.installation.app.database.read(lambda s: list(s.scalars(query)))

    async def attempts(self, state: str | None = None) -> list[Attempt]:
        found = await self.rows(Attempt)
        return [row for row in found if state is None or row.state == state]

    async def count_attempts(self, state: str) -> int:
        query = select(func.count()).where(Attempt.workspace_id == self.workspace_id, Attempt.state == state)
        return await self.installation.app.database.read(lambda s: s.scalar(query) or 0)

    async def enrollments(self) -> list[Enrollment]:
        return await self.rows(Enrollment)


async def make_world(
    installation: Installation,
    *,
    port: int,
    leads: int = 10,
    mailboxes: int = 1,
    steps: Sequence[StepInput] = (EMAIL,),
    settings: SettingsInput | None = None,
    schedule: ScheduleInput = ALWAYS,
    emails: Sequence[str] | None = None,
) -> World:
    """An active campaign of ``leads`` leads that sends over ``mailboxes`` mailboxes to the server on ``port``."""
    app, workspace_id, now = installation.app, installation.ann.workspace_id, installation.app.clock.now()
    world = World(installation, new_id("camp"), [new_id("mbx") for _ in range(mailboxes)])
    server = {"host": "127.0.0.1", "port": port, "security": "none", "username": "user"}
    addresses = emails or [f"lead{number}@lead{number}.test" for number in range(leads)]
    world.lead_ids = [new_id("lead") for _ in addresses]

    def write(session: Any) -> None:
        for number, mailbox_id in enumerate(world.mailbox_ids):
            sealed = app.vault.seal(Secret("password"), secret_owner(workspace_id, mailbox_id, "smtp"))
            values = mailbox_values(workspace_id, mailbox_id, number, now, smtp=server, smtp_secret=sealed)
            session.execute(insert(Mailbox), values)
        session.execute(
            insert(Campaign),
            {
                "workspace_id": workspace_id,
                "id": world.campaign_id,
                "user_id": installation.ann.user_id,
                "name": "Test campaign",
                "status": "active",
                "revision": 1,
                "sequence": [s.model_dump(mode="json", by_alias=True) for s in normalise_sequence(list(steps))],
                "subsequences": [],
                "schedule": schedule.model_dump(mode="json", by_alias=True),
                "settings": (settings or SettingsInput(email_interval_minutes=0)).model_dump(
                    mode="json", by_alias=True
                ),
                "mailbox_ids": world.mailbox_ids,
                "started_at": now,
                "completed_at": None,
                "created_at": now,
                "updated_at": now,
            },
        )
        session.execute(
            insert(Lead),
            [
                lead_values(workspace_id, lead_id, email, now, first_name=f"First{number}")
                for number, (lead_id, email) in enumerate(zip(world.lead_ids, addresses, strict=True))
            ],
        )
        session.execute(
            insert(Enrollment),
            [enrollment_values(workspace_id, world.campaign_id, lead_id, now) for lead_id in world.lead_ids],
        )

    await app.database.write(write)
    return world


@asynccontextmanager
async def running_engine(installation: Installation, transport: MailTransport) -> AsyncIterator[Engine]:
    """An engine at work; stopped and drained at the end."""
    app = installation.app
    engine = Engine(app.settings, app.database, app.vault, app.clock, app.signals, Outside(transport))
    stop = asyncio.Event()
    task = asyncio.create_task(run_when_free(engine, stop))
    try:
        yield engine
    finally:
        stop.set()
        with anyio.fail_after(30):
            await task
        await transport.close()


async def pass_time(installation: Installation, engine: Engine, span: timedelta, *, within: float = 60) -> None:
    """Lets virtual time pass, wake-up by wake-up, the engine doing all there is to do at each."""
    clock, end = installation.clock, installation.clock.now() + span
    with anyio.fail_after(within):
        while True:
            await engine.rest.quiet()
            wake = clock.next_wake()
            if wake is None or wake > end:
                clock.advance_to(end)
                return
            clock.advance_to(wake)
