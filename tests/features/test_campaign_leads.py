"""Leads put into campaigns and listed there, on both databases."""

import random
from datetime import timedelta

import pytest
from sqlalchemy import update

from postrider.campaigns.states import QUEUE_FOLLOW_UP, QUEUE_NEW
from postrider.campaigns.tables import Enrollment
from postrider.kernel.errors import Conflict, InvalidInput, NotFound
from postrider.kernel.ids import new_id
from postrider.leads.tables import Lead
from postrider.sending.tables import Attempt
from tests.conftest import START, Installation
from tests.features.lead_rig import campaign_row, change, enrollments, import_csv, make_campaign


async def create_leads(installation: Installation, *names: str) -> list[str]:
    return [(await installation.call("create_lead", email=f"{name}@acme.test"))["id"] for name in names]


async def test_entries_add_known_and_new_leads_and_report_the_rest(installation: Installation) -> None:
    campaign_id = await make_campaign(installation)
    (known,) = await create_leads(installation, "known")
    bobs = (await installation.call("create_lead", owner=installation.bob, email="x@bob.test"))["id"]
    entries = [
        {"email": "NEW@acme.test", "firstName": "Nina", "Industry": "SaaS", "tags": ["t"], "id": "ignored"},
        {"leadId": known, "email": "other@acme.test"},
        {"email": "known@acme.test", "firstName": "Not taken"},
        {"email": "invalid@"},
        {"firstName": "Nobody"},
        {"email": 7},
        {"leadId": bobs},
        {"leadId": campaign_id},
        {"email": "long@acme.test", "city": "x" * 400},
    ]
    answer = await installation.call("add_leads_to_campaign", id=campaign_id, leads=entries)
    assert (answer["added"], answer["skipped"], answer["matched"]) == (2, 1, None)
    assert [error["message"] for error in answer["errors"]] == [
        "email is not a valid email address: There must be something after the @-sign.",
        "Either leadId or email is required",
        "email has to be text",
        "There is no such lead",
        "leadId is the id of a campaign; a lead id is needed.",
        "city is longer than 320 characters.",
    ]
    assert [error["index"] for error in answer["errors"]] == [3, 4, 5, 6, 7, 8]
    assert answer["errors"][1]["entry"] == {"firstName": "Nobody"}
    assert answer["errors"][5]["entry"] == {"email": "long@acme.test", "city": "x" * 200}
    assert answer["errors"][0] == {
        "index": 3,
        "entry": {"email": "invalid@"},
        "message": answer["errors"][0]["message"],
    }
    (nina,) = (await installation.call("list_leads", search="nina"))["items"]
    assert (nina["email"], nina["customFields"], nina["tags"]) == ("new@acme.test", {"Industry": "SaaS"}, ["t"])
    assert (await installation.call("get_lead", id=known))["firstName"] is None


async def test_a_refused_entry_is_told_by_its_place_and_address_alone(installation: Installation) -> None:
    campaign_id = await make_campaign(installation)
    entries = [
        {"email": "ann@acme.test"},
        {"email": "bad@" + "x" * 5_000, "password": "swordfish", "notes": "n" * 100_000},
        {"leadId": new_id("lead"), "password": "swordfish"},
    ]
    answer = await installation.call("add_leads_to_campaign", id=campaign_id, leads=entries)
    assert answer["added"] == 1 and [error["index"] for error in answer["errors"]] == [1, 2]
    assert [error["entry"] for error in answer["errors"]] == [
        {"email": "bad@" + "x" * 196},
        {"leadId": entries[2]["leadId"]},
    ]
    assert "swordfish" not in str(answer)


async def test_adding_again_skips_everybody(installation: Installation) -> None:
    campaign_id = await make_campaign(installation)
    entries = [{"email": f"p{number}@acme.test"} for number in range(1_200)]
    first = await installation.call("add_leads_to_campaign", id=campaign_id, leads=entries)
    again = await installation.call("add_leads_to_campaign", id=campaign_id, leads=entries)
    assert (first["added"], first["skipped"]) == (1_200, 0)
    assert (again["added"], again["skipped"]) == (0, 1_200)
    assert len(await enrollments(installation, campaign_id)) == 1_200


