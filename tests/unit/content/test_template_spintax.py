"""Spintax and escapes in both dialects, and the choices that stay the same."""

import hmac
from collections import Counter
from dataclasses import replace

import pytest

from postrider.content.template import Chooser, Dialect, Form, Values, compile_template

CHOOSER = Chooser(b"seed", "cmp", "led", "stp", "A")
NOBODY = Values.of({})
SENDKIT, REACHKIT = Dialect.SENDKIT, Dialect.REACHKIT


def outcomes(source: str, dialect: Dialect = SENDKIT, form: Form = "text") -> set[str]:
    """Everything the template says to two hundred leads called Ada."""
    template = compile_template(source, form=form, dialect=dialect)
    values = Values.of({"firstName": "Ada"})
    return {template.render(values, replace(CHOOSER, lead_id=f"led_{n}")).text for n in range(200)}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{a|b|c}", {"a", "b", "c"}),
        ("x{a|}y", {"xay", "xy"}),
        ("{|}", {""}),
        ("{word}", {"{word}"}),
        ("{}", {"{}"}),
        ("a | b }", {"a | b }"}),
        ("x } y", {"x } y"}),
        ("a { b", {"a { b"}),
        ("{a { b|c}", {"{a  b", "{a c"}),
        ("{ x {y} z|w }", {" x {y} z", "w "}),
        ("{a|{b|c}}", {"a", "b", "c"}),
        ("{x {a|b}} {c|d}", {"{x a} c", "{x a} d", "{x b} c", "{x b} d"}),
        ("{1{2{3{4{5|e}|d}|c}|b}|a}", {"12345", "1234e", "123d", "12c", "1b", "a"}),
        ("{Hi {{firstName}}|Dear {{firstName}}}", {"Hi Ada", "Dear Ada"}),
        ("{{{firstName}}|friend}", {"Ada", "friend"}),
        ("{friend|{{{firstName}}|you}}", {"friend", "Ada", "you"}),
        ("{{{firstName}}}", {"{Ada}"}),
        ("{{SPINTAX|a|b}}", {"a", "b"}),
        ("{{ SPINTAX | a|b}}", {" a", "b"}),
        ("{{SPINTAX|Hi {{firstName}}|{b|c}}}", {"Hi Ada", "b", "c"}),
        ("{{spintax|a}}", {"a"}),
        ("{a|{{#if firstName}}b{{/if}}}", {"a", "b"}),
    ],
)
def test_spintax_of_the_sendkit_dialect(source: str, expected: set[str]) -> None:
    assert outcomes(source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{a|b}", {"{a|b}"}),
        ("{a|b", {"{a|b"}),
        ("{{{firstName}}}", {"{Ada}"}),
        ("{{SPINTAX|a|b}}", {"a", "b"}),
        ("{{SPINTAX|a}b|{c}}", {"a}b", "{c"}),
        ("{{SPINTAX|a|{{SPINTAX|b|{{firstName}}}}}}", {"a", "b", "Ada"}),
    ],
)
def test_spintax_of_the_reachkit_dialect_leaves_single_braces_alone(source: str, expected: set[str]) -> None:
    assert outcomes(source, REACHKIT) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (r"\{{firstName}}", {"{{firstName}}"}),
        (r"\{{ {{firstName}} }}", {"{{ Ada }}"}),
        (r"\{{", {"{{"}),
        (r"\{a|b}", {"{a|b}"}),
        (r"\{a {b|c}}", {"{a b}", "{a c}"}),
        (r"{a\|b|c}", {"a|b", "c"}),
        (r"{a\}|\{}", {"a}", "{"}),
        (r"{x|\{{a|b}}|\{c\|d\}}", {"x", "{{a|b}}", "{c|d}"}),
        (r"{{SPINTAX|a\|b|c\}}}", {"a|b", "c}"}),
        (r"\\{{firstName}}", {r"\Ada"}),
        (r"\\\{{firstName}}", {r"\{{firstName}}"}),
        (r"C:\dir \n", {r"C:\dir \n"}),
        ("end\\", {"end\\"}),
    ],
)
def test_a_backslash_makes_braces_bars_and_backslashes_literal(source: str, expected: set[str]) -> None:
    assert outcomes(source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("<style>@media x{a{b:c}} p{d|e}</style>{a|b}", {"<style>@media x{a{b:c}} p{d|e}</style>" + c for c in "ab"}),
        ("<STYLE type='x'>{{ {a|b}</Style >", {"<STYLE type='x'>{{ {a|b}</Style >"}),
        ("<script>if(a||b){c|d}{{</script>", {"<script>if(a||b){c|d}{{</script>"}),
        ("<style>{a|b", {"<style>{a|b"}),
        ("<!-- {a|b} {{ ' --><b>{c|d}</b>", {"<!-- {a|b} {{ ' --><b>c</b>", "<!-- {a|b} {{ ' --><b>d</b>"}),
        ("<p style=\"{a|b}\" class='{c|d}' {e|f}>", {"<p style=\"{a|b}\" class='{c|d}' {e|f}>"}),
        ('<p title="a > {a|b}">{c|d}', {'<p title="a > {a|b}">c', '<p title="a > {a|b}">d'}),
        ("<p title=it's>{c|d}", {"<p title=it's>c", "<p title=it's>d"}),
        ('<p title="{{SPINTAX|a|b}}">', {'<p title="a">', '<p title="b">'}),
        ("{<b>x|y</b>}", {"<b>x", "y</b>"}),
        ("{<a href=\"x|y\">1</a>|<a title='}'>2</a>}", {'<a href="x|y">1</a>', "<a title='}'>2</a>"}),
        ("I <3 you {a|b}", {"I &lt;3 you a", "I &lt;3 you b"}),
        ("<!DOCTYPE html><![if !mso]>{a|b}", {"<!DOCTYPE html><![if !mso]>a", "<!DOCTYPE html><![if !mso]>b"}),
    ],
)
def test_spintax_in_html_stays_out_of_tags_styles_scripts_and_comments(source: str, expected: set[str]) -> None:
    assert outcomes(source, form="html") == expected


