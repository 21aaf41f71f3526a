"""Any bytes become a ParsedMail: what a person would read in them, with caps that are named when they cut."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from postrider.inbox.parsing import Attachment, ParseLimits, parse_mail
from postrider.inbox.parsing_clean import visible_line, visible_text
from postrider.inbox.parsing_headers import decode_charset, decode_parameters, decode_words, parse_mailbox
from postrider.inbox.parsing_reply import new_text
from tests.unit.inbox.mail_corpus import NAMES, read_mail, write_mail


def test_a_gmail_reply_is_read_with_its_thread_and_without_its_quote() -> None:
    mail = parse_mail(read_mail("reply_gmail"))
    assert (mail.from_address, mail.from_name, mail.to) == ("bob@buyer.test", "Bob Carter", ("ann@acme.test",))
    assert mail.message_id == "<CAF1@mail.buyer.test>"
    assert mail.in_reply_to == ("<first-1@acme.test>",)
    assert mail.references == ("<seed-1@acme.test>", "<first-1@acme.test>")
    assert mail.date == datetime(2026, 8, 4, 8, 12, 44, tzinfo=UTC)
    assert mail.return_path == "bob@buyer.test"
    assert mail.new_text == "Hi Ann,\n\nthis sounds interesting – can we talk on Thursday?\n\nBob"
    assert mail.html is not None and "<script" not in mail.html and "alert" not in mail.html
    assert mail.defects == ()


def test_an_outlook_reply_in_html_alone_gets_text_and_loses_the_mail_below_it() -> None:
    mail = parse_mail(read_mail("reply_outlook_html"))
    assert mail.subject == "AW: Weniger Leerfahrten für Köln"
    assert (mail.from_name, mail.from_address) == ("Weber, Clara", "clara.weber@kunde.test")
    assert mail.cc == ("chef@kunde.test", "ann@acme.test")
    assert "haben Sie Bedarf?" in mail.text
    assert mail.new_text.endswith("kein Interesse. Schöne Grüße")


def test_attachments_are_named_harmlessly_and_measured_decoded() -> None:
    mail = parse_mail(read_mail("attachments"))
    assert mail.text == "The plan is attached."
    assert mail.attachments == (
        Attachment("Plan für Köln.pdf", "application/pdf", 8),
        Attachment("passwd.exe", "application/octet-stream", 3),
        Attachment("attachment", "message/rfc822", 57),
    )


def test_characters_that_nobody_sees_are_gone_from_name_subject_and_text() -> None:
    mail = parse_mail(read_mail("hidden_characters"))
    assert (mail.from_name, mail.subject, mail.text) == ("Ann Lee", "Re: hello", "Yes, please. Thanks")


@pytest.mark.parametrize("name", NAMES)
def test_line_ends_make_no_difference(name: str) -> None:
    unix = read_mail(name)
    one, other = parse_mail(unix), parse_mail(unix.replace(b"\n", b"\r\n"))
    assert replace(one, attachments=()) == replace(other, attachments=())
    assert [file.filename for file in one.attachments] == [file.filename for file in other.attachments]


def test_a_thousand_nested_multiparts_are_cut_at_the_depth_limit() -> None:
    levels = (f"Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n" for n in range(1000))
    mail = parse_mail(("From: a@b.test\r\n" + "".join(levels) + "\r\ndeep").encode())
    assert mail.from_address == "a@b.test"
    assert "depth_cut" in mail.defects


def test_endless_recipients_and_references_are_cut_and_the_headers_behind_them_still_read() -> None:
    to = ", ".join(f"u{n}@x.test" for n in range(20_000))
    references = " ".join(f"<{n}@x.test>" for n in range(200_000))
    raw = f"To: {to}\r\nReferences: {references}\r\nMessage-ID: <1@b.test>\r\nFrom: a@b.test\r\n\r\nhi"
    mail = parse_mail(raw.encode())
    assert (len(mail.to), len(mail.references)) == (200, 200)
    assert mail.references[0] == "<0@x.test>"
    assert (mail.message_id, mail.from_address, mail.text) == ("<1@b.test>", "a@b.test", "hi")
    assert {"to_cut", "references_cut", "headers_cut"} <= set(mail.defects)


def test_fifty_thousand_parts_are_cut_at_the_limit() -> None:
    head = b"From: a@b.test\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    mail = parse_mail(head + b"--b\r\n\r\nx\r\n" * 50_000)
    assert mail.text.count("x") == 499
    assert "parts_cut" in mail.defects


def test_a_broken_message_id_counts_as_none() -> None:
    mail = parse_mail(write_mail(message_id="<["))
    assert mail.message_id is None
    assert "message_id_invalid" in mail.defects


def test_an_unknown_charset_is_read_as_utf_8_or_else_as_windows_1252() -> None:
    head = b"From: a@b.test\r\nContent-Type: text/plain; charset=bogus-9\r\n\r\n"
    assert parse_mail(head + "Grüße".encode()).text == "Grüße"
    mail = parse_mail(head + "Grüße".encode("cp1252"))
    assert mail.text == "Grüße"
    assert "charset_unknown" in mail.defects


@pytest.mark.parametrize(
    "charset", ["punycode", "idna", "unicode_escape", "raw_unicode_escape", "undefined", "zlib", "a" * 5000, "x\0y"]
)
def test_codecs_that_are_no_charset_of_mail_are_refused(charset: str) -> None:
    assert decode_charset(b"plain", charset) == ("plain", False)


def test_many_fields_and_one_huge_field_are_cut_but_the_body_is_found() -> None:
    mail = parse_mail(b"From: a@b.test\r\n" + b"X-A: b\r\n" * 100_000 + b"\r\nbody")
    assert (mail.from_address, mail.text) == ("a@b.test", "body")
    assert "headers_cut" in mail.defects
    assert parse_mail(b"X-A: " + b"b" * 3_000_000 + b"\r\nFrom: a@b.test\r\n\r\nbody").from_address == "a@b.test"


def test_a_message_longer_than_the_cap_is_cut_and_says_so() -> None:
    mail = parse_mail(write_mail("x" * 5000), replace(ParseLimits(), message_bytes=1000))
    assert "message_cut" in mail.defects
    assert 0 < len(mail.text) < 1000


def test_long_text_is_cut_and_says_so() -> None:
    mail = parse_mail(write_mail("word " * 1000), replace(ParseLimits(), text_chars=100))
    assert len(mail.text) <= 100
    assert "text_cut" in mail.defects


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("alice@example.org]<bob@example.com>", None),
        ("alice@example.org <bob@example.com>", None),
        ("<alice@example.org> <bob@example.com>", None),
        ('"alice@example.org" <bob@example.com>', "bob@example.com"),
        ("bob@example.com <bob@example.com>", "bob@example.com"),
        ("bob@example.com (Bob)", "bob@example.com"),
        ("J. Doe <j.doe@example.com>", "j.doe@example.com"),
        ("alice@example.org, bob@example.com", None),
        ("bob", None),
        ("<>", None),
        ("", None),
    ],
)
def test_the_author_is_one_strictly_parsed_address_or_nobody(value: str, address: str | None) -> None:
    assert parse_mail(write_mail(**{"from": value})).from_address == address


def test_two_from_headers_mean_no_author() -> None:
    mail = parse_mail(b"From: bob@buyer.test\r\n" + write_mail())
    assert mail.from_address is None
    assert "from_invalid" in mail.defects


def test_groups_are_opened_and_broken_addresses_left_out() -> None:
    mail = parse_mail(write_mail(to='Team: "Lee, Ann" <ann@acme.test>, not an address, kim@acme.test;'))
    assert mail.to == ("ann@acme.test", "kim@acme.test")
    assert parse_mail(write_mail(to="undisclosed-recipients:;")).to == ()


def test_a_name_may_stand_in_a_comment_or_in_encoded_words() -> None:
    commented, encoded = (
        parse_mailbox("bob@buyer.test (Bob C.)"),
        parse_mailbox("=?utf-8?q?B=C3=B6b?= <bob@buyer.test>"),
    )
    assert commented is not None and commented.name == "Bob C."
    assert encoded is not None and encoded.name == "Böb"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("=?utf-8?b?w4Q=?= =?utf-8?b?w5Y=?= x", "ÄÖ x"),
        ("=?utf-8?b?ww==?= =?utf-8?b?hA==?=", "Ä"),
        ("a =?iso-8859-1*de?q?=E4_b?= c", "a ä b c"),
        ("=?nonsense-7?q?a?=", "a"),
        ("=?utf-8?x?a?=", "=?utf-8?x?a?="),
        ("=?utf-8?b?!!!?=", ""),
        ("plain", "plain"),
    ],
)
def test_encoded_words_are_decoded_and_anything_else_is_left_alone(value: str, text: str) -> None:
    assert decode_words(value) == text


def test_parameters_may_be_quoted_split_and_percent_encoded() -> None:
    assert decode_parameters('a/b; name="x; \\"y\\""; Charset=UTF-8; flag') == {"name": 'x; "y"', "charset": "UTF-8"}
    assert decode_parameters("a/b; n*1*=%C3%9F; n*0*=utf-8''a%20") == {"n": "a ß"}


def test_folded_ids_are_joined_and_a_bare_one_gets_its_brackets() -> None:
    assert parse_mail(write_mail(in_reply_to="<abc\r\n def@x.test>")).in_reply_to == ("<abcdef@x.test>",)
    assert parse_mail(write_mail(message_id="abc@x.test")).message_id == "<abc@x.test>"


@pytest.mark.parametrize(
    "value", ["yesterday", "Mon, 99 Foo 2026 99:99:99", "31 Dec 9999 23:59:00 -2359", "\0", "9" * 50]
)
def test_a_date_that_cannot_be_read_is_none(value: str) -> None:
    mail = parse_mail(write_mail(date=value))
    assert mail.date is None
    assert "date_invalid" in mail.defects


def test_the_null_return_path_differs_from_an_absent_one() -> None:
    assert parse_mail(write_mail(return_path="<>")).return_path == ""
    assert parse_mail(write_mail()).return_path is None


def test_the_headers_of_machines_are_kept_for_classification() -> None:
    signals = parse_mail(
        write_mail(
            auto_submitted="Auto-Replied (vacation)",
            x_autoreply="yes",
            x_autorespond="no",
            precedence="Bulk",
            list_unsubscribe="<https://x.test/u>, <mailto:leave@x.test?subject=bye>",
        )
    ).signals
    assert signals.auto_submitted == "auto-replied (vacation)"
    assert signals.auto_reply == ("x-autoreply",)
    assert signals.precedence == "bulk"
    assert signals.list_unsubscribe_mailto == ("leave@x.test",)


def test_visible_text_keeps_line_breaks_tabs_and_every_script() -> None:
    assert visible_text("a\tb\r\nc\rd\u2028é 日本 עברית") == "a\tb\nc\nd\né 日本 עברית"
    assert visible_line(" a\n b\u202e ", 10) == "a b"


_GMAIL = "On Mon, Aug 3, 2026 at 9:14 AM Ann Lee <ann@acme.test>\nwrote:\n\n> Hello\n> one?"


@pytest.mark.parametrize(
    ("text", "own"),
    [
        (f"Yes.\n\n{_GMAIL}", "Yes."),
        ("No.\n\n________________________________\nFrom: Ann\nSent: Monday\nTo: Bob\nSubject: Q\n\nHi", "No."),
        ("No.\n\nFrom: Ann Lee <ann@acme.test>\nDate: Monday\nTo: Bob\nSubject: Q\n\nHi", "No."),
        ("Nein.\n\nVon: Ann\nGesendet: Montag\nAn: Bob\nBetreff: Q\n\nHallo", "Nein."),
        ("Non.\n\nDe : Ann\nEnvoyé : lundi\nÀ : Bob\nObjet : Q\n\nBonjour", "Non."),
        ("No.\n\nDe: Ann\nEnviado el: lunes\nPara: Bob\nAsunto: Q\n\nHola", "No."),
        ("nein\n\n-----Ursprüngliche Nachricht-----\nVon: Ann\n\nHallo", "nein"),
        ("Gern!\n\nAm Mo., 3. Aug. 2026 um 09:14 schrieb Ann Lee <a@b.test>:\n\n> Hallo", "Gern!"),
        ("Oui\n\nLe lun. 3 août 2026 à 09:14, Ann Lee <a@b.test> a écrit :\n\n> Bonjour", "Oui"),
        ("Claro\n\nEl lun, 3 ago 2026 a las 9:14, Ann Lee (<a@b.test>) escribió:\n\n> Hola", "Claro"),
        ("On 3 Aug 2026, Ann wrote:\n> Hello\n\nBelow.", "Below."),
        ("On 3 Aug 2026, Ann wrote:\n> one?\nYes.\n> two?\nNo.", "Yes.\nNo."),
        ("Хорошо!\n\n5 янв. 2026 г., Ann <a@b.test> пишет:\nunsubscribe me", "Хорошо!"),
        ("Хорошо!\n\nпн, 5 янв. 2026 г. в 09:00, Ann Lee <a@b.test>:\nunsubscribe me", "Хорошо!"),
        ("Tak.\n\nW dniu 5.01.2026 o 09:00, Ann Lee pisze:\nunsubscribe me", "Tak."),
        ("はい\n\n2026年1月5日(月) 9:00 Ann Lee <a@b.test>:\nunsubscribe me", "はい"),
        (
            "In 2026 we grew.\nWrite to Bob <b@b.test>, he knows.",
            "In 2026 we grew.\nWrite to Bob <b@b.test>, he knows.",
        ),
        ("On my side all is fine.\nI wrote: nothing.", "On my side all is fine.\nI wrote: nothing."),
        ("Just this.\n\nBob", "Just this.\n\nBob"),
        ("> all of it\n> is quoted", "> all of it\n> is quoted"),
        ("", ""),
    ],
)
def test_only_the_words_of_the_sender_are_new_text(text: str, own: str) -> None:
    assert new_text(text) == own
