"""Values in links and attributes: no script, no broken-out attribute; and Loom videos."""

import pytest

from postrider.content.template import (
    Chooser,
    Condition,
    ConditionalVariable,
    Form,
    Operator,
    TemplateError,
    Values,
    compile_template,
)

CHOOSER = Chooser(b"seed", "cmp", "led", "stp", "A")
SCRIPT_LINKS = [
    "javascript:alert(1)",
    " JavaScript:alert(1)",
    "java\tscript:alert(1)",
    "java\nscript:alert(1)",
    "\x01javascript:alert(1)",
    "vbscript:x",
    "data:text/html,<script>",
    "file:///etc/passwd",
    "javascript&colon;alert(1):",
    "JaVaScRiPt&#58;alert(1)",
    "javascript&amp;#58;alert(1)",
    "//evil.test/script",
    " //evil.test/script",
    "/\t/evil.test/script",
    "\\\\evil.test/script",
    "/script",
    "script.example/a:b",
    "sms:+1script",
    "cid:script",
]


def render(source: str, form: Form = "html", **custom: str) -> tuple[str, tuple[str, ...]]:
    rendered = compile_template(source, form=form).render(Values.of({}, custom), CHOOSER)
    return rendered.text, rendered.missing


def written(source: str, **custom: str) -> tuple[str, tuple[str, ...]]:
    """The text, and the variables that would have made a link which no mail may have; nothing is missing."""
    rendered = compile_template(source, form="html").render(Values.of({}, custom), CHOOSER)
    assert rendered.missing == ()
    return rendered.text, rendered.bad_links


@pytest.mark.parametrize("url", SCRIPT_LINKS)
@pytest.mark.parametrize(
    "source",
    [
        '<a href="{{x}}">',
        "<a class='y' HREF = '{{x}}'>",
        '<img src=" {{x}}">',
        '<form action="&#32;{{x}}">',
        '<a/href="{{#if x}}{{x}}{{/if}}">',
        '<a title="a"href="{{SPINTAX|{{x}}|{{x}}}}">',
        '<a href="{{y|}}{{x}}">',
        f'<a href{" " * 100}="{{{{x}}}}">',
    ],
)
def test_a_value_never_makes_a_script_link(source: str, url: str) -> None:
    text, bad_links = written(source, x=url)
    assert "script" not in text and ":" not in text
    assert "x" in bad_links


def test_a_link_put_together_from_values_is_judged_as_a_whole() -> None:
    source = '<a href="{{a}}{{b}}">'
    assert written(source, a="java", b="script:alert(1)") == ('<a href="">', ("a", "b"))
    assert written('<a href="{{a}}://x">', a="javascript") == ('<a href="">', ("a",))
    assert written('<a href="{{a}}://x">', a="https") == ('<a href="https://x">', ())


def test_a_conditional_variable_never_makes_a_script_link() -> None:
    variable = ConditionalVariable("x", (Condition("y", Operator.HAS_VALUE, "{{y}}"),), "#")
    template = compile_template('<a href="{{cond:x}}">', form="html", conditional=[variable])
    assert template.render(Values.of({}, {"y": "javascript:1"}), CHOOSER).text == '<a href="">'
    assert template.render(Values.of({}), CHOOSER).text == '<a href="#">'


@pytest.mark.parametrize("url", ["https://a.example/?q=1:2", "HTTP://a", "mailto:a@b.example", "tel:+1", "#a:b"])
def test_an_ordinary_link_is_kept(url: str) -> None:
    assert render('<a href="{{x}}">', x=url) == (f'<a href="{url}">', ())


def test_a_value_behind_a_fixed_beginning_is_only_escaped() -> None:
    assert render('<a href="https://a/?q={{x}}&y={{x}}">', x='javascript:"') == (
        '<a href="https://a/?q=javascript:&quot;&y=javascript:&quot;">',
        (),
    )


