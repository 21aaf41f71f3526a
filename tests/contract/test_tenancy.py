"""Another workspace's ids, in every operation and on every door: indistinguishable from absent, and without effect."""

import asyncio
import json
import logging
import os
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import MCPError, StdioServerParameters
from mcp.client import Client
from typer.testing import CliRunner

from postrider.catalogue import load_catalogue
from postrider.dispatch import Call
from postrider.doors.cli import app as cli
from postrider.doors.http import http_app
from postrider.doors.mcp.resources import served_addresses
from postrider.doors.mcp.schema import input_schema
from postrider.doors.mcp.surface import FULL
from postrider.kernel.errors import PostriderError
from postrider.kernel.operation import Effect, Operation
from postrider.logs import configure_logs
from tests.conftest import Installation
from tests.contract.tenancy_houses import PAGED, TwoHouses, two_houses
from tests.contract.tenancy_rows import NAME_NOTHING_HERE, NATURAL_KEYS, NATURAL_PATHS, ROWS
from tests.e2e.mcp_rig import served
from tests.witness.listening import listened_to

ROOT = Path(__file__).parents[2]
OPERATIONS = list(load_catalogue())
CALLS = [(operation.name, number) for operation in OPERATIONS for number in range(len(ROWS.get(operation.name, [])))]
Say = Callable[[str, dict[str, Any]], Awaitable[str]]


@pytest.fixture
async def houses(installation: Installation) -> TwoHouses:
    return await two_houses(installation)


def _same(text: str, things: dict[str, str]) -> str:
    """``text`` without what it was asked with, and without what differs from call to call."""
    for kind, value in things.items():
        text = text.replace(value, "{" + kind + "}")
    text = re.sub(r"\b(?:camp|job|step|subseq|lead|cl|file)_[0-9a-z]{26}\b", "(new id)", text)
    text = re.sub(r"\.\d{13}\.[0-9a-f]{64}", "(signed)", text)
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
    """Bob as an MCP client over stdio, of a process that serves his workspace.

    Free to act: what would be asked first names what it is about, and answers are compared that have nothing to ask.
    """
    launcher = "tests.contract.stdio_of_a_workspace"
    process = StdioServerParameters(
        command=sys.executable,
        args=["-m", launcher, houses.installation.bob.workspace_id, "free"],
        env=listened_to(_environment(houses.installation) | {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}),
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
    configure_logs("WARNING", as_json=False)
    root.handlers, root.level = handlers, level


def _environment(installation: Installation) -> dict[str, str]:
    """What another process needs to open the same installation."""
    settings = installation.app.settings
    database = {"POSTRIDER_DATABASE_URL": settings.database_url} if settings.database_url else {}
    return {"POSTRIDER_DATA_DIR": str(settings.data_dir), **database}


def test_every_operation_has_a_row() -> None:
    assert sorted(ROWS) == sorted(operation.name for operation in OPERATIONS)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_every_field_that_names_a_thing_has_a_row_in_which_it_alone_is_foreign(operation: Operation) -> None:
    alone = {paths[0] for row in ROWS[operation.name] if len(paths := foreign_fields(row)) == 1}
    wanted = set(naming_fields(operation)) - NAME_NOTHING_HERE.keys()
    assert alone == wanted, f"without a row: {wanted - alone}; not in the schema: {alone - wanted}"


def test_what_names_nothing_here_is_still_there() -> None:
    fields = {field for operation in OPERATIONS for field in _texts(input_schema(operation.input))}
    assert NAME_NOTHING_HERE.keys() <= fields


def test_the_table_of_cursors_is_complete() -> None:
    with_cursor = {operation.name for operation in OPERATIONS if "cursor" in operation.input.model_fields}
    assert with_cursor == PAGED.keys()


def naming_fields(operation: Operation) -> Iterator[str]:
    """The paths of all fields by which a thing of the workspace is named or looked for."""
    for path in _texts(input_schema(operation.input)):
        name = path.rpartition(".")[2].removesuffix("[]")
        looks_for_tags = name == "tags" and (operation.effect is Effect.READ or path.startswith("filters."))
        known = (operation.name, path) in NATURAL_PATHS
        if re.search(r"(?:^i|I)ds?$", name) or name in NATURAL_KEYS or looks_for_tags or known:
            yield path


def _texts(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """The paths of all texts of an input: ``leads[].leadId``."""
    for choice in (schema, *schema.get("anyOf", ())):
        if choice.get("type") == "string":
            yield path
        if choice.get("type") == "array":
            yield from _texts(choice["items"], f"{path}[]")
        for name, part in choice.get("properties", {}).items():
            yield from _texts(part, f"{path}.{name}" if path else name)


def foreign_fields(value: Any, path: str = "") -> list[str]:
    """The paths of a row's fields that hold something of the other workspace's."""
    if isinstance(value, dict):
        inner = ((f"{path}.{name}" if path else name, part) for name, part in value.items())
    elif isinstance(value, list):
        inner = ((f"{path}[]", part) for part in value)
    else:
        return [path] if re.search(r"\{(?!own\.)[a-z_.]+\}", str(value)) else []
    return [found for place, part in inner for found in foreign_fields(part, place)]


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
        assert not shown or any("{" + kind + "}" in asked for kind in houses.anns), f"{name} row {number} shows {shown}"
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
    return str(ROWS[operation][0]["id"]).strip("{}")


async def test_as_mcp_resources_foreign_ids_are_as_good_as_absent(houses: TwoHouses) -> None:
    before = await houses.anns_rows()
    operations = {address.template: address.operation for address in served_addresses(FULL, load_catalogue())}
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
