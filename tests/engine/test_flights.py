"""What a loop has on its way: room for more, and nothing lost track of."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import anyio
import pytest
from sqlalchemy.orm import Session

from postrider.engine.flights import Claims, Flights, Limits
from tests.conftest import Installation

LIMITS = Limits(most=4, per_mailbox=2, refill_at=4)


class Ledger:
    """Claims of a made-up kind. ``meanwhile`` happens while they are taken back."""

    def __init__(self, *claimed: str) -> None:
        self.claimed = list(claimed)
        self.meanwhile: Any = None

    def of(self, session: Session, owner: str) -> list[str]:
        return list(self.claimed)

    def recover(
        self, session: Session, owners: Sequence[str], now: datetime, only: Sequence[str] | None = None
    ) -> tuple[int, int]:
        if self.meanwhile is not None:
            self.meanwhile()
        taken = [one for one in only or () if one in self.claimed]
        self.claimed = [one for one in self.claimed if one not in taken]
        return len(taken), 0


def flights_of(installation: Installation, ledger: Ledger, limits: Limits = LIMITS) -> Flights:
    app = installation.app
    claims = Claims(ledger.of, ledger.recover)
    return Flights(app.database, app.clock, "me", claims, limits, asyncio.Event(), asyncio.Event(), lambda: None)


def doubts(flights: Flights) -> bool:
    return flights.in_doubt


async def test_what_is_claimed_and_not_on_its_way_is_put_back(installation: Installation) -> None:
    ledger, gate = Ledger("lost", "flying"), asyncio.Event()
    flights = flights_of(installation, ledger)
    flights.start("flying", "mbx_1", gate.wait())
    flights.in_doubt = True
    await flights.recover()
    assert ledger.claimed == ["flying"] and not doubts(flights)
    gate.set()
    await flights.land()
    assert len(flights) == 0


async def test_a_doubt_that_comes_up_meanwhile_is_kept(installation: Installation) -> None:
    ledger = Ledger("a")
    flights = flights_of(installation, ledger)

    def come_into_doubt() -> None:
        flights.in_doubt = True
        ledger.claimed.append("b")
        ledger.meanwhile = None

    ledger.meanwhile = come_into_doubt
    flights.in_doubt = True
    await flights.recover()
    assert doubts(flights) and ledger.claimed == ["b"]
    await flights.recover()
    assert not doubts(flights) and ledger.claimed == []


async def test_a_recovery_that_fails_is_tried_again(installation: Installation) -> None:
    ledger = Ledger("a")
    flights = flights_of(installation, ledger)

    def fail() -> None:
        ledger.meanwhile = None
        raise RuntimeError("not now")

    ledger.meanwhile, flights.in_doubt = fail, True
    await flights.recover()
    assert doubts(flights) and ledger.claimed == ["a"]
    await flights.recover()
    assert not doubts(flights) and ledger.claimed == []


async def test_what_is_stopped_before_its_first_step_is_put_back(installation: Installation) -> None:
    ledger, begun = Ledger("a"), []
    flights = flights_of(installation, ledger)

    async def sending() -> None:
        begun.append(True)

    flights.start("a", "mbx_1", sending())
    with anyio.fail_after(10):
        await flights.land()
    assert begun == [] and ledger.claimed == [] and not flights.is_busy


@pytest.mark.parametrize(("refill_at", "wakes"), [(4, True), (1, False)])
async def test_a_landing_wakes_the_loop_once_few_enough_are_left(
    installation: Installation, refill_at: int, wakes: bool
) -> None:
    flights, gate = flights_of(installation, Ledger(), Limits(4, 2, refill_at)), asyncio.Event()
    done = asyncio.Event()
    done.set()
    for number in range(3):
        flights.start(f"slow{number}", f"mbx_{number}", gate.wait())
    flights.start("quick", "mbx_9", done.wait())
    while len(flights) == 4:
        await anyio.lowlevel.checkpoint()
    assert flights._wake.is_set() is wakes
    gate.set()
    await flights.land()