def test_a_text_has_no_tags_to_stay_out_of() -> None:
    assert outcomes('<p title="{a|b}">') == {'<p title="a">', '<p title="b">'}


def test_the_choice_is_the_documented_hash() -> None:
    digest = hmac.new(b"seed", b"cmp|led|stp|A|3", "sha256").hexdigest()
    assert CHOOSER.pick(3, 7) == int(digest, 16) % 7


def test_a_lead_reads_the_same_again_and_other_leads_read_otherwise() -> None:
    template = compile_template("{a|b|c|d} {e|f|g|h} {i|j|k|l}", form="text")
    assert template.render(NOBODY, CHOOSER) == template.render(NOBODY, replace(CHOOSER))
    for choosers in (
        [replace(CHOOSER, seed=bytes([n])) for n in range(20)],
        [replace(CHOOSER, campaign_id=str(n)) for n in range(20)],
        [replace(CHOOSER, lead_id=str(n)) for n in range(20)],
        [replace(CHOOSER, step_id=str(n)) for n in range(20)],
        [replace(CHOOSER, variant=str(n)) for n in range(20)],
    ):
        assert len({template.render(NOBODY, chooser).text for chooser in choosers}) > 5


def test_options_are_chosen_about_equally_often() -> None:
    counts = Counter(replace(CHOOSER, lead_id=str(n)).pick(0, 4) for n in range(4_000))
    assert set(counts) == {0, 1, 2, 3}
    assert all(900 < count < 1_100 for count in counts.values())


def test_the_html_and_the_text_of_a_body_choose_alike_and_the_subject_by_itself() -> None:
    source = "{0|1|2|3|4|5|6|7}{0|1|2|3|4|5|6|7}"
    html, text, subject = (compile_template(source, form=form) for form in ("html", "text", "subject"))
    choosers = [replace(CHOOSER, lead_id=str(n)) for n in range(20)]
    assert all(html.render(NOBODY, c).text == text.render(NOBODY, c).text for c in choosers)
    assert any(subject.render(NOBODY, c).text != text.render(NOBODY, c).text for c in choosers)


def test_a_branch_that_is_not_taken_does_not_move_later_choices() -> None:
    template = compile_template("{{#if x}}{0|1|2|3}{{/if}}{a|b|c|d|e|f|g|h}", form="text")
    shown, hidden = (template.render(Values.of({}, {"x": x}), CHOOSER).text for x in ("yes", None))
    assert shown[-1] == hidden
