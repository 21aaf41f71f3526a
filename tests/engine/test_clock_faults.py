"""Hours that do not exist or come twice, clocks that jump, machines that sleep: once, in window, below the cap."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from postrider.app import build
from postrider.campaigns.documents import ScheduleInput, SettingsInput
from postrider.engine.worker import Engine
from postrider.kernel.clock import VirtualClock
from postrider.settings import Settings
from tests.conftest import Installation
from tests.engine.world import USERS, World, make_world, pass_time, running_engine
from tests.integration.smtp_rig import transport_with
from tests.integration.smtp_sink import SmtpSink

BERLIN = ZoneInfo("Europe/Berlin")
INTERVAL = timedelta(minutes=20)
CAP = 10
MONDAY = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)


class JumpyClock(VirtualClock):
    """A clock that somebody sets, forwards or back, while programs wait."""

    def jump(self, by: timedelta) -> None:
        """Sets it; whoever waits for an instant that has come now is woken."""
        self._now += by
        self.advance_to(self._now)


def schedule(start: str, end: str) -> ScheduleInput:
    """The same hours every day, in Berlin."""
    days = [0, 1, 2, 3, 4, 5, 6]
    return ScheduleInput(
        timezone="Europe/Berlin", start_time=start, end_time=end, working_days=days, skip_national_holidays=False
    )


async def sent_at(world: World, sink: SmtpSink) -> list[datetime]:
    """The business instants of all second markers, in the order in which the messages arrived."""
    rows = {row.message_id: row.dotted_at for row in await world.attempts("sent")}
    instants = [rows[mail.message_id] for mail in sink.accepted]
    assert len(rows) == len(instants) == len({mail.recipients for mail in sink.accepted})
    return [instant for instant in instants if instant is not None]


def assert_paced(instants: list[datetime], start: str, end: str) -> None:
    """In window, at most CAP on each local day, INTERVAL apart."""
    local = [instant.astimezone(BERLIN) for instant in instants]
    assert [at for at in local if not start <= at.strftime("%H:%M") < end] == []
    assert max(Counter(at.date() for at in local).values()) <= CAP
    assert [pair for pair in pairwise(instants) if pair[1] - pair[0] < INTERVAL] == []


@pytest.mark.parametrize(
    ("day", "start", "end", "least", "most"),
    [
        (datetime(2026, 3, 29, tzinfo=BERLIN), "01:30", "03:30", 3, 4),
        (datetime(2026, 3, 29, tzinfo=BERLIN), "02:10", "02:50", 0, 0),
        (datetime(2026, 10, 25, tzinfo=BERLIN), "02:00", "03:00", 2, 3),
        (datetime(2026, 10, 25, tzinfo=BERLIN), "01:30", "03:30", 6, 9),
    ],
    ids=["gap", "window_in_the_gap", "overlap", "window_around_the_overlap"],
)
async def test_the_nights_of_the_clock_change_send_once_and_in_window(
    installation: Installation, day: datetime, start: str, end: str, least: int, most: int
) -> None:
    clock = installation.clock
    clock.advance_to(day.astimezone(UTC) - timedelta(hours=12))
    limits = SettingsInput(email_interval_minutes=20, daily_send_limit=CAP)
    async with SmtpSink(users=USERS) as sink:
        world = await make_world(installation, port=sink.port, leads=40, settings=limits, schedule=schedule(start, end))
        async with running_engine(installation, transport_with()) as engine:
            await pass_time(installation, engine, timedelta(days=2))
    instants = await sent_at(world, sink)
    that_day = [at for at in instants if at.astimezone(BERLIN).date() == day.date()]
    print(f"{len(that_day)} on the day of the change, {len(instants)} in all")
    assert least <= len(that_day) <= most
    assert len(instants) > len(that_day)
    assert_paced(instants, start, end)


JUMPS = [
    [timedelta(hours=1), timedelta(hours=-1)],
    [timedelta(days=1), timedelta(days=-1)],
    [timedelta(days=-1), timedelta(days=1)],
    [timedelta(hours=-1), timedelta(hours=-1), timedelta(hours=2)],
    [timedelta(hours=8)],
]


@pytest.mark.parametrize("jumps", JUMPS, ids=["hour", "day", "day_back", "hours_back", "sleep"])
async def test_a_clock_that_jumps_makes_no_burst_and_passes_no_cap(settings: Settings, jumps: list[timedelta]) -> None:
    """Three days of sending, the jumps at about ten in the morning of the first, hours apart."""
    clock = JumpyClock(MONDAY)
    app = build(settings, clock=clock)
    try:
        installation = await Installation.on(app, clock)
        limits = SettingsInput(email_interval_minutes=20, daily_send_limit=CAP)
        async with SmtpSink(users=USERS) as sink:
            world = await make_world(
                installation, port=sink.port, leads=60, settings=limits, schedule=schedule("09:00", "17:00")
            )
            async with running_engine(installation, transport_with()) as engine:
                await pass_time(installation, engine, timedelta(hours=4))
                for jump in jumps:
                    await jump_and_go_on(installation, engine, clock, jump)
                await pass_time(installation, engine, timedelta(days=3))
        instants = await sent_at(world, sink)
        print(f"{len(instants)} sent")
        assert len(instants) >= 2 * CAP
        assert_paced(instants, "09:00", "17:00")
    finally:
        await app.close()


async def jump_and_go_on(installation: Installation, engine: Engine, clock: JumpyClock, jump: timedelta) -> None:
    """Sets the clock under the running engine, and lets an hour and a half pass."""
    await engine.rest.quiet()
    clock.jump(jump)
    installation.app.signals.wake("sender")
    await pass_time(installation, engine, timedelta(minutes=90))
