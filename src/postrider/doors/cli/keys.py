"""``keys``: the API keys of a workspace, and the platform keys of its people."""

import asyncio
import json
from typing import Any

from sqlalchemy.orm import Session

from postrider.access.key_operations import ApiKeyOut, end_key, platform_keys
from postrider.audit.personal import record_personal
from postrider.dispatch import Call
from postrider.doors.cli.opening import cli_actor, opened
from postrider.doors.cli.words import say
from postrider.kernel.zones import rfc3339_milliseconds


def show(workspace: str | None, as_json: bool) -> None:
    """Prints the keys."""
    own, platform = asyncio.run(_keys(workspace))
    if as_json:
        rows = {"workspace": own, "platform": platform}
        say(json.dumps({name: [_fields(key) for key in keys] for name, keys in rows.items()}, indent=2))
        return
    for title, keys in (("Of the workspace", own), ("Platform keys, for every workspace of their owner", platform)):
        say(f"{title}:")
        for key in keys:
            say(f"  {key.id}  {key.begins}…  {key.name}: {_words(key)}")
        if not keys:
            say("  none")


def create(asked: dict[str, Any], workspace: str | None, as_json: bool) -> None:
    """Makes a key and prints it."""
    made = asyncio.run(_call(workspace, "create_api_key", asked))
    if as_json:
        say(json.dumps(_fields(made), indent=2))
        return
    say(made.key)
    say(f"{made.name}: {_words(made)}. Keep the key now: it is stored as a hash and cannot be shown again.")


def revoke(key_id: str, workspace: str | None) -> None:
    """Takes a key back."""
    asyncio.run(_revoke(key_id, workspace))
    say(f"{key_id} is revoked.")


async def _keys(workspace: str | None) -> tuple[list[ApiKeyOut], list[ApiKeyOut]]:
    async with opened() as app:
        actor, now = await cli_actor(app, workspace), app.clock.now()
        own = (await app.dispatcher.call(Call("list_api_keys", {}, actor))).output
        platform = await app.database.read(lambda session: platform_keys(session, now))
        return own.items, platform  # type: ignore[attr-defined]  # an ApiKeyList


async def _call(workspace: str | None, operation: str, arguments: dict[str, Any]) -> Any:
    async with opened() as app:
        actor = await cli_actor(app, workspace)
        return (await app.dispatcher.call(Call(operation, arguments, actor))).output


async def _revoke(key_id: str, workspace: str | None) -> None:
    async with opened() as app:
        now = app.clock.now()

        def write(session: Session) -> bool:
            # No workspace has them, so that no operation reaches them: whoever has the machine does.
            key = next((each for each in platform_keys(session, now) if each.id == key_id), None)
            if key is not None and end_key(session, key_id, now):
                record_personal(
                    session, key.user_id, "revoke_api_key", "cli", now, effect="destructive", target_id=key_id
                )
            return key is not None

        if not await app.database.write(write):
            actor = await cli_actor(app, workspace)
            await app.dispatcher.call(Call("revoke_api_key", {"id": key_id}, actor))


def _fields(key: ApiKeyOut) -> dict[str, Any]:
    return key.model_dump(mode="json", by_alias=True)


def _words(key: ApiKeyOut) -> str:
    words = [", ".join(key.scopes), f"autonomy {key.autonomy}"]
    if key.toolsets is not None:
        words.append(f"only {', '.join(key.toolsets)}")
    if key.daily_sends is not None:
        words.append(f"{key.daily_sends} messages a day")
    if key.status == "active":
        words.append(f"until {rfc3339_milliseconds(key.expires_at)}" if key.expires_at is not None else "no end")
    else:
        words.append(key.status)
    return "; ".join(words)
