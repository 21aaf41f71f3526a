"""One mail transaction on an open connection, with the second marker committed just before the final dot.

MAIL, RCPT (lead first), DATA, the body, the marker, the dot, the reply. Whatever ends this before the dot means that
the server accepted nothing (RFC 5321 section 4.1.1.4); after the dot only its reply can tell.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

import idna

from postrider.adapters.smtp_wire import Reply, SmtpWire, WireError
from postrider.sending.outcomes import Deferred, Delivered, Held, Outcome, RefusedCopy, Rejected, Stage, Unknown
from postrider.sending.ports import Envelope, Marker
from postrider.sending.reply_codes import Refusal, classify_reply, server_id_in

_MAX_LOCAL_OCTETS = 64  # RFC 5321 section 4.5.3.1.1
_MAX_ADDRESS_OCTETS = 254  # section 4.5.3.1.3, less the angle brackets
_LOCAL_PART = re.compile(r"[^\x00-\x20\x7f-\xa0\"(),:;<>@\[\\\].]+(?:\.[^\x00-\x20\x7f-\xa0\"(),:;<>@\[\\\].]+)*")
_DOMAIN = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9-]{1,63}(?<!-))*", re.IGNORECASE)
_RSET_SECONDS = 10.0

SMTPUTF8 = "smtputf8"
NO_SMTPUTF8 = (
    "The mail server does not offer SMTPUTF8, which this mailbox's address needs: it has letters beyond ASCII before "
    "the @."
)
"""Source: RFC 6531."""


@dataclass(frozen=True, slots=True)
class SmtpWaits:
    """How long each answer may take. Source: RFC 5321 section 4.5.3.2 for the last three."""

    connect_seconds: float = 30.0
    command_seconds: float = 300.0
    body_seconds: float = 600.0
    final_reply_seconds: float = 600.0


class StaleConnection(Exception):
    """A connection that had been used before died before it took this message: a new one may be tried at once."""


class BadAddress(ValueError):
    """An address that must not go on an SMTP command line."""


def wire_address(address: str) -> str:
    """The address as MAIL and RCPT carry it, its domain in A-labels (RFC 5890). Raises: BadAddress.

    Stricter than the RFCs: no quoted local part, no address literal, nothing that could end the command.
    """
    local, at, domain = address.rpartition("@")
    try:
        ascii_domain = domain if domain.isascii() else idna.encode(domain, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        raise BadAddress("The domain of the address is not valid.") from None
    if not (at and _LOCAL_PART.fullmatch(local) and _DOMAIN.fullmatch(ascii_domain)):
        raise BadAddress("The address is not a plain mailbox address.")
    wire = f"{local}@{ascii_domain}"
    if len(local.encode()) > _MAX_LOCAL_OCTETS or len(wire.encode()) > _MAX_ADDRESS_OCTETS:
        raise BadAddress("The address is too long.")
    return wire


def dot_stuffed(data: bytes) -> bytes:
    """A message as DATA carries it, without the final dot: CRLF only, leading dots doubled, ends with CRLF.

    Source: RFC 5321 sections 2.3.8 and 4.5.2. A bare CR or LF must never leave, or a lenient server could see an end of
    data that is none.
    """
    line_ends = data.count(b"\r\n")
    if not line_ends == data.count(b"\r") == data.count(b"\n"):
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    if not data.endswith(b"\r\n"):
        data += b"\r\n"
    if data.startswith(b"."):
        data = b"." + data
    return data.replace(b"\r\n.", b"\r\n..")


class MailTransaction:
    """Sends one envelope over one wire. ``host``: the server's name. ``extensions``: what it offers, in lower case.

    ``reused``: the connection served before, so its silent death before MAIL was answered is no fault of the message.
    """

    def __init__(
        self,
        wire: SmtpWire,
        envelope: Envelope,
        marker: Marker,
        waits: SmtpWaits,
        *,
        host: str,
        extensions: Collection[str],
        reused: bool,
    ) -> None:
        self._wire = wire
        self._envelope = envelope
        self._marker = marker
        self._waits = waits
        self._host = host
        self._extensions = extensions
        self._reused = reused
        self._stage: Stage = "mail"
        self._refused_copies: list[RefusedCopy] = []

    async def run(self) -> Outcome:
        """The outcome; the wire is closed unless it can serve again.

        Raises: StaleConnection; the marker's own errors and a cancellation, and both mean that the dot did not leave.
        """
        try:
            return await self._announce() or await self._transmit()
        except WireError as error:
            self._wire.abort()
            if self._reused and self._stage == "mail":
                raise StaleConnection from error
            return Deferred("connection", self._stage, None, None, str(error))
        except BaseException:
            self._wire.abort()
            raise

    async def _announce(self) -> Outcome | None:
        """MAIL and RCPT; None when the lead was accepted."""
        recipients = iter(self._envelope.recipients)
        try:
            sender = wire_address(self._envelope.sender)
        except BadAddress as error:
            return Rejected("sender", "mail", None, "5.1.7", str(error))
        try:
            lead = wire_address(next(recipients))
        except BadAddress as error:
            return Rejected("other", "rcpt", None, "5.1.3", str(error))
        international = self._envelope.needs_smtputf8 or not (sender + lead).isascii()
        if international and SMTPUTF8 not in self._extensions:
            if not sender.isascii():
                return Rejected("sender", "mail", None, "5.6.7", NO_SMTPUTF8)
            text = "The mailbox's server does not offer SMTPUTF8, which this recipient's address needs."
            return Rejected("other", "rcpt", None, "5.6.7", text)
        if refusal := await self._mail(sender, international) or await self._rcpt_lead(lead):
            return refusal
        for copy in recipients:
            if refusal := await self._rcpt_copy(copy, international):
                return refusal
        return None

    async def _mail(self, sender: str, international: bool) -> Refusal | None:
        options = f" SIZE={len(self._envelope.data)}" if "size" in self._extensions else ""
        if international:
            options += " BODY=8BITMIME SMTPUTF8" if "8bitmime" in self._extensions else " SMTPUTF8"
        reply = await self._ask("mail", f"MAIL FROM:<{sender}>{options}")
        if reply.ok:
            return None
        refusal = self._refusal(reply)
        if self._reused and reply.code == 421 and refusal.kind == "transient":
            # The farewell of a server that grew tired of waiting crossed our MAIL.
            self._wire.abort()
            raise StaleConnection
        return refusal

    async def _rcpt_lead(self, lead: str) -> Refusal | None:
        reply = await self._ask("rcpt", f"RCPT TO:<{lead}>")
        return None if reply.ok else await self._reset(self._refusal(reply))

    async def _rcpt_copy(self, address: str, international: bool) -> Refusal | None:
        try:
            copy = wire_address(address)
            if not (copy.isascii() or international):
                raise BadAddress("The address needs SMTPUTF8, which this message does not use.")
        except BadAddress as error:
            self._refused_copies.append(RefusedCopy(address, 553, str(error)))
            return None
        reply = await self._ask("rcpt", f"RCPT TO:<{copy}>")
        if reply.code == 421:
            return self._refusal(reply)
        if not reply.ok:
            self._refused_copies.append(RefusedCopy(address, reply.code, reply.wording()[1]))
        return None

    async def _transmit(self) -> Outcome:
        """DATA, the body, the marker, the dot and what came of it."""
        reply = await self._ask("data", "DATA")
        if reply.code != 354:
            if reply.code < 400:
                raise WireError("The server's answer to DATA made no sense.")
            return await self._reset(self._refusal(reply))
        self._stage = "body"
        await self._wire.write_all(dot_stuffed(self._envelope.data), self._waits.body_seconds)
        if early := self._wire.early_reply():
            return self._interrupted(early)
        if not await self._marker():
            self._wire.abort()
            return Held("Something changed before the final dot, which was therefore not sent.")
        if early := self._wire.early_reply():
            return self._interrupted(early)
        # From here on nothing may be assumed: no await stands between the check above and this dot.
        self._wire.write(b".\r\n")
        return await self._conclude()

    async def _conclude(self) -> Outcome:
        self._stage = "dot"
        try:
            reply = await self._wire.reply_whatever_happens(self._waits.final_reply_seconds)
        except WireError as error:
            self._wire.abort()
            return Unknown(f"The message was sent whole, but not answered. {error}")
        text = reply.wording()[1]
        if reply.ok:
            return Delivered(text, server_id_in(text), tuple(self._refused_copies))
        if reply.code < 400:
            self._wire.abort()
            return Unknown(f"The message was sent whole, but the answer made no sense: {reply.code}.")
        return self._refusal(reply)

    async def _ask(self, stage: Stage, line: str) -> Reply:
        self._stage = stage
        return await self._wire.command(line.encode(), self._waits.command_seconds)

    def _refusal(self, reply: Reply) -> Refusal:
        enhanced, text = reply.wording()
        if reply.code == 421 or not 400 <= reply.code <= 599:
            self._wire.abort()
        return classify_reply(self._stage, reply.code, enhanced, text, self._host)

    def _interrupted(self, reply: Reply) -> Outcome:
        # The server is still owed the rest of the body, so the connection cannot go on.
        refusal = self._refusal(reply)
        self._wire.abort()
        return refusal

    async def _reset(self, refusal: Refusal) -> Refusal:
        """The refusal, after the server has forgotten the envelope or the wire is closed."""
        try:
            if not (await self._wire.command(b"RSET", _RSET_SECONDS)).ok:
                self._wire.close()
        except WireError:
            self._wire.abort()
        return refusal
