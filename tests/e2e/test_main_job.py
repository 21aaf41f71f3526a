"""The main job from end to end: the real process, real MCP clients in both eras, REST and stdio, real mail servers.

200 leads through two steps; ten reply, one is away, one bounces later, one is refused at once, one unsubscribes with
one click through a proxy that ends TLS. Every count is exact.
"""

import asyncio
import json
import os
import re
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from postrider.campaigns.launch import NO_LEGAL_LINES
from tests.mailstack.stack import MailStack
from tests.witness.listening import listened_to

LEADS = 200
REPLIES = range(1, 11)
AWAY, BOUNCES, UNSUBSCRIBES = 20, 30, 40
FETCHES = 100
"""How often programs look at an unsubscribe link before its reader does."""
HOUR, DAY = 3_600, 86_400
SEQUENCE = [
    {
        "type": "email",
        "subject": "{Quick|Short} question, {{firstName}}",
        "body": "<p>Hi {{firstName}}, how does {{companyName}} do it?</p>",
    },
    {"type": "wait", "waitDays": 3},
    {"type": "email", "subject": "", "body": "<p>Just bumping this up, {{firstName}}.</p>"},
]


class Server:
    """The process, and time in it."""

    def __init__(self, process: asyncio.subprocess.Process, facts: dict[str, Any]) -> None:
        self._process = process
        self.port, self.key, self.workspace_id = facts["port"], facts["key"], facts["workspaceId"]

    async def pass_time(self, seconds: int) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"pass_seconds": seconds}).encode() + b"\n")
        async with asyncio.timeout(150):
            assert await self._process.stdout.readline(), "the server ended"

    @asynccontextmanager
    async def agent(self, era: Any) -> AsyncIterator["Agent"]:
        """An MCP client over HTTP in one protocol era."""
        async with create_mcp_http_client(headers={"X-Api-Key": self.key}) as http:
            transport = streamable_http_client(f"http://127.0.0.1:{self.port}/mcp", http_client=http)
            async with Client(transport, mode=era) as client:
                yield Agent(client)


