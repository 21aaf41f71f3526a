"""One connection of the test sink: the SMTP server's side of the talk, and the rules by which it goes wrong."""

import asyncio
import base64
import binascii
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

if TYPE_CHECKING:
    from tests.integration.smtp_sink import SmtpSink

SinkStage = Literal[
    "greeting", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "body", "dot", "rset", "noop", "quit"
]
Deed = Literal["note", "reply", "drop", "hang", "drip", "garbage", "accept_drop", "accept_hang", "answer_drop", "flood"]

_NORMAL: Mapping[SinkStage, str] = {
    "greeting": "220 sink.test ESMTP",
    "starttls": "220 2.0.0 go ahead",
    "auth": "235 2.7.0 accepted",
    "mail": "250 2.1.0 ok",
    "rcpt": "250 2.1.5 ok",
    "data": "354 go ahead",
    "rset": "250 2.0.0 ok",
    "noop": "250 2.0.0 ok",
    "quit": "221 2.0.0 bye",
}


@dataclass(frozen=True)
class Rule:
    """Something to do instead of, or besides, the normal answer at one stage.

    note: nothing, but the log and ``until_fault`` tell that the client came this far.
    reply: say ``reply`` (or the normal answer) after ``delay_seconds``; at "body" it comes while the body still flows.
    drop, hang: instead of answering. drip: the answer byte by byte, ``delay_seconds`` apart. garbage: not SMTP.
    flood: an answer without end. accept_drop, accept_hang: the message is recorded, but never answered for.
    answer_drop: the normal answer, then the end.
    ``match``: part of the recipient, or of any recipient of the envelope after RCPT. ``times``: how often, 0 for ever;
    counted for each recipient on its own if ``per_address``. ``connection``: only the nth, counted from 1.
    """

    stage: SinkStage
    do: Deed = "reply"
    reply: str = ""
    match: str = ""
    times: int = 0
    per_address: bool = False
    connection: int = 0
    delay_seconds: float = 0.0


@dataclass(frozen=True)
class Accepted:
    """One message as it arrived, dots unstuffed."""

    sender: str
    recipients: tuple[str, ...]
    data: bytes
    options: str
    connection: int
    username: str | None
    tls: bool
    bare_lf: bool
    bare_cr: bool

    @property
    def message_id(self) -> str:
        """The Message-ID header's value, or nothing."""
        head = self.data.partition(b"\r\n\r\n")[0].decode("utf-8", "replace")
        lines = (line for line in head.splitlines() if line.lower().startswith("message-id:"))
        return next(lines, "").partition(":")[2].strip()


