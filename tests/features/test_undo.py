"""Taking calls back: what was changed stands as it stood before, on both databases."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from postrider.access.tables import Workspace
from postrider.campaigns import deletion_operations, removal_operations
from postrider.campaigns.tables import Campaign, Enrollment
from postrider.dispatch import Call
from postrider.dnc.tables import DncEntry
from postrider.inbox.tables import Conversation, InboundMessage, OutgoingReply
from postrider.kernel.errors import ConfirmationNeeded, Conflict, Forbidden, InvalidInput, NotFound
from postrider.leads.tables import Lead, LeadTag
from postrider.sending.tables import Attempt, Event, UnsubscribeToken
from postrider.tags.tables import Tag
from postrider.undo.tables import UndoEntry
from tests.conftest import Installation
from tests.engine.world import World
from tests.features.inbox_world import inbox, list_on_dnc
from tests.features.lead_rig import change

Json = dict[str, Any]


async def rows(installation: Installation, *tables: Any, without: tuple[str, ...] = ()) -> list[str]:
    """Every row of the tables, as text."""

    def read(session: Any) -> list[str]:
        found = []
        for table in tables:
            columns = [column for column in table.__table__.c if column.name not in without]
            found += sorted(f"{table.__tablename__} {tuple(row)!r}" for row in session.execute(select(*columns)))
        return found

    return await installation.app.database.read(read)


async def done(installation: Installation, operation: str, **arguments: Any) -> tuple[Json, str]:
    """The call's output and what takes it back."""
    answer = await installation.app.dispatcher.call(Call(operation, arguments, installation.actor()))
    assert answer.undo_id is not None
    return answer.output.model_dump(mode="json", by_alias=True), answer.undo_id


async def undo(installation: Installation, undo_id: str) -> Json:
    output: Json = await installation.call("undo_operation", id=undo_id)
    return output


@pytest.fixture
async def world(installation: Installation) -> World:
    """Three conversations, of which two have unread mail and a label."""
    world, conversations = await inbox(installation, leads=3)
    for conversation_id in conversations[:2]:
        await installation.call("tag_conversation", conversationId=conversation_id, aiTag="question")
    await installation.call("update_lead", id=world.lead_ids[0], tags=["a", "b"], companyName="Acme", Industry="SaaS")
    await installation.call("add_dnc_entries", entries=[{"email": "x@y.test"}, {"email": "z.test", "reason": "rival"}])
    return world


EVERYTHING = (Lead, LeadTag, Enrollment, Conversation, InboundMessage, Tag, DncEntry, Attempt, UnsubscribeToken)
Arguments = Callable[[World], Json]
CALLS: dict[str, tuple[str, Arguments]] = {
    "labels of all": ("tag_conversation", lambda w: {"selectAll": True, "aiTag": "interested"}),
    "a label taken away": ("tag_conversation", lambda w: {"selectAll": True, "aiTag": None}),
    "a changed label": ("update_tag", lambda w: {"name": "Interested", "color": "#123456", "description": None}),
    "a deleted label": ("delete_tag", lambda w: {"name": "question"}),
    "no-contact entries by name": ("remove_dnc_entries", lambda w: {"emails": ["X@y.test", "z.test", "nobody@y.test"]}),
    "all no-contact entries": ("remove_dnc_entries", lambda w: {"selectAll": True, "type": "domain"}),
    "paused leads": ("bulk_action_campaign_leads", lambda w: bulk(w, "pause")),
    "removed leads": ("bulk_action_campaign_leads", lambda w: bulk(w, "remove")),
    "one removed lead": (
        "bulk_action_campaign_leads",
        lambda w: {"id": w.campaign_id, "action": "remove", "leadIds": [w.lead_ids[1]]},
    ),
    "deleted leads": ("delete_leads", lambda w: {"deleteAll": True, "force": True}),
    "one deleted lead": ("delete_leads", lambda w: {"leadIds": [w.lead_ids[0]], "force": True}),
    "deleted conversations": ("delete_conversations", lambda w: {"selectAll": True}),
    "read conversations": ("mark_conversations_read", lambda w: {"selectAll": True}),
}


def bulk(world: World, action: str) -> Json:
    return {"id": world.campaign_id, "action": action, "selectAll": True}


@pytest.mark.parametrize("name", CALLS)
async def test_undone_everything_stands_as_it_stood(installation: Installation, world: World, name: str) -> None:
    operation, arguments = CALLS[name]
    # A caller's label is noted in the conversation's own time of change, which goes on.
    without = ("updated_at",) if operation == "tag_conversation" else ()
    before = await rows(installation, *EVERYTHING, without=without)
    await change(installation, update(Enrollment).values(status="active"))
    before = await rows(installation, *EVERYTHING, without=without)
    installation.clock.advance(timedelta(hours=1))
    _, undo_id = await done(installation, operation, **arguments(world))
    assert await rows(installation, *EVERYTHING, without=without) != before
    installation.clock.advance(timedelta(hours=22))
    answer = await undo(installation, undo_id)
    assert answer["operation"] == operation
    assert answer["restored"] > 0
    assert answer["kept"] == []
    assert await rows(installation, *EVERYTHING, without=without) == before


