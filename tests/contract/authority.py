"""Who may call what: the table of authority.txt, worked out by calling every operation with every kind of credential.

python -m tests.contract.authority     writes the table; read its diff as an attacker would

A cell has a letter for each autonomy (readonly, draft, confirm, free): what the call is refused with, or a dot.
"""

import asyncio
import shutil
import tempfile
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any, Final, get_args

import pytest

from postrider.app import build
from postrider.catalogue import load_catalogue
from postrider.dispatch import Call
from postrider.kernel.clock import VirtualClock
from postrider.kernel.context import Actor, ActorKind
from postrider.kernel.errors import ConfirmationNeeded, PostriderError
from postrider.kernel.operation import Operation, Scope
from postrider.kernel.policy import AUTONOMIES, Autonomy, covered_scopes
from postrider.settings import load_settings
from tests.conftest import START, Installation
from tests.features.campaign_rig import SEQUENCE, add_lead, add_mailbox, set_campaign
from tests.features.inbox_world import inbox

TABLE: Final = Path(__file__).with_name("authority.txt")
KINDS: Final[tuple[ActorKind, ...]] = ("workspace_key", "platform_key", "oauth_grant", "local")
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)

LETTERS: Final = {
    "INSUFFICIENT_SCOPE": "S",
    "FORBIDDEN": "P",
    "APP_MAKES_NO_KEYS": "A",
    "AUTONOMY_READONLY": "R",
    "AUTONOMY_DRAFT": "D",
    "CONFIRMATION_NEEDED": "C",
    "VALIDATION_ERROR": ".",
}
LEGEND: Final = """\
# For each operation and kind of credential: may one that has this scope (with the scopes which that includes) call it?
# Letters: autonomy readonly, draft, confirm, free. "." it may; S the scope is missing; P a platform key is needed;
# A it is not for connected apps;
# R it only reads; D it only prepares; C it is shown the facts first and wants a yes. Operations with C or D are
# called with arguments that make mail leave, destroy data or change where data goes; with others they may be harmless.
# What makes mail leave wants the scope send, also of operations that otherwise only prepare.
"""
NOT_A_FIELD: Final = {"thereIsNoSuchField": True}
"""Refused after authority has been checked, and before anything is done."""

GRAVE: Final[dict[str, dict[str, Any]]] = {
    "update_campaign": {"id": "{running}", "settings": {"dailySendLimit": 7}},
    "start_campaign": {"id": "{draft}"},
    "resume_campaign": {"id": "{paused}"},
    "add_leads_to_campaign": {"id": "{running}", "leads": [{"email": "x@rows.test"}]},
    "import_campaign_leads_csv": {"id": "{running}", "csv": "email\nx@rows.test\n"},
    "import_leads_csv": {"csv": "email,firstName\nactive@rows.test,New\n", "skipDuplicates": False},
    "update_lead": {"id": "{lead}", "firstName": "New"},
    "send_test_email": {"id": "{draft}", "sequenceStep": 0, "mailboxId": "{mailbox}", "customEmail": "me@rows.test"},
    "create_mailbox": {"email": "new@rows.test", "smtp": {"host": "smtp.rows.test", "port": 587, "password": "x"}},
    "send_reply": {"id": "{conversation}", "body": "Hello"},
    "resume_workspace": {},
    "bulk_action_campaign_leads": {"id": "{running}", "action": "remove", "selectAll": True},
    "delete_campaign": {"id": "{draft}"},
    "delete_leads": {"deleteAll": True, "force": True},
    "delete_conversations": {"selectAll": True},
    "delete_tag": {"name": "Worn out"},
    "remove_dnc_entries": {"emails": ["no@rows.test"]},
    "undo_operation": {"id": "{undo}"},
    "create_api_key": {"name": "Second", "scopes": ["read"], "autonomy": "draft"},
}
"""Of every operation with ``confirm``: a call that asks. ``{…}`` is a thing of ``furnished``."""


