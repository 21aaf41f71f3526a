"""The sandbox keeps the contract of every MailTransport, alone and behind the router."""

from collections.abc import AsyncIterator, Sequence

import pytest

from postrider.adapters.sandbox import Sandbox
from postrider.kernel.clock import SystemClock
from postrider.kernel.errors import Upstream
from postrider.sending.outcomes import Deferred, Delivered
from tests.contract.mail_transport_contract import (
    CountedMarker,
    MailTransportContract,
    Point,
    ReceivedMail,
    Rig,
    envelope_to,
)
from tests.contract.sandbox_rig import ACCOUNT, REAL_ACCOUNT, router_with


class SandboxPeer:
    """The sandbox, told what to do in the contract's words."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def will(self, address: str, at: Point, reply: str, *, times: int = 0) -> None:
        self._sandbox.transport.will(address, at, reply, times=times)

    def accepted(self) -> Sequence[ReceivedMail]:
        return [ReceivedMail(mail.sender, mail.recipients, mail.data) for mail in self._sandbox.accepted]

    async def settle(self) -> None:
        await self._sandbox.settle()


class TestTheSandboxKeepsTheContract(MailTransportContract):
    @pytest.fixture
    def rig(self) -> Rig:
        sandbox = Sandbox(SystemClock(), shares=())
        return Rig(sandbox.transport, SandboxPeer(sandbox), ACCOUNT)


class TestTheRouterKeepsTheContract(MailTransportContract):
    @pytest.fixture
    async def rig(self) -> AsyncIterator[Rig]:
        sandbox = Sandbox(SystemClock(), shares=())
        router = router_with(sandbox)
        yield Rig(router, SandboxPeer(sandbox), ACCOUNT)
        await router.close()


async def test_an_account_of_another_provider_never_reaches_the_sandbox() -> None:
    sandbox = Sandbox(SystemClock(), shares=())
    router = router_with(sandbox)
    outcome = await router.send(REAL_ACCOUNT, envelope_to("ann@lead.test"), CountedMarker())
    assert isinstance(outcome, Deferred) and outcome.kind == "auth"
    assert sandbox.accepted == ()
    await router.close()


async def test_a_sandbox_account_works_without_servers_and_any_other_does_not() -> None:
    router = router_with(Sandbox(SystemClock(), shares=()))
    await router.check_smtp(ACCOUNT)
    await router.check_imap(ACCOUNT)
    with pytest.raises(Upstream):
        await router.check_smtp(REAL_ACCOUNT)
    with pytest.raises(Upstream):
        await router.check_imap(REAL_ACCOUNT)
    await router.close()


async def test_a_message_sent_is_found_in_sent_and_not_stored_there_again() -> None:
    sandbox = Sandbox(SystemClock(), shares=())
    envelope = envelope_to("ann@lead.test")
    assert isinstance(await sandbox.transport.send(ACCOUNT, envelope, CountedMarker()), Delivered)
    assert await sandbox.reader.find_in_sent(ACCOUNT, envelope.message_id)
    assert not await sandbox.reader.append_to_sent(ACCOUNT, envelope.data)
    assert sandbox.sent(ACCOUNT) == [(envelope.data, True)]
