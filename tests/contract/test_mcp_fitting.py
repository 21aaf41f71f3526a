"""Whatever an operation gives, its answer over MCP is short, and says what it leaves out."""

import json
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.client import Client

from postrider.catalogue import load_catalogue
from postrider.doors.mcp import answers
from postrider.doors.mcp.fitting import fit, size_of
from postrider.doors.mcp.marks import untrusted_paths
from postrider.doors.mcp.projection import Projection
from postrider.doors.mcp.server import build_server
from postrider.doors.mcp.surface import FULL, Surface
from tests.conftest import Installation

CATALOGUE = load_catalogue()
LIMIT = 25_000
YEAR = {"from": "2026-01-01", "to": "2026-12-31"}


def client_of(installation: Installation, surface: Surface = FULL) -> Client:
    actor = installation.actor()
    return Client(build_server(Projection(installation.app, surface, lambda ctx: actor)))


def octets(result: Any) -> int:
    text = "".join(block.text for block in result.content)
    return len(text.encode()) + size_of(result.structured_content)


async def test_a_year_of_days_is_cut_and_says_so(installation: Installation) -> None:
    async with client_of(installation) as client:
        result: Any = await client.call_tool("get_daily_analytics", YEAR)
    assert octets(result) <= LIMIT
    shown = len(result.structured_content["items"])
    assert 30 < shown < 365
    assert f"Of items only the first {shown} of 365 are here." in result.content[0].text


async def test_a_thousand_refusals_are_cut_and_the_counts_are_whole(installation: Installation) -> None:
    campaign = (await installation.call("create_campaign", name="C"))["id"]
    wrong = [{"email": f"nobody {number} at {'x' * 100}"} for number in range(1_000)]
    async with client_of(installation) as client:
        result: Any = await client.call_tool("add_leads_to_campaign", {"id": campaign, "leads": wrong})
    assert octets(result) <= LIMIT
    assert "only the first" in result.content[0].text


async def test_a_resource_is_as_short_and_says_what_is_missing_and_whose_words_it_holds(
    installation: Installation,
) -> None:
    uri = f"postrider://analytics/daily?from={date(2026, 1, 1)}&to={date(2026, 1, 1) + timedelta(364)}"
    async with client_of(installation) as client:
        read: Any = [await client.read_resource(each) for each in (uri, "postrider://mailboxes/health")]
    daily, health = (each.contents[0] for each in read)
    assert len(daily.text.encode()) <= LIMIT and json.loads(daily.text)["items"]
    assert daily.meta is not None and "only the first" in daily.meta["postrider/leftOut"][0]
    assert health.meta == {"postrider/untrusted": ["items[].lastError"]}


def test_the_places_of_strangers_words_are_named() -> None:
    conversation = CATALOGUE.find("get_conversation")
    assert conversation is not None
    assert {"messages[].text", "messages[].subject", "lead.firstName"} <= set(untrusted_paths(conversation.output))


ANY = st.recursive(
    st.none() | st.integers() | st.text(max_size=40) | st.just("word " * 2_000),
    lambda inner: st.lists(inner, max_size=30) | st.dictionaries(st.sampled_from("abcdef"), inner, max_size=4),
    max_leaves=200,
)


@given(st.dictionaries(st.sampled_from("abcdef"), ANY, max_size=5), st.integers(2_000, 30_000))
def test_what_fits_is_left_alone_and_fields_are_never_taken_away(output: dict[str, Any], most: int) -> None:
    before = json.dumps(output)
    fitted = fit(output, most)
    assert json.dumps(output) == before
    assert fitted.output.keys() == output.keys()
    if size_of(output) <= most:
        assert fitted == (output, ())
    else:
        assert fitted.notes or fitted.output == output


@pytest.mark.parametrize("rows", [2, 30, 5_000])
def test_lists_in_lists_are_cut_where_the_room_is(rows: int) -> None:
    output = {"id": "x", "steps": [{"variants": [{"name": "n" * 50, "count": 1}] * rows}] * 3, "few": [1, 2, 3]}
    fitted = fit(output, answers.MAX_RESULT_BYTES)
    assert size_of(fitted.output) <= answers.MAX_RESULT_BYTES
    assert fitted.output["few"] == [1, 2, 3]
