"""A campaign that real engine processes send, a sink that sees every protocol point, and the audit of the two."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import anyio
from sqlalchemy import func, insert, select, text, update

from postrider.app import build
from postrider.campaigns.documents import SettingsInput
from postrider.campaigns.states import QUEUE_HELD
from postrider.campaigns.tables import Campaign, DailyCount, Enrollment
from postrider.kernel.clock import Clock
from postrider.kernel.ids import new_id
from postrider.leads.tables import Lead
from postrider.mailboxes.tables import Mailbox, SendDay
from postrider.sending.tables import Attempt
from postrider.settings import Settings
from tests.conftest import Installation
from tests.engine.crash.engine_process import EngineHost, EngineProcess, Orders, Trap
from tests.engine.world import USERS, World, enrollment_values, lead_values, make_world
from tests.integration.smtp_sink import Accepted, Rule, SmtpSink
from tests.integration.smtp_sink_session import SinkStage

LANES = 4
"""Connections that an engine opens for each mailbox."""

Watcher = Callable[[SinkStage, Sequence[str]], None]


class WatchedSink(SmtpSink):
    """Tells ``watcher`` of every fault at once: before the client, which waits for the answer, hears anything."""

    watcher: Watcher | None = None

    def record(self, mail: Accepted) -> None:
        """See SmtpSink; whoever waits for messages hears of this one."""
        super().record(mail)
        self.notify()

    def rule_for(self, stage: SinkStage, addresses: Sequence[str], connection: int) -> Rule | None:
        """See SmtpSink."""
        rule = super().rule_for(stage, addresses, connection)
        if rule is not None and self.watcher is not None:
            self.watcher(stage, addresses)
        return rule


class Marked(NamedTuple):
    """A send that has one marker (state ``sending``) or both (``dotted``), and under which claim."""

    state: str
    recipient: str
    attempt_id: str
    owner: str | None
    fence: int


@dataclass(frozen=True)
class Audit:
    """What the sink accepted against what the ledger says. All but ``sent`` and ``unknown`` must be 0."""

    sent: int
    unknown: int
    duplicates: int
    phantom: int
    lost: int
    unaccounted: int
    miscounted: int

    def assert_clean(self) -> None:
        """Nobody got anything twice, nobody was forgotten, and every count agrees."""
        wrong = (self.duplicates, self.phantom, self.lost, self.unaccounted, self.miscounted)
        assert wrong == (0, 0, 0, 0, 0), self


@dataclass
class CrashWorld:
    """One campaign, its sink, and the engines that were started on it."""

    world: World
    sink: WatchedSink
    host: EngineHost
    folder: Path
    environment: dict[str, str]
    clock_origin: float | None = None
    engines: list[EngineProcess] = field(default_factory=list)
    leads: int = 0
    _own_sessions: frozenset[int] = frozenset()

    @property
    def lease_seconds(self) -> int:
        """How long an engine counts as alive without a sign of life."""
        return int(self.environment["POSTRIDER_ENGINE_LEASE_SECONDS"])

    @property
    def installation(self) -> Installation:
        """The test's own view of the installation, in a process without an engine."""
        return self.world.installation

    async def add_leads(self, count: int, name: str = "lead") -> list[str]:
        """Puts fresh leads into the campaign, due now; their addresses."""
        app, workspace_id = self.installation.app, self.world.workspace_id
        now = app.clock.now()
        emails = [f"{name}{number}@{name}{number}.test" for number in range(self.leads, self.leads + count)]
        self.leads += count
        ids = [new_id("lead") for _ in emails]
        campaign_id = self.world.campaign_id

        def write(session: Any) -> None:
            rows = [lead_values(workspace_id, key, email, now) for key, email in zip(ids, emails, strict=True)]
            session.execute(insert(Lead), rows)
            # First the campaign, as the operation does: the engine may just be about to complete it.
            session.execute(update(Campaign).where(Campaign.id == campaign_id).values(status="active"))
            session.execute(insert(Enrollment), [enrollment_values(workspace_id, campaign_id, k, now) for k in ids])

        await app.database.write(write)
        return emails

    def start(self, trap: Trap | None = None, *, drain_seconds: float = 20.0, **environment: str) -> EngineProcess:
        """An engine in a process of its own."""
        log = self.folder / f"engine{len(self.engines)}.log"
        orders = Orders(self.environment | environment, str(log), trap, self.clock_origin, drain_seconds)
        engine = self.host.start(orders)
        self.engines.append(engine)
        return engine

    async def end_engines(self) -> None:
        """Ends whatever a failed test left running."""
        for engine in self.engines:
            if not engine.ended:
                await engine.kill()

    async def close_app(self) -> None:
        """Lets go of the database."""
        await self.installation.app.close()

    async def open_app(self) -> None:
        """Opens the database again."""
        app = self.installation.app
        self.installation.app = build(app.settings, clock=app.clock)

    async def remember_sessions(self) -> None:
        """Takes note of the test's own sessions on the server; to be called while no engine runs."""
        self._own_sessions = await self._sessions()

    async def gone(self, engine: EngineProcess) -> None:
        """The only engine was killed, and sink and database server have done all that it had asked of them."""
        with anyio.fail_after(20):
            status = await engine.wait()
            assert status == -signal.SIGKILL, f"it ended by itself ({status}): {engine.log.read_text()[-2_000:]}"
            await self.sink.until_quiet()
            while await self._sessions() - self._own_sessions:
                await anyio.sleep(0.005)
        self.sink.watcher, self.sink.rules = None, []

    async def _sessions(self) -> frozenset[int]:
        """Who is connected to the database. SQLite has no server that could go on after its client."""
        if self.installation.app.database.dialect_name == "sqlite":
            return frozenset()
        query = text("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
        return await self.installation.app.database.read(lambda s: frozenset(s.scalars(query)))

    async def cut_sessions(self) -> int:
        """Ends every session on the PostgreSQL server but the test's own; how many."""
        query = text(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND NOT pid = ANY(:own)"
        )
        own = list(self._own_sessions)
        return await self.installation.app.database.read(lambda s: s.scalar(query, {"own": own}) or 0)

    async def has_open_transaction(self) -> bool:
        """Whether somebody holds a transaction open on the PostgreSQL server without using it."""
        query = text(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND state = 'idle in transaction' AND pid <> pg_backend_pid()"
        )
        return await self.installation.app.database.read(lambda s: bool(s.scalar(query)))

    async def rows(self, table: type[Any]) -> list[Any]:
        """All rows of one of the workspace's tables."""
        query = select(table).where(table.workspace_id == self.world.workspace_id)
        return await self.installation.app.database.read(lambda s: list(s.scalars(query)))

    async def count_open(self) -> int:
        """Leads that are neither completed nor held as unknown."""
        query = select(func.count()).where(
            Enrollment.workspace_id == self.world.workspace_id,
            Enrollment.status == "active",
            ~((Enrollment.queue == QUEUE_HELD) & (Enrollment.hold_reason == "unknown_outcome")),
        )
        return await self.installation.app.database.read(lambda s: s.scalar(query) or 0)

    async def until_accepted(self, more: int) -> None:
        """Returns as soon as so many more messages have arrived."""
        enough = len(self.sink.accepted) + more
        with anyio.fail_after(60):
            async with self.sink.changed:
                await self.sink.changed.wait_for(lambda: len(self.sink.accepted) >= enough)

    async def on_their_way(self) -> frozenset[Marked]:
        """Every send that has a marker and no outcome."""
        rows = [row for row in await self.world.attempts() if row.state in {"sending", "dotted"}]
        return frozenset(Marked(row.state, row.recipient, row.id, row.lease_owner, row.fence) for row in rows)

    async def sink_rests(self) -> None:
        """Returns once no message has come for a while that is long beside what one takes."""
        seen, since = -1, time.monotonic()
        while time.monotonic() - since < 0.5:
            if seen != len(self.sink.accepted):
                seen, since = len(self.sink.accepted), time.monotonic()
            await anyio.sleep(0.02)

    async def until_settled(self) -> None:
        """Returns once every lead has been sent to, or its outcome is called unknown."""
        await until(lambda: self._is_settled(), seconds=60)

    async def _is_settled(self) -> bool:
        return await self.count_open() == 0

    async def audit(self) -> Audit:
        """Compares. To be called when no engine runs and everything is settled."""
        world = self.world
        attempts: list[Attempt] = await world.attempts()
        enrollments = await world.enrollments()
        by_message = {row.message_id: row for row in attempts}
        accepted = Counter(mail.message_id for mail in self.sink.accepted)
        steps = Counter(
            (mail.recipients[0], by_message[mail.message_id].step_id)
            for mail in self.sink.accepted
            if mail.message_id in by_message
        )
        sent = [row for row in attempts if row.state == "sent"]
        unknown = [row for row in attempts if row.state == "unknown"]
        known = {row.message_id for row in (*sent, *unknown)}
        return Audit(
            sent=len(sent),
            unknown=len(unknown),
            duplicates=sum(n - 1 for n in accepted.values()) + sum(n - 1 for n in steps.values()),
            phantom=sum(row.message_id not in accepted for row in sent),
            lost=await self.count_open() + sum(row.lease_owner is not None for row in enrollments),
            unaccounted=len(accepted.keys() - known),
            miscounted=await self._miscounted(sent, unknown),
        )

    async def _miscounted(self, sent: list[Attempt], unknown: list[Attempt]) -> int:
        """How far day counters, totals and analytics are from what the ledger says."""
        world = self.world
        wanted: Counter[tuple[str, str]] = Counter()
        for row in (*sent, *unknown):
            assert row.campaign_day is not None
            wanted[row.mailbox_id, row.mailbox_day] += 1
            wanted[world.campaign_id, row.campaign_day] += 1
        found = {(row.owner_id, row.day): row.sent for row in await self.rows(SendDay) if row.sent}
        off = sum(abs(wanted[key] - found.get(key, 0)) for key in wanted.keys() | found.keys())
        totals = int(sum(row.total_sent for row in await world.rows(Mailbox)))
        counts = Counter[str]()
        for row in await self.rows(DailyCount):
            counts[row.kind] += row.count
        return (
            int(off) + abs(totals - len(sent)) + abs(counts["sent"] - len(sent)) + abs(counts["unknown"] - len(unknown))
        )


async def until(condition: Callable[[], Any], *, seconds: float = 20) -> None:
    """Returns once ``condition`` (which may be awaitable) holds."""
    with anyio.fail_after(seconds):
        while True:
            found = condition()
            if await found if hasattr(found, "__await__") else found:
                return
            await anyio.sleep(0.02)


def seeded(name: str) -> random.Random:
    """A source of chance for one test; prints how to get the same again."""
    seed = os.environ.get("POSTRIDER_TEST_SEED") or os.urandom(6).hex()
    print(f"POSTRIDER_TEST_SEED={seed}")
    return random.Random(f"{seed}|{name}")


def mail_to(sink: SmtpSink, email: str) -> list[Accepted]:
    """What arrived for one address."""
    return [mail for mail in sink.accepted if email in mail.recipients]


@asynccontextmanager
async def crash_world(
    settings: Settings,
    host: EngineHost,
    folder: Path,
    *,
    mailboxes: int = 2,
    leads: int = 8,
    clock: Clock | None = None,
    clock_origin: float | None = None,
    campaign_settings: SettingsInput | None = None,
) -> AsyncIterator[CrashWorld]:
    """A world with no engine yet. ``clock_origin``: engines run by a FastClock, as ``clock`` must."""
    installation = await Installation.on(build(settings, clock=clock))
    try:
        sink = WatchedSink(users=USERS)
        async with sink:
            emails = [f"lead{number}@lead{number}.test" for number in range(leads)]
            world = await make_world(
                installation,
                port=sink.port,
                emails=emails,
                mailboxes=mailboxes,
                settings=campaign_settings,
            )
            engine_environment = {
                "POSTRIDER_DATA_DIR": str(settings.data_dir),
                "POSTRIDER_DATABASE_URL": settings.database_url or "",
                "POSTRIDER_ENGINE_LEASE_SECONDS": str(settings.engine_lease_seconds),
                "POSTRIDER_ALLOW_PRIVATE_HOSTS": "true",
            }
            crash = CrashWorld(world, sink, host, folder, engine_environment, clock_origin, leads=leads)
            await crash.remember_sessions()
            try:
                yield crash
            finally:
                await crash.end_engines()
    finally:
        await installation.app.close()
