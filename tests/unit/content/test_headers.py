from datetime import UTC, datetime, timedelta, timezone
from email.header import decode_header, make_header

import pytest

from postrider.content.addresses import parse_address
from postrider.content.headers import (
    check_header_value,
    check_list_uri,
    check_message_id,
    encode_text,
    find_message_ids,
    fold,
    format_date,
    format_mailbox,
    message_id,
    reply_subject,
    trim_references,
)
from postrider.kernel.errors import InvalidInput

JANE = parse_address("jane@acme.test")


@pytest.mark.parametrize(
    "control", ["\r", "\n", "\r\n", "\0", "\t", "\x0b", "\x0c", "\x1b", "\x7f", "\x85", "\u2028", "\u2029", "\ud800"]
)
def test_a_control_character_in_a_header_value_is_refused_by_name(control: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_header_value(f"Hello{control}Bcc: x@y.test", "subject")

    assert caught.value.field == "subject"
    assert "position 5" in caught.value.message


def test_a_sound_header_value_comes_back_as_it_is() -> None:
    assert check_header_value("Grüße – {a|b} 🎉", "subject") == "Grüße – {a|b} 🎉"


def test_plain_text_stays_readable() -> None:
    assert encode_text("Quick question, Jane?", 67) == "Quick question, Jane?"


@pytest.mark.parametrize(
    "text", ["=?utf-8?q?x?=", "a  b", " a", "a ", "x" * 61, "ü", "€" * 200, "日本語" * 50, "a\xa0b", "🎉" * 60]
)
def test_text_that_is_not_plain_survives_as_encoded_words(text: str) -> None:
    words = encode_text(text, 67).split(" ")

    assert str(make_header(decode_header("\r\n ".join(words)))) == text
    assert len(words[0]) <= 67
    assert all(len(word) <= 75 and word.isascii() for word in words)


def test_words_are_quoted_while_that_stays_readable() -> None:
    assert encode_text("Grüße aus Berlin", 67).startswith("=?utf-8?q?")
    assert encode_text("日本語", 67).startswith("=?utf-8?b?")


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("", "<jane@acme.test>"),
        ("  ", "<jane@acme.test>"),
        ("Jane Doe", "Jane Doe <jane@acme.test>"),
        ("Doe, Jane", '"Doe, Jane" <jane@acme.test>'),
        ("J. Doe", '"J. Doe" <jane@acme.test>'),
        ('Jane "JD" D\\oe', '"Jane \\"JD\\" D\\\\oe" <jane@acme.test>'),
        ("x@evil.test", '"x@evil.test" <jane@acme.test>'),
        ("Jörg", "=?utf-8?q?J=C3=B6rg?= <jane@acme.test>"),
        ("=?utf-8?q?x?=", "=?utf-8?q?=3D=3Futf-8=3Fq=3Fx=3F=3D?= <jane@acme.test>"),
    ],
)
def test_a_display_name_is_quoted_or_encoded_as_it_needs(name: str, written: str) -> None:
    assert format_mailbox(name, JANE) == written


def test_an_international_domain_goes_out_in_ascii() -> None:
    assert format_mailbox("", parse_address("a@bücher.de")) == "<a@xn--bcher-kva.de>"


def test_long_fields_are_folded_at_spaces_and_unfold_to_the_same() -> None:
    field = "References: " + " ".join(f"<{number:030}@acme.test>" for number in range(12))
    folded = fold(field)

    assert all(len(line) <= 76 for line in folded.split("\r\n"))
    assert folded.replace("\r\n", "") == field


def test_the_first_word_stays_beside_the_field_name() -> None:
    assert fold(f"Message-ID: <{'x' * 100}@acme.test>").count("\r\n") == 0


def test_a_date_has_a_numeric_zone() -> None:
    assert format_date(datetime(2026, 6, 1, 9, 30, tzinfo=UTC)) == "Mon, 01 Jun 2026 09:30:00 +0000"
    assert format_date(datetime(2026, 6, 1, 9, 30, tzinfo=timezone(timedelta(hours=-3)))).endswith(" -0300")


def test_a_date_without_zone_is_a_bug() -> None:
    with pytest.raises(ValueError, match="aware"):
        format_date(datetime(2026, 6, 1))


def test_a_message_id_ends_in_the_senders_domain() -> None:
    assert message_id("01hzy3.x-1", "Bücher.de") == "<01hzy3.x-1@xn--bcher-kva.de>"


@pytest.mark.parametrize(
    ("random", "domain"),
    [
        ("x", "localhost"),
        ("x", "acme"),
        ("", "acme.test"),
        ("a b", "acme.test"),
        ("a>", "acme.test"),
        ("a\r\n", "acme.test"),
    ],
)
def test_a_message_id_that_nobody_owns_or_can_read_is_refused(random: str, domain: str) -> None:
    with pytest.raises(InvalidInput):
        message_id(random, domain)


@pytest.mark.parametrize("text", ["", "a@b", "<>", "<a b>", "<a@b>\r\nBcc: x", "<a@b><c@d>", "<ü@b>", f"<{'a' * 900}>"])
def test_an_echoed_message_id_must_be_well_formed(text: str) -> None:
    with pytest.raises(InvalidInput):
        check_message_id(text, "in_reply_to")


def test_message_ids_are_found_in_a_received_header_and_rubbish_is_dropped() -> None:
    received = "<one@a.test>\r\n\t<two@b.test><three>  garbage <[ <four@c.test"

    assert find_message_ids(received) == ("<one@a.test>", "<two@b.test>", "<three>")


def test_references_keep_the_first_and_the_latest() -> None:
    ids = [f"<{number}@a.test>" for number in range(30)]

    assert trim_references(ids, 5) == (ids[0], *ids[26:])
    assert trim_references(ids[:3], 5) == tuple(ids[:3])
    assert trim_references([], 5) == ()


def test_a_repeated_reference_counts_once_beside_its_reply() -> None:
    assert trim_references(["<a>", "<b>", "<c>", "<b>", "<a>"], 9) == ("<a>", "<c>", "<b>")


@pytest.mark.parametrize(
    ("subject", "reply"),
    [
        ("Quick question", "Re: Quick question"),
        ("Re: Quick question", "Re: Quick question"),
        ("RE: re : Re[2]: Quick question", "Re: Quick question"),
        (" re:Quick question", "Re: Quick question"),
        ("Regarding: x", "Re: Regarding: x"),
        ("", "Re: "),
    ],
)
def test_a_reply_has_its_prefix_once(subject: str, reply: str) -> None:
    assert reply_subject(subject) == reply
    assert reply_subject(reply) == reply


@pytest.mark.parametrize(
    "uri",
    [
        "http://a.test/u",
        "javascript:x",
        "https://a.test/u>,<mailto:x@y.test",
        "https://a.test/ü",
        "mailto:a@b.test\r\nBcc: c",
        "https://a.test/ u",
        "https:",
        "https://a.test/" + "x" * 900,
    ],
)
def test_only_clean_https_and_mailto_uris_stand_in_list_unsubscribe(uri: str) -> None:
    with pytest.raises(InvalidInput):
        check_list_uri(uri, "list_unsubscribe")
