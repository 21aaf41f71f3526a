"""One message over SMTP: the contract, every fault at every stage, the dot, and what may stand on the wire."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postrider.adapters.smtp_data import BadAddress, SmtpWaits, dot_stuffed, wire_address
from postrider.kernel.errors import Upstream
from postrider.sending.outcomes import Deferred, Delivered, Outcome, Rejected, Unknown
from postrider.sending.ports import Envelope
from tests.contract.mail_transport_contract import CountedMarker, MailTransportContract, Rig, envelope_to
from tests.integration.certificates import Authority
from tests.integration.smtp_rig import HOST, SHORT_WAITS, USERS, SinkPeer, account_on, transport_with
from tests.integration.smtp_sink import Rule, SmtpSink
from tests.integration.smtp_sink_session import Deed, SinkStage

ANN = "ann@lead.example"
BEFORE_DOT: tuple[SinkStage, ...] = ("greeting", "ehlo", "auth", "mail", "rcpt", "data", "body")


pytestmark = pytest.mark.timeout(20)


class TestOnPlainConnections(MailTransportContract):
    @pytest.fixture
    async def rig(self) -> AsyncIterator[Rig]:
        async with SmtpSink() as sink:
            transport = transport_with()
            yield Rig(transport, SinkPeer(sink), account_on(sink))
            await transport.close()


class TestOnStartTlsWithAuth(MailTransportContract):
    @pytest.fixture
    async def rig(self, tmp_path: Path) -> AsyncIterator[Rig]:
        authority = Authority()
        tls = authority.server_context(HOST, tmp_path / "server.pem")
        async with SmtpSink(users=USERS, tls=tls) as sink:
            transport = transport_with(tls_context=authority.client_context)
            yield Rig(transport, SinkPeer(sink), account_on(sink, security="starttls", username="me@sender.example"))
            await transport.close()


class TestOnUvloop(TestOnStartTlsWithAuth):
    @pytest.fixture
    def anyio_backend(self) -> tuple[str, dict[str, bool]]:
        return ("asyncio", {"use_uvloop": True})


async def send_once(sink: SmtpSink, envelope: Envelope | None = None, waits: SmtpWaits | None = None) -> Outcome:
    """The outcome of one message through a new transport that signs in if the sink has users."""
    transport = transport_with(waits)
    account = account_on(sink, username="me@sender.example" if sink.users else "")
    try:
        return await transport.send(account, envelope or envelope_to(ANN), CountedMarker())
    finally:
        await transport.close()


@pytest.mark.parametrize("code", ["421 4.3.2", "451 4.3.0"])
@pytest.mark.parametrize("stage", [*BEFORE_DOT, "dot"])
async def test_a_busy_server_defers_at_every_stage_and_accepts_once_later(stage: SinkStage, code: str) -> None:
    async with SmtpSink([Rule(stage, reply=f"{code} later", times=1)], users=USERS) as sink:
        # A body long enough that the server's word overtakes it.
        envelope = envelope_to(ANN, body=(b"z" * 70 + b"\r\n") * (60_000 if stage == "body" else 1))
        first = await send_once(sink, envelope)
        assert isinstance(first, Deferred)
        assert (first.kind, first.stage, first.text) == ("transient", stage, "later")
        assert isinstance(await send_once(sink, envelope), Delivered)
        assert [mail.message_id for mail in sink.accepted] == [envelope.message_id]


@pytest.mark.parametrize("deed", ["drop", "hang", "garbage", "flood"])
@pytest.mark.parametrize("stage", BEFORE_DOT)
async def test_a_broken_server_before_the_dot_defers_and_accepts_once_later(stage: SinkStage, deed: Deed) -> None:
    async with SmtpSink([Rule(stage, do=deed, times=1)], users=USERS) as sink:
        envelope = envelope_to(ANN, body=(b"z" * 70 + b"\r\n") * 120_000)
        first = await send_once(sink, envelope, SHORT_WAITS)
        assert isinstance(first, Deferred) and first.kind == "connection"
        assert first.stage == stage
        sink.drop_all()
        await sink.until_quiet()
        assert sink.accepted == []
        assert isinstance(await send_once(sink, envelope), Delivered)
        assert len(sink.accepted) == 1


@pytest.mark.parametrize(
    ("deed", "accepted"),
    [("drop", 0), ("hang", 0), ("garbage", 0), ("flood", 0), ("accept_drop", 1), ("accept_hang", 1)],
)
async def test_a_dot_without_a_sane_answer_is_unknown(deed: Deed, accepted: int) -> None:
    async with SmtpSink([Rule("dot", do=deed)]) as sink:
        assert isinstance(await send_once(sink, waits=SHORT_WAITS), Unknown)
        assert len(sink.accepted) == accepted


@pytest.mark.parametrize("reply", ["354 more", "199 hm"])
async def test_an_answer_to_the_dot_that_is_neither_yes_nor_no_is_unknown(reply: str) -> None:
    async with SmtpSink([Rule("dot", reply=reply)]) as sink:
        assert isinstance(await send_once(sink), Unknown)


async def test_a_server_that_leaves_right_after_its_yes_has_said_yes() -> None:
    async with SmtpSink([Rule("dot", do="answer_drop")]) as sink:
        outcome = await send_once(sink)
        assert isinstance(outcome, Delivered) and outcome.server_id == "SINK00000001"


async def test_an_answer_byte_by_byte_is_waited_for_but_not_for_ever() -> None:
    async with SmtpSink([Rule("dot", do="drip", delay_seconds=0.001)]) as sink:
        assert isinstance(await send_once(sink, waits=SmtpWaits()), Delivered)
    async with SmtpSink([Rule("mail", do="drip", delay_seconds=0.1)]) as sink:
        outcome = await send_once(sink, waits=SHORT_WAITS)
        assert isinstance(outcome, Deferred) and (outcome.kind, outcome.stage) == ("connection", "mail")


@pytest.mark.parametrize(("stage", "noticed_at"), [("mail", "rcpt"), ("rcpt", "data")])
async def test_one_answer_too_many_ends_the_connection_before_answers_get_mixed_up(
    stage: SinkStage, noticed_at: SinkStage
) -> None:
    async with SmtpSink([Rule(stage, reply="250 ok\r\n250 and again", times=1)]) as sink:
        outcome = await send_once(sink)
        assert isinstance(outcome, Deferred) and (outcome.kind, outcome.stage) == ("connection", noticed_at)
        assert sink.accepted == []


@pytest.mark.parametrize("extra", ["250 already queued", "250-half an answer"])
async def test_a_second_answer_after_354_is_not_taken_for_the_answer_to_the_dot(extra: str) -> None:
    async with SmtpSink([Rule("data", reply=f"354 go\r\n{extra}", times=1)]) as sink:
        outcome = await send_once(sink)
        assert isinstance(outcome, Deferred) and (outcome.kind, outcome.stage) == ("connection", "body")
        await sink.until_quiet()
        assert sink.accepted == []


async def test_an_early_refusal_in_a_long_body_is_seen_and_the_marker_never_asked() -> None:
    async with SmtpSink([Rule("body", reply="552 5.3.4 message size exceeds fixed limit")]) as sink:
        marker = CountedMarker()
        envelope = envelope_to(ANN, body=(b"z" * 70 + b"\r\n") * 120_000)
        outcome = await transport_with().send(account_on(sink), envelope, marker)
        assert isinstance(outcome, Rejected) and (outcome.kind, outcome.stage, outcome.code) == ("other", "body", 552)
        await sink.until_quiet()
        assert marker.calls == 0 and sink.accepted == []


async def test_a_refusal_that_comes_while_the_marker_commits_keeps_the_dot_back() -> None:
    async with SmtpSink([Rule("body", reply="552 5.2.2 mailbox full")]) as sink:

        async def slow_marker() -> bool:
            await sink.until_fault("body")
            for _ in range(20):
                await anyio.lowlevel.checkpoint()
            return True

        outcome = await transport_with().send(account_on(sink), envelope_to(ANN), slow_marker)
        assert isinstance(outcome, Rejected) and (outcome.kind, outcome.stage) == ("soft", "body")
        await sink.until_quiet()
        assert sink.accepted == []


async def test_a_server_that_leaves_while_the_marker_commits_is_not_unknown() -> None:
    async with SmtpSink([Rule("body", do="drop")]) as sink:

        async def slow_marker() -> bool:
            await sink.until_quiet()
            for _ in range(20):
                await anyio.lowlevel.checkpoint()
            return True

        outcome = await transport_with().send(account_on(sink), envelope_to(ANN), slow_marker)
        assert isinstance(outcome, Deferred) and (outcome.kind, outcome.stage) == ("connection", "body")


async def test_the_body_has_left_when_the_marker_is_asked() -> None:
    async with SmtpSink([Rule("body", do="note")]) as sink:

        async def marker() -> bool:
            await sink.until_fault("body")
            return sink.accepted == []

        assert isinstance(await transport_with().send(account_on(sink), envelope_to(ANN), marker), Delivered)


@pytest.mark.parametrize("how", ["task", "scope"])
async def test_a_cancellation_after_the_dot_waits_for_the_answer_and_returns_it(how: str) -> None:
    async with SmtpSink([Rule("dot", delay_seconds=0.05)]) as sink:
        transport = transport_with()
        outcomes: list[Outcome] = []

        async def send() -> None:
            outcomes.append(await transport.send(account_on(sink), envelope_to(ANN), CountedMarker()))

        if how == "task":
            sending = asyncio.create_task(send())
            await sink.until_fault("dot")
            sending.cancel()
            await sending
            assert sending.cancelling() == 1
        else:
            async with anyio.create_task_group() as group:
                group.start_soon(send)
                await sink.until_fault("dot")
                group.cancel_scope.cancel()
        assert [type(outcome) for outcome in outcomes] == [Delivered]
        assert len(sink.accepted) == 1
        await transport.close()


@pytest.mark.parametrize("stage", ["greeting", "mail", "rcpt", "data"])
async def test_a_cancellation_while_a_server_hangs_closes_the_connection(stage: SinkStage) -> None:
    async with SmtpSink([Rule(stage, do="hang")]) as sink:
        sending = asyncio.create_task(transport_with().send(account_on(sink), envelope_to(ANN), CountedMarker()))
        await sink.until_fault(stage)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await sink.until_quiet()
        assert sink.accepted == []


async def test_the_commands_come_in_order_and_the_lead_first() -> None:
    async with SmtpSink() as sink:
        envelope = envelope_to(ANN, "cc@lead.example", "bcc@lead.example")
        await send_once(sink, envelope)
        await sink.until_quiet()
        assert [line for _, line in sink.commands] == [
            "EHLO sender.example",
            f"MAIL FROM:<me@sender.example> SIZE={len(envelope.data)}",
            "RCPT TO:<ann@lead.example>",
            "RCPT TO:<cc@lead.example>",
            "RCPT TO:<bcc@lead.example>",
            "DATA",
            "QUIT",
        ]


async def test_a_refused_lead_is_followed_by_rset_and_no_other_recipient() -> None:
    async with SmtpSink([Rule("rcpt", reply="550 no", match="ann@")]) as sink:
        outcome = await send_once(sink, envelope_to(ANN, "cc@lead.example"))
        assert isinstance(outcome, Rejected) and outcome.kind == "other"
        await sink.until_quiet()
        assert [line.split()[0] for _, line in sink.commands] == ["EHLO", "MAIL", "RCPT", "RSET", "QUIT"]


async def test_a_server_that_quits_at_a_copy_has_not_taken_the_lead_either() -> None:
    async with SmtpSink([Rule("rcpt", reply="421 4.3.2 going down", match="cc@")]) as sink:
        outcome = await send_once(sink, envelope_to(ANN, "cc@lead.example"))
        assert isinstance(outcome, Deferred) and outcome.stage == "rcpt"
        assert sink.accepted == []


SMUGGLING = (
    b"a\nb",
    b"a\rb",
    b"a\n.\nMAIL FROM:<evil@x.example>\n",
    b"a\r.\r\nb",
    b"a\n.\r\nb",
    b"a\r\n.\rb",
    b"a\r\n.\nb",
    b"a\r\n\x00.\r\nb",
    b"a\r\n.\r\nMAIL FROM:<evil@x.example>\r\nRCPT TO:<b@x.example>\r\nDATA\r\nb\r\n.\r\n",
    b".\r\n",
    b".",
    b"..\r\n.",
    b"\r\n.\r\n",
    b"\n",
    b"\r",
    b"",
)


@pytest.mark.parametrize("body", SMUGGLING)
async def test_no_body_ends_early_or_carries_a_bare_line_end(body: bytes) -> None:
    async with SmtpSink() as sink:
        assert isinstance(await send_once(sink, envelope_to(ANN, body=body)), Delivered)
        (mail,) = sink.accepted
        assert not mail.bare_cr and not mail.bare_lf
        assert mail.recipients == (ANN,)
        normal = b"".join(line + b"\r\n" for line in body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"))
        assert mail.data.partition(b"\r\n\r\n")[2] == normal.removesuffix(b"\r\n" if body[-1:] in b"\r\n" else b"")


@given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b".", b"x", b"\r\n.\r\n"]), max_size=30).map(b"".join))
def test_stuffing_hides_every_end_of_data_and_is_undone_by_the_receiver(data: bytes) -> None:
    stuffed = dot_stuffed(data)
    assert stuffed.endswith(b"\r\n")
    assert stuffed.count(b"\r\n") == stuffed.count(b"\r") == stuffed.count(b"\n")
    assert b"\r\n.\r\n" not in b"\r\n" + stuffed
    unstuffed = [line.removeprefix(b".") for line in stuffed.split(b"\r\n")]
    assert unstuffed == [*data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").removesuffix(b"\n").split(b"\n"), b""]


BAD_ADDRESSES = (
    "",
    "a",
    "@x.test",
    "a@",
    "a@ok.test]<b@evil.test>",
    "a@x.test, b@y.test",
    "<a@x.test>",
    "a@x.test>\r\nRCPT TO:<b@y.test",
    "a@x.test> NOTIFY=NEVER",
    "a b@x.test",
    '"a b"@x.test',
    "a@[127.0.0.1]",
    "a@x..test",
    ".a@x.test",
    "a.@x.test",
    "a@-x.test",
    "a@b@x.test",
    "a\x00@x.test",
    "a\u00a0b@x.test",
    "a" * 65 + "@x.test",
    "a@" + "b." * 130 + "test",
)


@pytest.mark.parametrize("address", BAD_ADDRESSES)
async def test_an_address_that_could_say_more_than_itself_never_reaches_the_wire(address: str) -> None:
    with pytest.raises(BadAddress):
        wire_address(address)
    async with SmtpSink() as sink:
        lead = await send_once(sink, envelope_to(address))
        assert isinstance(lead, Rejected) and (lead.kind, lead.stage) == ("other", "rcpt")
        sender = await send_once(sink, Envelope(address, (ANN,), "<1@x>", b"x\r\n"))
        assert isinstance(sender, Rejected) and (sender.kind, sender.stage) == ("sender", "mail")
        assert not [line for _, line in sink.commands if line.startswith(("MAIL", "RCPT"))]
        copied = await send_once(sink, envelope_to(ANN, address))
        assert isinstance(copied, Delivered) and [each.address for each in copied.refused_copies] == [address]
        assert [mail.recipients for mail in sink.accepted] == [(ANN,)]


async def test_an_international_domain_travels_in_a_labels() -> None:
    async with SmtpSink() as sink:
        assert isinstance(await send_once(sink, envelope_to("ann@Bücher.example")), Delivered)
        assert sink.accepted[0].recipients == ("ann@xn--bcher-kva.example",)


async def test_an_international_local_part_needs_smtputf8() -> None:
    envelope = envelope_to("änn@lead.example")
    async with SmtpSink() as sink:
        outcome = await send_once(sink, envelope)
        assert isinstance(outcome, Rejected)
        assert (outcome.kind, outcome.code, outcome.enhanced) == ("other", None, "5.6.7")
        ours = await send_once(sink, replace(envelope_to(ANN), sender="jörg@sender.example"))
        assert isinstance(ours, Rejected) and (ours.kind, ours.code, ours.stage) == ("sender", None, "mail")
        assert not [line for _, line in sink.commands if line.startswith(("MAIL", "RCPT"))]
        copied = await send_once(sink, envelope_to(ANN, "änn@lead.example"))
        assert isinstance(copied, Delivered) and len(copied.refused_copies) == 1
    async with SmtpSink(extensions=("8BITMIME", "SMTPUTF8")) as sink:
        assert isinstance(await send_once(sink, envelope), Delivered)
        assert sink.accepted[0].recipients == ("änn@lead.example",)
        assert sink.accepted[0].options == "BODY=8BITMIME SMTPUTF8"


@pytest.mark.parametrize("extensions", [("8BITMIME",), ("8BITMIME", "SMTPUTF8")])
async def test_a_check_tells_whether_an_international_mailbox_can_send_there(extensions: tuple[str, ...]) -> None:
    async with SmtpSink(extensions=extensions) as sink:
        account = replace(account_on(sink), email="jörg@sender.example")
        if "SMTPUTF8" in extensions:
            await transport_with().check_smtp(account)
        else:
            with pytest.raises(Upstream, match="does not offer SMTPUTF8"):
                await transport_with().check_smtp(account)
