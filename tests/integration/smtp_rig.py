"""What the SMTP suites share: a transport on loopback, accounts, and the sink seen as the contract's peer."""

import ssl
from collections.abc import Callable, Sequence

from postrider.adapters.egress import Egress
from postrider.adapters.smtp import SmtpTransport
from postrider.adapters.smtp_data import SmtpWaits
from postrider.adapters.smtp_pool import PoolLimits
from postrider.adapters.tls import verified_tls
from postrider.kernel.secret import Secret
from postrider.mailboxes.ports import MailAccount, Security, ServerAccess
from tests.contract.mail_transport_contract import LOSE, Point, ReceivedMail
from tests.integration.smtp_sink import Rule, SmtpSink

HOST = "mail.sink.test"
WAITS = SmtpWaits(connect_seconds=8, command_seconds=8, body_seconds=8, final_reply_seconds=8)
"""Long enough for a busy machine, short enough that nothing hangs."""
SHORT_WAITS = SmtpWaits(connect_seconds=0.3, command_seconds=0.3, body_seconds=0.3, final_reply_seconds=0.3)
USERS = {"me@sender.example": "a password"}


async def loopback(host: str, port: int) -> Sequence[str]:
    """Resolves every name to this machine."""
    return ["127.0.0.1"]


def transport_with(
    waits: SmtpWaits | None = None,
    limits: PoolLimits | None = None,
    tls_context: Callable[[], ssl.SSLContext] = verified_tls,
) -> SmtpTransport:
    """A transport that may reach loopback."""
    return SmtpTransport(Egress(True, loopback), waits=waits or WAITS, limits=limits, tls_context=tls_context)


def account_on(
    sink: SmtpSink,
    *,
    mailbox_id: str = "mailbox_1",
    security: Security = "none",
    username: str = "",
    password: str = "a password",
    host: str = HOST,
) -> MailAccount:
    """An account whose outgoing server is the sink."""
    access = ServerAccess(host, sink.port, security, username, Secret(password))
    return MailAccount("workspace_1", mailbox_id, "me@sender.example", "custom", access, None)


class SinkPeer:
    """The sink, told what to do in the contract's words."""

    def __init__(self, sink: SmtpSink) -> None:
        self._sink = sink

    def will(self, address: str, at: Point, reply: str, *, times: int = 0) -> None:
        """See Peer.will."""
        rule = Rule(at, match=address, times=times, do="drop" if reply == LOSE else "reply", reply=reply)
        self._sink.rules = [*self._sink.rules, rule]

    def accepted(self) -> Sequence[ReceivedMail]:
        """See Peer.accepted."""
        return [ReceivedMail(mail.sender, mail.recipients, mail.data) for mail in self._sink.accepted]

    async def settle(self) -> None:
        """See Peer.settle."""
        await self._sink.until_quiet()
