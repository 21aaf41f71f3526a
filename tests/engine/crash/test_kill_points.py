"""kill -9 at every point of one send: nobody gets anything twice, nobody is forgotten, unknown is bounded.

Each kill must have happened, at its point, and have left there what a kill at that point leaves.
"""

import signal
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from tests.engine.crash.crash_world import LANES, CrashWorld, mail_to, seeded
from tests.engine.crash.engine_process import Trap
from tests.integration.smtp_sink import Rule
from tests.integration.smtp_sink_session import Deed, SinkStage

KILLS = 5
NEW_LEADS = 8


@dataclass(frozen=True)
class Point:
    """Where the engine dies: seen by the sink at ``stage``, or known only to the engine itself (``trap``).

    ``states``: what the ledger may say of a message that had come to this point; the first of them must occur.
    ``accepted``: how often the sink has taken such a message; None: no more than once.
    ``before_354``: nothing that is on its way then can be past DATA.
    """

    name: str
    stage: SinkStage | None = None
    deed: Deed = "hang"
    trap: Trap | None = None
    states: tuple[str, ...] = ("dotted",)
    accepted: int | None = 0
    before_354: bool = False


POINTS = (
    Point("after_mail", "mail", states=("sending",), before_354=True),
    Point("after_rcpt", "rcpt", states=("sending",), before_354=True),
    Point("after_data", "data", states=("sending",), before_354=True),
    # The engine goes on until the signal is there: it may have come as far as the dot.
    Point("in_the_body", "body", "note", states=("sending", "dotted"), accepted=None),
    Point("marked_but_no_dot", trap=Trap("marker")),
    Point("dot_sent_not_accepted", "dot", "hang"),
    Point("accepted_not_answered", "dot", "accept_hang", accepted=1),
    Point("answered_not_committed", trap=Trap("answer"), accepted=1),
)


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.name)
async def test_a_kill_at_any_point_sends_nothing_twice_and_loses_nothing(crash: CrashWorld, point: Point) -> None:
    chance = seeded(point.name)
    dotted: set[str] = set()
    states: Counter[str] = Counter()
    for _ in range(KILLS):
        nth = chance.randint(1, LANES)
        before = await crash.on_their_way()
        victims = await _die(crash, point, nth)
        left = await crash.on_their_way() - before
        states += _check(crash, point, victims, {each.recipient: each.state for each in left}, nth)
        fresh = {each.attempt_id for each in left if each.state == "dotted"} - dotted
        assert len(fresh) <= 2 * LANES
        assert not (fresh and point.before_354)
        dotted |= fresh
        await crash.add_leads(NEW_LEADS)
    assert states[point.states[0]] > 0
    last = crash.start()
    await crash.until_settled()
    await last.stop()
    audit = await crash.audit()
    audit.assert_clean()
    assert audit.sent + audit.unknown == crash.leads
    assert audit.unknown == len(dotted)
    print(point.name, audit, dict(states))


def _check(crash: CrashWorld, point: Point, victims: list[str], left: dict[str, str], nth: int) -> Counter[str]:
    """The states in which the messages that had come to the point were left: those that belong to it."""
    if point.stage == "mail":
        # Nobody outside knows yet to whom it goes.
        found = list(left.values())
        assert len(found) >= nth
    else:
        assert set(victims) <= left.keys()
        found = [left[email] for email in victims]
        taken = [len(mail_to(crash.sink, email)) for email in victims]
        assert set(taken) <= ({0, 1} if point.accepted is None else {point.accepted})
    assert set(found) <= set(point.states)
    return Counter(found)


async def _die(crash: CrashWorld, point: Point, nth: int) -> list[str]:
    """Starts an engine and ends it at the ``nth`` message that comes to the point; whose messages came there."""
    came: list[str] = []
    if point.stage is None:
        assert point.trap is not None
        engine = crash.start(Trap(point.trap.at, nth=nth))
    else:

        def watch(stage: SinkStage, addresses: Sequence[str]) -> None:
            came.append(addresses[0])
            if len(came) == nth:
                engine.send(signal.SIGKILL)

        crash.sink.rules, crash.sink.watcher = [Rule(point.stage, do=point.deed)], watch
        engine = crash.start()
    await crash.gone(engine)
    victims = came or engine.sprung_by()
    assert len(victims) >= (1 if point.stage is None else nth), "it died before it came to the point"
    return victims
