"""Strangers' words are marked in the schemas of outputs, wherever they are returned."""

from collections.abc import Iterator
from typing import Any, Final

import pytest

from postrider.catalogue import load_catalogue

OPERATIONS: Final = {operation.name: operation for operation in load_catalogue()}
MARKED: Final = {
    "list_conversations": {"preview", "firstName", "lastName", "companyName", "jobTitle"},
    "get_conversation": {"text", "subject", "html", "error", "firstName", "filename"},
    "generate_reply": {"text", "firstName", "companyName"},
    "list_scheduled_replies": {"error"},
    "list_leads": {"firstName", "companyName", "notes", "customFields", "tags"},
    "get_lead": {"firstName", "companyName", "notes", "customFields", "tags"},
    "list_campaign_leads": {"firstName", "lastName", "companyName"},
    "explain_lead": {"detail", "result"},
    "preview_email": {"subject", "body", "text", "name"},
    "send_test_email": {"subject", "body", "text"},
    "plan_campaign": {"subject", "text"},
    "add_leads_to_campaign": {"entry"},
    "get_job": {"result", "error"},
    "list_mailboxes": {"lastError"},
    "get_mailbox_analytics": {"lastError"},
}


def marked(schema: Any, name: str = "") -> Iterator[str]:
    """The names of the fields that are marked, themselves or in what they hold."""
    if isinstance(schema, list):
        for part in schema:
            yield from marked(part, name)
    elif isinstance(schema, dict):
        if schema.get("untrusted") is True:
            yield name
        for key, part in schema.items():
            if key in ("properties", "$defs"):
                for field, inner in part.items():
                    yield from marked(inner, field)
            else:
                yield from marked(part, name)


@pytest.mark.parametrize("operation", MARKED)
def test_what_strangers_wrote_is_marked(operation: str) -> None:
    found = set(marked(OPERATIONS[operation].output.model_json_schema(mode="serialization")))
    assert MARKED[operation] <= found, MARKED[operation] - found