class SinkConnection(asyncio.Protocol):
    """One client. Reads whole lines and whole bodies; never looks at single bytes."""

    def __init__(self, sink: "SmtpSink") -> None:
        self._sink = sink
        self._buffer = bytearray()
        self._number = 0
        self._tls = False
        self._username: str | None = None
        self._auth_step: str | None = None
        self._in_data = self._deaf = self._body_seen = self._refused_early = False
        self._scanned = 0
        self._reset()

    def abort(self) -> None:
        """Drops the client."""
        self._deaf = True
        self._transport.abort()

    def leave(self, farewell: str) -> None:
        """Drops the client after a last word, if there is one."""
        if farewell:
            self._send(farewell)
            self._transport.close()
        else:
            self.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._tls = transport.get_extra_info("ssl_object") is not None
        self._sink.connections += 1
        self._number = self._sink.connections
        self._sink.open.add(self)
        self._answer("greeting")

    def connection_lost(self, exc: Exception | None) -> None:
        self._sink.open.discard(self)
        self._deaf = True
        self._sink.notify()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._buffer and not self._deaf and (self._take_body() if self._in_data else self._take_line()):
            pass

    def _reset(self) -> None:
        self._sender: str | None = None
        self._options = ""
        self._recipients: list[str] = []

    def _take_line(self) -> bool:
        end = self._buffer.find(b"\r\n")
        if end < 0:
            return False
        line = self._buffer[:end].decode("utf-8", "replace")
        del self._buffer[: end + 2]
        if self._sink.keep:
            self._sink.commands.append((self._number, line))
        if self._auth_step is not None:
            self._auth_continue(line)
            return True
        verb, _, rest = line.partition(" ")
        handler = _VERBS.get(verb.upper())
        if handler is None:
            self._send("500 5.5.2 what?")
        else:
            handler(self, rest)
        return True

    def _ehlo(self, rest: str) -> None:
        self._reset()
        offered = list(self._sink.extensions)
        hidden = self._sink.tls is not None and not self._tls
        if hidden:
            offered.append("STARTTLS")
        if self._sink.users and not hidden:
            offered.append(f"AUTH {self._sink.mechanisms}")
        lines = ["sink.test", *offered]
        self._answer("ehlo", "\r\n".join([*(f"250-{each}" for each in lines[:-1]), f"250 {lines[-1]}"]))

    def _starttls(self, rest: str) -> None:
        if self._sink.tls is None or self._tls:
            self._send("503 5.5.1 no TLS here")
            return
        # The client's first TLS bytes may be here before the upgrade is; they must wait in the kernel.
        self._transport.pause_reading()
        if self._answer("starttls"):
            self._deaf = True
            self._buffer.clear()
            self._sink.spawn(self._upgrade(self._sink.tls))
        else:
            self._transport.resume_reading()

    async def _upgrade(self, context: ssl.SSLContext) -> None:
        loop = asyncio.get_running_loop()
        try:
            upgraded = await loop.start_tls(self._transport, self, context, server_side=True)
        except OSError:
            return
        if upgraded is not None:
            self._transport = upgraded
            self._tls, self._deaf, self._username = True, False, None
            self.data_received(b"")  # a quick client has spoken already

    def _auth(self, rest: str) -> None:
        mechanism, _, initial = rest.partition(" ")
        if mechanism.upper() not in self._sink.mechanisms.split():
            self._send("504 5.5.4 unknown mechanism")
        elif mechanism.upper() == "PLAIN":
            name, _, password = _decoded(initial).lstrip("\0").partition("\0")
            self._judge(name, password)
        else:
            self._auth_step = _decoded(initial)
            self._send("334 UGFzc3dvcmQ6")

    def _auth_continue(self, line: str) -> None:
        name, self._auth_step = self._auth_step or "", None
        self._judge(name, _decoded(line))

    def _judge(self, name: str, password: str) -> None:
        if self._sink.users.get(name) == password:
            self._username = name
            self._answer("auth", addresses=[name])
        else:
            self._send("535 5.7.8 wrong user name or password")

    def _mail(self, rest: str) -> None:
        if self._sink.users and self._username is None:
            self._send("530 5.7.0 sign in first")
            return
        sender, options = _path(rest)
        if self._answer("mail", addresses=[sender]):
            self._sender, self._options = sender, options

    def _rcpt(self, rest: str) -> None:
        recipient = _path(rest)[0]
        if self._sender is None:
            self._send("503 5.5.1 MAIL first")
        elif self._answer("rcpt", addresses=[recipient]):
            self._recipients.append(recipient)

    def _data(self, rest: str) -> None:
        if not self._recipients:
            self._send("503 5.5.1 RCPT first")
        elif self._answer("data", addresses=self._recipients):
            self._in_data, self._body_seen, self._refused_early, self._scanned = True, False, False, 0

    def _rset(self, rest: str) -> None:
        self._reset()
        self._answer("rset")

    def _noop(self, rest: str) -> None:
        self._answer("noop")

    def _quit(self, rest: str) -> None:
        self._answer("quit")
        self._transport.close()

    def _take_body(self) -> bool:
        if not self._body_seen:
            self._body_seen = True
            if not self._answer("body", "", addresses=self._recipients):
                self._refused_early = True
                if self._deaf:
                    return False
        if self._buffer.startswith(b".\r\n"):
            body, size = b"", 3
        else:
            end = self._buffer.find(b"\r\n.\r\n", self._scanned)
            if end < 0:
                self._scanned = max(0, len(self._buffer) - 4)
                return False
            body, size = bytes(self._buffer[: end + 2]), end + 5
        del self._buffer[:size]
        self._in_data = False
        self._finish(body)
        return True

    def _finish(self, body: bytes) -> None:
        if self._refused_early:
            self._send("554 5.5.0 refused already")
        elif self._sink.rules and (rule := self._sink.rule_for("dot", self._recipients, self._number)):
            if rule.do in {"accept_drop", "accept_hang", "answer_drop"} or (
                rule.do in {"reply", "drip"} and not rule.reply
            ):
                self._record(body)
            self._follow(rule, "dot", self._queued())
        else:
            self._record(body)
            self._send(self._queued())
        self._reset()

    def _record(self, body: bytes) -> None:
        line_ends = body.count(b"\r\n")
        data = body.removeprefix(b".").replace(b"\r\n.", b"\r\n")
        self._sink.record(
            Accepted(
                self._sender or "",
                tuple(self._recipients),
                data,
                self._options,
                self._number,
                self._username,
                self._tls,
                bare_lf=body.count(b"\n") != line_ends,
                bare_cr=body.count(b"\r") != line_ends,
            )
        )

    def _queued(self) -> str:
        return f"250 2.0.0 Ok: queued as SINK{self._sink.count:08d}"

    def _answer(self, stage: SinkStage, normal: str | None = None, addresses: Sequence[str] = ()) -> bool:
        """Answers as usual or as a rule has it. True when the client may go on as if all were well."""
        text = _NORMAL[stage] if normal is None else normal
        rule = self._sink.rule_for(stage, addresses, self._number) if self._sink.rules else None
        if rule is None:
            if text:
                self._send(text)
            return True
        return self._follow(rule, stage, text)

    def _follow(self, rule: Rule, stage: SinkStage, normal: str) -> bool:
        if rule.do == "note":
            if normal:
                self._send(normal)
            return True
        if rule.do in {"drop", "accept_drop"}:
            self.abort()
        elif rule.do in {"hang", "accept_hang"}:
            self._deaf = True
            if stage == "body":  # stops reading too, so that the body cannot leave the client
                self._transport.pause_reading()
        elif rule.do == "garbage":
            self._transport.write(b"\x00\xff\xfe this is not SMTP\r\n")
        elif rule.do == "flood":
            self._transport.write(b"250-more\r\n" * 20_000)
        elif rule.do == "answer_drop":
            self._send(normal)
            self._deaf = True
            self._transport.close()
        elif rule.do == "drip":
            self._sink.spawn(self._drip(rule.reply or normal, rule.delay_seconds or 1.0))
        elif rule.delay_seconds:
            self._sink.spawn(self._later(rule.reply or normal, rule.delay_seconds))
        else:
            self._send(rule.reply or normal)
        said = rule.reply or normal
        return rule.do in {"reply", "drip"} and said[:1] in {"2", "3"}

    async def _drip(self, text: str, delay_seconds: float) -> None:
        for byte in text.encode() + b"\r\n":
            self._transport.write(bytes([byte]))
            await asyncio.sleep(delay_seconds)

    async def _later(self, text: str, delay_seconds: float) -> None:
        await asyncio.sleep(delay_seconds)
        self._send(text)

    def _send(self, text: str) -> None:
        self._transport.write(text.encode() + b"\r\n")
        if text.startswith("421"):
            self._deaf = True
            self._transport.close()


_VERBS = {
    "EHLO": SinkConnection._ehlo,
    "HELO": SinkConnection._ehlo,
    "STARTTLS": SinkConnection._starttls,
    "AUTH": SinkConnection._auth,
    "MAIL": SinkConnection._mail,
    "RCPT": SinkConnection._rcpt,
    "DATA": SinkConnection._data,
    "RSET": SinkConnection._rset,
    "NOOP": SinkConnection._noop,
    "QUIT": SinkConnection._quit,
}


def _path(rest: str) -> tuple[str, str]:
    """Address and options of ``FROM:<a@b> SIZE=1``."""
    inside, _, options = rest.partition("<")[2].partition(">")
    return inside, options.strip()


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode("utf-8", "replace")
    except binascii.Error:
        return ""
