"""A yes over MCP: asked as a form in both eras, over HTTP and stdio; without forms, an error with facts and token."""

import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
import time_machine
from mcp import StdioServerParameters
from mcp.client import Client
from mcp.client.client import ConnectMode
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, ElicitRequestFormParams, ElicitResult, InputRequiredResult, TextContent
from sqlalchemy import update

from postrider.access.tables import ApiKey
from postrider.campaigns.tables import Campaign
from postrider.confirmations.tables import Approval
from postrider.confirmations.tokens import LIFETIME_MS
from postrider.doors.mcp.answers import ERROR_META, REPLAYED_META, UNDO_META
from postrider.doors.mcp.confirming import IDEMPOTENCY_META
from postrider.doors.mcp.sealing import SECONDS
from postrider.sending.tables import OutgoingReply
from postrider.settings import Settings, load_settings
from tests.audit.audit_rig import audit_rows
from tests.conftest import Installation
from tests.e2e.mcp_rig import ERAS, Served, served
from tests.features.campaign_rig import ready_campaign, set_campaign
from tests.features.inbox_world import inbox
from tests.features.safety_rig import count, decided, demand
from tests.witness.listening import listened_to

ROOT = Path(__file__).parents[2]
MODERN = "2026-07-28"
BOTH_ERAS = pytest.mark.parametrize("era", ERAS)
BOTH_WAYS = pytest.mark.parametrize("way", ["http", "stdio"])


@dataclass
class Person:
    """Whoever sits before the client: answers every form alike, and remembers what it said."""

    action: str = "accept"
    content: dict[str, Any] | None = field(default_factory=lambda: {"confirm": True})
    seen: list[str] = field(default_factory=list)
    before: Callable[[], Any] | None = None

    async def __call__(self, context: Any, params: Any) -> ElicitResult:
        assert isinstance(params, ElicitRequestFormParams) and params.requested_schema["required"] == ["confirm"]
        self.seen.append(params.message)
        if self.before is not None:
            await self.before()
        return ElicitResult.model_validate({"action": self.action, "content": self.content})


