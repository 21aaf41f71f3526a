"""A campaign whose first emails have left, and the mail that comes back: written here, taken in as the engine does."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, select, update

from postrider.campaigns.documents import ScheduleInput, SettingsInput
from postrider.campaigns.states import QUEUE_FOLLOW_UP, QUEUE_HELD
from postrider.campaigns.tables import Campaign, DailyCount, Enrollment
from postrider.dnc.queries import hash_value
from postrider.dnc.tables import DncEntry
from postrider.inbox.arrivals import prepare
from postrider.inbox.intake import Intake, Intaker
from postrider.inbox.parsing import ParsedMail, Poison, parse_mail
from postrider.inbox.ports import FetchedMail, FolderCursor
from postrider.inbox.queries import MailboxKey
from postrider.inbox.tables import Conversation, InboundMessage
from postrider.kernel.ids import new_id
from postrider.mailboxes.tables import Mailbox
from postrider.sending.program import Programs
from postrider.sending.tables import Attempt, Event, OutgoingReply, UnsubscribeToken
from tests.conftest import Installation
from tests.engine.world import ALWAYS, EMAIL, FOLLOW_UP, WAIT, World, make_world

OWNER = "engine-of-the-test"
SETTINGS = SettingsInput(email_interval_minutes=0)


def letter(
    body: str = "Sounds interesting, tell me more.",
    *,
    sender: str = "Lee <lead0@lead0.test>",
    subject: str = "Re: Hello",
    message_id: str | None = None,
    answers: str | None = None,
    **headers: str,
) -> bytes:
    """A plain message to the first mailbox. ``answers``: the Message-ID in In-Reply-To and References."""
    fields = {
        "From": sender,
        "To": "sender0@acme.test",
        "Subject": subject,
        "Date": "Mon, 02 Mar 2026 09:00:00 +0000",
        "Message-ID": message_id or f"<{new_id('evt')}@outside.test>",
        **({"In-Reply-To": answers, "References": answers} if answers else {}),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{head}Content-Type: text/plain; charset=utf-8\r\n\r\n{body}\r\n".encode()


def delivery_report(
    message_id: str,
    recipient: str,
    *,
    status: str = "5.1.1",
    action: str = "failed",
    diagnostic: str = "550 5.1.1 User unknown",
) -> bytes:
    """A standard delivery report about one recipient of one message (RFC 3464)."""
    return (
        f"Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.outside.test\r\nTo: sender0@acme.test\r\n"
        f"Message-ID: <{new_id('evt')}@mx.outside.test>\r\nSubject: Undelivered Mail Returned to Sender\r\n"
        "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b1"\r\n\r\n'
        "--b1\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n"
        "--b1\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.outside.test\r\n\r\n"
        f"Final-Recipient: rfc822; {recipient}\r\nAction: {action}\r\nStatus: {status}\r\n"
        f"Diagnostic-Code: smtp; {diagnostic}\r\n\r\n"
        f"--b1\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: {message_id}\r\nTo: {recipient}\r\n\r\nHi\r\n"
        "--b1--\r\n"
    ).encode()


def complaint(message_id: str, recipient: str | None) -> bytes:
    """A feedback report (RFC 5965)."""
    original = f"Original-Rcpt-To: <{recipient}>\r\n" if recipient else ""
    return (
        f"From: fbl@provider.test\r\nTo: sender0@acme.test\r\nMessage-ID: <{new_id('evt')}@provider.test>\r\n"
        "Subject: complaint\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=feedback-report; boundary="b1"\r\n\r\n'
        "--b1\r\nContent-Type: text/plain\r\n\r\nA complaint.\r\n"
        f"--b1\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nVersion: 1\r\n{original}\r\n"
        f"--b1\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: {message_id}\r\n\r\nHi\r\n--b1--\r\n"
    ).encode()


@dataclass
class Mailroom:
    """A world whose leads have all got their first email."""

    world: World
    attempts: list[Attempt]
    folder: FolderCursor = field(default_factory=lambda: FolderCursor("INBOX", "inbox", 1, 0))

    @property
    def installation(self) -> Installation:
        return self.world.installation

    @property
    def key(self) -> MailboxKey:
        """The first mailbox, which sent everything."""
        return MailboxKey(self.world.workspace_id, self.world.mailbox_ids[0])

    @property
    def now(self) -> datetime:
        return self.installation.clock.now()

    def id_of(self, number: int) -> str:
        """The Message-ID of the first email to a lead."""
        return self.attempts[number].message_id

    def parse(self, raw: bytes) -> ParsedMail | Poison:
        return parse_mail(raw)

    async def take(
        self,
        *raws: bytes,
        folder: FolderCursor | None = None,
        key: MailboxKey | None = None,
        owner: str = OWNER,
        poison: bool = False,
    ) -> Intake | None:
        """Takes the messages in, as one batch of a folder."""
        app, now = self.installation.app, self.now
        cursor = folder or self.folder
        fetched = [
            FetchedMail(cursor.last_uid + place, len(raw), raw, False, None, False)
            for place, raw in enumerate(raws, start=1)
        ]
        arrivals = [
            prepare(
                mail,
                Poison("timeout") if poison else self.parse(mail.raw),
                since=now - timedelta(days=1),
                now=now,
            )
            for mail in fetched
        ]
        moved = replace(cursor, last_uid=cursor.last_uid + len(raws))
        if folder is None:
            self.folder = moved
        intaker = Intaker(app.vault, Programs(), owner)
        return await app.database.write(lambda s: intaker.take_in(s, key or self.key, moved, arrivals, now))

    async def answer(self, number: int = 0, body: str = "Sounds interesting, tell me more.", **more: Any) -> None:
        """The lead answers its first email."""
        lead = self.attempts[number].recipient
        await self.take(letter(body, answers=self.id_of(number), **{"sender": f"Lee <{lead}>", **more}))

    async def enrollment(self, number: int = 0) -> Enrollment:
        """The lead's enrollment in the campaign."""
        theirs = Enrollment.lead_id == self.world.lead_ids[number]
        [row] = await self.world.rows(Enrollment, theirs, Enrollment.campaign_id == self.world.campaign_id)
        assert isinstance(row, Enrollment)
        return row

    async def conversations(self) -> list[Conversation]:
        return await self.world.rows(Conversation)

    async def messages(self) -> list[InboundMessage]:
        return await self.world.rows(InboundMessage)

    async def kinds(self) -> list[tuple[str, str]]:
        """Kind and match of every stored message, in the order of arrival."""
        return [(row.kind, row.match) for row in await self.messages()]

    async def events(self, *kinds: str) -> list[Event]:
        return [row for row in await self.world.rows(Event) if not kinds or row.kind in kinds]

    async def listed(self) -> dict[str | None, str]:
        """The do-not-contact list: values with their sources."""
        return {row.value: row.source for row in await self.world.rows(DncEntry)}

    async def counts(self) -> dict[str, int]:
        """Counts of all days by kind."""
        query = select(DailyCount).where(DailyCount.workspace_id == self.world.workspace_id)
        rows = await self.installation.app.database.read(lambda s: list(s.scalars(query)))
        found: dict[str, int] = {}
        for row in rows:
            found[row.kind] = found.get(row.kind, 0) + row.count
        return {kind: count for kind, count in found.items() if count}

    async def mailbox(self) -> Mailbox:
        [row] = await self.world.rows(Mailbox, Mailbox.id == self.key.mailbox_id)
        assert isinstance(row, Mailbox)
        return row

    async def token(self, number: int = 0) -> str:
        """The unsubscribe token in the mail to a lead."""
        address, lead_id = self.attempts[number].recipient, self.world.lead_ids[number]
        return await add_token(self.installation, self.world.workspace_id, address, lead_id)

    async def change(self, table: type[Any], row_id: str, **values: Any) -> None:
        """Sets columns of one row."""
        statement = update(table).where(table.workspace_id == self.world.workspace_id, table.id == row_id)
        await self.installation.app.database.write(lambda s: s.execute(statement.values(**values)) and None)


