"""Opening, securing, signing in to, keeping and giving up SMTP connections."""

import asyncio
import json
import ssl
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from postrider.adapters.egress import REFUSAL, Egress
from postrider.adapters.smtp import SmtpTransport
from postrider.adapters.smtp_data import SmtpWaits
from postrider.adapters.smtp_pool import PoolLimits
from postrider.adapters.tls import verified_tls
from postrider.kernel.errors import Upstream
from postrider.kernel.secret import Secret
from postrider.mailboxes.ports import MailAccount, Security
from postrider.sending.outcomes import Deferred, Delivered, Outcome, Rejected, Unknown
from tests.contract.mail_transport_contract import CountedMarker, envelope_to
from tests.integration.certificates import Authority
from tests.integration.smtp_rig import HOST, SHORT_WAITS, USERS, account_on, loopback, transport_with
from tests.integration.smtp_sink import Rule, SmtpSink
from tests.integration.smtp_sink_session import SinkStage

pytestmark = pytest.mark.timeout(20)
ME = "me@sender.example"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def server_tls(authority: Authority, tmp_path: Path) -> ssl.SSLContext:
    return authority.server_context(HOST, tmp_path / "server.pem")


@pytest.fixture
async def sink() -> AsyncIterator[SmtpSink]:
    async with SmtpSink() as listening:
        yield listening


async def send(
    transport: SmtpTransport, account: MailAccount, number: int = 1, marker: CountedMarker | None = None
) -> Outcome:
    envelope = envelope_to(f"lead{number}@lead.example", number=number)
    return await transport.send(account, envelope, marker or CountedMarker())


def verbs(sink: SmtpSink, connection: int | None = None) -> list[str]:
    """The first words of all commands, or of one connection's."""
    return [line.partition(" ")[0] for number, line in sink.commands if connection in {None, number}]


async def test_messages_of_one_mailbox_share_a_connection(sink: SmtpSink) -> None:
    transport = transport_with()
    for number in range(5):
        assert isinstance(await send(transport, account_on(sink), number), Delivered)
    await transport.close()
    await sink.until_quiet()
    assert sink.connections == 1
    assert verbs(sink) == ["EHLO", *["MAIL", "RCPT", "DATA"] * 5, "QUIT"]


async def test_a_connection_serves_a_bounded_number_of_messages(sink: SmtpSink) -> None:
    transport = transport_with(limits=PoolLimits(messages_per_connection=2))
    for number in range(5):
        assert isinstance(await send(transport, account_on(sink), number), Delivered)
    assert [mail.connection for mail in sink.accepted] == [1, 1, 2, 2, 3]
    await transport.close()


async def test_a_mailbox_holds_a_bounded_number_of_connections(sink: SmtpSink) -> None:
    transport = transport_with(limits=PoolLimits(connections_per_account=3))
    outcomes = await asyncio.gather(*(send(transport, account_on(sink), number) for number in range(20)))
    assert all(isinstance(outcome, Delivered) for outcome in outcomes)
    assert sink.connections == 3
    await transport.close()


async def test_mailboxes_never_share_a_connection(sink: SmtpSink) -> None:
    transport = transport_with()
    for number in range(4):
        account = account_on(sink, mailbox_id=f"mailbox_{number % 2}")
        assert isinstance(await send(transport, account, number), Delivered)
    assert [mail.connection for mail in sink.accepted] == [1, 2, 1, 2]
    await transport.close()


async def test_a_mailbox_whose_server_hangs_does_not_slow_another(sink: SmtpSink) -> None:
    async with SmtpSink([Rule("mail", do="hang")]) as hanging:
        transport = transport_with(limits=PoolLimits(connections_per_account=1))
        stuck = [
            asyncio.create_task(send(transport, account_on(hanging, mailbox_id="stuck"), number)) for number in range(5)
        ]
        await hanging.until_fault("mail")
        for number in range(20):
            assert isinstance(await send(transport, account_on(sink), number), Delivered)
        assert not any(task.done() for task in stuck)
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)
        await transport.close()


@pytest.mark.parametrize("farewell", ["", "421 4.4.2 idle for too long", "421 4.7.0 idle for too long"])
async def test_a_connection_that_died_while_resting_is_replaced_unnoticed(sink: SmtpSink, farewell: str) -> None:
    transport = transport_with()
    assert isinstance(await send(transport, account_on(sink), 1), Delivered)
    sink.drop_all(farewell)
    await sink.until_quiet()
    marker = CountedMarker()
    assert isinstance(await send(transport, account_on(sink), 2, marker), Delivered)
    assert (sink.connections, len(sink.accepted), marker.calls) == (2, 2, 1)
    await transport.close()


