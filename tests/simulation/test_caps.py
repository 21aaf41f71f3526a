"""Weeks in which credentials with limits start, fill and edit campaigns, write replies and send tests: none ever
causes too much."""

import random
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from postrider.adapters.mail_parser import MailParser
from postrider.campaigns.tables import Enrollment
from postrider.dispatch import Call
from postrider.engine.worker import Outside
from postrider.inbox.ports import MailReader
from postrider.kernel.context import Actor
from postrider.kernel.errors import PostriderError
from postrider.sending.ports import MailTransport
from postrider.sending.tables import Attempt, OutgoingReply
from postrider.settings import Settings
from tests.engine.caps_rig import capped, counted
from tests.simulation.scenario import draw
from tests.simulation.stage import Stage, Workspace, on_stage, seeds
from tests.simulation.test_plan_is_reality import assert_came_true, plan
from tests.simulation.troubles import PEOPLE, trouble_servers


@dataclass
class Callers:
    """Credentials of the first workspace at work. ``started``: by campaign, who started it from when on; ``changed``:
    who changed it while it ran, and when.
    """

    stage: Stage
    dice: random.Random
    actors: list[Actor] = field(default_factory=list)
    started: dict[str, list[tuple[datetime, str]]] = field(default_factory=dict)
    changed: dict[str, list[tuple[datetime, str]]] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)

    @property
    def workspace(self) -> Workspace:
        return self.stage.workspaces[0]

    async def arrive(self) -> None:
        """An old one, a new one, a connected app, one with room for edits, and the owner's without a limit."""
        world, owner = self.stage.installation, self.workspace.owner
        self.actors = [
            await capped(world, daily=self.dice.randint(2, 6), owner=owner),
            await capped(world, 5, self.dice.randint(1, 3), age=timedelta(hours=self.dice.randrange(20)), owner=owner),
            await capped(world, daily=3, by_grant=True, owner=owner),
            await capped(world, daily=self.dice.randint(8, 12), owner=owner),
            replace(world.actor(owner), credential_id="key_free"),
        ]
        for campaign_id in self.workspace.campaigns:
            await self.start(campaign_id, "start_campaign")

    async def start(self, campaign_id: str, verb: str) -> None:
        """Somebody starts or resumes it."""
        actor = self.dice.choice(self.actors)
        while not await self.does(actor, verb, id=campaign_id):
            actor = self.dice.choice(self.actors)
        self.started.setdefault(campaign_id, []).append((self.stage.now, actor.credential_id))

    async def does(self, actor: Actor, operation: str, **arguments: Any) -> bool:
        """Whether the call was not refused."""
        try:
            await self.stage.installation.app.dispatcher.call(Call(operation, arguments, actor))
        except PostriderError as error:
            self.refused[error.error_code] += 1
            return False
        return True

    async def act(self) -> None:
        """A reply, a test, a few leads more, a campaign of anybody edited, or somebody else takes it over."""
        actor, campaign_id = self.dice.choice(self.actors), self.dice.choice(self.workspace.campaigns)
        what = self.dice.choice((*("reply",) * 3, "test", "test", *("fill",) * 4, *("edit",) * 3, "take over"))
        if what == "test":
            mailbox_id = self.dice.choice(self.workspace.mailboxes)
            test = {"id": campaign_id, "sequenceStep": 0, "mailboxId": mailbox_id, "customEmail": "me@me.test"}
            variables = {"firstName": "Lee", "companyName": "Acme", "Pet": "Rex", "city": "Ulm"}
            await self.does(actor, "send_test_email", **test, customVariables=variables)
        elif what == "fill":
            names = [f"more{self.dice.randrange(10**9)}@fresh.test" for _ in range(self.dice.randint(1, 2))]
            fields: dict[str, Any] = {"firstName": "Kim", "companyName": "Fresh", "city": "Ulm"}
            fields["customFields"] = {"Pet": "Mo"}
            leads = [{"email": name, **fields} for name in names]
            await self.does(actor, "add_leads_to_campaign", id=campaign_id, leads=leads)
        elif what == "reply":
            found = (await self.stage.call(self.workspace, "list_conversations", limit=50))["items"]
            for row in self.dice.sample(found, min(3, len(found))):
                await self.does(actor, "send_reply", id=row["id"], body="Thank you!")
        elif what == "edit":
            for each in self.dice.sample(self.actors, len(self.actors)):
                if await self.edit(each, campaign_id):
                    break
        elif await self.does(actor, "pause_campaign", id=campaign_id):
            await self.start(campaign_id, "resume_campaign")

    async def edit(self, actor: Actor, campaign_id: str) -> bool:
        """Somebody sets its limits or hours anew, whoever has started it; False where that is refused."""
        limit, days = self.dice.choice((0, 1, 3, 50, 100)), sorted(self.dice.sample(range(7), 6))
        edits = ({"dailySendLimit": limit}, {"newLeadsPerDay": limit}, {"workingDays": days})
        edit = self.dice.choice(edits)
        part = "schedule" if "workingDays" in edit else "settings"
        before = await self.stage.call(self.workspace, "get_campaign", id=campaign_id)
        if not await self.does(actor, "update_campaign", id=campaign_id, **{part: edit}):
            return False
        after = await self.stage.call(self.workspace, "get_campaign", id=campaign_id)
        if before["status"] == "active" and after["revision"] > before["revision"]:
            self.changed.setdefault(campaign_id, []).append((self.stage.now, actor.credential_id))
        return True

    def behind(self, campaign_id: str, at: datetime) -> set[str]:
        """Who had started the campaign at that instant, and who had changed it since."""
        since, starter = [each for each in self.started[campaign_id] if each[0] <= at][-1]
        return {starter, *(who for when, who in self.changed.get(campaign_id, []) if since <= when <= at)}


