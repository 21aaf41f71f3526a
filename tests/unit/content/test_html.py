import time
from collections.abc import Callable

import pytest
from selectolax.lexbor import LexborHTMLParser

from postrider.content.html import (
    hidden_text,
    html_from_reachkit,
    html_to_text,
    looks_like_html,
    plain_to_html,
    sanitise_html,
    sanitise_reachkit_html,
)

ATTACKS = [
    "<script>alert(1)</script>",
    "<scr<script>ipt>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<p onclick=alert(1)>x</p>",
    "<svg onload=alert(1)><script>alert(1)</script></svg>",
    "<svg><a xlink:href='javascript:alert(1)'>x</a></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href=' java\tscript:alert(1)'>x</a>",
    "<a href='&#106;avascript:alert(1)'>x</a>",
    "<a href='vbscript:x'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<img src='data:image/svg+xml,<svg onload=alert(1)>'>",
    "<iframe src='https://evil.test'></iframe>",
    "<object data='x'></object><embed src='x'>",
    "<form action='https://evil.test'><input name=q><button>go</button></form>",
    "<style>@import 'https://evil.test/x.css'; p{background:url(https://evil.test)}</style>",
    "<p style='background:url(https://evil.test/x)'>x</p>",
    "<p style='background-color:url(https://evil.test/x)'>x</p>",
    "<p style='width:expression(alert(1))'>x</p>",
    "<p style='position:fixed;top:0'>x</p>",
    "<base href='https://evil.test'><meta http-equiv=refresh content='0;url=https://evil.test'>",
    "<link rel=stylesheet href='https://evil.test/x.css'>",
    "<!--[if mso]><script>alert(1)</script><![endif]-->",
    "<a href='{{x|javascript:alert(1)}}'>x</a>",
    "<a href='{{x|}}javascript:alert(1)'>x</a>",
    "<a href='{{x|data:text/html,1}}'>x</a>",
    "{{x|<script>alert(1)</script>}}",
    "<a href='{{x|\" onmouseover=\"alert(1)}}'>x</a>",
    "<a title='{{x|' onmouseover='alert(1)}}'>x</a>",
    "<p>{{a</p><script>alert(1)</script>}}",
    "_tag1x0z_ <a href='{{x}}'>&#95;tag2x0z_ &#95;tag2x7z_</a><script>alert(1)</script>",
]
ACTIVE_TAGS = "script,style,iframe,object,embed,form,input,button,svg,math,base,meta,link,noscript,template"


@pytest.mark.parametrize("html", ATTACKS)
@pytest.mark.parametrize("sanitise", [sanitise_html, sanitise_reachkit_html])
def test_nothing_active_survives(html: str, sanitise: Callable[[str], str]) -> None:
    body = LexborHTMLParser(sanitise(html)).body
    assert body is not None

    assert body.css(ACTIVE_TAGS) == []
    for node in body.css("*"):
        for name, value in node.attributes.items():
            assert not name.startswith("on")
            assert "script:" not in (value or "").lower().replace("\t", "")
            assert "data:" not in (value or "")
            assert "url(" not in (value or "")
            assert "position" not in (value or "")


@pytest.mark.parametrize("html", ATTACKS)
def test_sanitising_twice_changes_nothing_more(html: str) -> None:
    assert sanitise_html(sanitise_html(html)) == sanitise_html(html)


@pytest.mark.parametrize(
    "html",
    [
        "<p>Hi {{firstName|there}}, {Hello|Hi|Hey {you|there}} \\{{literal}}</p>",
        '<p>{{#if industry equals "SaaS"}}a{{else}}b{{/if}} {{IF x contains "y"}}z{{ENDIF}} {{SPINTAX|a|b}}</p>',
        '<a href="{{website}}">site</a>',
        '<a href="https://{{domain|acme.com}}/p?q={{email}}&amp;x=1">site</a>',
        '<a href="{{#if website}}https://a.test{{else}}https://b.test{{/if}}">x</a>',
        '<a href="mailto:{{senderEmail}}">x</a>',
        '<img src="https://cdn.test/{{ First Name }}.png" alt="{{companyName}}">',
        '<p style="color:#333">{{cond:intro}}</p>',
        '<a href="{{unsubscribe_url}}">Unsubscribe</a>',
        '<p style="color:red;text-align:center">x</p>',
        '<table width="100%"><tbody><tr><td colspan="2">x</td></tr></tbody></table>',
        '<a target="_blank" rel="noopener noreferrer nofollow" href="https://a.test">x</a>',
        "<p></p><p>a<br>b</p><ul><li><p>x</p></li></ul><h2>y</h2><blockquote><p>q</p></blockquote><hr>",
    ],
)
def test_an_editors_html_and_its_template_tags_stay_as_they_are(html: str) -> None:
    assert sanitise_html(html) == html


