"""Subscribers hear of new replies and changed figures, of their own workspace alone, until they go."""

from typing import Any

import anyio
import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import ResourceUpdated
from mcp_types import ResourceUpdatedNotification
from sqlalchemy import delete, update

from postrider.analytics.pulses import Topic, pulses
from postrider.campaigns.tables import DailyCount
from postrider.doors.mcp.projection import Projection
from postrider.doors.mcp.server import build_server
from postrider.doors.mcp.subscriptions import MOST_OF_ONE_CLIENT, MOST_OF_ONE_WORKSPACE, Watch, Watched
from postrider.doors.mcp.surface import MAIN
from postrider.inbox.tables import Conversation
from tests.conftest import Installation
from tests.engine.world import World
from tests.features.inbox_world import converse, inbox

# The client warns of what the newer revision has no longer; servers of the older one still answer it.
pytestmark = pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")
SECONDS = 20
LOOK_SECONDS = 0.02


class Heard:
    """What a client was told, as its message handler."""

    def __init__(self) -> None:
        self.uris: list[str] = []
        self._news = anyio.Event()

    async def __call__(self, message: Any) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            self.uris.append(str(message.params.uri))
            self._news.set()

    async def hears(self, uri: str) -> None:
        with anyio.fail_after(SECONDS):
            while uri not in self.uris:
                self._news = anyio.Event()
                await self._news.wait()


def projection(installation: Installation, owner: Any = None) -> Projection:
    who = installation.actor(owner)
    made = Projection(installation.app, MAIN, lambda ctx: who)
    made._watch._look_seconds = LOOK_SECONDS
    return made


@pytest.fixture
async def world(installation: Installation) -> tuple[World, str]:
    """A campaign with two leads, of which one has replied."""
    made, conversations = await inbox(installation, leads=2)
    gone = delete(Conversation).where(Conversation.id == conversations[1])
    await installation.app.database.write(lambda session: session.execute(gone))
    return made, conversations[0]


async def count_one_more(world: World, kind: str = "sent") -> None:
    """As the engine does with each event."""
    key = {"workspace_id": world.workspace_id, "campaign_id": world.campaign_id, "day": "2026-03-02"}
    row = DailyCount(**key, mailbox_id="", step_id="", variant="", kind=kind, count=1)
    await world.installation.app.database.write(lambda session: session.merge(row))


async def test_a_session_hears_of_new_replies_and_figures(installation: Installation, world: tuple[World, str]) -> None:
    here, conversation_id = world
    heard, served = Heard(), projection(installation)
    figures = f"postrider://campaigns/{here.campaign_id}/analytics"
    thread = f"postrider://inbox/{conversation_id}"
    async with Client(build_server(served), mode="legacy", message_handler=heard) as client:
        for uri in ("postrider://inbox", figures, thread, "postrider://workspace"):
            await client.subscribe_resource(uri)
            await client.subscribe_resource(uri)
        assert served._watch.count == 4
        await converse(here, 1)
        await heard.hears("postrider://inbox")
        assert heard.uris == ["postrider://inbox"], "nothing else has changed"
        await count_one_more(here)
        await heard.hears(figures)
        await installation.call("tag_conversation", conversationId=conversation_id, aiTag="interested")
        await heard.hears(thread)
        await installation.call("pause_workspace")
        await heard.hears("postrider://workspace")
        await client.unsubscribe_resource(thread)
        await client.unsubscribe_resource(thread)
        assert served._watch.count == 3
    assert served._watch.count == 0, "a session's subscriptions end with it"


async def test_a_stream_hears_of_new_replies_and_figures(installation: Installation, world: tuple[World, str]) -> None:
    here, _ = world
    served = projection(installation)
    wanted = ["postrider://inbox", "postrider://analytics/overview"]
    with anyio.fail_after(SECONDS):
        async with Client(build_server(served), mode="2026-07-28") as client:
            async with client.listen(resource_subscriptions=wanted) as stream:
                assert served._watch.count == 2
                await converse(here, 1)
                assert await anext(stream) == ResourceUpdated("postrider://inbox")
                await count_one_more(here)
                assert await anext(stream) == ResourceUpdated("postrider://analytics/overview")
            while served._watch.count:
                await anyio.lowlevel.checkpoint()


