"""``audit``: verify the chains, and export the events."""

import asyncio
import json
import shutil
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import typer

from postrider.app import App
from postrider.audit.rules import BREAK_WORDS, KEY_PURPOSE
from postrider.audit.verifying import Break, Tail, Walk, audited_workspaces, tail_of, walk_page
from postrider.dispatch import Call
from postrider.doors.cli.opening import cli_actor, opened
from postrider.doors.cli.words import remark, say
from postrider.doors.heartbeat import engine_runs
from postrider.kernel.words import counted
from postrider.kernel.zones import rfc3339_milliseconds

SEALED_WITHIN: Final = timedelta(seconds=10)
_NAMED: Final = 20


@dataclass(slots=True)
class Finding:
    """What was found of one workspace. ``late``: an engine runs, and rows have waited too long for their place."""

    workspace_id: str
    rows: int
    first_break: Break | None
    tail: Tail
    late: bool
    open_starts: list[str] = field(default_factory=list)


def verify(as_json: bool) -> None:
    """Prints what was found; exit status 1 when a chain is broken."""
    findings = asyncio.run(_verify())
    if as_json:
        say(json.dumps({"ok": not _broken(findings), "workspaces": [_facts(each) for each in findings]}, indent=2))
    else:
        for each in findings:
            _say(each)
        if not findings:
            say("Nothing has been recorded yet.")
    if _broken(findings):
        raise typer.Exit(1)


def export(workspace: str | None, arguments: dict[str, Any], out: Path | None) -> None:
    """Writes the events of a workspace to ``out``, else into the data directory for an hour, and prints where."""
    exported = asyncio.run(_export(workspace, arguments))
    path = exported["path"]
    if out is not None:
        # Moved, not copied: what it holds is not left lying about. It keeps its 0600.
        shutil.move(path, out)
        path = str(out)
    say(path)
    remark(f"{exported['rows']} events.")


async def _export(workspace: str | None, arguments: dict[str, Any]) -> dict[str, Any]:
    async with opened() as app:
        actor = await cli_actor(app, workspace)
        answer = await app.dispatcher.call(Call("export_audit_events", arguments, actor))
        return answer.output.model_dump(mode="json", by_alias=True)


async def _verify() -> list[Finding]:
    async with opened() as app:
        runs = await app.database.read(engine_runs)
        workspaces = await app.database.read(audited_workspaces)
        return [await _walk(app, workspace_id, runs) for workspace_id in workspaces]


async def _walk(app: App, workspace_id: str, engine_is_running: bool) -> Finding:
    walk, key = Walk(workspace_id), app.vault.derive(KEY_PURPOSE)
    while await app.database.read(lambda session: walk_page(session, key, walk)):
        pass
    tail = await app.database.read(lambda session: tail_of(session, walk))
    late = engine_is_running and tail.oldest_at is not None and app.clock.now() - tail.oldest_at > SEALED_WITHIN
    return Finding(workspace_id, walk.rows, walk.first_break, tail, late, sorted(walk.open_starts))


def _broken(findings: list[Finding]) -> bool:
    return any(each.first_break is not None for each in findings)


def _facts(found: Finding) -> dict[str, Any]:
    broken = found.first_break
    return {
        "workspaceId": found.workspace_id,
        "sealed": found.rows,
        "firstBreak": None
        if broken is None
        else {"kind": broken.kind, "number": broken.number, "id": broken.row_id, "message": BREAK_WORDS[broken.kind]},
        "unsealed": found.tail.rows,
        "oldestUnsealedAt": _instant(found.tail.oldest_at),
        "sealingIsLate": found.late,
        "startsWithoutEnd": found.open_starts,
    }


def _instant(at: datetime | None) -> str | None:
    return None if at is None else rfc3339_milliseconds(at)


def _say(found: Finding) -> None:
    broken = found.first_break
    if broken is None:
        say(f"{found.workspace_id}  whole: {counted(found.rows, 'event is', 'events are')} sealed.")
    else:
        where = f"at number {broken.number}" + (f" ({broken.row_id})" if broken.row_id else "")
        say(f"{found.workspace_id}  BROKEN {where}: {BREAK_WORDS[broken.kind]}.")
        say(f"    The {found.rows} events before it are whole; of those behind it nothing can be said.")
    if found.tail.rows:
        waiting = counted(found.tail.rows, "is", "are")
        say(f"    {waiting} not sealed yet, the oldest since {_instant(found.tail.oldest_at)}.")
    if found.late:
        say("    An engine is running and should have sealed them: look for audit_chain_broken or sealer in its log.")
    if found.open_starts:
        more = len(found.open_starts) - _NAMED
        say(
            f"    {len(found.open_starts)} began and have no end yet: {', '.join(found.open_starts[:_NAMED])}"
            f"{f' and {more} more' if more > 0 else ''}. They go on, or were cut off."
        )
