"""Callers with less than all powers, and what they are told."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select

from postrider.access.queries import NewOwner
from postrider.access.safety import change_safety
from postrider.confirmations.approvals import decide
from postrider.dispatch import Answer, Call
from postrider.kernel.context import Actor
from postrider.kernel.errors import ConfirmationNeeded, PostriderError
from postrider.kernel.policy import Autonomy
from postrider.storage.base import Base, JsonValue
from tests.conftest import Installation


def caller(world: Installation, autonomy: Autonomy = "confirm", owner: NewOwner | None = None, **given: Any) -> Actor:
    """An agent with a credential of the workspace, at the MCP door unless ``given`` says otherwise."""
    changes: dict[str, Any] = {"autonomy": autonomy, "credential_id": "key_agent", "door": "mcp"}
    return replace(world.actor(owner), **changes | given)


async def answer(world: Installation, actor: Actor, operation: str, key: str | None = None, **arguments: Any) -> Answer:
    """What the dispatcher gives."""
    return await world.app.dispatcher.call(Call(operation, arguments, actor, idempotency_key=key))


async def call(world: Installation, actor: Actor, operation: str, **arguments: Any) -> dict[str, Any]:
    """The output as a client sees it."""
    found = (await answer(world, actor, operation, **arguments)).output
    return found.model_dump(mode="json", by_alias=True)


async def refused(world: Installation, actor: Actor, operation: str, **arguments: Any) -> PostriderError:
    """The error of a call that is refused."""
    with pytest.raises(PostriderError) as found:
        await answer(world, actor, operation, **arguments)
    return found.value


async def asked(world: Installation, actor: Actor, operation: str, **arguments: Any) -> dict[str, Any]:
    """The details of the question that a call meets: facts and confirmToken."""
    error = await refused(world, actor, operation, **arguments)
    assert isinstance(error, ConfirmationNeeded) and error.error_code == "CONFIRMATION_NEEDED", repr(error)
    assert error.details["facts"]["summary"] in error.message
    return error.details


async def demand(world: Installation, **changes: JsonValue) -> None:
    """Sets what the workspace demands, by the names of access/safety.py."""
    now = world.clock.now()
    await world.app.database.write(lambda s: change_safety(s, world.ann.workspace_id, changes, now))


async def decided(world: Installation, approval_id: str, *, yes: bool) -> None:
    """A person's answer."""
    ann, now = world.ann, world.clock.now()
    row = await world.app.database.write(
        lambda s: decide(s, ann.workspace_id, approval_id, yes, by_user_id=ann.user_id, now=now)
    )
    assert row is not None


async def count(world: Installation, table: type[Base], **columns: Any) -> int:
    """Rows of Ann's workspace with these values."""
    query = select(func.count()).select_from(table).filter_by(workspace_id=world.ann.workspace_id, **columns)
    return await world.app.database.read(lambda session: session.scalar(query)) or 0
