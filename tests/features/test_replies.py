"""Replies through the dispatcher: queued, listed and taken back, on both databases."""

from datetime import timedelta
from typing import Any

import pytest

from postrider.dnc.rules import DncSource
from postrider.kernel.errors import Conflict, InvalidInput, NotFound
from postrider.kernel.ids import new_id
from postrider.kernel.page import write_cursor
from postrider.mailboxes.tables import Mailbox
from postrider.sending.tables import OutgoingReply
from tests.conftest import Installation
from tests.features.inbox_world import change, inbox, list_on_dnc


async def test_a_reply_is_queued_as_html_with_clean_copies(installation: Installation) -> None:
    world, [conversation_id] = await inbox(installation)
    queued = await installation.call(
        "send_reply",
        id=conversation_id,
        body="<p>Hi <script>x</script>you</p>",
        cc=["Colleague@Acme.test", "colleague@acme.test", "lead0@lead0.test"],
        bcc=["boss@acme.test"],
    )
    assert queued["status"] == "pending"
    assert queued["isScheduled"] is False
    [row] = await world.rows(OutgoingReply)
    assert (row.body, row.cc, row.bcc) == ("<p>Hi you</p>", ["colleague@acme.test"], ["boss@acme.test"])
    assert row.mailbox_id == world.mailbox_ids[0]
    [listed] = (await installation.call("list_scheduled_replies", id=conversation_id))["items"]
    assert (listed["id"], listed["to"], listed["status"]) == (queued["id"], "lead0@lead0.test", "pending")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"body": ""}, "body"),
        ({"body": "  \n "}, "nothing"),
        ({"body": "<p><script>x</script></p>"}, "nothing"),
        ({"body": "Hi {{firstName}}"}, "variable"),
        ({"body": "x", "scheduledFor": "2026-03-02T07:59:59Z"}, "past"),
        ({"body": "x", "scheduledFor": "2027-03-03T08:00:00Z"}, "year"),
        ({"body": "x", "scheduledFor": "2026-03-04T08:00:00"}, "time zone"),
        ({"body": "x", "cc": ["a@b.test]<c@d.test>"]}, r"cc\[0\]"),
        ({"body": "x", "bcc": ["ok@acme.test", "a@b.test, c@d.test"]}, r"bcc\[1\]"),
        ({"body": "x", "cc": [f"a{n}@b.test" for n in range(6)]}, "cc"),
        ({"body": "x", "to": "other@b.test"}, "to is not a field"),
        ({"body": "x", "attachments": [{"id": "file_1"}]}, "cannot carry files yet"),
    ],
)
async def test_what_a_reply_must_not_be(installation: Installation, arguments: dict[str, Any], words: str) -> None:
    world, [conversation_id] = await inbox(installation)
    with pytest.raises(InvalidInput, match=words):
        await installation.call("send_reply", id=conversation_id, **arguments)
    assert await world.rows(OutgoingReply) == []


@pytest.mark.parametrize("source", ["unsubscribe", "complaint", "bounce"])
async def test_nobody_replies_to_those_who_said_no(installation: Installation, source: DncSource) -> None:
    world, [conversation_id] = await inbox(installation)
    await list_on_dnc(world, "boss@no.test", source)
    with pytest.raises(Conflict, match=r"boss@no\.test"):
        await installation.call("send_reply", id=conversation_id, body="x", cc=["boss@no.test"])
    await list_on_dnc(world, "lead0@lead0.test", source)
    with pytest.raises(Conflict, match="do-not-contact"):
        await installation.call("send_reply", id=conversation_id, body="x")


async def test_an_entry_made_by_hand_does_not_forbid_an_answer(installation: Installation) -> None:
    world, [conversation_id] = await inbox(installation)
    await list_on_dnc(world, "lead0@lead0.test", "manual")
    assert (await installation.call("send_reply", id=conversation_id, body="x"))["status"] == "pending"


async def test_a_mailbox_that_cannot_send_is_named_before_anything_is_queued(installation: Installation) -> None:
    world, [conversation_id] = await inbox(installation)
    await change(world, Mailbox, world.mailbox_ids[0], status="error")
    with pytest.raises(Conflict, match="it is error"):
        await installation.call("send_reply", id=conversation_id, body="x")
    with pytest.raises(NotFound, match="Mailbox"):
        await installation.call("send_reply", id=conversation_id, body="x", mailboxId=new_id("mbx"))
    with pytest.raises(InvalidInput, match="conversation"):
        await installation.call("send_reply", id=conversation_id, body="x", mailboxId=conversation_id)


