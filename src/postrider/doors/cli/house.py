"""``workspace``: what a workspace has decided for all of its mail."""

import asyncio
import json
from collections.abc import Mapping

from postrider.access.house import House, change_house, house_of
from postrider.doors.cli.opening import cli_actor, opened
from postrider.doors.cli.words import say
from postrider.kernel.errors import InvalidInput
from postrider.kernel.zones import rfc3339_milliseconds


def show(workspace: str | None, as_json: bool) -> None:
    """Prints the decisions."""
    _say(asyncio.run(_change(workspace, {})), as_json)


def change(workspace: str | None, changes: Mapping[str, str | bool], as_json: bool) -> None:
    """Makes the changes and prints all decisions. Raises: InvalidInput when nothing is to be changed."""
    if not changes:
        raise InvalidInput(
            "Nothing was given to set.",
            hint="Give --postal-address, --opt-out-line, --unsubscribe-headers or --no-unsubscribe-headers.",
        )
    _say(asyncio.run(_change(workspace, changes)), as_json)


async def _change(workspace: str | None, changes: Mapping[str, str | bool]) -> House:
    async with opened() as app:
        actor = await cli_actor(app, workspace)
        now = app.clock.now()
        if not changes:
            return await app.database.read(lambda session: house_of(session, actor.workspace_id))
        return await app.database.write(lambda session: change_house(session, actor.workspace_id, changes, now))


def _say(house: House, as_json: bool) -> None:
    if as_json:
        facts = {
            "postalAddress": house.postal_address,
            "optOutLine": house.opt_out_line,
            "unsubscribeHeaders": house.unsubscribe_headers,
            "pausedAt": rfc3339_milliseconds(house.paused_at) if house.paused_at else None,
        }
        say(json.dumps(facts))
        return
    say(f"Postal address       {house.postal_address or '(none)'}")
    say(f"Opt-out line         {house.opt_out_line or '(none)'}")
    say(f"Unsubscribe headers  {'sent' if house.unsubscribe_headers else 'not sent'}")
    since = f"paused since {rfc3339_milliseconds(house.paused_at)}" if house.paused_at else "on"
    say(f"Sending              {since}{'; resume_workspace lets it go on' if house.paused_at else ''}")
