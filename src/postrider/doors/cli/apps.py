"""``apps``: what people have let in by signing in."""

import asyncio
import json
from typing import Any

from postrider.dispatch import Call
from postrider.doors.cli.opening import cli_actor, opened
from postrider.doors.cli.words import say
from postrider.kernel.zones import rfc3339_milliseconds


def show(workspace: str | None, as_json: bool) -> None:
    """Prints the connected apps."""
    found = asyncio.run(_call(workspace, "list_connected_apps", {}))
    if as_json:
        say(json.dumps(found.model_dump(mode="json", by_alias=True)["items"], indent=2))
        return
    for app in found.items:
        used = f"last used {rfc3339_milliseconds(app.last_used_at)}" if app.last_used_at else "not used yet"
        often = f"; asked {len(app.grant_ids)} times" if len(app.grant_ids) > 1 else ""
        may = f"{', '.join(app.scopes)}; autonomy {app.autonomy}"
        say(f"{app.id}  {app.name!r} of {app.user_email}: {may}; {used}{often}")
    if not found.items:
        say("No app is connected.")


def revoke(app_id: str, workspace: str | None) -> None:
    """Puts one out."""
    ended = asyncio.run(_call(workspace, "revoke_connected_app", {"id": app_id}))
    if ended.still_connected is None:
        say(f"{ended.id} is revoked.")
        return
    say(f"{ended.id} was revoked before. The app was let in again since, and is still connected as")
    say(f"{ended.still_connected}; put it out with: postrider apps revoke {ended.still_connected}")


async def _call(workspace: str | None, operation: str, arguments: dict[str, Any]) -> Any:
    async with opened() as app:
        actor = await cli_actor(app, workspace)
        return (await app.dispatcher.call(Call(operation, arguments, actor))).output
