"""What the reply suites share: queueing, looking, and letting an engine run."""

from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from postrider.sending.tables import Attempt, OutgoingReply
from tests.conftest import Installation
from tests.engine.world import World, pass_time, running_engine
from tests.integration.smtp_rig import transport_with

SECOND = timedelta(seconds=1)


def parsed(data: bytes) -> EmailMessage:
    """A message as its reader gets it."""
    return message_from_bytes(data, policy=policy.default)


async def replies(world: World) -> list[OutgoingReply]:
    """All replies of the workspace."""
    return await world.rows(OutgoingReply)


async def reply_attempts(world: World) -> list[Attempt]:
    """The ledger rows of its replies."""
    return await world.rows(Attempt, Attempt.purpose == "reply")


async def queue(installation: Installation, conversation_id: str, body: str = "Thanks!", **more: Any) -> str:
    """Queues a reply; its id."""
    return str((await installation.call("send_reply", id=conversation_id, body=body, **more))["id"])


async def write(installation: Installation, statement: Any) -> None:
    """Runs one statement."""
    await installation.app.database.write(lambda s: s.execute(statement))


async def run_for(installation: Installation, span: timedelta, times: int = 1) -> None:
    """An engine works through a span of virtual time, and stops."""
    async with running_engine(installation, transport_with()) as engine:
        for _ in range(times):
            await pass_time(installation, engine, span)
