"""Campaigns listed and counted, through the dispatcher, on both databases."""

from datetime import timedelta

import pytest

from postrider.kernel.errors import InvalidInput
from tests.conftest import Installation
from tests.features.campaign_rig import SEQUENCE, add_counts, add_lead, set_campaign


async def test_stats_add_up_the_days_and_delivered_leaves_returned_mail_out(installation: Installation) -> None:
    made = await installation.call("create_campaign", name="x")
    await add_counts(installation, made["id"], sent=10, opened=4, bounced=2, returned=1)
    await add_counts(installation, made["id"], day="2026-03-03", sent=5, clicked=2, replied=1, unsubscribed=1)
    expected = {
        "sent": 15,
        "delivered": 14,
        "opened": 4,
        "clicked": 2,
        "replied": 1,
        "bounced": 2,
        "unsubscribed": 1,
    }
    assert (await installation.call("get_campaign", id=made["id"]))["stats"] == expected
    assert (await installation.call("list_campaigns"))["items"][0]["stats"] == expected


async def test_lead_counts_leave_removed_leads_out(installation: Installation) -> None:
    made = await installation.call("create_campaign", name="x")
    for number, status in enumerate(("active", "active", "completed", "removed")):
        await add_lead(installation, made["id"], f"l{number}@acme.test", status=status)
    assert (await installation.call("get_campaign", id=made["id"]))["leads"] == {"total": 3, "active": 2}
    assert (await installation.call("list_campaigns"))["items"][0]["leads"] == {"total": 3, "active": 2}


async def make_list(world: Installation, *names: str) -> list[str]:
    """Campaigns made a minute apart; their ids, oldest first."""
    ids = []
    for name in names:
        ids.append((await world.call("create_campaign", name=name))["id"])
        world.clock.advance(timedelta(minutes=1))
    return ids


async def test_lists_are_newest_first_and_leave_texts_and_settings_out(installation: Installation) -> None:
    await make_list(installation, "One", "Two")
    await installation.call("create_campaign", name="Three", sequence=SEQUENCE)
    page = await installation.call("list_campaigns")
    assert [item["name"] for item in page["items"]] == ["Three", "Two", "One"]
    assert (page["total"], page["hasMore"], page["nextCursor"]) == (3, False, None)
    assert page["items"][0]["emailSteps"] == 2
    assert not {"sequence", "settings", "sendingSchedule", "subsequences"} & page["items"][0].keys()


async def test_a_cursor_goes_on_where_the_page_ended_and_so_does_a_page_number(installation: Installation) -> None:
    await make_list(installation, *"abcde")
    first = await installation.call("list_campaigns", limit=2)
    await installation.call("create_campaign", name="newcomer")
    second = await installation.call("list_campaigns", limit=2, cursor=first["nextCursor"])
    third = await installation.call("list_campaigns", limit=2, cursor=second["nextCursor"])
    names = [item["name"] for page in (first, second, third) for item in page["items"]]
    assert names == ["e", "d", "c", "b", "a"]
    assert third["nextCursor"] is None
    paged = await installation.call("list_campaigns", limit=2, page=2)
    assert [item["name"] for item in paged["items"]] == ["d", "c"]


async def test_a_cursor_of_another_list_is_refused(installation: Installation) -> None:
    for cursor in ("bm9uc2Vuc2U", "WyJjYW1wYWlnbnMiLCJhIiwxXQ"):
        with pytest.raises(InvalidInput, match="cursor is not one"):
            await installation.call("list_campaigns", cursor=cursor)


async def test_archived_campaigns_are_listed_only_when_asked_for(installation: Installation) -> None:
    kept, gone = await make_list(installation, "kept", "gone")
    await set_campaign(installation, gone, status="archived")
    assert [item["id"] for item in (await installation.call("list_campaigns"))["items"]] == [kept]
    archived = await installation.call("list_campaigns", status="archived")
    assert [item["id"] for item in archived["items"]] == [gone]
    assert (await installation.call("list_campaigns", status="active"))["total"] == 0
    assert (await installation.call("get_campaign", id=gone))["status"] == "archived"


async def test_search_finds_part_of_a_name_literally(installation: Installation) -> None:
    await make_list(installation, "Q2 Outbound", "100% Inbound", "Other")

    async def found(search: str) -> list[str]:
        return [item["name"] for item in (await installation.call("list_campaigns", search=search))["items"]]

    assert await found(" BOUND ") == ["100% Inbound", "Q2 Outbound"]
    assert await found("%") == ["100% Inbound"]
    assert await found("_") == []


async def test_lists_of_another_workspace_are_its_own(installation: Installation) -> None:
    await make_list(installation, "a", "b")
    first = await installation.call("list_campaigns", limit=1)
    theirs = await installation.call("list_campaigns", owner=installation.bob, cursor=first["nextCursor"])
    assert (theirs["items"], theirs["total"]) == ([], 0)
