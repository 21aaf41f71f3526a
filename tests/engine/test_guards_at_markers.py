"""Whatever comes to forbid a send before its first marker or between its markers: no dot, the reason, and once later.

One row for each guard, made from the list of guards itself.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest

from postrider.campaigns.documents import SettingsInput
from postrider.engine.passages import Passages
from postrider.engine.sender import StepSender
from postrider.mailboxes.ports import MailAccount
from postrider.mailboxes.tables import SendDay
from postrider.sending.claimant import Claimant
from postrider.sending.claims import claim_due
from postrider.sending.epoch import FILE_NAME, beat, note
from postrider.sending.guards import Objection
from postrider.sending.letter import Stationery
from postrider.sending.outcomes import Held, Outcome
from postrider.sending.ports import Envelope, MailTransport, Marker
from postrider.sending.program import Programs
from postrider.sending.tables import Event
from postrider.sending.work import StepWork
from postrider.sending.work_queries import load_works
from postrider.storage.leases import take_lease
from tests.conftest import Installation
from tests.engine.guard_changes import CHANGES, COPY, EMAIL, ENGINE, Change, named_guards
from tests.engine.world import ALWAYS, USERS, World, make_world, pass_time, running_engine
from tests.integration.smtp_rig import transport_with
from tests.integration.smtp_sink import SmtpSink

At = Literal["first marker", "second marker"]

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
OFFICE_HOURS = ALWAYS.model_copy(update={"start_time": "09:00", "end_time": "17:00"})
WITH_COPY = SettingsInput(email_interval_minutes=0, cc=[COPY])
ROWS = [
    pytest.param(guard, reason, change, id=f"{guard}-{change.name if change else 'has no row'}")
    for guard, reason in named_guards()
    for change in CHANGES.get(guard, [None])
]


@dataclass
class Interposed:
    """A transport in front of whose second marker something happens."""

    inner: MailTransport
    happen: Callable[[], Awaitable[object]]

    async def send(self, account: MailAccount, envelope: Envelope, marker: Marker) -> Outcome:
        """See MailTransport.send."""

        async def marked() -> bool:
            await self.happen()
            return await marker()

        return await self.inner.send(account, envelope, marked)

    def hang_up(self) -> None:
        """See MailTransport.hang_up."""
        self.inner.hang_up()

    async def close(self) -> None:
        """See MailTransport.close."""
        await self.inner.close()


@pytest.mark.parametrize("at", ["first marker", "second marker"])
@pytest.mark.parametrize(("guard", "reason", "change"), ROWS)
async def test_a_change_before_a_marker_stops_the_send_and_its_cure_sends_once(
    installation: Installation, guard: str, reason: str, change: Change | None, at: At
) -> None:
    assert change is not None, f"{guard} has no change in guard_changes.CHANGES: nothing shows that it works"
    installation.clock.advance_to(NOON)
    async with SmtpSink(users=USERS) as sink:
        world = await make_world(
            installation, port=sink.port, emails=[EMAIL], schedule=OFFICE_HOURS, settings=WITH_COPY
        )
        work, programs = await _claimed(world)
        found = await _send(world, work, programs, change, at)
        if at == "first marker":
            assert isinstance(found, Objection)
            assert (found.guard, found.reason) == (guard, reason)
            assert await world.attempts() == []
            assert sink.commands == []
        else:
            assert found == Held(reason)
            [attempt] = await world.attempts()
            assert attempt.dotted_at is None
            # Whoever lost the claim writes nothing; whoever has it now does.
            assert attempt.state == ("sending" if change.name == "the_lease_ran_out" else "deferred")
            assert [line for _, line in sink.commands if line == "DATA"]
        assert sink.accepted == []
        not_sent = [row.data["reason"] for row in await world.rows(Event) if row.kind == "not_sent"]
        assert not_sent == ([] if reason == "claim_lost" else [reason])
        await _engine_runs_for_a_day(world, change)
        assert [mail.recipients for mail in sink.accepted] == [(EMAIL, COPY)]
    [attempt] = await world.attempts()
    assert (attempt.state, attempt.message_id) == ("sent", sink.accepted[0].message_id)
    days = await installation.app.database.read(lambda s: [row.sent for row in s.query(SendDay) if row.sent])
    assert days == [1, 1], "once for the mailbox and once for the campaign"


async def _claimed(world: World) -> tuple[StepWork, Programs]:
    """The lead's first email, claimed by an engine that is not this process's."""
    app, programs = world.installation.app, Programs()
    claimant, now = Claimant(ENGINE, programs, app.vault), app.clock.now()
    await app.database.hot(lambda c: take_lease(c, ENGINE, 60))
    note(app.settings.data_dir / FILE_NAME, await app.database.hot(beat))
    tick = await app.database.write(lambda s: claim_due(s, claimant, world.workspace_id, now, 10))
    claimed = tick.claimed
    assert claimed is not None
    [work] = await app.database.read(lambda s: load_works(s, claimant, claimed))
    return work, programs


async def _send(world: World, work: StepWork, programs: Programs, change: Change, at: At) -> Outcome | Objection | str:
    """Sends it; the change is committed just before the marker in question is asked for."""
    app, made = world.installation.app, 0

    async def happen() -> None:
        nonlocal made
        await change.make(world)
        made += 1

    stationery, inner = Stationery.of(app.settings, app.vault), transport_with()
    transport: MailTransport = Interposed(inner, happen) if at == "second marker" else inner
    sender = StepSender(app.database, transport, app.vault, programs, stationery, app.clock, Passages())
    if at == "first marker":
        await happen()
    found = await sender.send(work)
    await transport.close()
    assert made == 1
    return found


async def _engine_runs_for_a_day(world: World, change: Change) -> None:
    await change.cure(world)
    async with running_engine(world.installation, transport_with()) as engine:
        await pass_time(world.installation, engine, timedelta(days=1))
