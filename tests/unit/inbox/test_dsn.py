"""Delivery reports in standard and other forms, complaints, and mails that only look like one."""

from datetime import date

import pytest

from postrider.inbox.classify import classify
from postrider.inbox.dsn import ArfReport, DsnRecipient, DsnReport
from postrider.inbox.parsing import parse_mail
from tests.unit.inbox.mail_corpus import read_mail, write_mail


def _report(name: str) -> DsnReport:
    report = parse_mail(read_mail(name)).dsn
    assert report is not None
    return report


def test_a_standard_report_is_read_whole() -> None:
    assert _report("dsn_unknown_user") == DsnReport(
        recipients=(
            DsnRecipient(
                final_recipient="gone@buyer.test",
                original_recipient="gone@buyer.test",
                action="failed",
                status="5.1.1",
                diagnostic="550 5.1.1 <gone@buyer.test>: Recipient address rejected: "
                "User unknown in virtual mailbox table",
                remote_mta="mx.buyer.test",
            ),
        ),
        original_message_id="<first-8@acme.test>",
        original_to="gone@buyer.test",
        standard=True,
    )


def test_a_report_may_name_several_recipients_and_what_they_were_called_before() -> None:
    first, second = _report("dsn_two_recipients").recipients
    assert (first.final_recipient, first.status) == ("full@buyer.test", "5.2.2")
    assert (second.final_recipient, second.original_recipient) == ("gone@firm.test", "alias@firm.test")


@pytest.mark.parametrize(
    ("name", "action", "message_id"),
    [
        ("dsn_delayed", "delayed", "<first-11@acme.test>"),
        ("dsn_delivered", "delivered", "<first-12@acme.test>"),
        ("dsn_policy", "failed", "<first-9@acme.test>"),
    ],
)
def test_the_action_and_the_original_message_are_told(name: str, action: str, message_id: str) -> None:
    report = _report(name)
    assert [recipient.action for recipient in report.recipients] == [action]
    assert (report.original_message_id, report.standard) == (message_id, True)


@pytest.mark.parametrize(
    ("action", "read", "kind"),
    [
        ("failed", "failed", "bounce"),
        ("delayed", "delayed", "delay"),
        ("delivered", "delivered", "delivered_notice"),
        ("relayed", "relayed", "delivered_notice"),
        ("expanded", "expanded", "delivered_notice"),
        ("Failed (permanently)", "failed", "bounce"),
    ],
)
def test_only_a_failure_is_a_bounce_and_no_report_is_a_reply(action: str, read: str, kind: str) -> None:
    raw = read_mail("dsn_unknown_user").replace(b"Action: failed", f"Action: {action}".encode())
    mail = parse_mail(raw)
    assert mail.dsn is not None
    assert [recipient.action for recipient in mail.dsn.recipients] == [read]
    assert classify(mail, references_ours=True, received_on=date(2026, 8, 6)).kind == kind


def test_a_report_that_returns_only_the_headers_names_the_message_too() -> None:
    whole = read_mail("dsn_unknown_user")
    raw = whole.replace(b"message/rfc822", b"text/rfc822-headers")
    report = parse_mail(raw).dsn
    assert raw != whole and report is not None
    assert (report.original_message_id, report.original_to) == ("<first-8@acme.test>", "gone@buyer.test")


@pytest.mark.parametrize(
    ("name", "recipient", "status", "message_id"),
    [
        ("bounce_qmail", "gone@buyer.test", "5.1.1", "<first-14@acme.test>"),
        ("bounce_gmail", "gone@buyer.test", "5.1.1", "<first-15@acme.test>"),
        ("bounce_exchange", "gone@old-exchange.test", "5.1.1", "<first-16@acme.test>"),
        ("bounce_exim", "gone@buyer.test", None, "<first-17@acme.test>"),
    ],
)
def test_old_forms_are_guessed_and_marked_as_such(
    name: str, recipient: str, status: str | None, message_id: str
) -> None:
    report = _report(name)
    assert [(one.final_recipient, one.action, one.status) for one in report.recipients] == [
        (recipient, "failed", status)
    ]
    assert (report.original_message_id, report.standard) == (message_id, False)


