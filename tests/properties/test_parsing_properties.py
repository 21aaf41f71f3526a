"""Whatever bytes arrive, parsing ends well, stays small, and takes time in proportion to the size."""

import time
import unicodedata
from collections.abc import Callable
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postrider.inbox.classify import classify, suggest_label
from postrider.inbox.classify_dates import return_date
from postrider.inbox.classify_wishes import plain_unsubscribe_rule, unsubscribe_rule
from postrider.inbox.parsing import ParsedMail, parse_mail
from postrider.inbox.parsing_clean import visible_text
from postrider.inbox.parsing_reply import new_text
from postrider.inbox.parsing_wire import dump_answer, load_answer
from tests.unit.inbox.mail_corpus import NAMES, read_mail

TODAY = date(2026, 8, 6)

_PIECES = st.sampled_from(
    [
        *(b"From: ", b"To: ", b"Subject: ", b"Message-ID: <[", b"References: <a@b>", b"Return-Path: <>", b"Date: "),
        *(
            b"Content-Type: multipart/report; report-type=delivery-status; boundary=b",
            b"Content-Type: text/html; charset=",
        ),
        *(
            b"Content-Type: message/delivery-status",
            b"Content-Disposition: attachment; filename*0*=x''%",
            b"Action: failed",
        ),
        *(
            b"Final-Recipient: rfc822; a@b.test",
            b"Content-Transfer-Encoding: base64",
            b"mailer-daemon@b.test",
            b"=?utf-8?b?",
        ),
        *(
            b"\r\n",
            b"\r\n\r\n",
            b"\n",
            b"\n--b\n",
            b"\n--b--",
            b'"',
            b"(",
            b"<",
            b">",
            b";",
            b":",
            b",",
            b"\\",
            b"\0",
            b"\xff",
        ),
        *(b"<div>", b"&#0;", b"> ", b"On 1 Aug Bob wrote:", b"\xe2\x80\xae", b"=?=", b"?=", b"=3D", b"utf-7", b"+2AA-"),
    ]
)
_SOUP = st.lists(_PIECES | st.binary(max_size=20), max_size=60).map(b"".join)


def _is_sound(mail: ParsedMail) -> None:
    assert load_answer(dump_answer(mail)) == mail
    for shown in (mail.subject, mail.from_name, mail.text, mail.new_text):
        assert visible_text(shown) == shown
    assert all(one.startswith("<") and one.endswith(">") for one in mail.references + mail.in_reply_to)
    assert classify(mail, references_ours=True, received_on=TODAY).rule
    assert suggest_label(mail.new_text, subject=mail.subject)[1]


@given(st.binary(max_size=2000) | _SOUP)
@settings(max_examples=250, deadline=None)
def test_any_bytes_are_parsed_and_survive_the_way_between_processes(raw: bytes) -> None:
    _is_sound(parse_mail(raw))


@given(st.sampled_from(NAMES), st.data())
@settings(max_examples=150, deadline=None)
def test_damaged_mail_is_parsed(name: str, data: st.DataObject) -> None:
    raw = read_mail(name)
    start = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(start, min(len(raw), start + 200)))
    _is_sound(parse_mail(raw[:start] + data.draw(_SOUP) + raw[end:]))


@given(st.text())
def test_visible_text_is_stable_and_holds_no_invisible_character(text: str) -> None:
    shown = visible_text(text)
    assert visible_text(shown) == shown
    assert all(char in "\t\n" or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in shown)


def test_no_format_control_or_surrogate_character_at_all_is_visible() -> None:
    every = "".join(map(chr, range(0x110000)))
    left = {unicodedata.category(char) for char in visible_text(every) if char not in "\t\n"}
    assert left.isdisjoint({"Cc", "Cf", "Cs", "Zl", "Zp"})


def _parse_header(name: bytes) -> Callable[[str], object]:
    return lambda text: parse_mail(name + b": " + text.encode() + b"\r\n\r\n")


def _parse_daemon(text: str) -> object:
    return parse_mail(b"From: mailer-daemon@x.test\r\nSubject: failure notice\r\n\r\n" + text.encode())


_READERS: dict[str, Callable[[str], object]] = {
    "body": lambda text: parse_mail(b"From: a@b.test\r\n\r\n" + text.encode()),
    "html": lambda text: parse_mail(b"Content-Type: text/html\r\n\r\n" + text.encode()),
    "daemon": _parse_daemon,
    "from": _parse_header(b"From"),
    "subject": _parse_header(b"Subject"),
    "type": _parse_header(b"Content-Type: a/b; x"),
    "references": _parse_header(b"References"),
    "new_text": new_text,
    "label": suggest_label,
    "unsubscribe": unsubscribe_rule,
    "plain_unsubscribe": plain_unsubscribe_rule,
    "return_date": lambda text: return_date(text, TODAY),
}
_SEEDS = (
    *(
        "On 1 Aug wrote ",
        "On 1 Aug\n",
        "\n",
        " \n",
        "> ",
        "From: a\nSent: ",
        "-",
        "_",
        "message to a@",
        "user ",
        "not ",
    ),
    *(
        "remove me ",
        "back until 1 ",
        "please send me ",
        "1.1.",
        "=?utf-8?q?",
        "<",
        "(",
        '"',
        "a@b.test,",
        "<div>",
        "&amp",
    ),
    *("é", "5.1.1", "the 1 ", "\\", ";", "<a@b> ", "--\n"),
)


@pytest.mark.parametrize("reader", _READERS)
def test_a_line_of_a_megabyte_takes_time_in_proportion(reader: str) -> None:
    read = _READERS[reader]

    def seconds(seed: str, size: int) -> float:
        text = seed * (size // len(seed))
        started = time.process_time()
        read(text)
        return time.process_time() - started

    for seed in _SEEDS:
        half, whole = seconds(seed, 500_000), seconds(seed, 1_000_000)
        assert whole < 4 * half + 0.3, (seed, half, whole)
        assert whole < 3, (seed, whole)
