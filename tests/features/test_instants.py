"""Instants have one form wherever they stand; on both databases."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from tests.conftest import Installation
from tests.features.inbox_world import inbox

FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
LIKE_ONE = re.compile(r"\d{4}-\d\d-\d\dT")


def instants(value: Any) -> Iterator[str]:
    """Every text of an answer that begins as an instant does."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from instants(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from instants(inner)
    elif isinstance(value, str) and LIKE_ONE.match(value):
        yield value


async def test_every_field_that_holds_an_instant_has_milliseconds_and_a_z(installation: Installation) -> None:
    installation.clock.advance_to(installation.clock.now() + timedelta(microseconds=123_456))
    world, [conversation_id] = await inbox(installation)
    await installation.call("create_agent", name="Robin")
    conversation = await installation.call("get_conversation", id=conversation_id)
    lead_id, campaign_id = conversation["lead"]["id"], world.campaign_id
    answers = [
        conversation,
        await installation.call("generate_reply", conversationId=conversation_id),
        await installation.call("explain_lead", id=campaign_id, leadId=lead_id),
        await installation.call("list_campaign_leads", id=campaign_id),
        await installation.call("get_campaign", id=campaign_id),
        await installation.call("list_mailboxes"),
    ]
    for answer in answers:
        found = list(instants(answer))
        assert found and [text for text in found if not FORM.fullmatch(text)] == []
