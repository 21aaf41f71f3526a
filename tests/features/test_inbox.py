"""The inbox through the dispatcher: listing, reading and labelling, on both databases."""

from datetime import timedelta
from typing import Any

import pytest

from postrider.campaigns.tables import Enrollment
from postrider.dnc.tables import DncEntry
from postrider.doors.mcp.answers import draft
from postrider.inbox.operations import ConversationOut
from postrider.inbox.tables import Conversation
from postrider.kernel.errors import Conflict, InvalidInput, NotFound, PostriderError
from postrider.kernel.ids import new_id
from postrider.sending.tables import Event, OutgoingReply
from tests.conftest import Installation
from tests.features.inbox_world import add_inbound, change, inbox


async def test_conversations_are_listed_newest_reply_first_with_lead_and_campaign(installation: Installation) -> None:
    _, ids = await inbox(installation, leads=3)
    page = await installation.call("list_conversations")
    assert [row["id"] for row in page["items"]] == ids[::-1]
    newest = page["items"][0]
    assert newest["lead"]["email"] == "lead2@lead2.test"
    assert newest["lead"]["firstName"] == "First2"
    assert newest["campaign"]["name"] == "Test campaign"
    assert (newest["isRead"], newest["unreadCount"], newest["messageCount"]) == (False, 1, 2)
    assert newest["preview"] == "Sounds good, tell me more." and newest["untrusted"] is True
    assert newest["subject"] == "Hello there"


async def test_a_conversation_counts_the_messages_that_it_shows(installation: Installation) -> None:
    world, [conversation_id, other] = await inbox(installation, leads=2)
    at = installation.clock.now() - timedelta(minutes=20)
    await add_inbound(world, conversation_id, "Back on Monday.", at, kind="auto_reply")
    for body in ("Yes", "No"):
        reply = await installation.call("send_reply", id=conversation_id, body=body)
    await installation.call("cancel_scheduled_reply", id=conversation_id, replyId=reply["id"])
    thread = await installation.call("get_conversation", id=conversation_id)
    assert [message["type"] for message in thread["messages"]] == ["sent", "reply", "auto_reply", "manual"]
    assert thread["messageCount"] == 4
    listed = (await installation.call("list_conversations"))["items"]
    assert {row["id"]: row["messageCount"] for row in listed} == {conversation_id: 4, other: 2}
    part = await installation.call("get_conversation", id=conversation_id, limit=2)
    assert (len(part["messages"]), part["messageCount"]) == (2, 4)


async def test_pages_follow_each_other_without_gap_or_repeat(installation: Installation) -> None:
    _, ids = await inbox(installation, leads=5)
    seen: list[str] = []
    cursor = None
    while True:
        page = await installation.call("list_conversations", limit=2, **({"cursor": cursor} if cursor else {}))
        assert page["total"] == 5
        seen += [row["id"] for row in page["items"]]
        cursor = page["nextCursor"]
        if cursor is None:
            break
    assert seen == ids[::-1]
    second = await installation.call("list_conversations", limit=2, page=2)
    assert [row["id"] for row in second["items"]] == ids[::-1][2:4]


async def test_filters_add_up(installation: Installation) -> None:
    world, ids = await inbox(installation, leads=3)
    await change(world, Conversation, ids[0], unread_count=0, ai_tag="interested")

    async def found(**filters: Any) -> list[str]:
        return [row["id"] for row in (await installation.call("list_conversations", **filters))["items"]]

    assert await found(unread=True) == [ids[2], ids[1]]
    assert await found(unread=False) == [ids[0]]
    assert await found(aiTag="INTERESTED") == [ids[0]]
    assert await found(search="LEAD1@") == [ids[1]]
    assert await found(search="first2") == [ids[2]]
    assert await found(search="%") == []
    assert len(await found(campaignId=world.campaign_id)) == 3
    assert await found(campaignId=new_id("camp")) == []
    assert await found(unread=True, search="lead0") == []


