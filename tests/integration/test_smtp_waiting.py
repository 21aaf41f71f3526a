"""Messages that wait for a connection while the server refuses the mailbox, or no longer does."""

import asyncio
from dataclasses import replace

import pytest

from postrider.adapters.smtp_pool import PoolLimits
from postrider.kernel.secret import Secret
from postrider.sending.outcomes import Deferred, Delivered
from tests.contract.mail_transport_contract import CountedMarker, envelope_to
from tests.integration.smtp_rig import USERS, account_on, transport_with
from tests.integration.smtp_sink import Rule, SmtpSink

pytestmark = pytest.mark.timeout(20)
ONE = PoolLimits(connections_per_account=1)
COUNT = 6


async def test_those_who_wait_take_the_server_s_no_for_their_own() -> None:
    async with SmtpSink([Rule("mail", reply="421 4.7.0 too many messages, slow down")], users=USERS) as sink:
        transport, account = transport_with(limits=ONE), account_on(sink, username="me@sender.example")
        sends = [transport.send(account, envelope_to(f"lead{n}@lead.example"), CountedMarker()) for n in range(COUNT)]
        outcomes = await asyncio.gather(*sends)
        again = await transport.send(account, envelope_to("later@lead.example"), CountedMarker())
        await transport.close()
    assert {type(outcome) for outcome in (*outcomes, again)} == {Deferred}
    # Whoever comes afterwards asks for itself.
    assert len(sink.faults) == 2


async def test_a_no_to_one_message_is_not_the_others_answer() -> None:
    async with SmtpSink([Rule("mail", reply="452 4.3.1 insufficient storage", times=1)], users=USERS) as sink:
        transport, account = transport_with(limits=ONE), account_on(sink, username="me@sender.example")
        sends = [transport.send(account, envelope_to(f"lead{n}@lead.example"), CountedMarker()) for n in range(COUNT)]
        outcomes = await asyncio.gather(*sends)
        await transport.close()
    assert [type(outcome) for outcome in outcomes].count(Delivered) == COUNT - 1


async def test_a_no_to_an_old_password_is_not_the_answer_to_a_new_one() -> None:
    async with SmtpSink(users=USERS) as sink:
        transport, account = transport_with(limits=ONE), account_on(sink, username="me@sender.example")
        assert account.smtp is not None
        old = replace(account, smtp=replace(account.smtp, password=Secret("wrong")))
        refused, delivered = await asyncio.gather(
            transport.send(old, envelope_to("a@lead.example"), CountedMarker()),
            transport.send(account, envelope_to("b@lead.example"), CountedMarker()),
        )
        await transport.close()
    assert isinstance(refused, Deferred) and refused.kind == "auth"
    assert isinstance(delivered, Delivered)
