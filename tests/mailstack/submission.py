"""A submission server for tests, run as a process of its own.

It takes mail over STARTTLS, implicit TLS or in the clear, wants AUTH PLAIN or LOGIN first, and hands every message to
Dovecot by LMTP. The local part of a recipient (anything after "+" aside) can ask for a fault:

    reject5xx     550 5.1.1 to RCPT
    greylist4xx   451 4.7.1 to RCPT, once for each sender
    dropdata      the connection is cut after the final dot, unanswered; nothing is delivered

Called as: submission.py FOLDER SMTP_PORT SMTPS_PORT, where 0 means any free port. Prints both ports when it listens.
"""

import asyncio
import logging
import smtplib
import ssl
import sys
import warnings
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


class Faults:
    """Says what happens to a message, by its recipients."""

    def __init__(self, lmtp_socket: str) -> None:
        self._lmtp_socket = lmtp_socket
        self._greylisted: set[tuple[str | None, str]] = set()

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """The answer to one RCPT."""
        wish = _wish_of(address)
        if wish == "reject5xx":
            return "550 5.1.1 No such user here"
        attempt = (envelope.mail_from, address)
        if wish == "greylist4xx" and attempt not in self._greylisted:
            self._greylisted.add(attempt)
            return "451 4.7.1 Greylisted, please try again"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """The answer to the final dot."""
        if any(_wish_of(recipient) == "dropdata" for recipient in envelope.rcpt_tos):
            assert server.transport is not None
            server.transport.abort()  # type: ignore[attr-defined]  # every transport of a socket has it
            return "421 4.3.0 Cut"
        await asyncio.to_thread(self._deliver, envelope)
        return "250 2.0.0 Queued"

    def _deliver(self, envelope: Envelope) -> None:
        assert isinstance(envelope.content, bytes)
        with smtplib.LMTP(self._lmtp_socket) as dovecot:
            dovecot.sendmail(envelope.mail_from or "", envelope.rcpt_tos, envelope.content, ["BODY=8BITMIME"])


class Gate:
    """Knows who may sign in."""

    def __init__(self, users_file: Path) -> None:
        lines = users_file.read_text("utf-8").splitlines()
        self._passwords = dict(line.split(":{PLAIN}", 1) for line in lines)

    def __call__(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: LoginPassword
    ) -> AuthResult:
        known = self._passwords.get(login.login.decode("utf-8", "replace"))
        # "Not handled" lets aiosmtpd say 535 itself.
        return AuthResult(success=known is not None and known.encode() == login.password, handled=False)


def _wish_of(address: str) -> str:
    return address.partition("@")[0].partition("+")[0]


async def serve(root: Path, smtp_port: int, smtps_port: int) -> None:
    """Serves until the process is ended."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(root / "cert.pem", root / "key.pem")
    faults, gate = Faults(str(root / "lmtp")), Gate(root / "users")
    loop = asyncio.get_running_loop()

    def session(tls_context: ssl.SSLContext | None) -> SMTP:
        return SMTP(
            faults,
            hostname="mx.test.invalid",
            tls_context=tls_context,
            authenticator=gate,
            auth_required=True,
            # A client that sends its password in the clear against its settings must get away with it here, so that
            # the tests of that client notice.
            auth_require_tls=False,
            enable_SMTPUTF8=True,
            loop=loop,
        )

    starttls = await loop.create_server(lambda: session(context), "127.0.0.1", smtp_port)
    implicit = await loop.create_server(lambda: session(None), "127.0.0.1", smtps_port, ssl=context)
    ports = [server.sockets[0].getsockname()[1] for server in (starttls, implicit)]
    print(*ports, flush=True)
    await asyncio.gather(starttls.serve_forever(), implicit.serve_forever())


if __name__ == "__main__":
    warnings.filterwarnings("ignore", message="Requiring AUTH while not requiring TLS")
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
