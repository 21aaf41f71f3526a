"""Mail of the installation itself, such as links to set a new password, through the server in the settings."""

from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from postrider.adapters.smtp import SmtpTransport
from postrider.content.addresses import NamedAddress, parse_address
from postrider.content.headers import message_id
from postrider.content.mime import Message, build_message
from postrider.kernel.clock import Clock
from postrider.kernel.errors import Upstream
from postrider.kernel.secret import Secret
from postrider.mailboxes.ports import MailAccount, Security, ServerAccess
from postrider.sending.message_ids import new_message_token
from postrider.sending.outcomes import Delivered
from postrider.sending.ports import Envelope

_SENDER_NAME: Final = "Postrider"
_SCHEMES: Final[dict[str, tuple[Security, int]]] = {
    "smtps": ("tls", 465),
    "smtp+starttls": ("starttls", 587),
    "smtp": ("none", 25),
}


class SmtpSystemMail:
    """Implements SystemMail over the transport that mailboxes use, and so under the same rules for addresses."""

    def __init__(self, transport: SmtpTransport, url: str, clock: Clock) -> None:
        self._transport = transport
        self._clock = clock
        parts = urlsplit(url)
        self._sender = parse_address(dict(parse_qsl(parts.query))["from"], "from")
        self._account = MailAccount("system", "system", self._sender.wire, "custom", _access(parts), None)

    async def send(self, recipient: str, subject: str, text: str) -> None:
        """See SystemMail.send. Raises: InvalidInput for an address that no mail can go to."""
        to = parse_address(recipient, "recipient")
        name = message_id(new_message_token(), self._sender.ascii_domain)
        message = Message(
            sender_name=_SENDER_NAME,
            sender=self._sender,
            to=NamedAddress("", to),
            subject=subject,
            date=self._clock.now(),
            message_id=name,
            text=text,
        )
        envelope = Envelope(
            self._sender.wire, (to.wire,), name, build_message(message), needs_smtputf8=message.needs_smtputf8
        )
        outcome = await self._transport.send(self._account, envelope, _go_on)
        if not isinstance(outcome, Delivered):
            raise Upstream("The mail server did not take the message.", retryable=True, code="SYSTEM_MAIL_NOT_SENT")

    async def close(self) -> None:
        """Ends the connections."""
        await self._transport.close()


async def _go_on() -> bool:
    return True


def _access(parts: SplitResult) -> ServerAccess:
    security, port = _SCHEMES[parts.scheme]
    return ServerAccess(
        parts.hostname or "",
        parts.port or port,
        security,
        unquote(parts.username or ""),
        Secret(unquote(parts.password or "")),
    )