async def test_scheduled_replies_come_in_order_and_one_can_be_taken_back(installation: Installation) -> None:
    world, [conversation_id] = await inbox(installation)
    now = installation.clock.now()
    days = [3, 1, 2]
    ids = {}
    for day in days:
        at = (now + timedelta(days=day)).isoformat()
        ids[day] = (await installation.call("send_reply", id=conversation_id, body=f"d{day}", scheduledFor=at))["id"]
    await change(world, OutgoingReply, ids[2], status="failed", error="refused")
    listed = await installation.call("list_scheduled_replies", id=conversation_id)
    assert [row["id"] for row in listed["items"]] == [ids[1], ids[2], ids[3]]
    assert [row["isScheduled"] for row in listed["items"]] == [True] * 3
    done = await installation.call("cancel_scheduled_reply", id=conversation_id, replyId=ids[1])
    assert done == {"message": "Scheduled reply cancelled"}
    assert await installation.call("cancel_scheduled_reply", id=conversation_id, replyId=ids[1]) == done
    listed = await installation.call("list_scheduled_replies", id=conversation_id)
    assert [row["id"] for row in listed["items"]] == [ids[2], ids[3]]
    thread = await installation.call("get_conversation", id=conversation_id)
    assert ids[1] not in [message["id"] for message in thread["messages"]]


async def test_scheduled_replies_come_in_pages(installation: Installation) -> None:
    _, [conversation_id] = await inbox(installation)
    now = installation.clock.now()
    made = []
    for day in (1, 2, 2, 3, 4):
        at = (now + timedelta(days=day)).isoformat()
        made.append((await installation.call("send_reply", id=conversation_id, body="x", scheduledFor=at))["id"])
    page = await installation.call("list_scheduled_replies", id=conversation_id, limit=2)
    assert (page["total"], page["limit"], page["hasMore"]) == (5, 2, True)
    seen = [row["id"] for row in page["items"]]
    while page["nextCursor"]:
        page = await installation.call("list_scheduled_replies", id=conversation_id, limit=2, cursor=page["nextCursor"])
        seen += [row["id"] for row in page["items"]]
    assert seen == made and page["hasMore"] is False
    second = await installation.call("list_scheduled_replies", id=conversation_id, limit=2, page=2)
    assert [row["id"] for row in second["items"]] == made[2:4]
    for cursor in ("nonsense", write_cursor("scheduled_replies", ["0001-01-01T00:00:00+23:59", "x"])):
        with pytest.raises(InvalidInput, match="cursor"):
            await installation.call("list_scheduled_replies", id=conversation_id, cursor=cursor)


@pytest.mark.parametrize("status", ["sending", "sent", "failed"])
async def test_only_a_pending_reply_can_be_cancelled(installation: Installation, status: str) -> None:
    world, [conversation_id] = await inbox(installation)
    reply = await installation.call("send_reply", id=conversation_id, body="x")
    await change(world, OutgoingReply, reply["id"], status=status)
    with pytest.raises(Conflict, match=status):
        await installation.call("cancel_scheduled_reply", id=conversation_id, replyId=reply["id"])
    [row] = await world.rows(OutgoingReply)
    assert row.status == status


async def test_a_reply_of_another_conversation_is_absent(installation: Installation) -> None:
    _, ids = await inbox(installation, leads=2)
    reply = await installation.call("send_reply", id=ids[0], body="x")
    with pytest.raises(NotFound):
        await installation.call("cancel_scheduled_reply", id=ids[1], replyId=reply["id"])


async def test_their_mailbox_cannot_be_borrowed(installation: Installation) -> None:
    world, _ = await inbox(installation)
    bobs = Installation(installation.app, installation.clock, installation.bob, installation.ann)
    _, [bobs_conversation] = await inbox(bobs)
    with pytest.raises(NotFound, match="Mailbox"):
        await bobs.call("send_reply", id=bobs_conversation, body="x", mailboxId=world.mailbox_ids[0])