@pytest.mark.parametrize(
    "rule",
    [
        Rule("mail", do="drop", connection=1, match="", times=0),
        Rule("mail", reply="421 4.4.2 idle for too long", connection=1),
        Rule("mail", do="garbage", connection=1),
    ],
)
async def test_a_used_connection_that_fails_before_mail_is_answered_is_replaced_once(rule: Rule) -> None:
    async with SmtpSink() as sink:
        transport = transport_with()
        assert isinstance(await send(transport, account_on(sink), 1), Delivered)
        sink.rules = [rule]
        marker = CountedMarker()
        assert isinstance(await send(transport, account_on(sink), 2, marker), Delivered)
        assert [mail.connection for mail in sink.accepted] == [1, 2]
        assert marker.calls == 1
        sink.rules = [replace(rule, connection=0)]
        assert isinstance(await send(transport, account_on(sink), 3), Deferred)
        assert (sink.connections, len(sink.accepted)) == (3, 2)
        await transport.close()


async def test_a_throttling_reply_is_not_answered_with_a_new_connection(sink: SmtpSink) -> None:
    transport = transport_with()
    await send(transport, account_on(sink), 1)
    sink.rules = [Rule("mail", reply="421 4.7.0 slow down")]
    outcome = await send(transport, account_on(sink), 2)
    assert isinstance(outcome, Deferred) and outcome.kind == "throttle"
    assert sink.connections == 1


@pytest.mark.parametrize(("rule", "connections"), [(None, 1), (Rule("rset", reply="500 what"), 2)])
async def test_a_connection_that_rested_long_is_asked_first(rule: Rule | None, connections: int) -> None:
    async with SmtpSink([rule] if rule else []) as sink:
        transport = transport_with(limits=PoolLimits(probe_after_seconds=0.0))
        for number in range(2):
            assert isinstance(await send(transport, account_on(sink), number), Delivered)
        assert sink.connections == connections
        assert verbs(sink, 1)[4:5] == ["RSET"]
        await transport.close()


async def test_a_resting_connection_is_closed_after_a_while(sink: SmtpSink) -> None:
    transport = transport_with(limits=PoolLimits(idle_seconds=0.01))
    await send(transport, account_on(sink))
    await sink.until_quiet()
    assert verbs(sink)[-1] == "QUIT"
    assert isinstance(await send(transport, account_on(sink), 2), Delivered)


async def test_closing_lets_a_message_under_way_finish() -> None:
    async with SmtpSink([Rule("dot", delay_seconds=0.02)]) as sink:
        transport = transport_with()
        sending = asyncio.create_task(send(transport, account_on(sink)))
        await sink.until_fault("dot")
        await transport.close()
        assert isinstance(await sending, Delivered)
        await sink.until_quiet()


@pytest.mark.parametrize(("stage", "outcome"), [("rcpt", Deferred), ("dot", Unknown)])
async def test_hanging_up_ends_a_message_under_way_at_once(stage: SinkStage, outcome: type[Outcome]) -> None:
    async with SmtpSink([Rule(stage, do="hang")]) as sink:
        transport = transport_with(SmtpWaits())
        sending = asyncio.create_task(send(transport, account_on(sink)))
        await sink.until_fault(stage)
        transport.hang_up()
        assert isinstance(await sending, outcome)
        await transport.close()


async def test_a_changed_password_ends_the_connections_of_the_old_one() -> None:
    async with SmtpSink(users={ME: "old"}) as sink:
        transport = transport_with()
        assert isinstance(await send(transport, account_on(sink, username=ME, password="old"), 1), Delivered)
        outcome = await send(transport, account_on(sink, username=ME, password="new"), 2)
        assert isinstance(outcome, Deferred) and (outcome.kind, outcome.code) == ("auth", 535)
        assert verbs(sink, 1)[-1] == "QUIT"


@pytest.mark.parametrize("mechanisms", ["PLAIN LOGIN", "LOGIN", "PLAIN", "CRAM-MD5 LOGIN"])
async def test_signing_in_works_with_plain_and_with_login(mechanisms: str) -> None:
    password = "pässword with spaces"
    async with SmtpSink(users={ME: password}, mechanisms=mechanisms) as sink:
        transport = transport_with()
        assert isinstance(await send(transport, account_on(sink, username=ME, password=password)), Delivered)
        assert sink.accepted[0].username == ME
        await transport.close()


