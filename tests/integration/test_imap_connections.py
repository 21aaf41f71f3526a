"""How the IMAP reader connects: securely, patiently, and without letting one server hold up another."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import anyio
import pytest

from postrider.adapters.egress import Egress
from postrider.adapters.imap import ImapReader
from postrider.adapters.imap_session import ImapLimits
from postrider.kernel.errors import Upstream
from postrider.kernel.secret import Secret
from postrider.mailboxes.ports import MailAccount, Security
from tests.contract.mail_reader_contract import DEADLINE_SECONDS, Reading, mail
from tests.mailstack.faults import FaultProxy, ScriptedImap
from tests.mailstack.fixtures import mail_stack
from tests.mailstack.readers import PASSWORD, at, behind, reader_of, until
from tests.mailstack.stack import ODD_ADDRESS, ODD_PASSWORD, MailStack

OFFERS_STARTTLS = b"* CAPABILITY IMAP4rev1 STARTTLS\r\nTAG OK done\r\n"
__all__ = ["mail_stack"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def reader(mail_stack: MailStack) -> AsyncIterator[ImapReader]:
    reader = reader_of(mail_stack)
    yield reader
    await reader.close()


async def failure(reader: ImapReader, account: MailAccount) -> Upstream:
    """The error of a sign-in that must not succeed."""
    with pytest.raises(Upstream) as caught, anyio.fail_after(DEADLINE_SECONDS):
        await reader.check_imap(account)
    return caught.value


@pytest.mark.parametrize("security", ["tls", "starttls", "none"])
async def test_signing_in_works_with_every_kind_of_security(
    mail_stack: MailStack, reader: ImapReader, security: Security
) -> None:
    account = mail_stack.new_account(imap_security=security)
    mail_stack.deliver(account.email, mail("hello"))
    await reader.check_imap(account)
    assert await Reading(reader, account).next_names() == ["hello"]


async def test_an_odd_password_signs_in_too(mail_stack: MailStack, reader: ImapReader) -> None:
    account = mail_stack.account(1)
    assert account.imap is not None
    odd = replace(account, imap=replace(account.imap, username=ODD_ADDRESS, password=Secret(ODD_PASSWORD)))
    await reader.check_imap(odd)


async def test_a_wrong_password_is_called_so_without_showing_it_or_the_servers_words(
    mail_stack: MailStack, reader: ImapReader
) -> None:
    account = mail_stack.new_account()
    assert account.imap is not None
    error = await failure(reader, replace(account, imap=replace(account.imap, password=Secret(PASSWORD))))
    assert (error.error_code, error.retryable) == ("IMAP_AUTH_FAILED", False)
    assert PASSWORD not in f"{error} {error.hint} {error.details}"
    assert "AUTHENTICATIONFAILED" not in str(error)
    assert error.__cause__ is None and error.__suppress_context__


async def test_a_server_that_is_busy_is_not_taken_for_a_wrong_password(reader: ImapReader) -> None:
    for words in (b"[UNAVAILABLE] try later", b"[ALERT] Too many simultaneous connections."):
        async with ScriptedImap((rb"LOGIN", b"TAG NO " + words + b"\r\n")) as server:
            error = await failure(reader, at(server))
            assert (error.error_code, error.retryable) == ("IMAP_BUSY", True)


async def test_the_certificate_must_be_for_the_host_name_though_the_address_is_pinned(mail_stack: MailStack) -> None:
    async def everything_is_loopback(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    reader = reader_of(mail_stack, egress=Egress(allow_private=True, resolver=everything_is_loopback))
    account = mail_stack.new_account()
    await reader.check_imap(behind(account, mail_stack.imaps_port, "tls", host="imap.test.invalid"))
    for port, security in ((mail_stack.imaps_port, "tls"), (mail_stack.imap_port, "starttls")):
        async with FaultProxy(port) as proxy:
            elsewhere = behind(account, proxy.port, "tls" if security == "tls" else "starttls", "other.test.invalid")
            error = await failure(reader, elsewhere)
            assert (error.error_code, error.retryable) == ("IMAP_TLS_FAILED", False)
            assert b"LOGIN" not in proxy.received
    await reader.close()


async def test_an_unknown_certificate_is_refused_by_default(mail_stack: MailStack) -> None:
    reader = ImapReader(Egress(allow_private=True))
    error = await failure(reader, mail_stack.new_account())
    assert error.error_code == "IMAP_TLS_FAILED"
    await reader.close()


@pytest.mark.parametrize(
    "server",
    [
        ScriptedImap(),
        ScriptedImap((rb"STARTTLS", b"TAG NO not today\r\n"), (rb"CAPABILITY", OFFERS_STARTTLS)),
        ScriptedImap(greeting=b"* PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] come in\r\n"),
    ],
    ids=["not offered", "refused", "preauth"],
)
async def test_without_the_tls_asked_for_no_password_leaves(reader: ImapReader, server: ScriptedImap) -> None:
    async with server:
        error = await failure(reader, at(server, "starttls"))
        assert (error.error_code, error.retryable) == ("IMAP_TLS_FAILED", server.received.count(b"STARTTLS") == 1)
        assert PASSWORD.encode() not in server.received
        assert b"LOGIN" not in server.received


async def test_tls_from_the_first_byte_never_falls_back_to_a_plain_port(
    mail_stack: MailStack, reader: ImapReader
) -> None:
    async with FaultProxy(mail_stack.imap_port) as proxy:
        error = await failure(reader, behind(mail_stack.new_account(), proxy.port, "tls"))
        assert (error.error_code, error.retryable) == ("IMAP_TLS_FAILED", False)
        assert b"LOGIN" not in proxy.received


async def test_what_is_slipped_in_before_tls_starts_counts_for_nothing(
    mail_stack: MailStack, reader: ImapReader
) -> None:
    def slip_in(chunk: bytes) -> bytes:
        return chunk + b"* BYE go away\r\n" if b"OK Begin TLS" in chunk else chunk

    async with FaultProxy(mail_stack.imap_port, rewrite=slip_in) as proxy:
        await reader.check_imap(behind(mail_stack.new_account(), proxy.port, "starttls"))
        assert proxy.connections == 1


async def test_a_host_that_the_guard_refuses_is_never_connected_to(mail_stack: MailStack) -> None:
    reader = reader_of(mail_stack, egress=Egress(allow_private=False))
    async with ScriptedImap() as server:
        opened = await failure(reader, at(server))
        assert server.connections == 0
    closed = await failure(reader, at(server))
    assert (str(opened), opened.error_code) == (str(closed), closed.error_code)
    await reader.close()


async def test_a_server_that_is_not_there_is_called_unreachable(reader: ImapReader) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        server = ScriptedImap()
        server.port = unused.getsockname()[1]
        error = await failure(reader, at(server))
    assert (error.error_code, error.retryable) == ("IMAP_UNREACHABLE", True)


async def test_an_account_without_imap_is_told_so(mail_stack: MailStack, reader: ImapReader) -> None:
    account = replace(mail_stack.new_account(), imap=None)
    assert (await failure(reader, account)).error_code == "IMAP_NOT_CONFIGURED"
    assert not await reader.append_to_sent(account, mail("ours"))


@pytest.mark.parametrize(
    "greeting", [b"220 smtp.test.invalid ESMTP\r\n", b"\xff\xfe\x00garbage\r\n", b"* 1 FETCH (\r\n"]
)
async def test_what_does_not_speak_imap_is_called_so(reader: ImapReader, greeting: bytes) -> None:
    async with ScriptedImap(greeting=greeting) as server:
        assert (await failure(reader, at(server))).error_code == "IMAP_PROTOCOL_ERROR"


@pytest.mark.parametrize(
    "answer",
    [
        b"* 1 FETCH (UID 1 RFC822.SIZE 5 NOTE {9999999999}\r\n",
        b"* 1 FETCH (UID 1 NOTE " + b"x" * 20_000_000 + b")\r\nTAG OK done\r\n",
    ],
    ids=["a literal of ten gigabytes", "a line without end"],
)
async def test_a_server_that_sends_more_than_it_was_asked_for_is_cut_off(reader: ImapReader, answer: bytes) -> None:
    async with ScriptedImap((rb"UID FETCH", answer)) as server:
        with pytest.raises(Upstream) as caught, anyio.fail_after(DEADLINE_SECONDS):
            await Reading(reader, at(server)).next()
        assert caught.value.error_code == "IMAP_PROTOCOL_ERROR"


@pytest.mark.parametrize("security", ["none", "starttls"])
async def test_a_port_that_waits_for_tls_is_told_so(mail_stack: MailStack, security: Security) -> None:
    reader = reader_of(mail_stack, ImapLimits(connect_seconds=0.5, command_seconds=0.5))
    error = await failure(reader, behind(mail_stack.new_account(), mail_stack.imaps_port, security))
    assert error.error_code == "IMAP_TIMEOUT" and error.hint is not None and "security: 'tls'" in error.hint
    await reader.close()


async def test_a_hanging_server_times_out(mail_stack: MailStack) -> None:
    reader = reader_of(mail_stack, ImapLimits(connect_seconds=0.3, command_seconds=0.3))
    async with FaultProxy(mail_stack.imap_port) as proxy:
        account = behind(mail_stack.new_account(), proxy.port)
        await reader.find_in_sent(account, "<none@mailstack.test>")
        proxy.hang()
        with pytest.raises(Upstream) as caught, anyio.fail_after(DEADLINE_SECONDS):
            await reader.find_in_sent(account, "<none@mailstack.test>")
        assert (caught.value.error_code, caught.value.retryable) == ("IMAP_TIMEOUT", True)
        assert (await failure(reader, account)).error_code == "IMAP_TIMEOUT"
        proxy.hang(False)
        assert not await reader.find_in_sent(account, "<none@mailstack.test>")
    await reader.close()


@pytest.mark.parametrize("security", ["none", "starttls", "tls"])
async def test_a_server_that_speaks_byte_by_byte_times_out(mail_stack: MailStack, security: Security) -> None:
    reader = reader_of(mail_stack, ImapLimits(connect_seconds=0.6, command_seconds=0.6))
    async with FaultProxy(mail_stack.imaps_port if security == "tls" else mail_stack.imap_port) as proxy:
        proxy.drip(0.1)
        started = time.monotonic()
        error = await failure(reader, behind(mail_stack.new_account(), proxy.port, security))
        assert error.error_code == "IMAP_TIMEOUT"
        assert time.monotonic() - started < 2
    await reader.close()


async def test_hanging_servers_leave_other_accounts_their_pace(mail_stack: MailStack) -> None:
    limits = ImapLimits(connect_seconds=0.5, command_seconds=0.5, threads=2, slow_server_threads=1)
    reader = reader_of(mail_stack, limits)
    healthy = mail_stack.new_account()
    await reader.find_in_sent(healthy, "<none@mailstack.test>")
    async with FaultProxy(mail_stack.imap_port) as proxy:
        proxy.hang()
        hanging = [replace(behind(healthy, proxy.port), mailbox_id=f"mbx_hanging_{number}") for number in range(6)]

        async def try_all() -> list[str | BaseException | None]:
            tries = (reader.find_in_sent(account, "<none@mailstack.test>") for account in hanging)
            return await asyncio.gather(*tries, return_exceptions=True)

        assert all(isinstance(result, Upstream) for result in await try_all())
        second_round = asyncio.create_task(try_all())
        started = time.monotonic()
        for _ in range(20):
            await reader.find_in_sent(healthy, "<none@mailstack.test>")
        assert not second_round.done()
        assert time.monotonic() - started < 0.5
        second_round.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second_round
    await reader.close()


async def test_a_cancelled_call_ends_at_once_and_frees_its_connection_and_thread(mail_stack: MailStack) -> None:
    reader = reader_of(mail_stack, ImapLimits(threads=1))
    async with FaultProxy(mail_stack.imap_port) as proxy:
        account = behind(mail_stack.new_account(), proxy.port)
        await reader.find_in_sent(account, "<none@mailstack.test>")
        proxy.hang()
        for _ in range(3):
            with anyio.move_on_after(0.2) as scope:
                await reader.find_in_sent(account, "<none@mailstack.test>")
            assert scope.cancelled_caught
        # The only thread must be free although the server still hangs.
        with anyio.fail_after(DEADLINE_SECONDS):
            assert not await reader.find_in_sent(mail_stack.new_account(), "<none@mailstack.test>")
        proxy.hang(False)
        with anyio.fail_after(DEADLINE_SECONDS):
            assert not await reader.find_in_sent(account, "<none@mailstack.test>")
    await reader.close()


async def test_a_cancelled_wait_leaves_the_account_usable(mail_stack: MailStack, reader: ImapReader) -> None:
    account = mail_stack.new_account()
    await Reading(reader, account).next()
    for _ in range(2):
        with anyio.move_on_after(0.3) as scope:
            await reader.wait_for_mail(account, DEADLINE_SECONDS)
        assert scope.cancelled_caught
    mail_stack.deliver(account.email, mail("news"))
    with anyio.fail_after(DEADLINE_SECONDS):
        assert await reader.wait_for_mail(account, DEADLINE_SECONDS)


async def test_a_connection_lost_while_waiting_is_opened_again(mail_stack: MailStack, reader: ImapReader) -> None:
    async with FaultProxy(mail_stack.imap_port) as proxy:
        account = behind(mail_stack.new_account(), proxy.port)
        with anyio.fail_after(DEADLINE_SECONDS):
            waiting = asyncio.create_task(reader.wait_for_mail(account, DEADLINE_SECONDS))
            await until(lambda: b" IDLE\r\n" in proxy.received)
            proxy.cut_all()
            await until(lambda: proxy.received.count(b" IDLE\r\n") == 2)
            mail_stack.deliver(account.email, mail("news"))
            assert await waiting


async def test_a_connection_is_kept_then_renewed_when_the_server_has_hung_up(
    mail_stack: MailStack, reader: ImapReader
) -> None:
    async with FaultProxy(mail_stack.imap_port) as proxy:
        account = behind(mail_stack.new_account(), proxy.port)
        reading = Reading(reader, account)
        for _ in range(3):
            await reading.next()
        assert proxy.connections == 1
        proxy.cut_all()
        mail_stack.deliver(account.email, mail("news"))
        assert await reading.next_names() == ["news"]
        assert proxy.connections == 2


async def test_an_idle_connection_is_closed_with_a_goodbye(mail_stack: MailStack) -> None:
    reader = reader_of(mail_stack, ImapLimits(keep_seconds=0.05))
    async with FaultProxy(mail_stack.imap_port) as proxy:
        await Reading(reader, behind(mail_stack.new_account(), proxy.port)).next()
        with anyio.fail_after(DEADLINE_SECONDS):
            await until(lambda: b" LOGOUT\r\n" in proxy.received)
    await reader.close()


async def test_a_changed_password_is_used_from_the_next_call_on(mail_stack: MailStack, reader: ImapReader) -> None:
    account = mail_stack.new_account()
    assert account.imap is not None
    await Reading(reader, account).next()
    changed = replace(account, imap=replace(account.imap, password=Secret(PASSWORD)))
    with pytest.raises(Upstream) as caught:
        await Reading(reader, changed).next()
    assert caught.value.error_code == "IMAP_AUTH_FAILED"


async def test_closing_ends_waiting_calls(mail_stack: MailStack, reader: ImapReader) -> None:
    async with FaultProxy(mail_stack.imap_port) as proxy:
        account = behind(mail_stack.new_account(), proxy.port)
        await Reading(reader, account).next()
        proxy.hang()
        with anyio.fail_after(DEADLINE_SECONDS):
            stuck = asyncio.create_task(reader.find_in_sent(account, "<none@mailstack.test>"))
            await until(lambda: b'EXAMINE "Sent"' in proxy.received)
            await reader.close()
            with pytest.raises(Upstream):
                await stuck
