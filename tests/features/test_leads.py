"""Leads of a workspace, through the dispatcher, on both databases."""

import pytest
from sqlalchemy import update

from postrider.campaigns.states import QUEUE_HELD, QUEUE_NEW
from postrider.campaigns.tables import Enrollment
from postrider.dispatch import Call
from postrider.kernel.errors import Conflict, InvalidInput, NotFound
from postrider.leads.tables import Lead
from tests.conftest import Installation
from tests.features.lead_rig import change, enrollments, make_campaign

JANE = {"email": "Jane@Acme.test", "firstName": "Jane", "companyName": "Acme", "Industry": "SaaS", "tags": ["Hot"]}


async def test_a_created_lead_is_shown_with_every_field(installation: Installation) -> None:
    created = await installation.call("create_lead", **JANE, customFields={"Seats": 5}, timezone="Europe/Berlin")
    assert (created["email"], created["companyDomain"]) == ("jane@acme.test", "acme.test")
    assert created["customFields"] == {"Industry": "SaaS", "Seats": "5"}
    assert created["tags"] == ["Hot"]
    assert created["emailVerificationStatus"] == "unverified"
    assert created["createdAt"] == "2026-03-02T08:00:00.000Z"
    assert await installation.call("get_lead", id=created["id"]) == created


async def test_a_second_lead_with_an_address_is_a_conflict_that_names_the_first(installation: Installation) -> None:
    first = await installation.call("create_lead", **JANE)
    with pytest.raises(Conflict) as caught:
        await installation.call("create_lead", email="JANE@acme.test")
    assert caught.value.details["leadId"] == first["id"]
    assert (await installation.call("create_lead", owner=installation.bob, **JANE))["id"] != first["id"]


REFUSED: tuple[tuple[dict[str, object], str], ...] = (
    ({"email": "jane"}, "not a valid email"),
    ({"email": "a@ok.test]<b@evil.test>"}, "not a valid email"),
    ({"timezone": "Middle/Earth"}, "not a time zone"),
    ({"firstName": "Jane\r\nBcc: x@y.test"}, "line break"),
    ({"firstName": "x" * 321}, "at most 320"),
    ({"Notes 2": ["a"]}, "holds text"),
    ({"customFields": {"First Pet": "a", "first_pet": "b"}}, "one variable"),
    ({"tags": [" "]}, "1 to 60"),
    ({"workspaceId": "ws_other"}, "workspaceId is not a field"),
    ({"createdAt": "2020-01-01"}, "createdAt is not a field"),
)


async def test_what_cannot_be_stored_is_refused_by_name(installation: Installation) -> None:
    for fields, message in REFUSED:
        with pytest.raises(InvalidInput, match=message):
            await installation.call("create_lead", **{**JANE, **fields})
    assert (await installation.call("list_leads"))["total"] == 0


async def test_a_lenient_door_drops_and_lists_what_only_postrider_sets(installation: Installation) -> None:
    call = Call("create_lead", {**JANE, "workspaceId": "ws_x", "id": "y"}, installation.actor(), lenient=True)
    answer = await installation.app.dispatcher.call(call)
    assert answer.ignored == ["workspaceId", "id"]
    assert answer.output.model_dump()["custom_fields"] == {"Industry": "SaaS"}


async def test_leads_are_listed_newest_first_page_by_page(installation: Installation) -> None:
    for number in range(5):
        await installation.call("create_lead", email=f"p{number}@acme.test")
        installation.clock.advance_to(installation.clock.now().replace(second=number + 1))
    first = await installation.call("list_leads", limit=2)
    second = await installation.call("list_leads", limit=2, cursor=first["nextCursor"])
    third = await installation.call("list_leads", limit=2, cursor=second["nextCursor"])
    listed = [lead["email"] for page in (first, second, third) for lead in page["items"]]
    assert listed == [f"p{number}@acme.test" for number in (4, 3, 2, 1, 0)]
    assert (first["total"], first["hasMore"], third["hasMore"], third["nextCursor"]) == (5, True, False, None)
    assert (await installation.call("list_leads", limit=2, page=2))["items"] == second["items"]


