"""What may change between a claim and its send, and how claims are shared out."""

from datetime import UTC, datetime

import anyio
from sqlalchemy import update

from postrider.campaigns.tables import Campaign, Enrollment
from postrider.engine.outgoing import CLAIM_LIMIT, LIMITS
from postrider.engine.passages import Passages
from postrider.engine.sender import StepSender
from postrider.leads.tables import Lead
from postrider.mailboxes.tables import SendDay
from postrider.sending.claimant import Claimant
from postrider.sending.claims import claim_due
from postrider.sending.guards import Objection
from postrider.sending.letter import Stationery
from postrider.sending.program import Programs
from postrider.sending.work_queries import load_works
from postrider.storage.leases import take_lease
from tests.conftest import Installation
from tests.engine.world import ALWAYS, USERS, make_world, running_engine
from tests.integration.smtp_rig import transport_with
from tests.integration.smtp_sink import SmtpSink


async def test_an_edit_after_the_claim_sends_nothing_and_gives_the_claim_back(installation: Installation) -> None:
    app = installation.app
    async with SmtpSink(users=USERS) as sink:
        world = await make_world(installation, port=sink.port, leads=1)
        await app.database.hot(lambda c: take_lease(c, "me", 60))
        programs = Programs()
        claimant = Claimant("me", programs, app.vault)
        now = installation.clock.now()
        tick = await app.database.write(lambda s: claim_due(s, claimant, world.workspace_id, now, 10))
        assert tick.claimed is not None
        claimed = tick.claimed
        [work] = await app.database.read(lambda s: load_works(s, claimant, claimed))
        edit = update(Campaign).where(Campaign.id == world.campaign_id).values(revision=Campaign.revision + 1)
        await app.database.write(lambda s: s.execute(edit) and None)
        transport = transport_with()
        sender = StepSender(
            app.database,
            transport,
            app.vault,
            programs,
            Stationery.of(app.settings, app.vault),
            installation.clock,
            Passages(),
        )
        found = await sender.send(work)
        await transport.close()
    assert isinstance(found, Objection)
    assert found.reason == "campaign_edited"
    assert sink.accepted == []
    [enrollment] = await world.enrollments()
    assert (enrollment.lease_owner, enrollment.last_step, enrollment.next_step) == (None, -1, 0)
    used = await app.database.read(lambda s: [row.sent for row in s.query(SendDay)])
    assert set(used) == {0}


async def test_leads_whose_zone_sleeps_do_not_keep_those_behind_them_waiting(installation: Installation) -> None:
    """More sleepers than one tick looks at; the one lead behind them is due now."""
    schedule = ALWAYS.model_copy(update={"use_lead_timezone": True, "start_time": "09:00", "end_time": "17:00"})
    installation.clock.advance_to(datetime(2026, 3, 3, 10, tzinfo=UTC))
    sleepers = [f"sleeper{number}@sleeper{number}.test" for number in range(CLAIM_LIMIT + 20)]
    async with SmtpSink(users=USERS) as sink:
        world = await make_world(
            installation, port=sink.port, emails=[*sleepers, "awake@awake.test"], schedule=schedule
        )
        last = max(row.id for row in await world.enrollments())
        far = update(Lead).where(Lead.email.like("sleeper%")).values(timezone="Pacific/Auckland")
        behind = update(Enrollment).where(Enrollment.lead_id == world.lead_ids[-1]).values(id=f"{last}z")
        await installation.app.database.write(lambda s: s.execute(far) and None)
        await installation.app.database.write(lambda s: s.execute(behind) and None)
        async with running_engine(installation, transport_with()) as engine:
            with anyio.fail_after(20):
                await engine.rest.quiet()
    assert [mail.recipients for mail in sink.accepted] == [("awake@awake.test",)]


async def test_a_large_workspace_leaves_room_for_a_small_one(installation: Installation) -> None:
    """Both send without a pause; the small one's few leads are not kept waiting behind the other's many."""
    swapped = Installation(installation.app, installation.clock, installation.bob, installation.ann)
    many = LIMITS.most * 3
    async with SmtpSink(users=USERS) as sink:
        await make_world(installation, port=sink.port, emails=[f"large{n}@large{n}.test" for n in range(many)])
        await make_world(swapped, port=sink.port, emails=[f"small{n}@small{n}.test" for n in range(5)])
        async with running_engine(installation, transport_with()) as engine:
            await engine.rest.quiet()
    order = [mail.recipients[0] for mail in sink.accepted]
    assert len(order) == many + 5
    last_small = max(place for place, address in enumerate(order) if address.startswith("small"))
    assert last_small < LIMITS.most * 2
