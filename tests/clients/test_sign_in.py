"""The TypeScript client and the one of the old SDK find their own way in: an address is all that they are given.

The server is a process as in production, and its owner sits at a real Chromium.
"""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser

from tests.clients.conftest import environment_of
from tests.clients.nodejs import Node
from tests.clients.owner import Owner
from tests.clients.test_typescript import Kind, assert_understood, creating, every_client
from tests.e2e.test_serve import server
from tests.people.browser_rig import chromium, window

APP = "Postrider's client test"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> AsyncIterator[str]:
    """The address of a server whose owner has chosen a password by the link that it printed."""
    with server(environment_of(tmp_path_factory.mktemp("house"))) as (running, address):
        assert running.stdout is not None
        link = [running.stdout.readline() for _ in range(3)][-1].strip()
        async with window(browser) as looker:
            await Owner(looker).set_up(link)
        yield address


@every_client
async def test_it_signs_a_person_in_calls_and_is_refused_once_revoked(
    kind: Kind, house: str, browser: Browser, node: Node
) -> None:
    name = f"Signed in from {kind.name}"
    access = {"url": f"{house}/mcp", "oauth": {}, "revoking": f"{house}/apps"}
    async with window(browser) as looker:
        owner = Owner(looker)

        async def person(address: str) -> None:
            if address == access["revoking"]:
                await owner.revoke(house, APP)
                await owner.go_back()
            elif not owner.asked:
                await owner.let_in(address)

        learnt = await node.converse(kind.program, {**access, **kind.task, **creating(name)}, opened=person)
        assert owner.policy_complaints == []
    assert_understood(learnt, kind, name)
    assert learnt["granted"] == "read prepare" and owner.asked == ["read prepare"] and owner.signed_in == 1
    assert learnt["signIns"] == 1 and learnt["refused"] is True