async def add_token(installation: Installation, workspace_id: str, address: str, lead_id: str | None) -> str:
    """An unsubscribe token for an address, as every mail to it carries one."""
    token = new_id("evt").partition("_")[2] + "000000"
    row = UnsubscribeToken(
        workspace_id=workspace_id,
        email_hash=hash_value(installation.app.vault, workspace_id, address),
        token=token,
        lead_id=lead_id,
        created_at=installation.clock.now(),
    )
    await installation.app.database.write(lambda s: s.add(row))
    return token


async def make_mailroom(
    installation: Installation,
    *,
    leads: int = 1,
    emails: list[str] | None = None,
    settings: SettingsInput = SETTINGS,
    schedule: ScheduleInput = ALWAYS,
    mailboxes: int = 1,
    state: str = "sent",
    copies: list[str] | None = None,
) -> Mailroom:
    """A campaign of two emails, the first of which has been sent to everybody (or is in another ``state``)."""
    world = await make_world(
        installation,
        port=1,
        leads=leads,
        emails=emails,
        steps=(EMAIL, WAIT, FOLLOW_UP),
        settings=settings,
        schedule=schedule,
        mailboxes=mailboxes,
    )
    now, workspace_id = installation.clock.now(), world.workspace_id
    addresses = emails or [f"lead{number}@lead{number}.test" for number in range(leads)]
    enrollments = {row.lead_id: row for row in await world.enrollments()}
    values = []
    for number, (lead_id, address) in enumerate(zip(world.lead_ids, addresses, strict=True)):
        enrollment = enrollments[lead_id]
        values.append(
            {
                "workspace_id": workspace_id,
                "id": new_id("att"),
                "purpose": "step",
                "purpose_key": f"{world.campaign_id}:{lead_id}:first",
                "state": state,
                "mailbox_id": world.mailbox_ids[0],
                "recipient": address,
                "campaign_id": world.campaign_id,
                "enrollment_id": enrollment.id,
                "lead_id": lead_id,
                "step_id": "step_first",
                "step_index": 0,
                "variant": "A",
                "message_id": f"<first-{number}-{new_id('evt')}@acme.test>",
                "content": {"subject": "Hello", "html": "<p>Hi</p>", "text": "Hi", "inReplyTo": None},
                "copies": copies or [],
                "refused_copies": [],
                "tries": 1,
                "first_try_at": now,
                "mailbox_day": now.date().isoformat(),
                "sending_at": now,
                "dotted_at": now,
                "fence": 1,
            }
        )
    unknown = state == "unknown"
    after = {
        "next_step": 0 if unknown else 1,
        "last_step": 0,
        "queue": QUEUE_HELD if unknown else QUEUE_FOLLOW_UP,
        "hold_reason": "unknown_outcome" if unknown else None,
        "due_at": now if unknown else now + timedelta(days=3),
        "mailbox_id": world.mailbox_ids[0],
    }

    def write(session: Any) -> None:
        session.execute(insert(Attempt), values)
        session.execute(update(Enrollment).where(Enrollment.workspace_id == workspace_id).values(**after))
        session.execute(update(Mailbox).where(Mailbox.workspace_id == workspace_id).values(read_lease_owner=OWNER))

    await installation.app.database.write(write)
    installation.clock.advance(timedelta(hours=1))
    attempts = {row.lead_id: row for row in await world.attempts()}
    return Mailroom(world, [attempts[lead_id] for lead_id in world.lead_ids])


