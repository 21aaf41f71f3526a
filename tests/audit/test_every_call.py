"""Every operation that changes something leaves exactly one row when it is done (two when it has a start and an end),
and exactly one when it is refused; reads leave none. An operation without a call here fails the suite."""

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final

import pytest
from sqlalchemy import insert

from postrider.audit.tables import AuditEvent
from postrider.catalogue import load_catalogue
from postrider.dispatch import Call
from postrider.grants.tables import Grant
from postrider.kernel.errors import PostriderError
from postrider.kernel.ids import new_id
from postrider.kernel.operation import Effect, Operation
from postrider.sending.outcomes import Delivered, Outcome
from postrider.sending.ports import MailTransport
from tests.audit.audit_rig import audit_rows, run
from tests.conftest import START, Installation
from tests.contract.tenancy_houses import TwoHouses, two_houses
from tests.contract.tenancy_rows import STEP

CHANGING: Final = [operation for operation in load_catalogue() if operation.effect is not Effect.READ]
READING: Final = [operation for operation in load_catalogue() if operation.effect is Effect.READ]

CALLS: Final[dict[str, dict[str, Any]]] = {
    "create_campaign": {"name": "Mine", "sequence": STEP},
    "update_campaign": {"id": "{own.camp}", "name": "Renamed"},
    "start_campaign": {"id": "{own.camp}"},
    "pause_campaign": {"id": "{own.camp}"},
    "resume_campaign": {"id": "{own.camp}"},
    "send_test_email": {
        "id": "{own.camp}",
        "sequenceStep": 0,
        "mailboxId": "{own.mbx}",
        "customEmail": "me@rows.test",
    },
    "add_leads_to_campaign": {"id": "{own.camp}", "leads": [{"email": "x@rows.test"}]},
    "import_campaign_leads_csv": {"id": "{own.camp}", "csv": "email\nnew@rows.test\n"},
    "import_leads_csv": {"csv": "email\nnew@rows.test\n"},
    "create_lead": {"email": "fresh@rows.test"},
    "update_lead": {"id": "{own.lead}", "firstName": "Ann"},
    "create_mailbox": {"email": "box@rows.test", "provider": "sandbox"},
    "tag_conversation": {"conversationId": "{own.conv}", "aiTag": "interested"},
    "send_reply": {"id": "{own.conv}", "body": "Hello"},
    "cancel_scheduled_reply": {"id": "{own.conv}", "replyId": "{own.rep}"},
    "create_tag": {"name": "fresh"},
    "add_dnc_entries": {"entries": [{"email": "gone@rows.test"}]},
    "create_agent": {"name": "Robin"},
    "generate_reply": {"conversationId": "{own.conv}"},
    "cancel_job": {"id": "{own.job}"},
    "pause_workspace": {},
    "resume_workspace": {},
    "delete_campaign": {"id": "{own.camp}"},
    "bulk_action_campaign_leads": {"id": "{own.camp}", "action": "pause", "selectAll": True},
    "delete_leads": {"leadIds": ["{own.lead}"], "force": True},
    "delete_conversations": {"conversationIds": ["{own.conv}"]},
    "mark_conversations_read": {"conversationIds": ["{own.conv}"]},
    "update_tag": {"name": "interested", "color": "#123456"},
    "delete_tag": {"name": "interested"},
    "remove_dnc_entries": {"selectAll": True},
    "undo_operation": {"id": "{own.undo}"},
    "create_upload": {"name": "leads.csv", "sizeBytes": 10},
    "export_audit_events": {},
    "create_api_key": {"name": "Bob's", "scopes": ["read"]},
    "revoke_api_key": {"id": "{own.new_key}"},
    "revoke_connected_app": {"id": "{own.new_grant}"},
}

Prepare = Callable[[TwoHouses], Awaitable[None]]


async def _paused(houses: TwoHouses) -> None:
    await houses.installation.call("pause_campaign", owner=houses.installation.bob, id=houses.bobs["camp"])


async def _draft(houses: TwoHouses) -> None:
    bob = houses.installation.bob
    made = await houses.installation.call("create_campaign", owner=bob, name="Draft", sequence=STEP)
    houses.bobs["camp"] = made["id"]
    await houses.installation.call(
        "update_campaign", owner=bob, id=made["id"], mailboxIds=[houses.bobs["mbx"]], settings={"skipDNC": True}
    )
    await houses.installation.call("add_leads_to_campaign", owner=bob, id=made["id"], leads=[{"email": "y@rows.test"}])


async def _key(houses: TwoHouses) -> None:
    made = await houses.installation.call("create_api_key", owner=houses.installation.bob, name="x", scopes=["read"])
    houses.bobs["new_key"] = made["id"]


async def _grant(houses: TwoHouses) -> None:
    bob, values = houses.installation.bob, dict.fromkeys(column.name for column in Grant.__table__.c)
    houses.bobs["new_grant"] = new_id("grt")
    values |= {
        "workspace_id": bob.workspace_id,
        "id": houses.bobs["new_grant"],
        "client_id": "app",
        "created_at": START,
    }
    values |= {"client_name": "App", "user_id": bob.user_id, "redirect_uri": "https://app.test/", "scopes": ["read"]}
    await run(houses.installation, insert(Grant).values(values | {"autonomy": "confirm"}))


async def _undoable(houses: TwoHouses) -> None:
    bob = houses.installation.bob
    await houses.installation.call("delete_campaign", owner=bob, id=houses.bobs["camp"])
    entry, *_ = (await houses.installation.call("list_undo_entries", owner=bob))["items"]
    houses.bobs["undo"] = entry["id"]