def test_codes_in_the_copy_of_our_own_mail_are_not_the_server_s() -> None:
    assert _report("bounce_qmail").recipients[0].diagnostic == "Remote host said: 550 5.1.1 no such mailbox here"


def test_a_guessed_delay_is_no_failure() -> None:
    text = "The following message to <slow@buyer.test> has not yet been delivered. It will be retried."
    headers = {"from": "mailer-daemon@mx.test", "subject": "Delivery delayed", "return_path": "<>"}
    report = parse_mail(write_mail(text, **headers)).dsn
    assert report is not None
    assert [(one.final_recipient, one.action) for one in report.recipients] == [("slow@buyer.test", "delayed")]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"return_path": "<bob@buyer.test>"},
        {"return_path": "<>", "subject": "Out of office"},
        {"from": "mailer-daemon@buyer.test", "return_path": "<bob@buyer.test>"},
    ],
)
def test_a_person_who_quotes_a_bounce_sends_no_report(headers: dict[str, str]) -> None:
    text = "Hi. This is the qmail-send program\n\n<sales@old.test>:\n550 5.1.1 user unknown"
    assert parse_mail(write_mail(text, **headers)).dsn is None


@pytest.mark.parametrize("return_path", [{}, {"return_path": "<postmaster@small.test>"}])
@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("Re: Hello", "Please remove the address postmaster@small.test from your list."),
        ("Re: Hello", "Please send your message to jane@small.test"),
        ("Re: Undeliverable mail solved", "The mailbox postmaster@small.test works again: 550 5.1.1 was our mistake."),
        ("Undeliverable", "message to postmaster@small.test: 550 5.1.1 no such user"),
    ],
)
def test_a_postmaster_who_answers_is_a_person(return_path: dict[str, str], subject: str, text: str) -> None:
    assert (
        parse_mail(write_mail(text, **{"from": "postmaster@small.test", "subject": subject, **return_path})).dsn is None
    )


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ({"return_path": "<>"}, "Your message to bob@small.test could not be delivered."),
        ({"subject": "Undeliverable: Hello"}, "Your message to bob@small.test could not be delivered."),
        ({"subject": "Hello"}, "Your message to bob@small.test was refused: 550 5.1.1 no such user"),
    ],
)
def test_a_postmaster_reports_with_a_null_path_a_subject_or_a_code(headers: dict[str, str], text: str) -> None:
    report = parse_mail(write_mail(text, **{"from": "postmaster@small.test", **headers})).dsn
    assert report is not None
    assert [one.final_recipient for one in report.recipients] == ["bob@small.test"]


def test_a_report_of_another_kind_or_without_recipients_is_no_delivery_report() -> None:
    assert parse_mail(read_mail("read_receipt")).dsn is None
    assert parse_mail(read_mail("arf_abuse")).dsn is None
    head = "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n"
    status = "Content-Type: message/delivery-status\r\n\r\nFinal-Recipient: rfc822; nobody\r\nAction: failed\r\n--b--"
    assert parse_mail((head + status).encode()).dsn is None


def test_an_address_that_is_not_one_mailbox_is_left_out_of_a_report() -> None:
    raw = read_mail("dsn_unknown_user").replace(b"gone@buyer.test", b"a@x.test]<b@y.test>")
    assert parse_mail(raw).dsn is None


def test_a_complaint_names_recipient_and_message() -> None:
    assert parse_mail(read_mail("arf_abuse")).arf == ArfReport("abuse", "bob@buyer.test", "<first-18@acme.test>")


def test_a_complaint_only_counts_inside_a_report() -> None:
    raw = read_mail("arf_abuse").replace(b"multipart/report; report-type=feedback-report;", b"multipart/mixed;")
    assert parse_mail(raw).arf is None