@pytest.mark.parametrize("seed", seeds(3))
async def test_what_is_planned_under_limits_happens_to_the_second(settings: Settings, seed: int) -> None:
    await assert_planned_is_done(settings, seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", seeds(*range(5, 25)))
async def test_the_same_of_plans_with_many_seeds(settings: Settings, seed: int) -> None:
    await assert_planned_is_done(settings, seed)


async def assert_planned_is_done(settings: Settings, seed: int) -> None:
    scenario = draw(seed, people=14, houses=1, campaigns=(3,))
    async with on_stage(settings, scenario) as stage:
        callers = Callers(stage, scenario.dice)
        await callers.arrive()
        [workspace] = stage.workspaces[:1]
        plans = [await plan(stage, workspace, campaign_id) for campaign_id in workspace.campaigns]
        end = stage.now + timedelta(days=scenario.days, microseconds=-1)
        async with stage.running():
            async for _ in stage.pass_until(end):
                pass
        for plot, campaign_id, planned in zip(workspace.house.campaigns, workspace.campaigns, plans, strict=True):
            await assert_came_true(stage, campaign_id, plot.schedule["timezone"], planned)
        used = [await counted(stage.installation, actor.credential_id) for actor in callers.actors]
        assert any(used), "some campaign had a limit"


@pytest.mark.parametrize("seed", seeds(8))
async def test_no_credential_ever_causes_more_than_its_limit(settings: Settings, seed: int) -> None:
    await assert_limits_hold(settings, seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", seeds(*range(5, 25)))
async def test_the_same_with_many_seeds(settings: Settings, seed: int) -> None:
    await assert_limits_hold(settings, seed)


async def assert_limits_hold(settings: Settings, seed: int) -> None:
    scenario = draw(seed, people=14, houses=1, campaigns=(3,))
    async with on_stage(settings, scenario, shares=PEOPLE) as stage:
        trouble_servers(scenario, stage.sandbox.transport)
        app, dice, end = stage.installation.app, scenario.dice, stage.now + timedelta(days=8)
        callers = Callers(stage, dice)
        await callers.arrive()
        times = sorted(stage.now + timedelta(minutes=dice.randrange(8 * 1440)) for _ in range(90))
        # The engine is stopped and started again in the middle.
        for until in (stage.now + timedelta(days=3), end):
            async with stage.running(Outside(app.port(MailTransport), app.port(MailReader), MailParser())):
                async for now in stage.pass_until(until, stops=times):
                    if now in times:
                        await callers.act()
        await assert_within_limits(stage, callers)


async def assert_within_limits(stage: Stage, callers: Callers) -> None:
    """What the provider accepted, put down to whoever caused it."""
    attempts = {row.message_id: row for row in await stage.rows(Attempt)}
    writers: dict[str, str | None] = {row.id: row.created_by for row in await stage.rows(OutgoingReply)}
    fillers = {row.id: row.credential_id for row in await stage.rows(Enrollment)}
    filled = 0
    caused: Counter[tuple[str, str]] = Counter()
    first: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    young = {actor.credential_id: actor.caps.first_day_until for actor in callers.actors}
    for mail in stage.sandbox.accepted:
        row = attempts[mail.message_id]
        names = {row.credential_id or writers.get(row.purpose_key)}
        if row.purpose == "step":
            names = {*callers.behind(str(row.campaign_id), row.sending_at), fillers[row.enrollment_id]}
        for who in filter(None, names):
            until = young.get(who)
            caused[who, row.sending_at.date().isoformat()] += 1
            first[who] += until is not None and row.sending_at < until
        kinds[row.purpose] += 1
        filled += row.purpose == "step" and fillers[row.enrollment_id] is not None
    unknown = sum(row.state == "unknown" for row in attempts.values())
    edits = sum(map(len, callers.changed.values()))
    print(
        f"{dict(kinds)}, {filled} to leads of fills, {edits} edits, {unknown} unknown, refused {dict(callers.refused)}"
    )
    assert set(kinds) == {"step", "reply", "test"} and edits and callers.refused["CREDENTIAL_LIMIT"]
    reached = 0
    for actor in callers.actors:
        days = {day: count for (who, day), count in caused.items() if who == actor.credential_id}
        limit, opening = actor.caps.daily_sends, actor.caps.first_day_sends
        assert limit is None or all(count <= limit for count in days.values()), (actor.credential_id, days)
        assert opening is None or first[actor.credential_id] <= opening
        reached += sum(count == limit for count in days.values())
        if limit is not None:
            booked = await counted(stage.installation, actor.credential_id)
            assert all(count <= booked[day] for day, count in days.items()), "whatever left is counted"
            assert sum(booked.values()) <= sum(days.values()) + unknown, "and nothing else, but for the unknown"
    assert reached > 3, "the limits were met"
