"""A filter that is given but blank is refused wherever it would choose what a call acts on."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from postrider.catalogue import load_catalogue
from postrider.doors.http import http_app
from postrider.inbox.tables import Conversation
from postrider.kernel.blanks import is_blank
from postrider.kernel.errors import InvalidInput
from postrider.kernel.misfits import model_at
from postrider.kernel.operation import Selection
from tests.conftest import Installation
from tests.features.inbox_world import inbox

SPACES = ["", " ", "\t\n", "\u00a0", "\u3000", "\u2009\u2028"]
BLANK_TEXTS = [*SPACES, "\u200b", "\ufeff", "\u00ad", "\u2800", "\u3164", "\U000e0041"]
BLANK_LISTS: list[list[str]] = [[], [""], [" "], ["\u200b"]]
BASES: dict[str, dict[str, Any]] = {
    "add_leads_to_campaign": {"id": "{camp}"},
    "tag_conversation": {"selectAll": True, "aiTag": "unsubscribe"},
    "bulk_action_campaign_leads": {"id": "{camp}", "action": "remove", "selectAll": True},
    "delete_leads": {"deleteAll": True, "force": True},
    "delete_conversations": {"selectAll": True},
    "mark_conversations_read": {"selectAll": True},
}
"""For each operation that chooses by filters, what goes with them."""


def _selections() -> Iterator[tuple[str, str, type[Selection]]]:
    """Every operation with each of its inputs that is a Selection inside."""
    for operation in load_catalogue():
        for name, field in operation.input.model_fields.items():
            outside = field.alias or name
            model: type[BaseModel] | None = model_at(operation.input, (outside,))
            if model is not None and issubclass(model, Selection):
                yield operation.name, outside, model


def _blanks() -> Iterator[tuple[str, dict[str, Any], str]]:
    for operation, place, model in _selections():
        fields = model.model_json_schema(by_alias=True)["properties"]
        for name, schema in fields.items():
            kinds = {each.get("type") for each in schema.get("anyOf", [schema])}
            for value in [*(BLANK_TEXTS if "string" in kinds else []), *(BLANK_LISTS if "array" in kinds else [])]:
                yield operation, {place: {name: value}}, f"{place}.{name}"


CASES = list(_blanks())


def test_every_operation_with_filters_is_covered() -> None:
    assert {operation for operation, _, _ in _selections()} == BASES.keys() == {operation for operation, _, _ in CASES}
    assert len({path for _, _, path in CASES}) >= 7


async def _everything(installation: Installation) -> tuple[str, Any]:
    world, _ = await inbox(installation)
    other = await installation.call("create_campaign", name="Other")

    async def state() -> Any:
        return (
            [row.ai_tag for row in await world.rows(Conversation)],
            len(await world.enrollments()),
            (await installation.call("list_campaign_leads", id=other["id"]))["total"],
            (await installation.call("list_dnc_entries"))["total"],
        )

    return other["id"], state


def _with_base(operation: str, body: dict[str, Any], campaign_id: str) -> dict[str, Any]:
    return {name: campaign_id if value == "{camp}" else value for name, value in BASES[operation].items()} | body


async def test_a_blank_filter_is_refused_by_name_and_changes_nothing(installation: Installation) -> None:
    campaign_id, state = await _everything(installation)
    before = await state()
    for operation, body, path in CASES:
        with pytest.raises(InvalidInput) as refused:
            await installation.call(operation, **_with_base(operation, body, campaign_id))
        named = refused.value.details["field"] if refused.value.details else None
        assert named and named.startswith(path), (operation, body, refused.value)
    assert await state() == before


async def test_at_v1_too(installation: Installation) -> None:
    campaign_id, state = await _everything(installation)
    before = await state()
    places = {each.name: each.rest for each in load_catalogue()}
    headers = {"X-Api-Key": installation.ann.workspace_key.reveal()}
    transport = httpx.ASGITransport(http_app(installation.app))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8025", headers=headers) as client:
        for operation, body, path in CASES:
            sent = _with_base(operation, body, campaign_id)
            sent.pop("id", None)
            place = places[operation]
            answer = await client.request(place.method, place.path.format(id=campaign_id), json=sent)
            assert answer.status_code == 400, (operation, body)
            assert answer.json()["error"]["details"]["field"].startswith(path)
    assert await state() == before


@pytest.mark.parametrize(
    "more", [{"filters": {}}, {"filters": {"campaignId": None}}, {"conversationId": ""}, {"excludeIds": [" "]}]
)
async def test_what_was_to_narrow_all_is_never_dropped(installation: Installation, more: dict[str, Any]) -> None:
    _, state = await _everything(installation)
    before = await state()
    with pytest.raises(InvalidInput):
        await installation.call("tag_conversation", selectAll=True, aiTag="unsubscribe", **more)
    assert await state() == before


async def test_a_list_may_be_asked_with_blank_filters_and_null_is_left_out(installation: Installation) -> None:
    world, _ = await inbox(installation)
    assert (await installation.call("list_conversations", search=" ", aiTag=""))["total"] == 1
    filters = {"campaignId": world.campaign_id, "search": None}
    assert (await installation.call("tag_conversation", selectAll=True, aiTag="neutral", filters=filters)) == {
        "modified": 1,
        "remaining": 0,
    }


def test_what_can_be_seen_is_not_blank() -> None:
    assert not any(map(is_blank, ["a", " é ", "\u200bx", "0", ".", "👍", "한"]))
