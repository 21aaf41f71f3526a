"""Lockdown: whoever was not written to says nothing to an agent, at no door; the server's word cannot be loosened."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from postrider.access.safety import LOCKDOWN
from postrider.catalogue import load_catalogue
from postrider.doors.mcp import answers
from postrider.inbox.tables import Conversation, InboundMessage
from postrider.inbox.withholding import WITHHELD
from postrider.kernel.errors import Conflict
from postrider.leads.tables import Lead
from postrider.settings import SettingsError, load_settings
from tests.conftest import Installation
from tests.contract.strangers_world import CANARY, STRANGERS
from tests.engine.world import World
from tests.features.agent_rig import Obeying, make_agent, use
from tests.features.inbox_world import add_inbound, inbox
from tests.features.safety_rig import demand

WORDS: dict[str, Any] = dict(STRANGERS["inbound_messages"])
"""A message all of whose words are canaries."""


async def stranger_writes(world: World, conversation_id: str, from_email: str = "mallory@evil.test") -> None:
    """Somebody else answers in the thread, and their words are its preview."""
    now = world.installation.clock.now()
    words = {name: value for name, value in WORDS.items() if name != "text"}
    await add_inbound(world, conversation_id, WORDS["text"], now, **words, from_email=from_email)
    row = update(Conversation).where(Conversation.id == conversation_id)
    values = {"preview": f"{CANARY} preview", "last_reply_at": now}
    await world.installation.app.database.write(lambda s: s.execute(row.values(values)))


async def everything(installation: Installation, conversation_id: str) -> str:
    """All that an agent can get to see of the inbox, and all that a model is shown."""
    model = Obeying()
    use(installation, model)
    shown: list[Any] = [
        await installation.call("list_conversations"),
        await installation.call("get_conversation", id=conversation_id),
        await installation.call("get_conversation", id=conversation_id, full=True),
        await installation.call("list_scheduled_replies", id=conversation_id),
        await installation.call("generate_reply", conversationId=conversation_id),
    ]
    use(installation, None)
    shown.append(await installation.call("generate_reply", conversationId=conversation_id))
    return f"{shown} {model.prompts}"


@pytest.mark.parametrize("by", ["workspace", "server"])
async def test_a_stranger_says_nothing_and_the_lead_goes_on_talking(installation: Installation, by: str) -> None:
    await make_agent(installation)
    world, [conversation_id] = await inbox(installation)
    await stranger_writes(world, conversation_id)
    assert CANARY in await everything(installation, conversation_id)
    await lock(installation, by)
    assert CANARY not in await everything(installation, conversation_id)

    shown = (await installation.call("get_conversation", id=conversation_id, full=True))["messages"]
    [theirs] = [message for message in shown if message["from"]["email"] == "mallory@evil.test"]
    assert theirs["withheld"] == WITHHELD
    assert (theirs["text"], theirs["html"], theirs["subject"], theirs["from"]["name"]) == ("", None, "", "")
    assert [(each["filename"], each["sizeBytes"]) for each in theirs["attachments"]] == [("file", 1)]
    others = [message for message in shown if message is not theirs]
    assert {message["withheld"] for message in others} == {None}
    assert any(message["text"].startswith("Sounds good") for message in others)
    [row] = (await installation.call("list_conversations"))["items"]
    assert (row["preview"], row["withheld"]) == ("", WITHHELD)


async def lock(installation: Installation, by: str) -> None:
    """On, by the one or the other."""
    if by == "workspace":
        await demand(installation, **{LOCKDOWN: True})
    else:
        dispatcher = installation.app.dispatcher
        dispatcher._settings = replace(dispatcher._settings, lockdown=True)


async def test_a_workspace_cannot_loosen_what_the_server_says(installation: Installation) -> None:
    await make_agent(installation)
    world, [conversation_id] = await inbox(installation)
    await stranger_writes(world, conversation_id)
    await demand(installation, **{LOCKDOWN: False})
    await lock(installation, "server")
    await demand(installation, **{LOCKDOWN: False})
    assert CANARY not in await everything(installation, conversation_id)


@pytest.mark.parametrize("sender", ["LEAD0@lead0.test", "sender0@acme.test"])
async def test_those_we_wrote_to_and_our_own_mailboxes_are_shown(installation: Installation, sender: str) -> None:
    await make_agent(installation)
    world, [conversation_id] = await inbox(installation)
    await stranger_writes(world, conversation_id, sender)
    await demand(installation, **{LOCKDOWN: True})
    assert CANARY in await everything(installation, conversation_id)
    [row] = (await installation.call("list_conversations"))["items"]
    assert (row["preview"], row["withheld"]) == (f"{CANARY} preview", None)


async def test_an_address_that_we_wrote_to_before_it_was_changed_is_known(installation: Installation) -> None:
    world, [conversation_id] = await inbox(installation)
    changed = update(Lead).where(Lead.id == world.lead_ids[0]).values(email="new@lead0.test")
    await installation.app.database.write(lambda s: s.execute(changed))
    await demand(installation, **{LOCKDOWN: True})
    shown = (await installation.call("get_conversation", id=conversation_id))["messages"]
    assert {message["withheld"] for message in shown} == {None}


async def test_no_draft_answers_a_stranger_alone(installation: Installation) -> None:
    await make_agent(installation)
    _, [conversation_id] = await inbox(installation)
    everybody = update(InboundMessage).values(from_email="mallory@evil.test", text=CANARY, new_text=CANARY)
    await installation.app.database.write(lambda s: s.execute(everybody))
    await demand(installation, **{LOCKDOWN: True})
    with pytest.raises(Conflict) as refused:
        await installation.call("generate_reply", conversationId=conversation_id)
    assert refused.value.error_code == "WITHHELD"
    assert CANARY not in f"{refused.value.message} {refused.value.details}"


async def test_the_text_part_says_that_something_is_withheld(installation: Installation) -> None:
    world, [conversation_id] = await inbox(installation)
    await stranger_writes(world, conversation_id)
    await demand(installation, **{LOCKDOWN: True})
    for name, arguments in (("get_conversation", {"id": conversation_id}), ("list_conversations", {})):
        operation = load_catalogue().find(name)
        assert operation is not None
        output = operation.output.model_validate(await installation.call(name, **arguments))
        assert WITHHELD in answers.draft(output, operation.output).text


async def test_lockdown_of_one_workspace_is_not_that_of_another(installation: Installation) -> None:
    await demand(installation, **{LOCKDOWN: True})
    bobs = Installation(installation.app, installation.clock, installation.bob, installation.ann)
    world, [conversation_id] = await inbox(bobs)
    await stranger_writes(world, conversation_id)
    assert CANARY in str(await bobs.call("get_conversation", id=conversation_id))


def test_the_variable_is_a_flag(tmp_path: Path) -> None:
    home = {"POSTRIDER_DATA_DIR": str(tmp_path)}
    assert load_settings(home).lockdown is False
    assert load_settings({**home, "POSTRIDER_LOCKDOWN": "true"}).lockdown is True
    with pytest.raises(SettingsError):
        load_settings({**home, "POSTRIDER_LOCKDOWN": "perhaps"})
