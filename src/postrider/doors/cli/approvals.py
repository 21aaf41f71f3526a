"""``approvals``: the calls that wait for a person, and the answer of whoever has the machine."""

import asyncio
import json
from dataclasses import asdict
from typing import Final

from sqlalchemy.orm import Session

from postrider.confirmations.approvals import approvals_of, decide
from postrider.doors.cli.opening import cli_actor, opened
from postrider.doors.cli.words import say
from postrider.doors.web.approvals import Shown, shown
from postrider.kernel.errors import Conflict
from postrider.kernel.zones import rfc3339_milliseconds

_MOST: Final = 100


def show(workspace: str | None, as_json: bool) -> None:
    """Prints what waits."""
    waiting = asyncio.run(_waiting(workspace))
    if as_json:
        say(json.dumps([_fields(each) for each in waiting], indent=2))
        return
    for each in waiting:
        say(f"{each.id}  {each.title}, asked by {each.who!r} for {each.whose} over {each.door}")
        say(f"  {each.summary}")
        for line in each.details:
            say(f"    {line}")
        say(f"  Runs out {rfc3339_milliseconds(each.expires_at)}")
    if not waiting:
        say("Nothing waits for an answer.")


def answer(approval_id: str, workspace: str | None, *, yes: bool) -> None:
    """Grants or denies one."""
    summary = asyncio.run(_answer(approval_id, workspace, yes))
    said = "Granted, once and for exactly this call" if yes else "Denied"
    say(f"{said}: {summary}")


async def _waiting(workspace: str | None) -> list[Shown]:
    async with opened() as app:
        actor, now = await cli_actor(app, workspace), app.clock.now()

        def look(session: Session) -> list[Shown]:
            rows = approvals_of(session, actor.workspace_id, now, waiting=True, most=_MOST)
            return [shown(session, app.dispatcher.catalogue, row, "", "owner", now) for row in rows]

        return await app.database.read(look)


async def _answer(approval_id: str, workspace: str | None, yes: bool) -> str:
    async with opened() as app:
        actor, now = await cli_actor(app, workspace), app.clock.now()

        def write(session: Session) -> str | None:
            row = decide(session, actor.workspace_id, approval_id, yes, actor.user_id, now, "cli")
            return None if row is None else str(row.facts.get("summary", ""))

        summary = await app.database.write(write)
    if summary is None:
        raise Conflict(
            f"{approval_id} does not wait for an answer here (any more).", hint="See: postrider approvals list"
        )
    return summary


def _fields(each: Shown) -> dict[str, object]:
    fields = asdict(each)
    return {
        "id": fields["id"],
        "operation": fields["title"],
        "summary": fields["summary"],
        "details": list(each.details),
        "people": fields["people"],
        "firstSendAt": fields["first_send_at"],
        "askedBy": fields["who"],
        "for": fields["whose"],
        "createdAt": rfc3339_milliseconds(each.created_at),
        "expiresAt": rfc3339_milliseconds(each.expires_at),
    }
