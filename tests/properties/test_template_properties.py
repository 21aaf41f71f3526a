"""What holds for every template and every value."""

import re
from html import escape, unescape

from hypothesis import given, settings
from hypothesis import strategies as st

from postrider.content.template import Chooser, Dialect, Form, Html, Template, TemplateError, Values, compile_template

FORMS: list[Form] = ["html", "text", "subject"]
dialects = st.sampled_from(Dialect)
forms = st.sampled_from(FORMS)
pieces = st.sampled_from(
    [
        *(
            "{",
            "}",
            "{{",
            "}}",
            "|",
            "\\",
            "a",
            " ",
            "\n",
            "SPINTAX|",
            "LOOM|",
            "#if ",
            "/if",
            "else",
            "cond:",
            "equals",
        ),
        *('"', "'", "<", ">", "<a ", 'href="', "=", "<style>", "</style>", "<!--", "-->", "&quot;", "x", "é"),
        *("{{x}}", "{{#if x}}", "{{else}}", "{{/if}}", "{a|b}", "{{x|y}}", "{{SPINTAX|a|{{x}}}}", '<a href="{{x}}">'),
    ]
)
sources = st.lists(pieces, max_size=30).map("".join) | st.text(max_size=80)
filled = st.text(min_size=1).filter(lambda value: not value.isspace())
choosers = st.builds(Chooser, seed=st.binary(), campaign_id=st.text("c1"), lead_id=st.text("l1"), step_id=st.just("s"),
                     variant=st.sampled_from("AB"))  # fmt: skip
CHOOSER = Chooser(b"seed", "cmp", "led", "stp", "A")


def compiled(source: str, form: Form, dialect: Dialect) -> Template | None:
    try:
        return compile_template(source, form=form, dialect=dialect)
    except TemplateError as error:
        if not 0 <= error.offset <= len(source):
            raise AssertionError("the error points outside the template") from error
        return None


@given(sources, forms, dialects, st.dictionaries(st.text(max_size=5), st.text(max_size=20)), choosers)
@settings(max_examples=600)
def test_any_input_compiles_or_is_refused_with_an_offset(
    source: str, form: Form, dialect: Dialect, custom: dict[str, str], chooser: Chooser
) -> None:
    template = compiled(source, form, dialect)
    if template is not None:
        template.render(Values.of({}, dict(custom)), chooser)


@given(filled)
def test_any_value_is_written_literally(value: str) -> None:
    values = Values.of({"x": value})
    source = "{<{{x}}|<{{x}}}>"
    text = compile_template(source, form="text").render(values, CHOOSER).text
    html = compile_template("<p title='{{x}}'>{{x}}</p>", form="html").render(values, CHOOSER).text
    assert text == f"<{value}>"
    assert html == f"<p title='{escape(value)}'>{escape(value)}</p>"
    assert unescape(html) == f"<p title='{value}'>{value}</p>"


@given(sources, filled, choosers)
@settings(max_examples=300)
def test_a_value_in_html_adds_no_markup(source: str, value: str, chooser: Chooser) -> None:
    template = compiled(source, "html", Dialect.SENDKIT)
    if template is not None:
        hostile = template.render(Values.of({"x": f"\">'<b {value}"}), chooser).text
        harmless = template.render(Values.of({"x": "v"}), chooser).text
        for mark in "<>\"'":
            assert hostile.count(mark) == harmless.count(mark)


@given(sources, forms, dialects, st.dictionaries(st.sampled_from("xya"), filled), choosers)
@settings(max_examples=300)
def test_a_preview_reads_as_the_mail_that_is_sent(
    source: str, form: Form, dialect: Dialect, custom: dict[str, str], chooser: Chooser
) -> None:
    preview, sent = (compiled(source, form, dialect) for _ in range(2))
    values = Values.of({}, dict(custom))
    assert preview == sent
    if preview is not None and sent is not None:
        assert preview.render(values, chooser) == sent.render(values, chooser) == sent.render(values, chooser)


@given(sources, forms, choosers)
@settings(max_examples=300)
def test_only_variables_the_template_names_can_be_missing_or_change_it(
    source: str, form: Form, chooser: Chooser
) -> None:
    template = compiled(source, form, Dialect.SENDKIT)
    if template is not None:
        needed = dict.fromkeys(template.variables, "v")
        full = template.render(Values.of(needed), chooser)
        assert full == template.render(Values.of({**needed, "something else": "w"}), chooser)
        assert not full.missing or "LOOM" in source


@given(st.text())
def test_any_text_can_be_written_with_backslashes(text: str) -> None:
    source = re.sub(r"[\\{}|]", r"\\\g<0>", text)
    for wrapped in (source, f"{{{source}|{source}}}", f"{{{{SPINTAX|{source}|{source}}}}}"):
        assert compile_template(wrapped, form="text").render(Values.of({}), CHOOSER).text == text


@given(filled)
def test_a_subject_is_always_one_line(value: str) -> None:
    text = compile_template("Re:\n {{x}} {{y|\n}}", form="subject").render(Values.of({"x": value}), CHOOSER).text
    assert len(text.splitlines()) == 1
    assert text.split() == ["Re:", *value.split()]


@given(filled)
def test_a_link_made_of_a_value_never_runs_a_script(value: str) -> None:
    for url in (value, f"javascript:{value}", f"java\n{value}script:x"):
        text = compile_template('<a href="{{x}}">', form="html").render(Values.of({"x": url}), CHOOSER).text
        target = re.sub(r"[\x00-\x20]", "", unescape(text.removeprefix('<a href="').removesuffix('">'))).lower()
        assert not target.startswith(("javascript:", "vbscript:", "data:"))


@given(filled, filled)
def test_markup_comes_from_builtins_alone(html: str, custom: str) -> None:
    template = compile_template("{{signature}}", form="html")
    assert template.render(Values.of({"signature": Html(html, "text")}), CHOOSER).text == html
    # A lead's own fields neither take a built-in's place nor bring markup of their own.
    taken = Values.of({"signature": Html(html, "text")}, {"signature": custom})
    assert template.render(taken, CHOOSER).text == html
    own = compile_template("{{note}}", form="html").render(Values.of({}, {"note": custom}), CHOOSER)
    assert own.text == escape(custom)
