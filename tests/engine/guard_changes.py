"""For every guard of a send: changes that make it object, as they happen to a running installation, and their cures."""

import ast
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, update

from postrider.access.tables import Workspace
from postrider.campaigns.endings import Stop
from postrider.campaigns.tables import Enrollment
from postrider.dnc.tables import DncEntry
from postrider.mailboxes.tables import Mailbox
from postrider.sending import guards
from postrider.sending.recovery import recover_batch
from postrider.sending.stops import stop_lead
from postrider.storage.tables import EngineLease
from tests.engine.world import World

ENGINE = "the engine whose send it is"
EMAIL = "lead0@lead0.test"
"""The only lead."""
CLOSES = timedelta(hours=17)
"""The end of the sending window after midnight."""

COPY = "boss@copies.test"
"""In cc of every email."""

Deed = Callable[[World], Awaitable[object]]


@dataclass(frozen=True)
class Change:
    """What forbids the send, committed when ``make`` returns, and what allows it again."""

    name: str
    make: Deed
    cure: Deed


def _run(statement: Callable[[World], Any]) -> Deed:
    """Runs one statement."""

    async def run(world: World) -> None:
        await world.installation.app.database.write(lambda s: s.execute(statement(world)) and None)

    return run


def _set(table: Any, **values: Any) -> Deed:
    """Sets columns of the workspace's rows of ``table``."""
    return _run(lambda world: update(table).where(table.workspace_id == world.workspace_id).values(**values))


def _call(operation: str, **arguments: Any) -> Deed:
    """Calls an operation."""
    return lambda world: world.installation.call(operation, **arguments)


def _call_on_campaign(operation: str) -> Deed:
    return lambda world: world.installation.call(operation, id=world.campaign_id)


def _workspace_is(status: str) -> Deed:
    return _run(lambda world: update(Workspace).where(Workspace.id == world.workspace_id).values(status=status))


async def _nothing(world: World) -> None:
    """Time, or the engine that comes next, is the cure."""


async def _let_the_lease_run_out(world: World) -> None:
    expire = update(EngineLease).where(EngineLease.owner == ENGINE).values(expires_ms=0)
    await world.installation.app.database.write(lambda s: s.execute(expire) and None)


async def _take_over(world: World) -> None:
    """As another engine does that thinks this one dead."""
    now = world.installation.clock.now()
    recovered = await world.installation.app.database.write(lambda s: recover_batch(s, [ENGINE], now))
    assert recovered == (1, 0)


async def _reply(world: World) -> None:
    now = world.installation.clock.now()
    await world.installation.app.database.write(
        lambda s: stop_lead(s, world.workspace_id, EMAIL, "replied", Stop("replied"), now)
    )


async def _lead_goes_on(world: World) -> None:
    now = world.installation.clock.now()
    await _set(Enrollment, status="active", stop_reason=None, due_at=now)(world)


async def _take_off_the_list(world: World) -> None:
    await _nobody_is_listed(world)
    await _lead_goes_on(world)


async def _nobody_is_listed(world: World) -> None:
    await _run(lambda world: delete(DncEntry).where(DncEntry.workspace_id == world.workspace_id))(world)


async def _cool_the_mailbox(world: World) -> None:
    until = world.installation.clock.now() + timedelta(minutes=10)
    await _set(Mailbox, cool_until=until)(world)


async def _close_the_window(world: World) -> None:
    clock = world.installation.clock
    clock.advance_to(clock.now().replace(hour=0, minute=0, second=0, microsecond=0) + CLOSES)


CHANGES: Mapping[str, Sequence[Change]] = {
    "claim_holds": (
        Change("the_lease_ran_out", _let_the_lease_run_out, _nothing),
        Change("taken_over", _take_over, _nothing),
    ),
    "workspace_running": (
        Change("workspace_paused", _call("pause_workspace"), _call("resume_workspace")),
        Change("workspace_suspended", _workspace_is("suspended"), _workspace_is("active")),
    ),
    "campaign_active": (
        Change("campaign_paused", _call_on_campaign("pause_campaign"), _call_on_campaign("resume_campaign")),
    ),
    "lead_active": (Change("lead_replied", _reply, _lead_goes_on),),
    "not_on_dnc": (
        Change("address_listed", _call("add_dnc_entries", entries=[{"email": EMAIL}]), _take_off_the_list),
        Change("domain_listed", _call("add_dnc_entries", entries=[{"email": "lead0.test"}]), _take_off_the_list),
    ),
    "mailbox_healthy": (
        Change("mailbox_turned_off", _set(Mailbox, sending_enabled=False), _set(Mailbox, sending_enabled=True)),
        Change("mailbox_in_error", _set(Mailbox, status="error"), _set(Mailbox, status="active")),
        Change("mailbox_cools_down", _cool_the_mailbox, _nothing),
    ),
    "window_open": (Change("window_closed", _close_the_window, _nothing),),
    "copies_not_on_dnc": (
        Change("copy_listed", _call("add_dnc_entries", entries=[{"email": COPY}]), _nobody_is_listed),
    ),
}
"""By the guard's name. A guard without a change here fails its tests."""


def named_guards() -> list[tuple[str, str]]:
    """Every guard and its reason: those of the list, and those that ``guards.objection`` names besides."""
    calls = [node for node in ast.walk(ast.parse(inspect.getsource(guards.objection))) if isinstance(node, ast.Call)]
    words = [call.args[:2] for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Objection"]
    besides = [
        (str(guard.value), str(reason.value))
        for guard, reason in words
        if isinstance(guard, ast.Constant) and isinstance(reason, ast.Constant)
    ]
    return [(guard, reason) for guard, reason, _ in guards.GUARDS] + besides