class Agent:
    """Calls tools and expects them to succeed."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def __call__(self, tool: str, **arguments: Any) -> dict[str, Any]:
        result = await self.client.call_tool(tool, arguments)
        assert not result.is_error, result.content
        assert result.structured_content is not None
        return dict(result.structured_content)


@pytest.fixture
def stack() -> Any:
    with MailStack() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def environment(request: pytest.FixtureRequest, tmp_path: Path, stack: MailStack, proxy_port: int) -> dict[str, str]:
    found = {
        **{name: value for name, value in os.environ.items() if not name.startswith("POSTRIDER_")},
        "POSTRIDER_DATA_DIR": str(tmp_path / "data"),
        "POSTRIDER_PUBLIC_URL": f"https://127.0.0.1:{proxy_port}",
        "POSTRIDER_ALLOW_PRIVATE_HOSTS": "true",
        "POSTRIDER_TLS_CA_FILE": str(stack.root / "cert.pem"),
        "POSTRIDER_MAILBOX_POLL_SECONDS": "3600",
    }
    if request.param == "postgresql":
        found["POSTRIDER_DATABASE_URL"] = request.getfixturevalue("postgres_url")
    return found


class TlsProxy:
    """Ends TLS and passes everything on to a port that is set later."""

    def __init__(self) -> None:
        self.target = 0
        self.port = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self.target)
        await asyncio.gather(self._copy(reader, inner_writer), self._copy(inner_reader, writer))

    @staticmethod
    async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while octets := await reader.read(65_536):
                writer.write(octets)
                await writer.drain()
        except (ConnectionError, ssl.SSLError):
            return
        finally:
            writer.close()


@pytest.fixture
async def proxy(stack: MailStack) -> AsyncIterator[TlsProxy]:
    made = TlsProxy()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(stack.root / "cert.pem", stack.root / "key.pem")
    server = await asyncio.start_server(made.handle, "127.0.0.1", 0, ssl=context)
    made.port = int(server.sockets[0].getsockname()[1])
    yield made
    server.close()


@pytest.fixture
def proxy_port(proxy: TlsProxy) -> int:
    return proxy.port


@pytest.fixture
async def server(environment: dict[str, str], proxy: TlsProxy) -> AsyncIterator[Server]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.e2e.clocked_server"),
        env=listened_to(environment),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None and process.stdin is not None
    async with asyncio.timeout(30):
        running = Server(process, json.loads(await process.stdout.readline()))
    proxy.target = running.port
    yield running
    process.stdin.close()
    async with asyncio.timeout(30):
        await process.wait()


def _lead(number: int) -> str:
    return "reject5xx+1@leads.test" if number == 0 else f"lead{number}@company{number}.test"


def _received(stack: MailStack, number: int) -> list[Message]:
    return [message_from_bytes(raw) for raw in stack.messages(_lead(number))]


def _sender(mail: Message) -> str:
    found = re.search(r"[\w.]+@mailstack\.test", str(mail["From"]))
    assert found is not None
    return found.group()


def _reply(number: int, mail: Message, text: str, extra: str = "") -> bytes:
    return (
        f"From: Lead {number} <{_lead(number)}>\r\nTo: {_sender(mail)}\r\nSubject: Re: {mail['Subject']}\r\n"
        f"Message-ID: <answer-{number}@company{number}.test>\r\nIn-Reply-To: {mail['Message-ID']}\r\n"
        f"References: {mail['Message-ID']}\r\nDate: Mon, 02 Mar 2026 12:00:00 +0000\r\n{extra}\r\n{text}\r\n"
    ).encode()


def _bounce(number: int, mail: Message) -> bytes:
    return (
        f"From: Mail Delivery System <MAILER-DAEMON@mx.test>\r\nTo: {_sender(mail)}\r\nSubject: Undelivered\r\n"
        f"Message-ID: <dsn-{number}@mx.test>\r\nDate: Mon, 02 Mar 2026 12:00:00 +0000\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nThe mailbox does not exist.\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.test\r\n\r\n"
        f"Final-Recipient: rfc822; {_lead(number)}\r\nAction: failed\r\nStatus: 5.1.1\r\n"
        "Diagnostic-Code: smtp; 550 5.1.1 No such user\r\n\r\n"
        f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: {mail['Message-ID']}\r\n"
        f"To: {_lead(number)}\r\n\r\n--b--\r\n"
    ).encode()


async def _set_up(server: Server, stack: MailStack) -> str:
    """Mailboxes and the campaign through an old client, the leads as a file over REST; the campaign's id."""
    async with server.agent("legacy") as agent:
        for number in range(1, 6):
            password = {"username": stack.address(number), "password": f"pw{number}"}
            mailbox = await agent(
                "create_mailbox",
                email=stack.address(number),
                displayName=f"Sender {number}",
                smtp={"host": "127.0.0.1", "port": stack.smtp_port, "security": "starttls", **password},
                imap={"host": "127.0.0.1", "port": stack.imaps_port, "security": "tls", **password},
            )
            assert (mailbox["status"], mailbox["lastError"]) == ("active", None)
        campaign = await agent(
            "create_campaign",
            name="CTOs",
            sequence=SEQUENCE,
            mailboxEmails=[stack.address(number) for number in range(1, 6)],
            schedule={"timezone": "UTC", "skipNationalHolidays": False},
            settings={"emailIntervalMinutes": 1, "stopOnReply": True},
        )
    rows = [f"{_lead(number)},First{number},Company {number}" for number in range(LEADS)]
    csv = "\n".join(["Email,First Name,Company", *rows]) + "\n"
    async with httpx.AsyncClient(headers={"X-Api-Key": server.key}, timeout=60) as client:
        url = f"http://127.0.0.1:{server.port}/v1/campaigns/{campaign['id']}/leads/import/csv"
        answer = await client.post(url, files={"file": ("leads.csv", csv.encode(), "text/csv")})
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"]["campaign"] == {"added": LEADS, "skipped": 0}
    return str(campaign["id"])


async def test_the_main_job_with_every_count_exact(
    server: Server, stack: MailStack, environment: dict[str, str]
) -> None:
    campaign_id = await _set_up(server, stack)
    async with server.agent("2026-07-28") as agent:
        plan = await agent("plan_campaign", id=campaign_id)
        assert (plan["plannedSends"], plan["warnings"]) == (2 * LEADS, [NO_LEGAL_LINES])
        started = await agent("start_campaign", id=campaign_id)
        assert started["status"] == "active"
        await server.pass_time(10 * HOUR)
        first = {number: _received(stack, number) for number in range(LEADS)}
        assert [number for number, mails in first.items() if len(mails) != 1] == [0]
        await _unsubscribe(agent, stack, campaign_id, first[UNSUBSCRIBES][0])
        _outside_events(stack, first)
        await server.pass_time(HOUR)
        await _look_at_the_inbox(agent, stack, first)
        await server.pass_time(4 * DAY)
        await _check_the_end(agent, stack, campaign_id)
    await _check_stdio(environment)


def _outside_events(stack: MailStack, first: dict[int, list[Message]]) -> None:
    """What arrives between the steps: replies, an absence and a bounce."""
    for number in REPLIES:
        [mail] = first[number]
        stack.deliver(_sender(mail), _reply(number, mail, "Yes, I am interested. Can we talk on Friday?"))
    [mail] = first[AWAY]
    auto = "Auto-Submitted: auto-replied\r\n"
    stack.deliver(_sender(mail), _reply(AWAY, mail, "I am away from my desk.", auto))
    [mail] = first[BOUNCES]
    stack.deliver(_sender(mail), _bounce(BOUNCES, mail), sender="")


