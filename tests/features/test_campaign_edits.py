"""Campaigns edited, in every state, through the dispatcher, on both databases."""

from datetime import timedelta
from typing import Any

import pytest

from postrider.kernel.errors import Conflict, InvalidInput
from tests.conftest import Installation
from tests.features.campaign_rig import (
    FIRST,
    SECOND,
    SEQUENCE,
    WAIT,
    add_agent,
    add_mailbox,
    add_waiting,
    campaign_row,
    ready_campaign,
    running_campaign,
    set_campaign,
)


async def test_only_the_fields_given_change_and_nested_ones_too(installation: Installation) -> None:
    webhook = {"url": "https://a.test/hook", "secret": "s3cret", "events": ["email.sent"]}
    made = await installation.call(
        "create_campaign",
        name="x",
        schedule={"timezone": "Europe/Berlin", "startTime": "08:00"},
        settings={"trackOpens": False, "dailySendLimit": 50, "cc": ["a@b.test"], "webhook": webhook},
    )
    stored = (await campaign_row(installation, made["id"])).settings["webhook"]
    edited = await installation.call(
        "update_campaign",
        id=made["id"],
        schedule={"endTime": "16:00"},
        settings={"trackClicks": False, "dailySendLimit": None, "webhook": {"events": ["lead.replied"]}},
    )
    assert edited["sendingSchedule"] == made["sendingSchedule"] | {"endTime": "16:00"}
    assert edited["webhook"] == {
        "enabled": False,
        "url": "https://a.test/hook",
        "hasSecret": True,
        "events": ["lead.replied"],
    }
    assert edited["settings"] == made["settings"] | {
        "trackClicks": False,
        "dailySendLimit": None,
        "webhook": edited["webhook"],
    }
    kept = (await campaign_row(installation, made["id"])).settings["webhook"]
    assert isinstance(stored, dict) and isinstance(kept, dict)
    assert kept["secret"] == stored["secret"]
    cleared = await installation.call("update_campaign", id=made["id"], settings={"webhook": {"secret": None}})
    assert cleared["webhook"]["hasSecret"] is False


async def test_a_merge_that_would_empty_the_window_is_refused(installation: Installation) -> None:
    made = await installation.call("create_campaign", name="x")
    with pytest.raises(InvalidInput, match=r"both 17:00") as refused:
        await installation.call("update_campaign", id=made["id"], schedule={"startTime": "17:00"})
    assert refused.value.field == "schedule.endTime"


async def test_an_old_matching_mode_is_ignored_and_leaves_the_stored_one(installation: Installation) -> None:
    made = await installation.call("create_campaign", name="x", settings={"espMatchingMode": "auto"})
    edited = await installation.call("update_campaign", id=made["id"], settings={"espMatchingMode": "custom"})
    assert (edited["espMatchingMode"], edited["revision"]) == ("auto", 1)


async def test_every_real_change_raises_the_revision_and_a_repetition_does_not(installation: Installation) -> None:
    made = await installation.call("create_campaign", name="x", sequence=SEQUENCE)
    mailbox_id = await add_mailbox(installation)
    installation.clock.advance(timedelta(hours=1))
    changes: list[dict[str, Any]] = [
        {"name": "y"},
        {"sequence": [FIRST]},
        {"schedule": {"useLeadTimezone": True}},
        {"settings": {"textOnly": True}},
        {"mailboxIds": [mailbox_id]},
        {"subsequences": [{"trigger": {"type": "reply"}}]},
    ]
    for revision, change in enumerate(changes, start=2):
        edited = await installation.call("update_campaign", id=made["id"], **change)
        assert (edited["revision"], edited["updatedAt"]) == (revision, "2026-03-02T09:00:00.000Z")
    again = {name: value for change in changes[:-1] for name, value in change.items()}
    again["subsequences"] = [
        {key: edited["subsequences"][0][key] for key in ("id", "name", "status", "trigger", "sequence")}
    ]
    installation.clock.advance(timedelta(hours=1))
    assert await installation.call("update_campaign", id=made["id"], **again) == edited


async def test_what_was_read_can_be_sent_back_unchanged(installation: Installation) -> None:
    steps = [{**FIRST, "variants": [{"label": "A", "body": "a"}, {"label": "C", "body": "c"}]}, WAIT, SECOND]
    made = await installation.call("create_campaign", name="x", sequence=steps)
    edited = await installation.call("update_campaign", id=made["id"], sequence=made["sequence"])
    assert edited == made


async def test_mailbox_selectors_replace_and_an_empty_list_removes_all(installation: Installation) -> None:
    one, two = [await add_mailbox(installation, f"{name}@ann.test") for name in ("one", "two")]
    made = await installation.call("create_campaign", name="x", mailboxIds=[one])
    edited = await installation.call("update_campaign", id=made["id"], mailboxEmails=["two@ann.test"])
    assert edited["mailboxes"] == [two]
    assert (await installation.call("update_campaign", id=made["id"], name="y"))["mailboxes"] == [two]
    assert (await installation.call("update_campaign", id=made["id"], mailboxIds=[]))["mailboxes"] == []


async def test_an_archived_campaign_cannot_be_changed(installation: Installation) -> None:
    made = await installation.call("create_campaign", name="x")
    await set_campaign(installation, made["id"], status="archived")
    with pytest.raises(Conflict, match="archived") as refused:
        await installation.call("update_campaign", id=made["id"], name="y")
    assert refused.value.details["status"] == "archived"


