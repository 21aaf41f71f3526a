"""The mail stack itself: what other tests rely on."""

import smtplib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from postrider.mailboxes.ports import Security
from tests.mailstack.fixtures import mail_stack
from tests.mailstack.stack import MailStack

__all__ = ["mail_stack"]

RAW = b"From: user1@mailstack.test\r\nSubject: hi\r\n\r\n.dot\r\nend\r\n"


@contextmanager
def signed_in(stack: MailStack, security: Security = "starttls") -> Iterator[smtplib.SMTP]:
    access = stack.account(1, smtp_security=security).smtp
    assert access is not None
    tls = stack.ssl_context()
    plain = (
        smtplib.SMTP_SSL(access.host, access.port, context=tls)
        if security == "tls"
        else smtplib.SMTP(access.host, access.port)
    )
    with plain as client:
        if security == "starttls":
            client.starttls(context=tls)
        client.login(access.username, access.password.reveal())
        yield client


@pytest.mark.parametrize("security", ["tls", "starttls", "none"])
def test_a_submitted_message_arrives_unchanged(mail_stack: MailStack, security: Security) -> None:
    address = mail_stack.new_account().email
    with signed_in(mail_stack, security) as client:
        client.sendmail("user1@mailstack.test", [address], RAW)
    (stored,) = mail_stack.messages(address)
    assert stored.endswith(RAW)


def test_nobody_sends_without_signing_in(mail_stack: MailStack) -> None:
    with smtplib.SMTP("127.0.0.1", mail_stack.smtp_port) as client:
        client.ehlo()
        assert client.mail("user1@mailstack.test")[0] == 530
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login("user1@mailstack.test", "wrong")


def test_a_recipient_can_be_rejected_for_good(mail_stack: MailStack) -> None:
    with signed_in(mail_stack) as client:
        with pytest.raises(smtplib.SMTPRecipientsRefused) as caught:
            client.sendmail("user1@mailstack.test", ["reject5xx+1@mailstack.test"], RAW)
    assert caught.value.recipients["reject5xx+1@mailstack.test"][0] == 550


def test_greylisting_turns_a_sender_away_once(mail_stack: MailStack) -> None:
    address = "greylist4xx+once@mailstack.test"
    with signed_in(mail_stack) as client:
        for sender in ("user1@mailstack.test", "user2@mailstack.test"):
            with pytest.raises(smtplib.SMTPRecipientsRefused) as caught:
                client.sendmail(sender, [address], RAW)
            assert caught.value.recipients[address][0] == 451
            client.sendmail(sender, [address], RAW)
    assert len(mail_stack.messages(address)) == 2


def test_a_dropped_message_is_neither_answered_nor_delivered(mail_stack: MailStack) -> None:
    with pytest.raises(smtplib.SMTPServerDisconnected), signed_in(mail_stack) as client:
        client.sendmail("user1@mailstack.test", ["dropdata@mailstack.test"], RAW)
    assert mail_stack.messages("dropdata@mailstack.test") == []


def test_messages_are_listed_in_the_order_of_arrival(mail_stack: MailStack) -> None:
    address = mail_stack.new_account().email
    for number in range(12):
        mail_stack.deliver(address, b"Subject: %d\r\n\r\n" % number)
    assert [
        raw.endswith(b"Subject: %d\r\n\r\n" % number) for number, raw in enumerate(mail_stack.messages(address))
    ] == [True] * 12


def test_stacks_run_side_by_side_start_quickly_and_leave_nothing() -> None:
    started = time.monotonic()
    with MailStack() as one, MailStack() as other:
        assert time.monotonic() - started < 5
        one.deliver("user1@mailstack.test", RAW)
        assert other.messages("user1@mailstack.test") == []
        roots = [one.root, other.root]
        running = _processes_of(roots)
        assert running
    assert not any(root.exists() for root in roots)
    assert _processes_of(roots) == []


def test_a_given_root_is_used_and_kept(tmp_path_factory: pytest.TempPathFactory) -> None:
    with MailStack() as outer:
        with MailStack(outer.root / "given") as inner:
            inner.deliver("user1@mailstack.test", RAW)
        assert len(inner.messages("user1@mailstack.test")) == 1
    with pytest.raises(ValueError, match="too long"), MailStack(tmp_path_factory.mktemp("x" * 80)):
        pass


def _processes_of(roots: list[Path]) -> list[str]:
    """The command lines of all processes that name one of the folders."""
    lines: list[str] = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(file.read_text("utf-8", "replace"))
        except OSError:
            continue
    return [line for line in lines if any(str(root) in line for root in roots)]