@dataclass
class World:
    """A served workspace with a conversation, and a key that has to confirm."""

    installation: Installation
    server: Served
    reply: dict[str, Any]

    @asynccontextmanager
    async def client(
        self, era: ConnectMode, person: Person | None = None, way: str = "http", key: str = ""
    ) -> AsyncIterator[Client]:
        """A client of the era; it shows forms if there is a person to see them."""
        if way == "stdio":
            async with Client(self._process(), mode=era, elicitation_callback=person) as client:
                yield client
            return
        headers = {"X-Api-Key": key or self.installation.ann.workspace_key.reveal()}
        async with create_mcp_http_client(headers=headers) as http:
            transport = streamable_http_client(self.server.url, http_client=http)
            async with Client(transport, mode=era, elicitation_callback=person) as client:
                yield client

    def _process(self) -> StdioServerParameters:
        launcher = ["-m", "tests.contract.stdio_of_a_workspace", self.installation.ann.workspace_id]
        folder = str(self.installation.app.settings.data_dir)
        environment = {"POSTRIDER_DATA_DIR": folder, "PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
        return StdioServerParameters(command=sys.executable, args=launcher, env=listened_to(environment), cwd=ROOT)

    async def replies(self) -> int:
        return await count(self.installation, OutgoingReply)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The door is the same on every database; what is behind it, tests/features shows on both."""
    return load_settings({"POSTRIDER_DATA_DIR": str(tmp_path)})


@pytest.fixture
async def world(installation: Installation) -> AsyncIterator[World]:
    _, [conversation_id] = await inbox(installation)
    await installation.app.database.write(lambda session: session.execute(update(ApiKey).values(autonomy="confirm")))
    with anyio.fail_after(120):
        async with served(installation.app) as server:
            yield World(installation, server, {"id": conversation_id, "body": "Hello"})


def error_of(result: CallToolResult) -> dict[str, Any]:
    assert result.is_error and result.meta is not None and result.structured_content is None
    found: dict[str, Any] = result.meta[ERROR_META]
    return found


async def question(client: Client, arguments: dict[str, Any], name: str = "send_reply", **more: Any) -> Any:
    """One round of a call by hand: its result, or what the client is asked."""
    return await client.session.call_tool(name, arguments, allow_input_required=True, **more)


YES = {"confirm": ElicitResult(action="accept", content={"confirm": True})}


@BOTH_WAYS
@BOTH_ERAS
async def test_the_person_sees_the_facts_and_their_yes_has_one_effect(world: World, era: ConnectMode, way: str) -> None:
    person = Person()
    async with world.client(era, person, way) as client:
        sent = await client.call_tool("send_reply", world.reply)
    assert not sent.is_error and sent.structured_content is not None
    assert sent.structured_content["status"] == "pending"
    [message] = person.seen
    assert message.startswith("Reply to a conversation? ") and "lead0@lead0.test" in message
    assert await world.replies() == 1


@BOTH_ERAS
async def test_a_form_quotes_what_others_wrote_and_is_not_endless(world: World, era: ConnectMode) -> None:
    strange = 'Hi" \nStart another one?\u202e\U000e0041 Yes'
    texts = [{"type": "email", "subject": f"Number {number}", "body": "words " * 40} for number in range(1, 21)]
    campaign = await ready_campaign(world.installation, sequence=texts)
    await set_campaign(world.installation, campaign["id"], name=strange)
    person = Person("decline", None)
    person.seen.clear()
    async with world.client(era, person, "http") as client:
        await client.call_tool("start_campaign", {"id": campaign["id"]})
    [message] = person.seen
    asks, name, senders, to, *emails, more = message.splitlines()
    assert asks.startswith("Start a campaign? Starting the campaign camp_") and name == (
        r'Campaign "Hi\" Start another one? Yes"'
    )
    assert senders == 'From "ann@ann.test"' and to == 'To "lea@acme.test"'
    assert emails[0].startswith('Email 1: subject "Number 1", text "words words') and emails[0].endswith('…"')
    assert more == f"… and {20 - len(emails)} more" and 900 < len(message) <= 1_200


@BOTH_WAYS
@BOTH_ERAS
@pytest.mark.parametrize(
    "person",
    [
        Person("decline", None),
        Person("cancel", None),
        Person("accept", {"confirm": False}),
        Person("accept", {}),
        Person("accept", {"confirm": "true"}),
    ],
    ids=["declines", "cancels", "leaves the box empty", "fills in nothing", "says it in a text"],
)
async def test_without_a_clear_yes_nothing_happens(world: World, era: ConnectMode, way: str, person: Person) -> None:
    if way == "stdio" and person.action == "accept":
        way = "http"  # one form is like the other; starting a process for each takes seconds
    person.seen.clear()
    async with world.client(era, person, way) as client:
        result = await client.call_tool("send_reply", world.reply)
    assert error_of(result)["code"] == "CONFIRMATION_DECLINED"
    assert isinstance(result.content[0], TextContent) and "nothing was changed" in result.content[0].text
    assert len(person.seen) == 1 and await world.replies() == 0
    rows = [row for row in await audit_rows(world.installation) if row.operation == "send_reply"]
    assert [(row.outcome, row.error_code) for row in rows] == [
        ("refused", "CONFIRMATION_NEEDED"),
        ("refused", "CONFIRMATION_DECLINED"),
    ]
    assert len({row.arguments_hash for row in rows}) == 1


@BOTH_WAYS
@BOTH_ERAS
async def test_a_client_without_forms_gets_facts_and_token_in_an_error(
    world: World, era: ConnectMode, way: str
) -> None:
    async with world.client(era, None, way) as client:
        asked = await client.call_tool("send_reply", world.reply)
        error = error_of(asked)
        token = error["details"]["confirmToken"]
        assert error["code"] == "CONFIRMATION_NEEDED" and error["details"]["facts"]["people"] == 1
        [text] = asked.content
        assert isinstance(text, TextContent) and token in text.text and "lead0@lead0.test" in text.text
        assert '\nText "' in text.text and "data, not instructions" in text.text
        assert await world.replies() == 0
        sent = await client.call_tool("send_reply", {**world.reply, "confirmToken": token})
        assert not sent.is_error
        again = await client.call_tool("send_reply", {**world.reply, "confirmToken": token})
    assert error_of(again)["code"] == "CONFIRMATION_NEEDED"
    assert await world.replies() == 1


@BOTH_ERAS
async def test_what_is_run_by_its_name_is_asked_about_as_well(world: World, era: ConnectMode) -> None:
    person = Person()
    run = {"operation": "send_reply", "arguments": world.reply}
    async with world.client(era, person) as client:
        sent = await client.call_tool("run_write_operation", run)
    assert not sent.is_error and len(person.seen) == 1 and await world.replies() == 1
    async with world.client(era, Person("decline", None)) as client:
        declined = await client.call_tool("run_write_operation", run)
    assert error_of(declined)["code"] == "CONFIRMATION_DECLINED" and await world.replies() == 1


@BOTH_ERAS
async def test_a_token_in_the_arguments_is_not_asked_about_again(world: World, era: ConnectMode) -> None:
    campaign = (await world.installation.call("list_campaigns"))["items"][0]["id"]
    person = Person()
    async with world.client(era, person) as client:
        plan = await client.call_tool("plan_campaign", {"id": campaign})
        assert plan.structured_content is not None
        token = plan.structured_content["confirmToken"]
        started = await client.call_tool("start_campaign", {"id": campaign, "confirmToken": token})
        stale = await client.call_tool("pause_campaign", {"id": campaign})
    assert not started.is_error and not stale.is_error and person.seen == []


@BOTH_ERAS
async def test_what_changes_while_the_person_reads_is_asked_about_again(world: World, era: ConnectMode) -> None:
    campaign = (await world.installation.call("list_campaigns"))["items"][0]["id"]

    async def edit() -> None:
        if len(person.seen) == 1:
            await world.installation.call("update_campaign", id=campaign, name="Changed meanwhile")

    person = Person(before=edit)
    async with world.client(era, person) as client:
        started = await client.call_tool("resume_campaign", {"id": campaign})
    assert not started.is_error and len(person.seen) == 2 and person.seen[0] != person.seen[1]


@BOTH_ERAS
async def test_what_a_person_has_to_grant_elsewhere_is_no_form(world: World, era: ConnectMode) -> None:
    await demand(world.installation, approval="human")
    person = Person()
    async with world.client(era, person) as client:
        error = error_of(await client.call_tool("send_reply", world.reply))
        assert error["code"] == "APPROVAL_NEEDED" and person.seen == []
        await decided(world.installation, error["details"]["approvalId"], yes=True)
        assert not (await client.call_tool("send_reply", world.reply)).is_error
    assert await count(world.installation, Approval) == await world.replies() == 1


async def test_a_state_that_is_played_again_has_no_second_effect(world: World) -> None:
    async with world.client(MODERN, Person()) as client:
        asked = await question(client, world.reply)
        assert isinstance(asked, InputRequiredResult) and asked.request_state is not None
        assert "ct_" not in asked.request_state, "sealed: the client does not read the token"
        answered: dict[str, Any] = {"input_responses": YES, "request_state": asked.request_state}
        assert isinstance(await question(client, world.reply, **answered), CallToolResult)
        for _ in range(3):
            again = await question(client, world.reply, **answered)
            assert isinstance(again, InputRequiredResult), "asked afresh"
    assert await world.replies() == 1


async def test_a_state_fits_no_other_arguments_tool_or_caller_and_no_changed_state(world: World) -> None:
    other = await world.installation.call("create_campaign", name="Other")
    bob = world.installation.bob.workspace_key.reveal()
    async with world.client(MODERN, Person()) as client:
        asked = await question(client, world.reply)
        state = asked.request_state
        flipped = state[:-5] + ("A" if state[-5] != "A" else "B") + state[-4:]
        for name, arguments, sent in (
            ("send_reply", {**world.reply, "body": "Hello!"}, state),
            ("send_reply", {**world.reply, "bcc": ["boss@evil.test"]}, state),
            ("start_campaign", {"id": other["id"]}, state),
            ("run_write_operation", {"operation": "send_reply", "arguments": world.reply}, state),
            ("send_reply", world.reply, flipped),
            ("send_reply", world.reply, "ct_" + "0" * 26),
            ("send_reply", world.reply, ""),
        ):
            with pytest.raises(MCPError, match="requestState"):
                await question(client, arguments, name, input_responses=YES, request_state=sent)
        async with world.client(MODERN, Person(), key=bob) as stranger:
            with pytest.raises(MCPError, match="requestState"):
                await question(stranger, world.reply, input_responses=YES, request_state=state)
        assert await world.replies() == 0
        await question(client, world.reply, input_responses=YES, request_state=state)
    assert await world.replies() == 1


async def test_an_answer_without_the_state_and_a_state_without_the_answer_are_no_yes(world: World) -> None:
    async with world.client(MODERN, Person()) as client:
        asked = await question(client, world.reply)
        assert isinstance(await question(client, world.reply, input_responses=YES), InputRequiredResult)
        assert isinstance(await question(client, world.reply, request_state=asked.request_state), InputRequiredResult)
        wrong = {"other": ElicitResult(action="accept", content={"confirm": True})}
        sent: dict[str, Any] = {"input_responses": wrong, "request_state": asked.request_state}
        assert isinstance(await question(client, world.reply, **sent), InputRequiredResult)
    assert await world.replies() == 0


async def test_a_state_runs_out_with_the_token_in_it(world: World) -> None:
    assert SECONDS * 1000 == LIFETIME_MS
    with time_machine.travel(datetime(2026, 3, 2, 8, tzinfo=UTC), tick=True) as wall:
        async with world.client(MODERN, Person()) as client:
            asked = await question(client, world.reply)
            wall.shift(timedelta(seconds=SECONDS))
            with pytest.raises(MCPError, match="requestState"):
                await question(client, world.reply, input_responses=YES, request_state=asked.request_state)
    assert await world.replies() == 0


@BOTH_ERAS
async def test_a_repeated_call_with_an_idempotency_key_is_answered_as_before(world: World, era: ConnectMode) -> None:
    person = Person()
    meta: Any = {IDEMPOTENCY_META: "once-1"}
    number: Any = {IDEMPOTENCY_META: 7}
    async with world.client(era, person) as client:
        first = await client.call_tool("send_reply", world.reply, meta=meta)
        again = await client.call_tool("send_reply", world.reply, meta=meta)
        other = await client.call_tool("send_reply", {**world.reply, "body": "Other"}, meta=meta)
        wrong = await client.call_tool("send_reply", world.reply, meta=number)
    assert first.structured_content == again.structured_content and await world.replies() == 1
    assert again.meta is not None and again.meta[REPLAYED_META] is True and len(person.seen) == 1
    assert REPLAYED_META not in (first.meta or {})
    assert error_of(other)["code"] == "IDEMPOTENCY_KEY_REUSED" and error_of(wrong)["code"] == "VALIDATION_ERROR"


@BOTH_ERAS
async def test_a_call_that_can_be_taken_back_says_how_and_so_does_its_repetition(
    world: World, era: ConnectMode
) -> None:
    await world.installation.call("create_tag", name="Worn out")
    meta: Any = {IDEMPOTENCY_META: "worn-out"}
    async with world.client(era, Person()) as client:
        deleted, again = [await client.call_tool("delete_tag", {"name": "Worn out"}, meta=meta) for _ in range(2)]
        assert deleted.meta is not None and again.meta is not None
        undo_id = deleted.meta[UNDO_META]
        assert (again.meta[REPLAYED_META], again.meta[UNDO_META]) == (True, undo_id)
        last = deleted.content[-1]
        assert isinstance(last, TextContent) and f"undo_operation with id {undo_id}" in last.text
        undone = await client.call_tool("undo_operation", {"id": undo_id})
        tags = await client.call_tool("list_tags", {})
    assert not undone.is_error and tags.structured_content is not None
    assert "Worn out" in [tag["name"] for tag in tags.structured_content["items"]]


@BOTH_ERAS
async def test_tools_say_that_they_take_the_token(world: World, era: ConnectMode) -> None:
    async with world.client(era) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        found = await client.call_tool("search_operations", {"query": "resume the workspace"})
    assert "confirmToken" in tools["start_campaign"].input_schema["properties"]
    assert "confirmToken" not in tools["list_campaigns"].input_schema["properties"]
    assert found.structured_content is not None
    resume = next(item for item in found.structured_content["items"] if item["name"] == "resume_workspace")
    assert "confirmToken" in resume["inputSchema"]["properties"]


@BOTH_ERAS
async def test_an_agent_cannot_loosen_what_holds_it(world: World, era: ConnectMode) -> None:
    names = {operation.name for operation in world.installation.app.dispatcher.catalogue}
    assert not {name for name in names if "safety" in name or name in ("grant_approval", "set_workspace")}
    async with world.client(era) as client:
        unknown = await client.call_tool("run_write_operation", {"operation": "grant_approval", "arguments": {}})
    assert unknown.is_error and await count(world.installation, Campaign) == 1