FILTERS: tuple[tuple[dict[str, object], list[str]], ...] = (
    ({"search": "jane"}, ["jane@acme.test"]),
    ({"search": "DOE jane"}, ["jane@acme.test"]),
    ({"search": "acme"}, ["jane@acme.test", "joe@acme.test"]),
    ({"search": "100%"}, ["joe@acme.test"]),
    ({"search": "_"}, []),
    ({"tags": ["hot", "none"]}, ["jane@acme.test"]),
    ({"emailVerified": True}, ["joe@acme.test"]),
    ({"emailVerified": False}, ["jane@acme.test"]),
    ({"emailVerificationStatus": "unverified"}, ["jane@acme.test"]),
)


async def test_filters_find_leads(installation: Installation) -> None:
    await installation.call("create_lead", **JANE, lastName="Doe")
    joe = await installation.call("create_lead", email="joe@acme.test", companyName="100% Joe")
    await change(installation, update(Lead).where(Lead.id == joe["id"]).values(email_verification_status="valid"))
    for filters, found in FILTERS:
        page = await installation.call("list_leads", **filters)
        assert (filters, sorted(lead["email"] for lead in page["items"])) == (filters, found)
        assert page["total"] == len(found)


async def test_a_strange_cursor_is_refused_and_shows_nothing(installation: Installation) -> None:
    with pytest.raises(InvalidInput, match="cursor"):
        await installation.call("list_leads", cursor="WyJjYW1wYWlnbnMiLDFd")


async def test_an_update_changes_what_it_names_and_nothing_else(installation: Installation) -> None:
    lead = await installation.call("create_lead", **JANE, city="Berlin", customFields={"Plan": "pro"})
    updated = await installation.call(
        "update_lead",
        id=lead["id"],
        email="JANE@acme.test",
        city=None,
        jobTitle="CTO",
        customFields={"industry": "Bank", "Plan": None},
        Seats="5",
        tags=["Cold"],
    )
    assert (updated["city"], updated["jobTitle"], updated["firstName"]) == (None, "CTO", "Jane")
    assert updated["customFields"] == {"Industry": "Bank", "Seats": "5"}
    assert updated["tags"] == ["Cold"]
    assert await installation.call("get_lead", id=lead["id"]) == updated


async def test_the_address_of_a_lead_stays(installation: Installation) -> None:
    lead = await installation.call("create_lead", **JANE)
    with pytest.raises(InvalidInput, match="cannot be changed"):
        await installation.call("update_lead", id=lead["id"], email="other@acme.test")


async def test_an_update_lets_enrollments_go_on_that_lacked_a_value(installation: Installation) -> None:
    lead = await installation.call("create_lead", **JANE)
    held, other = await make_campaign(installation, "active"), await make_campaign(installation, "active")
    for campaign_id, reason in ((held, "missing_variable:jobTitle"), (other, "unknown_outcome")):
        await installation.call("add_leads_to_campaign", id=campaign_id, leads=[{"leadId": lead["id"]}])
        hold = update(Enrollment).where(Enrollment.campaign_id == campaign_id)
        await change(installation, hold.values(queue=QUEUE_HELD, hold_reason=reason))
    wake = installation.app.signals.events["sender"]
    wake.clear()
    await installation.call("update_lead", id=lead["id"], jobTitle="CTO")
    (freed,) = await enrollments(installation, held)
    (kept,) = await enrollments(installation, other)
    assert (freed.queue, freed.hold_reason) == (QUEUE_NEW, None)
    assert (kept.queue, kept.hold_reason) == (QUEUE_HELD, "unknown_outcome")
    assert wake.is_set()


@pytest.mark.parametrize("operation", ["get_lead", "update_lead"])
async def test_another_workspaces_lead_is_absent(installation: Installation, operation: str) -> None:
    lead = await installation.call("create_lead", **JANE)
    with pytest.raises(NotFound) as theirs:
        await installation.call(operation, owner=installation.bob, id=lead["id"])
    with pytest.raises(NotFound) as absent:
        await installation.call(operation, owner=installation.bob, id=f"lead_{'0' * 26}")
    assert (theirs.value.message, theirs.value.details) == (absent.value.message, absent.value.details)
    assert (await installation.call("list_leads", owner=installation.bob))["total"] == 0


async def test_the_id_of_something_else_is_named_for_what_it_is(installation: Installation) -> None:
    campaign_id = await make_campaign(installation)
    with pytest.raises(InvalidInput, match="id of a campaign"):
        await installation.call("get_lead", id=campaign_id)
