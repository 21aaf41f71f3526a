"""kill -9 at every point of one send: nobody gets anything twice, nobody is forgotten, unknown is bounded."""

from dataclasses import dataclass

import pytest

from tests.engine.crash.crash_world import LANES, CrashWorld, seeded
from tests.engine.crash.engine_process import Trap
from tests.integration.smtp_sink import Rule
from tests.integration.smtp_sink_session import Deed, SinkStage

KILLS = 5
NEW_LEADS = 8


@dataclass(frozen=True)
class Point:
    """Where the engine dies: seen by the sink at ``stage``, or known only to the engine itself (``trap``).

    ``before_354``: nothing that is on its way then can be past DATA.
    """

    name: str
    stage: SinkStage | None = None
    deed: Deed = "hang"
    trap: Trap | None = None
    before_354: bool = False


POINTS = (
    Point("after_mail", "mail", before_354=True),
    Point("after_rcpt", "rcpt", before_354=True),
    Point("after_data", "data", before_354=True),
    Point("in_the_body", "body", "note"),
    Point("marked_but_no_dot", trap=Trap("marker")),
    Point("dot_sent_not_accepted", "dot", "hang"),
    Point("accepted_not_answered", "dot", "accept_hang"),
    Point("answered_not_committed", trap=Trap("answer")),
)


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.name)
async def test_a_kill_at_any_point_sends_nothing_twice_and_loses_nothing(crash: CrashWorld, point: Point) -> None:
    chance = seeded(point.name)
    dotted: set[str] = set()
    for _ in range(KILLS):
        await _die(crash, point, chance.randint(1, LANES))
        fresh = {row.id for row in await crash.world.attempts("dotted")} - dotted
        assert len(fresh) <= (0 if point.before_354 else 2 * LANES)
        dotted |= fresh
        await crash.add_leads(NEW_LEADS)
    last = crash.start()
    await crash.until_settled()
    await last.stop()
    audit = await crash.audit()
    audit.assert_clean()
    assert audit.sent + audit.unknown == crash.leads
    assert audit.unknown == len(dotted)
    print(point.name, audit)


async def _die(crash: CrashWorld, point: Point, nth: int) -> None:
    """Starts an engine and ends it at the ``nth`` message that comes to the point."""
    if point.stage is None:
        assert point.trap is not None
        engine = crash.start(Trap(point.trap.at, nth=nth))
    else:
        came = 0

        def watch(stage: SinkStage, addresses: object) -> None:
            nonlocal came
            came += 1
            if came == nth:
                engine.send(9)

        crash.sink.rules, crash.sink.watcher = [Rule(point.stage, do=point.deed)], watch
        engine = crash.start()
    await crash.gone(engine)
