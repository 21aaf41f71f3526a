import string

import pytest

from postrider.content.links import (
    SigningKey,
    TrackedTarget,
    add_pixel,
    link_targets,
    open_target,
    rewrite_links,
    sign_target,
)

KEY = SigningKey("k1", b"0" * 32)
KEYS = {"k1": KEY.secret, "k2": b"1" * 32}
CLICK = TrackedTarget("click", "ws_a", "att_b", 3, "https://acme.test/pricing?a=1&b=ü")


def numbered(index: int, url: str) -> str:
    return f"https://t.test/{index}?a&b"


def test_web_links_are_led_through_the_tracker_in_order() -> None:
    html = '<p><a class="x" href="https://a.test/?p=1&amp;q=2">one</a> <A HREF=\'http://b.test\'>two</A> <a href=https://c.test>3</a></p>'

    assert link_targets(html) == ["https://a.test/?p=1&q=2", "http://b.test", "https://c.test"]
    assert rewrite_links(html, numbered) == (
        '<p><a class="x" href="https://t.test/0?a&amp;b">one</a> <A HREF="https://t.test/1?a&amp;b">two</A> '
        '<a href="https://t.test/2?a&amp;b">3</a></p>'
    )


@pytest.mark.parametrize(
    "html",
    [
        '<a href="mailto:a@b.test">x</a>',
        '<a href="tel:+123">x</a>',
        '<a href="#top">x</a>',
        '<a href="/relative">x</a>',
        '<a href="javascript:alert(1)">x</a>',
        '<a href="https://">x</a>',
        '<a name="x">y</a>',
        '<abbr href="https://a.test">x</abbr>',
        '<img src="https://a.test">',
        "https://a.test in text",
        '<a title=" href=https://a.test">x</a>',
        "<a href=",
    ],
)
def test_everything_else_is_left_alone(html: str) -> None:
    assert rewrite_links(html, numbered) == html
    assert link_targets(html) == []


def test_the_unsubscribe_link_keeps_its_address_and_takes_no_number() -> None:
    html = '<a href="https://m.test/u?a=1&amp;b=2">stop</a><a href="https://a.test">a</a>'
    keep = {"https://m.test/u?a=1&b=2"}

    assert rewrite_links(html, numbered, keep) == html.replace("https://a.test", "https://t.test/0?a&amp;b")
    assert link_targets(html, keep) == ["https://a.test"]


def test_the_href_is_found_behind_an_attribute_that_quotes_one() -> None:
    assert link_targets('<a title=\' href="https://no.test"\' href="https://yes.test">x</a>') == ["https://yes.test"]


def test_an_ampersand_in_an_address_is_not_taken_for_a_symbol() -> None:
    assert link_targets('<a href="https://a.test/?a=1&copy=2&amp;reg=3">x</a>') == ["https://a.test/?a=1&copy=2&reg=3"]


def test_a_tracking_address_cannot_leave_its_attribute() -> None:
    rewritten = rewrite_links('<a href="https://a.test">x</a>', lambda index, url: f'{url}"onclick="x')

    assert rewritten == '<a href="https://a.test&quot;onclick=&quot;x">x</a>'


def test_the_pixel_comes_last() -> None:
    pixel = '<img src="https://t.test/o?a&amp;b" width="1" height="1" alt="" style="display:none">'

    assert add_pixel("<p>x</p>", "https://t.test/o?a&b") == f"<p>x</p>{pixel}"
    assert add_pixel("<body>x</BODY ></html>", "https://t.test/o?a&b") == f"<body>x{pixel}</BODY ></html>"


def test_a_token_gives_back_what_was_signed() -> None:
    token = sign_target(KEY, CLICK)

    assert open_target(KEYS, token, "click") == CLICK
    assert set(token) <= set(string.ascii_letters + string.digits + "-_.")


def test_an_open_needs_no_target() -> None:
    opened = TrackedTarget("open", "ws_a", "att_b")

    assert open_target(KEYS, sign_target(KEY, opened), "open") == opened


def test_every_changed_character_of_a_token_makes_it_worthless() -> None:
    for number in range(20):
        token = sign_target(
            KEY, TrackedTarget("click", "ws_a", f"att_{number}", number, f"https://acme.test/{'x' * number}")
        )
        for position, old in enumerate(token):
            for new in {"A", "B", "_", ".", "1", "k", chr(ord(old) ^ 1), chr(ord(old) ^ 2)} - {old}:
                forged = token[:position] + new + token[position + 1 :]
                assert open_target(KEYS, forged, "click") is None


@pytest.mark.parametrize(
    "token", ["", ".", "1", "1k1", "1k1..", "1k1.W10.x", "2k1.a.b", "1k9.a.b", "ü.ü.ü", "1" * 9_000, "1k1.\ud800.x"]
)
def test_rubbish_is_not_a_token(token: str) -> None:
    assert open_target(KEYS, token, "click") is None


def test_a_token_is_good_for_one_purpose_only() -> None:
    assert open_target(KEYS, sign_target(KEY, CLICK), "open") is None


def test_a_token_of_another_or_a_retired_key_is_worthless() -> None:
    token = sign_target(KEY, CLICK)

    assert open_target({"k2": KEYS["k2"]}, token, "click") is None
    assert open_target({"k1": KEYS["k2"]}, token, "click") is None
    assert open_target({"k2": KEY.secret}, token.replace("1k1", "1k2"), "click") is None


def test_a_piece_of_a_longer_token_is_worthless() -> None:
    token = sign_target(KEY, CLICK)

    assert all(open_target(KEYS, token[:length], "click") is None for length in range(len(token)))
    assert open_target(KEYS, token + "A", "click") is None
    assert open_target(KEYS, token + "=", "click") is None


@pytest.mark.parametrize(
    "url", ["", "javascript:alert(1)", "//evil.test", "https://a.test/\r\nX: y", "ftp://a.test", "https://a b.test"]
)
def test_only_web_addresses_are_signed(url: str) -> None:
    with pytest.raises(ValueError, match="http"):
        sign_target(KEY, TrackedTarget("click", "ws_a", "att_b", 0, url))


@pytest.mark.parametrize("key_id", ["", "A", "a.b", "x" * 17])
def test_a_key_id_must_fit_into_a_token(key_id: str) -> None:
    with pytest.raises(ValueError, match="key"):
        sign_target(SigningKey(key_id, b"x"), CLICK)
