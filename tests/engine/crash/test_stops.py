"""Stopping a running engine, and stopping what it sends: after the call has returned, only what was dotted leaves."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

import anyio
import pytest
from sqlalchemy import insert, text, update
from sqlalchemy.orm import Session

from postrider.access.queries import lock_workspace
from postrider.access.tables import Workspace
from postrider.campaigns.endings import Stop
from postrider.campaigns.enrollments import campaign_to_fill
from postrider.campaigns.tables import Campaign, Enrollment
from postrider.dnc.queries import add_entries
from postrider.dnc.rules import DncKey
from postrider.kernel.ids import new_id
from postrider.leads.tables import Lead
from postrider.sending.stops import stop_lead
from tests.engine.crash.crash_world import CrashWorld, mail_to, seeded, until
from tests.engine.crash.engine_process import WAKE
from tests.engine.world import enrollment_values, lead_values
from tests.integration.smtp_sink import Rule

LEADS = 60


async def test_sigterm_finishes_what_is_on_its_way(crash: CrashWorld) -> None:
    """Every final reply takes a while, so that there is something on its way when the signal comes."""
    await crash.add_leads(300)
    crash.sink.rules = [Rule("dot", delay_seconds=0.1)]
    engine = crash.start()
    await until(lambda: len(crash.sink.accepted) >= 10)
    started = time.monotonic()
    await engine.stop()
    assert time.monotonic() - started < 30
    assert {row.state for row in await crash.world.attempts()} <= {"sent", "deferred"}
    assert [row for row in await crash.world.enrollments() if row.lease_owner is not None] == []
    assert await crash.count_open() > 0
    await _send_the_rest(crash)


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
async def test_sigterm_gives_back_what_hangs_before_its_dot(crash: CrashWorld) -> None:
    crash.sink.rules = [Rule("rcpt", do="hang", match="lead3@", times=1)]
    engine = crash.start()
    await until(lambda: len(crash.sink.accepted) == 7 and len(crash.sink.faults) == 1)
    started = time.monotonic()
    await engine.stop()
    assert time.monotonic() - started < 30
    [returned] = await crash.world.attempts("deferred")
    assert returned.recipient == "lead3@lead3.test"
    assert [row for row in await crash.world.enrollments() if row.lease_owner is not None] == []
    await _send_the_rest(crash)


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
async def test_sigterm_calls_unknown_what_is_never_answered_after_its_dot(crash: CrashWorld) -> None:
    crash.sink.rules = [Rule("dot", do="hang", match="lead3@", times=1)]
    engine = crash.start()
    await until(lambda: len(crash.sink.accepted) == 7 and len(crash.sink.faults) == 1)
    started = time.monotonic()
    await engine.stop()
    assert time.monotonic() - started < 30
    [unknown] = await crash.world.attempts("unknown")
    assert unknown.recipient == "lead3@lead3.test"
    assert [row for row in await crash.world.enrollments() if row.lease_owner is not None] == []


async def _send_the_rest(crash: CrashWorld) -> None:
    last = crash.start()
    await crash.until_settled()
    await last.stop()
    audit = await crash.audit()
    audit.assert_clean()
    assert (audit.sent, audit.unknown) == (crash.leads, 0)


async def test_after_a_pause_has_returned_only_what_was_dotted_leaves(crash: CrashWorld) -> None:
    """Three times a campaign and three times the workspace are paused at full speed, from another process."""
    chance = seeded("pauses")
    crash.sink.rules = [Rule("dot", delay_seconds=0.04)]
    engine = crash.start()
    pauses: list[tuple[datetime, datetime]] = []
    waits: list[float] = []
    calls: tuple[tuple[str, str, dict[str, str]], ...] = (
        ("pause_campaign", "resume_campaign", {"id": crash.world.campaign_id}),
        ("pause_workspace", "resume_workspace", {}),
    )
    for number in range(6):
        pause, resume, arguments = calls[number % 2]
        await crash.add_leads(LEADS)
        engine.send(WAKE)
        await crash.until_accepted(chance.randint(5, 30))
        asked = time.monotonic()
        await crash.installation.call(pause, **arguments)
        returned = datetime.now(UTC)
        waits.append(time.monotonic() - asked)
        await until(lambda: _is_idle(crash))
        pauses.append((returned, datetime.now(UTC)))
        await crash.installation.call(resume, **arguments)
        engine.send(WAKE)
    await crash.until_settled()
    await engine.stop()
    dotted = [row.dotted_at for row in await crash.world.attempts() if row.dotted_at is not None]
    assert [at for at in dotted for since, to in pauses if since <= at <= to] == []
    print(f"pauses returned after {', '.join(f'{wait * 1000:.0f}' for wait in waits)} ms")
    assert max(waits) < 5
    audit = await crash.audit()
    audit.assert_clean()
    assert (audit.sent, audit.unknown) == (crash.leads, 0)


async def _is_idle(crash: CrashWorld) -> bool:
    """Nothing is claimed and nothing on its way."""
    claimed = [row for row in await crash.world.enrollments() if row.lease_owner is not None]
    return not claimed


async def test_after_do_not_contact_has_returned_only_what_was_dotted_leaves(crash: CrashWorld) -> None:
    """Domains of single leads are listed one after the other while the engine sends to them."""
    emails = [f"lead{number}@lead{number}.test" for number in range(8)] + await crash.add_leads(LEADS)
    crash.sink.rules = [Rule("dot", delay_seconds=0.08)]
    engine = crash.start()
    listed: dict[str, datetime] = {}
    await until(lambda: len(crash.sink.accepted) >= 5)
    for email in reversed(emails[::3]):
        await crash.installation.call("add_dnc_entries", entries=[{"email": email.partition("@")[2]}])
        listed[email] = datetime.now(UTC)
    await crash.until_settled()
    await engine.stop()
    attempts = {row.recipient: row for row in await crash.world.attempts()}
    for email, since in listed.items():
        found = attempts.get(email)
        if found is not None and found.dotted_at is not None:
            assert found.dotted_at <= since and found.state == "sent"
        else:
            assert mail_to(crash.sink, email) == []
    stopped = [row for row in await crash.world.enrollments() if row.status == "stopped"]
    assert stopped, "every lead was sent to before it was listed"
    audit = await crash.audit()
    audit.assert_clean()
    assert audit.sent + len(stopped) == crash.leads


Change = Callable[[CrashWorld, Session, str], None]


def list_the_lead(crash: CrashWorld, session: Session, email: str) -> None:
    """As add_dnc_entries does."""
    app, workspace_id = crash.installation.app, crash.world.workspace_id
    lock_workspace(session, workspace_id)
    key = DncKey("email", email)
    add_entries(session, app.vault, workspace_id, [key], reason="no", source="manual", now=app.clock.now())


def stop_the_lead(crash: CrashWorld, session: Session, email: str) -> None:
    """As a reply does."""
    stop_lead(session, crash.world.workspace_id, email, "replied", Stop("replied"), crash.installation.app.clock.now())


def pause_the_campaign(crash: CrashWorld, session: Session, email: str) -> None:
    """As pause_campaign does."""
    session.execute(update(Campaign).where(Campaign.id == crash.world.campaign_id).values(status="paused"))


def pause_the_workspace(crash: CrashWorld, session: Session, email: str) -> None:
    """As pause_workspace does."""
    now = crash.installation.app.clock.now()
    session.execute(update(Workspace).where(Workspace.id == crash.world.workspace_id).values(paused_at=now))


CHANGES = (list_the_lead, stop_the_lead, pause_the_campaign, pause_the_workspace)


@pytest.mark.parametrize("settings", ["postgresql"], indirect=True)
@pytest.mark.parametrize("change", CHANGES)
async def test_a_marker_that_waits_for_a_change_sees_it(crash: CrashWorld, change: Change) -> None:
    """The second marker is asked for while the change is being committed: it waits for it, and no dot is sent."""
    engine = crash.start()
    await crash.until_settled()
    came = anyio.Event()
    crash.sink.rules = [Rule("data", match="hesitant", delay_seconds=0.3)]
    crash.sink.watcher = lambda stage, addresses: came.set()
    [email] = await crash.add_leads(1, "hesitant")
    engine.send(WAKE)

    def write(session: Session) -> None:
        change(crash, session, email)
        session.flush()
        _until_somebody_waits(session)

    with anyio.fail_after(20):
        await came.wait()
        await crash.installation.app.database.write(write)
    await until(lambda: _is_idle(crash))
    await engine.stop()
    assert mail_to(crash.sink, email) == []
    [attempt] = [row for row in await crash.world.attempts() if row.recipient == email]
    assert (attempt.state, attempt.dotted_at) == ("deferred", None)


@pytest.mark.parametrize("settings", ["postgresql"], indirect=True)
async def test_leads_added_at_the_moment_a_campaign_ends_are_sent_to(crash: CrashWorld) -> None:
    """The engine finds nothing left to do while somebody is about to commit another lead."""
    engine = crash.start()
    await crash.until_settled()
    await until(lambda: _is_completed(crash))
    workspace_id, campaign_id = crash.world.workspace_id, crash.world.campaign_id
    app, lead_id = crash.installation.app, new_id("lead")
    now = app.clock.now()
    await app.database.write(lambda s: s.execute(update(Campaign).values(status="active")))

    def write(session: Session) -> None:
        campaign_to_fill(session, workspace_id, campaign_id)
        session.execute(insert(Lead), lead_values(workspace_id, lead_id, "late@late.test", now))
        session.execute(insert(Enrollment), enrollment_values(workspace_id, campaign_id, lead_id, now))
        engine.send(WAKE)
        # Either it waits for us, or it has looked and gone on.
        _somebody_waits(session, 0.5)

    await app.database.write(write)
    engine.send(WAKE)
    await until(lambda: len(mail_to(crash.sink, "late@late.test")) == 1)
    await engine.stop()


async def _is_completed(crash: CrashWorld) -> bool:
    [campaign] = await crash.world.rows(Campaign)
    status: str = campaign.status
    return status == "completed"


def _until_somebody_waits(session: Session) -> None:
    assert _somebody_waits(session, 4)


def _somebody_waits(session: Session, seconds: float) -> bool:
    """Whether another session comes to wait for a lock that this one holds, within ``seconds``."""
    query = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))")
    deadline = time.monotonic() + seconds
    while not session.scalar(query):
        if time.monotonic() > deadline:
            return False
    return True