async def test_an_unknown_label_in_a_filter_lists_the_labels(installation: Installation) -> None:
    with pytest.raises(InvalidInput, match="interested"):
        await installation.call("list_conversations", aiTag="hot")


@pytest.mark.parametrize("cursor", ["x", "WyJjb252ZXJzYXRpb25zIiwibm8iLCJjb252XzEiXQ"])
async def test_a_cursor_of_somebody_elses_making_is_refused(installation: Installation, cursor: str) -> None:
    with pytest.raises(InvalidInput, match="cursor"):
        await installation.call("list_conversations", cursor=cursor)


async def test_a_thread_is_read_in_order_and_reading_marks_nothing(installation: Installation) -> None:
    world, [conversation_id] = await inbox(installation)
    now = installation.clock.now()
    await add_inbound(world, conversation_id, "I am away", now - timedelta(minutes=5), kind="auto_reply")
    reply = await installation.call(
        "send_reply", id=conversation_id, body="Later then", scheduledFor=(now + timedelta(days=1)).isoformat()
    )
    thread = await installation.call("get_conversation", id=conversation_id)
    shown = [(m["type"], m["direction"], m["state"], m["untrusted"]) for m in thread["messages"]]
    assert shown == [
        ("sent", "outbound", "sent", False),
        ("reply", "inbound", "received", True),
        ("auto_reply", "inbound", "received", True),
        ("manual", "outbound", "pending", False),
    ]
    first, answer, _, scheduled = thread["messages"]
    assert (first["subject"], first["text"], first["variant"]) == ("Hello there", "Hi there", "A")
    assert answer["text"] == "Sounds good, tell me more."
    assert answer["html"] is None
    assert scheduled["id"] == reply["id"]
    assert scheduled["text"] == "Later then"
    assert thread["unreadCount"] == 1
    full = await installation.call("get_conversation", id=conversation_id, full=True)
    assert full["messages"][1]["text"].endswith("> Hi there")
    assert full["messages"][1]["html"] == "<p>Sounds good, tell me more.</p>"


async def test_hostile_words_are_cleaned_before_they_are_shown(installation: Installation) -> None:
    world, [conversation_id] = await inbox(installation)
    await add_inbound(
        world,
        conversation_id,
        "read\u202e this\u200b\U000e0041",
        installation.clock.now(),
        from_name="Eve\n\u202eevil",
        subject="a\r\nBcc: x",
        html="<p onclick=x()>hi<script>alert(1)</script></p><img src='javascript:x'>",
        attachments=[{"filename": "a\u202etxt.exe", "contentType": "text/plain", "sizeBytes": 5}],
    )
    thread = await installation.call("get_conversation", id=conversation_id, full=True)
    last = thread["messages"][-1]
    assert last["text"].startswith("read this\n")
    assert last["from"]["name"] == "Eve evil"
    assert last["subject"] == "a Bcc: x"
    assert last["html"] == "<p>hi</p><img>"
    assert last["attachments"] == [{"filename": "atxt.exe", "contentType": "text/plain", "sizeBytes": 5}]


async def test_a_long_thread_fits_one_answer_with_the_newest_message_whole(installation: Installation) -> None:
    world, [conversation_id] = await inbox(installation)
    now = installation.clock.now()
    for number in range(40):
        text = f"Message {number}: " + "ä word " * 900
        await add_inbound(world, conversation_id, text, now - timedelta(minutes=40 - number))
    await add_inbound(world, conversation_id, "The newest. " + "all of it " * 600, now)
    answer = await installation.call("get_conversation", id=conversation_id, limit=100)
    assert draft(ConversationOut.model_validate(answer)).fits
    newest, older = answer["messages"][-1], answer["messages"][:-1]
    assert newest["text"] == ("The newest. " + "all of it " * 600)
    assert newest["truncated"] is False
    assert older[0]["truncated"] is True
    assert older[0]["text"].endswith("…")
    earlier = await installation.call("get_conversation", id=conversation_id, limit=100, cursor=answer["olderCursor"])
    assert earlier["messages"][-1]["at"] < older[0]["at"]


