"""What a door does not know it does not drop where dropping it would do more, or less, than was asked."""

from typing import Any

import httpx
import pytest

from postrider.doors.http import http_app
from postrider.doors.rest.headers import IGNORED_HEADER
from postrider.inbox.tables import Conversation
from postrider.kernel.errors import InvalidInput
from postrider.sending.tables import OutgoingReply
from tests.conftest import Installation
from tests.features.inbox_world import inbox

WIDER: list[tuple[str, str, dict[str, Any], str]] = [
    (
        "tag_conversation",
        "/v1/inbox/tag",
        {"selectAll": True, "filters": {"campaign": "camp_x"}, "aiTag": "neutral"},
        "filters.campaign is not a field here (did you mean campaignId?).",
    ),
    (
        "tag_conversation",
        "/v1/inbox/tag",
        {"selectAll": True, "filters": {"since": "2026-01-01"}, "aiTag": "neutral"},
        "filters.since is not a field here (allowed: unread, aiTag, campaignId, search).",
    ),
    (
        "tag_conversation",
        "/v1/inbox/tag",
        {"selectAll": True, "filter": {"unread": True}, "aiTag": "neutral"},
        "filter is not a field here (did you mean filters?).",
    ),
    (
        "add_leads_to_campaign",
        "/v1/campaigns/{camp}/leads",
        {"filters": {"country": "DE", "verified": True}},
        "filters.verified is not a field here (allowed: tags, search, emailVerificationStatus, country, leadIds).",
    ),
    (
        "add_leads_to_campaign",
        "/v1/campaigns/{camp}/leads",
        {"selectAll": True, "exclude": ["lead_x"]},
        "exclude is not a field here (did you mean excludeIds?).",
    ),
]


def _client(installation: Installation) -> httpx.AsyncClient:
    headers = {"X-Api-Key": installation.ann.workspace_key.reveal()}
    transport = httpx.ASGITransport(http_app(installation.app))
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8025", headers=headers)


@pytest.mark.parametrize(("operation", "path", "body", "message"), WIDER)
async def test_an_unknown_field_never_widens_a_selection(
    installation: Installation, operation: str, path: str, body: dict[str, Any], message: str
) -> None:
    world, _ = await inbox(installation)
    before = len(await world.enrollments())
    async with _client(installation) as client:
        answer = await client.post(path.replace("{camp}", world.campaign_id), json=body)
    assert answer.status_code == 400 and answer.json()["error"]["message"] == message
    given = body | ({"id": world.campaign_id} if "{camp}" in path else {})
    with pytest.raises(InvalidInput) as refused:
        await installation.call(operation, **given)
    assert refused.value.message == message
    assert [row.ai_tag for row in await world.rows(Conversation)] == [None]
    assert len(await world.enrollments()) == before


async def test_at_v1_other_unknown_fields_are_still_dropped_and_named(installation: Installation) -> None:
    _, [conversation_id] = await inbox(installation)
    async with _client(installation) as client:
        body = {"conversationIds": [conversation_id], "aiTag": "neutral", "source": "crm"}
        tagged = await client.post("/v1/inbox/tag", json=body)
        listed = await client.get("/v1/inbox", params={"campaign": "camp_x"})
    assert (tagged.json()["data"]["modified"], tagged.headers[IGNORED_HEADER]) == (1, "source")
    assert (listed.status_code, listed.headers[IGNORED_HEADER]) == (200, "campaign")


async def test_a_reply_is_never_queued_without_the_files_it_was_to_carry(installation: Installation) -> None:
    world, [conversation_id] = await inbox(installation)
    async with _client(installation) as client:
        path = f"/v1/inbox/{conversation_id}/reply"
        refused = await client.post(path, json={"body": "See the offer.", "attachments": [{"id": "file_1"}]})
        assert await world.rows(OutgoingReply) == []
        queued = await client.post(path, json={"body": "No file.", "attachments": []})
    assert refused.status_code == 400
    assert refused.json()["error"]["details"]["field"] == "attachments"
    assert queued.status_code == 200 and IGNORED_HEADER not in queued.headers