@pytest.mark.parametrize(
    ("campaign", "lead", "after"),
    [
        ("draft", "pending", "draft"),
        ("paused", "pending", "paused"),
        ("active", "active", "active"),
        ("completed", "active", "active"),
    ],
)
async def test_a_lead_is_active_when_its_campaign_is(
    installation: Installation, campaign: str, lead: str, after: str
) -> None:
    campaign_id = await make_campaign(installation, campaign)
    before = (await campaign_row(installation, campaign_id)).revision
    wake = installation.app.signals.events["sender"]
    wake.clear()
    await installation.call("add_leads_to_campaign", id=campaign_id, leads=[{"email": "a@acme.test"}])
    (enrollment,) = await enrollments(installation, campaign_id)
    assert (enrollment.status, enrollment.queue, enrollment.due_at) == (lead, QUEUE_NEW, START)
    assert (enrollment.next_step, enrollment.last_step, enrollment.thread_ids) == (0, -1, [])
    row = await campaign_row(installation, campaign_id)
    assert (row.status, row.revision) == (after, before + 1)
    assert wake.is_set() is (lead == "active")


async def test_a_completed_campaign_stays_so_when_nobody_is_added(installation: Installation) -> None:
    campaign_id = await make_campaign(installation)
    await installation.call("add_leads_to_campaign", id=campaign_id, leads=[{"email": "a@acme.test"}])
    other = await make_campaign(installation, "completed")
    answer = await installation.call("add_leads_to_campaign", id=other, filters={"country": "Nowhere"})
    assert (answer["matched"], (await campaign_row(installation, other)).status) == (0, "completed")


async def test_an_archived_campaign_takes_nobody(installation: Installation) -> None:
    campaign_id = await make_campaign(installation, "archived")
    with pytest.raises(Conflict, match="archived"):
        await installation.call("add_leads_to_campaign", id=campaign_id, leads=[{"email": "a@acme.test"}])


CHOSEN: tuple[tuple[dict[str, object], list[str]], ...] = (
    ({"tags": ["Hot"]}, ["a", "b"]),
    ({"tags": ["Hot"], "country": "germany"}, ["a"]),
    ({"search": "b@acme"}, ["b"]),
    ({"emailVerificationStatus": "valid"}, ["c"]),
)


async def test_filters_choose_who_is_added(installation: Installation) -> None:
    csv = "email,country,tags\na@acme.test,Germany,hot\nb@acme.test,France,HOT\nc@acme.test,Germany,\n"
    await import_csv(installation, "import_leads_csv", csv)
    verified = update(Lead).where(Lead.email == "c@acme.test").values(email_verification_status="valid")
    await change(installation, verified)
    for filters, names in CHOSEN:
        campaign_id = await make_campaign(installation)
        answer = await installation.call("add_leads_to_campaign", id=campaign_id, filters=filters)
        assert (answer["added"], answer["skipped"], answer["matched"]) == (len(names), 0, len(names))
        listed = (await installation.call("list_campaign_leads", id=campaign_id))["items"]
        assert sorted(item["lead"]["email"][0] for item in listed) == names


async def test_all_leads_are_added_but_the_excluded_and_those_of_others(installation: Installation) -> None:
    rows = "".join(f"p{number}@acme.test\n" for number in range(1_100))
    await import_csv(installation, "import_leads_csv", f"email\n{rows}")
    await installation.call("create_lead", owner=installation.bob, email="x@bob.test")
    (excluded,) = (await installation.call("list_leads", search="p500@acme.test"))["items"]
    campaign_id = await make_campaign(installation)
    await installation.call("add_leads_to_campaign", id=campaign_id, leads=[{"email": "p1@acme.test"}])
    answer = await installation.call(
        "add_leads_to_campaign", id=campaign_id, selectAll=True, excludeIds=[excluded["id"]]
    )
    assert answer == {"added": 1_098, "skipped": 1, "matched": 1_099, "errors": []}


async def test_filters_by_id_match_only_leads_of_the_workspace(installation: Installation) -> None:
    (mine,) = await create_leads(installation, "mine")
    bobs = (await installation.call("create_lead", owner=installation.bob, email="x@bob.test"))["id"]
    campaign_id = await make_campaign(installation)
    answer = await installation.call("add_leads_to_campaign", id=campaign_id, filters={"leadIds": [mine, bobs]})
    assert (answer["added"], answer["matched"]) == (1, 1)


