import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given, settings
from hypothesis import strategies as st

from postrider.content.addresses import (
    Address,
    is_freemail,
    normalise_email,
    parse_address,
    parse_domain,
    registrable_domain,
)
from postrider.kernel.errors import InvalidInput


@pytest.mark.parametrize(
    "text",
    [
        "alice@ok.test]<bob@evil.test>",
        "alice@example.org]<bob@example.com>",
        "a@x.com, b@y.com",
        "a@x.com;b@y.com",
        "a@x.com b@y.com",
        "Alice <a@x.com>",
        "<a@x.com>",
        "a@x.com>\r\nRCPT TO:<b@y.com",
        "a@x.com\r\nBcc: b@y.com",
        "a@x.com\n",
        "a@x.com\t",
        "a@x.com\x00",
        "a\x85@x.com",
        '"a b"@x.com',
        '"a@b"@x.com',
        "a(comment)@x.com",
        "a@(comment)x.com",
        "friends:a@x.com;",
        "a%evil.com@x.com",
        "evil.com!a@x.com",
        "@relay.com:a@x.com",
        "a@b@x.com",
        "a@[127.0.0.1]",
        "a@[IPv6:::1]",
        "a@x.com.",
        "a@.x.com",
        "a@x..com",
        "a..b@x.com",
        ".a@x.com",
        "a.@x.com",
        "a@-x.com",
        "a@x-.com",
        "a@x_y.com",
        "a@localhost",
        "a@test",
        "a@mail.local",
        "a@x.invalid",
        "a@127.0.0.1",
        "a@x.123",
        "a＠x.com",
        "a\\@x.com",
        "a|b@x.com",
        "a`id`@x.com",
        "a@x.com\u202e",
        "a\u200b@x.com",
        "a\ud800@x.com",
        "a@x\ud800.com",
        "@x.com",
        "a@",
        "a",
        "",
        "   ",
        "a" * 65 + "@x.com",
        "a@" + "x" * 64 + ".com",
        "a" * 60 + "@" + "x." * 96 + "com",
        "ü" * 60 + "@" + "bü.".join([""] * 60) + "com",
    ],
)
def test_what_is_not_one_plain_address_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_address(text, "replyTo")

    assert caught.value.field == "replyTo"
    assert caught.value.message.startswith("replyTo ")


def test_a_refusal_does_not_repeat_what_was_given() -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_address("ignore all rules <mallory@evil.test>")

    assert "mallory" not in caught.value.message
    assert "evil.test" not in caught.value.message


def test_the_domain_is_lowered_and_the_local_part_is_kept_as_written() -> None:
    address = parse_address("  Jane.Doe+news@Mail.ACME.com ")

    assert address == Address("Jane.Doe+news", "mail.acme.com", "mail.acme.com")
    assert address.text == address.wire == "Jane.Doe+news@mail.acme.com"
    assert address.key == "jane.doe+news@mail.acme.com"


@pytest.mark.parametrize("text", ["o'neil@x.com", "a_b-c=d@x.com", "1@x.io", "a&b@x.co.uk", "a/b@x.com", "a@b.test"])
def test_unusual_but_sound_addresses_are_accepted(text: str) -> None:
    assert parse_address(text).text == text


def test_every_spelling_of_an_international_domain_has_one_key() -> None:
    spellings = [
        "Info@BÜCHER.de",
        "info@bücher.de",
        "info@xn--bcher-kva.de",
        "INFO@XN--BCHER-KVA.DE",
        "info@bu\u0308cher.de",
    ]

    assert {normalise_email(text) for text in spellings} == {"info@xn--bcher-kva.de"}
    assert {parse_address(text).domain for text in spellings} == {"bücher.de"}


def test_a_look_alike_domain_has_another_key() -> None:
    assert normalise_email("a@аpple.com") != normalise_email("a@apple.com")
    assert parse_address("a@аpple.com").wire.isascii()


def test_only_a_non_ascii_local_part_needs_smtputf8() -> None:
    assert parse_address("jörg@bücher.de").needs_smtputf8
    assert parse_address("jörg@bücher.de").wire == "jörg@xn--bcher-kva.de"
    assert not parse_address("joerg@bücher.de").needs_smtputf8


@given(
    st.text(st.sampled_from("aZ0_+=.-'&ü"), max_size=8),
    st.text(st.sampled_from("aZ09.-x_üߥ"), max_size=12),
    st.sampled_from([".com", ".co.uk", ".test", ".local", ".1", "", ".c", ".xn--p1ai", ".onion", ".c-m"]),
)
@settings(max_examples=2_000, deadline=None)
def test_the_fast_way_and_the_library_agree(local: str, domain: str, ending: str) -> None:
    text = f"{local}@{domain}{ending}"
    try:
        found = parse_address(text)
    except InvalidInput:
        found = None
    try:
        valid = validate_email(text, check_deliverability=False, test_environment=True)
    except (EmailNotValidError, UnicodeError):
        valid = None
    if valid is not None and "." not in valid.domain:
        valid = None

    assert (found is None) == (valid is None)
    if found is not None and valid is not None:
        assert (found.domain, found.ascii_domain) == (valid.domain, valid.ascii_domain)
        assert found.local.lower() == valid.local_part.lower()


@given(st.emails())
@settings(max_examples=500, deadline=None)
def test_a_key_is_its_own_key(text: str) -> None:
    try:
        key = normalise_email(text)
    except InvalidInput:
        return  # st.emails() also makes what RFC 5322 allows and we refuse

    assert normalise_email(key) == key


@pytest.mark.parametrize(
    ("text", "domain"),
    [("ACME.com", "acme.com"), ("bücher.de", "xn--bcher-kva.de"), (" mail.acme.test ", "mail.acme.test")],
)
def test_a_mail_domain_becomes_its_ascii_form(text: str, domain: str) -> None:
    assert parse_domain(text) == domain


@pytest.mark.parametrize(
    "text", ["localhost", "acme", "a@acme.com", "https://acme.com", "acme.com/x", "", "a b.com", "a.com\n"]
)
def test_what_is_not_a_mail_domain_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_domain(text, "trackingDomain")


@pytest.mark.parametrize(
    ("domain", "registrable"),
    [
        ("acme.com", "acme.com"),
        ("mail.acme.com", "acme.com"),
        ("a.b.acme.co.uk", "acme.co.uk"),
        ("Mail.ACME.de.", "acme.de"),
        ("acme.github.io", "acme.github.io"),
        ("www.acme.github.io", "acme.github.io"),
        ("mx.corp.test", "corp.test"),
        ("corp.test", "corp.test"),
        ("co.uk", "co.uk"),
        ("mail.xn--bcher-kva.de", "xn--bcher-kva.de"),
    ],
)
def test_a_company_is_told_by_its_registrable_domain(domain: str, registrable: str) -> None:
    assert registrable_domain(domain) == registrable


def test_public_mail_providers_are_no_companies() -> None:
    assert all(is_freemail(domain) for domain in ("gmail.com", "GMAIL.com", "yahoo.co.uk", "vip.qq.com", "sub.gmx.de"))
    assert not any(is_freemail(domain) for domain in ("acme.com", "notgmail.com", "gmail.com.evil.test", "yahoo.test"))
