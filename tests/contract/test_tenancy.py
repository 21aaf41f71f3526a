"""Another workspace's ids, in every operation and on every door: indistinguishable from absent, and without effect."""

import asyncio
import json
import logging
import os
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from mcp import MCPError, StdioServerParameters
from mcp.client import Client
from sqlalchemy import insert, select
from typer.testing import CliRunner

from postrider.agents.tables import Agent
from postrider.catalogue import load_catalogue
from postrider.dispatch import Call
from postrider.dnc.queries import add_entries
from postrider.dnc.rules import DncKey
from postrider.doors.cli import app as cli
from postrider.doors.http import http_app
from postrider.doors.mcp.resources import served_addresses
from postrider.inbox.tables import Conversation, OutgoingReply
from postrider.jobs.tables import Job
from postrider.kernel.errors import PostriderError
from postrider.kernel.ids import new_id
from postrider.storage.base import Base
from tests.conftest import Installation
from tests.contract.tenancy_rows import ROWS
from tests.e2e.mcp_rig import served
from tests.engine.world import World, make_world

ROOT = Path(__file__).parents[2]
OPERATIONS = list(load_catalogue())
CALLS = [(operation.name, number) for operation in OPERATIONS for number in range(len(ROWS.get(operation.name, [])))]
KINDS = ("camp", "lead", "cl", "mbx", "conv", "rep", "agent", "job")
Say = Callable[[str, dict[str, Any]], Awaitable[str]]


@dataclass
class TwoHouses:
    """Ann's things, Bob's own, and a way for Bob to call."""

    installation: Installation
    anns: dict[str, str]
    bobs: dict[str, str]
    absent: dict[str, str]

    def filled(self, row: dict[str, Any], ids: dict[str, str]) -> dict[str, Any]:
        """``row`` with its placeholders replaced."""
        text = json.dumps(row)
        for kind in KINDS:
            text = text.replace("{own." + kind + "}", self.bobs[kind]).replace("{" + kind + "}", ids[kind])
        found: dict[str, Any] = json.loads(text)
        return found

    async def anns_rows(self) -> list[str]:
        """Every row of Ann's workspace, as text."""

        def read(session: Any) -> list[str]:
            found = []
            for table in Base.metadata.sorted_tables:
                column = table.c.get("workspace_id")
                if column is not None:
                    query = select(table).where(column == self.installation.ann.workspace_id)
                    found += sorted(f"{table.name}: {tuple(row)!r}" for row in session.execute(query))
            return found

        return await self.installation.app.database.read(read)


async def _furnish(installation: Installation, world: World) -> dict[str, str]:
    """Adds a conversation, a reply, an agent and a job to a world; the id of one thing of each kind."""
    [enrollment] = await world.enrollments()
    now, workspace_id = installation.clock.now(), world.workspace_id
    ids = {kind: new_id(kind) for kind in ("conv", "rep", "agent", "job")}
    common: dict[str, Any] = {"workspace_id": workspace_id, "created_at": now, "updated_at": now}

    def write(session: Any) -> None:
        session.execute(
            insert(Conversation),
            {
                **common,
                "id": ids["conv"],
                "enrollment_id": enrollment.id,
                "campaign_id": world.campaign_id,
                "lead_id": enrollment.lead_id,
                "mailbox_id": world.mailbox_ids[0],
                "status": "open",
                "tags": [],
                "unread_count": 1,
                "message_count": 1,
                "preview": f"preview in {workspace_id}",
                "last_reply_at": now,
            },
        )
        session.execute(
            insert(OutgoingReply),
            {
                **common,
                "id": ids["rep"],
                "conversation_id": ids["conv"],
                "enrollment_id": enrollment.id,
                "mailbox_id": world.mailbox_ids[0],
                "body": f"reply in {workspace_id}",
                "cc": [],
                "bcc": [],
                "scheduled_for": now.replace(year=now.year + 1),
                "is_scheduled": True,
                "status": "pending",
                "created_by": "test",
                "fence": 0,
            },
        )
        agent = {"id": ids["agent"], "name": f"Agent of {workspace_id}", "company_info": {}, "persona": {}, "usage": {}}
        session.execute(insert(Agent), {**common, **agent, "is_default": True, "is_active": True})
        job = {
            "id": ids["job"],
            "kind": "import_leads",
            "state": "waiting",
            "arguments": {},
            "cursor": {},
            "result": {},
        }
        more = {"done": 0, "created_by": "test", "fence": 0}
        session.execute(insert(Job), {**common, **job, **more})
        keys = [DncKey("email", f"secret@{workspace_id[-6:]}.test")]
        add_entries(
            session, installation.app.vault, workspace_id, keys, reason=f"in {workspace_id}", source="manual", now=now
        )

    await installation.app.database.write(write)
    ids |= {"camp": world.campaign_id, "lead": enrollment.lead_id, "cl": enrollment.id, "mbx": world.mailbox_ids[0]}
    return ids


