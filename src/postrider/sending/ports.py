"""What sending needs of the outside world."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

from postrider.mailboxes.ports import MailAccount
from postrider.sending.outcomes import Outcome

CONNECTIONS_PER_MAILBOX: Final = 4
"""To its outgoing server; also how many of its campaign emails and replies may be unknown after a crash."""

Marker = Callable[[], Awaitable[bool]]
"""Commits the second marker (``dotted``). False: something changed meanwhile, so the dot must not be sent."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message ready to leave. ``recipients``: lead first, then copies. ``data``: CRLF lines, not dot-stuffed."""

    sender: str
    recipients: tuple[str, ...]
    message_id: str
    data: bytes
    needs_smtputf8: bool = False


class MailTransport(Protocol):
    """Hands messages to an account's outgoing server over pooled connections."""

    async def send(self, account: MailAccount, envelope: Envelope, marker: Marker) -> Outcome:
        """Sends one message; never raises for what a server says or does.

        The order is: MAIL, RCPT (lead first; a refused lead is followed by RSET), DATA, the body, ``await marker()``,
        the final dot, the reply (awaited for up to 600 seconds). When the marker answers False the connection is closed
        without the dot and the outcome is Held.
        """

    def hang_up(self) -> None:
        """Breaks every connection off, also those in use: a message whose dot has left ends as Unknown at once."""

    async def close(self) -> None:
        """Ends all pooled connections."""
