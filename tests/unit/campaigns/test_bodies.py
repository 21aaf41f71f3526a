import pytest
from hypothesis import given
from hypothesis import strategies as st

from postrider.campaigns.bodies import html_of, kept_body, with_kept_bodies
from postrider.campaigns.compiling import compile_variant
from postrider.campaigns.documents import MAX_BODY_CHARACTERS, StepInput, VariantInput
from postrider.content.template import Chooser, Values


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("Hi {{firstName|there}},\n\nR&D {a|b}\nBye", "<p>Hi {{firstName|there}},</p><p>R&amp;D {a|b}<br>Bye</p>"),
        ("<p onclick=x>hi<script>alert(1)</script></p>", "<p>hi</p>"),
        ('<a href="javascript:x">a</a>', "<a>a</a>"),
        ("<html><body>R&amp;D</body></html>", "<div>R&amp;D</div>"),
        ("<!-- {a --><p onclick=x>{b|c}</p>", "<p>{b|c}</p>"),
        ("<style>p{color:red}</style><p>{{#if a}}x{{/if}}</p>", "<p>{{#if a}}x{{/if}}</p>"),
        ("", ""),
        (" \n ", ""),
    ],
)
def test_a_body_is_kept_as_the_html_that_is_sent(written: str, kept: str) -> None:
    assert kept_body(written) == kept
    assert kept_body(kept) == kept


@pytest.mark.parametrize(
    "template",
    [
        '<p>{{#if industry equals "SaaS"}}a{{else}}b{{/if}} {{cond:intro}} {{SPINTAX|a|b}} \\{{literal}}</p>',
        '<a href="https://{{domain|acme.com}}/p?q={{email}}&amp;x=1">site</a>',
        '<a href="{{#if website}}https://a.test{{else}}https://b.test{{/if}}" title="{one|two}">x</a>',
        "<table><tbody><tr><td>{{#if x}}a{{/if}}</td></tr></tbody></table>",
        "<table>{{#if x}}<tr><td>a</td></tr>{{/if}}</table>",
        "<table><tr>{<td>a</td>|<td>b</td>}</tr></table>",
        '<p style="color:{red|blue}">x</p>',
        '<p style="color:{red}">x</p>',
        '<p style="color:{{colour}}">x</p>',
        '<p style="color:{{SPINTAX|red|blue}}">x</p>',
        '<a onclick="{{one}}">{{two}}</a>',
        '<p onclick="x{">{a|b}</p><p>}</p>',
        "<p>&#123;a|b&#125;</p>",
        "<p>{{#if <script>a</script>}}x{{/if}}</p>",
        "<p onclick=x>{{name</p>",
    ],
)
def test_no_template_is_damaged(template: str) -> None:
    assert kept_body(template) == template


def test_a_body_that_would_become_too_long_stays_as_it_was_written() -> None:
    text = "&" * (MAX_BODY_CHARACTERS - 1)

    assert kept_body(text) == text


PIECES = st.sampled_from(
    [
        *("{{firstName}}", "{{company|R&D}}", '{{#if industry equals "a"}}', "{{else}}", "{{/if}}", "{a|", "|b}", "}"),
        *("<p>", "</p>", "<table>", "<tr>", "<td>", "</td>", "</tr>", "</table>", '<a href="', '">', "</a>", "<br>"),
        *("<script>", "</script>", "<style>", "</style>", "&", "&amp;", "<", ">", "\n", "\n\n", " ", "word", "\\{"),
    ]
)


@given(st.lists(PIECES, max_size=25).map("".join))
def test_the_same_email_is_made_from_a_kept_body(body: str) -> None:
    kept = kept_body(body)

    assert html_of(kept) in (html_of(body), f"<div>{html_of(body)}</div>")
    assert kept_body(kept) == kept


def test_every_text_of_a_step_is_kept_so() -> None:
    variants = [VariantInput(label="A", body="a"), VariantInput(label="B", body="<p onclick=x>b</p>")]
    wait = StepInput(type="wait", wait_days=1)
    [step, after] = with_kept_bodies([StepInput(type="email", body="own", variants=variants), wait])

    assert (step.body, [variant.body for variant in step.variants or []]) == ("<p>own</p>", ["<p>a</p>", "<p>b</p>"])
    assert after == wait


def test_a_kept_body_reads_the_same() -> None:
    written = VariantInput(label="A", subject="s", body="Hi {{firstName}},\n\n{one|two|three} R&D <3")
    values, chooser = Values.of({"firstName": "A & <b>"}), Chooser(b"seed", "camp", "lead", "step", "A")
    kept = written.model_copy(update={"body": kept_body(written.body)})
    step = StepInput(type="email")
    first, second = (
        compile_variant(step, each, "sequence[0]").html.render(values, chooser) for each in (written, kept)
    )

    assert first == second