async def test_nobody_hears_of_another_workspace(installation: Installation, world: tuple[World, str]) -> None:
    here, conversation_id = world
    heard, served = Heard(), projection(installation, installation.bob)
    async with Client(build_server(served), mode="legacy", message_handler=heard) as client:
        for foreign in (f"postrider://inbox/{conversation_id}", f"postrider://campaigns/{here.campaign_id}"):
            with pytest.raises(MCPError, match="not found"):
                await client.subscribe_resource(foreign)
        await client.subscribe_resource("postrider://inbox")
        await client.subscribe_resource("postrider://workspace")
        await converse(here, 1)
        await count_one_more(here)
        await installation.call("pause_workspace", owner=installation.bob)
        await heard.hears("postrider://workspace")
    assert heard.uris == ["postrider://workspace"]


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_what_cannot_be_read_cannot_be_watched(mode: Any, installation: Installation) -> None:
    async with Client(build_server(projection(installation)), mode=mode) as client:

        async def watch(uri: str) -> None:
            if mode == "legacy":
                await client.subscribe_resource(uri)
                return
            async with client.listen(resource_subscriptions=[uri]):
                pass

        for uri in ("postrider://nothing", "postrider://campaigns/camp_00000000000000000000000000"):
            with pytest.raises(MCPError):
                await watch(uri)


async def test_a_session_may_watch_so_many_addresses(installation: Installation) -> None:
    served = projection(installation)
    days = [f"postrider://analytics/daily?from=2026-01-{1 + number % 28:02}" for number in range(28)]
    days += [f"{day}&to=2026-03-01" for day in days]
    async with Client(build_server(served), mode="legacy") as client:
        for uri in days[:MOST_OF_ONE_CLIENT]:
            await client.subscribe_resource(uri)
        with pytest.raises(MCPError, match=f"{MOST_OF_ONE_CLIENT} addresses"):
            await client.subscribe_resource(days[MOST_OF_ONE_CLIENT])
        assert served._watch.count == MOST_OF_ONE_CLIENT
    async with Client(build_server(served), mode="2026-07-28") as client:
        with pytest.raises(MCPError, match=f"{MOST_OF_ONE_CLIENT} addresses"):
            async with client.listen(resource_subscriptions=days[: MOST_OF_ONE_CLIENT + 1]):
                pass


async def test_a_workspace_has_so_many_subscriptions_and_others_have_theirs(installation: Installation) -> None:
    async def tell() -> None:
        return None

    watch = Watch(installation.app.database)
    many = [Watched("ws_1", Topic("inbox"), "u", tell) for _ in range(MOST_OF_ONE_WORKSPACE)]
    await watch.add(many)
    with pytest.raises(MCPError, match="subscriptions at once"):
        await watch.add([Watched("ws_1", Topic("inbox"), "u", tell)])
    await watch.add([Watched("ws_2", Topic("inbox"), "u", tell)])
    assert watch.count == MOST_OF_ONE_WORKSPACE + 1
    watch.remove(set(watch._watched))


async def test_whoever_cannot_be_told_does_not_keep_it_from_the_others(
    installation: Installation, world: tuple[World, str]
) -> None:
    here, _ = world
    told = anyio.Event()

    async def fail() -> None:
        raise BrokenPipeError

    async def tell() -> None:
        told.set()

    watch = Watch(installation.app.database, LOOK_SECONDS)
    both = [Watched(here.workspace_id, Topic("inbox"), "u", each) for each in (fail, tell)]
    await watch.add(both)
    await converse(here, 1)
    with anyio.fail_after(SECONDS):
        await told.wait()
    watch.remove(both)


async def test_a_pulse_changes_with_its_topic_alone(installation: Installation, world: tuple[World, str]) -> None:
    here, conversation_id = world
    topics = [
        *(Topic("workspace"), Topic("figures"), Topic("inbox"), Topic("campaign", here.campaign_id)),
        *(Topic("conversation", conversation_id), Topic("campaign", "camp_of_nobody")),
    ]

    async def look() -> dict[Topic, Any]:
        return await installation.app.database.read(lambda session: pulses(session, here.workspace_id, topics))

    seen = [await look()]

    async def changed(*wanted: Topic) -> None:
        seen.append(await look())
        assert {topic for topic in topics if seen[-1][topic] != seen[-2][topic]} == set(wanted)

    await changed()
    await count_one_more(here)
    await changed(Topic("figures"), Topic("campaign", here.campaign_id))
    await installation.call("update_campaign", id=here.campaign_id, name="Renamed")
    await changed(Topic("campaign", here.campaign_id))
    await installation.call("send_reply", id=conversation_id, body="Hello")
    await changed(Topic("conversation", conversation_id))
    other = update(Conversation).where(Conversation.workspace_id != here.workspace_id).values(unread_count=9)
    await installation.app.database.write(lambda session: session.execute(other))
    await installation.call("create_campaign", name="Bob's", owner=installation.bob)
    await changed()
    assert seen[-1][Topic("campaign", "camp_of_nobody")] == ()