async def test_every_entry_of_a_mixed_call_is_counted_once(installation: Installation) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    campaign_id = await make_campaign(installation)
    known = await create_leads(installation, *(f"known{number}" for number in range(20)))
    inside = [{"email": f"inside{number}@acme.test"} for number in range(20)]
    await installation.call("add_leads_to_campaign", id=campaign_id, leads=inside)
    await change(
        installation,
        update(Enrollment)
        .values(status="removed")
        .where(Enrollment.id == min([row.id for row in await enrollments(installation, campaign_id)])),
    )
    await installation.call("add_dnc_entries", entries=[{"email": "new1@acme.test"}, {"email": "known1@acme.test"}])
    bobs = (await installation.call("create_lead", owner=installation.bob, email="x@bob.test"))["id"]
    kinds: list[list[dict[str, str]]] = [
        [{"leadId": lead_id} for lead_id in known],
        [{"email": f" KNOWN{number}@acme.test"} for number in range(20)],
        inside,
        [{"email": f"new{number}@acme.test"} for number in range(400)],
        [{"leadId": bobs}, {"email": "no address"}, {"leadId": "lead_x"}, {}],
    ]
    entries = [chance.choice(chance.choice(kinds)) for _ in range(1_300)]
    before = {row.lead_id for row in await enrollments(installation, campaign_id) if row.status != "removed"}
    answer = await installation.call("add_leads_to_campaign", id=campaign_id, leads=entries)
    after = {row.lead_id for row in await enrollments(installation, campaign_id) if row.status != "removed"}
    refused = [entry for entry in entries if entry in kinds[-1]]
    assert sorted(map(str, (error["entry"] for error in answer["errors"]))) == sorted(map(str, refused))
    assert answer["added"] == len(after - before)
    assert answer["skipped"] == len(entries) - len(refused) - answer["added"]
    workspaces = {row.workspace_id for row in await enrollments(installation, campaign_id)}
    assert workspaces == {installation.ann.workspace_id}


async def test_of_two_entries_with_one_address_the_first_makes_the_lead(installation: Installation) -> None:
    campaign_id = await make_campaign(installation)
    entries = [{"email": "a@acme.test", "city": "Bonn"}, {"email": "A@acme.test", "city": "Köln"}]
    answer = await installation.call("add_leads_to_campaign", id=campaign_id, leads=entries)
    assert (answer["added"], answer["skipped"]) == (1, 1)
    assert (await installation.call("list_leads"))["items"][0]["city"] == "Bonn"


async def test_nobody_chosen_is_refused_in_the_words_of_the_contract(installation: Installation) -> None:
    campaign_id = await make_campaign(installation)
    nobody: tuple[dict[str, object], ...] = ({}, {"leads": []}, {"filters": {}}, {"selectAll": False})
    for given in nobody:
        with pytest.raises(InvalidInput) as caught:
            await installation.call("add_leads_to_campaign", id=campaign_id, **given)
        assert caught.value.message == "Provide leads array, filters, or selectAll: true"
        assert caught.value.error_code == "VALIDATION_ERROR"


async def test_two_ways_at_once_and_too_many_entries_are_refused(installation: Installation) -> None:
    campaign_id = await make_campaign(installation)
    with pytest.raises(InvalidInput, match="only one"):
        await installation.call("add_leads_to_campaign", id=campaign_id, leads=[{"email": "a@b.test"}], selectAll=True)
    with pytest.raises(InvalidInput, match="5,000"):
        await installation.call("add_leads_to_campaign", id=campaign_id, leads=[{"email": "a@b.test"}] * 5_001)


@pytest.mark.parametrize(
    ("last_step", "status", "next_step", "wait"),
    [(-1, "active", 0, timedelta(0)), (0, "active", 1, timedelta(days=2)), (1, "completed", 2, None)],
)
async def test_a_removed_lead_comes_back_after_the_last_step_it_was_sent(
    installation: Installation, last_step: int, status: str, next_step: int, wait: timedelta | None
) -> None:
    campaign_id = await make_campaign(installation, "active")
    entry = {"email": "a@acme.test"}
    await installation.call("add_leads_to_campaign", id=campaign_id, leads=[entry])
    sent_at = START - timedelta(days=1) if last_step >= 0 else None
    gone = {"status": "removed", "stop_reason": "removed", "last_step": last_step, "last_accepted_at": sent_at}
    await change(installation, update(Enrollment).where(Enrollment.campaign_id == campaign_id).values(**gone))
    answer = await installation.call("add_leads_to_campaign", id=campaign_id, leads=[entry])
    (back,) = await enrollments(installation, campaign_id)
    assert (answer["added"], answer["skipped"]) == (1, 0)
    assert (back.status, back.next_step, back.last_step, back.stop_reason) == (status, next_step, last_step, None)
    assert back.queue == (QUEUE_NEW if next_step == 0 else QUEUE_FOLLOW_UP)
    assert back.due_at == (START + wait if wait is not None else None)