async def test_a_wrong_password_is_tried_once() -> None:
    async with SmtpSink(users=USERS) as sink:
        outcome = await send(transport_with(), account_on(sink, username=ME, password="wrong"))
        assert isinstance(outcome, Deferred)
        assert (outcome.kind, outcome.stage, outcome.code) == ("auth", "auth", 535)
        assert verbs(sink).count("AUTH") == 1


async def test_a_server_without_a_usable_mechanism_is_an_auth_problem(sink: SmtpSink) -> None:
    outcome = await send(transport_with(), account_on(sink, username=ME))
    assert isinstance(outcome, Deferred) and outcome.kind == "auth"
    assert "AUTH" not in verbs(sink)


@pytest.mark.parametrize("security", ["tls", "starttls"])
async def test_mail_travels_in_verified_tls(
    security: Security, authority: Authority, server_tls: ssl.SSLContext
) -> None:
    async with SmtpSink(users=USERS, tls=server_tls, implicit_tls=security == "tls") as sink:
        transport = transport_with(tls_context=authority.client_context)
        assert isinstance(await send(transport, account_on(sink, security=security, username=ME)), Delivered)
        assert (sink.accepted[0].tls, sink.accepted[0].username) == (True, ME)
        await transport.close()


@pytest.mark.parametrize("fault", ["other authority", "other host"])
@pytest.mark.parametrize("security", ["tls", "starttls"])
async def test_a_certificate_that_does_not_verify_keeps_password_and_mail_back(
    security: Security, fault: str, authority: Authority, server_tls: ssl.SSLContext
) -> None:
    async with SmtpSink(users=USERS, tls=server_tls, implicit_tls=security == "tls") as sink:
        context = authority.client_context if fault == "other host" else verified_tls
        host = "other.sink.test" if fault == "other host" else HOST
        account = account_on(sink, security=security, username=ME, host=host)
        outcome = await send(transport_with(tls_context=context), account)
        assert isinstance(outcome, Deferred) and (outcome.kind, outcome.stage) == ("connection", "starttls")
        assert set(verbs(sink)) <= {"EHLO", "STARTTLS"}


async def test_loopback_is_verified_like_any_other_host(authority: Authority, tmp_path: Path) -> None:
    tls = authority.server_context("127.0.0.1", tmp_path / "server.pem")
    async with SmtpSink(users=USERS, tls=tls) as sink:
        account = account_on(sink, security="starttls", username=ME, host="127.0.0.1")
        refused = await send(SmtpTransport(Egress(True)), account)
        assert isinstance(refused, Deferred) and refused.stage == "starttls"
        trusting = SmtpTransport(Egress(True), tls_context=authority.client_context)
        assert isinstance(await send(trusting, account), Delivered)
        await trusting.close()


@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        (None, "connection"),
        (Rule("starttls", reply="454 4.7.0 TLS not available"), "throttle"),
        (Rule("starttls", do="garbage"), "connection"),
        (Rule("starttls", do="drop"), "connection"),
        (Rule("starttls", do="hang"), "connection"),
        (Rule("starttls", reply="220 go\r\n235 injected"), "connection"),
    ],
)
async def test_tls_that_is_asked_for_and_fails_is_never_given_up_silently(
    rule: Rule | None, kind: str, server_tls: ssl.SSLContext
) -> None:
    async with SmtpSink([rule] if rule else [], users=USERS, tls=server_tls if rule else None) as sink:
        transport = transport_with(SHORT_WAITS)
        outcome = await send(transport, account_on(sink, security="starttls", username=ME))
        assert isinstance(outcome, Deferred) and (outcome.kind, outcome.stage) == (kind, "starttls")
        assert set(verbs(sink)) <= {"EHLO", "STARTTLS"}


async def test_a_starttls_port_spoken_to_in_tls_fails_safely(sink: SmtpSink) -> None:
    outcome = await send(transport_with(SHORT_WAITS), account_on(sink, security="tls", username=ME))
    assert isinstance(outcome, Deferred) and outcome.kind == "connection"
    assert not {"AUTH", "MAIL"} & set(verbs(sink))


async def test_a_refused_host_is_never_connected_to(sink: SmtpSink) -> None:
    transport = SmtpTransport(Egress(False, loopback))
    outcome = await send(transport, account_on(sink))
    assert isinstance(outcome, Deferred) and (outcome.kind, outcome.text) == ("connection", REFUSAL)
    with pytest.raises(Upstream, match="public internet"):
        await transport.check_smtp(account_on(sink))
    assert sink.connections == 0