@pytest.fixture
async def houses(installation: Installation) -> TwoHouses:
    anns = await _furnish(installation, await make_world(installation, port=1, leads=1))
    swapped = Installation(installation.app, installation.clock, installation.bob, installation.ann)
    bobs = await _furnish(swapped, await make_world(swapped, port=1, emails=["own@own.test"]))
    return TwoHouses(installation, anns, bobs, {kind: new_id(kind) for kind in KINDS})


def _same(text: str, ids: dict[str, str]) -> str:
    """``text`` without the ids it was asked with, and without what differs from call to call."""
    for kind, value in ids.items():
        text = text.replace(value, "{" + kind + "}")
    text = re.sub(r"\b(?:camp|job|step|lead|cl)_[0-9a-z]{26}\b", "(new id)", text)
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|\+00:00)", "(instant)", text)


@pytest.fixture
async def say_domain(houses: TwoHouses) -> Say:
    """Bob, straight through the dispatcher (what the command line and stdio do)."""
    actor = houses.installation.actor(houses.installation.bob)

    async def say(name: str, arguments: dict[str, Any]) -> str:
        try:
            answer = await houses.installation.app.dispatcher.call(Call(name, arguments, actor))
        except PostriderError as error:
            return json.dumps([error.error_code, error.message, error.hint, error.details], default=str)
        return answer.output.model_dump_json(by_alias=True)

    return say


@pytest.fixture
async def say_rest(houses: TwoHouses) -> AsyncIterator[Say]:
    """Bob at /v1, with his workspace key."""
    headers = {"X-Api-Key": houses.installation.bob.workspace_key.reveal()}
    transport = httpx.ASGITransport(http_app(houses.installation.app))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8025", headers=headers) as client:

        async def say(name: str, arguments: dict[str, Any]) -> str:
            operation = load_catalogue().find(name)
            assert operation is not None
            left, path = dict(arguments), operation.rest.path
            for part in re.findall(r"{(\w+)}", path):
                path = path.replace("{" + part + "}", str(left.pop(part)))
            if operation.rest.method == "GET":
                answer = await client.get(path, params=left)
            else:
                answer = await client.request(operation.rest.method, path, json=left)
            assert answer.status_code < 500 or answer.status_code == 502, answer.text
            return f"{answer.status_code} {answer.text}"

        yield say


@pytest.fixture
async def say_mcp(houses: TwoHouses) -> AsyncIterator[Say]:
    """Bob as an MCP client over HTTP."""
    async with (
        served(houses.installation.app) as server,
        server.client(houses.installation.bob.workspace_key.reveal(), "2026-07-28") as client,
    ):

        async def say(name: str, arguments: dict[str, Any]) -> str:
            return (await client.call_tool(name, arguments)).model_dump_json()

        yield say


