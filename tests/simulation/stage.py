"""A scenario on a real installation, with the real engine, a mail provider in memory, and time that the test moves."""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import anyio
import pytest
import time_machine
from sqlalchemy import select

from postrider.access.queries import NewOwner
from postrider.adapters.sandbox import Sandbox
from postrider.adapters.sandbox_prospects import Shares
from postrider.app import build
from postrider.engine.worker import Engine, Outside, run_when_free
from postrider.kernel.clock import VirtualClock
from postrider.sending.ports import MailTransport
from postrider.settings import Settings
from tests.conftest import Installation
from tests.simulation.scenario import House, Scenario

SEEDS_VARIABLE = "POSTRIDER_SIMULATION_SEEDS"
"""Seeds to play instead of the usual ones, such as ``POSTRIDER_SIMULATION_SEEDS=7,8`` or ``1-50``."""
STEP_SECONDS = 60.0
"""Wall time after which an instant of virtual time is given up: something waits for what never comes."""


def seeds(*usual: int) -> list[int]:
    """The seeds to play: the usual ones, or those of the environment."""
    wanted = os.environ.get(SEEDS_VARIABLE, "")
    found: list[int] = []
    for part in filter(None, wanted.split(",")):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found or list(usual)


@dataclass
class Workspace:
    """One house of the scenario, as it stands in the database. ``campaigns``: ids in the order of the plots."""

    owner: NewOwner
    house: House
    mailboxes: list[str] = field(default_factory=list)
    campaigns: list[str] = field(default_factory=list)

    @property
    def id(self) -> str:
        return self.owner.workspace_id


@dataclass
class Stage:
    """A scenario in play. ``engine`` is None while none runs.

    ``fewest_emails``: of each campaign so far. ``places``: of edited leads, zone and country before each edit.
    """

    scenario: Scenario
    installation: Installation
    sandbox: Sandbox
    workspaces: list[Workspace]
    engine: Engine | None = None
    polled: int = -1
    fewest_emails: dict[str, int] = field(default_factory=dict)
    places: dict[str, list[tuple[datetime, str | None, str | None]]] = field(default_factory=dict)

    @property
    def now(self) -> datetime:
        return self.installation.clock.now()

    async def call(self, workspace: Workspace, operation: str, **arguments: Any) -> Any:
        """An operation as that workspace's owner calls it."""
        return await self.installation.call(operation, owner=workspace.owner, **arguments)

    async def rows(self, table: type[Any], *where: Any) -> list[Any]:
        """Rows of all workspaces, in the order of their ids."""
        query = select(table).where(*where).order_by(table.id)
        return await self.installation.app.database.read(lambda s: list(s.scalars(query)))

    async def rows_of(self, table: type[Any], order: Any) -> list[Any]:
        """Rows of all workspaces of a table without ids."""
        return await self.installation.app.database.read(lambda s: list(s.scalars(select(table).order_by(order))))

    async def read_mail(self) -> None:
        """Looks at every mailbox once more."""
        assert self.engine is not None
        await self.engine.poll_mail()

    async def furnish(self) -> None:
        """Everything of the scenario, created as its users would; nothing is started."""
        for workspace in self.workspaces:
            for place, (limit, zone) in enumerate(workspace.house.mailboxes):
                made = await self.call(
                    workspace,
                    "create_mailbox",
                    email=f"box{place}@{workspace.id.replace('_', '-')}.test",
                    displayName=f"Box {place}",
                    provider="sandbox",
                    dailySendLimit=limit,
                    timezone=zone,
                )
                workspace.mailboxes.append(made["id"])
            for plot in workspace.house.campaigns:
                made = await self.call(
                    workspace,
                    "create_campaign",
                    name=plot.name,
                    sequence=plot.sequence,
                    schedule=plot.schedule,
                    settings=plot.settings,
                    mailboxIds=[workspace.mailboxes[place] for place in plot.mailboxes],
                )
                workspace.campaigns.append(made["id"])
                self.fewest_emails[made["id"]] = sum(step["type"] == "email" for step in plot.sequence)
                people = [{"email": person.email, **person.fields} for person in plot.people]
                added = await self.call(workspace, "add_leads_to_campaign", id=made["id"], leads=people)
                assert added["added"] == len(people), added
            entries = [{"email": entry, "reason": "a customer"} for entry in workspace.house.dnc]
            await self.call(workspace, "add_dnc_entries", entries=entries)

    async def start(self) -> None:
        """Every campaign begins."""
        for workspace in self.workspaces:
            for campaign_id in workspace.campaigns:
                await self.call(workspace, "start_campaign", id=campaign_id)

    @asynccontextmanager
    async def running(self, outside: Outside | None = None) -> AsyncIterator[Engine]:
        """An engine at work. Without ``outside`` it sends and does not receive."""
        app = self.installation.app
        outside = outside or Outside(app.port(MailTransport))
        engine = Engine(app.settings, app.database, app.vault, app.clock, app.signals, outside)
        stop = asyncio.Event()
        task = asyncio.create_task(run_when_free(engine, stop))
        self.engine = engine
        try:
            yield engine
        finally:
            self.engine = None
            stop.set()
            with anyio.fail_after(STEP_SECONDS):
                await task

    async def settle(self) -> None:
        """Returns when nothing is left to do at this instant: mail is sent, and what came in is read."""
        assert self.engine is not None
        with anyio.fail_after(STEP_SECONDS):
            await self.engine.rest.quiet()
            await self.sandbox.settle()
            if self.polled != self.sandbox.arrivals:
                self.polled = self.sandbox.arrivals
                await self.engine.poll_mail()
            await self.engine.rest.quiet()

    async def pass_until(self, end: datetime, stops: Sequence[datetime] = ()) -> AsyncIterator[datetime]:
        """Lets time pass, from one thing that happens to the next; yields each instant when all is quiet."""
        clock = self.installation.clock
        while True:
            await self.settle()
            yield clock.now()
            if clock.now() >= end:
                return
            wakes = (clock.next_wake(), self.sandbox.next_event_at(), *(at for at in stops if at > clock.now()))
            clock.advance_to(min([end, *(wake for wake in wakes if wake is not None)]))


