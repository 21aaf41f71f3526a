"""What an installation opened ends with it: sending and reading connections, and the parsing processes."""

import os
from dataclasses import replace

import anyio
import pytest

from postrider.adapters.mail_parser import MailParser
from postrider.app import build, engine_of
from postrider.inbox.ports import MailReader
from postrider.sending.outcomes import Delivered
from postrider.sending.ports import MailTransport
from postrider.settings import Settings
from tests.contract.mail_reader_contract import DEADLINE_SECONDS, Reading
from tests.contract.mail_transport_contract import CountedMarker, envelope_to
from tests.integration.smtp_rig import account_on
from tests.integration.smtp_sink import SmtpSink
from tests.mailstack.faults import FaultProxy
from tests.mailstack.fixtures import mail_stack
from tests.mailstack.readers import behind, until
from tests.mailstack.stack import MailStack

__all__ = ["mail_stack"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_closing_an_installation_ends_everything_that_it_opened(
    settings: Settings, mail_stack: MailStack
) -> None:
    app = build(replace(settings, allow_private_hosts=True))
    parser = engine_of(app).outside.parser
    assert isinstance(parser, MailParser)
    async with SmtpSink() as sink, FaultProxy(mail_stack.imap_port) as proxy:
        sender = account_on(sink, host="127.0.0.1")
        sent = await app.port(MailTransport).send(sender, envelope_to("lead@lead.example"), CountedMarker())
        assert isinstance(sent, Delivered)
        await Reading(app.port(MailReader), behind(mail_stack.new_account(), proxy.port)).next()
        await parser.parse(b"Subject: hello\r\n\r\nhello")
        [pid] = parser.worker_pids
        assert sink.open and b" LOGOUT\r\n" not in proxy.received
        await app.close()
        await sink.until_quiet()
        with anyio.fail_after(DEADLINE_SECONDS):
            await until(lambda: b" LOGOUT\r\n" in proxy.received)
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
