"""Weeks in which nothing happens from outside: what was planned at the start is what then happens, email for email."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pytest

from postrider.campaigns.states import QUEUE_HELD
from postrider.campaigns.tables import Enrollment
from postrider.sending.foreseen import foresee
from postrider.sending.letter import Stationery
from postrider.sending.tables import Attempt
from postrider.sending.windows import local_day
from postrider.settings import Settings
from tests.simulation.scenario import draw
from tests.simulation.stage import Stage, Workspace, on_stage, seeds

Slots = list[tuple[str, int, str, Any]]
"""Lead, number of the email from 0, mailbox, instant: in the order of the instants."""


@dataclass
class Planned:
    """What was said of one campaign before its start."""

    told: dict[str, Any]
    slots: Slots


async def plan(stage: Stage, workspace: Workspace, campaign_id: str) -> Planned:
    app = stage.installation.app
    told = await stage.call(workspace, "plan_campaign", id=campaign_id, horizonDays=stage.scenario.days)
    foreseen = await app.database.read(
        lambda s: foresee(
            s,
            workspace.id,
            campaign_id,
            vault=app.vault,
            stationery=Stationery.of(app.settings, app.vault),
            now=stage.now,
            horizon_days=stage.scenario.days,
        )
    )
    return Planned(told, sorted((s.lead_id, s.step_index, s.mailbox_id, s.at) for s in foreseen.forecast.sends))


async def assert_came_true(stage: Stage, campaign_id: str, zone: str, planned: Planned) -> None:
    attempts = await stage.rows(Attempt, Attempt.campaign_id == campaign_id)
    assert {row.state for row in attempts} <= {"sent"}
    real = sorted((row.lead_id, row.step_index, row.mailbox_id, row.done_at) for row in attempts)
    assert real == planned.slots
    days: defaultdict[date, Counter[str]] = defaultdict(Counter)
    for row in attempts:
        days[local_day(row.done_at, zone)][row.mailbox_id] += 1
    told = {date.fromisoformat(day["date"]): day["mailboxes"] for day in planned.told["days"]}
    assert told == {day: dict(counts) for day, counts in days.items()}
    met, foreseen = await stops(stage, campaign_id), Counter(planned.told["skips"])
    if await goes_on(stage, campaign_id):
        # Whoever has not had their turn at the end is foreseen all the same.
        assert met <= foreseen
    else:
        assert met == foreseen


async def goes_on(stage: Stage, campaign_id: str) -> bool:
    """Whether anybody still waits for a turn."""
    waits = (Enrollment.status == "active", Enrollment.queue != QUEUE_HELD)
    return bool(await stage.rows(Enrollment, Enrollment.campaign_id == campaign_id, *waits))


async def stops(stage: Stage, campaign_id: str) -> Counter[str]:
    """How many leads were held or left out, in the words of the plan."""
    rows = await stage.rows(Enrollment, Enrollment.campaign_id == campaign_id)
    reasons = (row.hold_reason or ("on_dnc" if row.status == "stopped" else None) for row in rows)
    return Counter(reason for reason in reasons if reason)


@pytest.mark.parametrize("seed", seeds(2))
async def test_whatever_was_planned_at_the_start_happens_to_the_second(settings: Settings, seed: int) -> None:
    await assert_planned_is_done(settings, seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", seeds(*range(3, 44)))
async def test_the_same_with_many_seeds(settings: Settings, seed: int) -> None:
    await assert_planned_is_done(settings, seed)


async def assert_planned_is_done(settings: Settings, seed: int) -> None:
    async with on_stage(settings, draw(seed)) as stage:
        await stage.start()
        plans = {
            campaign_id: (plot, await plan(stage, workspace, campaign_id))
            for workspace in stage.workspaces
            for plot, campaign_id in zip(workspace.house.campaigns, workspace.campaigns, strict=True)
        }
        end = stage.now + timedelta(days=stage.scenario.days, microseconds=-1)
        async with stage.running():
            async for _ in stage.pass_until(end):
                pass
        for campaign_id, (plot, planned) in plans.items():
            await assert_came_true(stage, campaign_id, plot.schedule["timezone"], planned)
        print(f"{sum(len(planned.slots) for _, planned in plans.values())} emails, as planned")