async def test_a_deleted_campaign_comes_back_and_one_that_ran_comes_back_paused(
    installation: Installation, world: World
) -> None:
    for status, back, kept in (("completed", "completed", 0), ("paused", "paused", 0), ("active", "paused", 1)):
        await change(installation, update(Campaign).values(status=status))
        before = await rows(installation, Enrollment, Attempt)
        _, undo_id = await done(installation, "delete_campaign", id=world.campaign_id)
        assert (await installation.call("list_campaigns"))["items"] == []
        answer = await undo(installation, undo_id)
        assert [each["count"] for each in answer["kept"]] == [1] * kept
        assert (await installation.call("get_campaign", id=world.campaign_id))["status"] == back
        assert await rows(installation, Enrollment, Attempt) == before


async def test_an_undo_works_once(installation: Installation, world: World) -> None:
    _, undo_id = await done(installation, "delete_tag", name="question")
    await undo(installation, undo_id)
    before = await rows(installation, *EVERYTHING)
    with pytest.raises(Conflict, match="undone already"):
        await undo(installation, undo_id)
    assert await rows(installation, *EVERYTHING) == before


async def test_after_a_day_it_is_too_late(installation: Installation, world: World) -> None:
    _, undo_id = await done(installation, "delete_tag", name="question")
    installation.clock.advance(timedelta(hours=24))
    with pytest.raises(Conflict, match="24 hours"):
        await undo(installation, undo_id)
    assert (await installation.call("list_undo_entries"))["items"] == []


async def test_another_workspace_cannot_undo_or_see_it(installation: Installation, world: World) -> None:
    _, undo_id = await done(installation, "delete_tag", name="question")
    with pytest.raises(NotFound):
        await installation.call("undo_operation", owner=installation.bob, id=undo_id)
    assert (await installation.call("list_undo_entries", owner=installation.bob))["items"] == []


async def test_undoing_needs_the_scope_of_what_is_undone(installation: Installation, world: World) -> None:
    _, undo_id = await done(installation, "delete_tag", name="question")
    preparing = replace(installation.actor(), scopes=frozenset({"read", "prepare"}))
    with pytest.raises(Forbidden, match="'delete'"):
        await installation.app.dispatcher.call(Call("undo_operation", {"id": undo_id}, preparing))
    assert (await undo(installation, undo_id))["restored"] == 3


async def test_an_undo_that_lets_campaigns_write_again_wants_a_yes(installation: Installation, world: World) -> None:
    await change(installation, update(Enrollment).values(status="active"))
    _, undo_id = await done(installation, "bulk_action_campaign_leads", **bulk(world, "remove"))
    careful = replace(installation.actor(), autonomy="confirm")
    with pytest.raises(ConfirmationNeeded, match="3 people") as asked:
        await installation.app.dispatcher.call(Call("undo_operation", {"id": undo_id}, careful))
    token = asked.value.details["confirmToken"]
    call = Call("undo_operation", {"id": undo_id, "confirmToken": token}, careful)
    await installation.app.dispatcher.call(call)


async def test_what_has_changed_since_stays_and_is_counted(installation: Installation, world: World) -> None:
    await change(installation, update(Enrollment).values(status="active"))
    _, undo_id = await done(installation, "bulk_action_campaign_leads", **bulk(world, "pause"))
    installation.clock.advance(timedelta(minutes=1))
    now = installation.clock.now()
    replied = update(Enrollment).where(Enrollment.lead_id == world.lead_ids[0])
    await change(installation, replied.values(status="replied", updated_at=now))
    sent_meanwhile = update(Enrollment).where(Enrollment.lead_id == world.lead_ids[1])
    await change(installation, sent_meanwhile.values(next_step=2, last_step=1))
    answer = await undo(installation, undo_id)
    assert answer["restored"] == 1
    assert answer["kept"] == [{"reason": "changed_since", "count": 2}]


async def test_a_label_that_was_changed_since_stays(installation: Installation, world: World) -> None:
    _, undo_id = await done(installation, "tag_conversation", selectAll=True, aiTag="interested")
    [first, *_] = (await installation.call("list_conversations"))["items"]
    await installation.call("tag_conversation", conversationId=first["id"], aiTag="neutral")
    answer = await undo(installation, undo_id)
    assert (answer["restored"], answer["kept"]) == (2, [{"reason": "changed_since", "count": 1}])
    assert (await installation.call("get_conversation", id=first["id"]))["aiTag"] == "neutral"


