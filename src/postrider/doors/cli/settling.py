"""``settle-unknown``: a person's word on a message of which nobody knew whether it had left."""

import asyncio
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from postrider.doors.cli.opening import cli_actor, opened
from postrider.doors.cli.words import say
from postrider.sending.program import Programs
from postrider.sending.unknown import settle_not_sent, settle_unknown, unknown_step

_HOW: Final = "a person said so"


def settle(campaign_id: str, lead_id: str, workspace: str | None, *, sent: bool) -> None:
    """Settles the lead's unknown message and says to whom it went, or will go."""
    recipient = asyncio.run(_settle(campaign_id, lead_id, workspace, sent))
    if sent:
        say(f"The message to {recipient} counts as sent; what comes next waits from when it left.")
    else:
        say(f"The message to {recipient} counts as not sent; it goes out again as soon as everything allows it.")


async def _settle(campaign_id: str, lead_id: str, workspace: str | None, sent: bool) -> str:
    async with opened() as app:
        actor = await cli_actor(app, workspace)
        now = app.clock.now()
        return await app.database.write(
            lambda session: _write(session, actor.workspace_id, campaign_id, lead_id, sent, now)
        )


def _write(session: Session, workspace_id: str, campaign_id: str, lead_id: str, sent: bool, now: datetime) -> str:
    attempt = unknown_step(session, workspace_id, campaign_id, lead_id)
    recipient = attempt.recipient
    if sent:
        settle_unknown(session, Programs(), attempt, attempt.dotted_at or attempt.sending_at, now, how=_HOW)
    else:
        settle_not_sent(session, attempt, now, how=_HOW)
    return recipient
