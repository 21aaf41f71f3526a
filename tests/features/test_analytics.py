"""Analytics: the counts of a campaign that has been sent, through the dispatcher, on both databases."""

from datetime import timedelta

import pytest

from postrider.kernel.errors import InvalidInput, NotFound
from tests.conftest import Installation
from tests.engine.world import EMAIL, FOLLOW_UP, USERS, WAIT, make_world, pass_time, running_engine
from tests.integration.smtp_rig import transport_with
from tests.integration.smtp_sink import Rule, SmtpSink


@pytest.fixture
async def sent(installation: Installation) -> str:
    """A campaign of ten leads and two steps, one address of which is refused."""
    rules = [Rule("rcpt", match="lead3@", reply="550 5.1.1 No such user")]
    async with SmtpSink(rules, users=USERS) as sink:
        world = await make_world(installation, port=sink.port, leads=10, steps=(EMAIL, WAIT, FOLLOW_UP))
        async with running_engine(installation, transport_with()) as engine:
            await pass_time(installation, engine, timedelta(days=4))
    return world.campaign_id


async def test_campaign_analytics_add_up_by_step_and_variant(installation: Installation, sent: str) -> None:
    found = await installation.call("get_campaign_analytics", id=sent)
    assert (found["stats"]["sent"], found["stats"]["bounced"], found["stats"]["delivered"]) == (18, 1, 18)
    assert found["stats"]["bounceRate"] == 5.3
    assert [step["stats"]["sent"] for step in found["steps"]] == [9, 9]
    assert [variant["stats"]["sent"] for variant in found["steps"][0]["variants"]] == [9]
    assert found["leads"] == {"bounced": 1, "completed": 9}
    assert found["totalLeads"] == 10


async def test_the_short_form_has_the_same_figures(installation: Installation, sent: str) -> None:
    whole = await installation.call("get_campaign_analytics", id=sent)
    short = await installation.call("get_campaign_performance", id=sent)
    assert short["stats"] == whole["stats"]
    assert [step["sent"] for step in short["steps"]] == [9, 9]


async def test_days_and_mailboxes_add_up_to_the_overview(installation: Installation, sent: str) -> None:
    overview = await installation.call("get_analytics_overview")
    daily = await installation.call("get_daily_analytics")
    mailboxes = await installation.call("get_mailbox_analytics")
    assert overview["stats"]["sent"] == 18
    assert sum(day["stats"]["sent"] for day in daily["items"]) == 18
    assert len(daily["items"]) == 30
    assert sum(row["stats"]["sent"] for row in mailboxes["items"]) == 18
    assert overview["campaigns"] == {"total": 1, "draft": 0, "active": 0, "paused": 0, "completed": 1, "archived": 0}


async def test_days_of_one_campaign_hold_nothing_of_the_others(installation: Installation, sent: str) -> None:
    quiet = (await installation.call("create_campaign", name="Quiet"))["id"]
    for campaign_id, count in ((sent, 18), (quiet, 0)):
        daily = await installation.call("get_daily_analytics", campaignId=campaign_id)
        assert sum(day["stats"]["sent"] for day in daily["items"]) == count
    with pytest.raises(NotFound, match="Campaign not found"):
        await installation.call("get_daily_analytics", owner=installation.bob, campaignId=sent)


async def test_a_range_leaves_out_other_days(installation: Installation, sent: str) -> None:
    day = installation.clock.now().date().isoformat()
    found = await installation.call("get_campaign_analytics", id=sent, **{"from": day})
    assert found["stats"]["sent"] == 0


async def test_a_range_that_ends_before_it_begins_is_refused(installation: Installation) -> None:
    with pytest.raises(InvalidInput, match="before from"):
        await installation.call("get_daily_analytics", **{"from": "2026-03-02", "to": "2026-03-01"})


async def test_a_campaign_shows_the_same_figures_everywhere_after_a_hard_refusal(
    installation: Installation, sent: str
) -> None:
    shown = (await installation.call("get_campaign", id=sent))["stats"]
    figures = (await installation.call("get_campaign_analytics", id=sent))["stats"]
    assert shown == {name: figures[name] for name in shown}
    assert (shown["sent"], shown["bounced"], shown["delivered"]) == (18, 1, 18)


RANGED = ["get_daily_analytics", "get_mailbox_analytics", "get_analytics_overview"]


@pytest.mark.parametrize("operation", RANGED)
@pytest.mark.parametrize(
    ("field", "day"), [("to", "0001-01-01"), ("from", "1999-12-31"), ("to", "9999-12-31"), ("from", "2201-01-01")]
)
async def test_a_day_of_another_age_is_refused(
    installation: Installation, operation: str, field: str, day: str
) -> None:
    with pytest.raises(InvalidInput, match="does not lie between 2000-01-01 and 2200-12-31") as refused:
        await installation.call(operation, **{field: day})
    assert refused.value.field == field


async def test_another_workspace_sees_nothing_of_it(installation: Installation, sent: str) -> None:
    with pytest.raises(NotFound, match="Campaign not found"):
        await installation.call("get_campaign_analytics", owner=installation.bob, id=sent)
    overview = await installation.call("get_analytics_overview", owner=installation.bob)
    assert overview["stats"]["sent"] == 0
