"""What tests of the receiving loop share: a world's mailbox on a real IMAP server, and loops that read it."""

import asyncio
import imaplib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from postrider.adapters.imap import ImapReader
from postrider.adapters.mail_parser import MailParser
from postrider.engine.receiver import Patience, ReceiverLoop
from postrider.engine.rest import Rest
from postrider.inbox.ports import InboundParser, MailReader
from postrider.kernel.secret import Secret
from postrider.mailboxes.ports import MailAccount
from postrider.mailboxes.queries import secret_owner
from postrider.mailboxes.tables import Mailbox
from tests.engine.inbound import Mailroom
from tests.mailstack.readers import reader_of
from tests.mailstack.stack import MailStack

DEADLINE_SECONDS = 30


@pytest.fixture
async def reader(mail_stack: MailStack) -> AsyncIterator[ImapReader]:
    """A reader that trusts the mail stack."""
    reader = reader_of(mail_stack)
    yield reader
    await reader.close()


@pytest.fixture
async def parser() -> AsyncIterator[MailParser]:
    """Real parsing processes."""
    parser = MailParser()
    yield parser
    await parser.close()


async def give_account(room: Mailroom, account: MailAccount, **imap: Any) -> None:
    """Makes the first mailbox of the world that account. ``imap``: what to change of its access, password included."""
    assert account.imap is not None
    password = imap.pop("password", account.imap.password.reveal())
    access = {
        "host": account.imap.host,
        "port": account.imap.port,
        "security": account.imap.security,
        "username": account.imap.username,
        **imap,
    }
    owner = secret_owner(room.key.workspace_id, room.key.mailbox_id, "imap")
    sealed = room.installation.app.vault.seal(Secret(password), owner)
    await room.change(
        Mailbox, room.key.mailbox_id, email=account.email, imap=access, imap_secret=sealed, read_lease_owner=None
    )


@asynccontextmanager
async def receiving(
    room: Mailroom,
    reader: MailReader,
    parser: InboundParser,
    *,
    poll_seconds: float = 60.0,
    patience: Patience | None = None,
) -> AsyncIterator[ReceiverLoop]:
    """A loop at work."""
    loop = loop_of(room, reader, parser, poll_seconds=poll_seconds, patience=patience)
    task = asyncio.create_task(loop.run())
    try:
        yield loop
    finally:
        loop.stop()
        with anyio.fail_after(DEADLINE_SECONDS):
            await task


def loop_of(
    room: Mailroom,
    reader: MailReader,
    parser: InboundParser,
    owner: str = "first",
    *,
    poll_seconds: float = 60.0,
    patience: Patience | None = None,
) -> ReceiverLoop:
    """A loop that does nothing by itself."""
    app = room.installation.app
    return ReceiverLoop(
        app.database,
        app.clock,
        reader,
        parser,
        app.vault,
        app.signals,
        owner,
        Rest(),
        poll_seconds,
        patience=patience,
    )


async def until(happened: Callable[[], Any]) -> None:
    """Waits until the awaited answer is true."""
    with anyio.fail_after(DEADLINE_SECONDS):
        while not await happened():
            await anyio.sleep(0.02)


async def was_read(room: Mailroom) -> bool:
    """Whether the first mailbox was read to its end at least once."""
    return (await room.mailbox()).last_polled_at is not None


def append_of_2020(stack: MailStack, account: MailAccount, raw: bytes) -> None:
    """Puts a message into INBOX that the server has had since 2020."""
    assert account.imap is not None
    with imaplib.IMAP4_SSL(account.imap.host, account.imap.port, ssl_context=stack.ssl_context()) as client:
        client.login(account.imap.username, account.imap.password.reveal())
        assert client.append("INBOX", "", '"01-Jan-2020 08:00:00 +0000"', raw)[0] == "OK"
