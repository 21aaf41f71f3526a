"""Servers and messages in trouble: what the receiving loop shows of it, and that nothing and nobody else suffers."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

from postrider.adapters import imap_errors
from postrider.adapters.imap import ImapReader
from postrider.adapters.mail_parser import MailParser
from postrider.adapters.sandbox_reader import SandboxReader
from postrider.engine.receiver import Patience
from postrider.inbox.ports import FolderBatch, FolderCursor
from postrider.kernel.secret import Secret
from postrider.mailboxes.ports import MailAccount
from postrider.mailboxes.queries import secret_owner
from postrider.mailboxes.tables import Mailbox
from tests.conftest import Installation
from tests.engine.inbound import Mailroom, letter, make_mailroom
from tests.engine.receiver_rig import give_account, loop_of, parser, reader, receiving, until
from tests.mailstack.faults import FaultProxy
from tests.mailstack.fixtures import mail_stack
from tests.mailstack.stack import MailStack

__all__ = ["mail_stack", "parser", "reader"]

REFUSED = "The IMAP server did not accept the username and password."
SIGN_IN_FAILED = {"status": "error", "last_error": "Sign-in was refused: 535 5.7.8 no"}


async def test_a_connection_that_breaks_between_batches_costs_no_message(
    installation: Installation, mail_stack: MailStack, reader: ImapReader, parser: MailParser
) -> None:
    room = await make_mailroom(installation)
    account = mail_stack.new_account(imap_security="none")
    async with FaultProxy(mail_stack.imap_port) as proxy:
        await give_account(room, account, port=proxy.port)
        loop = loop_of(room, reader, parser)
        await loop.poll_all()
        for number in range(50):
            mail_stack.deliver(account.email, letter(sender="x@y.test", subject=f"number-{number}"))
        proxy.cut_after(b"Subject: number-30", 0, times=2)
        await loop.poll_all()
        assert 0 < len(await room.messages()) < 50
        assert (await room.mailbox()).read_error == "The connection to the IMAP server was lost."
        await loop.poll_all()
    found = [row.subject for row in await room.messages()]
    assert sorted(found) == sorted(f"number-{number}" for number in range(50))
    assert (await room.mailbox()).read_error is None


async def test_a_poison_message_is_set_aside_and_the_mailbox_goes_on(
    installation: Installation, mail_stack: MailStack, reader: ImapReader
) -> None:
    room = await make_mailroom(installation)
    account = mail_stack.new_account()
    await give_account(room, account)
    mail_stack.deliver(account.email, b"Subject: slow\r\n\r\n" + b"x" * 1_000)
    mail_stack.deliver(account.email, letter(answers=room.id_of(0)))
    parser = _Impatient()
    try:
        await loop_of(room, reader, parser).poll_all()
    finally:
        await parser.close()
    rows = await room.messages()
    assert [(row.kind, row.rule) for row in rows] == [("poison", "timeout"), ("reply", "reply")]
    assert rows[0].raw is not None and rows[0].raw.endswith(b"x" * 1_000 + b"\r\n")
    assert (await room.enrollment()).status == "replied"


class _Impatient(MailParser):
    """Gives one message no time at all."""

    async def parse(self, raw: bytes) -> Any:
        self._timeout_seconds = 0.0 if b"Subject: slow" in raw else 10.0
        return await super().parse(raw)


async def test_a_server_that_is_away_leaves_the_others_alone(
    installation: Installation, mail_stack: MailStack, reader: ImapReader, parser: MailParser
) -> None:
    room = await make_mailroom(installation, mailboxes=2)
    account = mail_stack.new_account()
    await give_account(room, account)
    mail_stack.deliver(account.email, letter(answers=room.id_of(0)))
    dead = {"host": "127.0.0.1", "port": 1, "security": "none", "username": "u"}
    other = room.world.mailbox_ids[1]
    sealed = installation.app.vault.seal(Secret("p"), secret_owner(room.key.workspace_id, other, "imap"))
    await room.change(Mailbox, other, imap=dead, imap_secret=sealed, read_lease_owner=None)
    await loop_of(room, reader, parser).poll_all()
    assert await room.kinds() == [("reply", "strong")]
    [broken] = await room.world.rows(Mailbox, Mailbox.id == other)
    assert (broken.status, broken.read_error) == ("active", "The IMAP server could not be reached.")


class TestEachSideFailsForItself:
    async def test_a_mailbox_that_cannot_send_is_read_as_before(
        self, installation: Installation, mail_stack: MailStack, reader: ImapReader, parser: MailParser
    ) -> None:
        room = await make_mailroom(installation)
        account = mail_stack.new_account()
        await give_account(room, account)
        await room.change(Mailbox, room.key.mailbox_id, **SIGN_IN_FAILED)
        mail_stack.deliver(account.email, letter(answers=room.id_of(0)))
        await loop_of(room, reader, parser).poll_all()
        assert (await room.enrollment()).status == "replied"
        mailbox = await room.mailbox()
        assert (mailbox.status, mailbox.last_error) == ("error", SIGN_IN_FAILED["last_error"])
        assert await shown_error(room) == "SMTP: Sign-in was refused: 535 5.7.8 no"

    async def test_a_refused_password_stops_sending_until_reading_works_again(
        self, installation: Installation, mail_stack: MailStack, reader: ImapReader, parser: MailParser
    ) -> None:
        room = await make_mailroom(installation)
        account = mail_stack.new_account()
        await give_account(room, account, password="wrong")
        loop = loop_of(room, reader, parser)
        for _ in range(2):
            await loop.poll_all()
        assert ((await room.mailbox()).status, await shown_error(room)) == ("error", f"IMAP: {REFUSED}")
        assert len(await room.events("mailbox_stopped")) == 1
        await give_account(room, account)
        await loop.poll_all()
        assert ((await room.mailbox()).status, await shown_error(room)) == ("active", None)
        assert len(await room.events("mailbox_resumed")) == 1

    async def test_trouble_with_reading_neither_hides_nor_heals_trouble_with_sending(
        self, installation: Installation, mail_stack: MailStack, reader: ImapReader, parser: MailParser
    ) -> None:
        room = await make_mailroom(installation)
        account = mail_stack.new_account()
        await give_account(room, account, password="wrong")
        await room.change(Mailbox, room.key.mailbox_id, **SIGN_IN_FAILED)
        loop = loop_of(room, reader, parser)
        await loop.poll_all()
        assert await shown_error(room) == f"SMTP: {SIGN_IN_FAILED['last_error']} IMAP: {REFUSED}"
        await give_account(room, account)
        await loop.poll_all()
        assert ((await room.mailbox()).status, await shown_error(room)) == (
            "error",
            f"SMTP: {SIGN_IN_FAILED['last_error']}",
        )

    async def test_a_mailbox_suspended_for_its_reputation_stays_so(
        self, installation: Installation, mail_stack: MailStack, reader: ImapReader, parser: MailParser
    ) -> None:
        room = await make_mailroom(installation)
        account = mail_stack.new_account()
        await give_account(room, account, password="wrong")
        await room.change(Mailbox, room.key.mailbox_id, status="suspended")
        loop = loop_of(room, reader, parser)
        await loop.poll_all()
        await give_account(room, account)
        await loop.poll_all()
        assert ((await room.mailbox()).status, await shown_error(room)) == ("suspended", None)


class TestFailingServers:
    async def test_are_asked_ever_more_seldom(self, installation: Installation, parser: MailParser) -> None:
        room = await make_mailroom(installation)
        reader = _Failing(imap_errors.auth_failed())
        await make_sandbox(room)
        async with receiving(room, reader, parser, poll_seconds=0.02):
            await until(lambda: reader.has_looked(6))
        pauses = [later - earlier for earlier, later in zip(reader.looks, reader.looks[1:], strict=False)]
        assert all(pause >= 0.02 * 2**number for number, pause in enumerate(pauses[:5], start=1))

    async def test_are_asked_at_once_when_somebody_has_mended_the_mailbox(
        self, installation: Installation, parser: MailParser
    ) -> None:
        room = await make_mailroom(installation)
        reader = _Failing(imap_errors.auth_failed())
        await make_sandbox(room)
        patience = Patience(list_seconds=0.05)
        async with receiving(room, reader, parser, poll_seconds=3_600, patience=patience):
            await until(lambda: _has_error(room))
            # As create_mailbox leaves it once both sign-ins work.
            await room.change(Mailbox, room.key.mailbox_id, status="active", read_error=None, read_stopped_at=None)
            await until(lambda: reader.has_looked(2))

    async def test_show_at_the_mailbox_even_when_the_fault_is_ours(
        self, installation: Installation, parser: MailParser
    ) -> None:
        room = await make_mailroom(installation)
        await make_sandbox(room)
        await loop_of(room, _Failing(RuntimeError("words of a stranger")), parser).poll_all()
        mailbox = await room.mailbox()
        assert mailbox.status == "active"
        assert mailbox.read_error == "Reading ended with an internal error; the log names its kind."


class _Failing(SandboxReader):
    """A server that always fails in the same way; ``looks``: when it was asked."""

    def __init__(self, error: Exception) -> None:
        self._error = error
        self.looks: list[float] = []

    async def has_looked(self, times: int) -> bool:
        return len(self.looks) >= times

    async def read_new(
        self, account: MailAccount, cursors: Sequence[FolderCursor], *, since: datetime, batch_size: int = 50
    ) -> AsyncIterator[FolderBatch]:
        self.looks.append(asyncio.get_running_loop().time())
        nothing: tuple[FolderBatch, ...] = ()
        for batch in nothing:
            yield batch
        raise self._error


async def make_sandbox(room: Mailroom) -> None:
    """Lets the first mailbox be read without a server."""
    await room.change(Mailbox, room.key.mailbox_id, provider="sandbox", read_lease_owner=None)


async def shown_error(room: Mailroom) -> Any:
    """What ``get_mailbox`` says is wrong."""
    return (await room.installation.call("get_mailbox", id=room.key.mailbox_id))["lastError"]


async def _has_error(room: Mailroom) -> bool:
    return (await room.mailbox()).read_error is not None
