"""What tests of the IMAP reader share: readers, and accounts seen through another server."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from postrider.adapters.egress import Egress
from postrider.adapters.imap import ImapReader
from postrider.adapters.imap_session import ImapLimits
from postrider.kernel.secret import Secret
from postrider.mailboxes.ports import MailAccount, Security, ServerAccess
from tests.mailstack.faults import ScriptedImap
from tests.mailstack.stack import MailStack

PASSWORD = "a password that must not show"


def reader_of(stack: MailStack, limits: ImapLimits | None = None, egress: Egress | None = None) -> ImapReader:
    """A reader that trusts the stack's certificate and, unless told otherwise, may use loopback."""
    return ImapReader(egress or Egress(allow_private=True), tls_context=stack.ssl_context, limits=limits)


def behind(account: MailAccount, port: int, security: Security = "none", host: str = "127.0.0.1") -> MailAccount:
    """The account as seen through another server."""
    assert account.imap is not None
    return replace(account, imap=replace(account.imap, host=host, port=port, security=security))


def at(server: ScriptedImap, security: Security = "none") -> MailAccount:
    """An account on a scripted server, with PASSWORD."""
    access = ServerAccess("127.0.0.1", server.port, security, "somebody", Secret(PASSWORD))
    return MailAccount("ws_test", "mbx_scripted", "somebody@mailstack.test", "custom", smtp=None, imap=access)


async def until(happened: Callable[[], bool]) -> None:
    """Waits until something is so; to be used under fail_after."""
    while not happened():
        await asyncio.sleep(0.01)