@pytest.mark.parametrize("value", ["//evil.test", "JaVaScRiPt&#58;alert(1)", "/a", "sms:1"])
def test_a_value_inside_an_authors_own_link_is_no_link_of_its_own(value: str) -> None:
    shown = value.replace("&", "&amp;")
    assert written('<a href="https://a.example/{{x}}">', x=value) == (f'<a href="https://a.example/{shown}">', ())
    assert written('<a href="https://a.example/?q={{x}}">', x=value) == (f'<a href="https://a.example/?q={shown}">', ())


def test_an_authors_own_choice_of_links_is_left_to_its_author() -> None:
    text, bad_links = written('<a href="{{SPINTAX|/a|/a}}">')
    assert (text, bad_links) == ('<a href="/a">', ())


def test_a_value_in_an_attribute_that_is_no_link_is_only_escaped() -> None:
    assert render('<p title="{{x}}">', x='Re: "hi"') == ('<p title="Re: &quot;hi&quot;">', ())


def test_an_angle_bracket_before_a_value_does_not_open_a_tag() -> None:
    assert render("Me <{{x}}> </{{x}}> {{#if x}}<{{/if}}{{x}}>", x="img src=y") == (
        "Me &lt;img src=y> &lt;/img src=y> &lt;img src=y>",
        (),
    )


@pytest.mark.parametrize(
    ("source", "offset"),
    [
        ("<a href={{x}}>", 8),
        ("<a {{x}}>", 3),
        ("<a{{x}}>", 2),
        ('<a href=x"y={{x}}">', 12),
        ('<a href=="{{x}}">', 10),
        ("<td {{SPINTAX|a|b}}>", 4),
        ("<a href={{LOOM|x}}>", 8),
        ("<p onclick=\"f('{{x}}')\">", 15),
        ("<p ONLOAD='{{SPINTAX|a|b}}'>", 11),
        ('<iframe srcdoc="{{x}}">', 16),
        ('<a href="javascript:f({{x}})">', 22),
        ('<a href="java&#115;cript:{{x}}">', 25),
        ('<a href="{{x|javascript:f()}}">', 9),
        ('{{#if a}}<a href="{{x}}{{/if}}">', 18),
        ('<a href="{{#if a}}">{{/if}}', 9),
    ],
)
def test_a_value_where_it_cannot_be_made_safe_is_refused(source: str, offset: int) -> None:
    with pytest.raises(TemplateError) as refused:
        compile_template(source, form="html")
    assert refused.value.offset == offset


ID = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
VIDEO = f"https://www.loom.com/share/{ID}"


def test_a_loom_video_is_a_linked_picture_in_html_and_an_address_elsewhere() -> None:
    assert render("{{LOOM|x|no video}}", x=f" {VIDEO} ") == (
        f'<a href="{VIDEO}"><img src="https://cdn.loom.com/sessions/thumbnails/{ID}-with-play.gif" '
        'alt="Watch the video"></a>',
        (),
    )
    assert render("{{LOOM|x}}", "text", x=VIDEO) == (VIDEO, ())
    assert render('<a href="{{LOOM|x}}">', x=VIDEO) == (f'<a href="{VIDEO}">', ())


def test_a_loom_address_keeps_its_query_and_becomes_https() -> None:
    assert (
        render("{{LOOM|x}}", "text", x=f"loom.com/share/{ID}?sid=1&t=2")[0] == f"https://loom.com/share/{ID}?sid=1&t=2"
    )
    assert render("{{LOOM|x}}", "text", x=f"http://loom.com/share/{ID}")[0] == f"https://loom.com/share/{ID}"


@pytest.mark.parametrize(
    "address",
    [
        "",
        "https://example.com/share/1",
        f"https://loom.com.example/share/{ID}",
        f'{VIDEO}"><b>',
        "javascript:1",
        "hello",
    ],
)
def test_anything_but_a_loom_address_gives_the_fallback(address: str) -> None:
    assert render("{{LOOM|x|see <3}}", x=address) == ("see &lt;3", ())
    assert render("{{LOOM| x |}}", x=address) == ("", ())
    assert render("{{LOOM|x}}", x=address) == ("", ("x",))


def test_only_the_capital_word_means_a_video() -> None:
    assert render("{{Loom|x}}", x=VIDEO) == ("x", ())
