"""HTML without what a reader would not see, before anything else is taken out of it."""

import pytest

from postrider.content.html import html_to_text, sanitise_html, seen_html

HIDDEN = [
    '<p>Hi</p><div style="display:none">SECRET</div>',
    '<p>Hi</p><span style="font-size:0px">SECRET</span>',
    '<p>Hi</p><font color="#ffffff">SECRET</font>',
    "<p>Hi</p><div hidden>SECRET <b>SECRET</b></div>",
    '<p>Hi</p><p style="position:absolute;left:-9999px">SECRET</p>',
    "<style>.x{display:none}</style><p>Hi</p><p class=x>SECRET</p>",
    '<p>Hi</p><div style="visibility:hidden"><table><tr><td>SECRET</td></tr></table></div>',
    '<div style="background:#fff"><p style="color:white">SECRET</p><p>Hi</p></div>',
]


@pytest.mark.parametrize("html", HIDDEN)
def test_hidden_parts_are_gone_from_the_html_too(html: str) -> None:
    seen = sanitise_html(seen_html(html))
    assert "SECRET" not in seen
    assert "Hi" in seen
    assert "SECRET" in sanitise_html(html), "it is not the cleaning that took it out"


@pytest.mark.parametrize("html", ["<p>Hi <b>you</b></p>", "plain", "", '<p style="color:red">Hi</p>', "<p>open"])
def test_html_that_hides_nothing_is_left_as_it_is(html: str) -> None:
    assert seen_html(html) == html


def test_hostile_html_is_left_to_the_cleaning() -> None:
    html = "<div>" * 2_000 + '<p style="display:none">SECRET</p>'
    assert seen_html(html) == html
    assert html_to_text(sanitise_html(html)).strip() in ("", "SECRET")