async def _unsubscribe(agent: Agent, stack: MailStack, campaign_id: str, mail: Message) -> None:
    """However often a link is fetched, nobody is unsubscribed by it; one click does it, at once and only once."""
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    found = re.search(r"<(https://[^>]+)>", str(mail["List-Unsubscribe"]).replace("\n", "").replace(" ", ""))
    assert found is not None
    url = found.group(1)
    async with httpx.AsyncClient(verify=stack.ssl_context()) as client:
        for _ in range(FETCHES):
            assert (await client.get(url)).status_code == 200
            assert (await client.head(url)).status_code == 200
        assert await _suppressed(agent, campaign_id) == ({_lead(0)}, set())
        assert (await client.post(url, data={"List-Unsubscribe": "No"})).status_code == 400
        assert (await client.post(url)).status_code == 400
        assert await _suppressed(agent, campaign_id) == ({_lead(0)}, set())
        one_click = {"Content-Type": "application/x-www-form-urlencoded"}
        for _ in range(2):
            answer = await client.post(url, content=b"List-Unsubscribe=One-Click", headers=one_click)
            assert (answer.status_code, answer.history, dict(answer.cookies)) == (200, [], {})
            # No time has passed: it holds before anything else can be sent.
            assert await _suppressed(agent, campaign_id) == ({_lead(0), _lead(UNSUBSCRIBES)}, {_lead(UNSUBSCRIBES)})


async def _suppressed(agent: Agent, campaign_id: str) -> tuple[set[str], set[str]]:
    """Who is on the do-not-contact list, and which leads are unsubscribed; every other one is active or failed."""
    listed = (await agent("list_dnc_entries"))["items"]
    stopped = (await agent("list_campaign_leads", id=campaign_id, status="unsubscribed"))["items"]
    active = await agent("list_campaign_leads", id=campaign_id, status="active")
    assert active["total"] == LEADS - 1 - len(stopped)
    return {item["email"] for item in listed}, {item["lead"]["email"] for item in stopped}


async def _look_at_the_inbox(agent: Agent, stack: MailStack, first: dict[int, list[Message]]) -> None:
    """The agent reads, tags and answers."""
    found = await agent("list_conversations", limit=50)
    by_email = {item["lead"]["email"]: item for item in found["items"]}
    assert {_lead(number) for number in REPLIES} <= set(by_email)
    conversation = by_email[_lead(1)]
    tagged = await agent("tag_conversation", conversationIds=[conversation["id"]], aiTag="meeting_requested")
    assert tagged["modified"] == 1
    helper = await agent("create_agent", name="Ann's voice", persona={"tone": "friendly"})
    drafted = await agent("generate_reply", id=helper["id"], conversationId=conversation["id"])
    assert drafted["response"] is None
    assert drafted["brief"] is not None
    reply = await agent("send_reply", id=conversation["id"], body="<p>Friday at ten?</p>")
    assert reply["status"] == "pending"


async def _check_the_end(agent: Agent, stack: MailStack, campaign_id: str) -> None:
    stopped = {0, *REPLIES, BOUNCES, UNSUBSCRIBES}
    for number in range(LEADS):
        mails = _received(stack, number)
        wanted = 0 if number == 0 else 1 if number in stopped else 2
        # The one that was answered by hand has that answer too.
        assert len(mails) == wanted + (number == 1), f"lead {number}"
        ids = [mail["Message-ID"] for mail in mails]
        assert len(set(ids)) == len(ids)
    follow_up = _received(stack, 100)[1]
    assert str(follow_up["Subject"]).startswith("Re: ")
    assert follow_up["In-Reply-To"] == _received(stack, 100)[0]["Message-ID"]
    answer = _received(stack, 1)[1]
    assert answer["In-Reply-To"] == "<answer-1@company1.test>"
    stats = (await agent("get_campaign_analytics", id=campaign_id))["stats"]
    counts = {name: stats[name] for name in ("sent", "replied", "bounced", "unsubscribed", "autoReplied", "unknown")}
    sent = (LEADS - 1) + (LEADS - len(stopped))
    assert counts == {
        "sent": sent,
        "replied": len(REPLIES),
        "bounced": 2,
        "unsubscribed": 1,
        "autoReplied": 1,
        "unknown": 0,
    }
    listed = await agent("list_dnc_entries")
    assert {item["email"] for item in listed["items"]} == {_lead(0), _lead(BOUNCES), _lead(UNSUBSCRIBES)}
    leads = await agent("list_campaign_leads", id=campaign_id, status="unsubscribed")
    explained = await agent("explain_lead", id=campaign_id, leadId=leads["items"][0]["id"])
    assert "unsubscribed" in explained["verdict"]


async def _check_stdio(environment: dict[str, str]) -> None:
    """Another client on the same installation, over stdio, while the server goes on running the engine."""
    arguments = ["-m", "postrider", "stdio"]
    parameters = StdioServerParameters(command=sys.executable, args=arguments, env=listened_to(environment))
    async with Client(stdio_client(parameters), mode="auto") as client:
        overview = await Agent(client)("get_analytics_overview")
        assert overview["campaigns"]["total"] == 1