@asynccontextmanager
async def on_stage(settings: Settings, scenario: Scenario, *, shares: Shares = ()) -> AsyncIterator[Stage]:
    """The scenario furnished on a fresh installation; its seed is in whatever fails. ``shares``: how people behave."""
    print(f"seed {scenario.seed}: {SEEDS_VARIABLE}={scenario.seed} plays it again; it starts at {scenario.start}")
    clock = VirtualClock(scenario.start)
    sandbox = Sandbox(clock, f"simulation-{scenario.seed}", shares=shares)
    key = random.Random(scenario.seed).randbytes(32).hex()
    app = build(replace(settings, engine_lease_seconds=60, secret_key=key), clock=clock, sandbox=sandbox)
    try:
        with _seeded_ids(scenario):
            installation = await Installation.on(app, clock)
            owners = (installation.ann, installation.bob)
            workspaces = [Workspace(owner, house) for owner, house in zip(owners, scenario.houses, strict=False)]
            stage = Stage(scenario, installation, sandbox, workspaces)
            await stage.furnish()
        yield stage
    except BaseException as error:
        error.add_note(f"seed {scenario.seed}")
        raise
    finally:
        await app.close()


@contextmanager
def _seeded_ids(scenario: Scenario) -> Iterator[None]:
    """Ids decide variants, pauses and the order of leads: from the seed too, so that a seed always plays the same."""
    dice = random.Random(f"ids of {scenario.seed}")
    with pytest.MonkeyPatch.context() as patch, time_machine.travel(scenario.start, tick=False):
        patch.setattr("postrider.kernel.ids.random_bytes", dice.randbytes)
        patch.setattr(os, "urandom", dice.randbytes)
        yield
