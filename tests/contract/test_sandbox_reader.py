"""The sandbox keeps the contract of every MailReader, alone and behind the router."""

from collections.abc import AsyncIterator, Sequence

import anyio
import pytest

from postrider.adapters.sandbox import Sandbox
from postrider.inbox.ports import MailReader
from postrider.kernel.clock import SystemClock
from postrider.kernel.errors import Upstream
from postrider.mailboxes.ports import MailAccount
from tests.contract.mail_reader_contract import DEADLINE_SECONDS, MailReaderContract, Reading, mail
from tests.contract.sandbox_rig import ACCOUNT, REAL_ACCOUNT, router_with


class SandboxMailbox:
    """An account of a sandbox, seen from outside."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    @property
    def account(self) -> MailAccount:
        return ACCOUNT

    async def deliver(self, raw: bytes) -> None:
        self._sandbox.deliver(ACCOUNT, raw)

    async def deliver_to_junk(self, raw: bytes) -> None:
        self._sandbox.deliver(ACCOUNT, raw, "junk")

    async def renumber(self) -> None:
        self._sandbox.renumber(ACCOUNT)

    async def inbox_flags(self) -> Sequence[bool]:
        return [seen for _, seen in self._sandbox.inbox(ACCOUNT)]

    async def sent(self) -> Sequence[tuple[bytes, bool]]:
        return self._sandbox.sent(ACCOUNT)


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(SystemClock())


@pytest.fixture
def peer(sandbox: Sandbox) -> SandboxMailbox:
    return SandboxMailbox(sandbox)


class TestTheSandboxKeepsTheContract(MailReaderContract):
    @pytest.fixture
    def reader(self, sandbox: Sandbox) -> MailReader:
        return sandbox.reader


class TestTheRouterKeepsTheContract(MailReaderContract):
    @pytest.fixture
    async def reader(self, sandbox: Sandbox) -> AsyncIterator[MailReader]:
        router = router_with(sandbox)
        yield router
        await router.close()


async def test_an_account_of_another_provider_is_not_read_from_the_sandbox(
    sandbox: Sandbox, peer: SandboxMailbox
) -> None:
    await peer.deliver(mail("for the sandbox account"))
    router = router_with(sandbox)
    with pytest.raises(Upstream):
        await Reading(router, REAL_ACCOUNT).next()
    with pytest.raises(Upstream):
        await router.wait_for_mail(REAL_ACCOUNT, DEADLINE_SECONDS)
    await router.close()


async def test_two_may_wait_for_the_same_account(sandbox: Sandbox, peer: SandboxMailbox) -> None:
    await Reading(sandbox.reader, ACCOUNT).next()
    came: list[bool] = []

    async def wait() -> None:
        came.append(await sandbox.reader.wait_for_mail(ACCOUNT, DEADLINE_SECONDS))

    with anyio.fail_after(DEADLINE_SECONDS):
        async with anyio.create_task_group() as side:
            side.start_soon(wait)
            side.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            await peer.deliver(mail("news"))
    assert came == [True, True]


async def test_marking_in_a_folder_that_does_not_exist_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(Upstream):
        await sandbox.reader.mark_seen(ACCOUNT, "Archive", 1)
