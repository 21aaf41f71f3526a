"""The conformance suite's verdict on the authorization server (the suite is the one of tests/clients)."""

import socket
from pathlib import Path

import httpx

from tests.clients.conformance import AUTHORIZATION, Registered, judge_authorization
from tests.clients.nodejs import Node
from tests.conftest import Installation
from tests.oauth.conftest import on_one_database
from tests.oauth.visitor import Visitor, serving
from tests.people.rig import give_password


@on_one_database
async def test_every_scenario_for_an_authorization_server_passes(installation: Installation, tmp_path: Path) -> None:
    await give_password(installation.app, "ann@ann.test")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    async with serving(installation) as address, httpx.AsyncClient() as http:
        visitor = Visitor(http)

        async def opened(url: str) -> None:
            await http.get(await visitor.agree(url))

        description = {"redirect_uris": ["http://127.0.0.1/callback"]}
        registered = (await http.post(f"{address}/oauth/register", json=description)).json()
        client = Registered(address, registered["client_id"], f"{address}/mcp", port)
        node = Node(tmp_path / "node")
        verdict = await judge_authorization(node, client, tmp_path / "results", opened)
    assert verdict.passed == list(AUTHORIZATION), f"{verdict.ended}"
    assert node.refused() == []
