"""Conversations put straight into the tables: a campaign email that left, and what the lead answered."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, update

from postrider.campaigns.tables import Campaign, Enrollment
from postrider.dnc.rules import DncSource
from postrider.inbox.tables import Conversation, InboundMessage
from postrider.kernel.ids import new_id
from postrider.sending.epoch import FILE_NAME, release_hold
from postrider.sending.stops import suppress
from postrider.sending.tables import Attempt
from tests.conftest import Installation
from tests.engine.world import World, make_world

FIRST_ID = "<first.{}@acme.test>"
ANSWER_ID = "<answer.{}@lead.test>"


async def inbox(installation: Installation, *, leads: int = 1, port: int = 9) -> tuple[World, list[str]]:
    """A world whose leads have all got the first email and answered it, and their conversations in lead order."""
    world = await make_world(installation, port=port, leads=leads)
    # Replies leave whatever the campaign does; paused, it sends nothing beside them.
    paused = update(Campaign).where(Campaign.workspace_id == world.workspace_id).values(status="paused")
    await installation.app.database.write(lambda s: s.execute(paused))
    conversations = [await converse(world, number) for number in range(leads)]
    # A database that has sent mail before its first engine ran looks like a restored backup.
    marker = installation.app.settings.data_dir / FILE_NAME
    await installation.app.database.write(lambda s: release_hold(s, marker))
    return world, conversations


async def converse(world: World, number: int = 0, text: str = "Sounds good, tell me more.", **more: Any) -> str:
    """The conversation of one lead: one email sent an hour ago, one answer a minute after it per ``number``."""
    workspace_id, lead_id = world.workspace_id, world.lead_ids[number]
    sent_at = world.installation.clock.now() - timedelta(hours=1)
    enrollment = next(row for row in await world.enrollments() if row.lead_id == lead_id)
    conversation_id, attempt_id, at = new_id("conv"), new_id("att"), sent_at + timedelta(minutes=1 + number)
    attempt = attempt_values(world, enrollment, attempt_id, FIRST_ID.format(number), sent_at)

    def write(session: Any) -> None:
        session.execute(insert(Attempt), attempt)
        session.execute(
            update(Enrollment)
            .where(Enrollment.workspace_id == workspace_id, Enrollment.id == enrollment.id)
            .values(
                thread_subject="Hello there",
                thread_ids=[attempt["message_id"]],
                mailbox_id=world.mailbox_ids[0],
                last_step=0,
                next_step=1,
                due_at=at + timedelta(days=3),
                queue=0,
            )
        )
        session.execute(
            insert(Conversation),
            conversation_values(world, enrollment, conversation_id, text, at) | more,
        )
        session.execute(
            insert(InboundMessage),
            inbound_values(world, conversation_id, enrollment, text, at, attempt_id=attempt_id)
            | {"message_id": ANSWER_ID.format(number), "thread_ids": [attempt["message_id"]]},
        )

    await world.installation.app.database.write(write)
    return conversation_id


def attempt_values(
    world: World, enrollment: Enrollment, attempt_id: str, message_id: str, at: datetime
) -> dict[str, Any]:
    """The columns of a campaign email that was accepted at ``at``."""
    empty = dict.fromkeys(column.name for column in Attempt.__table__.c)
    return {
        **empty,
        "workspace_id": world.workspace_id,
        "id": attempt_id,
        "purpose": "step",
        "purpose_key": f"{enrollment.campaign_id}:{enrollment.lead_id}:{attempt_id}",
        "state": "sent",
        "mailbox_id": world.mailbox_ids[0],
        "recipient": "lead0@lead0.test",
        "campaign_id": enrollment.campaign_id,
        "enrollment_id": enrollment.id,
        "lead_id": enrollment.lead_id,
        "step_index": 0,
        "variant": "A",
        "message_id": message_id,
        "content": {"subject": "Hello there", "html": "<p>Hi there</p>", "text": "Hi there", "inReplyTo": None},
        "copies": [],
        "refused_copies": [],
        "tries": 1,
        "first_try_at": at,
        "mailbox_day": "2026-03-02",
        "sending_at": at,
        "dotted_at": at,
        "done_at": at,
        "fence": 1,
    }


def conversation_values(
    world: World, enrollment: Enrollment, conversation_id: str, text: str, at: datetime
) -> dict[str, Any]:
    """The columns of an open conversation with one unread answer."""
    return {
        "workspace_id": world.workspace_id,
        "id": conversation_id,
        "enrollment_id": enrollment.id,
        "campaign_id": enrollment.campaign_id,
        "lead_id": enrollment.lead_id,
        "mailbox_id": world.mailbox_ids[0],
        "status": "open",
        "ai_tag": None,
        "ai_tag_source": None,
        "ai_tagged_at": None,
        "tags": [],
        "unread_count": 1,
        "preview": text[:200],
        "last_reply_at": at,
        "created_at": at,
        "updated_at": at,
    }


def inbound_values(
    world: World, conversation_id: str, enrollment: Enrollment, text: str, at: datetime, **more: Any
) -> dict[str, Any]:
    """The columns of one answer."""
    return {
        "workspace_id": world.workspace_id,
        "id": new_id("msg"),
        "mailbox_id": world.mailbox_ids[0],
        "conversation_id": conversation_id,
        "enrollment_id": enrollment.id,
        "attempt_id": None,
        "kind": "reply",
        "rule": "test",
        "sub_kind": None,
        "match": "strong",
        "dedupe_key": new_id("msg"),
        "message_id": None,
        "thread_ids": [],
        "from_email": "lead0@lead0.test",
        "from_name": "First0",
        "subject": "Re: Hello there",
        "text": f"{text}\n\n> Hi there",
        "new_text": text,
        "html": f"<p>{text}</p>",
        "attachments": [],
        "defects": [],
        "raw": None,
        "size_bytes": len(text),
        "received_at": at,
        "read_at": None,
        "folder": "INBOX",
        "uid_validity": 1,
        "uid": 1,
        **more,
    }


async def add_inbound(world: World, conversation_id: str, text: str, at: datetime, **more: Any) -> None:
    """One more answer in a conversation."""
    [conversation] = await world.rows(Conversation, Conversation.id == conversation_id)
    [enrollment] = await world.rows(Enrollment, Enrollment.id == conversation.enrollment_id)
    values = inbound_values(world, conversation_id, enrollment, text, at, **more)
    await world.installation.app.database.write(lambda s: s.execute(insert(InboundMessage), values))


async def change(world: World, table: Any, row_id: str, **values: Any) -> None:
    """Sets columns of one row."""
    await world.installation.app.database.write(
        lambda s: s.execute(
            update(table).where(table.workspace_id == world.workspace_id, table.id == row_id).values(**values)
        )
    )


async def list_on_dnc(world: World, email: str, source: DncSource) -> None:
    """Puts an address on the do-not-contact list."""
    app = world.installation.app
    now = app.clock.now()
    await app.database.write(
        lambda s: suppress(s, app.vault, world.workspace_id, email, source=source, reason="said no", now=now)
    )
