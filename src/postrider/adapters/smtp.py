"""Sending by SMTP: opens, secures and signs in to connections, and hands messages over on them."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import cast

import aiosmtplib
import anyio

from postrider.adapters.egress import Egress, ResolvedHost
from postrider.adapters.smtp_data import NO_SMTPUTF8, SMTPUTF8, BadAddress, MailTransaction, SmtpWaits, wire_address
from postrider.adapters.smtp_pool import PoolLimits, SmtpPool, SmtpSession
from postrider.adapters.smtp_wire import SmtpWire
from postrider.adapters.tls import verified_tls
from postrider.kernel.errors import Upstream
from postrider.mailboxes.hosts import SMTP_PORTS
from postrider.mailboxes.ports import MailAccount, ServerAccess
from postrider.sending.outcomes import Deferred, Outcome, Stage
from postrider.sending.ports import Envelope, Marker
from postrider.sending.reply_codes import Refusal, classify_reply, split_reply

_MECHANISM_REFUSED = frozenset({502, 504})  # RFC 4954 section 4: not this mechanism, whatever the password


class SmtpTransport:
    """Implements MailTransport, and ``check_smtp`` of AccountChecker.

    ``tls_context`` makes the context for all TLS, once; tests and private authorities bring their own.
    """

    def __init__(
        self,
        egress: Egress,
        *,
        waits: SmtpWaits | None = None,
        limits: PoolLimits | None = None,
        tls_context: Callable[[], ssl.SSLContext] = verified_tls,
    ) -> None:
        self._egress = egress
        self._waits = waits or SmtpWaits()
        self._pool = SmtpPool(self._dial, limits or PoolLimits())
        self._make_tls_context = tls_context
        self._tls: ssl.SSLContext | None = None

    async def send(self, account: MailAccount, envelope: Envelope, marker: Marker) -> Outcome:
        """See MailTransport.send.

        Raises: what the marker raises, and a cancellation that comes before the dot; either means that the dot did not
        leave. After the dot a cancellation is outlived: the outcome is returned, and the task's ``cancelling()`` tells.
        """
        access = account.smtp
        if access is None:
            return Deferred("auth", "connect", None, None, "This mailbox has no outgoing mail server.")

        async def transact(session: SmtpSession) -> Outcome:
            return await MailTransaction(
                session.wire,
                envelope,
                marker,
                self._waits,
                host=access.host,
                extensions=session.extensions,
                reused=session.messages > 0,
            ).run()

        try:
            return await self._pool.run(account, access, transact)
        except _DialFailed as failed:
            return failed.outcome

    async def check_smtp(self, account: MailAccount) -> None:
        """See AccountChecker.check_smtp. The error's details name the stage, and the server's code if it gave one."""
        if account.smtp is None:
            raise Upstream("This mailbox has no outgoing mail server.", retryable=False)
        try:
            session = await self._dial(account, account.smtp)
        except _DialFailed as failed:
            raise failed.for_caller() from None
        session.wire.close()
        if not account.email.rpartition("@")[0].isascii() and SMTPUTF8 not in session.extensions:
            raise Upstream(
                NO_SMTPUTF8,
                retryable=False,
                hint="Connect it under an address of plain letters, or through a server that offers SMTPUTF8.",
                details={"stage": "ehlo", "replyCode": None},
            )

    def hang_up(self) -> None:
        """See MailTransport.hang_up."""
        self._pool.hang_up()

    async def close(self) -> None:
        """See MailTransport.close. Messages under way are finished first, each on its own connection."""
        self._pool.close()

    async def _dial(self, account: MailAccount, access: ServerAccess) -> SmtpSession:
        if access.security != "none" and self._tls is None:
            self._tls = await asyncio.to_thread(self._make_tls_context)
        return await _Dial(self._egress, access, self._waits, self._tls, _ehlo_name(account.email)).run()


class _DialFailed(Exception):
    """No session came about; ``outcome`` says why in the words of sending."""

    def __init__(self, outcome: Refusal, cause: Upstream | None = None) -> None:
        super().__init__(outcome.text)
        self.outcome = outcome
        self.cause = cause

    def for_caller(self) -> Upstream:
        """The same for somebody who set the account up: coarse, and without the server's own words."""
        if self.cause is not None:
            return self.cause
        outcome = self.outcome
        hint = None
        if outcome.kind == "auth":
            message = "The mail server refused the sign-in."
            hint = "Check user name and password; many providers want an app password here."
        elif outcome.stage == "starttls":
            message = "No secure connection to the mail server came about."
            hint = "Check port and security: 465 goes with tls, 587 with starttls."
        elif outcome.kind in {"transient", "throttle"}:
            message = "The mail server is busy; try again later."
        elif outcome.kind == "connection":
            message = "The mail server could not be reached, or did not answer as one."
        else:
            message = "The mail server refused the connection."
        retryable = isinstance(outcome, Deferred) and outcome.kind != "auth"
        details = {"stage": outcome.stage, "replyCode": outcome.code}
        return Upstream(message, retryable=retryable, hint=hint, details=details)


