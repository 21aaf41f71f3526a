"""How long one tick of the sender takes that claims 500 due emails, among 10,000 enrollments and among 100,000.

Every enrollment is due, as on the day a large campaign starts. A tick is one committed transaction: load the state,
decide, lease, count. The figure that counts is how much ten times the leads cost.
"""

import asyncio
from statistics import median
from time import perf_counter
from typing import Final

from benchmarks.databases import KINDS, Kind, fresh_settings
from sqlalchemy import func, select, text
from tests.conftest import Installation
from tests.engine.world import make_world

from postrider.app import App, build
from postrider.campaigns.tables import Enrollment
from postrider.sending.claimant import Claimant
from postrider.sending.claims import claim_due
from postrider.sending.program import Programs

FEW: Final = 10_000
MANY: Final = 100_000
CLAIMED: Final = 500
ROUNDS: Final = 7
MAILBOXES: Final = 5
OWNER: Final = "bench"


def measure() -> dict[str, float]:
    """Median milliseconds of a tick on each database and size, and the larger as a multiple of the smaller."""
    figures: dict[str, float] = {}
    for kind in KINDS:
        few, many = (_tick_ms(kind, leads) for leads in (FEW, MANY))
        figures |= {f"{kind}_few_ms": few, f"{kind}_many_ms": many, f"{kind}_ratio": many / few}
    return figures


def _tick_ms(kind: Kind, leads: int) -> float:
    with fresh_settings(kind) as settings:
        app = build(settings)
        return asyncio.run(_measure(app, leads))


async def _measure(app: App, leads: int) -> float:
    try:
        installation = await Installation.on(app)
        world = await make_world(installation, port=25, leads=leads, mailboxes=MAILBOXES)
        # What a database does by itself while a campaign is filled over minutes, not in one transaction.
        await app.database.write(lambda session: session.execute(text("ANALYZE")) and None)
        claimant = Claimant(OWNER, Programs(), app.vault)
        waits = [await _tick_seconds(app, claimant, world.workspace_id) for _ in range(1 + ROUNDS)]
        count = select(func.count()).where(Enrollment.lease_owner == OWNER)
        leased = await app.database.read(lambda session: session.scalar(count))
        if leased != CLAIMED * len(waits):
            raise RuntimeError(f"{len(waits)} ticks claimed {leased} instead of {CLAIMED} each")
        # The first one also compiles statements and reads the campaign.
        return median(waits[1:]) * 1_000
    finally:
        await app.close()


async def _tick_seconds(app: App, claimant: Claimant, workspace_id: str) -> float:
    now, start = app.clock.now(), perf_counter()
    await app.database.write(lambda session: claim_due(session, claimant, workspace_id, now, CLAIMED))
    return perf_counter() - start


if __name__ == "__main__":
    for name, figure in measure().items():
        print(f"{name:20} {figure:10,.2f}")
