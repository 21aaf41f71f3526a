"""PostgreSQL ends sessions in the middle of what the engine does: it goes on, and does everything exactly once."""

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError, InternalError, OperationalError, ProgrammingError
from structlog.testing import capture_logs

from postrider.campaigns.edits import Change
from postrider.campaigns.tables import CampaignChange
from postrider.engine import jobs
from postrider.jobs.tables import Job
from postrider.leads.tables import Lead
from postrider.storage.away import is_away
from postrider.storage.postgresql import ATTEMPTS
from tests.conftest import Installation
from tests.engine.inbound import letter, make_mailroom
from tests.engine.receiver_rig import until
from tests.engine.reply_world import queue, replies, reply_attempts
from tests.engine.session_cuts import How, SessionCuts
from tests.engine.world import USERS, make_world, pass_time, running_engine
from tests.features.inbox_world import inbox
from tests.integration.smtp_rig import transport_with
from tests.integration.smtp_sink import SmtpSink

pytestmark = pytest.mark.parametrize("settings", ["postgresql"], indirect=True)

LEADS = 3
MORE_THAN_RETRIED = ATTEMPTS + 2
HOURS = timedelta(hours=2)
CUTS = pytest.mark.parametrize(("how", "times"), [("idle", 1), ("idle", MORE_THAN_RETRIED), ("terminated", 2)])
MARKERS = {
    "claim": "enrollments WHERE lease_owner IS NOT NULL",
    "first marker": "attempts WHERE state = 'sending'",
    "second marker": "attempts WHERE state = 'dotted'",
    "outcome": "attempts WHERE state = 'sent'",
}
REPLY_MARKERS = {
    "claim": "outgoing_replies WHERE lease_owner IS NOT NULL",
    **{place: f"{MARKERS[place]} AND purpose = 'reply'" for place in ("first marker", "second marker", "outcome")},
}
CSV = "email\n" + "".join(f"p{number}@b.test\n" for number in range(20))


@CUTS
@pytest.mark.parametrize("place", list(MARKERS))
async def test_a_campaign_is_sent_once_to_everybody(
    installation: Installation, place: str, how: How, times: int
) -> None:
    cuts = SessionCuts(how, times, rows=MARKERS[place])
    async with SmtpSink(users=USERS) as sink:
        world = await make_world(installation, port=sink.port, leads=LEADS)
        with capture_logs() as logs, cuts.at_work():
            async with running_engine(installation, transport_with()) as engine:
                await pass_time(installation, engine, HOURS)
    assert cuts.done == times
    assert sorted(mail.recipients for mail in sink.accepted) == [(f"lead{n}@lead{n}.test",) for n in range(LEADS)]
    assert {row.state for row in await world.attempts()} == {"sent"}
    assert {row.status for row in await world.enrollments()} == {"completed"}
    assert "engine_failed" not in [entry["event"] for entry in logs]


@CUTS
async def test_an_import_finishes(
    installation: Installation, how: How, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "LOOK_AGAIN_SECONDS", 0.05)
    world = await make_world(installation, port=9, leads=1, mailboxes=0)
    job_id = (await installation.call("import_leads_csv", csv=CSV))["jobId"]
    cuts = SessionCuts(how, times, rows="jobs WHERE done > 0")

    async def has_ended() -> bool:
        return (await installation.call("get_job", id=job_id))["state"] not in ("waiting", "running")

    with capture_logs() as logs, cuts.at_work():
        async with running_engine(installation, transport_with()):
            await until(has_ended)
    [job] = await world.rows(Job)
    assert (cuts.done, job.state, job.error) == (times, "finished", None)
    assert len(await world.rows(Lead)) == 1 + 20
    assert not {"engine_failed", "engine_database_away"} & {entry["event"] for entry in logs}


@CUTS
async def test_leads_follow_a_change_of_their_campaign(
    installation: Installation, how: How, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "LOOK_AGAIN_SECONDS", 0.05)
    app, cuts = installation.app, SessionCuts(how, times, statement="DELETE FROM campaign_changes")
    world = await make_world(installation, port=9, leads=LEADS, mailboxes=0)
    row = CampaignChange(
        workspace_id=world.workspace_id,
        campaign_id=world.campaign_id,
        number=1,
        change=Change(installation.clock.now(), 1, wakes=True).to_json(),
        after_lead_id="",
    )
    await app.database.write(lambda s: s.add(row))

    async def have_followed() -> bool:
        return await app.database.read(lambda s: s.scalar(select(CampaignChange.number))) is None

    with capture_logs() as logs, cuts.at_work():
        async with running_engine(installation, transport_with()):
            await until(have_followed)
    assert cuts.done == times
    assert not {"engine_failed", "campaign_not_followed"} & {entry["event"] for entry in logs}


@CUTS
@pytest.mark.parametrize("place", list(REPLY_MARKERS))
async def test_a_reply_is_sent_once(installation: Installation, place: str, how: How, times: int) -> None:
    cuts = SessionCuts(how, times, rows=REPLY_MARKERS[place])
    async with SmtpSink(users=USERS) as sink:
        world, [conversation_id] = await inbox(installation, port=sink.port)
        await queue(installation, conversation_id)
        with capture_logs() as logs, cuts.at_work():
            async with running_engine(installation, transport_with()) as engine:
                await pass_time(installation, engine, HOURS)
    assert cuts.done == times, logs
    assert "engine_failed" not in [entry["event"] for entry in logs]
    assert len(sink.accepted) == 1
    assert [row.status for row in await replies(world)] == ["sent"]
    assert [row.state for row in await reply_attempts(world)] == ["sent"]


@pytest.mark.parametrize("how", ["idle", "terminated"])
@pytest.mark.parametrize("place", ["before the message", "before the commit"])
async def test_mail_is_taken_in_and_never_set_aside(installation: Installation, place: str, how: How) -> None:
    room = await make_mailroom(installation)
    raw, before = letter(answers=room.id_of(0)), room.folder
    statement = "INSERT INTO inbound_messages" if place == "before the message" else ""
    # So often that the batch fails, as it does when the receiving loop meets it; the loop asks for the same mail again.
    cuts = SessionCuts(
        how, MORE_THAN_RETRIED, rows="" if statement else "mailbox_folders WHERE true", statement=statement
    )
    failed = 0
    with cuts.at_work():
        while cuts.left:
            try:
                await room.take(raw, folder=before)
            except DBAPIError as error:
                failed += is_away(error)
    await room.take(raw, folder=before)
    assert failed > 0
    assert await room.kinds() == [("reply", "strong")]
    assert (await room.enrollment()).status == "replied"
    assert (await room.mailbox()).total_received == 1


async def test_the_database_is_away_or_what_was_asked_of_it_is_wrong(installation: Installation) -> None:
    class Answer(Exception):
        def __init__(self, sqlstate: str) -> None:
            self.sqlstate = sqlstate

    away: list[DBAPIError] = [InternalError("", {}, Answer(state)) for state in ("25P03", "25P04", "25006", "57P05")]
    away += [OperationalError("", {}, Exception("no answer"))]
    lost = DBAPIError("", {}, Exception("gone"), connection_invalidated=True)
    wrong: list[Exception] = [
        InternalError("", {}, Answer("25P02")),
        ProgrammingError("", {}, Answer("42P01")),
        ValueError(),
    ]
    assert [is_away(error) for error in [*away, lost]] == [True] * 6
    assert [is_away(error) for error in wrong] == [False] * 3
