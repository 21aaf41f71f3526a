"""What each kind of refusal does to the message, the lead and the mailbox."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postrider.sending.outcomes import DeferKind, Deferred, Rejected, RejectKind, Stage
from postrider.sending.reply_codes import classify_reply, retry_after_seconds, server_id_in, split_reply

ALL_STAGES: tuple[Stage, ...] = (
    "connect",
    "greeting",
    "ehlo",
    "starttls",
    "auth",
    "mail",
    "rcpt",
    "data",
    "body",
    "dot",
)


def kind_of(stage: Stage, line: str, host: str = "") -> str:
    """The verdict on one reply line such as ``550 5.1.1 no such user``, as class and kind."""
    enhanced, text = split_reply([line[4:]])
    outcome = classify_reply(stage, int(line[:3]), enhanced, text, host)
    return f"{type(outcome).__name__} {outcome.kind}"


@pytest.mark.parametrize(
    ("stage", "line", "kind"),
    [
        ("mail", "421 4.3.2 Service shutting down", "transient"),
        ("rcpt", "421 Service not available", "transient"),
        ("rcpt", "450 4.2.1 The user is receiving mail at a rate that prevents delivery", "transient"),
        ("rcpt", "450 mailbox unavailable", "transient"),
        ("dot", "451 local error in processing", "transient"),
        ("rcpt", "451 4.7.1 Greylisting in action, please come back later", "transient"),
        ("rcpt", "421 4.7.0 Greylisted, try again in 300 seconds", "transient"),
        ("rcpt", "450 4.7.1 Client host rejected: cannot find your hostname", "transient"),
        ("rcpt", "452 4.2.2 The account is over quota", "transient"),
        ("dot", "452 insufficient system storage", "transient"),
        ("rcpt", "450 4.1.1 unverified address", "transient"),
        ("rcpt", "450 5.1.1 user unknown", "transient"),
        ("dot", "421 4.7.28 unusual rate of unsolicited mail", "throttle"),
        ("dot", "450 4.7.28 our system has detected something", "throttle"),
        ("greeting", "421 4.7.0 Try again later, closing connection", "throttle"),
        ("mail", "454 4.7.0 not now", "throttle"),
        ("starttls", "454 TLS not available due to temporary reason", "throttle"),
        ("rcpt", "452 4.5.3 Too many recipients", "throttle"),
        ("mail", "450 4.5.3 rate exceeded", "throttle"),
        ("rcpt", "452 4.5.3 recipient list trouble", "transient"),
        ("greeting", "421 Too many concurrent connections", "throttle"),
        ("dot", "451 4.7.500 Server busy. Please try again later", "throttle"),
        ("dot", "432 4.3.2 STOREDRV; sender thread limit exceeded", "throttle"),
        ("dot", "550 5.4.5 Daily user sending limit exceeded", "throttle"),
        ("dot", "550 Domain x.test has exceeded the max emails per hour (250/250)", "throttle"),
        ("dot", "550 5.1.90 You have reached your daily limit for message recipients", "throttle"),
        ("auth", "535 5.7.8 Username and Password not accepted", "auth"),
        ("auth", "534 5.7.9 Application-specific password required", "auth"),
        ("auth", "454 4.7.0 Too many login attempts", "auth"),
        ("auth", "400 status 400", "auth"),
        ("auth", "504 unrecognised authentication type", "auth"),
        ("mail", "530 5.7.0 Must issue a STARTTLS command first", "auth"),
        ("rcpt", "530 5.7.1 Client was not authenticated", "auth"),
        ("mail", "535 authentication failed", "auth"),
        ("rcpt", "550 5.7.8 authentication credentials invalid", "auth"),
        ("auth", "421 4.3.2 shutting down", "transient"),
        ("auth", "451 4.3.0 backend unavailable", "transient"),
    ],
)
def test_what_may_work_later_is_deferred(stage: Stage, line: str, kind: DeferKind) -> None:
    assert kind_of(stage, line) == f"Deferred {kind}"


@pytest.mark.parametrize(
    ("stage", "line", "kind"),
    [
        ("rcpt", "550 5.1.1 user unknown", "hard"),
        ("dot", "550 5.1.1 user unknown", "hard"),
        ("rcpt", "551 5.1.6 has moved", "hard"),
        ("rcpt", "553 5.1.2 no such domain", "hard"),
        ("rcpt", "556 5.1.10 null MX", "hard"),
        ("rcpt", "550 5.2.1 account disabled", "hard"),
        ("rcpt", "554 5.1.1 spam policy words do not outweigh the code", "hard"),
        ("rcpt", "552 5.2.2 mailbox full", "soft"),
        ("rcpt", "550 5.2.2 over quota", "soft"),
        ("dot", "552 storage allocation exceeded", "soft"),
        ("rcpt", "550 mailbox is full", "soft"),
        ("rcpt", "554 user over quota", "soft"),
        ("rcpt", "552 5.2.0 quota exceeded", "soft"),
        ("rcpt", "550 5.2.1 The user is receiving mail at a rate that prevents additional messages", "soft"),
        ("dot", "550 5.7.1 message refused", "policy"),
        ("dot", "550 5.7.26 unauthenticated email", "policy"),
        ("dot", "550 5.7.515 access denied, domain does not meet requirements", "policy"),
        ("dot", "550 5.7.509 does not pass DMARC", "policy"),
        ("dot", "550 5.7.28 unusual rate of unsolicited mail", "policy"),
        ("dot", "554 transaction failed", "policy"),
        ("dot", "554 5.0.0 transaction failed", "policy"),
        ("dot", "550 message looks like spam", "policy"),
        ("rcpt", "550 blocked using zen.spamhaus.org", "policy"),
        ("rcpt", "554 rejected (5.7.1)", "policy"),
        ("dot", "552 5.7.0 content presents a potential security issue", "policy"),
        ("dot", "554 5.6.0 rejected for spam content", "policy"),
        ("rcpt", "550 5.1.8 sender domain does not exist", "sender"),
        ("rcpt", "553 5.1.7 bad sender address syntax", "sender"),
        ("dot", "550 5.1.8 bad outbound sender", "sender"),
        ("dot", "554 5.7.60 client does not have permissions to send as this sender", "sender"),
        ("mail", "550 5.1.1 user unknown", "sender"),
        ("mail", "553 5.7.1 not owned by user", "sender"),
        ("mail", "550 no", "sender"),
        ("greeting", "554 5.7.1 blocked", "sender"),
        ("ehlo", "550 bad name", "sender"),
        ("rcpt", "550 requested action not taken", "other"),
        ("rcpt", "550 user unknown", "other"),
        ("rcpt", "554 delivery error: dd This user doesn't have an account", "other"),
        ("rcpt", "550 5.4.4 no MX", "other"),
        ("rcpt", "550 5.4.1 access denied", "other"),
        ("rcpt", "550 5.1.3 bad syntax", "other"),
        ("rcpt", "550 4.1.1 a code of two minds never suppresses", "other"),
        ("data", "550 5.1.1 user unknown", "other"),
        ("body", "550 5.1.1 user unknown", "other"),
        ("dot", "552 5.3.4 message size exceeds fixed limit", "other"),
        ("dot", "552 message too large", "other"),
        ("data", "554 5.5.1 no valid recipients", "other"),
        ("dot", "599 what", "other"),
    ],
)
def test_what_will_not_work_later_is_rejected(stage: Stage, line: str, kind: RejectKind) -> None:
    assert kind_of(stage, line) == f"Rejected {kind}"


@pytest.mark.parametrize(
    ("host", "text"),
    [
        ("smtp.office365.com", "access denied"),
        ("x-test.mail.protection.outlook.com", "access denied"),
        ("", "Recipient address rejected: Access denied. [DB5EUR03FT.eop-EUR03.prod.protection.outlook.com]"),
    ],
)
def test_the_denied_recipient_of_microsoft_is_a_bad_address(host: str, text: str) -> None:
    assert kind_of("rcpt", f"550 5.4.1 {text}", host) == "Rejected hard"
    assert kind_of("rcpt", f"550 5.4.4 {text}", host) == "Rejected other"
    assert kind_of("mail", f"550 5.4.1 {text}", host) == "Rejected sender"


def test_a_host_that_only_resembles_microsoft_is_none() -> None:
    assert kind_of("rcpt", "550 5.4.1 access denied", "mail.notoutlook.com") == "Rejected other"
    assert kind_of("rcpt", "550 5.4.1 access denied", "outlook.com.evil.test") == "Rejected other"


@pytest.mark.parametrize("code", [0, 220, 250, 354, 399, 600, 999])
def test_a_code_that_is_no_refusal_is_a_broken_connection(code: int) -> None:
    outcome = classify_reply("rcpt", code, None, "?")
    assert isinstance(outcome, Deferred) and outcome.kind == "connection" and outcome.code == code


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Greylisted, please try again in 300 seconds", 300),
        ("try again in 5 minutes", 300),
        ("Please retry after 60s", 60),
        ("Greylisting in effect, please come back in 00:04:59", 299),
        ("try again in 2 hours", 7200),
        ("deferred for 10 min.", 600),
        ("wait 1 h", 3600),
        ("try again in 90 hours", 86400),
        ("try again in 0 seconds", None),
        ("try again later", None),
        ("timeout exceeded after 300 seconds", None),
        ("try the help desk, extension 42", None),
        ("", None),
    ],
)
def test_the_wait_that_a_server_names_is_understood(text: str, seconds: int | None) -> None:
    assert retry_after_seconds(text) == seconds
    deferred = classify_reply("rcpt", 451, "4.7.1", text)
    assert isinstance(deferred, Deferred) and deferred.retry_after_seconds == seconds


@pytest.mark.parametrize(
    ("lines", "enhanced", "text"),
    [
        (["5.1.1 The account", "5.1.1 does not exist"], "5.1.1", "The account does not exist"),
        (["#5.1.0 Address rejected."], "5.1.0", "Address rejected."),
        (["rejected (5.7.1), sorry"], "5.7.1", "rejected (5.7.1), sorry"),
        (["blocked: 5.1.1.10 is listed"], None, "blocked: 5.1.1.10 is listed"),
        (["no code"], None, "no code"),
        ([], None, ""),
        (["5.1.10 null MX"], "5.1.10", "null MX"),
        (["5.1.1. User unknown"], "5.1.1", "5.1.1. User unknown"),
        (["a\x00b\x1b[31mc\u202ed"], None, "a b [31mc d"),
    ],
)
def test_a_reply_is_split_into_its_enhanced_code_and_clean_text(lines: list[str], enhanced: str, text: str) -> None:
    assert split_reply(lines) == (enhanced, text)


@pytest.mark.parametrize(
    ("line", "server_id"),
    [
        ("2.0.0 Ok: queued as 4F1B2C3D5E", "4F1B2C3D5E"),
        ("2.0.0 OK  1700000000 5b1f17b1804b1-4321abcdsi123 - gsmtp", "5b1f17b1804b1-4321abcdsi123"),
        ("2.6.0 <CAB123@mail.x.test> [InternalId=1234, Hostname=h] Queued mail for delivery", "CAB123@mail.x.test"),
        ("Ok 0100018c5d7e-9a483358-000000", "0100018c5d7e-9a483358-000000"),
        ("OK id=1rBcDe-0001Ab-2C", "1rBcDe-0001Ab-2C"),
        ("2.0.0 3AB12cd4567890 Message accepted for delivery", "3AB12cd4567890"),
        ("2.0.0 OK", None),
        ("Great success", None),
    ],
)
def test_the_id_that_a_server_gave_the_message_is_found(line: str, server_id: str | None) -> None:
    assert server_id_in(split_reply([line])[1]) == server_id


@given(
    stage=st.sampled_from(ALL_STAGES),
    code=st.integers(400, 599),
    enhanced=st.none() | st.from_regex(r"\A[245]\.[0-9]{1,2}\.[0-9]{1,3}\Z"),
    text=st.text(max_size=200),
    host=st.text(max_size=30),
)
def test_every_reply_has_one_verdict_and_4xx_never_burns_a_lead(
    stage: Stage, code: int, enhanced: str | None, text: str, host: str
) -> None:
    outcome = classify_reply(stage, code, enhanced, text, host)
    if code < 500:
        assert isinstance(outcome, Deferred)
    if isinstance(outcome, Rejected) and outcome.kind == "hard":
        assert stage in {"rcpt", "dot"}
        assert enhanced in {"5.1.1", "5.1.2", "5.1.6", "5.1.10", "5.2.1", "5.4.1"}


@pytest.mark.parametrize("filler", ["try ", "again 9", "exceeded ", "mailbox ", "5.1.", "daily ", "ok 1", "- gsmtp "])
def test_a_hostile_reply_of_one_megabyte_is_cut_and_judged(filler: str) -> None:
    enhanced, text = split_reply([filler * (1_000_000 // len(filler))])
    assert len(text) <= 500
    assert isinstance(classify_reply("dot", 550, enhanced, text), Deferred | Rejected)
    server_id_in(text)