async def test_who_was_unsubscribed_by_a_label_stays_unsubscribed(installation: Installation, world: World) -> None:
    [first, *_] = (await installation.call("list_conversations"))["items"]
    _, undo_id = await done(installation, "tag_conversation", conversationId=first["id"], aiTag="unsubscribe")
    suppressed = await rows(installation, DncEntry)
    answer = await undo(installation, undo_id)
    assert answer["kept"] == [{"reason": "leads_stay_stopped", "count": 1}]
    assert await rows(installation, DncEntry) == suppressed


async def test_a_lead_whose_address_was_taken_since_is_not_made_twice(installation: Installation, world: World) -> None:
    _, undo_id = await done(installation, "delete_leads", leadIds=world.lead_ids[:2], force=True)
    again = await installation.call("create_lead", email="lead0@lead0.test")
    answer = await undo(installation, undo_id)
    assert answer["restored"] == 1
    assert {"reason": "address_taken_since", "count": 1} in answer["kept"]
    leads = (await installation.call("list_leads"))["items"]
    assert sorted(lead["id"] for lead in leads) == sorted([again["id"], *world.lead_ids[1:]])


async def test_deleted_leads_are_nowhere_to_be_seen_and_what_was_sent_is_kept(
    installation: Installation, world: World
) -> None:
    kept = (Attempt, Event, UnsubscribeToken, DncEntry, InboundMessage)
    before = await rows(installation, *kept)
    output, _ = await done(installation, "delete_leads", deleteAll=True, force=True)
    assert output == {"deleted": 3, "removedFromCampaigns": 3, "remaining": 0}
    assert await rows(installation, *kept) == before
    for listing in ("list_leads", "list_conversations"):
        page = await installation.call(listing)
        assert (page["items"], page["total"]) == ([], 0), listing
    page = await installation.call("list_campaign_leads", id=world.campaign_id)
    assert (page["items"], page["total"]) == ([], 0)
    assert (await installation.call("get_campaign", id=world.campaign_id))["leads"]["total"] == 0
    for call, arguments in (
        ("get_lead", {"id": world.lead_ids[0]}),
        ("explain_lead", {"id": world.campaign_id, "leadId": world.lead_ids[0]}),
    ):
        with pytest.raises(NotFound):
            await installation.call(call, **arguments)


async def test_leads_in_active_campaigns_are_protected_and_the_campaigns_named(
    installation: Installation, world: World
) -> None:
    await change(installation, update(Campaign).values(status="active"))
    before = await rows(installation, *EVERYTHING)
    with pytest.raises(InvalidInput, match=world.campaign_id) as refused:
        await installation.call("delete_leads", leadIds=world.lead_ids)
    assert refused.value.error_code == "LEADS_IN_ACTIVE_CAMPAIGNS"
    assert refused.value.details["campaigns"] == [{"id": world.campaign_id, "leads": 3}]
    assert await rows(installation, *EVERYTHING) == before
    await change(installation, update(Campaign).values(status="paused"))
    assert (await installation.call("delete_leads", leadIds=world.lead_ids))["deleted"] == 3


async def test_what_people_or_their_servers_said_stays_on_the_list(installation: Installation, world: World) -> None:
    for email, source in (("u@y.test", "unsubscribe"), ("b@y.test", "bounce"), ("c@y.test", "complaint")):
        await list_on_dnc(world, email, source)  # type: ignore[arg-type]
        with pytest.raises(Conflict, match="stay on the list"):
            await installation.call("remove_dnc_entries", emails=[email])
    assert await installation.call("remove_dnc_entries", selectAll=True) == {"deleted": 2, "kept": 3}
    person = replace(installation.actor(), door="cli")
    answer = await installation.app.dispatcher.call(Call("remove_dnc_entries", {"emails": ["b@y.test"]}, person))
    assert answer.output.model_dump() == {"deleted": 1, "kept": 0}


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("remove_dnc_entries", {}),
        ("remove_dnc_entries", {"emails": ["x@y.test"], "selectAll": True}),
        ("remove_dnc_entries", {"emails": ["x@y.test"], "type": "email"}),
        ("delete_leads", {}),
        ("delete_leads", {"deleteAll": True, "filters": {}}),
        ("delete_conversations", {}),
        ("delete_conversations", {"selectAll": True, "filters": {}}),
        ("mark_conversations_read", {"filters": {"unread": True}}),
    ],
)
async def test_a_choice_that_is_not_clear_is_refused(
    installation: Installation, world: World, operation: str, arguments: Json
) -> None:
    before = await rows(installation, *EVERYTHING)
    with pytest.raises(InvalidInput):
        await installation.call(operation, **arguments)
    assert await rows(installation, *EVERYTHING) == before