async def furnished(world: Installation) -> dict[str, str]:
    """What grave calls name. The workspace is paused, so that there is something to resume."""
    _, [conversation_id] = await inbox(world)
    mailbox_id = await add_mailbox(world, "matrix@ann.test")
    found = {"conversation": conversation_id, "mailbox": mailbox_id}
    for state in ("draft", "paused", "active"):
        made = await world.call("create_campaign", name=state, sequence=SEQUENCE, mailboxIds=[mailbox_id])
        await add_lead(world, made["id"], f"{state}@rows.test", status="active" if state == "active" else "pending")
        await set_campaign(world, made["id"], status=state, started_at=None if state == "draft" else START)
        found["running" if state == "active" else state] = made["id"]
    found["lead"] = (await world.call("list_leads", search="active@rows.test"))["items"][0]["id"]
    await world.call("create_tag", name="Worn out")
    await world.call("add_dnc_entries", entries=[{"email": "no@rows.test"}])
    paused = {"id": found["running"], "action": "pause", "selectAll": True}
    done = await world.app.dispatcher.call(Call("bulk_action_campaign_leads", paused, world.actor()))
    await world.call("bulk_action_campaign_leads", **{**paused, "action": "resume"})
    assert done.undo_id is not None
    found["undo"] = done.undo_id
    await world.call("pause_workspace")
    return found


@dataclass
class Matrix:
    """The table of one world."""

    world: Installation
    things: dict[str, str]
    causes: dict[str, str] = field(default_factory=dict)

    async def row(self, operation: Operation) -> str:
        """The line of one operation."""
        cells = []
        for kind in KINDS:
            for scope in SCOPES:
                letters = [await self.letter(operation, kind, scope, autonomy) for autonomy in AUTONOMIES]
                cells.append("".join(letters))
        blocks = [" ".join(cells[at : at + len(SCOPES)]) for at in range(0, len(cells), len(SCOPES))]
        return f"{operation.name:<28} " + " | ".join(blocks)

    async def letter(self, operation: Operation, kind: ActorKind, scope: Scope, autonomy: Autonomy) -> str:
        """What a call is refused with."""
        actor = self.actor(kind, scope, autonomy)
        arguments = NOT_A_FIELD if await self.may_act(operation, actor) else self.grave(operation)
        try:
            await self.world.app.dispatcher.call(Call(operation.name, arguments, actor))
        except PostriderError as error:
            return LETTERS[error.error_code]
        raise AssertionError(f"{operation.name} was done by {actor}: nothing may be done here")

    async def may_act(self, operation: Operation, actor: Actor) -> bool:
        """Whether a grave call would be done: then it is not made."""
        if operation.confirm is None or actor.autonomy == "readonly":
            return True
        return actor.autonomy == "free" and ("send" in actor.scopes or await self.cause(operation) != "send")

    async def cause(self, operation: Operation) -> str:
        """Why the operation asks, as it says itself."""
        if operation.name not in self.causes:
            actor = replace(self.world.actor(), autonomy="confirm", door="mcp")
            with pytest.raises(ConfirmationNeeded) as asked:
                await self.world.app.dispatcher.call(Call(operation.name, self.grave(operation), actor))
            self.causes[operation.name] = asked.value.details["facts"]["cause"]
        return self.causes[operation.name]

    def grave(self, operation: Operation) -> dict[str, Any]:
        """Arguments of a call that asks."""
        return {
            name: self.things.get(value[1:-1], value) if isinstance(value, str) else value
            for name, value in GRAVE[operation.name].items()
        }

    def actor(self, kind: ActorKind, scope: Scope, autonomy: Autonomy) -> Actor:
        """A credential with that scope and what it includes."""
        scopes = covered_scopes([scope])
        return replace(
            self.world.actor(), kind=kind, scopes=scopes, autonomy=autonomy, door="stdio" if kind == "local" else "mcp"
        )


def header() -> str:
    """The lines above the table."""
    words = " ".join(f"{scope[:4]:<4}" for scope in SCOPES)
    kinds = " | ".join(f"{kind:<{len(words)}}" for kind in KINDS)
    return f"{LEGEND}{'':<28} {kinds}\n{'':<28} {' | '.join([words] * len(KINDS))}\n"


async def table(world: Installation) -> str:
    """The whole table."""
    matrix = Matrix(world, await furnished(world))
    by_feature = groupby(sorted(load_catalogue(), key=lambda each: each.feature), key=lambda each: each.feature)
    lines = []
    for feature, operations in by_feature:
        lines.append(f"\n# {feature}\n")
        lines += [f"{await matrix.row(operation)}\n" for operation in sorted(operations, key=lambda each: each.name)]
    return header() + "".join(lines)


async def _write() -> None:
    folder = tempfile.mkdtemp()
    try:
        clock = VirtualClock(START)
        app = build(load_settings({"POSTRIDER_DATA_DIR": folder}), clock=clock)
        TABLE.write_text(await table(await Installation.on(app, clock)))
        await app.close()
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    asyncio.run(_write())
