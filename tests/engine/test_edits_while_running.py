"""Steps put in, taken out, moved and reworded while the campaign runs: nobody gets a step twice or goes back."""

import os
import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from postrider.campaigns.documents import SettingsInput, StepInput
from postrider.campaigns.sequence import email_steps, read_steps
from postrider.campaigns.tables import Campaign
from postrider.sending.tables import Attempt
from tests.conftest import Installation
from tests.engine.world import USERS, World, make_world, pass_time, running_engine
from tests.integration.smtp_rig import transport_with
from tests.integration.smtp_sink import Rule, SmtpSink

LEADS = 16
EDITS = 12
WAIT = {"type": "wait", "waitHours": 20}


@dataclass
class Editor:
    """Edits one campaign at random, and remembers the order of its emails after each edit."""

    installation: Installation
    world: World
    chance: random.Random
    orders: list[tuple[datetime, list[str]]] = field(default_factory=list)
    texts: int = 0

    async def remember(self) -> list[str]:
        """The ids of the emails as they stand now."""
        [campaign] = await self.world.rows(Campaign)
        ids = [email.id for email in email_steps(read_steps(campaign.sequence))]
        self.orders.append((self.installation.clock.now(), ids))
        return ids

    def orders_at(self, instant: datetime) -> list[list[str]]:
        """The orders that stood at the instant: several when an edit fell on it."""
        before = [order for at, order in self.orders if at < instant][-1:]
        return before + [order for at, order in self.orders if at == instant]

    async def edit(self) -> None:
        """One edit, through the operation."""
        ids = await self.remember()
        emails: list[dict[str, Any]] = [{"id": step_id} for step_id in ids]
        match self.chance.choice(["insert", "insert", "remove", "swap", "reword"]):
            case "insert":
                emails.insert(self.chance.randint(0, len(emails)), {})
            case "remove" if len(emails) > 1:
                emails.pop(self.chance.randrange(len(emails)))
            case "swap" if len(emails) > 1:
                first, second = self.chance.sample(range(len(emails)), 2)
                emails[first], emails[second] = emails[second], emails[first]
            case _:
                pass
        await self.installation.call("update_campaign", id=self.world.campaign_id, sequence=self._steps(emails))
        await self.remember()

    def _steps(self, emails: list[dict[str, Any]]) -> list[dict[str, Any]]:
        steps: list[dict[str, Any]] = []
        for email in emails:
            self.texts += 1
            if steps:
                steps.append(WAIT)
            steps.append({**email, "type": "email", "subject": f"Text {self.texts}", "body": f"Text {self.texts}"})
        return steps


@pytest.mark.parametrize(("number", "batch"), [(0, None), (1, 3), (2, 3)])
async def test_edits_in_the_midst_of_sending_send_no_step_twice_and_nobody_backwards(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, number: int, batch: int | None
) -> None:
    """With the leads following at once, and as in a campaign of thousands: a few in each transaction."""
    if batch is not None:
        monkeypatch.setattr("postrider.campaigns.following.BATCH_LEADS", batch)
    seed = os.environ.get("POSTRIDER_TEST_SEED") or os.urandom(6).hex()
    print(f"POSTRIDER_TEST_SEED={seed}")
    async with SmtpSink([Rule("dot", delay_seconds=0.02)], users=USERS) as sink:
        steps = [StepInput(type="email", subject=f"Step {place}", body="<p>Hello</p>") for place in range(4)]
        wait = StepInput(type="wait", wait_hours=20)
        world = await make_world(
            installation,
            port=sink.port,
            leads=LEADS,
            steps=[step for email in steps for step in (wait, email)][1:],
            settings=SettingsInput(email_interval_minutes=0),
        )
        editor = Editor(installation, world, random.Random(f"{seed}|{number}"))
        async with running_engine(installation, transport_with()) as engine:
            for _ in range(EDITS):
                await editor.edit()
                await pass_time(installation, engine, timedelta(hours=editor.chance.randint(0, 30)))
                await _into_the_next_batch(installation)
            await pass_time(installation, engine, timedelta(days=30))
    await _assert_forwards_only(editor, sink)
    assert {row.status for row in await world.enrollments()} == {"completed"}


async def _into_the_next_batch(installation: Installation) -> None:
    """Moves the clock to the next sends, so that the edit to come falls among them."""
    wake = installation.clock.next_wake()
    if wake is not None:
        installation.clock.advance_to(wake)


async def _assert_forwards_only(editor: Editor, sink: SmtpSink) -> None:
    """Every lead's steps are distinct, and each stood behind all that the lead had had when it was sent."""
    attempts: dict[str, Attempt] = {row.message_id: row for row in await editor.world.attempts()}
    assert {row.state for row in attempts.values()} <= {"sent", "deferred"}
    received: defaultdict[str, list[str]] = defaultdict(list)
    for mail in sink.accepted:
        attempt = attempts[mail.message_id]
        before = received[mail.recipients[0]]
        assert attempt.step_id is not None and attempt.step_id not in before
        assert any(_is_ahead(order, before, attempt.step_id) for order in editor.orders_at(attempt.sending_at))
        before.append(attempt.step_id)
    assert len(received) == LEADS
    longest = max(len(steps) for steps in received.values())
    print(f"{len(editor.orders) // 2} edits, {len(sink.accepted)} messages, at most {longest} to one lead")


def _is_ahead(order: list[str], before: list[str], step_id: str) -> bool:
    """Whether the step stood behind all that the lead had had before."""
    return step_id in order and all(order.index(each) < order.index(step_id) for each in before if each in order)