async def second_campaign(
    room: Mailroom, *, settings: dict[str, object] | None = None, with_attempt: str | None = None
) -> str:
    """The first lead's enrollment in another campaign."""
    campaign_id, enrollment_id = new_id("camp"), new_id("cl")
    [campaign] = await room.world.rows(Campaign, Campaign.id == room.world.campaign_id)
    first = await room.enrollment()

    def copy(row: Campaign | Enrollment | Attempt, **changes: object) -> dict[str, object]:
        return {column.name: getattr(row, column.name) for column in row.__table__.c} | changes

    def write(session: object) -> None:
        session.execute(insert(Campaign), copy(campaign, id=campaign_id, settings=settings or campaign.settings))  # type: ignore[attr-defined]
        session.execute(insert(Enrollment), copy(first, id=enrollment_id, campaign_id=campaign_id))  # type: ignore[attr-defined]
        if with_attempt:
            values = copy(room.attempts[0], id=new_id("att"), purpose_key="second", message_id=with_attempt)
            session.execute(insert(Attempt), values | {"enrollment_id": enrollment_id, "campaign_id": campaign_id})  # type: ignore[attr-defined]

    await room.installation.app.database.write(write)
    return enrollment_id


async def scheduled_reply(room: Mailroom) -> str:
    """A reply to the first lead that waits to be sent."""
    reply_id, enrollment = new_id("rep"), await room.enrollment()
    row = OutgoingReply(
        workspace_id=room.world.workspace_id,
        id=reply_id,
        conversation_id=new_id("conv"),
        enrollment_id=enrollment.id,
        mailbox_id=room.key.mailbox_id,
        body="Hi",
        cc=[],
        bcc=[],
        scheduled_for=room.now + timedelta(days=1),
        is_scheduled=True,
        status="pending",
        error=None,
        created_by="key_test",
        lease_owner=None,
        fence=0,
        created_at=room.now,
        updated_at=room.now,
    )
    await room.installation.app.database.write(lambda s: s.add(row))
    return reply_id