@pytest.fixture
async def say_stdio(houses: TwoHouses) -> AsyncIterator[Say]:
    """Bob as an MCP client over stdio, of a process that serves his workspace."""
    launcher = "tests.contract.stdio_of_a_workspace"
    process = StdioServerParameters(
        command=sys.executable,
        args=["-m", launcher, houses.installation.bob.workspace_id],
        env=_environment(houses.installation) | {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
        cwd=ROOT,
    )
    async with Client(process, mode="2026-07-28") as client:

        async def say(name: str, arguments: dict[str, Any]) -> str:
            return (await client.call_tool(name, arguments)).model_dump_json()

        yield say


@pytest.fixture
def say_cli(houses: TwoHouses, monkeypatch: pytest.MonkeyPatch) -> Iterator[Say]:
    """Bob at the command line, which names his workspace."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    for name in [name for name in os.environ if name.startswith("POSTRIDER_")]:
        monkeypatch.delenv(name)
    for name, value in _environment(houses.installation).items():
        monkeypatch.setenv(name, value)

    async def say(name: str, arguments: dict[str, Any]) -> str:
        line = ["call", name, "--json", json.dumps(arguments), "--workspace", houses.installation.bob.workspace_id]
        done = await asyncio.to_thread(CliRunner().invoke, cli, line)
        assert done.exit_code in (0, 1) and not isinstance(done.exception, PostriderError), done.output
        return f"{done.exit_code} {done.stdout} {done.stderr}"

    yield say
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def _environment(installation: Installation) -> dict[str, str]:
    """What another process needs to open the same installation."""
    settings = installation.app.settings
    database = {"POSTRIDER_DATABASE_URL": settings.database_url} if settings.database_url else {}
    return {"POSTRIDER_DATA_DIR": str(settings.data_dir), **database}


def test_every_operation_has_a_row() -> None:
    assert sorted(ROWS) == sorted(operation.name for operation in OPERATIONS)


async def _compare(houses: TwoHouses, say: Say) -> None:
    before = await houses.anns_rows()
    secrets = [*houses.anns.values(), houses.installation.ann.workspace_id]
    for name, number in CALLS:
        row = ROWS[name][number]
        foreign = await say(name, houses.filled(row, houses.anns))
        absent = await say(name, houses.filled(row, houses.absent))
        assert _same(foreign, houses.anns) == _same(absent, houses.absent), f"{name} row {number}"
        asked = json.dumps(row)
        shown = [secret for secret in secrets if secret in foreign]
        assert not shown or any("{" + kind + "}" in asked for kind in KINDS), f"{name} row {number} shows {shown}"
    assert await houses.anns_rows() == before


async def test_in_the_domain_foreign_ids_are_as_good_as_absent(houses: TwoHouses, say_domain: Say) -> None:
    await _compare(houses, say_domain)


async def test_at_rest_foreign_ids_are_as_good_as_absent(houses: TwoHouses, say_rest: Say) -> None:
    await _compare(houses, say_rest)


async def test_at_mcp_foreign_ids_are_as_good_as_absent(houses: TwoHouses, say_mcp: Say) -> None:
    await _compare(houses, say_mcp)


async def test_over_stdio_foreign_ids_are_as_good_as_absent(houses: TwoHouses, say_stdio: Say) -> None:
    await _compare(houses, say_stdio)


async def test_at_the_command_line_foreign_ids_are_as_good_as_absent(houses: TwoHouses, say_cli: Say) -> None:
    await _compare(houses, say_cli)


def _kind_of(operation: str) -> str:
    """Of what the id is that the operation takes."""
    [row] = ROWS[operation]
    return str(row["id"]).strip("{}")


async def test_as_mcp_resources_foreign_ids_are_as_good_as_absent(houses: TwoHouses) -> None:
    before = await houses.anns_rows()
    operations = {address.template: address.operation for address in served_addresses(load_catalogue())}
    key = houses.installation.bob.workspace_key.reveal()
    async with (
        served(houses.installation.app) as server,
        server.client(key, "2026-07-28") as client,
    ):

        async def read(uri: str) -> str:
            try:
                return (await client.read_resource(uri)).model_dump_json()
            except MCPError as error:
                return f"{error.code} {error.message} {error.data}"

        families = [found.uri_template for found in (await client.list_resource_templates()).resource_templates]
        with_ids = [template for template in families if "{id}" in template]
        assert len(with_ids) >= 4
        for template in with_ids:
            kind = _kind_of(operations[template])
            foreign = await read(template.replace("{id}", houses.anns[kind]))
            absent = await read(template.replace("{id}", houses.absent[kind]))
            assert _same(foreign, houses.anns) == _same(absent, houses.absent), template
            assert houses.bobs[kind] in await read(template.replace("{id}", houses.bobs[kind]))
        others = [template.partition("{?")[0] for template in families if template not in with_ids]
        others += [found.uri for found in (await client.list_resources()).resources]
        for uri in others:
            shown = await read(uri)
            assert not [secret for secret in houses.anns.values() if secret in shown], uri
    assert await houses.anns_rows() == before