def test_an_unquoted_address_with_a_template_tag_is_kept_whole() -> None:
    assert sanitise_html("<a href={{ web site }}>x</a>") == '<a href="{{ web site }}">x</a>'


def test_text_in_a_template_tag_is_cleaned_like_any_other() -> None:
    assert sanitise_html("<p>{{company|R&D}}</p>") == "<p>{{company|R&amp;D}}</p>"
    assert "<img" not in sanitise_html("<p>{{x|&lt;img src=y&gt;}}</p>")


def test_a_reachkit_body_keeps_five_tags_and_its_lines() -> None:
    html = (
        "<p>Hi <strong>Bob</strong>,</p>\n"
        '<p>see <a href="https://a.test" style="color:red">this</a><br>and <em>that</em></p><ul><li>x</li></ul>'
    )

    assert (
        sanitise_reachkit_html(html) == 'Hi <b>Bob</b>,\n\nsee <a href="https://a.test">this</a>\nand <i>that</i>\n\nx'
    )


def test_a_reachkit_body_without_blocks_keeps_its_own_line_breaks() -> None:
    assert (
        sanitise_reachkit_html("Hi {{first_name|there}},\n\n<b>one</b>\ntwo")
        == "Hi {{first_name|there}},\n\n<b>one</b>\ntwo"
    )


def test_a_reachkit_body_survives_the_way_there_and_back() -> None:
    body = 'Hi <b>Bob</b>,\n\none\ntwo <a href="{{website}}">x</a>'

    assert html_from_reachkit(body) == '<p>Hi <b>Bob</b>,</p><p>one<br>two <a href="{{website}}">x</a></p>'
    assert sanitise_reachkit_html(html_from_reachkit(body)) == body


def test_plain_text_becomes_paragraphs() -> None:
    text = "Hi {{firstName}},\r\n\r\nR&D <3\nline two\n \n\nBye"

    assert plain_to_html(text) == "<p>Hi {{firstName}},</p><p>R&amp;D &lt;3<br>line two</p><p>Bye</p>"
    assert plain_to_html(" \n ") == ""


@pytest.mark.parametrize(
    "text", ["<p>x</p>", "a<br>b", "a<br/>b", '<a href="x">y</a>', "<!-- c -->", "<!DOCTYPE html>", "</div>", "<B>x"]
)
def test_html_is_recognised(text: str) -> None:
    assert looks_like_html(text)


@pytest.mark.parametrize(
    "text", ["Hello", "a < b > c", "<jane@acme.com>", "Vec<u8>", "<a@b.test>", "x <- y", "1<p", "{{a}}", "<3"]
)
def test_plain_text_is_not_taken_for_html(text: str) -> None:
    assert not looks_like_html(text)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One</p><p>Two<br>three</p>", "One\n\nTwo\nthree"),
        ("<p>a <b>bold</b>, <i>it</i>alic</p>", "a bold, italic"),
        ("  lots \n of\t space&nbsp;here ", "lots of space here"),
        ('<a href="https://acme.test/x?a=1&amp;b=2">our page</a>.', "our page (https://acme.test/x?a=1&b=2)."),
        ('<a href="https://www.acme.test/">acme.test</a>', "acme.test"),
        ('<a href="https://acme.test"><img src="x" alt="Logo"></a>', "Logo (https://acme.test)"),
        ('<a href="https://acme.test"><img src="x"></a>', "https://acme.test"),
        (
            '<a href="mailto:a@b.test?subject=x">a@b.test</a> <a href="mailto:a@b.test">write</a>',
            "a@b.test write (a@b.test)",
        ),
        ('<a href="#top">up</a> <a href="javascript:x">no</a> <a>none</a>', "up no none"),
        ("<ul><li>one</li><li><p>two</p><p>more</p></li></ul><p>end</p>", "- one\n- two\n  more\n\nend"),
        ('<ol start="3"><li>a<ul><li>b</li></ul></li><li>c</li></ol>', "3. a\n   - b\n4. c"),
        ("<p>x</p><blockquote><p>q</p><p>r</p></blockquote><p>y</p>", "x\n\n> q\n>\n> r\n\ny"),
        ("<pre>a\n  b\n\nc</pre>", "a\n  b\n\nc"),
        ("<table><tr><th>A</th><th>B</th></tr><tr><td>1</td><td>2</td></tr></table>", "A B\n1 2"),
        ("a<hr>b", "a\n--------------------\nb"),
        ("<h1>T</h1><div>a</div><div>b</div>", "T\n\na\nb"),
        ("a<br><br><br><br>b<br>", "a\n\nb"),
        ("<html><head><title>t</title><style>x{}</style></head><body>b<script>s</script><!-- c --></body></html>", "b"),
        ('<p>x</p><img src="https://t.test/o" width="1" height="1" alt="pixel">', "x"),
        ("&lt;b&gt; &amp;amp;", "<b> &amp;"),
        ("", ""),
        ("<frameset></frameset>", ""),
        ("<li>stray", "- stray"),
        ("<table><a href='https://a.test'>x<a href='https://b.test'>y</table>", "x (https://a.test)y (https://b.test)"),
    ],
)
def test_the_text_part_reads_like_the_page(html: str, text: str) -> None:
    assert html_to_text(html) == text


