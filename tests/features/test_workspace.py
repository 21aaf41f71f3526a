"""A workspace shows who belongs to it, what it has decided, and how much is in it; to nobody else."""

import pytest
from sqlalchemy import update

from postrider.access.causes import CAMPAIGNS, ENROLLMENTS
from postrider.access.house import change_house
from postrider.access.workspace_operations import CONVERSATIONS, LEADS, MAILBOXES
from postrider.campaigns.tables import Campaign, Enrollment
from postrider.inbox.tables import Conversation
from postrider.kernel.errors import InvalidInput, NotFound
from postrider.leads.tables import Lead
from postrider.mailboxes.tables import Mailbox
from tests.conftest import Installation
from tests.features.inbox_world import inbox


async def test_a_workspace_shows_its_members_settings_usage_and_limits(installation: Installation) -> None:
    world, _ = await inbox(installation)
    await installation.call("create_campaign", name="Draft")
    active = update(Campaign).where(Campaign.id == world.campaign_id).values(status="active")
    await installation.app.database.write(lambda session: session.execute(active))
    lines = {"postal_address": "Acme, London"}
    own = installation.ann.workspace_id
    now = installation.clock.now()
    await installation.app.database.write(lambda session: change_house(session, own, lines, now))
    await installation.call("pause_workspace", reason="Holidays")

    seen = await installation.call("get_workspace", id=own)

    assert (seen["id"], seen["name"], seen["status"]) == (own, "Ann's", "active")
    assert [(member["email"], member["role"]) for member in seen["members"]] == [("ann@ann.test", "owner")]
    assert seen["settings"] == {"postalAddress": "Acme, London", "optOutLine": "", "unsubscribeHeaders": True}
    assert seen["usage"]["campaigns"] == 2 and seen["usage"]["activeCampaigns"] == 1
    assert seen["usage"]["mailboxes"] == seen["usage"]["leads"] == seen["usage"]["conversations"] == 1
    mailboxes = await installation.call("list_mailboxes")
    assert seen["limits"]["sendsPerDay"] == sum(box["dailySendLimit"] for box in mailboxes["items"]) > 0
    assert seen["limits"]["credentialSendsPerDay"] is None
    assert seen["paused"] is True and seen["pausedReason"] == "Holidays"


async def test_the_id_may_be_left_out_and_names_no_other_workspace(installation: Installation) -> None:
    assert (await installation.call("get_workspace"))["id"] == installation.ann.workspace_id
    for foreign in (installation.bob.workspace_id, "ws_00000000000000000000000000"):
        with pytest.raises(NotFound):
            await installation.call("get_workspace", id=foreign)
    with pytest.raises(InvalidInput, match="id of a campaign"):
        await installation.call("get_workspace", id="camp_00000000000000000000000000")


async def test_an_empty_workspace_has_nothing_in_it(installation: Installation) -> None:
    seen = await installation.call("get_workspace")
    assert set(seen["usage"].values()) == {0} and seen["limits"]["sendsPerDay"] == 0


def test_what_is_used_by_name_has_these_columns() -> None:
    of_leads = ((LEADS, Lead), (ENROLLMENTS, Enrollment), (CONVERSATIONS, Conversation))
    for named, table in ((MAILBOXES, Mailbox), (CAMPAIGNS, Campaign), *of_leads):
        assert named.name == table.__tablename__
        assert {column.name for column in named.c} <= {column.name for column in table.__table__.columns}
