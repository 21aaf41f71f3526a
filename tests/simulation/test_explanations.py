"""Whenever a lead is not written to, explain_lead says why and when next; here time passes, and it comes true."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from postrider.campaigns.tables import Enrollment
from postrider.sending.tables import Attempt, Event
from postrider.settings import Settings
from tests.simulation.scenario import draw
from tests.simulation.stage import Stage, Workspace, on_stage, seeds

BY_THEMSELVES = frozenset({"due", "window", "holiday"})
"""Checks that time alone decides, whatever others are sent."""


@dataclass(frozen=True)
class Statement:
    """What was said of a lead at an instant."""

    at: datetime
    enrollment_id: str
    next_at: datetime | None
    failed: dict[str, datetime | None]


async def explain(stage: Stage, workspace: Workspace, row: Enrollment) -> Statement:
    told: dict[str, Any] = await stage.call(workspace, "explain_lead", id=row.campaign_id, leadId=row.lead_id)
    failed = {check["name"]: instant(check["until"]) for check in told["checks"] if not check["ok"]}
    return Statement(stage.now, row.id, instant(told["nextPossibleAt"]), failed)


def instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


async def explain_all(stage: Stage) -> list[Statement]:
    """One statement about every lead."""
    rows = await stage.rows(Enrollment)
    by_workspace = {workspace.id: workspace for workspace in stage.workspaces}
    return [await explain(stage, by_workspace[row.workspace_id], row) for row in rows]


class History:
    """What happened to whom, read when all is over. A turn: an email that was sent, or found out not to be."""

    def __init__(self, events: list[Event], attempts: list[Attempt]) -> None:
        turns = [event for event in events if event.kind in ("sent", "held", "not_sent")]
        self.turns = {(event.enrollment_id, event.at) for event in turns}
        self.instants = sorted(event.at for event in turns)
        self.sent = [(row.enrollment_id, row.done_at) for row in attempts if row.state == "sent"]

    def next_sent(self, statement: Statement) -> datetime | None:
        """The lead's first email after the statement."""
        own = (at for enrollment_id, at in self.sent if enrollment_id == statement.enrollment_id and at)
        return min((at for at in own if at > statement.at), default=None)

    def is_disturbed(self, statement: Statement, until: datetime) -> bool:
        """Whether anybody's turn came after the statement and before ``until``, or with it."""
        return sum(statement.at < at <= until for at in self.instants) > (
            (statement.enrollment_id, until) in self.turns
        )


def assert_true(statement: Statement, history: History, end: datetime) -> bool:
    """Whether the statement named an instant that nobody else's turn disturbed: then it had to be exactly that."""
    sent_at = history.next_sent(statement)
    if statement.next_at is None:
        assert sent_at is None, statement
        assert statement.failed, statement
        return False
    assert statement.next_at >= statement.at
    assert sent_at is None or sent_at >= statement.next_at, (statement, sent_at)
    quiet = statement.at < statement.next_at < end and not history.is_disturbed(statement, statement.next_at)
    if quiet:
        assert (statement.enrollment_id, statement.next_at) in history.turns, (statement, sent_at)
    return quiet


@pytest.mark.parametrize("seed", seeds(11))
async def test_every_explanation_comes_true(settings: Settings, seed: int) -> None:
    scenario = draw(seed, people=6, campaigns=(1, 2))
    async with on_stage(settings, scenario) as stage:
        await stage.start()
        end = stage.now + timedelta(days=scenario.days)
        looks = [stage.now + timedelta(minutes=scenario.dice.randrange(scenario.days * 1440)) for _ in range(12)]
        said: list[Statement] = []
        async with stage.running():
            async for now in stage.pass_until(end, stops=looks):
                if now in looks:
                    said += await explain_all(stage)
        history = History(await stage.rows(Event), await stage.rows(Attempt))
        exact = sum(assert_true(statement, history, end) for statement in said)
        print(f"{len(said)} explanations, {exact} of them true to the second")
        assert exact > 5


@pytest.mark.parametrize("seed", seeds(13))
async def test_a_check_that_time_decides_passes_when_it_says(settings: Settings, seed: int) -> None:
    scenario = draw(seed, people=5, houses=1, campaigns=(1,))
    async with on_stage(settings, scenario) as stage:
        await stage.start()
        end = stage.now + timedelta(days=scenario.days)
        async with stage.running():
            stops = [stage.now + timedelta(hours=9 * step) for step in range(1, 20)]
            promised: dict[datetime, list[tuple[str, str]]] = {}
            kept = 0
            async for now in stage.pass_until(end, stops=stops):
                statements = {one.enrollment_id: one for one in await explain_all(stage)} if now in stops else {}
                for enrollment_id, name in promised.pop(now, ()):
                    again = statements[enrollment_id]
                    sent_meanwhile = name == "due" and again.failed.get("due", now) != now
                    assert name not in again.failed or sent_meanwhile, (now, name, again)
                    kept += 1
                for one in statements.values():
                    for name in BY_THEMSELVES & one.failed.keys():
                        until = one.failed[name]
                        if until is not None:
                            stops.append(until)
                            promised.setdefault(until, []).append((one.enrollment_id, name))
        assert kept > 20
