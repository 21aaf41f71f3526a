"""What the doctor says about mail that is not read."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import update

from postrider.doors.doctor import Finding, examine
from postrider.kernel.clock import SystemClock
from postrider.mailboxes.tables import Mailbox
from postrider.storage.leases import take_lease
from tests.conftest import Installation
from tests.engine.world import World, make_world


@pytest.fixture
async def world(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> World:
    """Two mailboxes that have an IMAP server, and an engine that runs; the doctor's settings are theirs."""
    settings = installation.app.settings
    monkeypatch.setenv("POSTRIDER_DATA_DIR", str(settings.data_dir))
    if settings.database_url is not None:
        monkeypatch.setenv("POSTRIDER_DATABASE_URL", settings.database_url)
    world = await make_world(installation, port=1, leads=0, emails=["lead@lead.test"], mailboxes=2)
    await installation.app.database.hot(lambda c: take_lease(c, "engine-of-the-test", 60))
    await change(world, world.mailbox_ids[0], imap_secret=b"sealed", last_polled_at=SystemClock().now())
    return world


async def change(world: World, mailbox_id: str, **values: object) -> None:
    """Sets columns of a mailbox."""
    statement = update(Mailbox).where(Mailbox.id == mailbox_id).values(**values)
    await world.installation.app.database.write(lambda s: s.execute(statement) and None)


async def incoming() -> Finding:
    """What the doctor finds about incoming mail."""
    findings = await asyncio.to_thread(lambda: list(examine("127.0.0.1", 0)))
    [found] = [each for each in findings if each.subject == "incoming mail"]
    return found


async def test_the_doctor_is_content_while_every_mailbox_with_imap_is_read(world: World) -> None:
    assert (await incoming()).state == "ok"


@pytest.mark.parametrize("status", ["active", "error", "suspended"])
async def test_the_doctor_tells_of_mailboxes_that_could_not_be_read_for_long(world: World, status: str) -> None:
    long_ago = SystemClock().now() - timedelta(hours=3)
    await change(world, world.mailbox_ids[1], imap_secret=b"sealed", last_polled_at=long_ago, status=status)
    found = await incoming()
    assert (found.state, found.text[:2]) == ("broken", "1 ")
    assert found.mend is not None and "list_mailboxes" in found.mend


async def test_the_doctor_tells_of_mailboxes_that_were_never_read(world: World) -> None:
    await change(world, world.mailbox_ids[1], imap_secret=b"sealed", created_at=SystemClock().now())
    assert (await incoming()).state == "ok", "a new one has not had its turn yet"
    long_ago = SystemClock().now() - timedelta(hours=3)
    await change(world, world.mailbox_ids[1], created_at=long_ago)
    assert (await incoming()).state == "broken"