@pytest.mark.parametrize(
    "hide",
    [
        '<span style="display:none">SECRET</span>',
        '<span style="DISPLAY : none !important">SECRET</span>',
        '<span style="visibility:hidden">SECRET</span>',
        '<span style="opacity:0">SECRET</span>',
        '<span style="font-size:0px">SECRET</span>',
        '<span style="font-size:.5px">SECRET</span>',
        '<span style="color:#fff">SECRET</span>',
        '<font color="white">SECRET</font>',
        '<div style="background:#000"><p style="color:rgb(0, 0, 0)"><b>SECRET</b></p></div>',
        '<td bgcolor="#FFFFFF"><span style="color:#ffffff">SECRET</span></td>',
        '<div style="max-height:0;overflow:hidden">SECRET</div>',
        '<div style="position:absolute;left:-9999px">SECRET</div>',
        '<div style="text-indent:-9999px">SECRET</div>',
        '<div style="mso-hide:all">SECRET</div>',
        "<div hidden>SECRET</div>",
        "<style>.x, .y{display:none}</style><p class=y>SECRET</p>",
        "<style>a[[{display:none} /* } */ @media screen{.q{color:red}} .z{font-size:0}</style><p class=z>SECRET</p>",
    ],
)
def test_what_a_reader_cannot_see_is_not_in_the_text_but_can_be_asked_for(hide: str) -> None:
    html = f"<p>seen</p>{hide}<p>also</p>"

    assert html_to_text(html) == "seen\n\nalso"
    assert hidden_text(html) == "SECRET"


@pytest.mark.parametrize(
    "html",
    [
        '<div style="background:#000;color:#fff">seen</div>',
        '<div style="background:url(x);color:#fff">seen</div>',
        '<p style="color:#eee"><span style="color:#333">seen</span></p>',
        '<p style="font-size:10px;opacity:.9;height:0">seen</p>',
        "<style>@media print{.m{display:none}}</style><p class=m>seen</p>",
    ],
)
def test_what_a_reader_can_see_stays(html: str) -> None:
    assert html_to_text(html) == "seen"
    assert hidden_text(html) == ""


HOSTILE = {
    "open elements": "<div>" * 100_000,
    "elements with false ends": "<div></x>" * 60_000,
    "attributes": "<a " + " ".join(f"a{number}" for number in range(60_000)) + ">x",
    "attributes behind a quoted bracket": '<a title=">" ' + " ".join(f"a{number}" for number in range(60_000)) + ">x",
    "style sheet without rules": "<style>" + "a" * 400_000 + "</style>x",
    "style sheet of comments": "<style>" + "/*" * 200_000 + "</style>x",
    "template tags": "{{data" * 80_000,
    "words like our placeholders": "".join(f"tag{number}x" for number in range(40_000)) + "{{a}}",
    "angle brackets": "<" * 400_000,
    "anchors": "<a '\"" * 80_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_html_takes_no_quadratic_time(name: str) -> None:
    html, start = HOSTILE[name], time.perf_counter()
    for work in (sanitise_html, html_to_text, hidden_text, looks_like_html):
        work(html)

    assert time.perf_counter() - start < 5  # quadratic: 10 seconds and more


def test_html_beyond_all_bounds_is_reduced_to_its_text() -> None:
    html = "<div>" * 5_000 + "<p onclick=x>Hello &amp; bye</p>"

    assert html_to_text(html) == "Hello & bye"
    assert sanitise_html(html) == "<p>Hello &amp; bye</p>"