async def test_another_workspaces_agent_is_refused_on_update_too(installation: Installation) -> None:
    theirs = await add_agent(installation, installation.bob)
    made = await installation.call("create_campaign", name="x")
    with pytest.raises(InvalidInput) as refused:
        await installation.call("update_campaign", id=made["id"], settings={"aiAgentId": theirs})
    assert refused.value.error_code == "AGENT_NOT_FOUND"


async def test_an_error_in_one_field_leaves_everything_as_it_was(installation: Installation) -> None:
    made = await installation.call("create_campaign", name="x", sequence=SEQUENCE)
    with pytest.raises(InvalidInput):
        await installation.call("update_campaign", id=made["id"], name="y", settings={"cc": ["nobody"]})
    assert await installation.call("get_campaign", id=made["id"]) == made


async def test_an_edit_wakes_the_sender_only_where_the_campaign_runs(installation: Installation) -> None:
    made = await ready_campaign(installation)
    wakes = installation.app.signals.events["sender"]
    await installation.call("update_campaign", id=made["id"], name="y")
    assert not wakes.is_set()
    await set_campaign(installation, made["id"], status="active")
    await installation.call("update_campaign", id=made["id"], name="z")
    assert wakes.is_set()


UNFIT: list[tuple[dict[str, Any], str]] = [
    ({"settings": {"espMatchingMode": "strict"}}, "settings.espMatchingMode is not supported yet"),
    ({"mailboxIds": []}, "no mailbox"),
    ({"sequence": [{"type": "email"}]}, "neither subject nor body"),
    ({"subsequences": [{"trigger": {"type": "reply"}}]}, "1 active subsequence is not supported"),
]


async def test_a_campaign_that_runs_cannot_be_edited_into_one_that_could_not(installation: Installation) -> None:
    made = await running_campaign(installation, SEQUENCE)
    for status in ("active", "completed"):
        await set_campaign(installation, made["id"], status=status)
        for change, words in UNFIT:
            with pytest.raises(Conflict, match=words) as refused:
                await installation.call("update_campaign", id=made["id"], **change)
            assert refused.value.details["status"] == status
    assert (await installation.call("get_campaign", id=made["id"]))["revision"] == 1
    await set_campaign(installation, made["id"], status="paused")
    for revision, (change, _) in enumerate(UNFIT, start=2):
        assert (await installation.call("update_campaign", id=made["id"], **change))["revision"] == revision


async def test_a_sequence_that_leads_have_a_place_in_cannot_be_emptied(installation: Installation) -> None:
    made = await running_campaign(installation, SEQUENCE)
    await set_campaign(installation, made["id"], status="paused")
    with pytest.raises(InvalidInput, match="cannot be emptied"):
        await installation.call("update_campaign", id=made["id"], sequence=[])


async def test_taking_a_mailbox_away_says_whose_follow_ups_stop(installation: Installation) -> None:
    made = await running_campaign(installation, SEQUENCE)
    old, new = made["mailboxes"][0], await add_mailbox(installation, "new@ann.test")
    edited = await installation.call("update_campaign", id=made["id"], mailboxIds=[old, new])
    assert not any("Follow-ups leave" in warning for warning in edited["warnings"])
    await add_waiting(installation, made["id"], 1, mailbox_id=old)
    edited = await installation.call("update_campaign", id=made["id"], mailboxIds=[new])
    assert f"Leads that began with {old} get nothing more" in edited["warnings"][0]


async def test_subsequences_are_matched_by_id_and_used_ones_are_archived_when_left_out(
    installation: Installation,
) -> None:
    given = [
        {"name": "Hot", "trigger": {"type": "ai_tag", "value": "Interested"}, "sequence": [WAIT, SECOND]},
        {"name": "Replied", "trigger": {"type": "reply", "value": "ignored"}},
    ]
    made = await installation.call("create_campaign", name="x", subsequences=given)
    hot, replied = made["subsequences"]
    assert (hot["addedCount"], hot["stats"], replied["trigger"]["value"]) == (0, {"sent": 0}, None)
    row = await campaign_row(installation, made["id"])
    used = [{**row.subsequences[0], "addedCount": 4, "sent": 2}, row.subsequences[1]]
    await set_campaign(installation, made["id"], subsequences=used)

    renamed = {"id": hot["id"], "name": "Hotter", "trigger": {"type": "ai_tag", "value": "INTERESTED"}}
    edited = await installation.call("update_campaign", id=made["id"], subsequences=[renamed])
    assert [(s["id"], s["name"], s["addedCount"], s["stats"]["sent"]) for s in edited["subsequences"]] == [
        (hot["id"], "Hotter", 4, 2)
    ]
    moved = {**renamed, "trigger": {"type": "reply"}}
    with pytest.raises(InvalidInput, match="leads have entered") as refused:
        await installation.call("update_campaign", id=made["id"], subsequences=[moved])
    assert refused.value.field == "subsequences[0].trigger"
    edited = await installation.call("update_campaign", id=made["id"], subsequences=[])
    assert [(s["id"], s["status"]) for s in edited["subsequences"]] == [(hot["id"], "archived")]