async def test_another_workspaces_campaign_is_absent(installation: Installation) -> None:
    campaign_id = await make_campaign(installation)
    calls: tuple[tuple[str, dict[str, object]], ...] = (
        ("add_leads_to_campaign", {"leads": [{"email": "a@acme.test"}]}),
        ("import_campaign_leads_csv", {"csv": "email\na@acme.test\n"}),
        ("list_campaign_leads", {}),
    )
    for operation, arguments in calls:
        for id_ in (campaign_id, f"camp_{'0' * 26}"):
            with pytest.raises(NotFound, match="Campaign not found"):
                await installation.call(operation, owner=installation.bob, id=id_, **arguments)
    assert await enrollments(installation, campaign_id) == []
    assert (await installation.call("list_leads", owner=installation.bob))["total"] == 0


async def test_a_campaigns_leads_are_listed_with_progress_and_history(installation: Installation) -> None:
    campaign_id = await make_campaign(installation, "active")
    await installation.call(
        "add_leads_to_campaign", id=campaign_id, leads=[{"email": "a@acme.test", "firstName": "Ann"}]
    )
    (enrollment,) = await enrollments(installation, campaign_id)
    due = START + timedelta(days=3)
    await change(
        installation,
        update(Enrollment).where(Enrollment.id == enrollment.id).values(next_step=1, last_step=0, due_at=due),
    )
    step_id = (await installation.call("get_campaign", id=campaign_id))["sequence"][0]["id"]
    await installation.app.database.write(lambda s: s.add(sent_attempt(enrollment, step_id)))
    (item,) = (await installation.call("list_campaign_leads", id=campaign_id))["items"]
    assert item["lead"]["firstName"] == "Ann"
    assert (item["nextStep"], item["totalSteps"], item["nextSendAt"]) == (2, 2, "2026-03-05T08:00:00.000Z")
    assert item["emailHistory"] == [
        {
            "stepId": step_id,
            "step": 1,
            "sequenceStep": 0,
            "variant": "A",
            "state": "sent",
            "sentAt": "2026-03-02T08:00:00.000Z",
            "openedAt": None,
            "clickedAt": None,
        }
    ]


def sent_attempt(enrollment: Enrollment, step_id: str) -> Attempt:
    return Attempt(
        workspace_id=enrollment.workspace_id,
        id=f"att_{'0' * 26}",
        purpose="step",
        purpose_key="k",
        state="sent",
        mailbox_id=f"mbx_{'0' * 26}",
        recipient="a@acme.test",
        campaign_id=enrollment.campaign_id,
        enrollment_id=enrollment.id,
        lead_id=enrollment.lead_id,
        step_id=step_id,
        step_index=0,
        variant="A",
        message_id="<a@acme.test>",
        content={},
        copies=[],
        refused_copies=[],
        tries=1,
        first_try_at=START,
        mailbox_day="2026-03-02",
        sending_at=START,
        done_at=START,
        fence=1,
    )


async def test_removed_leads_are_listed_only_when_asked_for(installation: Installation) -> None:
    campaign_id = await make_campaign(installation)
    entries = [{"email": f"{name}@acme.test", "companyName": f"{name} Ltd"} for name in ("ann", "ben", "cem")]
    await installation.call("add_leads_to_campaign", id=campaign_id, leads=entries)
    removed = (await enrollments(installation, campaign_id))[0]
    await change(installation, update(Enrollment).where(Enrollment.id == removed.id).values(status="removed"))
    shown = await installation.call("list_campaign_leads", id=campaign_id, limit=1)
    rest = await installation.call("list_campaign_leads", id=campaign_id, limit=1, cursor=shown["nextCursor"])
    assert (shown["total"], shown["hasMore"], rest["hasMore"]) == (2, True, False)
    assert removed.id not in {item["id"] for page in (shown, rest) for item in page["items"]}
    asked = await installation.call("list_campaign_leads", id=campaign_id, status="removed")
    assert [item["id"] for item in asked["items"]] == [removed.id]
    person = shown["items"][0]["lead"]
    words = f"LTD {person['email'][:3]}"
    found = await installation.call("list_campaign_leads", id=campaign_id, search=words, status="pending")
    assert ([item["lead"] for item in found["items"]], found["total"]) == ([person], 1)
