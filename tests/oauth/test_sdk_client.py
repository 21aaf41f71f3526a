"""The Python SDK's own OAuth client against a real server: an address is all that it is given."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest
from mcp.client import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.client import ConnectMode
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl

from tests.conftest import Installation
from tests.oauth.conftest import on_one_database
from tests.oauth.visitor import Visitor, serving
from tests.people.rig import give_password

CALLBACK = "http://127.0.0.1:41234/callback"


@dataclass
class Kept:
    """What the client stores."""

    tokens: OAuthToken | None = None
    client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


@asynccontextmanager
async def connected(url: str, visitor: Visitor, kept: Kept, mode: ConnectMode) -> AsyncIterator[Client]:
    """The SDK's client, which finds out by itself how to get in."""
    metadata = OAuthClientMetadata(
        redirect_uris=[AnyUrl(CALLBACK)], client_name="The SDK's client", token_endpoint_auth_method="none"
    )
    provider = OAuthClientProvider(url, metadata, kept, visitor.open, visitor.returned)
    async with create_mcp_http_client(auth=provider) as http:
        async with Client(streamable_http_client(url, http_client=http), mode=mode) as client:
            yield client


@on_one_database
@pytest.mark.parametrize("mode", ["2026-07-28", "legacy"])
@pytest.mark.parametrize("path", ["/mcp", "/mcp/full"])
async def test_it_signs_a_person_in_calls_and_refreshes(
    installation: Installation, mode: ConnectMode, path: str
) -> None:
    await give_password(installation.app, "ann@ann.test")
    kept = Kept()
    async with serving(installation) as address, httpx.AsyncClient() as http:
        visitor = Visitor(http)
        async with connected(address + path, visitor, kept, mode) as client:
            result = await client.call_tool("list_tags", {})
            assert not result.is_error
        assert visitor.asked == ["read prepare"] and kept.tokens is not None
        before = kept.tokens.access_token
        kept.tokens = kept.tokens.model_copy(update={"access_token": "pr_at_" + "0" * 32, "expires_in": 0})
        async with connected(address + path, visitor, kept, mode) as client:
            assert not (await client.call_tool("list_tags", {})).is_error
        assert kept.tokens.access_token != before


@on_one_database
async def test_it_steps_up_when_a_tool_needs_more(installation: Installation) -> None:
    await give_password(installation.app, "ann@ann.test")
    kept = Kept()
    async with serving(installation) as address, httpx.AsyncClient() as http:
        visitor = Visitor(http)
        async with connected(f"{address}/mcp", visitor, kept, "2026-07-28") as client:
            assert not (await client.call_tool("list_tags", {})).is_error
            apps = await client.call_tool("list_connected_apps", {})
            assert not apps.is_error and "The SDK's client" in str(apps.structured_content)
    assert visitor.asked == ["read prepare", "read prepare administer"]
    assert kept.tokens is not None and kept.tokens.scope == "read prepare administer"
