"""What somebody meets who has never seen Postrider: from an empty folder to a sent mail, and back out of the app.

The process is the real one, the pages are looked at in Chromium, and the SDK's client is given nothing but an address.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import anyio
import httpx
from mcp.client import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata
from pydantic import AnyUrl

from tests.clients.owner import Owner
from tests.e2e.test_main_job import Agent
from tests.e2e.test_mcp_confirming import Person
from tests.e2e.test_serve import INITIALIZE, MCP_HEADERS, environment, server
from tests.oauth.test_sdk_client import Kept
from tests.people.browser_rig import chromium, window

__all__ = ["environment"]
APP = "Ann's agent"
LEAD = "ben+silent@lead.test"
MAIL = {"type": "email", "subject": "Hello {{firstName}}", "body": "<p>How is it going, {{firstName}}?</p>"}
SECONDS = 90


@dataclass
class Desktop:
    """The app's own half of signing in: it sends the person to the browser, and listens where they come back."""

    owner: Owner
    port: int = 0
    answers: list[dict[str, str]] = field(default_factory=list)

    @property
    def callback(self) -> str:
        return f"http://127.0.0.1:{self.port}/callback"

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        async with await asyncio.start_server(self._answer, "127.0.0.1", 0) as listener:
            self.port = int(listener.sockets[0].getsockname()[1])
            yield

    async def returned(self) -> AuthorizationCodeResult:
        return AuthorizationCodeResult(**self.answers[-1])

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        parts = urlsplit(head.split(" ")[1])
        if parts.path == "/callback":
            self.answers.append(dict(parse_qsl(parts.query)))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nBack")
        await writer.drain()
        writer.close()


@asynccontextmanager
async def connected(url: str, desktop: Desktop, kept: Kept, person: Person) -> AsyncIterator[Client]:
    """The SDK's client, which finds out by itself how to get in."""
    metadata = OAuthClientMetadata(
        redirect_uris=[AnyUrl(desktop.callback)], client_name=APP, token_endpoint_auth_method="none"
    )
    provider = OAuthClientProvider(url, metadata, kept, desktop.owner.let_in, desktop.returned)
    async with create_mcp_http_client(auth=provider) as http:
        transport = streamable_http_client(url, http_client=http)
        async with Client(transport, mode="auto", elicitation_callback=person) as client:
            yield client


def always() -> dict[str, Any]:
    """A schedule that is open now and for hours to come: it is noon in its zone."""
    offset = 12 - datetime.now(UTC).hour
    hours = {"timezone": f"Etc/GMT{-offset:+d}", "startTime": "00:00", "endTime": "23:59"}
    return {**hours, "workingDays": list(range(7)), "skipNationalHolidays": False}


async def send_one_mail(client: Client) -> None:
    """All that it takes, to the moment when the mail has left."""
    agent = Agent(client)
    mailbox = await agent("create_mailbox", email="ann@sender.test", displayName="Ann", provider="sandbox")
    campaign = await agent(
        "create_campaign", name="First", sequence=[MAIL], mailboxIds=[mailbox["id"]], schedule=always()
    )
    added = await agent("add_leads_to_campaign", id=campaign["id"], leads=[{"email": LEAD, "firstName": "Ben"}])
    assert added["added"] == 1
    assert (await agent("plan_campaign", id=campaign["id"]))["plannedSends"] == 1
    figures = f"postrider://campaigns/{campaign['id']}/analytics"
    async with client.listen(resource_subscriptions=[figures]) as changes:
        assert (await agent("start_campaign", id=campaign["id"]))["status"] == "active"
        while (await agent("get_campaign_analytics", id=campaign["id"]))["stats"]["sent"] == 0:
            await anext(changes)


async def is_refused(url: str, token: str, within_seconds: float) -> bool:
    """Whether a call with ``token`` is refused, the last one made when the time is over."""
    headers = {"Authorization": f"Bearer {token}", **MCP_HEADERS}
    end = monotonic() + within_seconds
    async with httpx.AsyncClient(headers=headers) as http:
        while True:
            late = monotonic() >= end
            answer = await http.post(url, json=INITIALIZE)
            if answer.status_code == 401:
                return 'error="invalid_token"' in answer.headers["www-authenticate"]
            assert answer.status_code == 200, answer.text
            if late:
                return False


async def test_from_an_empty_folder_to_a_sent_mail_and_out_again(environment: dict[str, str]) -> None:
    kept, person = Kept(), Person()
    with server(environment, "--engine") as (running, address), anyio.fail_after(SECONDS):
        assert running.stdout is not None
        link = next(line.strip() for line in running.stdout if "/set-up/" in line)
        async with chromium() as browser, window(browser) as looker:
            owner = Owner(looker)
            desktop, url = Desktop(owner), f"{address}/mcp"
            await owner.set_up(link)
            async with desktop.listening(), connected(url, desktop, kept, person) as client:
                await send_one_mail(client)
                assert kept.tokens is not None
                assert not await is_refused(url, kept.tokens.access_token, 0)
                await owner.revoke(address, APP)
                assert await is_refused(url, kept.tokens.access_token, 1)
            assert owner.policy_complaints == [] and owner.signed_in == 0
    assert owner.asked == ["read prepare", "read prepare administer", "read prepare administer send"]
    assert len(person.seen) == 1 and "write to up to 1 person from 1 mailbox" in person.seen[0]