async def test_resuming_in_a_running_campaign_needs_the_scope_to_send(installation: Installation, world: World) -> None:
    await change(installation, update(Campaign).values(status="active"))
    await change(installation, update(Enrollment).values(status="active"))
    await installation.call("bulk_action_campaign_leads", **bulk(world, "pause"))
    deleting = replace(installation.actor(), scopes=frozenset({"read", "prepare", "delete"}))
    with pytest.raises(Forbidden, match="'send'"):
        await installation.app.dispatcher.call(Call("bulk_action_campaign_leads", bulk(world, "resume"), deleting))
    assert await installation.call("bulk_action_campaign_leads", **bulk(world, "resume")) == {
        "affected": 3,
        "skipped": 0,
        "remaining": 0,
    }


async def test_leads_whose_state_does_not_fit_are_skipped(installation: Installation, world: World) -> None:
    await change(installation, update(Enrollment).values(status="active"))
    ended = update(Enrollment).where(Enrollment.lead_id == world.lead_ids[0]).values(status="replied")
    await change(installation, ended)
    answer = await installation.call("bulk_action_campaign_leads", **bulk(world, "pause"))
    assert answer == {"affected": 2, "skipped": 1, "remaining": 0}


async def test_more_leads_than_one_call_takes_are_left_for_another(
    installation: Installation, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await change(installation, update(Enrollment).values(status="active"))
    for module in (removal_operations, deletion_operations):
        monkeypatch.setattr(module, "MOST_AT_ONCE", 2)
    found = [await installation.call("bulk_action_campaign_leads", **bulk(world, "pause")) for _ in range(3)]
    assert [(each["affected"], each["skipped"], each["remaining"]) for each in found] == [
        (2, 0, 1),
        (1, 2, 0),
        (0, 3, 0),
    ]
    answers = [await installation.call("delete_leads", deleteAll=True, force=True) for _ in range(3)]
    assert [(each["deleted"], each["remaining"]) for each in answers] == [(2, 1), (1, 0), (0, 0)]


async def test_a_reply_is_held_and_can_be_taken_back_until_it_leaves(installation: Installation, world: World) -> None:
    [first, *_] = (await installation.call("list_conversations"))["items"]
    reply = await installation.call("send_reply", id=first["id"], body="Hello")
    assert reply["scheduledFor"] == "2026-03-02T08:00:00.000Z"
    await change(installation, update(Workspace).values(settings={"replyHoldSeconds": 30}))
    output, undo_id = await done(installation, "send_reply", id=first["id"], body="Hello again")
    assert (output["scheduledFor"], output["isScheduled"]) == ("2026-03-02T08:00:30.000Z", False)
    assert (await undo(installation, undo_id))["restored"] == 1
    held = select(OutgoingReply.status).where(OutgoingReply.id == output["id"])
    assert await installation.app.database.read(lambda s: s.scalar(held)) == "cancelled"


async def test_a_reply_that_is_leaving_cannot_be_taken_back(installation: Installation, world: World) -> None:
    [first, *_] = (await installation.call("list_conversations"))["items"]
    output, undo_id = await done(installation, "send_reply", id=first["id"], body="Hello")
    await change(installation, update(OutgoingReply).where(OutgoingReply.id == output["id"]).values(status="sending"))
    answer = await undo(installation, undo_id)
    assert (answer["restored"], answer["kept"]) == (0, [{"reason": "left_or_ended", "count": 1}])


async def test_what_can_be_undone_is_listed_newest_first_with_a_cursor(
    installation: Installation, world: World
) -> None:
    await change(installation, delete(UndoEntry))
    for color in ("#111111", "#222222", "#333333"):
        await installation.call("update_tag", name="neutral", color=color)
    page = await installation.call("list_undo_entries", limit=2)
    assert [each["operation"] for each in page["items"]] == ["update_tag", "update_tag"]
    rest = await installation.call("list_undo_entries", limit=2, cursor=page["nextCursor"])
    assert len(rest["items"]) == 1 and rest["nextCursor"] is None
    assert page["items"][0]["id"] > page["items"][1]["id"] > rest["items"][0]["id"]


async def test_records_of_more_than_a_day_ago_are_forgotten(installation: Installation, world: World) -> None:
    await done(installation, "delete_leads", leadIds=world.lead_ids, force=True)
    installation.clock.advance(timedelta(hours=25))
    await installation.call("update_tag", name="neutral", color="#111111")
    [left] = await rows(installation, UndoEntry, without=("payload",))
    assert "update_tag" in left
