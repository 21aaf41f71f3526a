"""Looking at the events, on both databases."""

from dataclasses import replace
from datetime import timedelta

import pytest

from postrider.dispatch import Call
from postrider.kernel.errors import Forbidden, InvalidInput
from tests.audit.audit_rig import seal
from tests.conftest import START, Installation


async def three(installation: Installation) -> str:
    """Two labels and a refused one, an hour apart; the key that made the last."""
    await installation.call("create_tag", name="a")
    installation.clock.advance(timedelta(hours=1))
    await installation.call("create_tag", name="b")
    installation.clock.advance(timedelta(hours=1))
    other = replace(installation.actor(), credential_id="key_other", client_id="app", door="mcp")
    with pytest.raises(Exception, match="exists already"):
        await installation.app.dispatcher.call(Call("create_tag", {"name": "B"}, other, request_id="r-1"))
    return "key_other"


async def test_events_come_newest_first_and_say_who_did_what_from_where(installation: Installation) -> None:
    await three(installation)
    newest, _, oldest = (await installation.call("list_audit_events"))["items"]
    assert {
        name: newest[name] for name in ("operation", "outcome", "errorCode", "credentialId", "clientId", "door")
    } == {
        "operation": "create_tag",
        "outcome": "refused",
        "errorCode": "CONFLICT",
        "credentialId": "key_other",
        "clientId": "app",
        "door": "mcp",
    }
    assert newest["requestId"] == "r-1"
    assert oldest["at"] == "2026-03-02T08:00:00.000Z"
    assert (oldest["outcome"], oldest["sealed"], oldest["number"], oldest["hash"]) == ("done", False, None, None)
    await seal(installation)
    items = (await installation.call("list_audit_events"))["items"]
    assert [(each["sealed"], each["number"]) for each in items] == [(True, 3), (True, 2), (True, 1)]


async def test_every_filter_chooses(installation: Installation) -> None:
    await three(installation)
    lead = (await installation.call("create_lead", email="a@b.test"))["id"]
    await installation.call("update_lead", id=lead, firstName="Ann")
    at = [(START + timedelta(hours=hours)).isoformat() for hours in (1, 2)]
    for filters, found in (
        ({"operation": "create_lead"}, 1),
        ({"outcome": "refused"}, 1),
        ({"credentialId": "key_other"}, 1),
        ({"targetId": lead}, 1),
        ({"from": at[1]}, 3),
        ({"to": at[0]}, 1),
        ({"from": at[0], "to": at[1]}, 1),
        ({"operation": "create_tag", "outcome": "done"}, 2),
        ({"operation": "delete_everything"}, 0),
    ):
        call = Call("list_audit_events", filters, installation.actor())
        answer = await installation.app.dispatcher.call(call)
        assert len(answer.output.model_dump()["items"]) == found, filters


async def test_pages_follow_one_another_without_gap_or_repetition(installation: Installation) -> None:
    for number in range(5):
        await installation.call("create_tag", name=f"tag {number}")
    found, cursor = [], None
    while True:
        page = await installation.call("list_audit_events", limit=2, **({"cursor": cursor} if cursor else {}))
        found += [each["id"] for each in page["items"]]
        cursor = page["nextCursor"]
        assert page["hasMore"] is (cursor is not None)
        if cursor is None:
            break
    assert found == sorted(found, reverse=True)
    assert len(set(found)) == 5


async def test_a_foreign_cursor_and_an_instant_without_zone_are_refused(installation: Installation) -> None:
    for wrong in ({"cursor": "x"}, {"from": "2026-03-02T08:00:00"}):
        with pytest.raises(InvalidInput):
            await installation.call("list_audit_events", **wrong)


async def test_only_who_administers_may_look(installation: Installation) -> None:
    sender = replace(installation.actor(), scopes=frozenset({"read", "prepare", "send", "delete"}))
    with pytest.raises(Forbidden):
        await installation.app.dispatcher.call(Call("list_audit_events", {}, sender))
