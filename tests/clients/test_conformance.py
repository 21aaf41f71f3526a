"""The MCP conformance suite against the product's own server, with the suite's fixtures in it and as it is."""

from pathlib import Path

import pytest
import yaml

from postrider.doors.http import Binding, http_app
from tests.clients.conformance import BEYOND, REVISIONS, demanded, judge
from tests.clients.conftest import Owned
from tests.clients.fixture_pack import build_fixture_server
from tests.clients.loopback import mcp_door, served
from tests.clients.nodejs import FOLDER, Node

EXPECTED_FAILURES = {"2026-07-28": 31, "2025-11-25": 23}
"""How many entries the file for a revision has. Lower it with the file; it is never raised."""


def expected_failures(revision: str) -> Path:
    return FOLDER / f"expected-failures-{revision}.yml"


@pytest.mark.parametrize("revision", REVISIONS)
async def test_the_suite_demands_as_many_scenarios_as_we_say(revision: str) -> None:
    assert len(set(demanded(revision))) == len(demanded(revision)) == REVISIONS[revision]


@pytest.mark.parametrize("revision", REVISIONS)
async def test_with_the_fixture_pack_every_demanded_scenario_passes(
    revision: str, owned: Owned, node: Node, tmp_path: Path
) -> None:
    async with mcp_door(owned.app, owned.key, build_fixture_server) as url:
        verdict = await judge(node, url, revision, tmp_path / "results")
    assert verdict.ended.status == 0, str(verdict)
    assert verdict.passed == [*demanded(revision), *BEYOND[revision]], str(verdict)


@pytest.mark.parametrize("revision", REVISIONS)
async def test_the_product_itself_fails_exactly_the_scenarios_that_are_listed(
    revision: str, owned: Owned, node: Node, tmp_path: Path
) -> None:
    """The suite fails as well when a listed scenario passes: the list can only shrink."""
    listed = expected_failures(revision)
    options = ("--expected-failures", str(listed))
    async with served(lambda port: http_app(owned.app, Binding(port=port)), owned.key) as address:
        verdict = await judge(node, f"{address}/mcp", revision, tmp_path / "results", *options)
    assert verdict.ended.status == 0, str(verdict)
    assert "Baseline check passed" in verdict.ended.stdout
    assert all(verdict.checks.values()) and set(BEYOND[revision]) <= set(verdict.passed), str(verdict)


@pytest.mark.parametrize("revision", REVISIONS)
def test_the_list_of_expected_failures_only_shrinks(revision: str) -> None:
    assert len(yaml.safe_load(expected_failures(revision).read_text())["server"]) == EXPECTED_FAILURES[revision]
