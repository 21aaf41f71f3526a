"""Texts compiled on write: what is refused, and where the error points."""

from typing import Any

import pytest

from postrider.campaigns.compiling import check_texts, compile_variant
from postrider.campaigns.documents import StepInput, VariantInput
from postrider.content.template import Chooser, LeadFacts, TemplateError, lead_values
from postrider.kernel.errors import InvalidInput

CHOOSER = Chooser(b"seed", "camp", "lead", "step", "A")
SIZE = {
    "name": "size",
    "conditions": [{"field": "employees", "operator": "has_value", "output": "large {{company}}"}],
    "defaultValue": "small",
}


def step(**given: Any) -> StepInput:
    return StepInput.model_validate({"type": "email"} | given)


def rendered(made: StepInput, body: str, **facts: Any) -> str:
    compiled = compile_variant(made, VariantInput(label="A", body=body), "sequence[0]")
    values = lead_values(LeadFacts(email="lea@acme.test"), custom=facts)
    return compiled.html.render(values, CHOOSER).text


def test_plain_text_becomes_paragraphs_and_html_is_cleaned() -> None:
    assert rendered(step(), "a < b\n\nc") == "<p>a &lt; b</p><p>c</p>"
    assert rendered(step(), "<p onclick='x()'>a</p><script>b</script>") == "<p>a</p>"


def test_an_empty_subject_is_told_from_a_written_one() -> None:
    blank = compile_variant(step(), VariantInput(label="B", subject="  ", enabled=False), "x")
    assert (blank.label, blank.enabled, blank.subject_source) == ("B", False, "")


def test_values_are_never_read_as_templates() -> None:
    assert rendered(step(), "{{note}}", note="{{email}} {a|b} <b>") == "<p>{{email}} {a|b} &lt;b&gt;</p>"


def test_conditional_variables_work_only_where_the_step_uses_them() -> None:
    assert rendered(step(useConditionalVariables=True, conditionalVariables=[SIZE]), "{{cond:size}}") == "<p>small</p>"
    with pytest.raises(TemplateError, match="No conditional variable") as refused:
        rendered(step(conditionalVariables=[SIZE]), "ab {{cond:size}}")
    assert (refused.value.field, refused.value.offset) == ("sequence[0].body", 3)


@pytest.mark.parametrize(
    ("given", "field", "offset"),
    [
        ({"subject": "{{"}, "s[0].subject", 0),
        ({"body": "<p>{{#if a}}</p>"}, "s[0].body", 3),
        ({"body": "plain {{a"}, "s[0].body", 6),
        ({"variants": [{"label": "A"}, {"label": "B", "subject": "x {{a"}]}, "s[0].variants[1].subject", 2),
        # The step's own text is kept beside its variants, and so is checked too.
        ({"body": "{{a", "variants": [{"label": "A"}]}, "s[0].body", 0),
        ({"conditionalVariables": [SIZE, SIZE]}, "s[0].conditionalVariables[1].name", 0),
        (
            {"conditionalVariables": [SIZE | {"defaultValue": "xy{{a"}]},
            "s[0].conditionalVariables[0].defaultValue",
            2,
        ),
        (
            {"conditionalVariables": [SIZE | {"conditions": [{"field": "a", "operator": "equals", "output": "b"}]}]},
            "s[0].conditionalVariables[0].conditions[0].value",
            0,
        ),
    ],
)
def test_an_error_names_the_path_of_the_text_and_the_offset_in_it(
    given: dict[str, Any], field: str, offset: int
) -> None:
    with pytest.raises(TemplateError) as refused:
        check_texts([step(**given)], "s")
    assert (refused.value.field, refused.value.offset) == (field, offset)


@pytest.mark.parametrize("break_", ["\r\n", "\n", "\r", "\x00", "\u2028"])
def test_a_subject_that_could_inject_a_header_is_refused(break_: str) -> None:
    with pytest.raises(InvalidInput, match="line break or control character") as refused:
        check_texts([step(variants=[{"label": "A", "subject": f"Hi{break_}Bcc: x@y.test"}])], "sequence")
    assert refused.value.field == "sequence[0].variants[0].subject"


def test_unknown_custom_variables_and_waits_are_fine() -> None:
    check_texts([step(body="{{anything at all}} {a|b}"), StepInput(type="wait", wait_days=1)], "sequence")


def test_needed_variables_are_those_somewhere_without_a_fallback() -> None:
    body = "{{a}} {{b|x}} {c {{d}}|e} {{#if f}}{{g}}{{else}}{{h|}}{{/if}} <a href='{{i}}'>x</a> {{cond:size}} {{b}}"
    made = step(useConditionalVariables=True, conditionalVariables=[SIZE])
    compiled = compile_variant(made, VariantInput(label="A", subject="{{First Name}}", body=f"<p>{body}</p>"), "x")
    assert compiled.needed_variables() == {
        "a": "a",
        "b": "b",
        "d": "d",
        "g": "g",
        "i": "i",
        "companyname": "company",
        "firstname": "First Name",
    }
