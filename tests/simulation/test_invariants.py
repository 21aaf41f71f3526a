"""The audit notices what is wrong: each thing that may never happen is made to look as if it had."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from postrider.sending.tables import Event
from postrider.settings import Settings
from tests.simulation.invariants import Audit, unexplained
from tests.simulation.scenario import draw
from tests.simulation.stage import on_stage

Spoil = Callable[[Audit], object]


def half_a_day_late(audit: Audit) -> None:
    audit.sends[-1] = replace(audit.sends[-1], at=audit.sends[-1].at + timedelta(hours=12))


def crowd(audit: Audit) -> None:
    """Everything of one mailbox leaves at one instant."""
    audit.sends[:] = [replace(send, at=audit.sends[0].at) for send in audit.sends]


def bounce_first(audit: Audit) -> None:
    first = audit.sends[0]
    audit.events.append(Event(kind="bounced", lead_id=first.attempt.lead_id, at=first.at - timedelta(seconds=1)))


def past_the_end(audit: Audit) -> None:
    audit.enrollments[0].status, audit.enrollments[0].next_step = "active", 99
    audit.campaigns[audit.enrollments[0].campaign_id].status = "active"


WRONG: dict[str, tuple[str, Spoil]] = {
    "a phantom": ("accepted_is_the_ledger", lambda audit: audit.sends.pop()),
    "a message twice": ("nobody_twice", lambda audit: audit.sends.append(audit.sends[0])),
    "a lost lead": ("nobody_lost", lambda audit: setattr(audit.enrollments[0], "status", "forgotten")),
    "an overdue lead that nothing holds up": ("nobody_forgotten", lambda audit: audit.unexplained.append("cl_x")),
    "a lead behind the last email": ("nobody_past_the_end", past_the_end),
    "too much for a day": ("limits", crowd),
    "no pause": ("pauses", crowd),
    "a closed window": ("hours", half_a_day_late),
    "no wait": ("waits", crowd),
    "mail after a bounce": ("nobody_after_the_end", bounce_first),
    "an event too many": ("counts", lambda audit: audit.counts.update({(next(iter(audit.campaigns)), "sent"): 1})),
}


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
async def test_everything_that_may_never_happen_is_noticed(settings: Settings) -> None:
    scenario = draw(3, people=8, houses=1, campaigns=(1,))
    async with on_stage(settings, scenario) as stage:
        await stage.start()
        async with stage.running():
            async for _ in stage.pass_until(stage.now + timedelta(days=scenario.days)):
                pass
        sound = await Audit.of(stage)
        assert sound.problems() == [] and len(sound.sends) > 5
        for name, (check, spoil) in WRONG.items():
            audit = await Audit.of(stage)
            spoil(audit)
            assert check in {problem.partition(":")[0] for problem in audit.problems()}, name


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
async def test_leads_that_no_engine_sends_to_are_found_overdue_without_a_reason(settings: Settings) -> None:
    async with on_stage(settings, draw(3, people=8, houses=1, campaigns=(1,))) as stage:
        await stage.start()
        for _ in range(5 * 24):
            stage.installation.clock.advance_to(stage.now + timedelta(hours=1))
            if await unexplained(stage):
                break
        problems = (await Audit.of(stage)).problems()
        assert "nobody_forgotten" in {problem.partition(":")[0] for problem in problems}