async def test_the_next_address_is_tried_when_the_first_does_not_answer(sink: SmtpSink) -> None:
    async def two(host: str, port: int) -> list[str]:
        return ["127.0.0.2", "127.0.0.1"]

    transport = SmtpTransport(Egress(True, two))
    assert isinstance(await send(transport, account_on(sink)), Delivered)
    await transport.close()


async def test_a_refusal_at_the_door_concerns_the_mailbox() -> None:
    async with SmtpSink([Rule("greeting", reply="554 5.7.1 blocked")]) as sink:
        outcome = await send(transport_with(), account_on(sink))
        assert isinstance(outcome, Rejected) and (outcome.kind, outcome.stage) == ("sender", "greeting")


async def test_an_account_without_an_outgoing_server_must_be_mended(sink: SmtpSink) -> None:
    account = replace(account_on(sink), smtp=None)
    outcome = await send(transport_with(), account)
    assert isinstance(outcome, Deferred) and outcome.kind == "auth"
    with pytest.raises(Upstream):
        await transport_with().check_smtp(account)


async def test_a_check_signs_in_and_out_and_sends_nothing() -> None:
    async with SmtpSink(users=USERS) as sink:
        await transport_with().check_smtp(account_on(sink, username=ME))
        await sink.until_quiet()
        assert verbs(sink) == ["EHLO", "AUTH", "QUIT"]


@pytest.mark.parametrize(
    ("rule", "message", "retryable"),
    [
        (Rule("auth", reply="535 5.7.8 <b>secret words of the server</b>"), "refused the sign-in", False),
        (Rule("greeting", reply="554 5.7.1 secret words"), "refused the connection", False),
        (Rule("greeting", reply="421 4.3.2 secret words"), "busy", True),
        (Rule("ehlo", do="drop"), "could not be reached", True),
        (Rule("greeting", do="garbage"), "could not be reached", True),
    ],
)
async def test_a_failed_check_says_what_is_wrong_in_our_own_words(rule: Rule, message: str, retryable: bool) -> None:
    async with SmtpSink([rule], users=USERS) as sink:
        with pytest.raises(Upstream, match=message) as caught:
            await transport_with().check_smtp(account_on(sink, username=ME))
        assert caught.value.retryable is retryable
        assert "secret" not in f"{caught.value.message}{caught.value.hint}{caught.value.details}"


async def test_a_check_of_a_closed_port_or_bad_tls_says_so(server_tls: ssl.SSLContext) -> None:
    async with SmtpSink(users=USERS, tls=server_tls) as sink:
        with pytest.raises(Upstream, match="No secure connection"):
            await transport_with().check_smtp(account_on(sink, security="starttls", username=ME))
        account = account_on(sink)
    with pytest.raises(Upstream, match="could not be reached"):
        await transport_with().check_smtp(account)


async def test_no_outcome_and_no_error_carries_the_password(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with SmtpSink(users={ME: "right"}) as sink:
        account = account_on(sink, username=ME, password="hunter2-canary")
        outcome = await send(transport_with(), account)
        with pytest.raises(Upstream) as caught:
            await transport_with().check_smtp(account)
    shown = f"{outcome!r}{account!r}{caught.value!r}{caught.value.details}{caplog.text}"
    assert "hunter2-canary" not in shown
    assert Secret("hunter2-canary").reveal() not in shown


async def test_the_sink_runs_as_a_process_that_logs_before_it_answers(tmp_path: Path) -> None:
    log = tmp_path / "sink.log"
    behaviour = json.dumps({"rules": [{"stage": "rcpt", "match": "lead1@", "reply": "451 later", "times": 1}]})
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.integration.smtp_sink", "--port", "0"),
        *("--log", str(log), "--behaviour", behaviour, "--until-stdin-closes"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None and process.stdin is not None
    port = int(await process.stdout.readline())
    async with SmtpSink() as unused:
        account = account_on(unused)
    assert account.smtp is not None
    account = replace(account, smtp=replace(account.smtp, port=port))
    transport = transport_with()
    assert isinstance(await send(transport, account), Deferred)
    assert isinstance(await send(transport, account), Delivered)
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert [entry["event"] for entry in entries] == ["fault", "accepted"]
    assert entries[1]["message_id"] == "<contract-1@sender.example>"
    assert entries[1]["recipients"] == ["lead1@lead.example"]
    await transport.close()
    process.stdin.close()
    assert await process.wait() == 0
