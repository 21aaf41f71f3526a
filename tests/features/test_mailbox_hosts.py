"""What may be given as a mail server: mistakes are named at once, and a refused host tells nothing about its ports."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from postrider.adapters.egress import REFUSAL
from postrider.app import build
from postrider.dispatch import Call
from postrider.kernel.errors import InvalidInput
from postrider.settings import Settings
from tests.conftest import Installation

GOOD = {"host": "smtp.acme.com", "port": 587, "password": "secret"}


def mailbox(**more: Any) -> dict[str, Any]:
    return {"email": "sam@acme.test", "smtp": GOOD, **more}


@pytest.mark.parametrize(
    ("host", "advice"),
    [
        ("http://127.0.0.1/", "without http://"),
        ("smtps://smtp.acme.com:465", "without http://"),
        ("smtp.acme.com/mail", "without a path"),
        ("smtp.acme.com:587", "the port goes to {server}.port"),
        ("sam@acme.com", "email address, which goes to {server}.username"),
        ("smtp.acme.com.", "Leave the dot at the end out"),
        ("smtp acme.com", "without spaces"),
        ("smtp..acme.com", "such as smtp.acme.com"),
        ("-smtp.acme.com", "such as smtp.acme.com"),
        ("127.1", "such as smtp.acme.com"),
        ("0x7f000001", "such as smtp.acme.com"),
        ("2130706433", "such as smtp.acme.com"),
        ("smtp.acme.com\r\nX", "without spaces"),
        (" ", "without spaces"),
    ],
)
@pytest.mark.parametrize("server", ["smtp", "imap"])
async def test_a_host_that_is_none_is_refused_with_what_to_do(
    installation: Installation, server: str, host: str, advice: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        await installation.call("create_mailbox", **mailbox() | {server: GOOD | {"host": host}})
    assert refused.value.field == f"{server}.host"
    assert refused.value.message == f"{server}.host is not a host name or an IP address."
    assert advice.format(server=server) in str(refused.value.hint)
    assert (await installation.call("list_mailboxes"))["total"] == 0


@pytest.mark.parametrize("port", [22, 80, 993, 6379])
async def test_a_port_that_is_not_of_mail_is_refused_with_those_that_are(installation: Installation, port: int) -> None:
    with pytest.raises(InvalidInput, match="not a port of public mail servers") as refused:
        await installation.call("create_mailbox", **mailbox(smtp=GOOD | {"port": port}))
    assert refused.value.field == "smtp.port" and "465, 587" in str(refused.value.hint)
    with pytest.raises(InvalidInput, match=r"imap\.port 25 is not a port"):
        await installation.call("create_mailbox", **mailbox(imap=GOOD | {"port": 25}))


@pytest.mark.parametrize(
    "name", ["Sam\u202egnikcah", "S\u200bam", "\ufeffSam", "Sam\u2066x\u2069", "Sam\U000e0041", "Sam\r\nBcc: x@y.z"]
)
async def test_a_name_that_shows_as_another_one_is_refused(installation: Installation, name: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        await installation.call("create_mailbox", **mailbox(displayName=name))
    assert refused.value.field == "displayName" and refused.value.message.startswith("displayName holds")
    for field in ("firstName", "lastName"):
        with pytest.raises(InvalidInput) as refused:
            await installation.call("create_lead", email="ann@lead.test", **{field: name})
        assert refused.value.field == field
    for operation in ("create_campaign", "create_agent"):
        if operation == "create_campaign" or "\r" in name:
            with pytest.raises(InvalidInput):
                await installation.call(operation, name=name)


async def test_names_that_need_a_joiner_are_kept(installation: Installation) -> None:
    name = "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627"
    lead = await installation.call("create_lead", email="ali@lead.test", firstName=name)
    assert lead["firstName"] == name


class Canary:
    """A server that counts who came."""

    def __init__(self) -> None:
        self.visits = 0

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.visits += 1
        writer.close()


async def _last_error(installation: Installation, settings: Settings, host: str, port: int) -> str:
    """What an installation with ``settings`` and real adapters says of servers on ``port``."""
    app = build(settings, clock=installation.clock)
    server = {"host": host, "port": port, "password": "secret"}
    call = Call("create_mailbox", mailbox(smtp=server, imap=server), installation.actor())
    try:
        return str((await app.dispatcher.call(call)).output.model_dump()["last_error"])
    finally:
        await app.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "::ffff:127.0.0.1"])
async def test_a_refused_host_gets_one_answer_whether_its_port_is_open_or_closed(
    installation: Installation, settings: Settings, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    canary = Canary()
    async with await asyncio.start_server(canary.meet, "127.0.0.1", 0) as listening:
        open_port = listening.sockets[0].getsockname()[1]
        async with await asyncio.start_server(canary.meet, "127.0.0.1", 0) as other:
            closed_port = other.sockets[0].getsockname()[1]
        every_port = frozenset({open_port, closed_port})
        for ports in ("mailboxes.operations.SMTP_PORTS", "mailboxes.operations.IMAP_PORTS"):
            monkeypatch.setattr(f"postrider.{ports}", every_port)
        for ports in ("adapters.smtp.SMTP_PORTS", "adapters.imap.IMAP_PORTS"):
            monkeypatch.setattr(f"postrider.{ports}", every_port)
        refused = {await _last_error(installation, settings, host, port) for port in (open_port, closed_port)}
    assert refused == {f"SMTP: {REFUSAL} IMAP: {REFUSAL}"}
    assert canary.visits == 0


async def test_where_private_hosts_are_allowed_the_real_trouble_is_told(
    installation: Installation, settings: Settings
) -> None:
    canary = Canary()
    private = replace(settings, allow_private_hosts=True)
    async with await asyncio.start_server(canary.meet, "127.0.0.1", 0) as listening:
        told = await _last_error(installation, private, "127.0.0.1", listening.sockets[0].getsockname()[1])
    assert REFUSAL not in told and canary.visits >= 1
