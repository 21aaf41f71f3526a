"""Faults that nobody expected: they cost what they touch, and neither the engine nor what others wait for."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import anyio
import pytest
from sqlalchemy import delete, select
from structlog.testing import capture_logs

from postrider.campaigns.edits import Change
from postrider.campaigns.tables import CampaignChange
from postrider.engine import sent_copies, worker
from postrider.engine.passages import Passages
from postrider.engine.replies import ReplyLoop, ReplySender
from postrider.engine.rest import Rest
from postrider.engine.worker import Engine, Outside, run_when_free
from postrider.inbox.ports import FolderBatch, FolderCursor
from postrider.jobs.tables import Job
from postrider.mailboxes.ports import MailAccount
from postrider.sending.epoch import FILE_NAME
from postrider.storage.leases import take_lease
from postrider.storage.tables import EngineLease
from tests.conftest import Installation
from tests.engine.receiver_rig import until
from tests.engine.reply_world import queue, replies, write
from tests.engine.test_replies import give_imap
from tests.engine.world import USERS, make_world, running_engine
from tests.features.inbox_world import inbox
from tests.integration.smtp_rig import transport_with
from tests.integration.smtp_sink import Rule, SmtpSink


async def test_a_change_that_cannot_be_followed_holds_up_its_own_campaign_only(installation: Installation) -> None:
    app, now = installation.app, installation.clock.now()
    async with SmtpSink(users=USERS) as sink:
        bad = await make_world(installation, port=9, leads=1, mailboxes=0, emails=["bad@bad.test"])
        good = await make_world(installation, port=sink.port, leads=3)
        good_change = Change(now, 1, wakes=True).to_json()
        rows = [
            CampaignChange(
                workspace_id=bad.workspace_id, campaign_id=campaign_id, number=1, change=change, after_lead_id=""
            )
            for campaign_id, change in ((bad.campaign_id, {"bad": 1}), (good.campaign_id, good_change))
        ]
        await app.database.write(lambda s: s.add_all(rows))
        await installation.call("import_leads_csv", csv="email\np@b.test\n")

        async def is_done() -> bool:
            return len(sink.accepted) == 3 and [row.state for row in await good.rows(Job)] == ["finished"]

        async with running_engine(installation, transport_with()):
            await until(is_done)
    left = await app.database.read(lambda s: list(s.scalars(select(CampaignChange.campaign_id))))
    assert left == [bad.campaign_id]


async def test_an_engine_that_fails_starts_afresh(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "FAILURE_RETRY_SECONDS", 0.05)
    file = installation.app.settings.data_dir / FILE_NAME
    file.unlink(missing_ok=True)
    file.mkdir()
    async with SmtpSink(users=USERS) as sink:
        await make_world(installation, port=sink.port, leads=1)

        async def is_sent() -> bool:
            return len(sink.accepted) == 1

        async def has_failed() -> bool:
            return "engine_failed" in [entry["event"] for entry in logs]

        with capture_logs() as logs:
            async with running_engine(installation, transport_with()):
                await until(has_failed)
                file.rmdir()
                await until(is_sent)


class HangingSentFolder:
    """A MailReader whose server never answers for a copy."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.given_up = 0

    async def read_new(
        self, account: MailAccount, cursors: Sequence[FolderCursor], *, since: datetime, batch_size: int = 50
    ) -> AsyncIterator[FolderBatch]:
        return
        yield

    async def wait_for_mail(self, account: MailAccount, timeout_seconds: float) -> bool:
        return False

    async def find_in_sent(self, account: MailAccount, message_id: str) -> str | None:
        return None

    async def append_to_sent(self, account: MailAccount, raw: bytes) -> bool:
        self.asked.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        return True

    async def mark_seen(self, account: MailAccount, folder: str, uid: int) -> None:
        return None

    async def close(self) -> None:
        return None


@asynccontextmanager
async def engine_on(installation: Installation, outside: Outside) -> AsyncIterator[None]:
    app, stop = installation.app, asyncio.Event()
    engine = Engine(app.settings, app.database, app.vault, app.clock, app.signals, outside)
    task = asyncio.create_task(run_when_free(engine, stop))
    yield
    stop.set()
    with anyio.fail_after(30):
        await task
    await outside.transport.close()


async def test_an_engine_that_loses_its_lease_sees_to_its_copies_before_the_next(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sent_copies, "DRAIN_SECONDS", 0.1)
    folder = HangingSentFolder()
    owners = select(EngineLease.owner)

    async def leases() -> list[str]:
        return await installation.app.database.read(lambda s: list(s.scalars(owners)))

    async with SmtpSink(users=USERS) as sink:
        world, [conversation_id] = await inbox(installation, port=sink.port)
        await give_imap(installation, world)
        await queue(installation, conversation_id)
        async with engine_on(installation, Outside(transport_with(), folder)):
            with anyio.fail_after(20):
                await folder.asked.wait()
            assert len(await leases()) == 1
            await write(installation, delete(EngineLease))
            await until(leases)
            assert folder.given_up == 1


async def test_a_reply_loop_that_is_cancelled_calls_back_what_has_not_come_to_its_dot(
    installation: Installation,
) -> None:
    app, transport = installation.app, transport_with()
    async with SmtpSink([Rule("rcpt", do="hang")], users=USERS) as sink:
        world, [conversation_id] = await inbox(installation, port=sink.port)
        await queue(installation, conversation_id)
        await app.database.hot(lambda c: take_lease(c, "me", 600))
        sender = ReplySender(app.database, transport, app.vault, app.clock, Passages())
        task = asyncio.create_task(
            ReplyLoop(sender, "me", app.signals.events["replies"], asyncio.Event(), Rest()).run()
        )
        await sink.until_fault("rcpt")
        task.cancel()

        async def is_free() -> bool:
            return [row.lease_owner for row in await replies(world)] == [None]

        with anyio.fail_after(5):
            await until(is_free)
        await asyncio.wait({task})
        assert [row.status for row in await replies(world)] == ["pending"]
        await transport.close()