class _Dial:
    """Opens one connection, secures it, signs in, and remembers how far it came."""

    def __init__(
        self, egress: Egress, access: ServerAccess, waits: SmtpWaits, tls: ssl.SSLContext | None, ehlo_name: str
    ) -> None:
        self._egress = egress
        self._access = access
        self._waits = waits
        self._tls = tls
        self._ehlo_name = ehlo_name
        self._stage: Stage = "connect"

    async def run(self) -> SmtpSession:
        """The session. Raises: _DialFailed."""
        # Before Python 3.12 asyncio.wait_for, which the library uses, may lose a cancellation that comes together with
        # the awaited result. So it runs in a task of its own, and is told again until it stops.
        opening = asyncio.create_task(self._open())
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            with anyio.CancelScope(shield=True):
                while not opening.done():
                    opening.cancel()
                    await asyncio.wait({opening}, timeout=0.1)
            if not opening.cancelled() and opening.exception() is None:
                opening.result().wire.abort()
            raise

    async def _open(self) -> SmtpSession:
        client: aiosmtplib.SMTP | None = None
        try:
            client = await self._connect()
            await self._introduce(client)
            await self._sign_in(client)
            transport = client.transport
            if transport is None:
                raise ConnectionError
            wire = SmtpWire(cast(asyncio.Transport, transport))
            return SmtpSession(self._access, wire, frozenset(client.esmtp_extensions))
        except BaseException as error:
            if client is not None:
                client.close()
            if (outcome := self._outcome_of(error)) is None:
                raise
            raise _DialFailed(outcome, error if isinstance(error, Upstream) else None) from None

    async def _connect(self) -> aiosmtplib.SMTP:
        found = await self._egress.address_of(self._access.host, self._access.port, ports=SMTP_PORTS)
        open_socket = await self._open_socket(found)
        client = aiosmtplib.SMTP(
            hostname=found.host,
            sock=open_socket,
            use_tls=self._access.security == "tls",
            start_tls=False,
            tls_context=self._tls,
            local_hostname=self._ehlo_name,
            timeout=self._waits.command_seconds,
        )
        self._stage = "greeting"
        try:
            await client.connect(timeout=self._waits.connect_seconds)
        except BaseException:
            open_socket.close()
            raise
        return client

    async def _open_socket(self, found: ResolvedHost) -> socket.socket:
        """A connected socket to the first checked address that answers."""
        loop = asyncio.get_running_loop()
        failure: OSError = ConnectionError()
        for ip in (found.ip, *found.other_ips):
            candidate = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_STREAM)
            candidate.setblocking(False)
            # Body and dot are two writes: without this the dot waits some 40 ms for the body's acknowledgement.
            candidate.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                async with asyncio.timeout(self._waits.connect_seconds):
                    await loop.sock_connect(candidate, (ip, found.port))
            except OSError as error:
                candidate.close()
                failure = error
            except BaseException:
                candidate.close()
                raise
            else:
                return candidate
        raise failure

    async def _introduce(self, client: aiosmtplib.SMTP) -> None:
        self._stage = "ehlo"
        await client.ehlo()
        if self._access.security != "starttls":
            return
        self._stage = "starttls"
        if not client.supports_extension("starttls"):
            raise ssl.SSLError("STARTTLS is not offered")
        await client.starttls(tls_context=self._tls)
        self._stage = "ehlo"
        await client.ehlo()

    async def _sign_in(self, client: aiosmtplib.SMTP) -> None:
        self._stage = "auth"
        if self._access.security != "none" and client.get_transport_info("ssl_object") is None:
            raise ssl.SSLError("the connection is not encrypted")
        if not self._access.username:
            return
        username, password = self._access.username, self._access.password.reveal()
        # One try with one password: a second mechanism after a refusal would count as a second wrong guess.
        offered = client.server_auth_methods
        if "plain" in offered:
            try:
                await client.auth_plain(username, password)
                return
            except aiosmtplib.SMTPAuthenticationError as error:
                if error.code not in _MECHANISM_REFUSED or "login" not in offered:
                    raise
        elif "login" not in offered:
            raise aiosmtplib.SMTPAuthenticationError(504, "The server offers no sign-in with user name and password.")
        await client.auth_login(username, password)

    def _outcome_of(self, error: BaseException) -> Refusal | None:
        """What a failure means; None for one that is not about the server."""
        if isinstance(error, Upstream):
            return Deferred("connection", "connect", None, None, error.message)
        if isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError):
            return Deferred("connection", "starttls", None, None, "No verified TLS connection came about.")
        if isinstance(error, aiosmtplib.SMTPResponseException) and error.code > 0:
            lines = error.message.encode("utf-8", "surrogateescape").decode("utf-8", "replace").split("\n")
            return classify_reply(self._stage, error.code, *split_reply(lines), self._access.host)
        if isinstance(error, TimeoutError):
            return Deferred("connection", self._stage, None, None, "The server did not answer in time.")
        if isinstance(error, aiosmtplib.SMTPException | OSError):
            return Deferred("connection", self._stage, None, None, "The connection failed.")
        return None


def _ehlo_name(email: str) -> str:
    """The mailbox's domain: a name that says nothing about this machine."""
    with suppress(BadAddress):
        return wire_address(email).rpartition("@")[2]
    return "localhost"