def _filled(houses: TwoHouses, row: dict[str, Any]) -> dict[str, Any]:
    """``row`` with Bob's own things in it."""
    text = re.sub(r"\{own\.(\w+)\}", lambda found: houses.bobs[found[1]], json.dumps(row))
    filled: dict[str, Any] = json.loads(text)
    return filled


BEFORE: Final[dict[str, Prepare]] = {
    "resume_campaign": _paused,
    "start_campaign": _draft,
    "revoke_api_key": _key,
    "undo_operation": _undoable,
    "revoke_connected_app": _grant,
}
"""What has to be so for the call to be done."""


class FriendlyServer:
    """A mail server that takes every message."""

    async def send(self, account: object, envelope: object, marker: Callable[[], Awaitable[object]]) -> Outcome:
        """See MailTransport."""
        await marker()
        return Delivered("250 ok")


@pytest.fixture
def ports() -> dict[type, object]:
    return {MailTransport: FriendlyServer()}


@pytest.fixture
async def houses(installation: Installation) -> TwoHouses:
    return await two_houses(installation)


def test_every_changing_operation_has_a_call() -> None:
    assert sorted(CALLS) == sorted(operation.name for operation in CHANGING)


async def _new_rows(houses: TwoHouses, known: set[str]) -> list[AuditEvent]:
    rows = await audit_rows(houses.installation, houses.installation.bob.workspace_id)
    return [row for row in rows if row.id not in known]


async def _known(houses: TwoHouses) -> set[str]:
    return {row.id for row in await _new_rows(houses, set())}


@pytest.mark.parametrize("operation", CHANGING, ids=lambda operation: operation.name)
async def test_what_was_done_is_one_row_or_its_two_ends(houses: TwoHouses, operation: Operation) -> None:
    if operation.name in BEFORE:
        await BEFORE[operation.name](houses)
    known = await _known(houses)
    arguments = _filled(houses, CALLS[operation.name])
    await houses.installation.call(operation.name, owner=houses.installation.bob, **arguments)
    rows = await _new_rows(houses, known)
    assert {row.operation for row in rows} == {operation.name}
    assert {(row.credential_id, row.user_id, row.door) for row in rows} == {
        ("key_test", houses.installation.bob.user_id, "v1")
    }
    if operation.audit == "ends":
        assert sorted(row.outcome for row in rows) == ["ended", "started"]
        ends = {row.outcome: row for row in rows}
        assert ends["ended"].started_id == ends["started"].id
    else:
        assert [(row.outcome, row.error_code) for row in rows] == [("done", None)]


@pytest.mark.parametrize("operation", CHANGING, ids=lambda operation: operation.name)
async def test_a_refused_call_is_one_row_that_says_why(houses: TwoHouses, operation: Operation) -> None:
    if operation.name in BEFORE:
        await BEFORE[operation.name](houses)
    known = await _known(houses)
    installation = houses.installation
    powerless = replace(installation.actor(installation.bob), scopes=frozenset({"read"}))
    arguments = _filled(houses, CALLS[operation.name])
    with pytest.raises(PostriderError):
        await installation.app.dispatcher.call(Call(operation.name, arguments, powerless))
    reader = replace(installation.actor(installation.bob), autonomy="readonly")
    with pytest.raises(PostriderError):
        await installation.app.dispatcher.call(Call(operation.name, arguments, reader))
    # Two rows of one millisecond have no order.
    rows = await _new_rows(houses, known)
    assert sorted((row.operation, row.outcome, row.error_code) for row in rows) == [
        (operation.name, "refused", "AUTONOMY_READONLY"),
        (operation.name, "refused", "INSUFFICIENT_SCOPE"),
    ]


async def test_what_is_refused_by_its_state_is_one_row_and_changes_nothing(houses: TwoHouses) -> None:
    known = await _known(houses)
    with pytest.raises(PostriderError):
        await houses.installation.call("create_lead", owner=houses.installation.bob, email="a@bob-lead.test")
    [row] = await _new_rows(houses, known)
    assert (row.operation, row.outcome, row.error_code) == ("create_lead", "refused", "CONFLICT")
    assert (row.before_hash, row.after_hash) == (None, None)


async def test_reads_leave_no_row_done_or_refused(houses: TwoHouses) -> None:
    known = await _known(houses)
    bob = houses.installation.bob
    await houses.installation.call("list_leads", owner=bob)
    with pytest.raises(PostriderError):
        await houses.installation.call("get_lead", owner=bob, id=houses.absent["lead"])
    assert await _new_rows(houses, known) == []


async def test_no_row_holds_a_text_of_the_call(houses: TwoHouses) -> None:
    bob = houses.installation.bob
    secret = "Schwanensee"
    await houses.installation.call(
        "create_lead", owner=bob, email=f"{secret}@rows.test".lower(), firstName=secret, notes=secret
    )
    await houses.installation.call(
        "add_dnc_entries", owner=bob, entries=[{"email": f"{secret}.test", "reason": secret}]
    )
    with pytest.raises(PostriderError):
        await houses.installation.call("create_campaign", owner=bob, name=secret, sequence=[{"type": secret}])
    rows = await _new_rows(houses, set())
    told = repr([[getattr(row, column.name) for column in AuditEvent.__table__.c] for row in rows])
    assert secret.lower() not in told.lower()