async def test_going_back_through_a_thread_reaches_every_message_once(installation: Installation) -> None:
    world, [conversation_id] = await inbox(installation)
    now = installation.clock.now()
    for number in range(9):
        # The same instant several times: only the ids tell them apart.
        await add_inbound(world, conversation_id, f"n{number}", now - timedelta(minutes=number // 3))
    seen: list[str] = []
    cursor: str | None = None
    while True:
        more = {"cursor": cursor} if cursor else {}
        answer = await installation.call("get_conversation", id=conversation_id, limit=2, **more)
        seen = [message["id"] for message in answer["messages"]] + seen
        cursor = answer["olderCursor"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 11


async def test_a_label_marks_and_stays_the_callers_choice(installation: Installation) -> None:
    world, ids = await inbox(installation, leads=2)
    done = await installation.call("tag_conversation", conversationIds=ids, aiTag="Meeting_Booked")
    assert done == {"modified": 2, "remaining": 0}
    again = await installation.call("tag_conversations", conversationId=ids[0], aiTag="meeting_requested")
    assert again["modified"] == 0
    rows = await world.rows(Conversation)
    assert {(row.ai_tag, row.ai_tag_source) for row in rows} == {("meeting_requested", "agent")}
    assert {row.status for row in await world.enrollments()} == {"active"}
    removed = await installation.call("tag_conversation", conversationId=ids[0], aiTag=None)
    assert removed["modified"] == 1
    [row] = await world.rows(Conversation, Conversation.id == ids[0])
    assert (row.ai_tag, row.ai_tagged_at, row.ai_tag_source) == (None, None, "agent")
    kinds = [event.kind for event in await world.rows(Event)]
    assert kinds == ["labelled"] * 3


async def test_the_label_unsubscribe_lists_the_lead_and_stops_it(installation: Installation) -> None:
    world, ids = await inbox(installation, leads=2)
    reply = await installation.call("send_reply", id=ids[0], body="Hello")
    await installation.call("tag_conversation", conversationIds=[ids[0]], aiTag="unsubscribe")
    [entry] = await world.rows(DncEntry)
    assert (entry.value, entry.source) == ("lead0@lead0.test", "unsubscribe")
    statuses = {row.lead_id: row.status for row in await world.enrollments()}
    assert statuses == {world.lead_ids[0]: "unsubscribed", world.lead_ids[1]: "active"}
    [queued] = await world.rows(OutgoingReply, OutgoingReply.id == reply["id"])
    assert queued.status == "cancelled"
    with pytest.raises(Conflict, match="do-not-contact"):
        await installation.call("send_reply", id=ids[0], body="Hello again")


@pytest.mark.parametrize("label", ["left_company", "wrong_person", "referral"])
async def test_some_labels_stop_the_lead_and_nobody_else(installation: Installation, label: str) -> None:
    world, ids = await inbox(installation, leads=2)
    await installation.call("tag_conversation", conversationId=ids[0], aiTag=label)
    rows = {row.lead_id: row for row in await world.enrollments()}
    stopped, other = rows[world.lead_ids[0]], rows[world.lead_ids[1]]
    assert (stopped.status, stopped.stop_reason, stopped.stop_detail, stopped.due_at) == (
        "stopped",
        "labelled",
        label,
        None,
    )
    assert other.status == "active"
    assert await world.rows(DncEntry) == []


@pytest.mark.parametrize("label", ["interested", "question", "neutral", "not_interested", "out_of_office"])
async def test_other_labels_change_no_campaign(installation: Installation, label: str) -> None:
    world, [conversation_id] = await inbox(installation)
    await installation.call("tag_conversation", conversationId=conversation_id, aiTag=label)
    [row] = await world.enrollments()
    assert row.status == "active"


async def test_filters_select_what_is_labelled_except_what_is_left_out(installation: Installation) -> None:
    world, ids = await inbox(installation, leads=4)
    await change(world, Conversation, ids[3], unread_count=0)
    done = await installation.call(
        "tag_conversation", selectAll=True, filters={"unread": True}, excludeIds=[ids[0]], aiTag="neutral"
    )
    assert done == {"modified": 2, "remaining": 0}
    tagged = {row.id for row in await world.rows(Conversation) if row.ai_tag == "neutral"}
    assert tagged == {ids[1], ids[2]}


@pytest.mark.parametrize(
    "selection",
    [{}, {"filters": {}}, {"excludeIds": []}, {"selectAll": True, "conversationIds": [new_id("conv")]}],
)
async def test_a_label_needs_a_clear_selection(installation: Installation, selection: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        await installation.call("tag_conversation", aiTag="neutral", **selection)


async def test_one_absent_conversation_leaves_all_as_they_were(installation: Installation) -> None:
    world, [conversation_id] = await inbox(installation)
    with pytest.raises(NotFound):
        await installation.call("tag_conversation", conversationIds=[conversation_id, new_id("conv")], aiTag="neutral")
    [row] = await world.rows(Conversation)
    assert row.ai_tag is None


async def test_an_unknown_label_is_refused_with_those_that_exist(installation: Installation) -> None:
    _, [conversation_id] = await inbox(installation)
    with pytest.raises(InvalidInput, match="interested") as refused:
        await installation.call("tag_conversation", conversationId=conversation_id, aiTag="hot")
    assert "unsubscribe" in refused.value.details["labels"]


async def test_another_workspaces_ids_are_absent_everywhere(installation: Installation) -> None:
    world, [conversation_id] = await inbox(installation)
    reply = await installation.call("send_reply", id=conversation_id, body="x")
    calls: list[tuple[str, dict[str, Any]]] = [
        ("get_conversation", {"id": conversation_id}),
        ("send_reply", {"id": conversation_id, "body": "x"}),
        ("list_scheduled_replies", {"id": conversation_id}),
        ("cancel_scheduled_reply", {"id": conversation_id, "replyId": reply["id"]}),
        ("tag_conversation", {"conversationIds": [conversation_id], "aiTag": "unsubscribe"}),
    ]
    absent = new_id("conv")
    for operation, arguments in calls:
        with pytest.raises(NotFound) as foreign:
            await installation.call(operation, owner=installation.bob, **arguments)
        swapped = {k: absent if v == conversation_id else v for k, v in arguments.items()}
        swapped |= {"conversationIds": [absent]} if "conversationIds" in arguments else {}
        with pytest.raises(NotFound) as missing:
            await installation.call(operation, owner=installation.bob, **swapped)
        assert _told(foreign.value).replace(conversation_id, absent) == _told(missing.value)
    theirs = await installation.call("list_conversations", owner=installation.bob)
    assert (theirs["items"], theirs["total"]) == ([], 0)
    all_theirs = await installation.call(
        "tag_conversation",
        owner=installation.bob,
        selectAll=True,
        filters={"campaignId": world.campaign_id},
        aiTag=None,
    )
    assert all_theirs["modified"] == 0
    [row] = await world.rows(Conversation)
    [queued] = await world.rows(OutgoingReply)
    [enrollment] = await world.rows(Enrollment)
    assert (row.ai_tag, queued.status, enrollment.status) == (None, "pending", "active")


async def test_a_removed_conversation_is_gone_from_lists_and_by_id(installation: Installation) -> None:
    world, [conversation_id] = await inbox(installation)
    await change(world, Conversation, conversation_id, status="removed")
    assert (await installation.call("list_conversations"))["items"] == []
    with pytest.raises(NotFound):
        await installation.call("get_conversation", id=conversation_id)


async def test_a_thread_shows_nothing_of_another_lead(installation: Installation) -> None:
    world, ids = await inbox(installation, leads=2)
    await add_inbound(world, ids[1], "The secret of another lead", installation.clock.now())
    assert "secret" not in str(await installation.call("get_conversation", id=ids[0], full=True))
    assert "secret" in str(await installation.call("get_conversation", id=ids[1]))


def _told(error: PostriderError) -> str:
    return f"{error.error_code} {error.message} {error.hint} {error.details}"
