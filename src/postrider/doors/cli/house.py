"""``workspace``: what a workspace has decided for all of its mail."""

import asyncio
import json
from collections.abc import Mapping

from sqlalchemy.orm import Session

from postrider.access.house import House, change_house, house_of
from postrider.access.safety import (
    APPROVAL,
    APPROVAL_ABOVE,
    FIRST_DAY,
    LOCKDOWN,
    REPLY_HOLD_SECONDS,
    Safety,
    change_safety,
    safety_of,
)
from postrider.audit.queries import Deed, record
from postrider.doors.cli.opening import cli_actor, opened
from postrider.doors.cli.words import say
from postrider.kernel.errors import InvalidInput
from postrider.kernel.zones import rfc3339_milliseconds
from postrider.storage.base import JsonValue

Changes = Mapping[str, str | bool]
Demands = Mapping[str, JsonValue]


def show(workspace: str | None, as_json: bool) -> None:
    """Prints the decisions."""
    _say(*asyncio.run(_change(workspace, {}, {})), as_json)


def change(workspace: str | None, changes: Changes, demands: Demands, as_json: bool) -> None:
    """Makes the changes (by field of House, and by the names of access/safety.py) and prints all decisions.

    Raises: InvalidInput when nothing is to be changed.
    """
    if not changes and not demands:
        raise InvalidInput(
            "Nothing was given to set.",
            hint="Give --postal-address, --opt-out-line, --[no-]unsubscribe-headers, --approval, --approval-above, "
            "--reply-hold-seconds, --[no-]lockdown or --first-day-sends.",
        )
    _say(*asyncio.run(_change(workspace, changes, demands)), as_json)


def people_above(text: str) -> int | None:
    """What --approval-above says; None for off. Raises: InvalidInput."""
    if text == "off":
        return None
    if not text.isascii() or not text.isdecimal():
        raise InvalidInput(
            "--approval-above has to be a number of people, or off.", hint="0 asks a person for every grave call."
        )
    return int(text[:12])


async def _change(workspace: str | None, changes: Changes, demands: Demands) -> tuple[House, Safety]:
    async with opened() as app:
        actor = await cli_actor(app, workspace)
        own, now = actor.workspace_id, app.clock.now()

        def work(session: Session) -> tuple[House, Safety]:
            house = change_house(session, own, changes, now) if changes else house_of(session, own)
            safety = change_safety(session, own, demands, now) if demands else safety_of(session, own)
            if changes or demands:
                arguments = app.vault.fingerprint("arguments", json.dumps({**changes, **demands}, sort_keys=True))
                record(session, Deed(actor, "set_workspace", "write", "done", arguments, target_id=own), now)
            return house, safety

        return await (app.database.write(work) if changes or demands else app.database.read(work))


def _say(house: House, safety: Safety, as_json: bool) -> None:
    if as_json:
        facts = {
            "postalAddress": house.postal_address,
            "optOutLine": house.opt_out_line,
            "unsubscribeHeaders": house.unsubscribe_headers,
            "pausedAt": rfc3339_milliseconds(house.paused_at) if house.paused_at else None,
            APPROVAL: safety.approval,
            APPROVAL_ABOVE: safety.approval_above,
            REPLY_HOLD_SECONDS: safety.reply_hold_seconds,
            LOCKDOWN: safety.lockdown,
            FIRST_DAY: safety.first_day_sends,
        }
        say(json.dumps(facts))
        return
    say(f"Postal address       {house.postal_address or '(none)'}")
    say(f"Opt-out line         {house.opt_out_line or '(none)'}")
    say(f"Unsubscribe headers  {'sent' if house.unsubscribe_headers else 'not sent'}")
    since = f"paused since {rfc3339_milliseconds(house.paused_at)}" if house.paused_at else "on"
    say(f"Sending              {since}{'; resume_workspace lets it go on' if house.paused_at else ''}")
    above = "" if safety.approval_above is None else f"calls that concern more than {safety.approval_above:,} people"
    granted = "every grave call" if safety.approval == "human" else above or "(nothing)"
    say(f"A person grants      {granted}")
    say(f"Replies are held     {safety.reply_hold_seconds:,} s")
    say(f"Lockdown             {'on: bodies by unknown senders are withheld' if safety.lockdown else 'off'}")
    say(f"A new app may send   {safety.first_day_sends:,} on its first day")
