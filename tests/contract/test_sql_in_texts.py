"""Text that means something to a database is text: in every field of what reads, and in every search."""

from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import func, select

from postrider.catalogue import load_catalogue
from postrider.dispatch import Call
from postrider.kernel.errors import PostriderError
from postrider.kernel.operation import Effect, Operation
from postrider.leads.tables import Lead
from tests.conftest import Installation

READS = [operation for operation in load_catalogue() if operation.effect is Effect.READ]
"""What is written is bound by the same statements as everything else; what looks for something is where text could
become part of one."""

PAYLOADS = (
    "' OR '1'='1",
    "'; DROP TABLE leads; --",
    '" OR ""="',
    "1) UNION SELECT digest FROM api_keys --",
    "name; SELECT pg_sleep(9)",
    "%' AND 1=CAST((SELECT lookup FROM api_keys LIMIT 1) AS int) AND '%'='",
    '{"$ne": null}',
    "$.a') OR 1=1 --",
    '" NEAR("x" MATCH *',
    "\\' \\",
)
SEARCHED = ("100%", "under_score", "back\\slash", "plain")


def text_fields(operation: Operation) -> list[str]:
    """The fields that take any text, alone or in a list."""
    root = operation.input.model_json_schema(by_alias=True)
    found = []
    for name, schema in root.get("properties", {}).items():
        parts = [schema, *schema.get("anyOf", ())]
        kinds = {part.get("type") for part in parts} | {part.get("items", {}).get("type") for part in parts}
        if "string" in kinds:
            found.append(name)
    return found


@pytest.mark.parametrize("payload", PAYLOADS)
async def test_no_text_reaches_the_database_as_a_statement(installation: Installation, payload: str) -> None:
    await installation.call("create_lead", email="kept@lead.test")
    for operation in READS:
        for field in text_fields(operation):
            for value in (payload, [payload]):
                arguments: dict[str, Any] = {field: value}
                # Anything but an answer or a refusal in our own words fails the test.
                with suppress(PostriderError):
                    await installation.app.dispatcher.call(Call(operation.name, arguments, installation.actor()))
    kept = await installation.app.database.read(lambda s: s.scalar(select(func.count()).select_from(Lead)))
    assert kept is not None and kept >= 1


async def test_a_search_finds_its_characters_and_nothing_by_wildcard(installation: Installation) -> None:
    for name in SEARCHED:
        await installation.call("create_campaign", name=f"Campaign {name}")
    for name in SEARCHED:
        found = await installation.call("list_campaigns", search=name)
        assert [item["name"] for item in found["items"]] == [f"Campaign {name}"]
    for wildcard in ("1__%", "und%score", "pla_n"):
        assert (await installation.call("list_campaigns", search=wildcard))["items"] == []
