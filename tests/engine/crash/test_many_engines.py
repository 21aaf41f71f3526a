"""Four engines on one PostgreSQL database, killed again and again: caps and pauses hold to the last message."""

import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import anyio
import pytest
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from postrider.campaigns.documents import SettingsInput
from postrider.mailboxes.tables import Mailbox
from postrider.settings import Settings
from tests.engine.crash.crash_world import LANES, CrashWorld, crash_world, seeded, until
from tests.engine.crash.engine_process import EngineHost, EngineProcess
from tests.engine.crash.fast_clock import FastClock
from tests.integration.smtp_sink import Rule

ENGINES = 4
KILLS = 6
INTERVAL_MINUTES = 1
CAMPAIGN_CAP = 34
MAILBOX_CAPS = (7, 12, 50)

pytestmark = pytest.mark.parametrize("settings", ["postgresql"], indirect=True)

_WATCH_CLAIMS = (
    "CREATE TABLE claim_log (mailbox_id text, at timestamptz)",
    "CREATE FUNCTION log_claim() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    "INSERT INTO claim_log VALUES (NEW.id, NEW.last_sent_at); RETURN NEW; END $$",
    "CREATE TRIGGER log_claim AFTER UPDATE ON mailboxes FOR EACH ROW "
    "WHEN (NEW.last_sent_at IS DISTINCT FROM OLD.last_sent_at) EXECUTE FUNCTION log_claim()",
)
"""The database itself takes down the instant of every claim."""


@pytest.fixture
async def crowd(settings: Settings, host: EngineHost, tmp_path: Path) -> AsyncIterator[CrashWorld]:
    """Three mailboxes, one hundred leads, and a clock that runs a hundred times as fast."""
    origin = time.time()
    limits = SettingsInput(email_interval_minutes=INTERVAL_MINUTES, daily_send_limit=CAMPAIGN_CAP)
    async with crash_world(
        settings,
        host,
        tmp_path,
        mailboxes=3,
        leads=100,
        clock=FastClock(origin),
        clock_origin=origin,
        campaign_settings=limits,
    ) as world:
        await world.installation.app.database.write(
            lambda s: [s.execute(text(statement)) for statement in _WATCH_CLAIMS]
        )
        yield world


async def test_caps_and_pauses_hold_with_four_engines_and_kills(crowd: CrashWorld) -> None:
    await _limit_mailboxes(crowd, MAILBOX_CAPS)
    crowd.sink.rules = [Rule("dot", delay_seconds=0.1)]
    engines = [crowd.start() for _ in range(ENGINES)]
    await _kill_some(crowd, engines, seeded("crowd"), (1, 4))
    await until(lambda: _is_used_up(crowd), seconds=90)
    for engine in engines:
        await engine.stop()
    audit = await crowd.audit()
    assert (audit.duplicates, audit.phantom, audit.unaccounted, audit.miscounted) == (0, 0, 0, 0), audit
    assert audit.sent + audit.unknown == CAMPAIGN_CAP
    by_mailbox = Counter(row.mailbox_id for row in await crowd.world.attempts() if row.state in {"sent", "unknown"})
    for mailbox_id, cap in zip(crowd.world.mailbox_ids, MAILBOX_CAPS, strict=True):
        assert by_mailbox[mailbox_id] <= cap
    from_sink = Counter(mail.sender for mail in crowd.sink.accepted)
    assert all(from_sink[f"sender{number}@acme.test"] <= cap for number, cap in enumerate(MAILBOX_CAPS))
    assert sum(from_sink.values()) <= CAMPAIGN_CAP
    gaps = await _gaps(crowd)
    assert len(gaps) >= CAMPAIGN_CAP - len(MAILBOX_CAPS)
    assert min(gaps) >= INTERVAL_MINUTES * 60
    print(f"{audit}; smallest pause {min(gaps):.1f} s, by mailbox {sorted(by_mailbox.values())}")


async def test_four_engines_at_full_speed_and_kills_send_nothing_twice(crash: CrashWorld) -> None:
    await crash.add_leads(400)
    crash.sink.rules = [Rule("dot", delay_seconds=0.02)]
    engines = [crash.start() for _ in range(ENGINES)]
    await _kill_some(crash, engines, seeded("full speed"), (5, 40))
    await crash.until_settled()
    for engine in engines:
        await engine.stop()
    audit = await crash.audit()
    audit.assert_clean()
    assert audit.sent + audit.unknown == crash.leads
    assert audit.unknown <= KILLS * len(crash.world.mailbox_ids) * LANES
    print(audit)


async def _limit_mailboxes(crowd: CrashWorld, caps: Sequence[int]) -> None:
    def write(session: Session) -> None:
        for mailbox_id, cap in zip(crowd.world.mailbox_ids, caps, strict=True):
            session.execute(update(Mailbox).where(Mailbox.id == mailbox_id).values(daily_send_limit=cap))

    await crowd.installation.app.database.write(write)


async def _kill_some(
    crowd: CrashWorld, engines: list[EngineProcess], chance: random.Random, between: tuple[int, int]
) -> None:
    """Kills one at a time, so many messages apart, and starts another in its place."""
    for _ in range(KILLS):
        await crowd.until_accepted(chance.randint(*between))
        await anyio.sleep(chance.uniform(0, 0.2))
        victim = engines.pop(chance.randrange(len(engines)))
        await victim.kill()
        engines.append(crowd.start())


async def _is_used_up(crowd: CrashWorld) -> bool:
    """The campaign's day is used up, and every claim has its outcome."""
    done = await crowd.world.count_attempts("sent") + await crowd.world.count_attempts("unknown")
    return done >= CAMPAIGN_CAP and not [row for row in await crowd.world.enrollments() if row.lease_owner]


async def _gaps(crowd: CrashWorld) -> list[float]:
    """Seconds between one claim of a mailbox and the next."""
    query = select(text("mailbox_id, at FROM claim_log ORDER BY mailbox_id, at"))
    rows: list[tuple[str, datetime]] = await crowd.installation.app.database.read(
        lambda s: [(row[0], row[1]) for row in s.execute(query)]
    )
    return [(later[1] - earlier[1]).total_seconds() for earlier, later in pairwise(rows) if earlier[0] == later[0]]
