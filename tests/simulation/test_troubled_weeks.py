"""Weeks in which everything goes wrong that can: people, mail servers, mailboxes, the database, and meddling users."""

import random
from datetime import timedelta

import pytest

from postrider.adapters.mail_parser import MailParser
from postrider.engine.worker import Outside
from postrider.inbox.ports import MailReader
from postrider.sending.ports import MailTransport
from postrider.settings import Settings
from tests.simulation.invariants import Audit
from tests.simulation.scenario import draw
from tests.simulation.stage import Stage, on_stage, seeds
from tests.simulation.troubles import PEOPLE, Meddler, UnreliableDatabase, UnreliableReader, trouble_servers


async def play(stage: Stage, meddler: Meddler, database: UnreliableDatabase) -> None:
    """The weeks of the scenario, then an hour without trouble, so that what was under way has come to rest."""
    app, dice = stage.installation.app, stage.scenario.dice
    reader = UnreliableReader(app.port(MailReader), dice)
    end = stage.now + timedelta(days=stage.scenario.days)
    # The engine is stopped and started again in the middle.
    for until in (stage.now + timedelta(days=dice.randint(2, 9)), end):
        async with stage.running(Outside(app.port(MailTransport), reader, MailParser())):
            async for now in stage.pass_until(until, stops=meddler.times):
                if now in meddler.times:
                    database.is_on = False
                    await meddler.act()
                    database.is_on = True
    database.is_on = False
    reader.dice = random.Random(0)
    async with stage.running(Outside(app.port(MailTransport), app.port(MailReader), MailParser())):
        async for _ in stage.pass_until(end + timedelta(hours=1)):
            await stage.read_mail()


@pytest.mark.parametrize("seed", seeds(21))
async def test_whatever_goes_wrong_nobody_is_written_to_twice_or_lost(settings: Settings, seed: int) -> None:
    await assert_all_holds(settings, seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", seeds(*range(22, 42)))
async def test_the_same_with_many_seeds(settings: Settings, seed: int) -> None:
    await assert_all_holds(settings, seed)


async def assert_all_holds(settings: Settings, seed: int) -> None:
    scenario = draw(seed, people=14)
    async with on_stage(settings, scenario, shares=PEOPLE) as stage:
        trouble_servers(scenario, stage.sandbox.transport)
        await stage.start()
        database = UnreliableDatabase(random.Random(seed), one_in=400)
        with database.at_work():
            await play(stage, Meddler(stage, scenario.dice), database)
        audit = await Audit.of(stage)
        unknown = sum(row.state == "unknown" for row in audit.attempts)
        ends = sorted({row.status for row in audit.enrollments})
        print(
            f"{len(audit.sends)} accepted, {unknown} unknown, {database.failures} statements failed; leads are {ends}"
        )
        problems = audit.problems()
        assert not problems, "\n".join(problems)
