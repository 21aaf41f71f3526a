"""Deleting leads stops their mail at once, and undoing that sends nobody a step twice."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from postrider.dispatch import Call
from postrider.mailboxes.ports import MailAccount
from postrider.sending.outcomes import Delivered, Held, Outcome
from postrider.sending.ports import Envelope, Marker
from postrider.sending.tables import Attempt
from tests.conftest import Installation
from tests.engine.world import EMAIL, FOLLOW_UP, WAIT, World, make_world, pass_time, running_engine


class CountingServer:
    """A mail server that takes every message and remembers to whom it went."""

    def __init__(self) -> None:
        self.recipients: list[str] = []

    async def send(self, account: MailAccount, envelope: Envelope, marker: Marker) -> Outcome:
        """See MailTransport."""
        if not await marker():
            return Held("changed meanwhile")
        self.recipients.append(envelope.recipients[0])
        return Delivered("250 ok")

    def hang_up(self) -> None:
        """See MailTransport."""

    async def close(self) -> None:
        """See MailTransport."""


async def call(installation: Installation, name: str, **arguments: Any) -> str:
    answer = await installation.app.dispatcher.call(Call(name, arguments, installation.actor()))
    return answer.undo_id or ""


async def steps_sent(world: World) -> Counter[tuple[str, int | None]]:
    rows = await world.rows(Attempt)
    return Counter((row.recipient, row.step_index) for row in rows)


@pytest.mark.parametrize("before_the_first", [False, True])
@pytest.mark.parametrize("operation", ["delete_leads", "bulk_action_campaign_leads"])
async def test_after_an_undone_deletion_every_step_has_gone_out_once(
    installation: Installation, operation: str, before_the_first: bool
) -> None:
    world = await make_world(installation, port=1, leads=2, steps=[EMAIL, WAIT, FOLLOW_UP])
    server = CountingServer()
    arguments: dict[str, Any] = {"deleteAll": True, "force": True}
    if operation != "delete_leads":
        arguments = {"id": world.campaign_id, "action": "remove", "selectAll": True}
    if before_the_first:
        undo_id = await call(installation, operation, **arguments)
    async with running_engine(installation, server) as engine:
        await pass_time(installation, engine, timedelta(hours=1))
        assert len(server.recipients) == (0 if before_the_first else 2)
        if not before_the_first:
            undo_id = await call(installation, operation, **arguments)
        await pass_time(installation, engine, timedelta(hours=20))
        assert len(server.recipients) == (0 if before_the_first else 2)
        await call(installation, "undo_operation", id=undo_id)
        await pass_time(installation, engine, timedelta(days=20))
    emails = [f"lead{number}@lead{number}.test" for number in range(2)]
    assert Counter(server.recipients) == dict.fromkeys(emails, 2)
    assert await steps_sent(world) == {(email, step): 1 for email in emails for step in (0, 1)}
